/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* AHT20: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/*
 * What a real chip said (github.com/bilbobg/aht20, README.md); then the formulas of DS 6.1, 6.2: at 25 °C
 * and 50 %, just below 0 °C, and at both ends of what is specified.
 */
static const struct chip_example examples[] = {
	{ { { "ac", "1c 3b5e8 688b2 d2" } }, { 31.674576, 23.191071 }, 1e-6 },
	{ { { "ac", "1c 80000 60000 4e" } }, { 25.0, 50.0 }, 1e-9 },
	{ { { "ac", "1c 73333 3ffff b7" } }, { -0.000191, 44.999981 }, 1e-6 },
	{ { { "ac", "1c 00000 0cccd 4d" } }, { -39.999962, 0.0 }, 1e-6 },
	{ { { "ac", "1c fffff acccc 1c" } }, { 84.999847, 99.999905 }, 1e-6 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("aht20", &examples[_i]);
}
END_TEST

START_TEST(a_flipped_bit_of_a_measurement_is_noticed)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("aht20", "aht20", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	meddler.flip_at = meddler.transfers + 1;
	meddler.flip_bit = _i;
	if (_i == 7) { /* busy: it is asked again, and says what it is then */
		ck_assert_int_eq(measure_finish(wait_us, values), 0);
		ck_assert(is_weather(values));
		return;
	}
	ck_assert_int_eq(measure_finish(wait_us, values), -EIO);
	ck_assert_str_ne(source->fault, "");
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("aht20", "aht20", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 80000); /* DS 5.4 */
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert(is_weather(values));
}
END_TEST

static bool wrote(uint8_t command)
{
	return meddler.last_written[0] == command;
}

/* DS 5.4: only a chip without its calibration is initialised */
START_TEST(the_calibration_is_loaded_where_it_is_missing)
{
	plug("aht20", "aht20", 0);
	ck_assert_int_eq(source_open(source), 0);
	ck_assert(wrote(0xbe));
	source_close(source);
	ck_assert_int_eq(source_open(source), 0);
	ck_assert(wrote(0xba));
	source_close(source);
	assert_measures();
}
END_TEST

START_TEST(a_chip_without_calibration_is_refused)
{
	plug("aht20", "aht20", 0);
	script("ba", "14");
	script("be0800", "14");
	assert_fails(-EIO, "status 0x14 at 0x38 on /dev/i2c-1: no AHT20, or a bad one");
}
END_TEST

/* right checksums, all of them. DS tables 1, 2: -40 .. 85 °C */
static const struct {
	const char *answer, *words;
} bad[] = {
	{ "14 80000 60000 94", "lost its settings" },
	{ "10 80000 60000 f9", "lost its settings" },
	{ "1c 00000 00000 58", "temperature of -50 °C" },
	{ "1c 80000 0cccc cf", "temperature of -40.0002 °C" },
	{ "1c 80000 acccd 20", "temperature of 85 °C" },
};

START_TEST(what_cannot_be_is_no_reading)
{
	plug("aht20", "aht20", 0);
	script("ac", bad[_i].answer);
	assert_fails(-EIO, bad[_i].words);
}
END_TEST

START_TEST(a_measurement_of_another_program_does_no_harm)
{
	static const uint8_t trigger[] = { 0xac, 0x33, 0x00 };

	plug("aht20", "aht20", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, trigger, sizeof(trigger)), 0);
	source_close(source);
	assert_measures();
}
END_TEST

START_TEST(each_reading_is_waited_for_anew)
{
	assert_waits_anew("aht20");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("aht20");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, a_flipped_bit_of_a_measurement_is_noticed, 0, 56);
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_test(tests, the_calibration_is_loaded_where_it_is_missing);
	tcase_add_test(tests, a_chip_without_calibration_is_refused);
	tcase_add_loop_test(tests, what_cannot_be_is_no_reading, 0, (int)ARRAY_SIZE(bad));
	tcase_add_test(tests, a_measurement_of_another_program_does_no_harm);
	tcase_add_test(tests, each_reading_is_waited_for_anew);
	return chip_run_tests();
}
