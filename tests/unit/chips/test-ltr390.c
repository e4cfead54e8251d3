/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* LTR-390UV: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <string.h>

#include "chip-fixture.h"

/* DS "Calculating Lux" and "UV Index", by hand: 0.6 x counts / (gain x INT); counts / 2300 at gain 18 and 400 ms */
static const struct {
	const char *gain, *time, *ambient, *ultraviolet;
	double lux, uv_index;
} examples[] = {
	{ "18", "400ms", "e80300", "fc0800", 8.33333, 1 },
	{ "18", "400ms", "feff0f", "feff0f", 8738.1167, 455.90174 },
	{ "3", "100ms", "e80300", "600000", 200, 1.0017391 },
	{ "3", "100ms", "000000", "000000", 0, 0 },
	{ "3", "100ms", "feff03", "e80300", 52428.4, 10.434783 },
	{ "1", "100ms", "e80300", "200000", 600, 1.0017391 },
	{ "6", "100ms", "e80300", "e80300", 100, 5.2173913 },
	{ "9", "100ms", "e80300", "e80300", 66.666667, 3.4782609 },
	{ "3", "200ms", "e80300", "e80300", 100, 5.2173913 },
	{ "3", "50ms", "e80300", "e80300", 400, 20.869565 },
	{ "3", "25ms", "e80300", "e80300", 800, 41.73913 },
	{ "3", "12.5ms", "e80300", "e80300", 1600, 83.478261 },
	{ "3", "100ms", "e803f0", "6000f0", 200, 1.0017391 }, /* bits that are no data */
};

START_TEST(lux_and_uv_index_are_those_of_the_data_sheet)
{
	double values[CHANNELS_MAX];

	set_option("gain", examples[_i].gain);
	set_option("integration_time", examples[_i].time);
	plug("ltr390", "ltr390", 0);
	script("0d", examples[_i].ambient);
	script("10", examples[_i].ultraviolet);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], examples[_i].lux, 1e-9 + examples[_i].lux * 1e-6);
	ck_assert_double_eq_tol(values[1], examples[_i].uv_index,
				1e-9 + examples[_i].uv_index * 1e-6);
}
END_TEST

/* DS "ALS_UVS_MEAS_RATE", "ALS_UVS_GAIN" */
static const struct {
	const char *gain, *time;
	uint8_t rate, gain_code;
	int64_t wait_us;
} settings[] = {
	{ "1", "400ms", 0x04, 0, 410000 }, { "3", "200ms", 0x13, 1, 210000 },
	{ "6", "100ms", 0x22, 2, 110000 }, { "9", "50ms", 0x31, 3, 60000 },
	{ "18", "25ms", 0x40, 4, 35000 },  { "18", "12.5ms", 0x50, 4, 22500 },
};

START_TEST(settings_are_registers_and_a_time)
{
	int64_t wait_us;

	set_option("gain", settings[_i].gain);
	set_option("integration_time", settings[_i].time);
	plug("ltr390", "ltr390", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, settings[_i].wait_us);
	ck_assert_uint_eq(meddler.written[1][0], 0x04);
	ck_assert_uint_eq(meddler.written[1][1], settings[_i].rate);
	ck_assert_uint_eq(meddler.written[2][0], 0x05);
	ck_assert_uint_eq(meddler.written[2][1], settings[_i].gain_code);
}
END_TEST

/* full scale: as many bits as the integration time has */
static const struct {
	const char *time, *key, *full, *words;
} ends[] = {
	{ "400ms", "0d", "ffff0f", "illuminance is saturated" },
	{ "200ms", "0d", "ffff07", "illuminance is saturated" },
	{ "100ms", "0d", "ffff03", "illuminance is saturated" },
	{ "100ms", "10", "ffff03", "uv_index is saturated: too bright for this gain" },
	{ "50ms", "10", "ffff01", "uv_index is saturated" },
	{ "25ms", "10", "ffff00", "uv_index is saturated" },
	{ "12.5ms", "10", "ff1f00", "uv_index is saturated" },
};

START_TEST(full_scale_is_no_reading)
{
	set_option("integration_time", ends[_i].time);
	plug("ltr390", "ltr390", 0);
	script(ends[_i].key, ends[_i].full);
	assert_fails(-ERANGE, ends[_i].words);
}
END_TEST

static const struct {
	const char *id, *words;
} strangers[] = {
	{ "00", "chip id 0x00 at 0x53 on /dev/i2c-1 is no LTR-390UV" },
	{ "a2", "chip id 0xa2 at 0x53 on /dev/i2c-1 is no LTR-390UV" },
	{ "60", "chip id 0x60 at 0x53 on /dev/i2c-1 is no LTR-390UV" }, /* ENS160, the low byte */
};

START_TEST(another_chip_is_left_alone)
{
	plug("ltr390", "ltr390", 0);
	script("06", strangers[_i].id);
	assert_fails(-ENODEV, strangers[_i].words);
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

START_TEST(a_later_revision_is_the_same_chip)
{
	plug("ltr390", "ltr390", 0);
	script("06", "b3");
	assert_measures();
}
END_TEST

START_TEST(one_reading_is_two_measurements_and_then_standby)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;
	uint8_t reg = 0, ctrl;

	plug("ltr390", "ltr390", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_uint_eq(meddler.last_written[0], 0x00);
	ck_assert_uint_eq(meddler.last_written[1], 0x0a);
	ck_assert_int_ge(wait_us, 120000);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert(is_weather(values));
	ck_assert_int_eq(i2c_write_read(device, &reg, 1, &ctrl, 1), 0);
	ck_assert_uint_eq(ctrl, 0);
}
END_TEST

/* the old data of another program are still there, with "new data" */
START_TEST(what_another_program_measured_is_not_ours)
{
	static const uint8_t gain[] = { 0x05, 0x04 }, enable[] = { 0x00, 0x02 };
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("ltr390", "ltr390", 0);
	ck_assert_int_eq(i2c_write(device, gain, 2), 0);
	ck_assert_int_eq(i2c_write(device, enable, 2), 0);
	now_us += 1000000;
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(150000, values), 0);
	ck_assert(is_weather(values));
}
END_TEST

START_TEST(each_of_the_two_measurements_has_its_own_limit)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("ltr390", "ltr390", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	for (int i = 0; i < 2; i++) {
		for (int poll = 0; poll < 6; poll++) /* of 9 */
			ck_assert_int_eq(source->driver->collect(source, values, &wait_us),
					 -EAGAIN);
		now_us += 200000;
		ck_assert_int_eq(source->driver->collect(source, values, &wait_us),
				 i == 0 ? -EAGAIN : 0);
	}
	ck_assert(is_weather(values));
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("ltr390");

	tcase_add_loop_test(tests, lux_and_uv_index_are_those_of_the_data_sheet, 0,
			    (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, settings_are_registers_and_a_time, 0, (int)ARRAY_SIZE(settings));
	tcase_add_loop_test(tests, full_scale_is_no_reading, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(tests, another_chip_is_left_alone, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(tests, a_later_revision_is_the_same_chip);
	tcase_add_test(tests, one_reading_is_two_measurements_and_then_standby);
	tcase_add_test(tests, what_another_program_measured_is_not_ours);
	tcase_add_test(tests, each_of_the_two_measurements_has_its_own_limit);
	return chip_run_tests();
}
