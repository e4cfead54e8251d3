/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* HTU21D and Si7021: the numbers of their data sheets, and what the tests of every chip do not know. "DS", "Si" as in the driver. */

#include <check.h>
#include <errno.h>
#include <string.h>

#include "chip-fixture.h"

/*
 * DS page 14: the checksums of a humidity of 0x683a and a temperature of 0x4e85; the status bits are no
 * part of them (DS page 15). Then both ends of what is specified, and cropped humidity.
 */
static const struct chip_example examples[] = {
	{ { { "f5", "683a 7c" }, { "f3", "4e85 6b" } }, { 7.0436, 44.8881 }, 0.0001 },
	{ { { "f5", "7c80 f5" }, { "f3", "6698 8f" } }, { 23.5710, 54.7910 }, 0.0001 },
	{ { { "f5", "7c82 97" }, { "f3", "6698 8f" } }, { 23.5710, 54.7910 }, 0.0001 },
	{ { { "f5", "0c48 30" }, { "f3", "09fc 3c" } }, { -39.9967, 0.0 }, 0.0001 },
	{ { { "f5", "0004 c4" }, { "f3", "09fc 3c" } }, { -39.9967, 0.0 }, 0.0001 },
	{ { { "f5", "d914 80" }, { "f3", "fa5c f5" } }, { 124.9982, 99.9952 }, 0.0001 },
	{ { { "f5", "d918 fd" }, { "f3", "fa5c f5" } }, { 124.9982, 100.0 }, 0.0001 },
	{ { { "f5", "fff8 ba" }, { "f3", "fa5c f5" } }, { 124.9982, 100.0 }, 0.0001 },
};

START_TEST(examples_of_the_htu21d)
{
	assert_example("htu21d", &examples[_i]);
}
END_TEST

START_TEST(examples_of_the_si7021)
{
	assert_example("si7021", &examples[_i]);
}
END_TEST

/* a sensor that is open or shorted says all bits 0 or 1; an idle line does, too. The range: DS page 2, Si table 5 */
static const struct {
	const char *humidity, *temperature, *words;
} broken[] = {
	{ "0000 00", "6698 8f", "humidity of -6 %" },
	{ "ffff 2d", "6698 8f", "humidity of 118.992 %" },
	{ "7c80 f5", "0000 00", "temperature of -46.85 °C" },
	{ "7c80 f5", "09f8 f8", "temperature of -40.0074 °C" },
	{ "7c80 f5", "fa60 4d", "temperature of 125.009 °C" },
};

START_TEST(a_broken_sensor_is_no_reading)
{
	plug("htu21d", "htu21d", 0);
	script("f5", broken[_i].humidity);
	script("f3", broken[_i].temperature);
	assert_fails(-EIO, broken[_i].words);
}
END_TEST

/* DS pages 3, 4; Si table 2: the longest */
static const struct {
	const char *driver;
	int64_t humidity_us, temperature_us;
} times[] = {
	{ "htu21d", 16000, 50000 },
	{ "si7021", 22800, 10800 },
};

