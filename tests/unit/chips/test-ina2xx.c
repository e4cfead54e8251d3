/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* INA219, INA226, INA260: the numbers of the data sheets, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chip-fixture.h"

#include "iotd/drivers.h"

/* a configuration, what it writes, and what the chip says then; flags: ready, without overflow */
static const struct {
	const char *driver, *shunt, *max_current;
	unsigned int calibration;
	struct chip_example example;
} examples[] = {
	/* DS219 table 8 (SBOS448F: table 3): 2 mΩ, steps of 1 mA */
	{ "ina219",
	  "0.002",
	  "32.768",
	  20480,
	  { { { "01", "07d0" }, { "02", "5d9a" }, { "04", "2710" }, { "03", "1766" } },
	    { 11.98, 10.0, 119.8 },
	    1e-6 } },
	/* the other way round: DS219 8.6.3.4, two's complement; the power has no sign */
	{ "ina219",
	  "0.002",
	  "32.768",
	  20480,
	  { { { "01", "f830" }, { "02", "5d9a" }, { "04", "d8f0" }, { "03", "1766" } },
	    { 11.98, -10.0, 119.8 },
	    1e-6 } },
	/* DS219 8.5.1: 0.1 Ω, 3.2 A: the calibration is cut to 4194, and the step is what it then is */
	{ "ina219",
	  "0.1",
	  NULL,
	  4194,
	  { { { "01", "2710" }, { "02", "7d02" }, { "04", "27ff" }, { "03", "0000" } },
	    { 16.0, 10239 * 0.04096 / (4194 * 0.1), 0.0 },
	    1e-9 } },
	/* a whole number that floating point makes 24999.999…; steps of 16.384 µA */
	{ "ina219",
	  "0.1",
	  "0.536870912",
	  25000,
	  { { { "01", "07d0" }, { "02", "5d9a" }, { "04", "2faf" }, { "03", "0000" } },
	    { 11.98, 12207 * 16.384e-6, 0.0 },
	    1e-9 } },
	/* nothing is there, but it is measured */
	{ "ina219",
	  "0.1",
	  "2",
	  6710,
	  { { { "01", "0000" }, { "02", "0002" }, { "04", "0000" }, { "03", "0000" } },
	    { 0, 0, 0 },
	    1e-9 } },
	/* DS226 table 8-1 (SBOS547: table 1): 2 mΩ, steps of 1 mA */
	{ "ina226",
	  "0.002",
	  "32.768",
	  2560,
	  { { { "01", "1f40" }, { "02", "2570" }, { "04", "2710" }, { "03", "12b8" } },
	    { 11.98, 10.0, 119.8 },
	    1e-6 } },
	{ "ina226",
	  "0.002",
	  "32.768",
	  2560,
	  { { { "01", "e0c0" }, { "02", "2570" }, { "04", "d8f0" }, { "03", "12b8" } },
	    { 11.98, -10.0, 119.8 },
	    1e-6 } },
	/* DS260 8.5.1: 1.25 mA, 1.25 mV, 10 mW; -15 A and 36 V */
	{ "ina260",
	  NULL,
	  NULL,
	  0,
	  { { { "01", "1f40" }, { "02", "2570" }, { "03", "2ecc" } },
	    { 11.98, 10.0, 119.8 },
	    1e-6 } },
	{ "ina260",
	  NULL,
	  NULL,
	  0,
	  { { { "01", "d120" }, { "02", "7080" }, { "03", "d2f0" } },
	    { 36.0, -15.0, 540.0 },
	    1e-6 } },
};

