/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Timers that are due at the same microsecond, in the order in which they were set. */

#include <stdbool.h>
#include <stdint.h>

#include "iotd/reactor.h"

struct timer_instant {
	int64_t due_us;
	struct reactor_timer *first, *last; /* NULL: none */
	uint64_t order; /* of the last one that came, so that it need not be looked at */
	uint32_t next;	/* in its bucket, or of those that are in no use; 0: none */
	bool is_mixed;	/* some that were set for later than they are came behind younger ones */
};

/** timer_instant_join() - behind all others: what comes from an earlier instant may have been set before them */
static inline void timer_instant_join(struct timer_instant *instant, struct reactor_timer *timer)
{
	struct reactor_timer *last = instant->last;

	timer->next = NULL;
	timer->previous = last;
	instant->last = timer;
	if (last) {
		instant->is_mixed |= instant->order > timer->order;
		last->next = timer;
	} else {
		instant->is_mixed = false;
		instant->first = timer;
	}
	instant->order = timer->order;
}

/** timer_instant_part() - @timer is one of its */
static inline void timer_instant_part(struct timer_instant *instant, struct reactor_timer *timer)
{
	if (timer->next)
		timer->next->previous = timer->previous;
	else
		instant->last = timer->previous;
	if (timer->previous)
		timer->previous->next = timer->next;
	else
		instant->first = timer->next;
}

/** timer_instant_sort() - mixed no more, once for all that moved there; fewer than 2^32 */
void timer_instant_sort(struct timer_instant *instant);
