/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What every driver of an I2C chip must do, on its emulated chip: a new chip gets these for nothing by
 * being in the lists of drivers and of emulations. Its own program has the numbers of its data sheet.
 */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "chip-fixture.h"
#include "fixture.h"

#include "iotd/drivers.h"

#define RETRY_US 10000000LL /* a sensor's own distance between tries */

/* the driver of this run of the test; NULL: it has no chip */
static const struct driver *driver_of(int index)
{
	const struct driver *driver = driver_at((size_t)index);

	if (!driver || driver->kind != DRIVER_I2C || !sim_i2c_knows(driver->name))
		return NULL;
	/* without a usual address it reads what its options say: it has a test of its own */
	return driver->addresses[0] != 0 ? driver : NULL;
}

/* anew, with a whole chip. Return: false: there is none to test */
static bool plug_driver(int index)
{
	const struct driver *driver = driver_of(index);

	if (!driver)
		return false;
	chip_tear_down();
	chip_set_up();
	plug(driver->name, driver->name, 0);
	return true;
}

/* --- What works -------------------------------------------------------------------------------- */

START_TEST(it_follows_the_weather)
{
	if (!plug_driver(_i))
		return;
	for (int reading = 0; reading < 60; reading++) {
		assert_measures();
		now_us += 61000000; /* an hour in all: every wave up and down */
	}
}
END_TEST

START_TEST(it_reads_as_fast_as_it_can)
{
	if (!plug_driver(_i))
		return;
	for (int reading = 0; reading < 20; reading++)
		assert_measures();
}
END_TEST

START_TEST(two_readings_differ)
{
	double first[CHANNELS_MAX], later[CHANNELS_MAX];

	if (!plug_driver(_i))
		return;
	ck_assert_int_eq(measure(first), 0);
	now_us += 140 * 1000000LL;
	ck_assert_int_eq(measure(later), 0);
	for (size_t i = 0; i < source->channel_count; i++)
		ck_assert_msg(first[i] < later[i] || first[i] > later[i], "%s.%s stays %g",
			      source->driver->name, source->channels[i].name, first[i]);
}
END_TEST

static void try_option(const struct driver *driver, const char *name, const char *value)
{
	chip_tear_down();
	chip_set_up();
	set_option(name, value);
	plug(driver->name, driver->name, 0);
	for (int reading = 0; reading < 3; reading++)
		assert_measures();
}

START_TEST(each_choice_of_each_option_works)
{
	const struct driver *driver = driver_of(_i);

	for (size_t i = 0; driver && i < driver->option_count; i++) {
		const struct driver_option *option = &driver->options[i];
		char least[32], most[32];

		for (size_t c = 0; option->choices && option->choices[c]; c++)
			try_option(driver, option->name, option->choices[c]);
		if (option->choices || option->type == OPTION_STRING)
			continue;
		(void)snprintf(least, sizeof(least), "%g", option->minimum);
		(void)snprintf(most, sizeof(most), "%g",
			       option->type == OPTION_BOOLEAN ? 1 : option->maximum);
		try_option(driver, option->name, least);
		try_option(driver, option->name, most);
	}
}
END_TEST

START_TEST(it_works_at_each_of_its_addresses)
{
	const struct driver *driver = driver_of(_i);

	for (size_t i = 0; driver && i < ARRAY_SIZE(driver->addresses) && driver->addresses[i];
	     i++) {
		chip_tear_down();
		chip_set_up();
		plug(driver->name, driver->name, driver->addresses[i]);
		assert_measures();
	}
}
END_TEST

/* the sum of what is waited for is the reactor's, but for some ms */
START_TEST(no_call_holds_the_bus)
{
	int64_t wait_us, began_us;
	double values[CHANNELS_MAX];

	if (!plug_driver(_i))
		return;
	began_us = now_us;
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_le(now_us - began_us, 50000);
	for (int r = -EAGAIN; r != 0;) {
		now_us += wait_us;
		began_us = now_us;
		r = source->driver->collect(source, values, &wait_us);
		ck_assert(r == 0 || r == -EAGAIN);
		ck_assert_int_le(now_us - began_us, 50000);
	}
}
END_TEST

