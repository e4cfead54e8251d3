/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The worst of late: two minutes follow each other, and what is older than both is forgotten. On the way of
 * a reading, so it is a few instructions, without a call.
 */

#include <stdbool.h>
#include <stdint.h>

#include "iotd/clock.h"

#define LATENESS_WINDOW_US (60 * USEC_PER_SEC)

/** struct lateness - zeroed: nothing yet */
struct lateness {
	int64_t began_us, worst_us; /* the newer minute */
	int64_t before_us;	    /* the worst of the one before */
};

/** lateness_note() - at @now_us, of a clock that does not step back, something began @late_us after it should */
static inline void lateness_note(struct lateness *lateness, int64_t now_us, int64_t late_us)
{
	int64_t age_us = now_us - lateness->began_us;

	if (age_us >= LATENESS_WINDOW_US) {
		lateness->before_us = age_us < 2 * LATENESS_WINDOW_US ? lateness->worst_us : 0;
		lateness->worst_us = 0;
		lateness->began_us = now_us;
	}
	if (late_us > lateness->worst_us)
		lateness->worst_us = late_us;
}

/** lateness_worst() - of the last one to two minutes; if nothing began in that time: of the last that did */
static inline int64_t lateness_worst(const struct lateness *lateness, int64_t now_us)
{
	bool is_past = now_us - lateness->began_us >= LATENESS_WINDOW_US;

	return is_past || lateness->worst_us > lateness->before_us ? lateness->worst_us
								   : lateness->before_us;
}
