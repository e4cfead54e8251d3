/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The driver for BME280 and BMP280 over the emulated chip, over a chip of fixed registers for the
 * numbers of the data sheets, and with a bus between that spoils what passes. "DS" as in the driver.
 */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chip-fixture.h"
#include "fixture.h"

static void assert_weather(double celsius, double percent, double hectopascal)
{
	ck_assert_double_ge(celsius, 19 - 0.01);
	ck_assert_double_le(celsius, 23 + 0.01);
	ck_assert_double_ge(percent, 35 - 0.1);
	ck_assert_double_le(percent, 55 + 0.1);
	ck_assert_double_ge(hectopascal, 1008 - 0.1);
	ck_assert_double_le(hectopascal, 1018 + 0.1);
}

START_TEST(a_bme280_measures_all_three)
{
	double values[CHANNELS_MAX];

	plug("bme280", "bme280", 0);
	ck_assert_uint_eq(source->channel_count, 3);
	ck_assert_int_eq(measure(values), 0);
	assert_weather(values[0], values[1], values[2]);
}
END_TEST

START_TEST(a_bmp280_measures_two)
{
	double values[CHANNELS_MAX];

	plug("bmp280", "bmp280", 0);
	ck_assert_uint_eq(source->channel_count, 2);
	ck_assert_int_eq(measure(values), 0);
	assert_weather(values[0], 45, values[1]);
}
END_TEST

START_TEST(the_driver_bme280_on_a_bmp280_has_no_humidity)
{
	double values[CHANNELS_MAX];

	plug("bme280", "bmp280", 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert(isnan(values[1]));
	assert_weather(values[0], 45, values[2]);
}
END_TEST

START_TEST(the_driver_bmp280_on_a_bme280_leaves_humidity_out)
{
	double values[CHANNELS_MAX];

	plug("bmp280", "bme280", 0);
	ck_assert_int_eq(measure(values), 0);
	assert_weather(values[0], 45, values[1]);
}
END_TEST

START_TEST(readings_follow_the_weather)
{
	double first[CHANNELS_MAX], later[CHANNELS_MAX];

	plug("bme280", "bme280", 0);
	ck_assert_int_eq(measure(first), 0);
	now_us += 150 * 1000000LL;
	ck_assert_int_eq(measure(later), 0);
	ck_assert_double_gt(fabs(first[0] - later[0]), 0.1);
	ck_assert_double_gt(fabs(first[1] - later[1]), 0.1);
}
END_TEST

/* DS 9.1: the longest measurement at each oversampling */
static const struct {
	const char *oversampling;
	int64_t bme280_us, bmp280_us;
	uint8_t osrs;
} oversamplings[] = {
	{ "1", 9300, 6425, 1 },	  { "2", 16200, 11025, 2 },   { "4", 30000, 20225, 3 },
	{ "8", 57600, 38625, 4 }, { "16", 112800, 75425, 5 },
};

START_TEST(a_measurement_takes_what_the_data_sheet_says)
{
	uint8_t osrs = oversamplings[_i].osrs;
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("oversampling", oversamplings[_i].oversampling);
	plug("bme280", "bme280", 0);
	ck_assert_int_eq(source_open(source), 0);
	meddler.written_count = 0;
	ck_assert_int_eq(source->driver->start(source, &wait_us), 0);
	ck_assert_int_eq(wait_us, oversamplings[_i].bme280_us);
	ck_assert_int_eq(meddler.written_count, 2);
	ck_assert_uint_eq(meddler.written[0][0], 0xf2); /* before ctrl_meas, or it has no effect */
	ck_assert_uint_eq(meddler.written[0][1], osrs);
	ck_assert_uint_eq(meddler.written[1][0], 0xf4);
	ck_assert_uint_eq(meddler.written[1][1], (uint8_t)(osrs << 5 | osrs << 2 | 1));

	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), 0);
	assert_weather(values[0], values[1], values[2]);
}
END_TEST

