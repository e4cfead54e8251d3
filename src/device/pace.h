/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How fast edges come, from their own times. Pure.
 *
 * Between two edges they are taken to come evenly: of an edge that took 10 minutes to come, each of these has a tenth.
 * So a meter that turns slowly but steadily has a steady rate, however short the interval of the readings is. Since the
 * last edge the pace is that of the gap before it, as long as that may be; then it is that of an edge
 * that came now, and so it falls as long as none does. Before the second edge nothing is known: 0.
 */

#include <stdint.h>

struct pace {
	int64_t first_us,
		last_us; /* edges: the first of the interval, or the last before it; the last. 0: none yet */
	int64_t from_us;    /* when the interval began */
	double in_interval; /* edges that came in it, by parts */
	uint64_t gaps;	    /* between first_us and last_us */
	double gap_hz;	    /* of the last gap */
	double frequency_hz;
};

/** pace_edges() - @count more edges, the last of them at @time_us, the others evenly before it */
void pace_edges(struct pace *pace, uint64_t count, int64_t time_us);

/**
 * pace_read() - how fast they were, and begin a new interval
 * @now_us:           by the clock of the edges
 * @ret_frequency_hz: how fast they are: whole gaps that ended in the interval by the time they took
 * Return: Hz, the mean over the interval.
 */
double pace_read(struct pace *pace, int64_t now_us, double *ret_frequency_hz);
