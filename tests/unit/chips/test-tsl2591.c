/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TSL2591: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <string.h>

#include "chip-fixture.h"

/* by hand from the formula of Linux' driver; what is read: status, all light, infrared */
static const struct {
	const char *gain, *time, *says;
	double lux;
} examples[] = {
	{ "1", "100ms", "01 e803 2c01", 1999.2 },
	{ "25", "100ms", "01 e803 2c01", 79.968 },
	{ "428", "100ms", "01 204e 8813", 107.243 },
	{ "9876", "600ms", "01 feff 0100", 4.51213 },
	{ "1", "100ms", "01 fe8f 0000", 150397 },
	{ "25", "300ms", "01 0100 0000", 0.0544 },
	{ "25", "300ms", "31 0100 0000", 0.0544 }, /* flags of the interrupts */
	{ "1", "100ms", "01 0000 0000", 0 },
	{ "1", "100ms", "01 0000 0100", 0 }, /* noise in the dark: Linux divides by 0 */
	{ "1", "100ms", "01 0100 0200", 0 }, /* more infrared than all */
};

START_TEST(lux_is_that_of_linux)
{
	double values[CHANNELS_MAX];

	set_option("gain", examples[_i].gain);
	set_option("integration_time", examples[_i].time);
	plug("tsl2591", "tsl2591", 0);
	script("b3", examples[_i].says);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], examples[_i].lux, 1e-9 + examples[_i].lux * 1e-5);
}
END_TEST

/* DS "Control Register", max count */
static const struct {
	const char *time, *full, *less;
} ends[] = {
	{ "100ms", "01 ff8f 0000", "01 fe8f 0000" },
	{ "100ms", "01 fe8f ff8f", "01 fe8f fe8f" },
	{ "200ms", "01 ffff 0000", "01 feff 0000" },
	{ "600ms", "01 ffff ffff", "01 feff feff" },
};

START_TEST(full_scale_is_no_reading)
{
	double values[CHANNELS_MAX];

	set_option("integration_time", ends[_i].time);
	plug("tsl2591", "tsl2591", 0);
	script("b3", ends[_i].full);
	assert_fails(-ERANGE, "saturated: too bright for this gain and integration_time");
	script("b3", ends[_i].less);
	ck_assert_int_eq(measure(values), 0);
}
END_TEST

/* DS "Control Register"; DS "Electrical Characteristics": 108 ms a step at most */
static const struct {
	const char *gain, *time;
	uint8_t control;
	int64_t wait_us;
} settings[] = {
	{ "1", "100ms", 0x00, 108000 },	   { "25", "100ms", 0x10, 108000 },
	{ "428", "100ms", 0x20, 108000 },  { "9876", "100ms", 0x30, 108000 },
	{ "1", "200ms", 0x01, 216000 },	   { "1", "300ms", 0x02, 324000 },
	{ "1", "400ms", 0x03, 432000 },	   { "1", "500ms", 0x04, 540000 },
	{ "9876", "600ms", 0x35, 648000 },
};

START_TEST(settings_are_a_register_and_a_time)
{
	int64_t wait_us;

	set_option("gain", settings[_i].gain);
	set_option("integration_time", settings[_i].time);
	plug("tsl2591", "tsl2591", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, settings[_i].wait_us);
	ck_assert_uint_eq(meddler.written[1][0], 0xa1);
	ck_assert_uint_eq(meddler.written[1][1], settings[_i].control);
}
END_TEST

START_TEST(another_chip_is_left_alone)
{
	plug("tsl2591", "tsl2591", 0);
	script("b2", "b4");
	assert_fails(-ENODEV, "chip id 0xb4 at 0x29 on /dev/i2c-1 is no TSL2591");
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tsl2591", "tsl2591", 0);
	assert_measures();
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(108000, values), 0);
	ck_assert(is_weather(values));
}
END_TEST

static const uint8_t changes[][2] = { { 0xa0, 0x00 }, { 0xa0, 0x13 }, { 0xa1, 0x10 } };

START_TEST(what_another_program_changed_is_noticed)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("tsl2591", "tsl2591", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(i2c_write(device, changes[_i], 2), 0);
	ck_assert_int_eq(measure_finish(wait_us, values), -EIO);
	ck_assert_msg(strstr(source->fault, "lost its settings"), "%s", source->fault);
	assert_measures();
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("tsl2591");

	tcase_add_loop_test(tests, lux_is_that_of_linux, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, full_scale_is_no_reading, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(tests, settings_are_a_register_and_a_time, 0,
			    (int)ARRAY_SIZE(settings));
	tcase_add_test(tests, another_chip_is_left_alone);
	tcase_add_test(tests, too_early_is_not_yet);
	tcase_add_loop_test(tests, what_another_program_changed_is_noticed, 0,
			    (int)ARRAY_SIZE(changes));
	return chip_run_tests();
}
