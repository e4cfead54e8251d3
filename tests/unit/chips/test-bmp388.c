/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* BMP388, BMP390: numbers of chips that exist, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <string.h>

#include "chip-fixture.h"

/* a chip of the tests of github.com/elixir-sensors/bmp3xx; the same with other signs, and a P4 */
#define REAL	 "236b 5849 f6 5cff cef4 23 00 ea63 6e79 f3 f6 aa43 12 c4"
#define OPPOSITE "236b 5849 0a a400 320b dd 07 ea63 6e79 0d 0a 56bc ee 3c"

/*
 * Pressure stands first. The first one is what that chip said, published with its values; the others are
 * what Bosch's BMP3_SensorAPI makes with BMP3_DOUBLE_PRECISION_COMPENSATION.
 */
static const struct chip_example examples[] = {
	{ { { "31", REAL }, { "04", "979f6d 73d885" } }, { 30.499314, 1008.7600635 }, 1e-5 },
	{ { { "31", REAL }, { "04", "c0cf6a 00236b" } }, { 0, 966.1182500 }, 1e-5 },
	{ { { "31", REAL }, { "04", "404b4c 404b4c" } }, { -35.490851, 1161.2067687 }, 1e-5 },
	{ { { "31", REAL }, { "04", "405489 808d5b" } }, { -17.896243, 633.8946021 }, 1e-5 },
	{ { { "31", REAL }, { "04", "000080 010080" } }, { 23.842838, 801.3308409 }, 1e-5 },
	{ { { "31", REAL }, { "04", "010080 000080" } }, { 23.842821, 801.3306488 }, 1e-5 },
	{ { { "31", REAL }, { "04", "20aa44 c0d8a7" } }, { 69.010985, 1570.1243734 }, 1e-5 },
	{ { { "31", REAL }, { "04", "e079af 405489" } }, { 34.461257, 316.6170757 }, 1e-5 },
	{ { { "31", OPPOSITE }, { "04", "40ea70 c03983" } }, { 27.694290, 956.4712378 }, 1e-5 },
	{ { { "31", OPPOSITE }, { "04", "c0cf6a c09a5e" } }, { -14.337918, 894.9079436 }, 1e-5 },
	{ { { "31", OPPOSITE }, { "04", "608b78 408995" } }, { 48.863872, 932.5255453 }, 1e-5 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("bmp388", &examples[_i]);
	chip_tear_down();
	chip_set_up();
	assert_example("bmp390", &examples[_i]);
}
END_TEST

START_TEST(either_name_works_with_either_chip)
{
	plug("bmp388", "bmp390", 0);
	assert_measures();
	chip_tear_down();
	chip_set_up();
	plug("bmp390", "bmp388", 0);
	assert_measures();
}
END_TEST

/* DS 3.9.2 with what is longer in either data sheet, by 5.70/4.82 (table 23) at least */
static const struct {
	const char *oversampling;
	int64_t longest_us;
	uint8_t osr;
} oversamplings[] = {
	{ "1", 5888, 0x00 },  { "2", 10665, 0x09 },  { "4", 20220, 0x12 },
	{ "8", 39331, 0x1b }, { "16", 77550, 0x24 }, { "32", 153990, 0x2d },
};

START_TEST(a_measurement_takes_what_the_data_sheet_says)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("oversampling", oversamplings[_i].oversampling);
	plug("bmp388", "bmp388", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, oversamplings[_i].longest_us);
	ck_assert_int_le(wait_us, oversamplings[_i].longest_us * 11 / 10);
	ck_assert_int_eq(meddler.written_count, 3);
	ck_assert_uint_eq(meddler.written[0][0], 0x7e);
	ck_assert_uint_eq(meddler.written[0][1], 0xb6);
	ck_assert_uint_eq(meddler.written[1][0], 0x1c);
	ck_assert_uint_eq(meddler.written[1][1], oversamplings[_i].osr);
	ck_assert_uint_eq(meddler.written[2][0], 0x1b);
	ck_assert_uint_eq(meddler.written[2][1], 0x13);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), 0);
	ck_assert(is_weather(values));
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bmp388", "bmp388", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_le(wait_us, 2000);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert(is_weather(values));
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

/* one that is ready and one that is not: there is no pressure without the temperature of the same time */
START_TEST(both_must_be_ready)
{
	plug("bmp388", "bmp388", 0);
	spoil(0x03, _i ? 0x50 : 0x30);
	assert_fails(-ETIMEDOUT, "does not end its measurement");
}
END_TEST