START_TEST(a_bmp280_is_faster)
{
	int64_t wait_us;

	set_option("oversampling", oversamplings[_i].oversampling);
	plug("bmp280", "bmp280", 0);
	ck_assert_int_eq(source_open(source), 0);
	meddler.written_count = 0;
	ck_assert_int_eq(source->driver->start(source, &wait_us), 0);
	ck_assert_int_eq(wait_us, oversamplings[_i].bmp280_us);
	ck_assert_int_eq(meddler.written_count, 1); /* it has no ctrl_hum */
}
END_TEST

START_TEST(an_oversampling_that_is_none_is_refused)
{
	static const char *const bad[] = { "0", "3", "5", "32", "-1" };

	set_option("oversampling", bad[_i]);
	plug("bme280", "bme280", 0);
	assert_fails(-EINVAL, "oversampling must be 1, 2, 4, 8 or 16");
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bme280", "bme280", 0);
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_eq(source->driver->start(source, &wait_us), 0);
	wait_us = -1;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_gt(wait_us, 0);
	ck_assert_int_le(wait_us, 5000);
}
END_TEST

/* --- The numbers of the data sheets ------------------------------------------------------------ */

/* the worked example of BST-BMP280-DS001 3.12 */
static const int example[] = { 27504, 26435, -1000, 36477, -10685, 3024,
			       2855,  140,   -7,    15500, -14600, 6000 };

static void spoil_20_bits(uint8_t reg, uint32_t raw)
{
	spoil(reg, (uint8_t)(raw >> 12));
	spoil((uint8_t)(reg + 1), (uint8_t)(raw >> 4));
	spoil((uint8_t)(reg + 2), (uint8_t)(raw << 4));
}

/* from 0x88 on, low byte first (DS 4.2.2) */
static void spoil_trim(const int *trim, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		spoil((uint8_t)(0x88 + 2 * i), (uint8_t)trim[i]);
		spoil((uint8_t)(0x89 + 2 * i), (uint8_t)(trim[i] >> 8));
	}
}

START_TEST(the_worked_example_of_the_data_sheet)
{
	double values[CHANNELS_MAX];

	plug("bmp280", "bmp280", 0);
	spoil_trim(example, ARRAY_SIZE(example));
	spoil_20_bits(0xfa, 519888);
	spoil_20_bits(0xf7, 415148);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], 25.08, 0.005);
	ck_assert_double_eq_tol(values[1] * 100, 100653.27, 0.01);
}
END_TEST

/* hexadecimal digits, as the registers from @reg on */
static void spoil_hex(uint8_t reg, const char *digits)
{
	for (size_t i = 0; digits[2 * i] != '\0'; i++) {
		char byte[] = { digits[2 * i], digits[2 * i + 1], '\0' };

		spoil((uint8_t)(reg + i), (uint8_t)strtoul(byte, NULL, 16));
	}
}

/* @text is a number, or "-" for one that nobody published */
static void assert_published(double value, const char *text, double tolerance)
{
	if (strcmp(text, "-") != 0)
		ck_assert_double_eq_tol(value, strtod(text, NULL), tolerance);
}

/* a line of the file has five words of registers and three of values; false: it is a comment */
static bool real_chip(char *line, char *words[static 8])
{
	int count = 0;

	for (char *word = strtok(line, " \n"); word && *word != '#'; word = strtok(NULL, " \n")) {
		ck_assert_int_lt(count, 8);
		words[count++] = word;
	}
	ck_assert(count == 0 || count == 8);
	return count > 0;
}

static void assert_real_chip(char *words[static 8])
{
	bool humidity = strcmp(words[0], "60") == 0;
	const char *name = humidity ? "bme280" : "bmp280";
	double values[CHANNELS_MAX];

	chip_set_up();
	plug(name, name, 0);
	spoil_hex(0x88, words[1]);
	spoil_hex(0xa1, words[2]);
	spoil_hex(0xe1, words[3]);
	spoil_hex(0xf7, words[4]);
	ck_assert_int_eq(measure(values), 0);
	assert_published(values[0], words[5], 0.005);
	assert_published(values[humidity ? 2 : 1] * 100, words[6],
			 0.3); /* by integers: 0.27 less */
	if (humidity)
		assert_published(values[1], words[7], 0.05);
	chip_tear_down();
}

