/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* VEML7700: the numbers of the data sheet, and what the tests of every chip do not know. "DS", "AN" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS "Resolution and Maximum Detection Range": lx per count; above 1000 lx with AN's correction */
static const struct {
	const char *gain, *time, *counts;
	double lux;
} examples[] = {
	{ "0.125", "100ms", "0000", 0 },	 { "0.125", "100ms", "6400", 53.76 },
	{ "0.125", "100ms", "4407", 999.936 },	 { "0.125", "100ms", "4507", 1075.5366 },
	{ "0.125", "100ms", "1027", 6786.4486 }, { "0.125", "100ms", "c8af", 144931.97 },
	{ "0.125", "25ms", "1027", 94427.15 },	 { "0.25", "100ms", "1027", 3131.9385 },
	{ "1", "100ms", "1027", 672 },		 { "1", "100ms", "feff", 5418.3939 },
	{ "1", "50ms", "e803", 134.4 },		 { "1", "200ms", "e803", 33.6 },
	{ "1", "400ms", "e803", 16.8 },		 { "2", "800ms", "0100", 0.0042 },
	{ "2", "800ms", "feff", 275.2428 },	 { "2", "100ms", "1027", 336 },
};

START_TEST(lux_is_that_of_the_application_note)
{
	double values[CHANNELS_MAX];

	set_option("gain", examples[_i].gain);
	set_option("integration_time", examples[_i].time);
	plug("veml7700", "veml7700", 0);
	script("04", examples[_i].counts);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], examples[_i].lux, 1e-9 + examples[_i].lux * 1e-7);
}
END_TEST

/* DS "Command Code #00"; persistence 2 */
static const struct {
	const char *gain, *time;
	uint16_t conf;
	int64_t wait_us;
} settings[] = {
	{ "1", "100ms", 0x0010, 104000 },     { "2", "100ms", 0x0810, 104000 },
	{ "0.125", "100ms", 0x1010, 104000 }, { "0.25", "100ms", 0x1810, 104000 },
	{ "1", "25ms", 0x0310, 29000 },	      { "1", "50ms", 0x0210, 54000 },
	{ "1", "200ms", 0x0050, 204000 },     { "1", "400ms", 0x0090, 404000 },
	{ "2", "800ms", 0x08d0, 804000 },
};

START_TEST(settings_are_a_register_and_a_time)
{
	uint8_t reg = 0, conf[2];
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("gain", settings[_i].gain);
	set_option("integration_time", settings[_i].time);
	plug("veml7700", "veml7700", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, settings[_i].wait_us);
	ck_assert_int_eq(i2c_write_read(device, &reg, 1, conf, sizeof(conf)), 0);
	ck_assert_uint_eq(conf[0] | conf[1] << 8, settings[_i].conf);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 0); /* it measures all the time */
}
END_TEST

static const struct {
	const char *time, *counts;
} ends[] = {
	{ "100ms", "ffff" },
	{ "25ms", "204e" }, /* 43 klx before the correction, 1.5 Mlx after it */
};

START_TEST(too_much_light_is_no_reading)
{
	set_option("integration_time", ends[_i].time);
	plug("veml7700", "veml7700", 0);
	script("04", ends[_i].counts);
	assert_fails(-ERANGE, "saturated: too bright for this gain and integration_time");
}
END_TEST

START_TEST(what_keeps_no_settings_is_another_chip)
{
	plug("veml7700", "veml7700", 0);
	script("00", "0000");
	assert_fails(-ENODEV, "chip id 0x00 at 0x10 on /dev/i2c-1 is no VEML7700");
}
END_TEST

/* shut down; another gain; as after power-on with the same gain and time */
static const uint8_t changes[][3] = { { 0, 0x11, 0x10 }, { 0, 0x10, 0x00 }, { 0, 0x00, 0x10 } };

START_TEST(what_another_program_changed_is_noticed)
{
	plug("veml7700", "veml7700", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, changes[_i], sizeof(changes[_i])), 0);
	assert_fails(-EIO, "lost its settings");
	assert_measures();
}
END_TEST

START_TEST(power_saving_of_another_program_is_ended)
{
	static const uint8_t saving[] = { 3, 0x07, 0x00 };
	uint8_t reg = 3, power[2];

	plug("veml7700", "veml7700", 0);
	ck_assert_int_eq(i2c_write(device, saving, sizeof(saving)), 0);
	assert_measures();
	ck_assert_int_eq(i2c_write_read(device, &reg, 1, power, sizeof(power)), 0);
	ck_assert_uint_eq(power[0], 0);
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("veml7700");

	tcase_add_loop_test(tests, lux_is_that_of_the_application_note, 0,
			    (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, settings_are_a_register_and_a_time, 0,
			    (int)ARRAY_SIZE(settings));
	tcase_add_loop_test(tests, too_much_light_is_no_reading, 0, (int)ARRAY_SIZE(ends));
	tcase_add_test(tests, what_keeps_no_settings_is_another_chip);
	tcase_add_loop_test(tests, what_another_program_changed_is_noticed, 0,
			    (int)ARRAY_SIZE(changes));
	tcase_add_test(tests, power_saving_of_another_program_is_ended);
	return chip_run_tests();
}
