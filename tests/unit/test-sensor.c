/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sensors: their schedule, conversions and failures. Commands, and what hangs, have files of their own.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "fixture.h"
#include "sensor-fixture.h"
#include "test-sensor.h"

/* --- schedule ------------------------------------------------------------------------------- */

static const struct {
	int64_t interval_us, begin_us, end_us; /* since the epoch */
	int reads;
} schedules[] = {
	{ 10 * SECOND, 0, DAY, 8640 }, /* a day: the read of its last moment belongs to the next */
	{ 10 * SECOND, 1, DAY, 8640 },
	{ 7 * SECOND, 3 * SECOND, HOUR, 515 },
	{ 100 * MSEC, 50001, 60 * SECOND, 600 },
	{ 333 * MSEC, 12345678, 120 * SECOND, 324 },
	{ DAY, 5, DAY * 30, 30 },
};

START_TEST(due_times_are_multiples_of_the_interval_since_the_epoch)
{
	int64_t interval_us = schedules[_i].interval_us;
	const struct outcome slow = { .wait_us = 20 * MSEC };

	settings.interval_us = interval_us;
	watch_until(EPOCH_US + schedules[_i].begin_us);
	start(_i % 2 ? &slow : NULL, _i % 2 ? 1 : 0);
	watch_until(EPOCH_US + schedules[_i].end_us - 1);
	ck_assert_int_eq(fake.tries, schedules[_i].reads);
	ck_assert_int_eq(fake.times_us[0], EPOCH_US + schedules[_i].begin_us); /* at once */
	for (int i = 1; i < fake.tries && i < TIMES_MAX; i++)
		ck_assert_int_eq((fake.times_us[i] - EPOCH_US) % interval_us, 0);
	ck_assert_int_eq(stats.late_max_us, 0);
	ck_assert_uint_eq(stats.reads_missed, 0);
	ck_assert_int_eq(told.count, (int)stats.readings);
}
END_TEST

START_TEST(sensors_of_one_interval_fall_due_together)
{
	enum {
		COUNT = 100
	};
	static struct fake fakes[COUNT];
	struct sensor *sensors[COUNT];
	int at = COUNT;

	settings.interval_us = 100 * MSEC;
	for (int i = 0; i < COUNT; i++) {
		watch_for(777); /* they come into being one after the other */
		fakes[i] = (struct fake){ .gate = -1 };
		sensors[i] = make(&fakes[i], &settings, key);
	}
	watch_until(EPOCH_US + 4 * SECOND - 1);
	ck_assert_uint_eq((uint64_t)told.count, 40UL * COUNT);
	for (; at < told.count; at++)
		ck_assert_int_eq(told.times_us[at], EPOCH_US + MSEC * 100 * (at / COUNT));
	for (int i = 0; i < COUNT; i++)
		sensor_free(sensors[i]);
}
END_TEST

START_TEST(a_read_that_takes_longer_than_the_interval_is_counted)
{
	static const struct outcome slow[] = { { .wait_us = 3500 * MSEC }, { .wait_us = 0 } };

	start(slow, 2);
	watch_for(6 * SECOND + 1);
	/* at 0; 1, 2 and 3 pass while it is read; 4, 5, 6 */
	ck_assert_int_eq(fake.tries, 4);
	ck_assert_int_eq(fake.times_us[1], EPOCH_US + 4 * SECOND);
	ck_assert_uint_eq(stats.reads_missed, 3);
}
END_TEST

START_TEST(the_interval_can_be_changed)
{
	struct device_info info;

	settings.interval_us = 10 * SECOND;
	start(NULL, 0);
	watch_for(12500 * MSEC);
	ck_assert_int_eq(fake.tries, 2);
	sensor_set_interval(sensor, 2 * SECOND); /* from now on: at 12.5, 14, 16, 18, 20 */
	sensor_info(sensor, &info);
	ck_assert_int_eq(info.interval_us, 2 * SECOND);
	watch_until(EPOCH_US + 20 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 7);
	ck_assert_int_eq(fake.times_us[2], EPOCH_US + 12500 * MSEC);
	ck_assert_int_eq(fake.times_us[3], EPOCH_US + 14 * SECOND);
	sensor_set_interval(sensor, 60 * SECOND);
	watch_until(EPOCH_US + 120 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 10);
	ck_assert_int_eq(fake.times_us[9], EPOCH_US + 120 * SECOND);
}
END_TEST