static uint16_t ask(uint8_t reg)
{
	uint8_t bytes[2];

	ck_assert_int_eq(i2c_read_registers(device, reg, bytes, sizeof(bytes)), 0);
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void choose(const char *shunt, const char *max_current)
{
	if (shunt)
		set_option("shunt", shunt);
	if (max_current)
		set_option("max_current", max_current);
}

START_TEST(examples_of_the_data_sheets)
{
	choose(examples[_i].shunt, examples[_i].max_current);
	assert_example(examples[_i].driver, &examples[_i].example);
	if (examples[_i].calibration)
		ck_assert_uint_eq(ask(0x05), examples[_i].calibration);
}
END_TEST

/* DS219 8.6.2.1: bits 11 and 12 */
static const struct {
	const char *shunt, *max_current;
	unsigned int gain;
} gains[] = {
	{ "0.1", "0.0001", 0 }, { "0.1", "0.4", 0 }, { "0.1", "0.401", 1 }, { "0.1", "0.8", 1 },
	{ "0.1", "1", 2 },	{ "0.1", "1.6", 2 }, { "0.1", "2", 3 },	    { "0.1", "3.2", 3 },
	{ "0.1", NULL, 3 },	{ "0.01", "3", 0 },  { "10", "0.03", 3 },
};

START_TEST(the_gain_is_the_finest_that_holds_max_current)
{
	choose(gains[_i].shunt, gains[_i].max_current);
	plug("ina219", "ina219", 0);
	assert_measures();
	ck_assert_uint_eq(ask(0x00) >> 11 & 3, gains[_i].gain);
}
END_TEST

/* the emulated chip multiplies as the data sheet says; so the current must be that of the shunt's voltage */
static const struct {
	const char *driver, *shunt, *max_current;
	double volts; /* a step of REG_SHUNT */
} loads[] = {
	{ "ina219", "0.1", NULL, 1e-5 },      { "ina219", "0.1", "0.000001", 1e-5 },
	{ "ina219", "0.00002", NULL, 1e-5 },  { "ina219", "1000", NULL, 1e-5 },
	{ "ina219", "0.015", "7.3", 1e-5 },   { "ina226", "0.1", NULL, 2.5e-6 },
	{ "ina226", "0.1", "0.01", 2.5e-6 },  { "ina226", "0.00002", NULL, 2.5e-6 },
	{ "ina226", "0.015", "3.3", 2.5e-6 }, { "ina226", "1000", NULL, 2.5e-6 },
};

START_TEST(the_current_is_that_of_the_shunt)
{
	double values[CHANNELS_MAX], shunt = strtod(loads[_i].shunt, NULL), current;

	choose(loads[_i].shunt, loads[_i].max_current);
	plug(loads[_i].driver, loads[_i].driver, 0);
	ck_assert_int_eq(measure(values), 0);
	current = (int16_t)ask(0x01) * loads[_i].volts / shunt;
	ck_assert_double_gt(current, 0);
	ck_assert_double_eq_tol(values[1], current, current * 2e-4); /* a step of the register */
	ck_assert_double_eq_tol(values[2], values[0] * values[1], values[2] * 2e-3);
}
END_TEST

static const struct {
	const char *driver, *shunt, *max_current;
	int digits;
} digits[] = {
	{ "ina219", "0.1", NULL, 5 }, /* 97.7 µA */
	{ "ina219", "0.002", "32.768", 3 }, { "ina219", "1000", NULL, 9 },
	{ "ina219", "0.00002", NULL, 1 }, /* 0.488 A */
	{ "ina226", "0.1", NULL, 5 },	  /* 25 µA */
	{ "ina226", "0.1", "0.01", 6 },	  /* 1.56 µA, the finest */
	{ "ina260", NULL, NULL, 5 },	  /* 1.25 mA */
};

START_TEST(a_step_of_the_current_is_not_rounded_away)
{
	choose(digits[_i].shunt, digits[_i].max_current);
	plug(digits[_i].driver, digits[_i].driver, 0);
	ck_assert_int_eq(source->channels[1].digits, digits[_i].digits);
}
END_TEST

static const struct {
	const char *driver, *reg, *answer, *words;
} overflows[] = {
	{ "ina219", "02", "5d9b", "overflow flag): raise max_current" },
	{ "ina226", "06", "000c", "overflow flag): raise max_current" },
	{ "ina260", "06", "000c", "beyond the range (overflow flag)" },
	{ "ina219", "01", "7d00", "at the end of the range: raise max_current" },
	{ "ina219", "01", "8300", "at the end of the range: raise max_current" },
	{ "ina226", "01", "7fff", "at the end of the range: raise max_current" },
	{ "ina226", "01", "8000", "at the end of the range: raise max_current" },
	{ "ina260", "01", "7fff", "at the end of the range" },
	{ "ina260", "01", "8000", "at the end of the range" },
};

START_TEST(what_is_beyond_the_range_is_no_reading)
{
	plug(overflows[_i].driver, overflows[_i].driver, 0);
	script(overflows[_i].reg, overflows[_i].answer);
	assert_fails(-ERANGE, overflows[_i].words);
}
END_TEST

START_TEST(the_end_of_the_range_is_that_of_the_gain)
{
	double values[CHANNELS_MAX];

	set_option("max_current", "0.4");
	plug("ina219", "ina219", 0);
	script("01", "0f9f"); /* 3999 */
	ck_assert_int_eq(measure(values), 0);
	script("01", "0fa0");
	assert_fails(-ERANGE, "at the end of the range");
}
END_TEST

static const struct {
	const char *driver, *reg, *id, *words;
} strangers[] = {
	{ "ina219", "00", "4127", "chip id 0x4127 at 0x40 on /dev/i2c-1 is no INA219" },
	{ "ina226", "00", "4128", "chip id 0x4128 at 0x40 on /dev/i2c-1 is no INA226" },
	{ "ina226", "fe", "0000", "chip id 0x00 at 0x40 on /dev/i2c-1 is no INA226" },
	{ "ina226", "ff", "2270", "chip id 0x2270 at 0x40 on /dev/i2c-1 is no INA226" },
	{ "ina260", "ff", "2260", "chip id 0x2260 at 0x40 on /dev/i2c-1 is no INA260" },
};

START_TEST(another_chip_is_named)
{
	plug(strangers[_i].driver, strangers[_i].driver, 0);
	script(strangers[_i].reg, strangers[_i].id);
	assert_fails(-ENODEV, strangers[_i].words);
}
END_TEST

START_TEST(a_later_revision_is_the_same_chip)
{
	plug("ina260", "ina260", 0);
	script("ff", "2271");
	assert_measures();
}
END_TEST

static const char *const names[] = { "ina219", "ina226", "ina260" };

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us, again_us = 0;

	plug(names[_i], names[_i], 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us / 2;
	ck_assert_int_eq(source->driver->collect(source, values, &again_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(wait_us / 2, values), 0);
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

START_TEST(it_is_asked_once_when_it_is_ready)
{
	double values[CHANNELS_MAX];
	int64_t wait_us, again_us = 0;

	plug(names[_i], names[_i], 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &again_us), 0);
}
END_TEST

/* without its calibration it would say 0 A */
START_TEST(a_loss_of_power_is_no_current_of_nothing)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug(names[_i], names[_i], 0);
	assert_measures();
	ck_assert_int_eq(measure_start(&wait_us), 0);
	sim_chip_restart(chip, NULL);
	ck_assert_int_eq(measure_finish(wait_us, values), -EIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "lost its settings"));
}
END_TEST

