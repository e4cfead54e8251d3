/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* HDC1080: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 8.6.1, 8.6.2: the formulas, at both ends, in the middle, and near zero */
static const struct chip_example examples[] = {
	{ { { "00", "8000 8000" } }, { 42.5, 50.0 }, 1e-9 },
	{ { { "00", "0000 4000" } }, { -40.0, 25.0 }, 1e-9 },
	{ { { "00", "0004 0000" } }, { -39.98993, 0.0 }, 1e-5 },
	{ { { "00", "3e0c 0004" } }, { -0.00885, 0.00610 }, 1e-5 },
	{ { { "00", "64d8 7334" } }, { 24.99695, 45.0012 }, 1e-4 },
	{ { { "00", "fffc fffc" } }, { 124.98993, 99.99390 }, 1e-5 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("hdc1080", &examples[_i]);
}
END_TEST

/* DS 8.6.5, 8.6.6 */
static const struct {
	const char *manufacturer, *device, *words;
} strangers[] = {
	{ "0054", "1050", "chip id 0x54 at 0x40 on /dev/i2c-1 is no HDC1080" },
	{ "5449", "1000", "chip id 0x1000 at 0x40 on /dev/i2c-1 is no HDC1080" }, /* HDC1008 */
	{ "5449", "07d0", "chip id 0x7d0 at 0x40 on /dev/i2c-1 is no HDC1080" },  /* HDC2080 */
};

START_TEST(another_chip_is_left_alone)
{
	plug("hdc1080", "hdc1080", 0);
	script("fe", strangers[_i].manufacturer);
	script("ff", strangers[_i].device);
	assert_fails(-ENODEV, strangers[_i].words);
	ck_assert_uint_eq(meddler.last_written[0] & 0xfe, 0xfe); /* asked, and not written */
}
END_TEST

START_TEST(both_are_waited_for)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("hdc1080", "hdc1080", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 12850); /* DS 7.5 */
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(20000, values), 0);
	ck_assert(is_weather(values));
}
END_TEST

/* DS 8.6.3: heater, one at a time, 11 and 8 bits */
START_TEST(settings_of_another_program_are_set_right)
{
	static const uint8_t config[] = { 0x02, 0x26, 0x00 };
	uint8_t found[2];

	plug("hdc1080", "hdc1080", 0);
	ck_assert_int_eq(i2c_write(device, config, sizeof(config)), 0);
	assert_measures();
	ck_assert_int_eq(i2c_read_registers(device, 0x02, found, sizeof(found)), 0);
	ck_assert_uint_eq(found[0], 0x10);
	ck_assert_uint_eq(found[1], 0x00);
}
END_TEST

/* DS 8.6, table 1: what the registers have after power-on; and a line that nobody pulls down */
START_TEST(a_chip_that_measured_nothing_is_no_reading)
{
	plug("hdc1080", "hdc1080", 0);
	script("00", _i == 0 ? "0000 0000" : "ffff ffff");
	assert_fails(-EIO, "lost its settings");
}
END_TEST

START_TEST(each_reading_is_waited_for_anew)
{
	assert_waits_anew("hdc1080");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("hdc1080");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, another_chip_is_left_alone, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(tests, both_are_waited_for);
	tcase_add_test(tests, settings_of_another_program_are_set_right);
	tcase_add_loop_test(tests, a_chip_that_measured_nothing_is_no_reading, 0, 2);
	tcase_add_test(tests, each_reading_is_waited_for_anew);
	return chip_run_tests();
}