START_TEST(the_interval_can_be_changed_while_it_converts)
{
	static const struct outcome slow = { .wait_us = 500 * MSEC };

	settings.interval_us = 60 * SECOND;
	start(&slow, 1);
	watch_for(100 * MSEC);
	sensor_set_interval(sensor, SECOND);
	watch_until(EPOCH_US + 3 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(fake.times_us[i], EPOCH_US + i * SECOND);
}
END_TEST

/* --- statistics ----------------------------------------------------------------------------- */

START_TEST(each_sensor_counts_its_own_reads)
{
	static const struct outcome program[] = {
		{ .value = 1 },
		{ .value = 2 },
		{ .collect = -EIO },
		{ .value = 3 },
	};
	static struct fake other = { .gate = -1 }; /* outlives the test: workers close it later */
	struct sensor *second;
	struct device_info info;

	start(program, 4);
	second = make(&other, &settings, key);
	watch_for(4 * SECOND - 1);
	sensor_info(sensor, &info);
	ck_assert_uint_eq(info.readings, 3);
	ck_assert_uint_eq(info.read_errors, 1);
	sensor_info(second, &info);
	ck_assert_uint_eq(info.readings, 4);
	ck_assert_uint_eq(info.read_errors, 0);
	ck_assert_uint_eq(stats.readings, 7);
	sensor_free(second);
}
END_TEST

/* what is asked for besides the schedule has no due time */
START_TEST(each_read_on_schedule_has_its_lateness_counted)
{
	start(NULL, 0);
	watch_for(2500 * MSEC);
	ck_assert_uint_eq(stats.late.count, 3);
	ask();
	watch_for(1);
	ck_assert_int_eq(fake.tries, 4);
	ck_assert_uint_eq(stats.late.count, 3);
	ck_assert_int_eq(histogram_quantile(&stats.late, 1000), 0);
}
END_TEST

static int uses;
static int64_t used_us;

static void count_use(struct source_owner *owner, int64_t duration_us)
{
	ck_assert_ptr_nonnull(owner);
	uses++;
	used_us += duration_us;
}

static void owner_freed(struct source_owner *owner)
{
	(void)owner;
}

START_TEST(who_lent_the_bus_is_told_how_long_it_was_used)
{
	static const struct outcome slow = { .wait_us = 50 * MSEC };
	static struct source_owner owner = { .freed = owner_freed, .used = count_use };
	struct source *source;

	uses = 0;
	used_us = 0;
	fake.program = &slow;
	fake.length = 1;
	fake.takes_us = 2000;
	ck_assert_int_eq(source_new(&source, &fake_driver, fake.options, NULL), 0);
	source->owner = &owner;
	ck_assert_int_eq(sensor_new(&sensor, &parts, &settings, source, key), 0);
	watch_for(SECOND - 1);
	ck_assert_int_eq(fake.tries, 1);
	ck_assert_int_eq(uses, 2); /* start and collect, not the wait between them */
	ck_assert_int_ge(used_us, 2000);
}
END_TEST

/* --- conversions ---------------------------------------------------------------------------- */

START_TEST(the_bus_serves_others_while_a_chip_converts)
{
	static const struct outcome slow = { .wait_us = 50 * MSEC, .agains = 3 };
	static struct fake other = { .gate = -1 }; /* outlives the test: workers close it later */
	struct sensor *second;

	start(&slow, 1);
	second = make(&other, &settings, key);
	watch_for(SECOND - 1);
	ck_assert_int_eq(told.count, 2);
	ck_assert_int_eq(told.times_us[0], EPOCH_US); /* the other one, on the same bus */
	ck_assert_int_eq(told.times_us[1], EPOCH_US + 80 * MSEC);
	sensor_free(second);
}
END_TEST

START_TEST(a_chip_that_converts_for_ever_is_offline)
{
	static const struct outcome stuck = { .wait_us = 1000, .agains = 1000 };

	start(&stuck, 1);
	watch_for(SECOND - 1);
	ck_assert_int_eq(told.count, 0);
	ck_assert_str_eq(told.words, "offline ");
	ck_assert_ptr_nonnull(strstr(info_fault(), "still converting"));
}
END_TEST

START_TEST(a_lost_arbitration_is_no_conversion)
{
	static const struct outcome busy = { .collect = -EAGAIN };

	start(&busy, 1);
	watch_for(SECOND - 1);
	ck_assert_int_eq(fake.tries, 1);
	ck_assert_int_eq(fake.collects, 1);
	ck_assert_str_eq(told.words, "offline ");
}
END_TEST

/* --- failures ------------------------------------------------------------------------------- */

static const struct {
	int retries;
	struct outcome program[4];
	const char *words;
	int tries, opens;
} tries[] = {
	{ 0, { { .value = 1 } }, "online ", 1, 1 },
	{ 2, { { .collect = -EIO }, { .start = -EIO }, { .value = 1 } }, "online ", 3, 3 },
	{ 2, { { .open = -EIO }, { .open = -EIO }, { .value = 1 } }, "online ", 3, 3 },
	{ 2, { { .collect = -EIO }, { .collect = -EIO }, { .collect = -EIO } }, "offline ", 3, 3 },
	{ 0, { { .collect = -EIO }, { .value = 1 } }, "offline ", 1, 1 },
};

START_TEST(a_failed_read_is_tried_again_soon)
{
	settings.retries = tries[_i].retries;
	start(tries[_i].program, 4);
	watch_for(20 * MSEC);
	ck_assert_str_eq(told.words, tries[_i].words);
	ck_assert_int_eq(fake.tries, tries[_i].tries);
	ck_assert_int_eq(fake.opens, tries[_i].opens); /* closed and opened in between */
	ck_assert_int_eq(told.logged, strcmp(tries[_i].words, "offline ") == 0);
	ck_assert_uint_eq(stats.read_errors, strcmp(tries[_i].words, "offline ") == 0);
}
END_TEST

static const struct {
	int64_t interval_us, distances_us[12];
} distances[] = {
	{ SECOND,
	  { SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND, 10 * SECOND } },
	{ 3 * SECOND, { 3 * SECOND, 6 * SECOND, 9 * SECOND, 9 * SECOND } },
	{ 60 * SECOND, { 60 * SECOND, 60 * SECOND, 60 * SECOND } },
	{ 100 * MSEC,
	  { 100 * MSEC, 200 * MSEC, 400 * MSEC, 800 * MSEC, 1600 * MSEC, 3200 * MSEC, 6400 * MSEC,
	    10 * SECOND, 10 * SECOND } },
};

START_TEST(tries_come_with_doubling_distance)
{
	static const struct outcome dead = { .open = -ENXIO };

	settings.interval_us = distances[_i].interval_us;
	start(&dead, 1);
	watch_for(DAY);
	ck_assert_int_eq(fake.times_us[0], EPOCH_US);
	for (int i = 0; distances[_i].distances_us[i] > 0; i++)
		ck_assert_int_eq(fake.times_us[i + 1] - fake.times_us[i],
				 distances[_i].distances_us[i]);
	ck_assert_str_eq(told.words, "offline ");
	ck_assert_int_eq(told.logged, 1);
	ck_assert_ptr_nonnull(strstr(told.log, "sensor probe: offline: No such device or address"));
	ck_assert_uint_eq(stats.read_errors, (uint64_t)fake.tries);
	ck_assert_int_eq(told.count, 0);
	ck_assert_uint_eq(stats.reads_missed, 0);
}
END_TEST

START_TEST(what_comes_back_is_online_again)
{
	static const struct outcome program[] = {
		{ .value = 1 },	   { .collect = -EIO }, { .open = -EIO },
		{ .start = -EIO }, { .value = 2 },
	};

	start(program, 5);
	watch_for(20 * SECOND);
	/* good at 0, fails at 1, 2, 4, back at 8, then each second */
	ck_assert_str_eq(told.words, "online offline online ");
	ck_assert_int_eq(told.logged, 2);
	ck_assert_str_eq(told.log, "sensor probe: online again after 7.0 s, 3 failed reads");
	ck_assert_int_eq(told.times_us[1], EPOCH_US + 8 * SECOND);
	ck_assert_int_eq(told.times_us[2], EPOCH_US + 9 * SECOND);
	ck_assert_int_eq(fake.opens, 4);
	ck_assert_uint_eq(stats.read_errors, 3);
	ck_assert_str_eq(info_fault(), "");
}
END_TEST

START_TEST(words_of_the_driver_are_told)
{
	static const struct outcome dead = { .collect = -EIO };

	start(&dead, 1);
	watch_for(1);
	ck_assert_str_eq(info_fault(), "the chip is on fire");
	ck_assert_str_eq(told.log, "sensor probe: offline: the chip is on fire; trying again");
}
END_TEST

static const struct {
	int error;
	const char *fault;
} bus_faults[] = {
	{ -ENOENT, "i2c-7, address 0x76: there is no such adapter" },
	{ -ENXIO, "i2c-7, address 0x76: no device answers" },
	{ -ETIMEDOUT, "i2c-7, address 0x76: the bus hangs: does a chip hold a line low, are "
		      "pull-ups missing?" },
	{ -EBUSY, "i2c-7, address 0x76: a kernel driver owns the address" },
	{ -EACCES, "i2c-7, address 0x76: permission denied; is iotd's user in the group i2c?" },
	{ -EPROTO, "i2c-7, address 0x76: Protocol error" },
	{ -EIO, "the chip is on fire" }, /* the driver's words go first */
};

START_TEST(a_fault_of_a_bus_is_told_in_its_words)
{
	const struct outcome dead = { .collect = bus_faults[_i].error };
	char bus[] = "i2c-7";

	settings.bus = bus;
	settings.address = 0x76;
	start(&dead, 1);
	watch_for(1);
	ck_assert_str_eq(info_fault(), bus_faults[_i].fault);
	sensor = sensor_free(sensor);
}
END_TEST

static const struct {
	struct outcome outcome;
	const char *told;
} bus_news[] = {
	{ { .value = 1 }, "answers " },	       { { .open = -ENXIO }, "answers " },
	{ { .start = -ETIMEDOUT }, "hangs " }, { { .collect = -ETIMEDOUT }, "hangs " },
	{ { .open = -ENOENT }, "" },	       { { .open = -EACCES }, "" },
	{ { .collect = -EIO }, "" },	       { { .agains = 1000 }, "" }, /* the chip's fault */
	{ { .collect = SLOW_CHIP }, "" },
};

START_TEST(what_a_read_tells_of_its_bus)
{
	char bus[] = "i2c-7";

	settings.bus = bus;
	start(&bus_news[_i].outcome, 1);
	watch_for(10 * SECOND - 1);
	ck_assert_str_eq(told.words, bus_news[_i].outcome.value > 0 ? "online " : "offline ");
	told.buses[strcspn(told.buses, " ") + (told.buses[0] != '\0')] = '\0';
	ck_assert_str_eq(told.buses, bus_news[_i].told);
	sensor = sensor_free(sensor);
}
END_TEST

static int channels_told;

static void on_channels(struct device_events *events, const char *of)
{
	ck_assert_ptr_eq(events, parts.events);
	ck_assert_str_eq(of, name);
	ck_assert(sensor_is_news(sensor));
	channels_told++;
}

START_TEST(what_is_known_of_the_channels_is_news_once)
{
	channels_told = 0;
	parts.events->channels = on_channels;
	start(NULL, 0);
	ck_assert(sensor_is_news(sensor));
	sensor_set_news(sensor, false);
	watch_for(SECOND / 2);
	ck_assert_int_eq(channels_told, 1);
	ck_assert(sensor_is_news(sensor));
	sensor_set_news(sensor, false);
	watch_for(10 * SECOND);
	ck_assert_int_eq(channels_told, 1);
	ck_assert(!sensor_is_news(sensor));
	sensor_set_interval(sensor, 2 * SECOND); /* so is an interval, but who sets it knows */
	ck_assert(sensor_is_news(sensor));
	ck_assert_int_eq(channels_told, 1);
	parts.events->channels = NULL;
}
END_TEST

START_TEST(what_was_opened_anew_may_have_other_channels)
{
	static const struct outcome program[] = { { .value = 1 },
						  { .collect = -EIO },
						  { .value = 2 } };
	struct device_info info;

	channels_told = 0;
	parts.events->channels = on_channels;
	start(program, 3);
	watch_for(SECOND / 2);
	fake.channel = "other";
	watch_for(10 * SECOND);
	sensor_info(sensor, &info);
	ck_assert_str_eq(info.channels[0].name, "other");
	ck_assert_int_eq(channels_told, 2);
	parts.events->channels = NULL;
}
END_TEST

/* only the device could tell, so the configuration took the name */
START_TEST(settings_of_a_channel_that_is_not_there_are_told_once)
{
	memcpy(group.name, "other", sizeof("other"));
	start(NULL, 0);
	watch_for(5 * SECOND);
	ck_assert_int_eq(told.count, 5);
	ck_assert_str_eq(told.log, "sensor probe: has no channel other, whose settings do nothing");
	ck_assert_int_eq(told.logged, 1);
}
END_TEST

START_TEST(a_value_out_of_range_is_a_failed_reading)
{
	static const struct outcome program[] = { { .value = 20 },
						  { .value = 4711 },
						  { .value = 21 } };

	group.max = 85;
	start(program, 3);
	watch_for(SECOND + 1);
	ck_assert_int_eq(told.count, 1);
	ck_assert_str_eq(told.words, "online offline ");
	ck_assert_str_eq(info_fault(), "value 4711 V is outside -inf .. 85");
	watch_for(SECOND);
	ck_assert_int_eq(told.count, 2);
	ck_assert_str_eq(told.words, "online offline online ");
}
END_TEST

START_TEST(no_number_is_a_failed_reading)
{
	static const struct outcome program = { .value = NONE };

	start(&program, 1);
	watch_for(1);
	ck_assert_int_eq(told.count, 0);
	ck_assert_str_eq(info_fault(), "no channel has a value");
}
END_TEST

static TCase *schedule_cases(void)
{
	TCase *cases = tcase_create("schedule");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, due_times_are_multiples_of_the_interval_since_the_epoch, 0,
			    (int)ARRAY_SIZE(schedules));
	tcase_add_test(cases, sensors_of_one_interval_fall_due_together);
	tcase_add_test(cases, a_read_that_takes_longer_than_the_interval_is_counted);
	tcase_add_test(cases, the_interval_can_be_changed);
	tcase_add_test(cases, the_interval_can_be_changed_while_it_converts);
	tcase_add_test(cases, each_sensor_counts_its_own_reads);
	tcase_add_test(cases, each_read_on_schedule_has_its_lateness_counted);
	tcase_add_test(cases, who_lent_the_bus_is_told_how_long_it_was_used);
	tcase_add_test(cases, the_bus_serves_others_while_a_chip_converts);
	tcase_add_test(cases, a_chip_that_converts_for_ever_is_offline);
	tcase_add_test(cases, a_lost_arbitration_is_no_conversion);
	return cases;
}

