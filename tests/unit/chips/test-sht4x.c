/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SHT4x: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 4.4: the checksum of 0xbeef; DS 4.6: the formulas, at both ends of what is specified, beyond, and at 25 °C, 50 % */
static const struct chip_example examples[] = {
	{ { { "fd", "beef92 beef92" } }, { 85.523, 87.2307 }, 0.0001 },
	{ { { "fd", "6666 93 72b0 dc" } }, { 25.0, 50.0006 }, 0.0001 },
	{ { { "fd", "0751 60 0c4a d3" } }, { -39.9985, 0.0006 }, 0.0001 },
	{ { { "fd", "f8ae 4d d915 30" } }, { 124.9985, 99.9987 }, 0.0001 },
	{ { { "fd", "6666 93 0000 81" } }, { 25.0, 0 }, 1e-9 },
	{ { { "fd", "6666 93 0c49 80" } }, { 25.0, 0 }, 1e-9 },
	{ { { "fd", "6666 93 ffff ac" } }, { 25.0, 100 }, 1e-9 },
	{ { { "fd", "6666 93 d916 63" } }, { 25.0, 100 }, 1e-9 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("sht4x", &examples[_i]);
}
END_TEST

/* DS table 7; the longest durations of DS table 4 */
static const struct {
	const char *repeatability;
	uint8_t command;
	int64_t wait_us;
} repeatabilities[] = {
	{ "low", 0xe0, 1700 },
	{ "medium", 0xf6, 4500 },
	{ "high", 0xfd, 8300 },
};

START_TEST(repeatability_is_a_command_and_a_time)
{
	int64_t wait_us;

	set_option("repeatability", repeatabilities[_i].repeatability);
	plug("sht4x", "sht4x", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, repeatabilities[_i].wait_us);
	ck_assert_int_le(wait_us, repeatabilities[_i].wait_us + 1000);
	ck_assert_uint_eq(meddler.last_written[0], repeatabilities[_i].command);
}
END_TEST

START_TEST(the_best_repeatability_is_the_default)
{
	int64_t wait_us;

	plug("sht4x", "sht4x", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_uint_eq(meddler.last_written[0], 0xfd);
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	assert_not_yet("sht4x");
}
END_TEST

START_TEST(a_serial_number_with_a_wrong_checksum_is_another_chip)
{
	plug("sht4x", "sht4x", 0);
	script("89", "ffffff ffffff");
	assert_fails(-EIO, "checksum");
	ck_assert_uint_eq(meddler.last_written[0], 0x89);
}
END_TEST

START_TEST(a_measurement_of_another_program_is_waited_for)
{
	static const uint8_t measure_high = 0xfd;
	double values[CHANNELS_MAX];

	plug("sht4x", "sht4x", 0);
	ck_assert_int_eq(i2c_write(device, &measure_high, 1), 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert(is_weather(values));
}
END_TEST

/* DS 2.2: -40 .. 125 °C */
static const struct {
	const char *answer, *words;
} implausible[] = {
	{ "0000 81 8000 a2", "temperature of -45 °C" },
	{ "ffff ac 8000 a2", "temperature of 130 °C" },
	{ "0750 51 8000 a2", "temperature of -40.0011 °C" },
};

START_TEST(values_beyond_the_chip_are_refused)
{
	plug("sht4x", "sht4x", 0);
	script("fd", implausible[_i].answer);
	assert_fails(-EIO, implausible[_i].words);
}
END_TEST

START_TEST(each_reading_is_waited_for_anew)
{
	assert_waits_anew("sht4x");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("sht4x");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, repeatability_is_a_command_and_a_time, 0,
			    (int)ARRAY_SIZE(repeatabilities));
	tcase_add_test(tests, the_best_repeatability_is_the_default);
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_test(tests, a_serial_number_with_a_wrong_checksum_is_another_chip);
	tcase_add_test(tests, a_measurement_of_another_program_is_waited_for);
	tcase_add_loop_test(tests, values_beyond_the_chip_are_refused, 0,
			    (int)ARRAY_SIZE(implausible));
	tcase_add_test(tests, each_reading_is_waited_for_anew);
	return chip_run_tests();
}