START_TEST(chips_that_exist)
{
	FILE *file = fopen(IOTD_SOURCE "/tests/vm/guest/bme280-chips", "re");
	char line[256], *words[8];
	int chips = 0;

	ck_assert_ptr_nonnull(file);
	chip_tear_down();
	while (fgets(line, sizeof(line), file)) {
		if (!real_chip(line, words))
			continue;
		assert_real_chip(words);
		chips++;
	}
	ck_assert_int_ge(chips, 5);
	(void)fclose(file);
}
END_TEST

/* DS 4.2.3, BME280_compensate_H_int32(), as % x 1024; h: h1 .. h6 */
static int32_t percent_by_integers(int32_t raw, int32_t t_fine, const int32_t h[static 6])
{
	int32_t v = t_fine - 76800;
	int32_t a = (raw * 16384 - h[3] * 1048576 - h[4] * v + 16384) >> 15;
	int32_t b = ((((v * h[5]) >> 10) * (((v * h[2]) >> 11) + 32768)) >> 10) + 2097152;

	v = a * ((b * h[1] + 8192) >> 14);
	v = v - (((((v >> 15) * (v >> 15)) >> 7) * h[0]) >> 4);
	v = v < 0 ? 0 : v > 419430400 ? 419430400 : v;
	return v >> 12;
}

/* two chips' trimming: plain, and with what the first has not: h3, negative h4, h5 and h6 */
static const int32_t trims_h[][6] = {
	{ 75, 370, 0, 313, 50, 30 },
	{ 80, 340, 5, 380, -20, -9 },
};

static void spoil_trim_h(const int32_t h[static 6])
{
	spoil(0xa1, (uint8_t)h[0]);
	spoil(0xe1, (uint8_t)h[1]);
	spoil(0xe2, (uint8_t)(h[1] >> 8));
	spoil(0xe3, (uint8_t)h[2]);
	spoil(0xe4, (uint8_t)(h[3] >> 4));
	spoil(0xe5, (uint8_t)((h[3] & 15) | (h[4] & 15) << 4));
	spoil(0xe6, (uint8_t)(h[4] >> 4));
	spoil(0xe7, (uint8_t)h[5]);
}

START_TEST(humidity_agrees_with_the_integer_formula)
{
	const int32_t *h = trims_h[_i];
	double values[CHANNELS_MAX];
	int between = 0;

	plug("bme280", "bme280", 0);
	spoil_trim_h(h);
	spoil_20_bits(0xfa, 519888); /* t_fine 128422, BST-BMP280-DS001 3.12 */
	spoil_20_bits(0xf7, 415148);
	for (int32_t raw = 0; raw < 65536; raw += 771) {
		double expected = percent_by_integers(raw, 128422, h) / 1024.0;

		meddler.spoiled_count = 14;
		spoil(0xfd, (uint8_t)(raw >> 8));
		spoil(0xfe, (uint8_t)raw);
		ck_assert_int_eq(measure(values), 0);
		ck_assert_double_eq_tol(values[1], expected, 0.02);
		between += values[1] > 0 && values[1] < 100;
	}
	ck_assert_int_gt(between, 20);
}
END_TEST

/* --- What goes wrong --------------------------------------------------------------------------- */

START_TEST(nobody_there)
{
	plug("bme280", "bme280", 0);
	chip->fault = -ENXIO;
	assert_fails(
		-ENXIO,
		"no device answered at 0x76 on /dev/i2c-1: is it connected, does it have power?");
	ck_assert(!source->is_open);
}
END_TEST

START_TEST(another_chip)
{
	plug("bme280", "bme280", 0);
	spoil(0xd0, 0x55);
	assert_fails(-ENODEV, "chip id 0x55 at 0x76 on /dev/i2c-1 is no BME280 or BMP280");
	ck_assert_int_eq(meddler.written_count, 0); /* not reset: it is not ours */
}
END_TEST

START_TEST(samples_of_the_bmp280_are_known)
{
	double values[CHANNELS_MAX];

	plug("bmp280", "bmp280", 0);
	spoil(0xd0, (uint8_t)(0x56 + _i));
	ck_assert_int_eq(measure(values), 0);
}
END_TEST

