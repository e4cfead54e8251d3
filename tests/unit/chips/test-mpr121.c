/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* MPR121: the bits of the data sheet, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>

#include "chip-fixture.h"

/* DS 5.1: electrodes 0 .. 7, then 8 .. 11; bit 4 there is the thirteenth */
static const struct {
	const char *status;
	unsigned int touched;
} states[] = {
	{ "0000", 0 },	   { "0100", 0x001 }, { "8000", 0x080 }, { "0001", 0x100 },
	{ "0008", 0x800 }, { "ff0f", 0xfff }, { "0010", 0 },	 { "a515", 0x5a5 },
};

START_TEST(a_bit_is_an_electrode)
{
	double values[CHANNELS_MAX];
	unsigned int touched = 0;

	plug("mpr121", "mpr121", 0);
	script("00", states[_i].status);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_uint_eq(source->channel_count, 12);
	for (unsigned int i = 0; i < 12; i++) {
		ck_assert_double_eq(values[i] * (1 - values[i]), 0);
		touched |= (unsigned int)values[i] << i;
	}
	ck_assert_uint_eq(touched, states[_i].touched);
}
END_TEST

START_TEST(too_much_current_is_told)
{
	plug("mpr121", "mpr121", 0);
	script("00", "0180");
	assert_fails(-EIO, "too much current at REXT");
}
END_TEST

START_TEST(what_is_not_reset_is_another_chip)
{
	plug("mpr121", "mpr121", 0);
	script("5d", "04");
	assert_fails(-ENODEV, "chip id 0x04 at 0x5a on /dev/i2c-1 is no MPR121");
}
END_TEST

static uint8_t ask(uint8_t reg)
{
	uint8_t value;

	ck_assert_int_eq(i2c_read_registers(device, reg, &value, 1), 0);
	return value;
}

START_TEST(all_electrodes_have_thresholds)
{
	plug("mpr121", "mpr121", 0);
	assert_measures();
	ck_assert_uint_eq(ask(0x5e) & 0x3f, 12);
	for (uint8_t reg = 0x41; reg < 0x41 + 24; reg = (uint8_t)(reg + 2)) {
		ck_assert_uint_ge(ask(reg), 4); /* DS 5.6 */
		ck_assert_uint_le(ask(reg), 16);
		ck_assert_uint_lt(ask((uint8_t)(reg + 1)), ask(reg));
	}
}
END_TEST

static bool was_reset(void)
{
	for (int i = 0; i < meddler.written_count; i++)
		if (meddler.written[i][0] == 0x80 && meddler.written[i][1] == 0x63)
			return true;
	return false;
}

/* or what is touched would count as untouched */
START_TEST(a_chip_that_is_set_is_not_reset)
{
	plug("mpr121", "mpr121", 0);
	assert_measures();
	ck_assert(was_reset());
	source_close(source);
	meddler.written_count = 0;
	assert_measures();
	ck_assert(!was_reset());
}
END_TEST

START_TEST(a_chip_that_stopped_is_noticed)
{
	static const uint8_t stop[] = { 0x5e, 0 };

	plug("mpr121", "mpr121", 0);
	assert_measures();
	ck_assert_int_eq(i2c_write(device, stop, 2), 0);
	assert_fails(-EIO, "lost its settings");
	assert_measures();
	sim_chip_restart(chip, NULL);
	assert_fails(-EIO, "lost its settings");
}
END_TEST

static const uint8_t changes[][2] = { { 0x2b, 2 }, { 0x42, 9 }, { 0x58, 9 }, { 0x7f, 0 } };

START_TEST(a_chip_that_is_set_otherwise_is_reset)
{
	const uint8_t stop[] = { 0x5e, 0 }, run[] = { 0x5e, 0x8c };

	plug("mpr121", "mpr121", 0);
	assert_measures();
	source_close(source);
	ck_assert_int_eq(i2c_write(device, stop, 2), 0);
	ck_assert_int_eq(i2c_write(device, changes[_i], 2), 0);
	ck_assert_int_eq(i2c_write(device, run, 2), 0);
	meddler.written_count = 0;
	assert_measures();
	ck_assert(was_reset());
	ck_assert_uint_ne(ask(changes[_i][0]), changes[_i][1]);
}
END_TEST

START_TEST(the_first_measurement_is_waited_for_and_no_other)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("mpr121", "mpr121", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, 64000); /* DS 5.8: four samples each 16 ms */
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(wait_us, 0);
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("mpr121");

	tcase_add_loop_test(tests, a_bit_is_an_electrode, 0, (int)ARRAY_SIZE(states));
	tcase_add_test(tests, too_much_current_is_told);
	tcase_add_test(tests, what_is_not_reset_is_another_chip);
	tcase_add_test(tests, all_electrodes_have_thresholds);
	tcase_add_test(tests, a_chip_that_is_set_is_not_reset);
	tcase_add_test(tests, a_chip_that_stopped_is_noticed);
	tcase_add_loop_test(tests, a_chip_that_is_set_otherwise_is_reset, 0,
			    (int)ARRAY_SIZE(changes));
	tcase_add_test(tests, the_first_measurement_is_waited_for_and_no_other);
	return chip_run_tests();
}
