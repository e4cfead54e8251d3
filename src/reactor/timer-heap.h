/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A 4-ary heap of timers, ordered by due time and then by the order in which they were set. The
 * keys lie in the heap itself, so that sifting touches no timer but to tell it its slot. A timer
 * that is set later than before keeps its old place, which is mended when it comes to the top:
 * resetting a time-out is two stores.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/reactor.h"

struct timer_key {
	int64_t due_us;
	uint64_t order;
	struct reactor_timer *timer;
};

struct timer_heap {
	struct timer_key *keys;
	size_t count, size;
};

/** timer_heap_reserve() - room for @count timers. Return: 0; -ENOMEM */
int timer_heap_reserve(struct timer_heap *heap, size_t count);

/** timer_heap_insert() - @timer->due_us and order are set, there is room */
void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer);

/** timer_heap_update() - @timer->due_us or order changed while it is in the heap */
void timer_heap_update(struct timer_heap *heap, struct reactor_timer *timer);

/** timer_heap_remove() - take @timer out */
void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer);

/** timer_heap_first() - the next one that is due, NULL if empty; mends the top first */
struct reactor_timer *timer_heap_first(struct timer_heap *heap);
