/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ADS1115, ADS1015: the numbers of the data sheets, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <string.h>

#include "chip-fixture.h"

#include "iotd/drivers.h"

/* DS 9.5.4, table 4, and both neighbours of the ends; DS table 3: the size of a step at each range */
static const struct {
	const char *driver, *range, *conversion;
	double volts;
} conversions[] = {
	{ "ads1115", "6.144", "0001", 187.5e-6 },
	{ "ads1115", "4.096", "0001", 125e-6 },
	{ "ads1115", "2.048", "0001", 62.5e-6 },
	{ "ads1115", "1.024", "0001", 31.25e-6 },
	{ "ads1115", "0.512", "0001", 15.625e-6 },
	{ "ads1115", "0.256", "0001", 7.8125e-6 },
	{ "ads1115", "2.048", "0000", 0 },
	{ "ads1115", "2.048", "ffff", -62.5e-6 },
	{ "ads1115", "2.048", "4000", 1.024 },
	{ "ads1115", "2.048", "c000", -1.024 },
	{ "ads1115", "2.048", "7ffe", 2.048 - 2 * 62.5e-6 },
	{ "ads1115", "2.048", "8001", -2.048 + 62.5e-6 },
	{ "ads1015", "6.144", "0010", 3e-3 },
	{ "ads1015", "4.096", "0010", 2e-3 },
	{ "ads1015", "2.048", "0010", 1e-3 },
	{ "ads1015", "1.024", "0010", 0.5e-3 },
	{ "ads1015", "0.512", "0010", 0.25e-3 },
	{ "ads1015", "0.256", "0010", 0.125e-3 },
	{ "ads1015", "2.048", "fff0", -1e-3 },
	{ "ads1015", "2.048", "7fe0", 2.046 },
	{ "ads1015", "2.048", "8010", -2.047 },
	{ "ads1015", "2.048", "001f", 1e-3 }, /* the low four bits are no number */
};

START_TEST(a_conversion_is_steps_of_the_range)
{
	double values[CHANNELS_MAX];

	set_option("inputs", "a0_a1");
	set_option("range", conversions[_i].range);
	plug(conversions[_i].driver, conversions[_i].driver, 0);
	script("00", conversions[_i].conversion);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], conversions[_i].volts, 1e-12);
}
END_TEST

static const struct {
	const char *driver, *range, *conversion, *words;
} ends[] = {
	{ "ads1115", "2.048", "7fff",
	  "a3 is at the end of the range of 2.048 V: set a larger one" },
	{ "ads1115", "2.048", "8000", "a3 is at the end of the range of 2.048 V" },
	{ "ads1115", "6.144", "7fff", "a3 is at the end of the range of 6.144 V" },
	{ "ads1015", "0.256", "7ff0",
	  "a3 is at the end of the range of 0.256 V: set a larger one" },
	{ "ads1015", "0.256", "8000", "a3 is at the end of the range of 0.256 V" },
};

START_TEST(the_end_of_the_range_is_no_reading)
{
	set_option("inputs", "a3");
	set_option("range", ends[_i].range);
	plug(ends[_i].driver, ends[_i].driver, 0);
	script("00", ends[_i].conversion);
	assert_fails(-ERANGE, ends[_i].words);
}
END_TEST

/* DS 9.6.3: MUX 14 .. 12, PGA 11 .. 9, DR 7 .. 5; single shot, no comparator; without OS and COMP_LAT */
static const struct {
	const char *driver, *input, *range, *rate;
	unsigned int config;
} settings[] = {
	{ "ads1115", "a0_a1", "2.048", "128", 0x0583 }, /* the reset value */
	{ "ads1115", "a0_a3", "6.144", "8", 0x1103 },
	{ "ads1115", "a1_a3", "4.096", "16", 0x2323 },
	{ "ads1115", "a2_a3", "1.024", "32", 0x3743 },
	{ "ads1115", "a0", "0.512", "64", 0x4963 },
	{ "ads1115", "a1", "0.256", "250", 0x5ba3 },
	{ "ads1115", "a2", "2.048", "475", 0x65c3 },
	{ "ads1115", "a3", "2.048", "860", 0x75e3 },
	{ "ads1015", "a0", "2.048", "128", 0x4503 },
	{ "ads1015", "a0", "2.048", "1600", 0x4583 },
	{ "ads1015", "a0", "2.048", "3300", 0x45c3 },
};

START_TEST(options_are_the_chips_settings)
{
	uint8_t bytes[2];

	set_option("inputs", settings[_i].input);
	set_option("range", settings[_i].range);
	set_option("rate", settings[_i].rate);
	plug(settings[_i].driver, settings[_i].driver, 0);
	assert_measures();
	ck_assert_int_eq(i2c_read_registers(device, 1, bytes, 2), 0);
	ck_assert_uint_eq((bytes[0] << 8 | bytes[1]) & ~0x8004, settings[_i].config);
}
END_TEST

