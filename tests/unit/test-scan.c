/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who is there? Every emulated chip is found at each of its addresses, and is as it was afterwards.
 * What --scan prints is told by tests/system/test_scan.py.
 */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

#include "iotd/bus.h"
#include "iotd/chip.h"
#include "iotd/drivers.h"
#include "iotd/sim.h"
#include "sim/kit.h"

#define ADDRESSES 4

static int64_t now_us;

/* a bus that looks on */
static struct wire {
	struct i2c_bus bus, *inner;
	int reads, writes, longest_write;
	int error; /* of every transfer; 0: none */
} wire;

static int64_t now(void)
{
	return now_us;
}

static int wire_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			 size_t count)
{
	(void)bus;
	now_us += 100;
	for (size_t i = 0; i < count; i++) {
		if (transfers[i].read)
			wire.reads++;
		else
			wire.writes++;
		if (!transfers[i].read && transfers[i].length > wire.longest_write)
			wire.longest_write = transfers[i].length;
	}
	return wire.error ? wire.error
			  : wire.inner->ops->transfer(wire.inner, address, transfers, count);
}

static const struct i2c_ops wire_ops = { .transfer = wire_transfer };

int wrapped_nanosleep(const struct timespec *duration,
		      struct timespec *rest) __asm__("__wrap_nanosleep");
int wrapped_nanosleep(const struct timespec *duration, struct timespec *rest)
{
	(void)rest;
	now_us += duration->tv_sec * 1000000LL + (duration->tv_nsec + 999) / 1000;
	return 0;
}

static void set_up(void)
{
	memset(&wire, 0, sizeof(wire));
	wire.bus.ops = &wire_ops;
	now_us = 1000000;
	ck_assert_int_eq(sim_i2c_new(&wire.inner), 0);
}

static void tear_down(void)
{
	wire.inner = i2c_bus_free(wire.inner);
}

static struct sim_chip *plug(const char *driver, uint16_t address)
{
	struct sim_chip *chip;

	ck_assert_int_eq(sim_i2c_add(wire.inner, driver, address, &chip), 0);
	sim_chip_restart(chip, now);
	now_us += 1000000;
	return chip;
}

static int ask_at(uint16_t address, struct candidates *found)
{
	struct i2c_device device = { .bus = &wire.bus,
				     .address = address,
				     .bus_name = "/dev/i2c-1" };

	return drivers_ask(&device, found);
}

static bool is_candidate(const struct candidates *found, const struct driver *driver)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->drivers[i] == driver)
			return true;
	return false;
}

static const struct driver *driver_of(int index)
{
	const struct driver *driver = driver_at((size_t)index);

	return driver && driver->addresses[0] && sim_i2c_knows(driver->name) ? driver : NULL;
}

/* --- Chips ------------------------------------------------------------------------------------- */

/* chips without an id, and those whose answers say nothing */
static bool has_no_id(const char *name)
{
	static const char *const without[] = { "ads1015",  "ads1115", "ina219", "lm75",
					       "mpr121",   "tmp102",  "bh1750", "tsl2561",
					       "veml7700", "vl6180x" };

	for (size_t i = 0; i < ARRAY_SIZE(without); i++)
		if (strcmp(without[i], name) == 0)
			return true;
	return false;
}

START_TEST(each_chip_is_found_at_each_of_its_addresses)
{
	const struct driver *driver = driver_of(_i);
	struct candidates found;

	for (size_t i = 0; driver && i < ADDRESSES && driver->addresses[i]; i++) {
		tear_down();
		set_up();
		plug(driver->name, driver->addresses[i]);
		ck_assert_msg(ask_at(driver->addresses[i], &found) == 1, "%s is not seen",
			      driver->name);
		ck_assert_msg(is_candidate(&found, driver), "%s is taken for %s", driver->name,
			      found.count > 0 ? found.drivers[0]->name : "nothing");
		ck_assert_msg(found.is_sure == !has_no_id(driver->name), "%s: sure %d",
			      driver->name, found.is_sure);
		ck_assert(!found.is_sure || found.count == 1);
	}
}
END_TEST

/* a chip that has no such register, or no such command, says so and does nothing; a register of one byte ends */
static bool is_refusal(const char *complaint)
{
	return strncmp(complaint, "there is no ", 12) == 0 ||
	       strcmp(complaint, "2 bytes from a register of 1") == 0 ||
	       strcmp(complaint, "1 bytes are read") == 0 ||
	       strcmp(complaint, "half a register's number") == 0;
}

START_TEST(a_chip_does_not_mind_and_works_as_if_never_asked)
{
	const struct driver *driver = driver_of(_i);
	struct candidates found;
	struct sim_chip *chip;

	if (!driver)
		return;
	chip = plug(driver->name, driver->addresses[0]);
	for (int times = 0; times < 3; times++)
		ck_assert_int_eq(ask_at(chip->address, &found), 1);
	ck_assert_msg(!chip->complaint[0] || is_refusal(chip->complaint), "%s: %s", driver->name,
		      chip->complaint);
	ck_assert_msg(!found.is_sure || found.drivers[0] == driver, "%s", driver->name);
}
END_TEST

