/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How durations are spread, in 4 KiB whatever they are: counts in buckets that are as wide as they are far from 0,
 * 16 for each power of two. What is told of them is at most 1/32 (3.2 %) off, and exact below 32 us.
 *
 * Quantiles are those of the last 5 to 10 minutes, so that they tell how it is and not how it was last
 * month; count and sum are since the start. Not for two threads at one time.
 */

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_WINDOW_US (300LL * 1000 * 1000)
#define HISTOGRAM_STEPS	    16		      /* buckets a power of two */
#define HISTOGRAM_MAX_US    ((1LL << 36) - 1) /* 19 hours; what is longer counts as that */
#define HISTOGRAM_BUCKETS   ((size_t)HISTOGRAM_STEPS * (36 - 4 + 1))

/** struct histogram_half - of one window */
struct histogram_half {
	int64_t max_us;
	uint32_t total;
	uint32_t counts[HISTOGRAM_BUCKETS];
};

/** struct histogram - zeroed: empty */
struct histogram {
	uint64_t count; /* since the start */
	int64_t sum_us;
	int64_t began_us; /* the newer half */
	unsigned int newer;
	struct histogram_half halves[2];
};

/**
 * histogram_add() - one more duration
 * @now_us:      of any clock that does not step back
 * @duration_us: below 0 counts as 0
 * A few instructions: it is on the way of a reading.
 */
void histogram_add(struct histogram *histogram, int64_t now_us, int64_t duration_us);

/** histogram_turn() - forget what is older than two windows; before histogram_quantile() */
void histogram_turn(struct histogram *histogram, int64_t now_us);

/**
 * histogram_quantile() - the duration that so many of a thousand do not exceed (nearest rank)
 * @permille: 1 .. 1000; 990 is the quantile 0.99
 * Return: microseconds; -1 there were none.
 */
int64_t histogram_quantile(const struct histogram *histogram, unsigned int permille);