START_TEST(each_reading_is_a_new_conversion)
{
	double before[CHANNELS_MAX], after[CHANNELS_MAX];

	plug(names[_i], names[_i], 0);
	ck_assert_int_eq(measure(before), 0);
	now_us += 75 * 1000000LL;
	ck_assert_int_eq(measure(after), 0);
	ck_assert_double_gt(fabs(after[1] - before[1]), 0);
	ck_assert(is_weather(after));
}
END_TEST

START_TEST(a_chip_that_another_program_set_is_set_right)
{
	static const uint8_t high[] = { 0x39, 0x41, 0x61 };
	const uint8_t off[] = { 0x00, high[_i], 0x20 };

	plug(names[_i], names[_i], 0);
	assert_measures();
	(void)i2c_write(device, off, sizeof(off));
	assert_measures(); /* start() writes it anew */
}
END_TEST

static struct {
	struct option_check check;
	const struct option_value *value;
	char words[128];
} told;

static void note(struct option_check *check, const struct option_value *value, const char *words)
{
	(void)check;
	told.value = value;
	(void)snprintf(told.words, sizeof(told.words), "%s", words);
}

static const struct {
	const char *driver;
	double shunt, max_current;
	int wrong; /* which option; -1: none */
	const char *words;
} configurations[] = {
	{ "ina219", 0.1, 0, -1, "" },
	{ "ina219", 0.1, 3.2, -1, "" },
	{ "ina219", 0.1, 3.21, 1, "3.21 A are 0.321 V over a shunt of 0.1 Ω" },
	{ "ina226", 0.1, 0.8192, -1, "" },
	{ "ina226", 0.002, 40.96, -1, "" },
	{ "ina226", 0.1, 3.2, 1, "an INA226 measures up to 0.08192 V" },
	{ "ina260", 0, 0, -1, "" },
	{ "ina260", 0.002, 0, 0, "not for an INA260" },
	{ "ina260", 0, 10, 1, "not for an INA260" },
};