/* the kinds that embed struct sim_registers, which lie open here */
static const char *const with_registers[] = { "tmp117",	 "mcp9808", "lm75",   "tmp102",
					      "ads1115", "ina219",  "ina226", "ina260" };

/* what it measures changes, its settings must not */
START_TEST(the_settings_of_a_chip_are_the_same_afterwards)
{
	const struct driver *driver = driver_find(with_registers[_i]);
	uint16_t before[256];
	struct candidates found;
	struct sim_registers *sim;
	int settings = 0;

	ck_assert_ptr_nonnull(driver);
	sim = container_of(plug(driver->name, driver->addresses[0]), struct sim_registers, chip);
	memcpy(before, sim->values, sizeof(before));
	ck_assert_int_eq(ask_at(driver->addresses[0], &found), 1);
	for (size_t i = 0; i < sim->map->count; i++) {
		const struct sim_register *reg = &sim->map->registers[i];

		settings += reg->writable != 0;
		ck_assert_uint_eq(sim->values[reg->number] & reg->writable,
				  before[reg->number] & reg->writable);
	}
	ck_assert_int_gt(settings, 0);
	ck_assert_int_le(wire.longest_write, 1); /* no more than a register's number */
}
END_TEST

/* --- Manners ----------------------------------------------------------------------------------- */

START_TEST(nobody_is_nobody)
{
	struct candidates found;

	for (uint16_t address = 0x08; address <= 0x77; address++)
		ck_assert_int_eq(ask_at(address, &found), 0);
}
END_TEST

START_TEST(who_can_be_read_gets_no_command)
{
	struct candidates found;

	/* a display or a multiplexer at an SHTC3's address, a converter at an SCD4x's: as a TMP117 has registers */
	plug("tmp117", 0x70);
	plug("tmp117", 0x62);
	ck_assert_int_eq(ask_at(0x70, &found), 1);
	ck_assert_uint_eq(found.count, 0);
	ck_assert_int_eq(ask_at(0x62, &found), 1);
	ck_assert_uint_eq(found.count, 0);
	ck_assert_int_eq(wire.writes, 0);
}
END_TEST

START_TEST(nothing_is_written_where_port_expanders_are)
{
	struct candidates found;

	for (uint16_t address = 0x20; address <= 0x3f; address++)
		if (address < 0x28 || address >= 0x38) {
			plug("tmp117", address);
			ck_assert_int_eq(ask_at(address, &found), 1);
			ck_assert(!found.is_sure);
		}
	ck_assert_int_gt(wire.reads, 0);
	ck_assert_int_eq(wire.writes, 0);
}
END_TEST

static const uint16_t delicate[] = { 0x30, 0x37, 0x50, 0x57, 0x69 };

START_TEST(memories_and_clocks_are_left_alone)
{
	struct candidates found;

	plug("tmp117", delicate[_i]);
	ck_assert_int_eq(ask_at(delicate[_i], &found), 0);
	ck_assert_int_eq(wire.reads + wire.writes, 0);
}
END_TEST

START_TEST(a_bus_that_fails_is_told)
{
	static const int errors[] = { -EBUSY, -ETIMEDOUT, -ENOENT, -EACCES };
	struct candidates found;

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		wire.error = errors[i];
		wire.reads = 0;
		ck_assert_int_eq(ask_at(0x76, &found), errors[i]);
		ck_assert_int_eq(wire.reads, 1); /* and not tried again by each driver */
	}
}
END_TEST

START_TEST(two_bytes_are_never_asked_of_a_chip_with_registers)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = driver_at(i)); i++)
		for (size_t at = 0; at < ADDRESSES && driver->addresses[at]; at++) {
			struct candidates found;

			tear_down();
			set_up();
			plug("tmp117", driver->addresses[at]);
			ck_assert_int_eq(ask_at(driver->addresses[at], &found), 1);
			ck_assert_int_le(wire.longest_write, 1);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scan");
	TCase *chips = tcase_create("chips"), *manners = tcase_create("manners");
	SRunner *runner;
	int failed, drivers = 0;

	while (driver_at((size_t)drivers))
		drivers++;
	tcase_add_checked_fixture(chips, set_up, tear_down);
	tcase_add_loop_test(chips, each_chip_is_found_at_each_of_its_addresses, 0, drivers);
	tcase_add_loop_test(chips, a_chip_does_not_mind_and_works_as_if_never_asked, 0, drivers);
	tcase_add_loop_test(chips, the_settings_of_a_chip_are_the_same_afterwards, 0,
			    ARRAY_SIZE(with_registers));
	tcase_add_checked_fixture(manners, set_up, tear_down);
	tcase_add_test(manners, nobody_is_nobody);
	tcase_add_test(manners, who_can_be_read_gets_no_command);
	tcase_add_test(manners, nothing_is_written_where_port_expanders_are);
	tcase_add_loop_test(manners, memories_and_clocks_are_left_alone, 0, ARRAY_SIZE(delicate));
	tcase_add_test(manners, a_bus_that_fails_is_told);
	tcase_add_test(manners, two_bytes_are_never_asked_of_a_chip_with_registers);
	suite_add_tcase(suite, chips);
	suite_add_tcase(suite, manners);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
