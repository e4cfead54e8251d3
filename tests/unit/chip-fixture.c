/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chip-fixture.h"
#include "fixture.h"

#include "iotd/drivers.h"
#include "iotd/parse.h"

#define TRANSFER_US                                                                                \
	100 /* about a byte at 100 kHz; so a chip that is asked without end still sees time pass */
#define OPTIONS_MAX 8

struct meddler meddler;
struct sim_chip *chip;
struct i2c_device *device;
struct source *source;
int64_t now_us;

static struct {
	const char *name, *value;
} chosen[OPTIONS_MAX];
static size_t chosen_count;

/* --- The bus that meddles ----------------------------------------------------------------------- */

static void spoil_registers(uint8_t first, uint8_t *data, int length)
{
	for (int i = 0; i < meddler.spoiled_count; i++) {
		int at = meddler.spoiled[i].reg - first;

		if (at >= 0 && at < length)
			data[at] = meddler.spoiled[i].value;
	}
}

/* the last line that fits counts. Return: is there one? */
static bool answer_by_script(const struct i2c_transfer *read)
{
	for (int i = meddler.script_count - 1; i >= 0; i--) {
		if (memcmp(meddler.script[i].key, meddler.last_written,
			   meddler.script[i].key_length) != 0)
			continue;
		ck_assert_uint_le(read->length, sizeof(meddler.script[i].answer));
		memset(read->data, 0xff, read->length);
		memcpy(read->data, meddler.script[i].answer,
		       read->length < meddler.script[i].answer_length
			       ? read->length
			       : meddler.script[i].answer_length);
		return true;
	}
	return false;
}

static void meddle(const struct i2c_transfer *read)
{
	meddler.last_read = meddler.transfers;
	meddler.last_length = read->length;
	if (meddler.transfers == meddler.flip_at)
		read->data[meddler.flip_bit / 8] ^= (uint8_t)(1U << meddler.flip_bit % 8);
}

static void look_on(const struct i2c_transfer *write)
{
	size_t length = write->length < sizeof(meddler.last_written) ? write->length
								     : sizeof(meddler.last_written);

	memset(meddler.last_written, 0, sizeof(meddler.last_written));
	memcpy(meddler.last_written, write->data, length);
	if (write->length == 2 && meddler.written_count < 64)
		memcpy(meddler.written[meddler.written_count++], write->data, 2);
}

static int meddler_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			    size_t count)
{
	const struct i2c_transfer *last = &transfers[count - 1];
	int r;

	(void)bus;
	now_us += TRANSFER_US;
	if (++meddler.transfers == meddler.fail_at)
		return meddler.error;
	if (!transfers[0].read)
		look_on(&transfers[0]);

	r = meddler.inner->ops->transfer(meddler.inner, address, transfers, count);
	if (last->read && answer_by_script(last))
		r = 0;
	if (r < 0 || !last->read)
		return r;
	if (count == 2)
		spoil_registers(transfers[0].data[0], last->data, last->length);
	meddle(last);
	return 0;
}

static void meddler_free(struct i2c_bus *bus)
{
	(void)bus;
}

static const struct i2c_ops meddler_ops = { meddler_transfer, meddler_free };

void spoil(uint8_t reg, uint8_t value)
{
	ck_assert_uint_lt((size_t)meddler.spoiled_count, ARRAY_SIZE(meddler.spoiled));
	meddler.spoiled[meddler.spoiled_count].reg = reg;
	meddler.spoiled[meddler.spoiled_count++].value = value;
}

static size_t parse_hex(const char *text, uint8_t *bytes, size_t size)
{
	size_t digits = 0;

	memset(bytes, 0, size);
	for (; *text; text++) {
		const char digit[] = { *text, '\0' };

		if (*text == ' ')
			continue;
		ck_assert_msg(isxdigit((unsigned char)*text) && digits < 2 * size,
			      "hexadecimal: %s", text);
		bytes[digits / 2] |=
			(uint8_t)(strtoul(digit, NULL, 16) << (digits % 2 == 0 ? 4 : 0));
		digits++;
	}
	ck_assert_uint_eq(digits % 2, 0);
	return digits / 2;
}

void script(const char *key, const char *answer)
{
	int at = meddler.script_count++;

	ck_assert_uint_lt((size_t)at, ARRAY_SIZE(meddler.script));
	meddler.script[at].key_length =
		parse_hex(key, meddler.script[at].key, sizeof(meddler.script[at].key));
	meddler.script[at].answer_length =
		parse_hex(answer, meddler.script[at].answer, sizeof(meddler.script[at].answer));
}

