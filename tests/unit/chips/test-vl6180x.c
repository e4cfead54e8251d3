/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* VL6180X: the numbers of the data sheet, and what the tests of every chip do not know. "DS", "AN" as in the driver. */

#include <check.h>
#include <errno.h>
#include <string.h>

#include "chip-fixture.h"

/* DS 6.2, RESULT__RANGE_VAL: millimetres */
static const struct chip_example examples[] = {
	{ { { "0062", "00" } }, { 0 }, 1e-9 },
	{ { { "0062", "64" } }, { 100 }, 1e-9 },
	{ { { "0062", "fe" } }, { 254 }, 1e-9 },
	{ { { "0062", "64" }, { "004f", "44" } }, { 100 }, 1e-9 }, /* bits of the other events */
};

START_TEST(distance_is_in_millimetres)
{
	assert_example("vl6180x", &examples[_i]);
}
END_TEST

/* DS 6.2, RESULT__RANGE_STATUS; while the chip is ready (bit 0) */
static const struct {
	const char *status;
	int error;
	const char *words;
} errors[] = {
	{ "11", -EIO, "the laser failed its continuity test (error 1)" },
	{ "21", -EIO, "the laser failed its watchdog test (error 2)" },
	{ "31", -EIO, "the watchdog stopped the laser (error 3)" },
	{ "41", -EIO, "the first PLL does not lock (error 4)" },
	{ "51", -EIO, "the second PLL does not lock (error 5)" },
	{ "61", -ERANGE, "no target in range: the early convergence estimate failed (error 6)" },
	{ "71", -ERANGE, "no target in range: nothing converged in time (error 7)" },
	{ "81", -ERANGE, "no target in range: below the threshold that is ignored (error 8)" },
	{ "91", -EIO, "an error that the data sheet does not know (error 9)" },
	{ "a1", -EIO, "an error that the data sheet does not know (error 10)" },
	{ "b1", -ERANGE, "too much ambient light for the signal of the target (error 11)" },
	{ "c1", -ERANGE, "out of range: the raw distance is below 0 (error 12)" },
	{ "d1", -ERANGE, "out of range: the target is too far away (raw) (error 13)" },
	{ "e1", -ERANGE, "out of range: the distance is below 0 (error 14)" },
	{ "f1", -ERANGE, "out of range: the target is too far away (error 15)" },
};

START_TEST(each_error_is_told_in_words)
{
	plug("vl6180x", "vl6180x", 0);
	script("004d", errors[_i].status);
	assert_fails(errors[_i].error, errors[_i].words);
}
END_TEST

START_TEST(the_end_of_the_scale_is_no_distance)
{
	plug("vl6180x", "vl6180x", 0);
	script("0062", "ff");
	assert_fails(-ERANGE, "out of range: 255 mm");
}
END_TEST

START_TEST(another_chip_is_left_alone)
{
	plug("vl6180x", "vl6180x", 0);
	script("0000", "ee"); /* VL53L0X */
	assert_fails(-ENODEV, "chip id 0xee at 0x29 on /dev/i2c-1 is no VL6180X");
	ck_assert_int_eq(meddler.transfers, 1);
}
END_TEST

/* the emulated chip complains of a range without them */
START_TEST(a_chip_fresh_out_of_reset_gets_its_settings_anew)
{
	double values[CHANNELS_MAX];

	plug("vl6180x", "vl6180x", 0);
	assert_measures();
	sim_chip_restart(chip, NULL);
	ck_assert_int_eq(measure(values), -EIO);
	ck_assert_msg(strstr(source->fault, "lost its settings"), "%s", source->fault);
	assert_measures();
}
END_TEST

START_TEST(continuous_ranging_of_another_program_is_ended)
{
	static const uint8_t continuously[] = { 0x00, 0x18, 0x03 };
	double values[CHANNELS_MAX];

	plug("vl6180x", "vl6180x", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, continuously, sizeof(continuously)), 0);
	source_close(source);
	ck_assert_int_eq(measure(values), 0);
	ck_assert(is_weather(values));
	ck_assert_str_eq(chip->complaint, "");
	assert_measures();
}
END_TEST

/* AN 9, "Recommended: public registers"; the convergence time as after power-on */
static const struct {
	uint8_t number[2], theirs, ours;
} settings[] = {
	{ { 0x00, 0x11 }, 0x20, 0x10 }, { { 0x01, 0x0a }, 0x40, 0x30 },
	{ { 0x00, 0x1c }, 0x3f, 0x31 }, { { 0x00, 0x31 }, 0x00, 0xff },
	{ { 0x02, 0xa3 }, 0x01, 0x00 }, { { 0x00, 0x14 }, 0x01, 0x04 },
	{ { 0x00, 0x16 }, 0x01, 0x00 }, { { 0x00, 0x97 }, 0x7f, 0xfd }, /* twice the range */
};

START_TEST(settings_of_another_program_are_replaced)
{
	uint8_t change[3] = { settings[_i].number[0], settings[_i].number[1], settings[_i].theirs };
	uint8_t found;

	plug("vl6180x", "vl6180x", 0);
	ck_assert_int_eq(i2c_write(device, change, sizeof(change)), 0);
	assert_measures();
	ck_assert_int_eq(i2c_write_read(device, settings[_i].number, 2, &found, 1), 0);
	ck_assert_uint_eq(found, settings[_i].ours);
}
END_TEST

START_TEST(a_range_of_another_program_is_waited_for)
{
	static const uint8_t once[] = { 0x00, 0x18, 0x01 };

	plug("vl6180x", "vl6180x", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, once, sizeof(once)), 0);
	assert_measures();
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("vl6180x", "vl6180x", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	for (int collects = 0; collects < 3; collects++) /* the first begins it */
		ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(60000, values), 0);
	ck_assert(is_weather(values));
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("vl6180x");

	tcase_add_loop_test(tests, distance_is_in_millimetres, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, each_error_is_told_in_words, 0, (int)ARRAY_SIZE(errors));
	tcase_add_test(tests, the_end_of_the_scale_is_no_distance);
	tcase_add_test(tests, another_chip_is_left_alone);
	tcase_add_test(tests, a_chip_fresh_out_of_reset_gets_its_settings_anew);
	tcase_add_test(tests, continuous_ranging_of_another_program_is_ended);
	tcase_add_loop_test(tests, settings_of_another_program_are_replaced, 0,
			    (int)ARRAY_SIZE(settings));
	tcase_add_test(tests, a_range_of_another_program_is_waited_for);
	tcase_add_test(tests, too_early_is_not_yet);
	return chip_run_tests();
}