START_TEST(any_transfer_may_fail)
{
	double values[CHANNELS_MAX];

	plug("bme280", "bme280", 0);
	meddler.fail_at = _i;
	meddler.error = -EIO;
	ck_assert_int_eq(measure(values), -EIO);

	now_us += 10000;
	ck_assert_int_eq(measure(values), 0); /* the next try finds the chip whole again */
	assert_weather(values[0], values[1], values[2]);
}
END_TEST

START_TEST(a_hung_bus_is_reported_as_such)
{
	double values[CHANNELS_MAX];

	plug("bme280", "bme280", 0);
	chip->fault = -ETIMEDOUT;
	ck_assert_int_eq(measure(values), -ETIMEDOUT);
	ck_assert_str_eq(source->fault, "");
}
END_TEST

START_TEST(a_reset_that_never_ends)
{
	plug("bme280", "bme280", 0);
	spoil(0xf3, 0x01);
	assert_fails(-ETIMEDOUT, "does not come out of its reset");
}
END_TEST

static int64_t stopped_clock_us(void)
{
	return 1000000;
}

START_TEST(a_chip_that_is_dead_after_its_reset)
{
	plug("bme280", "bme280", 0);
	chip->now_us = stopped_clock_us; /* t_startup is never over */
	assert_fails(-ENXIO, "does not answer any more after its reset");
}
END_TEST

START_TEST(a_blank_calibration)
{
	plug("bme280", "bme280", 0);
	for (uint8_t reg = 0x88; reg < 0x88 + 8; reg++)
		spoil(reg, _i ? 0xff : 0x00);
	assert_fails(-EIO, "calibration is blank");
}
END_TEST

START_TEST(a_blank_humidity_calibration)
{
	plug("bme280", "bme280", 0);
	spoil(0xe1, _i ? 0xff : 0x00);
	spoil(0xe2, _i ? 0xff : 0x00);
	assert_fails(-EIO, "calibration is blank");
}
END_TEST

START_TEST(a_measurement_that_never_ends)
{
	plug("bme280", "bme280", 0);
	ck_assert_int_eq(source_open(source), 0);
	spoil(0xf3, 0x08);
	assert_fails(-ETIMEDOUT, "does not end its measurement");
}
END_TEST

START_TEST(a_chip_that_did_not_measure)
{
	plug("bme280", "bme280", 0);
	spoil_20_bits(0xf7, 0x80000);
	spoil_20_bits(0xfa, 0x80000);
	assert_fails(-EIO, "did not measure");
}
END_TEST

START_TEST(one_value_that_looks_like_skipped_is_a_value)
{
	double values[CHANNELS_MAX];

	plug("bme280", "bme280", 0);
	spoil_20_bits(0xfa, 0x80000);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], 26.47, 0.05);
}
END_TEST

START_TEST(blank_data)
{
	plug("bme280", "bme280", 0);
	spoil_20_bits(_i / 2 ? 0xf7 : 0xfa, _i % 2 ? 0xfffff : 0);
	assert_fails(-EIO, "data is blank");
}
END_TEST

/* t_fine 1176576 and these make the divisor of DS 8.1, bme280_compensate_P_double(), exactly 0 */
START_TEST(a_calibration_that_makes_no_pressure)
{
	static const int trim[] = { 1024, 24512, 0, 1, -32768, 0 };

	plug("bme280", "bme280", 0);
	spoil_trim(trim, ARRAY_SIZE(trim));
	spoil_20_bits(0xfa, 802816);
	assert_fails(-EIO, "makes no pressure");
}
END_TEST

/* one word of the example's calibration is another */
static const struct {
	int at, word;
	uint32_t raw_p;
} wild_trims[] = {
	{ 0, 1000, 415148 },	 /* t1: 156 °C */
	{ 0, 60000, 415148 },	 /* t1: -172 °C */
	{ 10, -20000, 0xffffe }, /* p7: less than a vacuum */
	{ 3, 10000, 415148 },	 /* p1: the deep sea */
};

