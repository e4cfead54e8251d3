/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sources that hang or are slow, and a host that slept. */
#include <check.h>
#include <errno.h>
#include <unistd.h>

#include "sensor-fixture.h"
#include "suspend.h"
#include "test-sensor.h"

/* --- what hangs, on the kernel's clock ------------------------------------------------------ */

struct hang {
	int ends[2];
};

static struct hang hang_begin(struct fake *of)
{
	struct hang hang;

	ck_assert_int_eq(pipe(hang.ends), 0);
	of->gate = hang.ends[0];
	return hang;
}

/* lets one read go through, after it took so long that it counts as slow */
static void hang_pass(struct hang *hang)
{
	run_until(atomic_load(&fake.hangs) == 1);
	run_for(20 * MSEC);
	atomic_store(&fake.hangs, 0); /* so that the next one is awaited */
	ck_assert_int_eq(write(hang->ends[1], "", 1), 1);
}

/* every read goes through from now on */
static void hang_end(struct hang *hang)
{
	static const char bytes[1000];

	ck_assert_int_eq(write(hang->ends[1], bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
}

static void hang_close(struct hang *hang)
{
	(void)close(hang->ends[0]);
	(void)close(hang->ends[1]);
}

START_TEST(a_hanging_source_is_offline_and_delays_nobody)
{
	struct sensor_settings often = settings;
	static struct fake other = { .gate = -1 }; /* outlives the test: workers close it later */
	struct worker_key *other_key;
	struct hang hang = hang_begin(&fake);
	int64_t begun_us = reactor_now(reactor);
	struct sensor *second;

	often.interval_us = 20 * MSEC;
	settings.interval_us = 200 * MSEC;
	ck_assert_int_eq(worker_key_new(&other_key, workers, 0), 0);
	start(NULL, 0);
	ask();
	second = make(&other, &often, other_key);
	run_until(strstr(told.words, "offline "));
	ck_assert_int_ge(reactor_now(reactor) - begun_us, 3 * SECOND);
	ck_assert_str_eq(told.words, "online offline "); /* the first is of the other one */
	ck_assert_str_eq(info_fault(), "no answer within 3 s: its source hangs");
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -ETIMEDOUT);
	ck_assert_int_eq(sensor_deadline(sensor), INT64_MAX);
	ask(); /* while it hangs */
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -ETIMEDOUT);
	sensor_set_interval(sensor, 50 * MSEC);
	run_until(told.count > 100); /* all of the other one */
	ck_assert_int_eq(atomic_load(&fake.hangs), 1);
	hang_end(&hang);
	run_until(fake.collects >= 3);
	run_until(told.logged == 2);
	ck_assert_str_eq(told.words, "online offline online ");
	ck_assert_int_eq(told.logged, 2);
	sensor_free(second);
	sensor = sensor_free(sensor);
	watch_for(50 * MSEC);
	worker_key_free(other_key);
	hang_close(&hang);
}
END_TEST

START_TEST(a_driver_says_how_long_its_calls_may_take)
{
	struct hang hang = hang_begin(&fake);
	int64_t begun_us = reactor_now(reactor);

	fake_driver.limit_us = SECOND;
	start(NULL, 0);
	run_until(told.words[0]);
	ck_assert_int_ge(reactor_now(reactor) - begun_us, SECOND);
	ck_assert_str_eq(told.words, "offline ");
	ck_assert_str_eq(info_fault(), "no answer within 1 s: its source hangs");
	hang_end(&hang);
	sensor = sensor_free(sensor);
	watch_for(50 * MSEC);
	hang_close(&hang);
}
END_TEST

START_TEST(a_hanging_sensor_may_be_freed)
{
	struct hang hang = hang_begin(&fake);

	start(NULL, 0);
	run_until(atomic_load(&fake.hangs) == 1);
	watch_for(_i == 0 ? 0 : 3100 * MSEC); /* before and after it was given up */
	sensor = sensor_free(sensor);
	watch_for(20 * MSEC);
	hang_end(&hang);
	run_until(fake.closes == 1);
	ck_assert_int_eq(told.count, 0);
	ck_assert(!fake.closed_here);
	hang_close(&hang);
}
END_TEST

START_TEST(a_hanging_file_does_not_hold_up_the_others)
{
	enum {
		COUNT = 10
	};
	static struct fake fakes[COUNT];
	struct hang hang = hang_begin(&fake);
	struct worker_key *files;
	struct sensor *sensors[COUNT];

	settings.interval_us = 50 * MSEC;
	ck_assert_int_eq(worker_key_new(&files, workers, 20 * MSEC), 0);
	sensor = make(&fake, &settings, files);
	for (int i = 0; i < COUNT; i++) {
		fakes[i] = (struct fake){ .gate = -1 };
		sensors[i] = make(&fakes[i], &settings, files);
	}
	for (int i = 0; i < COUNT; i++)
		run_until(fakes[i].collects >= 5);
	ck_assert_int_eq(fake.collects, 0);
	for (int i = 0; i < COUNT; i++)
		sensors[i] = sensor_free(sensors[i]);
	hang_end(&hang);
	run_until(fake.collects >= 2);
	sensor = sensor_free(sensor);
	watch_for(50 * MSEC);
	worker_key_free(files);
	hang_close(&hang);
}
END_TEST

