/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* LM75: the numbers of the data sheets, and what the tests of every chip do not know. "DS", "TI" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/*
 * 11 bits: DS 7.4.3, table 10. 9 bits: STLM75 (ST, 13296 rev. 12), table 3; the same numbers of the LM75,
 * whose lower 7 bits are undefined, but never a step (TI page 11).
 */
static const struct chip_example examples[] = {
	{ { { "00", "7f00" } }, { 127.0 }, 1e-9 },   { { { "00", "7ee0" } }, { 126.875 }, 1e-9 },
	{ { { "00", "7e20" } }, { 126.125 }, 1e-9 }, { { { "00", "7d00" } }, { 125.0 }, 1e-9 },
	{ { { "00", "1900" } }, { 25.0 }, 1e-9 },    { { { "00", "0020" } }, { 0.125 }, 1e-9 },
	{ { { "00", "0000" } }, { 0.0 }, 1e-9 },     { { { "00", "ffe0" } }, { -0.125 }, 1e-9 },
	{ { { "00", "e700" } }, { -25.0 }, 1e-9 },   { { { "00", "c920" } }, { -54.875 }, 1e-9 },
	{ { { "00", "c900" } }, { -55.0 }, 1e-9 },   { { { "00", "0080" } }, { 0.5 }, 1e-9 },
	{ { { "00", "ff80" } }, { -0.5 }, 1e-9 },    { { { "00", "d800" } }, { -40.0 }, 1e-9 },
	{ { { "00", "191f" } }, { 25.0 }, 1e-9 },    { { { "00", "e77f" } }, { -25.0 }, 0.5 },
};

START_TEST(examples_of_the_data_sheets)
{
	assert_example("lm75", &examples[_i]);
}
END_TEST

static const struct {
	const char *raw, *words;
} implausible[] = {
	{ "7f20", "temperature of 127.125 °C" },
	{ "c8e0", "temperature of -55.125 °C" },
	{ "8000", "temperature of -128 °C" },
};

START_TEST(values_beyond_the_chip_are_refused)
{
	plug("lm75", "lm75", 0);
	script("00", implausible[_i].raw);
	assert_fails(-EIO, implausible[_i].words);
}
END_TEST

/* reserved bits: a TMP102, an ADS1115, nobody at all; both limits 0; a configuration that does not stay (TMP117) */
static const struct {
	const char *config, *hysteresis, *limit;
	const char *words;
} strangers[] = {
	{ "60", "4b00", "5000", "chip id 0x60 at 0x48 on /dev/i2c-1 is no LM75" },
	{ "85", "8000", "7fff", "chip id 0x85 at 0x48 on /dev/i2c-1 is no LM75" },
	{ "ff", "ffff", "ffff", "chip id 0xff at 0x48 on /dev/i2c-1 is no LM75" },
	{ "00", "0000", "0000", "chip id 0x00 at 0x48 on /dev/i2c-1 is no LM75" },
	{ "02", "6000", "8000", "chip id 0x02 at 0x48 on /dev/i2c-1 is no LM75" },
};

START_TEST(another_chip_is_no_lm75)
{
	plug("lm75", "lm75", 0);
	script("01", strangers[_i].config);
	script("02", strangers[_i].hysteresis);
	script("03", strangers[_i].limit);
	assert_fails(-ENODEV, strangers[_i].words);
	ck_assert_int_eq(meddler.written_count, _i == 4 ? 1 : 0);
}
END_TEST

/* limits that somebody set are kept; one of them may be 0 */
START_TEST(limits_are_left_alone)
{
	static const uint8_t freezing[] = { 0x02, 0x00, 0x00 };
	uint8_t found[2] = { 0xff, 0xff };

	plug("lm75", "lm75", 0);
	ck_assert_int_eq(i2c_write(device, freezing, sizeof(freezing)), 0);
	assert_measures();
	ck_assert_int_eq(i2c_read_registers(device, 0x02, found, sizeof(found)), 0);
	ck_assert_uint_eq(found[0], 0);
	ck_assert_uint_eq(found[1], 0);
}
END_TEST

/* National's LM75: what is asked before its conversion has ended begins anew, and says the same for ever */
START_TEST(each_reading_waits_for_a_conversion)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("lm75", "lm75", 0);
	for (int reading = 0; reading < 200; reading++) {
		ck_assert_int_eq(measure_start(&wait_us), 0);
		ck_assert_int_ge(wait_us, 300000);
		ck_assert_int_eq(measure_finish(wait_us, values), 0);
		ck_assert_double_eq_tol(values[0], sim_weather(chip, "temperature"), 0.07);
	}
}
END_TEST

START_TEST(a_chip_that_was_shut_down_is_started)
{
	plug("lm75", "lm75", 0);
	ck_assert_int_eq(i2c_write_register(device, 0x01, 0x1f), 0);
	assert_measures();
}
END_TEST

START_TEST(a_chip_that_was_shut_down_in_between_is_noticed)
{
	plug("lm75", "lm75", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write_register(device, 0x01, 0x09), 0);
	assert_fails(-EIO, "lost its settings");
	now_us += 1000000;
	assert_measures();
}
END_TEST

START_TEST(it_works_up_to_its_last_address)
{
	plug("lm75", "lm75", 0x4f);
	assert_measures();
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("lm75");

	tcase_add_loop_test(tests, examples_of_the_data_sheets, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, values_beyond_the_chip_are_refused, 0,
			    (int)ARRAY_SIZE(implausible));
	tcase_add_loop_test(tests, another_chip_is_no_lm75, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(tests, limits_are_left_alone);
	tcase_add_test(tests, each_reading_waits_for_a_conversion);
	tcase_add_test(tests, a_chip_that_was_shut_down_is_started);
	tcase_add_test(tests, a_chip_that_was_shut_down_in_between_is_noticed);
	tcase_add_test(tests, it_works_up_to_its_last_address);
	return chip_run_tests();
}
