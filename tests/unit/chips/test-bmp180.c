/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* BMP180: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <string.h>

#include "chip-fixture.h"

/* DS 3.5, and a chip that exists (its readings stand in the tests of github.com/zorxx/bmp180) */
#define WORKED "0198 ffb8 c7d1 7fe5 7ff5 5a71 182e 0004 8000 ddf9 0b34"
#define REAL   "2302 fb56 c6a5 84e2 62d9 45d0 1973 0030 8000 d1f6 0a4a"

/* the first of WORKED is the data sheet's, the first two of REAL are the chip's; the rest is Bosch's bmp180.c */
static const struct {
	const char *calibration, *oversampling, *ut, *up;
	double celsius, pascal;
} examples[] = {
	{ WORKED, "1", "6cfa", "5d2300", 15.0, 69964 },
	{ REAL, "1", "65ba", "a76400", 22.6, 98900 },
	{ REAL, "4", "6573", "a66600", 22.1, 98032 },
	{ WORKED, "1", "5c30", "753000", -30.9, 79439 },
	{ WORKED, "8", "5f50", "83d600", -19.3, 92033 },
	{ WORKED, "2", "5f50", "5bcc00", -19.3, 63675 },
	{ WORKED, "8", "9088", "be6e00", 79.8, 165304 },
	{ WORKED, "1", "6cfa", "ea6000", 15.0, 178458 }, /* B7 over 0x80000000 */
	{ WORKED, "8", "5974", "f42400", -44.2, 162068 },
	{ REAL, "8", "5014", "927c00", -19.7, 72771 },
	{ REAL, "2", "7d00", "c35000", 57.1, 131366 },
};

/* a reading in which the chip says @ut and then @up. Return: collect()'s */
static int measure_raw(const char *ut, const char *up, double values[static CHANNELS_MAX])
{
	int64_t wait_us;

	script("f6", ut);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	script("f6", up);
	return measure_finish(wait_us, values);
}

START_TEST(examples_of_the_data_sheet)
{
	double values[CHANNELS_MAX];

	set_option("oversampling", examples[_i].oversampling);
	plug("bmp180", "bmp180", 0);
	script("aa", examples[_i].calibration);
	ck_assert_int_eq(measure_raw(examples[_i].ut, examples[_i].up, values), 0);
	ck_assert_double_eq_tol(values[0], examples[_i].celsius, 1e-9);
	ck_assert_double_eq_tol(values[1], examples[_i].pascal / 100, 1e-9);
}
END_TEST

/* DS 3.3.1, 5.2 */
static const struct {
	const char *oversampling;
	int64_t longest_us;
	uint8_t ctrl;
} conversions[] = {
	{ "1", 4500, 0x34 },
	{ "2", 7500, 0x74 },
	{ "4", 13500, 0xb4 },
	{ "8", 25500, 0xf4 },
};

START_TEST(a_conversion_takes_what_the_data_sheet_says)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("oversampling", conversions[_i].oversampling);
	plug("bmp180", "bmp180", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 4500);
	ck_assert_uint_eq(meddler.written[1][1], 0x2e);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(wait_us, conversions[_i].longest_us);
	ck_assert_uint_eq(meddler.written[2][0], 0xf4);
	ck_assert_uint_eq(meddler.written[2][1], conversions[_i].ctrl);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert(is_weather(values));
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bmp180", "bmp180", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_le(wait_us, 1000);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert(is_weather(values));
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

/* asks @times in vain, then when it is done. Return: the last answer */
static int collect_impatiently(int times, int64_t wait_us, double values[static CHANNELS_MAX])
{
	int64_t again_us;

	for (int i = 0; i < times; i++)
		ck_assert_int_eq(source->driver->collect(source, values, &again_us), -EAGAIN);
	now_us += wait_us;
	return source->driver->collect(source, values, &again_us);
}

START_TEST(each_conversion_has_its_own_patience)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bmp180", "bmp180", 0);
	for (int reading = 0; reading < 3; reading++) {
		ck_assert_int_eq(measure_start(&wait_us), 0);
		ck_assert_int_eq(collect_impatiently(6, wait_us, values), -EAGAIN);
		ck_assert_int_eq(collect_impatiently(6, 4500, values), 0);
	}
}
END_TEST

START_TEST(another_chip_is_left_alone)
{
	plug("bmp180", "bmp180", 0);
	spoil(0xd0, 0x58);
	assert_fails(-ENODEV, "chip id 0x58 at 0x77 on /dev/i2c-1 is no BMP180");
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

/* DS 3.4: each of the eleven words */
START_TEST(a_blank_word_of_the_calibration_is_noticed)
{
	plug("bmp180", "bmp180", 0);
	spoil((uint8_t)(0xaa + 2 * (_i % 11)), _i / 11 ? 0xff : 0x00);
	spoil((uint8_t)(0xab + 2 * (_i % 11)), _i / 11 ? 0xff : 0x00);
	assert_fails(-EIO, "calibration is blank");
}
END_TEST

START_TEST(a_loss_of_power_between_the_two_conversions_is_noticed)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bmp180", "bmp180", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	sim_chip_restart(chip, NULL);
	ck_assert_int_eq(measure_finish(wait_us, values), -EIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "lost its settings"));
}
END_TEST

/* DS 4: what OUT has before the first conversion is a value as any other after one */
START_TEST(half_of_the_scale_is_a_value)
{
	double values[CHANNELS_MAX];

	plug("bmp180", "bmp180", 0);
	script("aa", REAL);
	ck_assert_int_eq(measure_raw("8000", "800000", values), 0);
}
END_TEST

/* what makes the formulas divide by zero, or something that no air is */
static const struct {
	const char *calibration, *ut, *up, *words;
} nonsense[] = {
	{ "0198 ffb8 c7d1 7fe5 8000 6cfa 182e 0004 8000 ddf9 0001", "6cf9", "5d2300",
	  "temperature of 6250" },
	{ "0198 ffb8 7fff 7fe5 7ff5 5a71 8001 7fff 8000 ddf9 0b34", "0001", "5d2300",
	  "temperature of" },
	{ "0198 ffb8 c7d1 0001 7ff5 5a71 182e 0004 8000 ddf9 0b34", "6cfa", "5d2300",
	  "pressure of" },
	{ "0198 ffb8 7fff 0001 7ff5 5a71 182e 0004 8000 ddf9 0b34", "6cfa", "5d2300",
	  "pressure of -0.01" },
	{ WORKED, "6cfa", "000000", "pressure of -" },
	{ WORKED, "ffff", "5d2300", "temperature of" },
};

START_TEST(nonsense_is_no_reading)
{
	double values[CHANNELS_MAX];

	plug("bmp180", "bmp180", 0);
	script("aa", nonsense[_i].calibration);
	ck_assert_int_eq(measure_raw(nonsense[_i].ut, nonsense[_i].up, values), -EIO);
	ck_assert_msg(strstr(source->fault, nonsense[_i].words), "%s", source->fault);
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("bmp180");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, a_conversion_takes_what_the_data_sheet_says, 0,
			    (int)ARRAY_SIZE(conversions));
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_test(tests, each_conversion_has_its_own_patience);
	tcase_add_test(tests, another_chip_is_left_alone);
	tcase_add_loop_test(tests, a_blank_word_of_the_calibration_is_noticed, 0, 22);
	tcase_add_test(tests, a_loss_of_power_between_the_two_conversions_is_noticed);
	tcase_add_test(tests, half_of_the_scale_is_a_value);
	tcase_add_loop_test(tests, nonsense_is_no_reading, 0, (int)ARRAY_SIZE(nonsense));
	return chip_run_tests();
}
