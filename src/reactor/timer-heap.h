/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Timers, ordered by due time and then by the order in which they were set. Those of one microsecond
 * are an instant, a list in their order; a 4-ary heap has the instants, and a hash table finds that
 * of a due time. Sensors are due on a grid of a millisecond and jobs that begin in one turn have to be back
 * at one time, so most timers are a link in a list, however many there are.
 *
 * - set later than before, the timer stays where it is, and moves when it comes to the top: resetting
 *   a time-out is two stores;
 * - stopped, it leaves its instant; one that is left empty is dropped when it comes to the top, or
 *   with all others of that kind when they are half of the heap;
 * - set earlier, or for the same time, it moves at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timer-instant.h"

struct timer_key {
	int64_t due_us;
	uint32_t instant;
};

/** struct timer_heap - zeroed: empty */
struct timer_heap {
	struct timer_key *keys;
	struct timer_instant *instants; /* begin at 1 */
	uint32_t *buckets; /* as many as there is room for instants, which is a power of two */
	uint32_t unused, newest; /* instants; 0: none */
	uint32_t latest;	 /* that was looked for; 0: none */
	size_t count, size;	 /* keys, and how many there is room for */
	size_t timers;		 /* that are set */
	size_t empty;		 /* instants that have none left, of @count */
	bool has_hole;		 /* at the top, which counts */
};

/** timer_heap_load() - so much room is taken, at most: each timer may need an instant of its own */
static inline size_t timer_heap_load(const struct timer_heap *heap)
{
	return heap->timers + heap->empty;
}

/** timer_heap_reserve() - room for a load of @count. Return: 0; -ENOMEM */
int timer_heap_reserve(struct timer_heap *heap, size_t count);

/** timer_heap_clear() - its memory; the timers are left as they are */
void timer_heap_clear(struct timer_heap *heap);

/** timer_heap_insert() - @timer->due_us and order are set, there is room */
void timer_heap_insert(struct timer_heap *heap, struct reactor_timer *timer);

/**
 * timer_heap_advance() - @timer is in the heap and was set anew, not for a later time than before
 * For a later one nothing needs to be called. Quicker if there is room.
 */
void timer_heap_advance(struct timer_heap *heap, struct reactor_timer *timer);

/** timer_heap_remove() - take @timer out */
void timer_heap_remove(struct timer_heap *heap, struct reactor_timer *timer);

/**
 * timer_heap_take_first() - take out what timer_heap_first() just gave
 * If its instant is left empty, its place stays open until the next call: what is inserted then, mostly
 * the same timer, is sifted once.
 */
void timer_heap_take_first(struct timer_heap *heap);

/** timer_heap_first() - the next one that is due, NULL if empty; mends the top first */
struct reactor_timer *timer_heap_first(struct timer_heap *heap);
