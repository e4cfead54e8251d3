/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quantiles of many kinds of samples against the sorted samples themselves; windows. */
#include <stdio.h>

#include "fixture.h"

#include "iotd/histogram.h"

#define SAMPLES 20000

static struct histogram histogram;
static int64_t samples[SAMPLES];

static void setup(void)
{
	memset(&histogram, 0, sizeof(histogram));
}

/* --- samples -------------------------------------------------------------------------------- */

/* xorshift64 (Marsaglia): the same numbers everywhere */
static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int64_t even(void)
{
	return (int64_t)(next_random() % 5000000);
}

/* each magnitude as often as the next */
static int64_t any_magnitude(void)
{
	unsigned int shift = 28 + (unsigned int)(next_random() % 36);

	return (int64_t)(next_random() >> shift);
}

/* as schedules are: mostly some tens of microseconds, one in a hundred much more */
static int64_t mostly_small(void)
{
	uint64_t random = next_random();

	return (int64_t)(random % 100 == 0 ? random % 2000000 : 20 + random % 60);
}

static int64_t always_the_same(void)
{
	return 1234567;
}

static int64_t tiny(void)
{
	return (int64_t)(next_random() % 32);
}

static int64_t powers_of_two(void)
{
	return INT64_C(1) << next_random() % 36;
}

static int64_t just_below_powers_of_two(void)
{
	return (INT64_C(1) << next_random() % 36) - 1;
}

static int64_t (*const kinds[])(void) = {
	even,
	any_magnitude,
	mostly_small,
	always_the_same,
	tiny,
	powers_of_two,
	just_below_powers_of_two,
};

static int compare(const void *left, const void *right)
{
	const int64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* --- tests ---------------------------------------------------------------------------------- */

/* one assertion a property: each is a write to a pipe */
START_TEST(quantiles_are_within_a_thirty_second_of_the_sorted_samples)
{
	static const size_t counts[] = { 1, 2, 3, 10, 99, 100, 101, 1000, SAMPLES };

	state = 88172645463325252U + (uint64_t)_i;
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		setup();
		for (size_t i = 0; i < counts[c]; i++) {
			samples[i] = kinds[_i]();
			histogram_add(&histogram, 0, samples[i]);
		}
		qsort(samples, counts[c], sizeof(samples[0]), compare);
		for (unsigned int permille = 1; permille <= 1000;
		     permille += permille < 990 ? 7U : 1U) {
			int64_t exact = samples[(counts[c] * permille + 999) / 1000 - 1];
			int64_t told = histogram_quantile(&histogram, permille);

			if (llabs(told - exact) * 32 <= exact)
				continue;
			ck_abort_msg("kind %d, %zu samples, %u permille: %lld, not %lld", _i,
				     counts[c], permille, (long long)told, (long long)exact);
		}
	}
}
END_TEST

START_TEST(below_32_us_it_is_exact)
{
	for (int64_t i = 0; i < 32; i++)
		histogram_add(&histogram, 0, i);
	for (unsigned int i = 1; i <= 32; i++)
		ck_assert_int_eq(histogram_quantile(&histogram, i * 1000 / 32), i - 1);
}
END_TEST

START_TEST(no_quantile_is_above_the_largest)
{
	static const int64_t values[] = { 33, 1000, 65537, 1LL << 35, HISTOGRAM_MAX_US };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		setup();
		histogram_add(&histogram, 0, values[i]);
		ck_assert_int_le(histogram_quantile(&histogram, 1000), values[i]);
		ck_assert_int_ge(histogram_quantile(&histogram, 1000), values[i] - values[i] / 32);
	}
}
END_TEST

START_TEST(quantiles_grow_with_their_share)
{
	int64_t before = 0;

	state = 1;
	for (int i = 0; i < 1000; i++)
		histogram_add(&histogram, 0, any_magnitude());
	for (unsigned int permille = 1; permille <= 1000; permille++) {
		int64_t told = histogram_quantile(&histogram, permille);

		ck_assert_int_ge(told, before);
		before = told;
	}
}
END_TEST

START_TEST(none_is_told_from_zero)
{
	ck_assert_int_eq(histogram_quantile(&histogram, 500), -1);
	histogram_add(&histogram, 0, 0);
	ck_assert_int_eq(histogram_quantile(&histogram, 500), 0);
}
END_TEST

START_TEST(a_clock_that_was_wrong_breaks_nothing)
{
	histogram_add(&histogram, 0, -5);
	ck_assert_int_eq(histogram_quantile(&histogram, 1000), 0);
	ck_assert_int_eq(histogram.sum_us, 0);
	histogram_add(&histogram, -1000, INT64_MAX / 2);
	ck_assert_int_le(histogram_quantile(&histogram, 1000), HISTOGRAM_MAX_US);
	ck_assert_int_ge(histogram_quantile(&histogram, 1000),
			 HISTOGRAM_MAX_US - HISTOGRAM_MAX_US / 32);
	ck_assert_uint_eq(histogram.count, 2);
	ck_assert_int_eq(histogram.sum_us, INT64_MAX / 2);
}
END_TEST

/* what is told is always what came in the last window, and never what is older than two */
START_TEST(quantiles_are_of_the_last_windows)
{
	const int64_t window = HISTOGRAM_WINDOW_US, start = 7 * window + 123;

	histogram_add(&histogram, start, 1000);
	histogram_turn(&histogram, start + window - 1);
	ck_assert_int_ne(histogram_quantile(&histogram, 500), -1);
	histogram_add(&histogram, start + window, 5);
	ck_assert_int_gt(histogram_quantile(&histogram, 1000), 900);
	ck_assert_int_eq(histogram_quantile(&histogram, 500), 5);
	histogram_add(&histogram, start + 2 * window, 6);
	ck_assert_int_eq(histogram_quantile(&histogram, 1000), 6);
	ck_assert_int_eq(histogram_quantile(&histogram, 500), 5);
	histogram_turn(&histogram, start + 4 * window);
	ck_assert_int_eq(histogram_quantile(&histogram, 500), -1);
	ck_assert_uint_eq(histogram.count, 3);
	ck_assert_int_eq(histogram.sum_us, 1011);
}
END_TEST

START_TEST(windows_begin_at_even_times_however_rarely_one_looks)
{
	const int64_t window = HISTOGRAM_WINDOW_US;

	for (int64_t at = 0; at < 100 * window; at += window * 3 / 7) {
		histogram_add(&histogram, at, 1);
		ck_assert_int_eq(histogram.began_us, at / window * window);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tests = tcase_create("histogram");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_loop_test(tests, quantiles_are_within_a_thirty_second_of_the_sorted_samples, 0,
			    (int)(sizeof(kinds) / sizeof(kinds[0])));
	tcase_add_test(tests, below_32_us_it_is_exact);
	tcase_add_test(tests, no_quantile_is_above_the_largest);
	tcase_add_test(tests, quantiles_grow_with_their_share);
	tcase_add_test(tests, none_is_told_from_zero);
	tcase_add_test(tests, a_clock_that_was_wrong_breaks_nothing);
	tcase_add_test(tests, quantiles_are_of_the_last_windows);
	tcase_add_test(tests, windows_begin_at_even_times_however_rarely_one_looks);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
