/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Crowds of sensors on emulated chips, on the virtual clock: who fails fails alone, and who measures
 * for seconds makes nobody wait. A bus between driver and chip fails a part of all transfers, and
 * knows whose they were.
 */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "reactor-fixture.h"

#include "iotd/bus.h"
#include "iotd/device.h"
#include "iotd/drivers.h"
#include "iotd/log.h"
#include "iotd/sim.h"

#define EPOCH_US     1000000000
#define HOUR_US	     (3600 * USEC_PER_SEC)
#define BUSES	     4
#define ON_A_BUS     50
#define FIRST	     0x08
#define SENSORS	     (BUSES * ON_A_BUS)
#define PERMILLE     50
#define OPTIONS_MAX  8
#define TOLERANCE_US (100 * USEC_PER_MSEC) /* a chip that is not done is asked again */

/* a worker adds faults, the reactor takes them: never at the same time for one sensor, as its job is out or not */
struct member {
	char name[32];
	struct sensor_settings settings;
	struct option_value options[OPTIONS_MAX];
	struct i2c_device *device;
	struct sensor *sensor;
	int faults, new_faults; /* transfers that failed; since its last reading */
	int readings, offline, logged;
	int64_t last_us;
	bool is_well; /* that one came without a fault before it: the next is due an interval later */
};

static struct wire {
	struct i2c_bus bus, *inner;
	struct worker_key *key;
	struct member *members[I2C_ADDRESSES];
	uint64_t dice;
	int permille;
} wires[BUSES];

static struct member members[SENSORS];
static size_t member_count;
static struct stats stats;
static int64_t warm_us; /* from then on an interval counts */
static _Atomic int64_t paused_us;

/* chips live on the reactor's clock, and on the pauses of drivers, which take no time there */
static int64_t chip_now(void)
{
	return reactor_now(reactor) + paused_us;
}

int wrapped_nanosleep(const struct timespec *duration,
		      struct timespec *rest) __asm__("__wrap_nanosleep");
int wrapped_nanosleep(const struct timespec *duration, struct timespec *rest)
{
	(void)rest;
	paused_us += duration->tv_sec * USEC_PER_SEC + (duration->tv_nsec + 999) / 1000;
	return 0;
}

/* splitmix64 */
static uint64_t roll(struct wire *wire)
{
	uint64_t z = wire->dice += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int wire_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			 size_t count)
{
	static const int errors[] = { -EIO, -ENXIO, -ETIMEDOUT };
	struct wire *wire = container_of(bus, struct wire, bus);
	struct member *member = wire->members[address];

	if (!member) /* a look for an absent chip at its other addresses */
		return -ENXIO;
	if (roll(wire) % 1000 >= (uint64_t)wire->permille)
		return wire->inner->ops->transfer(wire->inner, address, transfers, count);
	member->faults++;
	member->new_faults++;
	return errors[roll(wire) % ARRAY_SIZE(errors)];
}

static const struct i2c_ops wire_ops = { .transfer = wire_transfer };

/* --- what sensors tell -------------------------------------------------------------------------- */

static struct member *member_of(const struct sensor_settings *settings)
{
	return container_of((uintptr_t)settings, struct member, settings);
}

static void on_reading(struct device_events *events, const struct sensor_settings *settings,
		       const struct reading *reading)
{
	struct member *member = member_of(settings);
	int64_t now_us = reactor_now(reactor), distance_us = now_us - member->last_us;

	(void)events;
	ck_assert_uint_gt(reading->count, 0);
	if (member->is_well && member->new_faults == 0 && now_us > warm_us)
		ck_assert_msg(llabs(distance_us - settings->interval_us) <= TOLERANCE_US,
			      "%s, a %s, came after %lld us", member->name, settings->driver->name,
			      (long long)distance_us);
	member->readings++;
	member->last_us = now_us;
	member->is_well = member->new_faults == 0;
	member->new_faults = 0;
}