START_TEST(channels_are_the_inputs_in_their_order)
{
	static const char *const names[] = { "a2", "a0_a3", "a3", "a0" };
	double values[CHANNELS_MAX];

	set_option("inputs", "a2 a0_a3 a3 a0");
	set_option("range", "0.256");
	plug("ads1115", "ads1115", 0);
	ck_assert_uint_eq(source->channel_count, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_str_eq(source->channels[i].name, names[i]);
		ck_assert_str_eq(source->channels[i].unit, "V");
	}
	ck_assert_int_eq(measure(values), 0);
	/* taps of one load: a0 has 4 parts of it, a1 3, a2 2, a3 1 */
	ck_assert_double_gt(values[2], 0.01);
	ck_assert_double_eq_tol(values[0], 2 * values[2], 1e-3);
	ck_assert_double_eq_tol(values[1], 3 * values[2], 2e-3);
	ck_assert_double_eq_tol(values[3], 4 * values[2], 2e-3);
}
END_TEST

START_TEST(without_inputs_they_are_the_four)
{
	double values[CHANNELS_MAX];

	plug("ads1015", "ads1015", 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_uint_eq(source->channel_count, 4);
	ck_assert_str_eq(source->channels[0].name, "a0");
	ck_assert_str_eq(source->channels[3].name, "a3");
}
END_TEST

START_TEST(all_inputs_at_the_lowest_rate_are_one_reading)
{
	double values[CHANNELS_MAX];
	int64_t began_us;

	set_option("inputs", "a0 a1 a2 a3 a0_a1 a0_a3 a1_a3 a2_a3");
	set_option("rate", "8");
	plug("ads1115", "ads1115", 0);
	began_us = now_us;
	ck_assert_int_eq(measure(values), 0);
	ck_assert_int_ge(now_us - began_us, 8 * 137500LL); /* 1/8 s and 10 %, eight times */
	ck_assert_int_le(now_us - began_us, 8 * 140000LL);
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

START_TEST(a_chip_that_converts_all_the_time_is_stopped_first)
{
	static const uint8_t continuous[] = { 0x01, 0x44, 0x03 }; /* a0, 2.048 V, 8/s */
	double values[CHANNELS_MAX];

	set_option("inputs", "a3");
	plug("ads1115", "ads1115", 0);
	ck_assert_int_eq(i2c_write(device, continuous, sizeof(continuous)), 0);
	now_us += 1000000;
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_le(values[0], 0.05); /* what a0 has is over 0.06 V */
	ck_assert_str_eq(chip->complaint, "");
	assert_measures();
}
END_TEST

START_TEST(what_does_not_take_the_settings_is_another_chip)
{
	plug("ads1115", "ads1115", 0);
	script("01", "8583");
	assert_fails(-ENODEV, "at 0x48 on /dev/i2c-1 is no ADS1115");
}
END_TEST

/* its settings after power-on are then all but the ones that were made */
START_TEST(a_loss_of_power_shows_with_the_chips_own_settings)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("inputs", "a0_a1");
	set_option("range", "2.048");
	plug("ads1115", "ads1115", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	sim_chip_restart(chip, NULL);
	ck_assert_int_eq(measure_finish(wait_us, values), -EIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "lost its settings"));
}
END_TEST

static const char *told;

static void note(struct option_check *check, const struct option_value *value, const char *words)
{
	(void)check;
	(void)value;
	told = words[0] == 'm' ? "must be" : "something else";
}

START_TEST(a_range_between_the_ranges_is_told)
{
	struct option_check check = { note };
	struct option_value options[3] = { 0 };
	const struct driver *driver = driver_find("ads1015");

	options[1].number = 0.512;
	driver->check(options, &check);
	ck_assert_ptr_null(told);
	options[1].number = 3.3;
	driver->check(options, &check);
	ck_assert_str_eq(told, "must be");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("ads1115");

	tcase_add_loop_test(tests, a_conversion_is_steps_of_the_range, 0,
			    (int)ARRAY_SIZE(conversions));
	tcase_add_loop_test(tests, the_end_of_the_range_is_no_reading, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(tests, options_are_the_chips_settings, 0, (int)ARRAY_SIZE(settings));
	tcase_add_test(tests, channels_are_the_inputs_in_their_order);
	tcase_add_test(tests, without_inputs_they_are_the_four);
	tcase_add_test(tests, all_inputs_at_the_lowest_rate_are_one_reading);
	tcase_add_test(tests, a_chip_that_converts_all_the_time_is_stopped_first);
	tcase_add_test(tests, what_does_not_take_the_settings_is_another_chip);
	tcase_add_test(tests, a_loss_of_power_shows_with_the_chips_own_settings);
	tcase_add_test(tests, a_range_between_the_ranges_is_told);
	return chip_run_tests();
}