/* --- The clock --------------------------------------------------------------------------------- */

static int64_t clock_us(void)
{
	return now_us;
}

/* NOLINTBEGIN: the linker's own name */
int __wrap_nanosleep(const struct timespec *duration, struct timespec *left);
int __wrap_nanosleep(const struct timespec *duration, struct timespec *left)
/* NOLINTEND */
{
	now_us += duration->tv_sec * 1000000 + (duration->tv_nsec + 999) / 1000;
	if (left)
		*left = (struct timespec){ 0 };
	return 0;
}

/* --- The chip and the source ------------------------------------------------------------------- */

void chip_set_up(void)
{
	memset(&meddler, 0, sizeof(meddler));
	meddler.bus.ops = &meddler_ops;
	chip = NULL;
	chosen_count = 0;
	now_us = 1000000;
}

void chip_tear_down(void)
{
	source = source_free(source);
	device = i2c_device_free(device);
	meddler.inner = i2c_bus_free(meddler.inner);
}

void set_option(const char *name, const char *value)
{
	ck_assert_uint_lt(chosen_count, ARRAY_SIZE(chosen));
	chosen[chosen_count].name = name;
	chosen[chosen_count++].value = value;
}

/* the words of a list, with blanks between them */
static void list_words(struct option_value *value, const char *text)
{
	static char words[256];
	static struct option_value list[OPTION_LIST_MAX];
	char *rest = words;

	ck_assert_uint_lt(strlen(text), sizeof(words));
	memcpy(words, text, strlen(text) + 1);
	value->list = list;
	while (value->count < OPTION_LIST_MAX && (list[value->count].string = strsep(&rest, " ")))
		value->count++;
}

static struct option_value option_for(const struct driver_option *option)
{
	struct option_value value = { .number = option->preset };
	const char *text = option->text ? option->text : option->choices ? option->choices[0] : "";

	for (size_t i = 0; i < chosen_count; i++) {
		if (strcmp(chosen[i].name, option->name) != 0)
			continue;
		text = chosen[i].value;
		value.given = true;
		if (option->type == OPTION_STRINGS)
			list_words(&value, text);
		else if (option->type != OPTION_STRING)
			value.number = strtod(text, NULL);
	}
	if (option->type == OPTION_STRING)
		value.string = (char *)(uintptr_t)text; /* the source copies it */
	value.integer = llround(value.number);
	if (option->type == OPTION_DURATION && option->choices && value.given)
		ck_assert_int_eq(parse_duration(text, &value.integer), 0);
	return value;
}

void plug(const char *name, const char *model, uint16_t address)
{
	const struct driver *driver = driver_find(name);
	struct option_value options[OPTIONS_MAX] = { 0 };

	ck_assert_msg(driver != NULL, "no driver %s", name);
	ck_assert_uint_le(driver->option_count, ARRAY_SIZE(options));
	for (size_t i = 0; i < driver->option_count; i++)
		options[i] = option_for(&driver->options[i]);
	if (address == 0)
		address = driver->addresses[0];
	ck_assert_int_eq(sim_i2c_new(&meddler.inner), 0);
	ck_assert_msg(sim_i2c_add(meddler.inner, model, address, &chip) == 0, "no emulated %s",
		      model);
	sim_chip_restart(chip, clock_us);
	ck_assert_int_eq(i2c_device_new(&device, &meddler.bus, "/dev/i2c-1", address), 0);
	ck_assert_int_eq(source_new(&source, driver, options, device), 0);
}

int measure_start(int64_t *wait_us)
{
	int r;

	*wait_us = 0;
	source->fault[0] = '\0';
	r = source_open(source);
	if (r == 0)
		r = source_start(source, wait_us);
	if (r < 0)
		source_close(source);
	return r;
}

int measure_finish(int64_t wait_us, double values[static CHANNELS_MAX])
{
	int r;

	for (int collects = 0; collects <= 20; collects++) { /* as a sensor does */
		now_us += wait_us;
		wait_us = -1;
		for (size_t i = 0; i < CHANNELS_MAX; i++)
			values[i] = HUGE_VAL; /* one that is left out shows */
		r = source->driver->collect(source, values, &wait_us);
		if (r == 0)
			return 0;
		if (r != -EAGAIN) {
			source_close(source);
			return r;
		}
		ck_assert_msg(wait_us > 0, "-EAGAIN without a time to wait");
	}
	ck_abort_msg("asked 20 times and still converting: the driver has no bound");
}