START_TEST(each_reading_has_its_own_patience)
{
	double values[CHANNELS_MAX];
	int64_t wait_us, again_us;

	plug("bmp388", "bmp388", 0);
	for (int reading = 0; reading < 3; reading++) {
		ck_assert_int_eq(measure_start(&wait_us), 0);
		for (int i = 0; i < 12; i++)
			ck_assert_int_eq(source->driver->collect(source, values, &again_us),
					 -EAGAIN);
		ck_assert_int_eq(measure_finish(wait_us, values), 0);
	}
}
END_TEST

/* what is ready is of before then, as when another program left it unread */
START_TEST(a_chip_that_does_not_sleep_yet_is_waited_for)
{
	plug("bmp388", "bmp388", 0);
	spoil(0x1b, 0x13);
	spoil(0x03, 0x70);
	assert_fails(-ETIMEDOUT, "does not end its measurement");
}
END_TEST

START_TEST(another_chip_is_left_alone)
{
	plug("bmp388", "bmp388", 0);
	spoil(0x00, 0x58);
	assert_fails(-ENODEV, "chip id 0x58 at 0x76 on /dev/i2c-1 is no BMP388 or BMP390");
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

/* DS 4.3, ERR_REG */
static const struct {
	uint8_t err;
	const char *words;
} errors[] = {
	{ 0x01, "fatal error" },
	{ 0x02, "could not carry out its reset" },
	{ 0x04, "refuses its settings" },
};

START_TEST(what_the_chip_reports_is_told)
{
	plug("bmp388", "bmp388", 0);
	spoil(0x02, errors[_i].err);
	ck_assert_int_eq(source_open(source), -EIO);
	ck_assert_msg(strstr(source->fault, errors[_i].words), "%s", source->fault);
}
END_TEST

START_TEST(settings_that_the_chip_refuses_later_are_told)
{
	plug("bmp388", "bmp388", 0);
	assert_measures();
	spoil(0x02, 0x04);
	assert_fails(-EIO, "refuses its settings");
}
END_TEST

START_TEST(a_blank_calibration_is_noticed)
{
	plug("bmp388", "bmp388", 0);
	spoil(0x31, _i ? 0xff : 0x00);
	spoil(0x32, _i ? 0xff : 0x00);
	assert_fails(-EIO, "calibration is blank");
}
END_TEST

/* DS table 25 */
START_TEST(a_chip_that_did_not_measure)
{
	plug("bmp388", "bmp388", 0);
	script("04", "000080 000080");
	assert_fails(-EIO, "did not measure");
}
END_TEST

static const char *const nonsense[] = { "000000 000000", "ffffff ffffff", "979f6d ffffff" };

START_TEST(nonsense_is_no_reading)
{
	plug("bmp388", "bmp388", 0);
	script("04", nonsense[_i]);
	assert_fails(-EIO, "a bad chip or a disturbed bus");
}
END_TEST

START_TEST(settings_that_somebody_else_changed_are_noticed)
{
	double values[CHANNELS_MAX];

	plug("bmp388", "bmp388", 0);
	assert_measures();
	spoil(0x1c, 0x02);
	assert_fails(-EIO, "lost its settings");
	meddler.spoiled_count = 0;
	ck_assert_int_eq(measure(values), 0);
	spoil(0x1b, 0x02);
	assert_fails(-EIO, "lost its settings");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("bmp388");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_test(tests, either_name_works_with_either_chip);
	tcase_add_loop_test(tests, a_measurement_takes_what_the_data_sheet_says, 0,
			    (int)ARRAY_SIZE(oversamplings));
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_loop_test(tests, both_must_be_ready, 0, 2);
	tcase_add_test(tests, each_reading_has_its_own_patience);
	tcase_add_test(tests, a_chip_that_does_not_sleep_yet_is_waited_for);
	tcase_add_test(tests, another_chip_is_left_alone);
	tcase_add_loop_test(tests, what_the_chip_reports_is_told, 0, (int)ARRAY_SIZE(errors));
	tcase_add_test(tests, settings_that_the_chip_refuses_later_are_told);
	tcase_add_loop_test(tests, a_blank_calibration_is_noticed, 0, 2);
	tcase_add_test(tests, a_chip_that_did_not_measure);
	tcase_add_loop_test(tests, nonsense_is_no_reading, 0, (int)ARRAY_SIZE(nonsense));
	tcase_add_test(tests, settings_that_somebody_else_changed_are_noticed);
	return chip_run_tests();
}
