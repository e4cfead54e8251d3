/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SCD4x: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 3.5.2, table 11: 500 ppm, 25 °C, 37 % */
static const struct chip_example examples[] = {
	{ { { "ec05", "01f4 33 6667 a2 5eb9 3c" } }, { 500, 25.0, 37.0 }, 0.003 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("scd4x", &examples[_i]);
}
END_TEST

static uint16_t ask(uint16_t command)
{
	uint8_t bytes[] = { (uint8_t)(command >> 8), (uint8_t)command, 0 };

	ck_assert_int_eq(i2c_write(device, bytes, 2), 0);
	now_us += 1000;
	ck_assert_int_eq(i2c_read(device, bytes, 3), 0);
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void tell(uint16_t command)
{
	const uint8_t bytes[] = { (uint8_t)(command >> 8), (uint8_t)command };

	ck_assert_int_eq(i2c_write(device, bytes, sizeof(bytes)), 0);
}

START_TEST(the_altitude_is_told_to_the_chip)
{
	set_option("altitude", "1950"); /* DS 3.6.3, the example */
	plug("scd4x", "scd4x", 0);
	assert_measures();
	tell(0x3f86);
	now_us += 500000;
	ck_assert_uint_eq(ask(0x2322), 1950);
}
END_TEST

START_TEST(the_first_shot_is_dropped)
{
	double values[CHANNELS_MAX];
	int64_t began_us;

	set_option("single_shot", "1");
	plug("scd4x", "scd4x", 0);
	began_us = now_us;
	ck_assert_int_eq(measure(values), 0);
	ck_assert_int_ge(now_us - began_us,
			 10500000); /* DS 3.10, table 9: stopped, and two shots */
	ck_assert(is_weather(values));

	began_us = now_us;
	ck_assert_int_eq(measure(values), 0);
	ck_assert_int_lt(now_us - began_us, 5100000);
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

START_TEST(who_reads_too_often_waits_for_the_next_measurement)
{
	double values[CHANNELS_MAX];
	int64_t began_us;

	plug("scd4x", "scd4x", 0);
	ck_assert_int_eq(measure(values), 0);
	began_us = now_us;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(measure(values), 0);
	ck_assert_int_ge(now_us - began_us, 9 * 5000000LL);
	ck_assert_int_le(now_us - began_us, 11 * 5000000LL);
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

START_TEST(who_reads_slowly_does_not_wait)
{
	double values[CHANNELS_MAX];
	int64_t began_us;

	plug("scd4x", "scd4x", 0);
	ck_assert_int_eq(measure(values), 0);
	now_us += 10000000;
	began_us = now_us;
	ck_assert_int_eq(measure(values), 0);
	ck_assert_int_lt(now_us - began_us, 10000);
}
END_TEST

START_TEST(a_chip_that_measures_already_is_stopped_first)
{
	plug("scd4x", "scd4x", 0);
	tell(0x21b1);
	now_us += 12345678;
	assert_measures();
}
END_TEST

START_TEST(a_sleeping_chip_is_woken_for_the_next_try)
{
	double values[CHANNELS_MAX];

	plug("scd4x", "scd4x", 0);
	tell(0x36e0);
	now_us += 1000;
	assert_fails(-ENXIO, "no device answered at 0x62 on /dev/i2c-1");
	now_us += 1000000;
	ck_assert_int_eq(measure(values), 0);
	ck_assert(is_weather(values));
}
END_TEST

START_TEST(a_chip_that_measured_no_co2_is_no_reading)
{
	plug("scd4x", "scd4x", 0);
	script("ec05", "000081 6667a2 5eb93c");
	assert_fails(-EIO, "co2 of 0 ppm");
}
END_TEST

START_TEST(the_shot_that_is_dropped_has_its_own_limit)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("single_shot", "1");
	plug("scd4x", "scd4x", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN); /* stopped */
	for (int i = 0; i < 2; i++) {
		for (int poll = 0; poll < 8; poll++) /* of 12 */
			ck_assert_int_eq(source->driver->collect(source, values, &wait_us),
					 -EAGAIN);
		now_us += 5000000;
		ck_assert_int_eq(source->driver->collect(source, values, &wait_us),
				 i == 0 ? -EAGAIN : 0);
	}
	ck_assert(is_weather(values));
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("scd4x");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_test(tests, the_altitude_is_told_to_the_chip);
	tcase_add_test(tests, the_first_shot_is_dropped);
	tcase_add_test(tests, who_reads_too_often_waits_for_the_next_measurement);
	tcase_add_test(tests, who_reads_slowly_does_not_wait);
	tcase_add_test(tests, a_chip_that_measures_already_is_stopped_first);
	tcase_add_test(tests, a_sleeping_chip_is_woken_for_the_next_try);
	tcase_add_test(tests, a_chip_that_measured_no_co2_is_no_reading);
	tcase_add_test(tests, the_shot_that_is_dropped_has_its_own_limit);
	return chip_run_tests();
}
