/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* MCP9808: the numbers of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 5.1.3.1: sixteenths in two's complement of 13 bits; the alert's flags above are not part of it */
static const struct chip_example examples[] = {
	{ { { "05", "0194" } }, { 25.25 }, 1e-9 }, { { { "05", "c194" } }, { 25.25 }, 1e-9 },
	{ { { "05", "1ff0" } }, { -1.0 }, 1e-9 },  { { { "05", "1fff" } }, { -0.0625 }, 1e-9 },
	{ { { "05", "0000" } }, { 0.0 }, 1e-9 },   { { { "05", "07d0" } }, { 125.0 }, 1e-9 },
	{ { { "05", "1d80" } }, { -40.0 }, 1e-9 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("mcp9808", &examples[_i]);
}
END_TEST

static const struct {
	const char *manufacturer, *device, *words;
} strangers[] = {
	{ "5449", "0400", "chip id 0x5449 at 0x18 on /dev/i2c-1 is no MCP9808" },
	{ "0054", "0200", "chip id 0x200 at 0x18 on /dev/i2c-1 is no MCP9808" }, /* MCP9804 */
};

START_TEST(another_chip_is_left_alone)
{
	plug("mcp9808", "mcp9808", 0);
	script("06", strangers[_i].manufacturer);
	script("07", strangers[_i].device);
	assert_fails(-ENODEV, strangers[_i].words);
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

START_TEST(a_later_revision_is_the_same_chip)
{
	plug("mcp9808", "mcp9808", 0);
	script("07", "0401");
	assert_measures();
}
END_TEST

START_TEST(the_first_conversion_is_waited_for_and_no_other)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("mcp9808", "mcp9808", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, 250000); /* DS 5.1.6 */
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 0);
}
END_TEST

START_TEST(what_another_program_set_is_set_right)
{
	static const uint8_t coarse[] = { 0x08, 0x00 }, shutdown[] = { 0x01, 0x01, 0x00 };
	double values[CHANNELS_MAX];

	plug("mcp9808", "mcp9808", 0);
	ck_assert_int_eq(i2c_write(device, coarse, sizeof(coarse)), 0);
	ck_assert_int_eq(i2c_write(device, shutdown, sizeof(shutdown)), 0);
	ck_assert_int_eq(measure(values), 0);
	ck_assert(is_weather(values));
	ck_assert_double_eq_tol(values[0], sim_weather(chip, "temperature"), 0.04);
}
END_TEST

START_TEST(a_chip_that_was_shut_down_in_between_is_noticed)
{
	static const uint8_t shutdown[] = { 0x01, 0x07, 0x00 };

	plug("mcp9808", "mcp9808", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, shutdown, sizeof(shutdown)), 0);
	assert_fails(-EIO, "lost its settings");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("mcp9808");

	tcase_add_loop_test(tests, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_loop_test(tests, another_chip_is_left_alone, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(tests, a_later_revision_is_the_same_chip);
	tcase_add_test(tests, the_first_conversion_is_waited_for_and_no_other);
	tcase_add_test(tests, what_another_program_set_is_set_right);
	tcase_add_test(tests, a_chip_that_was_shut_down_in_between_is_noticed);
	return chip_run_tests();
}
