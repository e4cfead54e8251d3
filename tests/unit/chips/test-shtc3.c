/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SHTC3: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 5.10: the checksum of 0xbeef; DS 5.11: the formulas, at both ends of what is specified and in between */
static const struct chip_example examples[] = {
	{ { { "7866", "beef92 beef92" } }, { 85.5210, 74.5834 }, 0.0001 },
	{ { { "7866", "6666 93 8000 a2" } }, { 24.9989, 50.0 }, 0.0001 },
	{ { { "7866", "0751 60 0000 81" } }, { -39.9985, 0.0 }, 0.0001 },
	{ { { "7866", "f8ae 4d ffff ac" } }, { 124.9959, 99.9985 }, 0.0001 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("shtc3", &examples[_i]);
}
END_TEST

/* DS 5.3, table 9; DS 3.1, table 5 */
static const struct {
	const char *repeatability;
	uint8_t command[2];
	int64_t wait_us;
} modes[] = {
	{ "low", { 0x60, 0x9c }, 800 },
	{ "medium", { 0x78, 0x66 }, 12100 },
	{ "high", { 0x78, 0x66 }, 12100 },
};

START_TEST(repeatability_is_a_mode)
{
	int64_t wait_us;

	set_option("repeatability", modes[_i].repeatability);
	plug("shtc3", "shtc3", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, modes[_i].wait_us);
	ck_assert_mem_eq(meddler.last_written, modes[_i].command, 2);
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	assert_not_yet("shtc3");
}
END_TEST

/* DS 5.1: then nothing is acknowledged but what wakes it */
static void assert_sleeps(void)
{
	static const uint8_t read_id[] = { 0xef, 0xc8 };

	ck_assert_int_eq(i2c_write(device, read_id, sizeof(read_id)), -ENXIO);
}

START_TEST(the_chip_sleeps_between_readings)
{
	plug("shtc3", "shtc3", 0);
	for (int i = 0; i < 3; i++) {
		assert_measures();
		now_us += 1000000;
	}
	assert_sleeps();
}
END_TEST

START_TEST(a_chip_that_was_put_to_sleep_is_woken)
{
	static const uint8_t sleep[] = { 0xb0, 0x98 };

	plug("shtc3", "shtc3", 0);
	ck_assert_int_eq(i2c_write(device, sleep, sizeof(sleep)), 0);
	assert_measures();
}
END_TEST

START_TEST(a_chip_that_falls_asleep_in_a_measurement_is_no_reading)
{
	static const uint8_t sleep[] = { 0xb0, 0x98 };
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("shtc3", "shtc3", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(i2c_write(device, sleep, sizeof(sleep)), 0);
	ck_assert_int_eq(measure_finish(0, values), -ETIMEDOUT);
	now_us += 1000000;
	assert_measures();
}
END_TEST

START_TEST(a_measurement_of_another_program_is_waited_for)
{
	static const uint8_t measure_normal[] = { 0x78, 0x66 };
	double values[CHANNELS_MAX];

	plug("shtc3", "shtc3", 0);
	ck_assert_int_eq(i2c_write(device, measure_normal, sizeof(measure_normal)), 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert(is_weather(values));
}
END_TEST

/* DS 5.9, table 15: 0b xxxx 1xxx xx00 0111 */
static const struct {
	const char *answer;
	bool is_shtc3;
} ids[] = {
	{ "0807 21", true },  { "ffc7 d0", true },
	{ "0007 16", false }, /* SHTC1 (Linux, drivers/hwmon/shtc1.c) */
	{ "0806 10", false }, { "0827 a7", false },
};

START_TEST(the_id_tells_the_chip)
{
	plug("shtc3", "shtc3", 0);
	script("efc8", ids[_i].answer);
	if (ids[_i].is_shtc3)
		assert_measures();
	else
		assert_fails(-ENODEV, "at 0x70 on /dev/i2c-1 is no SHTC3");
}
END_TEST

/* DS table 2: -40 .. 125 °C */
static const struct {
	const char *answer, *words;
} implausible[] = {
	{ "0000 81 8000 a2", "temperature of -45 °C" },
	{ "ffff ac 8000 a2", "temperature of 129.997 °C" },
};

START_TEST(values_beyond_the_chip_are_refused)
{
	plug("shtc3", "shtc3", 0);
	script("7866", implausible[_i].answer);
	assert_fails(-EIO, implausible[_i].words);
}
END_TEST

START_TEST(each_reading_is_waited_for_anew)
{
	assert_waits_anew("shtc3");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("shtc3");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, repeatability_is_a_mode, 0, (int)ARRAY_SIZE(modes));
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_test(tests, the_chip_sleeps_between_readings);
	tcase_add_test(tests, a_chip_that_was_put_to_sleep_is_woken);
	tcase_add_test(tests, a_chip_that_falls_asleep_in_a_measurement_is_no_reading);
	tcase_add_test(tests, a_measurement_of_another_program_is_waited_for);
	tcase_add_loop_test(tests, the_id_tells_the_chip, 0, (int)ARRAY_SIZE(ids));
	tcase_add_loop_test(tests, values_beyond_the_chip_are_refused, 0,
			    (int)ARRAY_SIZE(implausible));
	tcase_add_test(tests, each_reading_is_waited_for_anew);
	return chip_run_tests();
}
