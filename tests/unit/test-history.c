/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a history keeps, merges and forgets, and what it knows of a stretch of time. */
#include <math.h>

#include "fixture.h"

#include "ctl/history.h"

#include "iotd/clock.h"

#define SPAN_US (300 * USEC_PER_SEC)
#define START	(1000000 * USEC_PER_SEC)

static struct history *history;

static void setup(void)
{
	ck_assert_int_eq(history_new(&history, SPAN_US, 100), 0); /* slots of about 3 s */
}

static void teardown(void)
{
	history = history_free(history);
}

static void add(double second, double value)
{
	history_add(history, START + (int64_t)(second * 1e6), value);
}

static struct stretch between(double from, double to, double hold)
{
	return history_between(history, START + (int64_t)(from * 1e6), START + (int64_t)(to * 1e6),
			       (int64_t)(hold * 1e6));
}

static void assert_sample(size_t index, double second, double value)
{
	ck_assert_uint_lt(index, history_count(history));
	ck_assert_int_eq(history_at(history, index)->time_us, START + (int64_t)(second * 1e6));
	ck_assert_double_eq(history_at(history, index)->value, value);
}

START_TEST(keeps_samples_in_order_with_their_times)
{
	for (int i = 0; i < 60; i++)
		add(5 * i + 0.25, i);
	ck_assert_uint_eq(history_count(history), 60);
	for (size_t i = 0; i < 60; i++)
		assert_sample(i, 5 * (double)i + 0.25, (double)i);
}
END_TEST

START_TEST(forgets_what_is_older_than_its_span_but_for_what_held_then)
{
	add(0, 1);
	add(10, 2);
	add(20, 3);
	add(10 + 300, 4);
	ck_assert_uint_eq(history_count(history), 3);
	assert_sample(0, 10, 2);
	add(100000, 5);
	ck_assert_uint_eq(history_count(history), 2);
	assert_sample(0, 310, 4);
	assert_sample(1, 100000, 5);
}
END_TEST

START_TEST(a_fast_sensor_fits_its_span_and_keeps_its_spikes)
{
	for (int i = 0; i < 300000; i++)
		add(i / 1000.0, i == 123456 ? 1000 : i == 234567 ? -1000 : i % 7);
	ck_assert_uint_ge(history_count(history), 90);
	ck_assert_uint_le(history_count(history), 100);
	assert_sample(history_count(history) - 1, 299.999, 299999 % 7);
	ck_assert_int_le(history_at(history, 0)->time_us, START + 4 * USEC_PER_SEC);
	ck_assert_double_eq(between(0, 300, 0).high, 1000);
	ck_assert_double_eq(between(0, 300, 0).low, -1000);
	ck_assert_double_eq(between(124, 230, 0).high, 6);
	ck_assert_double_eq(between(124, 230, 0).low, 0);
}
END_TEST

START_TEST(grows_while_its_oldest_is_not_in_front)
{
	for (int i = 0; i < 5; i++) /* forgets some */
		add(200 * i, -1);
	for (int i = 0; i < 20; i++)
		add(801 + 10 * i, i);
	ck_assert_uint_eq(history_count(history), 22);
	for (size_t i = 0; i < 20; i++)
		assert_sample(i + 2, 801 + 10 * (double)i, (double)i);
}
END_TEST

START_TEST(never_has_more_samples_than_its_capacity)
{
	for (int i = 0; i < 1000; i++) {
		add(i * 0.001, i % 2 ? (double)NAN : i);
		ck_assert_uint_le(history_count(history), 100);
	}
	assert_sample(98, 0.998, 998);
	ck_assert(isnan(history_at(history, 99)->value));
}
END_TEST

START_TEST(a_clock_that_was_set_back_forgets_what_lies_ahead)
{
	add(100, 1);
	add(200, 2);
	add(290, 3);
	add(150, 4);
	ck_assert_uint_eq(history_count(history), 2);
	assert_sample(0, 100, 1);
	assert_sample(1, 150, 4);
	add(10, 5);
	ck_assert_uint_eq(history_count(history), 1);
	assert_sample(0, 10, 5);
}
END_TEST

START_TEST(the_same_time_again_is_the_same_sample)
{
	add(10, 1);
	add(10, 1);
	ck_assert_uint_eq(history_count(history), 1);
}
END_TEST

