/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sensor knows of itself: its newest sample, how late it was, how long it kept its worker. */
#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "device/lateness.h"
#include "sensor-fixture.h"
#include "test-sensor.h"

static struct device_info info_now(void)
{
	struct device_info info;

	sensor_info(sensor, &info);
	return info;
}

/* --- the newest sample ---------------------------------------------------------------------- */

START_TEST(there_is_no_sample_before_the_first_read)
{
	static const struct outcome program[] = { { .collect = -EIO }, { .value = 7 } };
	struct device_info info;

	start(program, 2);
	watch_for(MSEC);
	info = info_now();
	ck_assert_int_eq(info.status, STATUS_OFFLINE);
	ck_assert_ptr_null(info.sample);
	ck_assert_int_eq(info.sampled_us, 0);
	ck_assert_double_nan(device_value(&info, 0));
	watch_for(SECOND);
	info = info_now();
	ck_assert_double_eq(device_value(&info, 0), 7);
}
END_TEST

START_TEST(the_sample_is_scaled_rounded_and_has_its_time)
{
	static const struct outcome program[] = { { .value = 1.23456 } };
	int64_t before_us = clock_realtime_us();
	struct device_info info;

	group.scale = 10;
	group.offset = 0.5;
	start(program, 1);
	watch_for(MSEC);
	info = info_now();
	ck_assert_double_eq(device_value(&info, 0), 12.85);
	ck_assert_double_nan(device_value(&info, 1)); /* no such channel */
	ck_assert_int_ge(info.sampled_us, before_us);
	ck_assert_int_le(info.sampled_us, clock_realtime_us());
}
END_TEST

START_TEST(what_a_deadband_holds_back_is_the_newest_sample)
{
	static const struct outcome program[] = { { .value = 20 }, { .value = 21 } };
	struct device_info info;

	group.deadband = 5;
	group.max_age_us = DAY;
	start(program, 2);
	watch_for(SECOND + MSEC);
	ck_assert_int_eq(told.count, 1);
	info = info_now();
	ck_assert_double_eq(device_value(&info, 0), 21);
}
END_TEST

START_TEST(it_stays_when_the_sensor_goes_offline)
{
	static const struct outcome program[] = { { .value = 20 },
						  { .value = 500 },
						  { .open = -EIO } };
	struct device_info before, info;

	group.max = 100;
	start(program, 3);
	watch_for(MSEC);
	before = info_now();
	watch_for(3 * SECOND);
	info = info_now();
	ck_assert_int_eq(info.status, STATUS_OFFLINE);
	ck_assert_double_eq(device_value(&info, 0), 20); /* 500 is no reading */
	ck_assert_int_eq(info.sampled_us, before.sampled_us);
}
END_TEST

/* --- faults ---------------------------------------------------------------------------------- */

static char faults[8][200];
static size_t fault_count;

static void on_fault(struct device_events *events, enum device_kind kind, const char *of)
{
	ck_assert_ptr_eq(events, parts.events);
	ck_assert_int_eq(kind, DEVICE_SENSOR);
	ck_assert_str_eq(of, name);
	ck_assert_uint_lt(fault_count, ARRAY_SIZE(faults));
	(void)snprintf(faults[fault_count++], sizeof(faults[0]), "%s", info_fault());
}

START_TEST(each_failed_read_tells_that_the_fault_may_be_another)
{
	static const struct outcome program[] = {
		{ .open = -EIO }, { .open = -EIO }, { .open = -ENODEV }, { .value = 7 }
	};

	fault_count = 0;
	parts.events->fault = on_fault;
	start(program, 4);
	watch_for(10 * SECOND);
	parts.events->fault = NULL;
	ck_assert_uint_eq(fault_count, 3);
	ck_assert_str_eq(faults[0], "the chip is on fire");
	ck_assert_str_eq(faults[1], "the chip is on fire");
	ck_assert_str_eq(faults[2], "No such device");
	ck_assert_str_eq(told.words, "offline online "); /* the status only when it changes */
}
END_TEST

/* --- how late ------------------------------------------------------------------------------- */

