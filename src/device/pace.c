/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pace.h"

#include "iotd/base.h"
#include "iotd/clock.h"

static double seconds(int64_t us)
{
	return (double)us / (double)USEC_PER_SEC;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

void pace_edges(struct pace *pace, uint64_t count, int64_t time_us)
{
	int64_t gap_us = time_us - pace->last_us, inside_us = time_us - pace->from_us;

	if (pace->last_us == 0) { /* nobody knows since when they have been coming */
		pace->first_us = pace->last_us = pace->from_us = time_us;
		return;
	}
	pace->gaps += count;
	if (gap_us <= 0) { /* within a microsecond */
		pace->in_interval += (double)count;
		return;
	}
	if (inside_us < 0)
		inside_us = 0;
	pace->in_interval +=
		(double)count * (inside_us < gap_us ? (double)inside_us / (double)gap_us : 1);
	pace->gap_hz = (double)count / seconds(gap_us);
	pace->last_us = time_us;
}

/* what it is at most, when the next edge comes later than now */
static double at_most(double hz, int64_t open_us)
{
	return open_us > 0 ? least(hz, 1 / seconds(open_us)) : hz;
}

double pace_read(struct pace *pace, int64_t now_us, double *ret_frequency_hz)
{
	int64_t open_us = now_us - pace->last_us, open_inside_us, interval_us;
	double rate_hz;

	*ret_frequency_hz = 0;
	if (pace->last_us == 0)
		return 0;
	if (open_us < 0) { /* it came after this turn of the reactor began */
		open_us = 0;
		now_us = pace->last_us;
	}
	if (pace->last_us > pace->first_us)
		pace->frequency_hz = (double)pace->gaps / seconds(pace->last_us - pace->first_us);
	*ret_frequency_hz = at_most(pace->frequency_hz, open_us);

	interval_us = now_us - pace->from_us;
	open_inside_us = open_us < interval_us ? open_us : interval_us;
	rate_hz = at_most(pace->gap_hz, open_us);
	if (interval_us > 0)
		rate_hz = (pace->in_interval + rate_hz * seconds(open_inside_us)) /
			  seconds(interval_us);
	pace->first_us = pace->last_us;
	pace->from_us = now_us;
	pace->in_interval = 0;
	pace->gaps = 0;
	return rate_hz;
}