START_TEST(a_calibration_that_makes_nonsense)
{
	int trim[ARRAY_SIZE(example)];

	plug("bmp280", "bmp280", 0);
	memcpy(trim, example, sizeof(trim));
	trim[wild_trims[_i].at] = wild_trims[_i].word;
	spoil_trim(trim, ARRAY_SIZE(trim));
	spoil_20_bits(0xfa, 519888);
	spoil_20_bits(0xf7, wild_trims[_i].raw_p);
	assert_fails(-EIO, "hPa: a bad chip or a disturbed bus");
}
END_TEST

START_TEST(a_chip_that_was_reset_in_between)
{
	static const uint8_t reset[] = { 0xe0, 0xb6 };
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bme280", "bme280", 0);
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_eq(source->driver->start(source, &wait_us), 0);
	ck_assert_int_eq(i2c_write(device, reset, sizeof(reset)), 0);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "lost its settings"));
}
END_TEST

START_TEST(a_chip_that_is_gone_comes_back)
{
	double values[CHANNELS_MAX];

	plug("bme280", "bme280", 0);
	ck_assert_int_eq(measure(values), 0);
	chip->fault = -ENXIO;
	ck_assert_int_eq(measure(values), -ENXIO);
	ck_assert_int_eq(measure(values), -ENXIO);
	chip->fault = 0;
	ck_assert_int_eq(measure(values), 0);
	ck_assert_str_eq(source->fault, "");
	assert_weather(values[0], values[1], values[2]);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("bme280");
	TCase *works = tcase_create("works"), *fails = tcase_create("fails");

	tcase_add_checked_fixture(works, chip_set_up, chip_tear_down);
	tcase_add_test(works, a_bme280_measures_all_three);
	tcase_add_test(works, a_bmp280_measures_two);
	tcase_add_test(works, the_driver_bme280_on_a_bmp280_has_no_humidity);
	tcase_add_test(works, the_driver_bmp280_on_a_bme280_leaves_humidity_out);
	tcase_add_test(works, readings_follow_the_weather);
	tcase_add_loop_test(works, a_measurement_takes_what_the_data_sheet_says, 0,
			    (int)ARRAY_SIZE(oversamplings));
	tcase_add_loop_test(works, a_bmp280_is_faster, 0, (int)ARRAY_SIZE(oversamplings));
	tcase_add_test(works, too_early_is_not_yet);
	tcase_add_test(works, the_worked_example_of_the_data_sheet);
	tcase_add_test(works, chips_that_exist);
	tcase_add_loop_test(works, humidity_agrees_with_the_integer_formula, 0,
			    (int)ARRAY_SIZE(trims_h));
	tcase_add_loop_test(works, samples_of_the_bmp280_are_known, 0, 3);
	tcase_add_test(works, one_value_that_looks_like_skipped_is_a_value);
	suite_add_tcase(suite, works);

	tcase_add_checked_fixture(fails, chip_set_up, chip_tear_down);
	tcase_add_loop_test(fails, an_oversampling_that_is_none_is_refused, 0, 5);
	tcase_add_test(fails, nobody_there);
	tcase_add_test(fails, another_chip);
	tcase_add_loop_test(fails, any_transfer_may_fail, 1, 9);
	tcase_add_test(fails, a_hung_bus_is_reported_as_such);
	tcase_add_test(fails, a_reset_that_never_ends);
	tcase_add_test(fails, a_chip_that_is_dead_after_its_reset);
	tcase_add_loop_test(fails, a_blank_calibration, 0, 2);
	tcase_add_loop_test(fails, a_blank_humidity_calibration, 0, 2);
	tcase_add_test(fails, a_measurement_that_never_ends);
	tcase_add_test(fails, a_chip_that_did_not_measure);
	tcase_add_loop_test(fails, blank_data, 0, 4);
	tcase_add_test(fails, a_calibration_that_makes_no_pressure);
	tcase_add_loop_test(fails, a_calibration_that_makes_nonsense, 0, ARRAY_SIZE(wild_trims));
	tcase_add_test(fails, a_chip_that_was_reset_in_between);
	tcase_add_test(fails, a_chip_that_is_gone_comes_back);
	suite_add_tcase(suite, fails);
	return suite;
}

int main(void)
{
	return suite_run(suite());
}