static const struct {
	int64_t begins[4][2]; /* when, and how late, in seconds; 0: no more */
	int64_t asked_at, worst;
} minutes[] = {
	{ { { 0, 0 } }, 1000, 0 },
	{ { { 1000, 3 }, { 1010, 1 } }, 1020, 3 },
	{ { { 1000, 1 }, { 1010, 3 } }, 1020, 3 },
	{ { { 1000, 3 }, { 1061, 1 } }, 1062, 3 }, /* of the minute before */
	{ { { 1000, 1 }, { 1061, 3 } }, 1062, 3 },
	{ { { 1000, 3 }, { 1061, 1 }, { 1122, 2 } }, 1123, 2 }, /* older than both */
	{ { { 1000, 3 }, { 1061, 1 }, { 1062, 2 } }, 1121, 2 }, /* so is it when nothing comes */
	{ { { 1000, 9 }, { 1130, 2 } }, 1131, 2 },		/* a pause of two minutes */
	{ { { 1000, 5 }, { 1030, 2 } }, 9000, 5 },		/* the last that was */
	{ { { 1000, 1 }, { 5000, 2 }, { 9000, 0 } }, 9001, 0 }, /* each hour or so */
};

START_TEST(the_worst_lateness_is_that_of_the_last_minutes)
{
	struct lateness lateness = { 0 };

	for (int i = 0; i < 4 && minutes[_i].begins[i][0] > 0; i++)
		lateness_note(&lateness, minutes[_i].begins[i][0] * SECOND,
			      minutes[_i].begins[i][1] * SECOND);
	ck_assert_int_eq(lateness_worst(&lateness, minutes[_i].asked_at * SECOND),
			 minutes[_i].worst * SECOND);
}
END_TEST

/* a busy reactor: nothing is begun before this is over */
static void hold_up(void)
{
	int64_t until_us = clock_monotonic_us() + 30 * MSEC;

	told.act = NULL;
	while (clock_monotonic_us() < until_us)
		;
}

START_TEST(a_read_that_begins_late_is_noted)
{
	struct device_info info;

	settings.interval_us = 10 * MSEC;
	start(NULL, 0);
	told.act = hold_up;
	told.stop_at = 3;
	watch_for(20 * SECOND);
	info = info_now();
	ck_assert_int_ge(info.late_us,
			 10 * MSEC); /* two are missed, and the next one is late, too */
	ck_assert_int_eq(info.late_us, stats.late_max_us);
}
END_TEST

/* --- how busy ------------------------------------------------------------------------------- */

START_TEST(what_reads_take_on_the_worker_adds_up)
{
	int64_t began_us = clock_monotonic_us();
	struct device_info info;

	settings.interval_us = 10 * MSEC;
	fake.takes_us = 2 * MSEC;
	start(NULL, 0);
	told.stop_at = 5;
	watch_for(20 * SECOND);
	info = info_now();
	ck_assert_int_ge(info.busy_us, 5 * fake.takes_us);
	ck_assert_int_le(info.busy_us, clock_monotonic_us() - began_us);
}
END_TEST

START_TEST(reads_that_fail_keep_the_worker_busy_too)
{
	static const struct outcome dead = { .collect = -EIO };
	struct device_info info;

	settings.retries = 2;
	fake.takes_us = 2 * MSEC;
	start(&dead, 1);
	run_until(stats.read_errors == 1);
	info = info_now();
	ck_assert_int_ge(info.busy_us, 3 * fake.takes_us);
}
END_TEST

TCase *told_cases(void)
{
	TCase *cases = tcase_create("told");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_test(cases, there_is_no_sample_before_the_first_read);
	tcase_add_test(cases, the_sample_is_scaled_rounded_and_has_its_time);
	tcase_add_test(cases, what_a_deadband_holds_back_is_the_newest_sample);
	tcase_add_test(cases, it_stays_when_the_sensor_goes_offline);
	tcase_add_test(cases, each_failed_read_tells_that_the_fault_may_be_another);
	tcase_add_loop_test(cases, the_worst_lateness_is_that_of_the_last_minutes, 0,
			    (int)ARRAY_SIZE(minutes));
	return cases;
}

TCase *taken_cases(void)
{
	TCase *cases = tcase_create("taken");

	tcase_add_checked_fixture(cases, set_up_real, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, a_read_that_begins_late_is_noted);
	tcase_add_test(cases, what_reads_take_on_the_worker_adds_up);
	tcase_add_test(cases, reads_that_fail_keep_the_worker_busy_too);
	return cases;
}