START_TEST(each_is_waited_for_as_long_as_it_takes)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug(times[_i].driver, times[_i].driver, 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_uint_eq(meddler.last_written[0], 0xf5);
	ck_assert_int_eq(wait_us, times[_i].humidity_us);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_uint_eq(meddler.last_written[0], 0xf3);
	ck_assert_int_eq(wait_us, times[_i].temperature_us);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("htu21d", "htu21d", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(measure_finish(0, values), 0);
	ck_assert(is_weather(values));
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

/* DS page 14: two bytes and their checksum; the reads of a first reading */
START_TEST(a_flipped_bit_of_a_measurement_is_noticed)
{
	static const int reads[] = { 5, 7 };

	plug("htu21d", "htu21d", 0);
	meddler.flip_at = reads[_i / 24];
	meddler.flip_bit = _i % 24;
	assert_fails(-EIO, "checksum");
	ck_assert_int_eq(meddler.last_read, meddler.flip_at);
	ck_assert_int_eq(meddler.last_length, 3);
}
END_TEST

/* Si 5.3: the first byte of the second half of the serial number */
static const struct {
	const char *driver, *serial, *words; /* NULL: it is one */
} ids[] = {
	{ "si7021", "15ff b5 ffff 2d", NULL },
	{ "si7021", "1400 ed ffff 2d", NULL },
	{ "si7021", "0d00 40 ffff 2d", NULL },
	{ "si7021", "3200 6b 1234 b6", "chip id 0x32 at 0x40 on /dev/i2c-1 is no Si7021" },
	{ "htu21d", "3200 6b 1234 b6", NULL },
	{ "htu21d", "1234 b6 1234 b6", NULL },
	{ "htu21d", "15ff b5 ffff 2d",
	  "chip id 0x15 at 0x40 on /dev/i2c-1 is no HTU21D; driver \"si7021\" reads it" },
	{ "htu21d", "1400 ed ffff 2d", "is no HTU21D" },
	{ "htu21d", "0d00 40 ffff 2d", "is no HTU21D" },
};

START_TEST(the_serial_number_tells_the_chip)
{
	plug(ids[_i].driver, ids[_i].driver, 0);
	script("fcc9", ids[_i].serial);
	if (ids[_i].words)
		assert_fails(-ENODEV, ids[_i].words);
	else
		assert_measures();
}
END_TEST

START_TEST(a_serial_number_with_a_wrong_checksum_is_no_chip)
{
	plug("si7021", "si7021", 0);
	script("fcc9", "15ff b4 ffff 2d");
	assert_fails(-EIO, "checksum");
}
END_TEST

static uint8_t user_register(void)
{
	uint8_t user = 0;

	ck_assert_int_eq(i2c_read_registers(device, 0xe7, &user, 1), 0);
	return user;
}

/* DS page 13: heater on, 11 bits; DS page 12: a reset does not end the heating */
START_TEST(heater_and_resolution_of_another_program_are_set_right)
{
	const char *driver = _i == 0 ? "htu21d" : "si7021";
	uint8_t initial;

	plug(driver, driver, 0);
	initial = user_register();
	ck_assert_int_eq(i2c_write_register(device, 0xe6, initial | 0x85), 0);
	ck_assert_uint_eq(user_register(), initial | 0x85);
	assert_measures();
	ck_assert_uint_eq(user_register(), initial);
}
END_TEST

START_TEST(a_user_register_that_is_right_is_not_written)
{
	plug("htu21d", "htu21d", 0);
	assert_measures();
	for (int i = 0; i < meddler.written_count; i++)
		ck_assert_uint_ne(meddler.written[i][0], 0xe6);
}
END_TEST

START_TEST(each_reading_is_waited_for_anew)
{
	assert_waits_anew("htu21d");
}
END_TEST

START_TEST(each_of_the_two_measurements_has_its_own_limit)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("htu21d", "htu21d", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	for (int i = 0; i < 2; i++) {
		for (int poll = 0; poll < 6; poll++) /* of 9 */
			ck_assert_int_eq(source->driver->collect(source, values, &wait_us),
					 -EAGAIN);
		now_us += 60000;
		ck_assert_int_eq(source->driver->collect(source, values, &wait_us),
				 i == 0 ? -EAGAIN : 0);
	}
	ck_assert(is_weather(values));
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("htu21d");

	tcase_add_loop_test(tests, examples_of_the_htu21d, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, examples_of_the_si7021, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, a_broken_sensor_is_no_reading, 0, (int)ARRAY_SIZE(broken));
	tcase_add_loop_test(tests, each_is_waited_for_as_long_as_it_takes, 0,
			    (int)ARRAY_SIZE(times));
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_loop_test(tests, a_flipped_bit_of_a_measurement_is_noticed, 0, 48);
	tcase_add_loop_test(tests, the_serial_number_tells_the_chip, 0, (int)ARRAY_SIZE(ids));
	tcase_add_test(tests, a_serial_number_with_a_wrong_checksum_is_no_chip);
	tcase_add_loop_test(tests, heater_and_resolution_of_another_program_are_set_right, 0, 2);
	tcase_add_test(tests, a_user_register_that_is_right_is_not_written);
	tcase_add_test(tests, each_reading_is_waited_for_anew);
	tcase_add_test(tests, each_of_the_two_measurements_has_its_own_limit);
	return chip_run_tests();
}