START_TEST(times_that_cannot_be_are_left_out)
{
	history_add(history, -1, 1);
	history_add(history, INT64_MIN, 1);
	history_add(history, INT64_MAX, 1);
	ck_assert_uint_eq(history_count(history), 0);
	history_add(history, 0, 1);
	ck_assert_uint_eq(history_count(history), 1);
}
END_TEST

START_TEST(what_is_not_finite_is_a_gap_and_one_gap_is_enough)
{
	add(10, 1);
	add(20, (double)NAN);
	add(30, (double)INFINITY);
	add(40, -(double)INFINITY);
	ck_assert_uint_eq(history_count(history), 2);
	ck_assert(!between(21, 50, 1000).is_known);
	ck_assert(between(15, 50, 1000).is_known);
	add(50, 2);
	ck_assert_uint_eq(history_count(history), 3);
	ck_assert_double_eq(between(0, 60, 0).mean, 1.5);
}
END_TEST

START_TEST(huge_values_have_a_finite_difference)
{
	struct stretch all;

	add(10, 1.7e308);
	add(20, -1.7e308);
	all = between(0, 30, 0);
	ck_assert(isfinite(all.high - all.low));
	ck_assert(isfinite(all.mean));
	ck_assert_double_gt(all.high, 1e299);
}
END_TEST

START_TEST(a_stretch_is_half_open_and_has_the_mean_of_its_samples)
{
	add(10, 1);
	add(20, 2);
	add(30, 6);
	ck_assert_double_eq(between(10, 30, 0).mean, 1.5);
	ck_assert_double_eq(between(10, 30.000001, 0).mean, 3);
	ck_assert_double_eq(between(10, 30, 0).low, 1);
	ck_assert_double_eq(between(10, 30, 0).high, 2);
	ck_assert(!between(10.000001, 20, 0).is_known);
}
END_TEST

START_TEST(a_sample_holds_until_the_next_but_no_longer_than_told)
{
	add(10, 7);
	ck_assert(!between(0, 10, 100).is_known);
	ck_assert(between(13, 14, 3).is_known);
	ck_assert_double_eq(between(13, 14, 3).mean, 7);
	ck_assert(!between(13.000001, 14, 3).is_known);
	ck_assert(history_between(history, START * 100, START * 101, HISTORY_FOREVER).is_known);
	add(20, 1);
	ck_assert_double_eq(between(20, 21, 100).high, 1); /* another one came in time */
	/* what held is among the extremes, and not in the mean of what came */
	ck_assert_double_eq(between(19, 21, 100).low, 1);
	ck_assert_double_eq(between(19, 21, 100).high, 7);
	ck_assert_double_eq(between(19, 21, 100).mean, 1);
}
END_TEST

START_TEST(of_merged_samples_only_the_newest_holds)
{
	add(0.1, 5);
	add(0.2, -5);
	add(0.3, 1);
	ck_assert_uint_eq(history_count(history), 1);
	ck_assert_double_eq(between(0, 1, 0).low, -5);
	ck_assert_double_eq(between(0, 1, 0).high, 5);
	ck_assert_double_eq(between(1, 2, 9).low, 1);
	ck_assert_double_eq(between(1, 2, 9).high, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history");
	TCase *tests = tcase_create("history");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, keeps_samples_in_order_with_their_times);
	tcase_add_test(tests, forgets_what_is_older_than_its_span_but_for_what_held_then);
	tcase_add_test(tests, a_fast_sensor_fits_its_span_and_keeps_its_spikes);
	tcase_add_test(tests, grows_while_its_oldest_is_not_in_front);
	tcase_add_test(tests, never_has_more_samples_than_its_capacity);
	tcase_add_test(tests, a_clock_that_was_set_back_forgets_what_lies_ahead);
	tcase_add_test(tests, the_same_time_again_is_the_same_sample);
	tcase_add_test(tests, times_that_cannot_be_are_left_out);
	tcase_add_test(tests, what_is_not_finite_is_a_gap_and_one_gap_is_enough);
	tcase_add_test(tests, huge_values_have_a_finite_difference);
	tcase_add_test(tests, a_stretch_is_half_open_and_has_the_mean_of_its_samples);
	tcase_add_test(tests, a_sample_holds_until_the_next_but_no_longer_than_told);
	tcase_add_test(tests, of_merged_samples_only_the_newest_holds);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