/* both read once more: @first hangs for a while, and @second has to wait for it */
static void read_both(struct sensor *first, struct sensor *second, struct hang *hang)
{
	int before = told.count;

	ck_assert_int_eq(sensor_read(first, on_answer, NULL), 0);
	ck_assert_int_eq(sensor_read(second, on_answer, NULL), 0);
	hang_pass(hang);
	ck_assert_int_eq(told.count, before);
	run_until(told.count == before + 2);
}

START_TEST(a_source_that_is_slow_time_and_again_makes_nobody_wait)
{
	static struct fake other = { .gate = -1 }; /* outlives the test: workers close it later */
	struct hang hang = hang_begin(&fake);
	struct sensor *second;

	settings.interval_us = DAY;
	start(NULL, 0);
	second = make(&other, &settings, key); /* behind it in the same queue */
	hang_pass(&hang);
	ck_assert_int_eq(told.count, 0);
	run_until(told.count == 2);
	for (int i = 1; i < 3; i++) /* three times the other one had to wait */
		read_both(sensor, second, &hang);
	for (int i = 3; i < 5; i++) {
		ck_assert_int_eq(sensor_read(sensor, on_answer, NULL), 0);
		ck_assert_int_eq(sensor_read(second, on_answer, NULL), 0);
		run_until(told.count == 2 * i + 1); /* while the slow one hangs */
		hang_pass(&hang);
		run_until(told.count == 2 * i + 2);
	}
	sensor_free(second);
	sensor = sensor_free(sensor);
	watch_for(50 * MSEC);
	hang_close(&hang);
}
END_TEST

/* the slow one is alone with its key, if it is not of files that share one */
START_TEST(a_device_that_is_slow_keeps_its_key)
{
	static struct fake other = { .gate = -1 }; /* outlives the test: workers close it later */
	struct hang hang = hang_begin(&fake);
	struct sensor *second;

	fake_driver.kind = DRIVER_W1;
	settings.interval_us = DAY;
	start(NULL, 0);
	second = make(&other, &settings, key); /* the same device, twice in the configuration */
	hang_pass(&hang);
	run_until(told.count == 2);
	for (int i = 1; i < 7; i++) /* it waits each time */
		read_both(sensor, second, &hang);
	sensor_free(second);
	sensor = sensor_free(sensor);
	watch_for(50 * MSEC);
	hang_close(&hang);
}
END_TEST

static void act_suspend(void)
{
	if (told.count == 2)
		atomic_store(&slept_us, HOUR * 8);
}

START_TEST(a_suspended_host_catches_up_once)
{
	int64_t interval_us = 500 * MSEC; /* it is read before the next is due */

	settings.interval_us = interval_us;
	told.act = act_suspend;
	told.stop_at = 3;
	start(NULL, 0);
	watch_for(HOUR * 9);
	ck_assert_int_eq(told.count, 3);
	ck_assert_int_ge(told.times_us[2], parts.epoch_us + HOUR * 8);
	ck_assert_int_eq(fake.tries, 3);
	ck_assert_uint_ge(stats.reads_missed, 8 * 3600 * 2 - 20);
	ck_assert_uint_le(stats.reads_missed, 8 * 3600 * 2 + 200);
	ck_assert_int_gt(sensor_deadline(sensor), told.times_us[2]); /* and on its grid as before */
	ck_assert_int_le(sensor_deadline(sensor), told.times_us[2] + interval_us);
	ck_assert_int_eq((sensor_deadline(sensor) - parts.epoch_us) % interval_us, 0);
	atomic_store(&slept_us, 0);
}
END_TEST

TCase *hang_cases(void)
{
	TCase *cases = tcase_create("hangs");

	tcase_add_checked_fixture(cases, set_up_real, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, a_hanging_source_is_offline_and_delays_nobody);
	tcase_add_loop_test(cases, a_hanging_sensor_may_be_freed, 0, 2);
	tcase_add_test(cases, a_hanging_file_does_not_hold_up_the_others);
	tcase_add_test(cases, a_source_that_is_slow_time_and_again_makes_nobody_wait);
	tcase_add_test(cases, a_driver_says_how_long_its_calls_may_take);
	tcase_add_test(cases, a_device_that_is_slow_keeps_its_key);
	tcase_add_test(cases, a_suspended_host_catches_up_once);
	return cases;
}