static TCase *failure_cases(void)
{
	TCase *cases = tcase_create("failures");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, a_failed_read_is_tried_again_soon, 0, (int)ARRAY_SIZE(tries));
	tcase_add_loop_test(cases, tries_come_with_doubling_distance, 0,
			    (int)ARRAY_SIZE(distances));
	tcase_add_test(cases, what_comes_back_is_online_again);
	tcase_add_test(cases, words_of_the_driver_are_told);
	tcase_add_loop_test(cases, a_fault_of_a_bus_is_told_in_its_words, 0,
			    (int)ARRAY_SIZE(bus_faults));
	tcase_add_loop_test(cases, what_a_read_tells_of_its_bus, 0, ARRAY_SIZE(bus_news));
	tcase_add_test(cases, what_is_known_of_the_channels_is_news_once);
	tcase_add_test(cases, what_was_opened_anew_may_have_other_channels);
	tcase_add_test(cases, settings_of_a_channel_that_is_not_there_are_told_once);
	tcase_add_test(cases, a_value_out_of_range_is_a_failed_reading);
	tcase_add_test(cases, no_number_is_a_failed_reading);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("sensor");

	suite_add_tcase(suite, schedule_cases());
	suite_add_tcase(suite, failure_cases());
	suite_add_tcase(suite, command_cases());
	suite_add_tcase(suite, told_cases());
	suite_add_tcase(suite, taken_cases());
	suite_add_tcase(suite, hang_cases());
	suite_add_tcase(suite, prompt_cases());
	suite_add_tcase(suite, real_prompt_cases());
	return suite_run(suite);
}