/* --- What goes wrong --------------------------------------------------------------------------- */

static void assert_works_again(const char *after, int transfer)
{
	double values[CHANNELS_MAX];
	int r;

	meddler.fail_at = 0;
	meddler.flip_at = 0;
	now_us += RETRY_US;
	r = measure(values);
	ck_assert_msg(r == 0 && is_weather(values), "%s after %s at transfer %d: %s: %s",
		      source->driver->name, after, transfer, strerror(-r), source->fault);
}

/* a NACK may mean "still converting", so it may be tried again; what comes then is right */
static void fail_transfer(int index, int transfer, int error)
{
	double values[CHANNELS_MAX];
	int r;

	ck_assert(plug_driver(index));
	meddler.fail_at = transfer;
	meddler.error = error;
	r = measure(values);
	ck_assert_msg(r == error || (error == -ENXIO && r == 0 && is_weather(values)),
		      "%s: transfer %d fails with %s, the reading with %s: %s",
		      source->driver->name, transfer, strerror(-error), strerror(-r),
		      source->fault);
	ck_assert_msg(r == 0 || !source->is_open, "%s is left open", source->driver->name);
	assert_works_again("a failure", transfer);
}

/* transfers of a whole first reading */
static int count_transfers(int index)
{
	double values[CHANNELS_MAX];

	if (!plug_driver(index))
		return 0;
	ck_assert_int_eq(measure(values), 0);
	return meddler.transfers;
}

START_TEST(any_transfer_may_fail)
{
	static const int errors[] = { -ENXIO, -ETIMEDOUT, -EIO };
	int transfers = count_transfers(_i);

	for (int transfer = 1; transfer <= transfers; transfer++)
		for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
			fail_transfer(_i, transfer, errors[i]);
}
END_TEST

/* the errors of one that is open already */
START_TEST(any_transfer_of_the_second_reading_may_fail)
{
	static const int errors[] = { -ENXIO, -ETIMEDOUT, -EIO };
	int first = count_transfers(_i), second;
	double values[CHANNELS_MAX];

	if (!driver_of(_i))
		return;
	ck_assert_int_eq(measure(values), 0);
	second = meddler.transfers;
	for (int transfer = first + 1; transfer <= second; transfer++)
		for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
			int r;

			ck_assert_int_eq(count_transfers(_i), first);
			meddler.fail_at = transfer;
			meddler.error = errors[i];
			r = measure(values);
			ck_assert_msg(r == errors[i] || (errors[i] == -ENXIO && r == 0),
				      "%s: transfer %d: %s for %s", source->driver->name, transfer,
				      strerror(-r), strerror(-errors[i]));
			assert_works_again("a failure", transfer);
		}
}
END_TEST

START_TEST(nobody_at_the_address_is_told_in_words)
{
	char words[64];

	if (!plug_driver(_i))
		return;
	(void)snprintf(words, sizeof(words), "no device answered at 0x%02x on /dev/i2c-1",
		       device->address);
	sim_i2c_remove(meddler.inner, device->address);
	assert_fails(-ENXIO, words);
}
END_TEST

static void flip(int index, int transfer, int bit)
{
	double values[CHANNELS_MAX];
	int r;

	ck_assert(plug_driver(index));
	meddler.flip_at = transfer;
	meddler.flip_bit = bit;
	r = measure(values);
	ck_assert_msg(r < 0, "%s: bit %d of transfer %d is flipped, and nobody noticed",
		      source->driver->name, bit, transfer);
	assert_works_again("a flipped bit", transfer);
}