static struct member *named(const char *name)
{
	for (size_t i = 0; i < member_count; i++)
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	ck_abort_msg("nobody is called %s", name);
}

static void on_status(struct device_events *events, enum device_kind kind, const char *name,
		      enum device_status status)
{
	struct member *member = named(name);

	(void)events;
	(void)kind;
	if (status != STATUS_OFFLINE)
		return;
	ck_assert_msg(member->new_faults > 0, "%s went offline for a fault of another", name);
	member->offline++;
}

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	struct member *member = named(fields->name);

	(void)format;
	if (level > LOG_WARNING)
		return;
	ck_assert_msg(member->new_faults > 0, "%s is blamed for a fault of another", fields->name);
	member->logged++;
}

static struct device_events events = { .reading = on_reading, .status = on_status };
static struct device_parts parts = { .events = &events, .stats = &stats };

/* --- the crowd ---------------------------------------------------------------------------------- */

static void set_up(void)
{
	memset(wires, 0, sizeof(wires));
	memset(members, 0, sizeof(members));
	memset(&stats, 0, sizeof(stats));
	member_count = 0;
	paused_us = 0;
	ck_assert_int_eq(reactor_new_virtual(&reactor, EPOCH_US), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", BUSES), 0);
	parts.reactor = reactor;
	parts.epoch_us = reactor_now(reactor);
	for (size_t i = 0; i < BUSES; i++) {
		wires[i].bus.ops = &wire_ops;
		wires[i].dice = i + 1;
		ck_assert_int_eq(sim_i2c_new(&wires[i].inner), 0);
		ck_assert_int_eq(worker_key_new(&wires[i].key, workers, 0), 0);
	}
}

static void tear_down(void)
{
	for (size_t i = 0; i < member_count; i++)
		sensor_free(members[i].sensor);
	ck_assert_int_eq(workers_free(workers, 20 * USEC_PER_SEC), 0);
	for (size_t i = 0; i < member_count; i++)
		i2c_device_free(members[i].device);
	for (size_t i = 0; i < BUSES; i++) {
		worker_key_free(wires[i].key);
		i2c_bus_free(wires[i].inner);
	}
	reactor = reactor_free(reactor);
}

/* as config/ fills in what is not given */
static void fill_options(struct member *member, const struct driver *driver)
{
	ck_assert_uint_le(driver->option_count, OPTIONS_MAX);
	for (size_t i = 0; i < driver->option_count; i++) {
		const struct driver_option *option = &driver->options[i];
		const char *text = option->text	     ? option->text
				   : option->choices ? option->choices[0]
						     : "";

		member->options[i].number = option->preset;
		member->options[i].integer = llround(option->preset);
		if (option->type == OPTION_STRING)
			member->options[i].string = (char *)(uintptr_t)text;
	}
}

static void add(struct wire *wire, const char *name, uint16_t address, int64_t interval_us)
{
	struct member *member = &members[member_count];
	const struct driver *driver = driver_find(name);
	struct sim_chip *chip;
	struct source *source;

	(void)snprintf(member->name, sizeof(member->name), "s%zu", member_count++);
	member->settings = (struct sensor_settings){ .name = member->name,
						     .driver = driver,
						     .address = address,
						     .interval_us = interval_us };
	fill_options(member, driver);
	wire->members[address] = member;
	ck_assert_int_eq(sim_i2c_add(wire->inner, name, address, &chip), 0);
	sim_chip_restart(chip, chip_now);
	ck_assert_int_eq(i2c_device_new(&member->device, &wire->bus, "/dev/i2c-1", address), 0);
	ck_assert_int_eq(source_new(&source, driver, member->options, member->device), 0);
	ck_assert_int_eq(sensor_new(&member->sensor, &parts, &member->settings, source, wire->key),
			 0);
}

/* --- tests -------------------------------------------------------------------------------------- */

/* the whole hour, 5 % of all transfers fail, on every bus but the last, where none does */
START_TEST(two_hundred_sensors_fail_alone)
{
	static const char *const kinds[] = { "bme280", "sht3x",	 "tmp117", "mcp9808", "ina226",
					     "aht20",  "htu21d", "lm75",   "bmp388",  "sht4x" };
	int faults = 0;

	warm_us = EPOCH_US + 15 * USEC_PER_SEC;
	for (size_t i = 0; i < SENSORS; i++)
		add(&wires[i % BUSES], kinds[i / BUSES % ARRAY_SIZE(kinds)],
		    (uint16_t)(FIRST + i / BUSES), 10 * USEC_PER_SEC);
	for (size_t i = 0; i < BUSES - 1; i++)
		wires[i].permille = PERMILLE;
	run_for(HOUR_US);
	for (size_t i = 0; i < SENSORS; i++) {
		const struct member *member = &members[i];

		faults += member->faults;
		ck_assert_int_ge(member->readings, i % BUSES == BUSES - 1 ? 360 : 180);
		ck_assert_int_le(member->offline, member->faults);
		ck_assert_int_eq(member->offline, member->logged);
		if (i % BUSES == BUSES - 1)
			ck_assert_int_eq(member->faults + member->offline, 0);
		else
			ck_assert_int_gt(member->offline, 0);
	}
	ck_assert_int_gt(faults, 5000);
	ck_assert_uint_le(stats.read_errors, (uint64_t)faults);
	ck_assert_uint_gt(stats.read_errors, 0);
}
END_TEST

/* a single fault, of each sensor in turn: all others keep online and on time */
START_TEST(one_fault_marks_one_sensor)
{
	static const char *const kinds[] = { "bme280", "sht3x", "tmp117", "aht20" };

	warm_us = EPOCH_US + 2 * USEC_PER_SEC;
	for (uint16_t i = 0; i < 12; i++)
		add(&wires[0], kinds[i % ARRAY_SIZE(kinds)], (uint16_t)(FIRST + i), USEC_PER_SEC);
	run_for(5 * USEC_PER_SEC);
	for (uint16_t i = 0; i < 12; i++) {
		sim_i2c_remove(wires[0].inner, (uint16_t)(FIRST + i));
		members[i].faults = members[i].new_faults = 1; /* it is not plugged in again */
		run_for(5 * USEC_PER_SEC);
		members[i].new_faults = 1;
		for (uint16_t other = 0; other < 12; other++)
			ck_assert_msg(members[other].offline == (other <= i), "s%u: %d, after s%u",
				      other, members[other].offline, i);
	}
}
END_TEST

/* an SCD4x measures for 5 s, a BME280 for some ms */
START_TEST(who_measures_for_seconds_makes_nobody_wait)
{
	static const int64_t intervals_us[] = { 50 * USEC_PER_MSEC, 1 * USEC_PER_SEC };

	warm_us = EPOCH_US + 20 * USEC_PER_SEC;
	for (uint16_t i = 0; i < 2; i++)
		add(&wires[0], "scd4x", (uint16_t)(0x62 + i), 10 * USEC_PER_SEC);
	for (uint16_t i = 0; i < 10; i++)
		add(&wires[0], "bme280", (uint16_t)(0x20 + i), intervals_us[_i]);
	run_for(HOUR_US / 6);
	for (size_t i = 0; i < member_count; i++) {
		int64_t due = HOUR_US / 6 / members[i].settings.interval_us;

		ck_assert_int_eq(members[i].offline, 0);
		ck_assert_int_ge(members[i].readings, due - (i < 2 ? 2 : 1));
	}
	ck_assert_uint_eq(stats.read_errors, 0);
	ck_assert_int_lt(stats.late_max_us, 10 * USEC_PER_MSEC);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crowd");
	TCase *tests = tcase_create("crowd");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 100);
	tcase_add_test(tests, two_hundred_sensors_fail_alone);
	tcase_add_test(tests, one_fault_marks_one_sensor);
	tcase_add_loop_test(tests, who_measures_for_seconds_makes_nobody_wait, 0, 2);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
