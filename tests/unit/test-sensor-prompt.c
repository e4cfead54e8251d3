/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sensors whose source waits for nothing, which the reactor reads itself: what is told of them, counted
 * and tried again is the same.
 */
#include <check.h>
#include <errno.h>

#include "fixture.h"
#include "sensor-fixture.h"
#include "test-sensor.h"

static void start_prompt(const struct outcome *program, size_t length)
{
	fake_driver.start = NULL;
	fake.is_prompt = true;
	start(program, length);
}

START_TEST(what_waits_for_nothing_is_read_where_it_is_due)
{
	start_prompt(NULL, 0);
	watch_for(10 * SECOND - 1);
	ck_assert_int_eq(fake.tries, 10);
	ck_assert_int_eq(fake.here, 9); /* the first one opens it, which may block */
	for (int i = 0; i < fake.tries; i++)
		ck_assert_int_eq(fake.times_us[i], EPOCH_US + i * SECOND);
	ck_assert_int_eq(told.count, 10);
	ck_assert_double_eq(told.value, 10);
	ck_assert_uint_eq(stats.readings, 10);
	ck_assert_uint_eq(stats.late.count, 10);
	ck_assert_str_eq(told.words, "online ");
}
END_TEST

START_TEST(what_would_have_to_wait_is_left_to_the_worker)
{
	start_prompt(NULL, 0);
	watch_for(3 * SECOND - 1);
	fake.leaves = 1;
	watch_for(3 * SECOND);
	ck_assert_int_eq(fake.tries, 6);
	ck_assert_int_eq(fake.here, 5);
	ck_assert_int_eq(told.count, 6);
	ck_assert_double_eq(told.value, 6); /* in their order */
	ck_assert_uint_eq(stats.read_errors, 0);
	ck_assert_int_eq(fake.opens, 1);
}
END_TEST

START_TEST(what_fails_at_once_is_opened_anew_on_the_worker)
{
	static const struct outcome program[] = {
		{ .value = 1 },
		{ .value = 2 },
		{ .collect = -EIO },
		{ .value = 3 },
	};

	settings.retries = _i;
	start_prompt(program, ARRAY_SIZE(program));
	watch_for(5 * SECOND - 1);
	ck_assert_int_eq(fake.opens, 2);
	ck_assert_int_eq(fake.closes, 1);
	ck_assert(!fake.closed_here);
	ck_assert_uint_eq(stats.read_errors, (uint64_t)(1 - _i));
	ck_assert_str_eq(told.words, _i == 0 ? "online offline online " : "online ");
	ck_assert_double_eq(told.value, 3);
	if (_i == 1) /* soon, not at its next time */
		ck_assert_int_lt(fake.times_us[3], EPOCH_US + 2 * SECOND + 100 * MSEC);
}
END_TEST

START_TEST(who_asks_is_answered_at_once)
{
	start_prompt(NULL, 0);
	watch_for(1500 * MSEC);
	ask();
	watch_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, 0);
	ck_assert_double_eq(asked.value, 3);
	ck_assert_int_eq(fake.here, 2);
	watch_until(EPOCH_US + 2 * SECOND + 1); /* and its schedule is as it was */
	ck_assert_int_eq(fake.times_us[3], EPOCH_US + 2 * SECOND);
}
END_TEST

START_TEST(what_is_read_at_once_may_be_freed_by_what_it_tells)
{
	static const struct outcome program[] = { { .value = 1 }, { .collect = -EIO } };

	start_prompt(program, _i == 0 ? 0 : ARRAY_SIZE(program));
	watch_for(500 * MSEC);
	told.act = act_free;
	watch_for(10 * SECOND);
	ck_assert_ptr_null(sensor);
	ck_assert_int_eq(fake.tries, 2);
	ck_assert_int_eq(fake.closes, 1);
	ck_assert(!fake.closed_here);
}
END_TEST

START_TEST(what_reads_take_at_once_adds_up)
{
	struct device_info info;

	settings.interval_us = 10 * MSEC;
	fake.takes_us = 2 * MSEC;
	start_prompt(NULL, 0);
	told.stop_at = 5;
	watch_for(20 * SECOND);
	sensor_info(sensor, &info);
	ck_assert_int_ge(fake.here, 4);
	ck_assert_int_ge(info.busy_us, 5 * fake.takes_us);
}
END_TEST

/* the reactor has others to serve: 2 ms of each round are for these, and each takes a half */
START_TEST(a_crowd_is_left_to_the_worker)
{
	enum {
		COUNT = 50,
		ROUNDS = 4
	};
	static struct fake crowd[COUNT]; /* outlives the test: workers close it later */
	struct sensor *sensors[COUNT];
	int here = 0;

	fake_driver.start = NULL;
	settings.interval_us = 200 * MSEC; /* all are read before the next is due */
	told.stop_at = ROUNDS * COUNT;
	for (int i = 0; i < COUNT; i++) {
		crowd[i] = (struct fake){ .gate = -1, .is_prompt = true, .takes_us = 500 };
		sensors[i] = make(&crowd[i], &settings, key);
	}
	watch_for(20 * SECOND);
	for (int i = 0; i < COUNT; i++) {
		here += crowd[i].here;
		sensor_free(sensors[i]);
	}
	ck_assert_int_eq(told.count, ROUNDS * COUNT);
	ck_assert_int_le(here, ROUNDS * 5);
}
END_TEST

TCase *real_prompt_cases(void)
{
	TCase *cases = tcase_create("prompt, on the kernel's clock");

	tcase_add_checked_fixture(cases, set_up_real, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, a_crowd_is_left_to_the_worker);
	return cases;
}

TCase *prompt_cases(void)
{
	TCase *cases = tcase_create("prompt");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_test(cases, what_waits_for_nothing_is_read_where_it_is_due);
	tcase_add_test(cases, what_would_have_to_wait_is_left_to_the_worker);
	tcase_add_loop_test(cases, what_fails_at_once_is_opened_anew_on_the_worker, 0, 2);
	tcase_add_test(cases, who_asks_is_answered_at_once);
	tcase_add_loop_test(cases, what_is_read_at_once_may_be_freed_by_what_it_tells, 0, 2);
	tcase_add_test(cases, what_reads_take_at_once_adds_up);
	return cases;
}
