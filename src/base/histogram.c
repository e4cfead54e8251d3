/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A log-linear histogram: below 16 a bucket holds one value; from there each power of two has 16 buckets. A
 * bucket's number is the value's five highest bits and how far they were shifted, so adding one takes no
 * loop and no floating point: 46 instructions (callgrind, x86-64).
 *
 * Two halves follow each other: when the newer one is a window old it becomes the older one, which is forgotten. A
 * quantile is read from both. Rejected: exact samples (memory without a bound, or a sample of them that misses
 * the one in a thousand that matters), and P2 or t-digest (no bound of their error, and more code).
 */
#include <string.h>

#include "iotd/histogram.h"

#define STEP_BITS 4

static size_t bucket_of(int64_t duration_us)
{
	uint64_t value = (uint64_t)duration_us;
	unsigned int shift = 0;

	if (value >= HISTOGRAM_STEPS)
		shift = 63U - (unsigned int)__builtin_clzll(value) - STEP_BITS;
	return shift * (size_t)HISTOGRAM_STEPS + (size_t)(value >> shift);
}

/* the middle of a bucket */
static int64_t value_of(size_t bucket)
{
	unsigned int shift = 0;

	if (bucket >= HISTOGRAM_STEPS)
		shift = (unsigned int)(bucket / HISTOGRAM_STEPS) - 1;
	return ((int64_t)(bucket - shift * (size_t)HISTOGRAM_STEPS) << shift) +
	       ((1LL << shift) - 1) / 2;
}

void histogram_turn(struct histogram *histogram, int64_t now_us)
{
	int64_t age_us = now_us - histogram->began_us;

	if (age_us < HISTOGRAM_WINDOW_US)
		return;
	if (age_us >= 2 * HISTOGRAM_WINDOW_US)
		memset(histogram->halves, 0, sizeof(histogram->halves));
	histogram->newer ^= 1U;
	memset(&histogram->halves[histogram->newer], 0, sizeof(histogram->halves[0]));
	histogram->began_us = now_us - age_us % HISTOGRAM_WINDOW_US;
}

void histogram_add(struct histogram *histogram, int64_t now_us, int64_t duration_us)
{
	struct histogram_half *half;

	histogram_turn(histogram, now_us);
	if (duration_us < 0)
		duration_us = 0;
	histogram->count++;
	histogram->sum_us += duration_us;
	if (duration_us > HISTOGRAM_MAX_US)
		duration_us = HISTOGRAM_MAX_US;
	half = &histogram->halves[histogram->newer];
	half->total++;
	half->counts[bucket_of(duration_us)]++;
	if (duration_us > half->max_us)
		half->max_us = duration_us;
}

/* so that no quantile is above the largest */
static int64_t at_most_max(const struct histogram_half *a, const struct histogram_half *b,
			   int64_t duration_us)
{
	int64_t max_us = a->max_us > b->max_us ? a->max_us : b->max_us;

	return duration_us < max_us ? duration_us : max_us;
}

int64_t histogram_quantile(const struct histogram *histogram, unsigned int permille)
{
	const struct histogram_half *a = &histogram->halves[0], *b = &histogram->halves[1];
	uint64_t total = (uint64_t)a->total + b->total, seen = 0, rank;

	if (total == 0)
		return -1;
	rank = (total * permille + 999) / 1000;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += (uint64_t)a->counts[i] + b->counts[i];
		if (seen >= rank)
			return at_most_max(a, b, value_of(i));
	}
	return at_most_max(a, b, HISTOGRAM_MAX_US);
}
