/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SHT3x: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 4.12: the checksum of 0xbeef; DS 4.13: the formulas, at both ends of what is specified and at 25 °C, 50 % */
static const struct chip_example examples[] = {
	{ { { "2400", "beef92 beef92" } }, { 85.523, 74.584 }, 0.001 },
	{ { { "2400", "6666 93 8000 a2" } }, { 25.0, 50.0 }, 0.001 },
	{ { { "2400", "0751 60 0000 81" } }, { -40.0, 0.0 }, 0.01 },
	{ { { "2400", "f8ae 4d ffff ac" } }, { 125.0, 100.0 }, 0.01 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("sht3x", &examples[_i]);
}
END_TEST

/* DS table 9; the longest durations of DS table 4 */
static const struct {
	const char *repeatability;
	uint8_t command[2];
	int64_t wait_us;
} repeatabilities[] = {
	{ "low", { 0x24, 0x16 }, 4500 },
	{ "medium", { 0x24, 0x0b }, 6500 },
	{ "high", { 0x24, 0x00 }, 15500 },
};

START_TEST(repeatability_is_a_command_and_a_time)
{
	int64_t wait_us;

	set_option("repeatability", repeatabilities[_i].repeatability);
	plug("sht3x", "sht3x", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, repeatabilities[_i].wait_us);
	ck_assert_mem_eq(meddler.last_written, repeatabilities[_i].command, 2);
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	assert_not_yet("sht3x");
}
END_TEST

START_TEST(what_says_no_reset_is_another_chip)
{
	plug("sht3x", "sht3x", 0);
	script("f32d", "8000a2"); /* bit 4 is clear */
	assert_fails(-ENODEV, "at 0x44 on /dev/i2c-1 is no SHT3x");
}
END_TEST

START_TEST(a_measurement_of_another_program_is_waited_for)
{
	static const uint8_t measure_high[] = { 0x24, 0x00 };
	double values[CHANNELS_MAX];

	plug("sht3x", "sht3x", 0);
	ck_assert_int_eq(i2c_write(device, measure_high, sizeof(measure_high)), 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert(is_weather(values));
}
END_TEST

START_TEST(values_beyond_the_chip_are_refused)
{
	plug("sht3x", "sht3x", 0);
	script("2400", "000081 8000a2");
	assert_fails(-EIO, "temperature of -45 °C");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("sht3x");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, repeatability_is_a_command_and_a_time, 0,
			    (int)ARRAY_SIZE(repeatabilities));
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_test(tests, what_says_no_reset_is_another_chip);
	tcase_add_test(tests, a_measurement_of_another_program_is_waited_for);
	tcase_add_test(tests, values_beyond_the_chip_are_refused);
	return chip_run_tests();
}
