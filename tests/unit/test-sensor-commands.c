/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sensors that are read on command, and their end at every state. */
#include <check.h>
#include <errno.h>

#include "sensor-fixture.h"
#include "test-sensor.h"

/* --- read on command ------------------------------------------------------------------------ */

START_TEST(a_command_reads_besides_the_schedule)
{
	group.deadband = 1000;
	group.max_age_us = DAY;
	start(NULL, 0);
	watch_for(2500 * MSEC);
	ck_assert_int_eq(told.count, 1); /* 2 and 3 are within the deadband */
	ask();
	ck_assert_int_eq(asked.answers, 0);
	watch_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, 0);
	ck_assert_double_eq(asked.value, 4);
	ck_assert_int_eq(told.count, 2); /* it is published too */
	watch_until(EPOCH_US + 4 * SECOND + 1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(fake.times_us[4], EPOCH_US + 3 * SECOND); /* the schedule stays */
	ck_assert_int_eq(fake.tries, 6);
	ck_assert_int_eq(stats.late_max_us, 0);
}
END_TEST

START_TEST(all_who_ask_for_it_get_the_same_reading)
{
	start(NULL, 0);
	watch_for(500 * MSEC);
	ask();
	for (int i = 1; i < 64; i++)
		ck_assert_int_eq(sensor_read(sensor, on_answer, NULL), 0);
	ck_assert_int_eq(sensor_read(sensor, on_answer, NULL), -EBUSY);
	watch_for(1);
	ck_assert_int_eq(asked.answers, 64);
	ck_assert_double_eq(asked.value, 2);
	ck_assert_int_eq(fake.tries, 2);
	ask();
	watch_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(fake.tries, 3);
}
END_TEST

START_TEST(a_command_before_the_first_turn_is_answered)
{
	start(NULL, 0);
	ask();
	watch_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_double_eq(asked.value, 1);
	ck_assert_int_eq(fake.tries, 1);
}
END_TEST

START_TEST(the_read_under_way_answers_a_command)
{
	static const struct outcome slow = { .wait_us = 100 * MSEC };

	start(&slow, 1);
	watch_for(50 * MSEC);
	ask();
	watch_for(51 * MSEC);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_double_eq(asked.value, 1);
	watch_until(EPOCH_US + SECOND - 1);
	ck_assert_int_eq(fake.tries, 1);
}
END_TEST

START_TEST(a_failing_sensor_answers_why)
{
	static const struct outcome dead = { .collect = -EIO };

	start(&dead, 1);
	ask();
	watch_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -EIO);
	ck_assert_str_eq(asked.fault, "the chip is on fire");
	watch_for(10 * SECOND);
	ck_assert_int_eq(asked.answers, 1);
	ask(); /* it is read at once, back-off or not */
	watch_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -EIO);
	ck_assert_int_eq(told.logged, 1);
}
END_TEST

START_TEST(a_command_that_succeeds_ends_the_back_off)
{
	static const struct outcome program[] = { { .open = -EIO },
						  { .open = -EIO },
						  { .open = -EIO },
						  { .open = -EIO },
						  { .value = 7 } };

	start(program, 5);
	watch_for(8500 * MSEC); /* failed at 0, 1, 3, 7; the next try would be at 15 */
	ck_assert_int_eq(fake.tries, 4);
	ask();
	watch_for(1);
	ck_assert_int_eq(asked.error, 0);
	watch_until(EPOCH_US + 10 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 7); /* at 8.5, 9, 10 */
	ck_assert_int_eq(fake.times_us[5], EPOCH_US + 9 * SECOND);
}
END_TEST

START_TEST(a_sensor_that_is_freed_answers)
{
	start(NULL, 0);
	watch_for(500 * MSEC);
	ask();
	ck_assert_int_eq(sensor_read(sensor, on_answer, NULL), 0);
	sensor = sensor_free(sensor);
	ck_assert_int_eq(asked.answers, 2);
	ck_assert_int_eq(asked.error, -ECANCELED);
	watch_for(10 * SECOND);
	ck_assert_int_eq(asked.answers, 2);
	ck_assert_int_eq(told.count, 1);
	ck_assert_int_eq(fake.closes, 1);
}
END_TEST

/* --- the end at every state ----------------------------------------------------------------- */

static const struct {
	struct outcome outcome;
	int64_t run_us; /* -1: not at all */
} ends[] = {
	{ { .value = 1 }, -1 },		     /* before its first turn */
	{ { .value = 1 }, 0 },		     /* perhaps on its way to the worker */
	{ { .value = 1 }, 500 * MSEC },	     /* waiting */
	{ { .wait_us = 100 * MSEC }, MSEC }, /* converting */
	{ { .wait_us = MSEC, .agains = 5 }, 5 * MSEC },
	{ { .open = -EIO }, 500 * MSEC },    /* offline, never opened */
	{ { .collect = -EIO }, 500 * MSEC }, /* offline, open still */
};

START_TEST(it_may_be_freed_at_any_state)
{
	int before;

	start(&ends[_i].outcome, 1);
	if (ends[_i].run_us >= 0)
		watch_for(ends[_i].run_us);
	sensor = sensor_free(sensor);
	before = told.count;
	watch_for(10 * SECOND);
	ck_assert_int_eq(told.count, before);
	ck_assert_int_eq(fake.opens, fake.closes); /* without the pool's end */
	ck_assert(!fake.closed_here);
	ck_assert_ptr_null(sensor_free(NULL));
}
END_TEST

START_TEST(it_may_be_freed_with_the_pool_next)
{
	start(&ends[_i].outcome, 1);
	if (ends[_i].run_us >= 0)
		watch_for(ends[_i].run_us);
}
END_TEST

START_TEST(it_may_be_freed_by_what_it_tells)
{
	static const struct outcome dead = { .collect = -EIO };

	start(&dead, _i == 1 ? 1 : 0);
	if (_i == 2)
		watch_for(500 * MSEC); /* frees it in the second reading, not in the first status */
	told.act = act_free;
	watch_for(10 * SECOND);
	ck_assert_ptr_null(sensor);
	ck_assert_int_eq(fake.opens, fake.closes);
}
END_TEST

TCase *command_cases(void)
{
	TCase *cases = tcase_create("commands");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_test(cases, a_command_reads_besides_the_schedule);
	tcase_add_test(cases, all_who_ask_for_it_get_the_same_reading);
	tcase_add_test(cases, a_command_before_the_first_turn_is_answered);
	tcase_add_test(cases, the_read_under_way_answers_a_command);
	tcase_add_test(cases, a_failing_sensor_answers_why);
	tcase_add_test(cases, a_command_that_succeeds_ends_the_back_off);
	tcase_add_test(cases, a_sensor_that_is_freed_answers);
	tcase_add_loop_test(cases, it_may_be_freed_at_any_state, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(cases, it_may_be_freed_with_the_pool_next, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(cases, it_may_be_freed_by_what_it_tells, 0, 3);
	return cases;
}
