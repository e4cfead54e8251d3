/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TMP102: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS page 7, table 6 (13 bits, bit 0 set), and page 6, table 5 (12 bits); both from the left */
static const struct chip_example examples[] = {
	{ { { "00", "4b01" } }, { 150.0 }, 1e-9 },    { { { "00", "4001" } }, { 128.0 }, 1e-9 },
	{ { { "00", "3ff9" } }, { 127.9375 }, 1e-9 }, { { { "00", "3201" } }, { 100.0 }, 1e-9 },
	{ { { "00", "2801" } }, { 80.0 }, 1e-9 },     { { { "00", "2581" } }, { 75.0 }, 1e-9 },
	{ { { "00", "1901" } }, { 50.0 }, 1e-9 },     { { { "00", "0c81" } }, { 25.0 }, 1e-9 },
	{ { { "00", "0021" } }, { 0.25 }, 1e-9 },     { { { "00", "0001" } }, { 0.0 }, 1e-9 },
	{ { { "00", "ffe1" } }, { -0.25 }, 1e-9 },    { { { "00", "f381" } }, { -25.0 }, 1e-9 },
	{ { { "00", "e481" } }, { -55.0 }, 1e-9 },    { { { "00", "7ff0" } }, { 127.9375 }, 1e-9 },
	{ { { "00", "6400" } }, { 100.0 }, 1e-9 },    { { { "00", "1900" } }, { 25.0 }, 1e-9 },
	{ { { "00", "0040" } }, { 0.25 }, 1e-9 },     { { { "00", "0000" } }, { 0.0 }, 1e-9 },
	{ { { "00", "ffc0" } }, { -0.25 }, 1e-9 },    { { { "00", "e700" } }, { -25.0 }, 1e-9 },
	{ { { "00", "c900" } }, { -55.0 }, 1e-9 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("tmp102", &examples[_i]);
}
END_TEST

static const struct {
	const char *raw, *words;
} implausible[] = {
	{ "4b09", "temperature of 150.062 °C" },
	{ "e479", "temperature of -55.0625 °C" },
	{ "8000", "temperature of -128 °C" },
};

START_TEST(values_beyond_the_chip_are_refused)
{
	plug("tmp102", "tmp102", 0);
	script("00", implausible[_i].raw);
	assert_fails(-EIO, implausible[_i].words);
}
END_TEST

/* DS page 7, table 7: R1 and R0 are set and the last four are clear. TMP117, ADS1115, LM75; nobody at all */
static const char *const strangers[] = { "0220", "8583", "0000", "ffff", "60a1" };

START_TEST(another_chip_is_left_alone)
{
	plug("tmp102", "tmp102", 0);
	script("01", strangers[_i]);
	assert_fails(-ENODEV, "at 0x48 on /dev/i2c-1 is no TMP102");
	ck_assert_int_eq(meddler.transfers, 1);
}
END_TEST

static uint16_t config(void)
{
	uint8_t found[2];

	ck_assert_int_eq(i2c_read_registers(device, 0x01, found, sizeof(found)), 0);
	return (uint16_t)(found[0] << 8 | found[1]);
}

/* DS page 8: only a chip that is shut down takes a shot */
START_TEST(the_first_shot_waits_for_the_shutdown)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tmp102", "tmp102", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_uint_eq(meddler.last_written[1] & 0x80, 0);
	ck_assert_int_eq(wait_us, 35000); /* DS page 3 */
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_uint_eq(meddler.last_written[1] & 0x81, 0x81);
	ck_assert_int_eq(wait_us, 35000);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(35000, values), 0);
	ck_assert_str_eq(chip->complaint, "");
	ck_assert_double_eq_tol(values[0], sim_weather(chip, "temperature"), 0.04);
}
END_TEST

/* shut down in another mode; each 4 s, as comparator; 8 times a second, in extended mode */
static const uint8_t foreign[][3] = { { 0x01, 0x61, 0x80 },
				      { 0x01, 0x7e, 0x20 },
				      { 0x01, 0x60, 0xf0 } };

START_TEST(what_another_program_set_is_set_right)
{
	plug("tmp102", "tmp102", 0);
	ck_assert_int_eq(i2c_write(device, foreign[_i], sizeof(foreign[_i])), 0);
	assert_measures();
	ck_assert_uint_eq(config() & 0x7fdf, 0x6190);
}
END_TEST

START_TEST(another_mode_in_between_is_noticed)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tmp102", "tmp102", 0);
	assert_measures();
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(i2c_write(device, foreign[_i], sizeof(foreign[_i])), 0);
	ck_assert_int_eq(measure_finish(0, values), -EIO);
	now_us += 1000000;
	assert_measures();
}
END_TEST

START_TEST(each_reading_is_waited_for_anew)
{
	assert_waits_anew("tmp102");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("tmp102");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, values_beyond_the_chip_are_refused, 0,
			    (int)ARRAY_SIZE(implausible));
	tcase_add_loop_test(tests, another_chip_is_left_alone, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(tests, the_first_shot_waits_for_the_shutdown);
	tcase_add_loop_test(tests, what_another_program_set_is_set_right, 0,
			    (int)ARRAY_SIZE(foreign));
	tcase_add_loop_test(tests, another_mode_in_between_is_noticed, 0, (int)ARRAY_SIZE(foreign));
	tcase_add_test(tests, each_reading_is_waited_for_anew);
	return chip_run_tests();
}
