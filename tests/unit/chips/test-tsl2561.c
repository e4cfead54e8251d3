/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TSL2561: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/*
 * What CalculateLux() of DS "Simplified Lux Calculation" makes of them, whose lux are whole and whose
 * counts are cut when they are scaled: each segment of both tables, each gain, each time, both ends.
 */
static const struct {
	const char *id, *time, *gain, *all, *infrared;
	double lux;
} examples[] = {
	{ "50", "402ms", "1", "e803", "6400", 443 },
	{ "50", "402ms", "1", "e803", "c800", 379 },
	{ "50", "402ms", "1", "e803", "2c01", 300 },
	{ "50", "402ms", "1", "e803", "c201", 160 },
	{ "50", "402ms", "1", "e803", "2602", 86 },
	{ "50", "402ms", "1", "e803", "bc02", 33 },
	{ "50", "402ms", "1", "e803", "e803", 6 },
	{ "50", "402ms", "1", "e803", "7805", 0 },
	{ "10", "402ms", "1", "e803", "6400", 462 },
	{ "10", "402ms", "1", "e803", "c800", 401 },
	{ "10", "402ms", "1", "e803", "2c01", 327 },
	{ "10", "402ms", "1", "e803", "c201", 191 },
	{ "10", "402ms", "1", "e803", "5802", 87 },
	{ "10", "402ms", "1", "e803", "bc02", 49 },
	{ "10", "402ms", "1", "e803", "e803", 12 },
	{ "10", "402ms", "1", "e803", "7805", 0 },
	{ "5f", "402ms", "16", "e803", "6400", 28 },
	{ "50", "402ms", "16", "409c", "3075", 53 },
	{ "50", "13.7ms", "1", "8813", "e803", 55429 },
	{ "50", "101ms", "1", "8890", "204e", 13274 },
	{ "50", "13.7ms", "16", "bc02", "6400", 537 },
	{ "50", "101ms", "16", "204e", "a00f", 1882 },
	{ "50", "402ms", "1", "0000", "0000", 0 },
	{ "50", "402ms", "1", "0000", "0500", 0 },
	{ "50", "402ms", "1", "feff", "204e", 19397 },
	{ "1f", "402ms", "1", "feff", "204e", 21145 },
};

START_TEST(lux_is_that_of_the_data_sheet)
{
	double values[CHANNELS_MAX];

	set_option("integration_time", examples[_i].time);
	set_option("gain", examples[_i].gain);
	plug("tsl2561", "tsl2561", 0);
	script("8a", examples[_i].id);
	script("ac", examples[_i].all);
	script("ae", examples[_i].infrared);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], examples[_i].lux, 0.65);
}
END_TEST

static const struct {
	const char *id, *words;
} strangers[] = {
	{ "00", "chip id 0x00 at 0x39 on /dev/i2c-1 is no TSL2561" }, /* TSL2560CS */
	{ "40", "chip id 0x40 at 0x39 on /dev/i2c-1 is no TSL2561" }, /* TSL2560T */
	{ "60", "chip id 0x60 at 0x39 on /dev/i2c-1 is no TSL2561" },
	{ "ff", "chip id 0xff at 0x39 on /dev/i2c-1 is no TSL2561" },
};

START_TEST(another_chip_is_left_alone)
{
	plug("tsl2561", "tsl2561", 0);
	script("8a", strangers[_i].id);
	assert_fails(-ENODEV, strangers[_i].words);
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

/* DS "Operating Characteristics", full scale */
static const struct {
	const char *time, *key, *full, *less;
} ends[] = {
	{ "13.7ms", "ac", "b713", "b613" }, { "13.7ms", "ae", "b713", "b613" },
	{ "101ms", "ac", "3991", "3891" },  { "101ms", "ae", "3991", "3891" },
	{ "402ms", "ac", "ffff", "feff" },  { "402ms", "ae", "ffff", "feff" },
};

START_TEST(full_scale_is_no_reading)
{
	double values[CHANNELS_MAX];

	set_option("integration_time", ends[_i].time);
	plug("tsl2561", "tsl2561", 0);
	script(ends[_i].key, ends[_i].full);
	assert_fails(-ERANGE, "saturated: too bright for this gain and integration_time");
	script(ends[_i].key, ends[_i].less);
	ck_assert_int_eq(measure(values), 0);
}
END_TEST

/* DS "Timing Register"; DS "Operating Characteristics": with the slowest clock */
static const struct {
	const char *time, *gain;
	uint8_t timing;
	int64_t wait_us;
} settings[] = {
	{ "13.7ms", "1", 0x00, 14635 },	 { "13.7ms", "16", 0x10, 14635 },
	{ "101ms", "1", 0x01, 107765 },	 { "402ms", "1", 0x02, 428400 },
	{ "402ms", "16", 0x12, 428400 },
};

START_TEST(settings_are_a_register_and_a_time)
{
	int64_t wait_us;

	set_option("integration_time", settings[_i].time);
	set_option("gain", settings[_i].gain);
	plug("tsl2561", "tsl2561", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, settings[_i].wait_us);
	ck_assert_uint_eq(meddler.written[1][0], 0x81);
	ck_assert_uint_eq(meddler.written[1][1], settings[_i].timing);
	ck_assert_uint_eq(meddler.written[2][0], 0x80);
	ck_assert_uint_eq(meddler.written[2][1], 0x03);
}
END_TEST

START_TEST(only_the_first_measurement_is_waited_for)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tsl2561", "tsl2561", 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 0);
}
END_TEST

static const uint8_t changes[][2] = { { 0x80, 0x00 }, { 0x81, 0x12 }, { 0x81, 0x01 } };

START_TEST(what_another_program_changed_is_noticed)
{
	plug("tsl2561", "tsl2561", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, changes[_i], 2), 0);
	assert_fails(-EIO, "lost its settings");
	assert_measures();
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("tsl2561");

	tcase_add_loop_test(tests, lux_is_that_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, another_chip_is_left_alone, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_loop_test(tests, full_scale_is_no_reading, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(tests, settings_are_a_register_and_a_time, 0,
			    (int)ARRAY_SIZE(settings));
	tcase_add_test(tests, only_the_first_measurement_is_waited_for);
	tcase_add_loop_test(tests, what_another_program_changed_is_noticed, 0,
			    (int)ARRAY_SIZE(changes));
	return chip_run_tests();
}