START_TEST(a_flipped_bit_is_noticed)
{
	int transfers = count_transfers(_i);
	double values[CHANNELS_MAX];

	if (transfers == 0 || !(chip->model->traits & SIM_CHECKSUMS))
		return;
	for (int transfer = 1; transfer <= transfers; transfer++) {
		ck_assert(plug_driver(_i));
		meddler.fail_at = transfer + 1;
		meddler.error = -EIO;
		(void)measure(values);
		if (meddler.last_read != transfer)
			continue; /* it writes */
		for (int bit = meddler.last_length * 8 - 1; bit >= 0; bit--)
			flip(_i, transfer, bit);
	}
}
END_TEST

START_TEST(a_chip_that_lost_its_power_is_no_reading)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;
	int r;

	for (int readings = 0; readings < 3; readings++) {
		if (!plug_driver(_i) || chip->model->traits & SIM_HIDES_RESET)
			return;
		for (int i = 0; i < readings; i++)
			assert_measures();
		ck_assert_int_eq(measure_start(&wait_us), 0);
		sim_chip_restart(chip, NULL);
		r = measure_finish(wait_us, values);
		ck_assert_msg(r < 0 || is_weather(values),
			      "%s: a chip that was restarted says %g, %g, %g", source->driver->name,
			      values[0], values[1], values[2]);
		assert_works_again("a loss of power", 0);
	}
}
END_TEST

START_TEST(a_chip_that_is_never_done_is_given_up)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;
	int r;

	if (!plug_driver(_i) || chip->model->traits & SIM_NEVER_BUSY)
		return;
	assert_measures();
	chip->is_stuck = true;
	r = measure_start(&wait_us);
	if (r == 0)
		r = measure_finish(wait_us, values);
	ck_assert_msg(r == -ETIMEDOUT, "%s: %s: %s", source->driver->name, strerror(-r),
		      source->fault);
	ck_assert_msg(source->fault[0] != '\0', "%s says nothing", source->driver->name);
	chip->is_stuck = false;
	assert_works_again("being stuck", 0);
}
END_TEST

START_TEST(a_chip_that_is_gone_comes_back)
{
	double values[CHANNELS_MAX];

	if (!plug_driver(_i))
		return;
	assert_measures();
	chip->fault = -ENXIO;
	for (int i = 0; i < 3; i++)
		ck_assert_int_lt(measure(values), 0);
	chip->fault = 0;
	sim_chip_restart(chip, NULL);
	assert_works_again("coming back", 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("every-chip");
	TCase *works = tcase_create("works"), *fails = tcase_create("fails");
	int count = 0;

	while (driver_at((size_t)count))
		count++;
	tcase_add_checked_fixture(works, chip_set_up, chip_tear_down);
	tcase_set_timeout(works, 60);
	tcase_add_loop_test(works, it_follows_the_weather, 0, count);
	tcase_add_loop_test(works, it_reads_as_fast_as_it_can, 0, count);
	tcase_add_loop_test(works, two_readings_differ, 0, count);
	tcase_add_loop_test(works, each_choice_of_each_option_works, 0, count);
	tcase_add_loop_test(works, it_works_at_each_of_its_addresses, 0, count);
	tcase_add_loop_test(works, no_call_holds_the_bus, 0, count);
	suite_add_tcase(suite, works);

	tcase_add_checked_fixture(fails, chip_set_up, chip_tear_down);
	tcase_set_timeout(fails, 60);
	tcase_add_loop_test(fails, any_transfer_may_fail, 0, count);
	tcase_add_loop_test(fails, any_transfer_of_the_second_reading_may_fail, 0, count);
	tcase_add_loop_test(fails, nobody_at_the_address_is_told_in_words, 0, count);
	tcase_add_loop_test(fails, a_flipped_bit_is_noticed, 0, count);
	tcase_add_loop_test(fails, a_chip_that_lost_its_power_is_no_reading, 0, count);
	tcase_add_loop_test(fails, a_chip_that_is_never_done_is_given_up, 0, count);
	tcase_add_loop_test(fails, a_chip_that_is_gone_comes_back, 0, count);
	suite_add_tcase(suite, fails);
	return suite;
}

int main(void)
{
	return suite_run(suite());
}