START_TEST(options_that_do_not_fit_are_told)
{
	const struct option_value options[] = {
		{ .given = configurations[_i].shunt > 0, .number = configurations[_i].shunt },
		{ .given = configurations[_i].max_current > 0,
		  .number = configurations[_i].max_current },
	};
	int wrong = configurations[_i].wrong;

	memset(&told, 0, sizeof(told));
	told.check.fault = note;
	driver_find(configurations[_i].driver)->check(options, &told.check);
	ck_assert_ptr_eq(told.value, wrong < 0 ? NULL : &options[wrong]);
	ck_assert_msg(strstr(told.words, configurations[_i].words), "%s", told.words);
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("ina2xx");

	tcase_add_loop_test(tests, examples_of_the_data_sheets, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, the_gain_is_the_finest_that_holds_max_current, 0,
			    (int)ARRAY_SIZE(gains));
	tcase_add_loop_test(tests, the_current_is_that_of_the_shunt, 0, (int)ARRAY_SIZE(loads));
	tcase_add_loop_test(tests, a_step_of_the_current_is_not_rounded_away, 0,
			    (int)ARRAY_SIZE(digits));
	tcase_add_loop_test(tests, what_is_beyond_the_range_is_no_reading, 0,
			    (int)ARRAY_SIZE(overflows));
	tcase_add_test(tests, the_end_of_the_range_is_that_of_the_gain);
	tcase_add_loop_test(tests, another_chip_is_named, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(tests, a_later_revision_is_the_same_chip);
	tcase_add_loop_test(tests, too_early_is_not_yet, 0, (int)ARRAY_SIZE(names));
	tcase_add_loop_test(tests, it_is_asked_once_when_it_is_ready, 0, (int)ARRAY_SIZE(names));
	tcase_add_loop_test(tests, a_loss_of_power_is_no_current_of_nothing, 0,
			    (int)ARRAY_SIZE(names));
	tcase_add_loop_test(tests, each_reading_is_a_new_conversion, 0, (int)ARRAY_SIZE(names));
	tcase_add_loop_test(tests, a_chip_that_another_program_set_is_set_right, 0,
			    (int)ARRAY_SIZE(names));
	tcase_add_loop_test(tests, options_that_do_not_fit_are_told, 0,
			    (int)ARRAY_SIZE(configurations));
	return chip_run_tests();
}
