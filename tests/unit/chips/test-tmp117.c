/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TMP117: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 7.3.3, table 7-1, and both ends of what is specified (DS 6.3) */
static const struct chip_example examples[] = {
	{ { { "00", "f380" } }, { -25.0 }, 1e-9 },	{ { { "00", "fff0" } }, { -0.125 }, 1e-9 },
	{ { { "00", "ffff" } }, { -0.0078125 }, 1e-9 }, { { { "00", "0000" } }, { 0.0 }, 1e-9 },
	{ { { "00", "0001" } }, { 0.0078125 }, 1e-9 },	{ { { "00", "0010" } }, { 0.125 }, 1e-9 },
	{ { { "00", "0080" } }, { 1.0 }, 1e-9 },	{ { { "00", "0c80" } }, { 25.0 }, 1e-9 },
	{ { { "00", "3200" } }, { 100.0 }, 1e-9 },	{ { { "00", "e480" } }, { -55.0 }, 1e-9 },
	{ { { "00", "4b00" } }, { 150.0 }, 1e-9 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("tmp117", &examples[_i]);
}
END_TEST

/* DS table 7-1; -256 °C is also what is there before the first conversion (DS 7.6.1) */
static const struct {
	const char *raw, *words;
} implausible[] = {
	{ "8000", "temperature of -256 °C" },
	{ "7fff", "temperature of 255.992 °C" },
	{ "e47f", "temperature of -55.0078 °C" },
	{ "4b01", "temperature of 150.008 °C" },
};

START_TEST(values_beyond_the_chip_are_refused)
{
	plug("tmp117", "tmp117", 0);
	script("00", implausible[_i].raw);
	assert_fails(-EIO, implausible[_i].words);
}
END_TEST

/* DS 7.6.11: the lower 12 bits */
static const struct {
	const char *id, *words; /* NULL: it is one */
} ids[] = {
	{ "0117", NULL },
	{ "2117", NULL },
	{ "0116", "chip id 0x116 at 0x48 on /dev/i2c-1 is no TMP117" },
	{ "1116", "is no TMP117" }, /* TMP116 */
	{ "0000", "is no TMP117" },
};

START_TEST(the_id_tells_the_chip)
{
	plug("tmp117", "tmp117", 0);
	script("0f", ids[_i].id);
	if (ids[_i].words)
		assert_fails(-ENODEV, ids[_i].words);
	else
		assert_measures();
}
END_TEST

static uint16_t config(void)
{
	uint8_t found[2];

	ck_assert_int_eq(i2c_read_registers(device, 0x01, found, sizeof(found)), 0);
	return (uint16_t)(found[0] << 8 | found[1]);
}

START_TEST(the_mean_of_eight_conversions_is_waited_for)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tmp117", "tmp117", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_uint_eq(config() & 0x0c60, 0x0c20); /* one shot of 8 */
	ck_assert_int_eq(wait_us, 140000);	      /* DS 6.5 */
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(140000, values), 0);
	ck_assert_uint_eq(config() & 0x0c00, 0x0400); /* shut down */
	ck_assert_double_eq_tol(values[0], sim_weather(chip, "temperature"), 0.01);
}
END_TEST

/* DS 7.4.1: continuous, 64 conversions in 16 s; DS 7.4.2: shut down */
static const uint8_t foreign[][3] = { { 0x01, 0x03, 0xe0 }, { 0x01, 0x04, 0x20 } };

START_TEST(what_another_program_set_is_set_right)
{
	plug("tmp117", "tmp117", 0);
	ck_assert_int_eq(i2c_write(device, foreign[_i], sizeof(foreign[_i])), 0);
	assert_measures();
}
END_TEST

START_TEST(another_mode_in_between_is_noticed)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tmp117", "tmp117", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(i2c_write(device, foreign[_i], sizeof(foreign[_i])), 0);
	ck_assert_int_eq(measure_finish(wait_us, values), _i == 0 ? -EIO : -ETIMEDOUT);
	now_us += 1000000;
	assert_measures();
}
END_TEST

/* DS 7.6.8: somebody's calibration of 1 °C */
START_TEST(the_offset_is_the_chips_own)
{
	static const uint8_t offset[] = { 0x07, 0x00, 0x80 };
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tmp117", "tmp117", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(i2c_write(device, offset, sizeof(offset)), 0);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_double_eq_tol(values[0], sim_weather(chip, "temperature") + 1, 0.01);
}
END_TEST

START_TEST(each_reading_is_waited_for_anew)
{
	assert_waits_anew("tmp117");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("tmp117");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, values_beyond_the_chip_are_refused, 0,
			    (int)ARRAY_SIZE(implausible));
	tcase_add_loop_test(tests, the_id_tells_the_chip, 0, (int)ARRAY_SIZE(ids));
	tcase_add_test(tests, the_mean_of_eight_conversions_is_waited_for);
	tcase_add_loop_test(tests, what_another_program_set_is_set_right, 0,
			    (int)ARRAY_SIZE(foreign));
	tcase_add_loop_test(tests, another_mode_in_between_is_noticed, 0, (int)ARRAY_SIZE(foreign));
	tcase_add_test(tests, the_offset_is_the_chips_own);
	tcase_add_test(tests, each_reading_is_waited_for_anew);
	return chip_run_tests();
}
