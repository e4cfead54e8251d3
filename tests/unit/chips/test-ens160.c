/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ENS160: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 16.2.8 .. 16.2.10: low byte first; both ends of DS table 6; the AQI has 3 bits */
static const struct chip_example examples[] = {
	{ { { "21", "02 ae00 9402" } }, { 2, 174, 660 }, 1e-9 },
	{ { { "21", "01 0000 9001" } }, { 1, 0, 400 }, 1e-9 },
	{ { { "21", "05 e8fd e8fd" } }, { 5, 65000, 65000 }, 1e-9 },
	{ { { "21", "fb 0100 9101" } }, { 3, 1, 401 }, 1e-9 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("ens160", &examples[_i]);
}
END_TEST

/* DS 16.2.7: bits 3 and 2, whatever the others say */
static const struct {
	const char *status, *words;
	int error;
} states[] = {
	{ "87", "warms up, for 3 minutes", -ENODATA },
	{ "84", "warms up", -ENODATA },
	{ "8b", "starts up, which takes an hour", -ENODATA },
	{ "8f", "not valid", -ENODATA },
	{ "c2", "reports an error (status 0xc2)", -EIO },
	{ "80", "does not end", -ETIMEDOUT },
	{ "02", "does not end", -ETIMEDOUT },
};

START_TEST(what_the_chip_calls_not_valid_is_no_reading)
{
	plug("ens160", "ens160", 0);
	assert_measures();
	script("20", states[_i].status);
	assert_fails(states[_i].error, states[_i].words);
}
END_TEST

/* or it would warm up for ever: the emulated chip complains of a mode that ends a measurement */
START_TEST(a_chip_that_warms_up_is_not_begun_anew)
{
	plug("ens160", "ens160", 0);
	assert_measures();
	script("20", "87");
	for (int i = 0; i < 20; i++) {
		assert_fails(-ENODATA, "warms up");
		now_us += 10000000;
	}
	script("20", "83");
	assert_measures();
}
END_TEST

START_TEST(a_chip_with_an_error_is_begun_anew)
{
	double values[CHANNELS_MAX];

	plug("ens160", "ens160", 0);
	assert_measures();
	script("20", "c2");
	assert_fails(-EIO, "reports an error");
	meddler.written_count = 0;
	ck_assert_int_eq(measure(values), -EIO);
	ck_assert_int_ge(meddler.written_count, 3);
	ck_assert_uint_eq(meddler.written[0][0], 0x10);
	ck_assert_uint_eq(meddler.written[0][1], 0xf0);
}
END_TEST

static uint8_t ask(uint8_t reg)
{
	uint8_t value;

	ck_assert_int_eq(i2c_read_registers(device, reg, &value, 1), 0);
	return value;
}

/* DS 16.2.5, 16.2.6: 25 °C is 0x4a8a, 50 % is 0x6400 */
START_TEST(it_is_told_25_degrees_and_50_percent)
{
	plug("ens160", "ens160", 0);
	assert_measures();
	ck_assert_uint_eq(ask(0x13), 0x8a);
	ck_assert_uint_eq(ask(0x14), 0x4a);
	ck_assert_uint_eq(ask(0x15), 0x00);
	ck_assert_uint_eq(ask(0x16), 0x64);
}
END_TEST

START_TEST(who_reads_too_often_waits_for_new_data)
{
	int64_t began_us;

	plug("ens160", "ens160", 0);
	assert_measures();
	began_us = now_us;
	for (int i = 0; i < 10; i++)
		assert_measures();
	ck_assert_int_ge(now_us - began_us, 9 * 1000000LL);
	ck_assert_int_le(now_us - began_us, 13 * 1000000LL);
}
END_TEST

START_TEST(who_reads_slowly_does_not_wait)
{
	int64_t began_us;

	plug("ens160", "ens160", 0);
	assert_measures();
	now_us += 10000000;
	began_us = now_us;
	assert_measures();
	ck_assert_int_lt(now_us - began_us, 2000);
}
END_TEST

static const struct {
	const char *id, *words;
} strangers[] = {
	{ "6101", "chip id 0x161 at 0x53 on /dev/i2c-1 is no ENS160" }, /* ENS161 */
	{ "0160", "chip id 0x6001 at 0x53" },
};

START_TEST(another_chip_is_left_alone)
{
	plug("ens160", "ens160", 0);
	script("00", strangers[_i].id);
	assert_fails(-ENODEV, strangers[_i].words);
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

START_TEST(a_chip_that_was_put_to_sleep_is_noticed)
{
	static const uint8_t sleep[] = { 0x10, 0x00 };

	plug("ens160", "ens160", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, sleep, sizeof(sleep)), 0);
	assert_fails(-EIO, "lost its settings");
}
END_TEST

START_TEST(an_eco2_of_nothing_is_no_reading)
{
	plug("ens160", "ens160", 0);
	script("21", "01 0000 0000");
	assert_fails(-EIO, "eco2 of 0 ppm");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("ens160");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, what_the_chip_calls_not_valid_is_no_reading, 0,
			    (int)ARRAY_SIZE(states));
	tcase_add_test(tests, a_chip_that_warms_up_is_not_begun_anew);
	tcase_add_test(tests, a_chip_with_an_error_is_begun_anew);
	tcase_add_test(tests, it_is_told_25_degrees_and_50_percent);
	tcase_add_test(tests, who_reads_too_often_waits_for_new_data);
	tcase_add_test(tests, who_reads_slowly_does_not_wait);
	tcase_add_loop_test(tests, another_chip_is_left_alone, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(tests, a_chip_that_was_put_to_sleep_is_noticed);
	tcase_add_test(tests, an_eco2_of_nothing_is_no_reading);
	return chip_run_tests();
}
