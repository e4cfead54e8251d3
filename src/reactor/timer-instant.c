/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "timer-instant.h"

#include "iotd/base.h"

/* both are in order; by @next alone */
static struct reactor_timer *merge(struct reactor_timer *a, struct reactor_timer *b)
{
	struct reactor_timer *merged = NULL, **last = &merged;

	while (a && b) {
		struct reactor_timer **first = a->order < b->order ? &a : &b;

		*last = *first;
		last = &(*last)->next;
		*first = *last;
	}
	*last = a ? a : b;
	return merged;
}

/* runs of 1, 2, 4 timers and so on are merged */
void timer_instant_sort(struct timer_instant *instant)
{
	struct reactor_timer *runs[32] = { NULL }, *timer = instant->first, *next;
	size_t i;

	for (; timer; timer = next) {
		next = timer->next;
		timer->next = NULL;
		for (i = 0; runs[i]; i++) {
			timer = merge(runs[i], timer);
			runs[i] = NULL;
		}
		runs[i] = timer;
	}
	for (i = 0; i < ARRAY_SIZE(runs); i++)
		timer = merge(runs[i], timer);
	instant->is_mixed = false;
	instant->first = timer;
	for (next = NULL; timer; timer = timer->next) {
		timer->previous = next;
		next = timer;
	}
	instant->last = next;
}
