/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* BH1750: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "chip-fixture.h"

/* DS 10, read format: 28067 lx; DS 7: 28000 lx / 65535; DS 11: 0.83 lx a count */
static const struct chip_example examples[] = {
	{ { { "20", "8390" } }, { 28066.667 }, 0.001 },
	{ { { "20", "0001" } }, { 0.8333 }, 0.0001 },
	{ { { "20", "fffe" } }, { 54611.667 }, 0.001 },
	{ { { "20", "0000" } }, { 0 }, 1e-9 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("bh1750", &examples[_i]);
}
END_TEST

/* DS 11: a count is 1/1.2 lx x 69/X, and half of it in H-resolution mode 2; DS 2: the longest times, in ms */
static const struct {
	const char *resolution, *time_us;
	uint8_t high_bits, low_bits, mode;
	double lux_of_1000;
	int64_t wait_us;
} settings[] = {
	{ "high", "120000", 0x42, 0x65, 0x20, 833.333, 180000 },
	{ "high2", "120000", 0x42, 0x65, 0x21, 416.667, 180000 },
	{ "low", "120000", 0x42, 0x65, 0x23, 833.333, 24000 },
	{ "high", "240000", 0x44, 0x6a, 0x20, 416.667, 360000 }, /* DS 11's example: 138 */
	{ "high2", "442000", 0x47, 0x7e, 0x21, 113.189, 662608 },
	{ "high", "54000", 0x40, 0x7f, 0x20, 1854.839, 80869 },
};

START_TEST(settings_are_instructions_and_a_time)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;
	char mode[3];

	set_option("resolution", settings[_i].resolution);
	set_option("integration_time", settings[_i].time_us);
	plug("bh1750", "bh1750", 0);
	for (int transfer = 5; transfer <= 6; transfer++) {
		meddler.transfers = 0;
		meddler.fail_at = transfer;
		meddler.error = -EIO;
		ck_assert_int_eq(measure_start(&wait_us), -EIO);
		ck_assert_uint_eq(meddler.last_written[0],
				  transfer == 5 ? settings[_i].high_bits : settings[_i].low_bits);
	}
	meddler.fail_at = 0;
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_uint_eq(meddler.last_written[0], settings[_i].mode);
	ck_assert_int_ge(wait_us, settings[_i].wait_us);
	(void)snprintf(mode, sizeof(mode), "%02x", settings[_i].mode);
	script(mode, "03e8");
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_double_eq_tol(values[0], settings[_i].lux_of_1000, 0.001);
}
END_TEST

START_TEST(the_end_of_the_scale_is_no_reading)
{
	plug("bh1750", "bh1750", 0);
	script("20", "ffff");
	assert_fails(-ERANGE, "saturated: 54612 lx or more");
}
END_TEST

START_TEST(darkness_is_measured_twice)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bh1750", "bh1750", 0);
	script("20", "0000");
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_ge(wait_us, 180000);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_double_eq_tol(values[0], 0, 1e-9);
}
END_TEST

START_TEST(a_chip_without_power_is_measured_again)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("integration_time", "240000");
	plug("bh1750", "bh1750", 0);
	assert_measures();
	ck_assert_int_eq(measure_start(&wait_us), 0);
	sim_chip_restart(chip, NULL);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_double_eq_tol(values[0], sim_weather(chip, "illuminance"), 1);
	assert_measures();
}
END_TEST

START_TEST(what_another_program_measures_is_not_ours)
{
	static const uint8_t on = 0x01, continuously = 0x13, high_bits = 0x47;
	double values[CHANNELS_MAX];

	plug("bh1750", "bh1750", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, &on, 1), 0);
	ck_assert_int_eq(i2c_write(device, &high_bits, 1), 0);
	ck_assert_int_eq(i2c_write(device, &continuously, 1), 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], sim_weather(chip, "illuminance"), 1);
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("bh1750");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, settings_are_instructions_and_a_time, 0,
			    (int)ARRAY_SIZE(settings));
	tcase_add_test(tests, the_end_of_the_scale_is_no_reading);
	tcase_add_test(tests, darkness_is_measured_twice);
	tcase_add_test(tests, a_chip_without_power_is_measured_again);
	tcase_add_test(tests, what_another_program_measures_is_not_ours);
	return chip_run_tests();
}