int measure(double values[static CHANNELS_MAX])
{
	int64_t wait_us;
	int r;

	r = measure_start(&wait_us);
	return r < 0 ? r : measure_finish(wait_us, values);
}

/* --- Expectations ------------------------------------------------------------------------------ */

/* how far apart a value and the weather may be: resolution, and what changed since it was measured */
#define WEATHER_TOLERANCE 0.25 /* of half of what it swings in all */

static double weather_at(const char *channel, int64_t at_us)
{
	int64_t kept_us = now_us;
	double weather;

	now_us = at_us;
	weather = sim_weather(chip, channel);
	now_us = kept_us;
	return weather;
}

/* half of what it goes up and down */
static double swing_of(const char *channel)
{
	double least = HUGE_VAL, most = -HUGE_VAL;

	for (int64_t at_us = 0; at_us < 3600 * 1000000LL; at_us += 36000000) {
		least = fmin(least, weather_at(channel, at_us));
		most = fmax(most, weather_at(channel, at_us));
	}
	return (most - least) / 2;
}

static bool is_dimmed(double value, double weather)
{
	return chip->model->traits & SIM_DIMS && chosen_count > 0 && value > 0 && value < weather;
}

bool is_weather(const double *values)
{
	for (size_t i = 0; i < source->channel_count; i++) {
		const char *name = source->channels[i].name;

		if (!isnan(sim_weather(chip, name)) &&
		    !(fabs(values[i] - sim_weather(chip, name)) <=
		      swing_of(name) * WEATHER_TOLERANCE) &&
		    !is_dimmed(values[i], sim_weather(chip, name)))
			return false;
	}
	return true;
}

void assert_measures(void)
{
	double values[CHANNELS_MAX];
	int r = measure(values);

	ck_assert_msg(r == 0, "%s: %s: %s", source->driver->name, strerror(-r), source->fault);
	for (size_t i = 0; i < source->channel_count; i++)
		ck_assert_msg(isfinite(values[i]), "%s: %s: %g", source->driver->name,
			      source->channels[i].name, values[i]);
	for (size_t i = 0; i < source->channel_count; i++)
		ck_assert_msg(is_weather(values), "%s: %s: %g where it is %g", source->driver->name,
			      source->channels[i].name, values[i],
			      sim_weather(chip, source->channels[i].name));
	ck_assert_msg(chip->complaint[0] == '\0', "%s: the chip complains: %s",
		      source->driver->name, chip->complaint);
}

void assert_not_yet(const char *driver)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug(driver, driver, 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(20000, values), 0);
	ck_assert(is_weather(values));
}

void assert_waits_anew(const char *driver)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug(driver, driver, 0);
	for (int reading = 0; reading < 30; reading++) {
		ck_assert_int_eq(measure_start(&wait_us), 0);
		ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
		ck_assert_int_eq(measure_finish(150000, values), 0);
	}
}

void assert_fails(int error, const char *words)
{
	double values[CHANNELS_MAX];

	ck_assert_int_eq(measure(values), error);
	ck_assert_msg(strstr(source->fault, words), "\"%s\" has no \"%s\"", source->fault, words);
}

void assert_example(const char *driver, const struct chip_example *example)
{
	double values[CHANNELS_MAX];

	plug(driver, driver, 0);
	for (size_t i = 0; i < ARRAY_SIZE(example->says) && example->says[i].key; i++)
		script(example->says[i].key, example->says[i].answer);
	ck_assert_msg(measure(values) == 0, "%s: %s", driver, source->fault);
	for (size_t i = 0; i < source->channel_count && i < ARRAY_SIZE(example->values); i++)
		if (isnan(example->values[i]))
			ck_assert_msg(isnan(values[i]), "%s: %g where there is nothing",
				      source->channels[i].name, values[i]);
		else
			ck_assert_double_eq_tol(values[i], example->values[i], example->tolerance);
}

/* --- main() ------------------------------------------------------------------------------------ */

static Suite *suite;

TCase *chip_tests(const char *name)
{
	TCase *tests = tcase_create(name);

	suite = suite_create(name);
	tcase_add_checked_fixture(tests, chip_set_up, chip_tear_down);
	suite_add_tcase(suite, tests);
	return tests;
}

int chip_run_tests(void)
{
	return suite_run(suite);
}
