/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SGP40: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS table 11: the word is the signal; DS 4.6: the checksum of 0xbeef. The ends are signals, too */
static const struct chip_example examples[] = {
	{ { { "260f", "beef 92" } }, { 48879 }, 1e-9 },
	{ { { "260f", "8000 a2" } }, { 32768 }, 1e-9 },
	{ { { "260f", "0000 81" } }, { 0 }, 1e-9 },
	{ { { "260f", "ffff ac" } }, { 65535 }, 1e-9 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("sgp40", &examples[_i]);
}
END_TEST

/* DS table 9: 26 0f 80 00 a2 66 66 93; the emulated chip looks at the words behind, and at their checksums */
START_TEST(it_measures_without_compensation)
{
	static const uint8_t command[] = { 0x26, 0x0f, 0x80, 0x00 };
	double values[CHANNELS_MAX];

	plug("sgp40", "sgp40", 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_mem_eq(meddler.last_written, command, sizeof(command));
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

START_TEST(the_chip_tests_itself_once)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("sgp40", "sgp40", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, 320000); /* DS table 8 */
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 30000);
}
END_TEST

static const struct {
	const char *result;
	bool is_good;
} tests_of_itself[] = {
	{ "d400 c6", true },
	{ "d405 33", true },
	{ "4b00 12", false },
	{ "4b01 23", false },
};

START_TEST(a_self_test_that_fails_is_told)
{
	plug("sgp40", "sgp40", 0);
	script("280e", tests_of_itself[_i].result);
	if (tests_of_itself[_i].is_good)
		assert_measures();
	else
		assert_fails(-EIO, "self-test fails (0x4b0");
}
END_TEST

START_TEST(a_measurement_of_another_program_is_waited_for)
{
	static const uint8_t measure_raw[] = { 0x26, 0x0f, 0x80, 0x00, 0xa2, 0x66, 0x66, 0x93 };
	double values[CHANNELS_MAX];

	plug("sgp40", "sgp40", 0);
	ck_assert_int_eq(i2c_write(device, measure_raw, sizeof(measure_raw)), 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert(is_weather(values));
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("sgp40", "sgp40", 0);
	assert_measures();
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(30000, values), 0);
	ck_assert(is_weather(values));
}
END_TEST

/* DS 3.1; that of a cold hotplate is far off */
START_TEST(the_first_signal_is_dropped)
{
	static const uint8_t heater_off[] = { 0x36, 0x15 };

	plug("sgp40", "sgp40", 0);
	assert_measures();
	source_close(source);
	ck_assert_int_eq(i2c_write(device, heater_off, sizeof(heater_off)), 0);
	now_us += 1000;
	assert_measures();
	assert_measures();
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("sgp40");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_test(tests, it_measures_without_compensation);
	tcase_add_test(tests, the_chip_tests_itself_once);
	tcase_add_loop_test(tests, a_self_test_that_fails_is_told, 0,
			    (int)ARRAY_SIZE(tests_of_itself));
	tcase_add_test(tests, a_measurement_of_another_program_is_waited_for);
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_test(tests, the_first_signal_is_dropped);
	return chip_run_tests();
}
