/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --scan: who is on the I2C buses, as a part of a configuration (scan-text.c). There is neither a
 * reactor nor a worker yet, so buses are asked one after another. scanning.c is for the daemon that
 * runs.
 */
#include <errno.h>
#include <string.h>

#include "iotd/daemon.h"
#include "iotd/log.h"
#include "iotd/sim.h"
#include "scan.h"

#define SIM_BUSES_MAX 16

struct scan {
	struct scan_text text;
	bool has_failed;
};

/* @name: "i2c-1". A bus that hangs would hang at each address: the first is enough */
static void scan_bus(struct scan *scan, struct i2c_bus *bus, const char *name)
{
	char path[sizeof(SCAN_NODE) + SCAN_NAME_SIZE];
	struct i2c_device device = { .bus = bus, .bus_name = path };
	struct scan_answer answer = { 0 };

	(void)snprintf(path, sizeof(path), SCAN_NODE "%s", name);
	for (device.address = SCAN_FIRST; answer.error == 0 && device.address <= SCAN_LAST;
	     device.address++) {
		scan_ask(&device, &answer);
		scan_text_add(&scan->text, name, device.address, &answer);
	}
	if (answer.error < 0) {
		log_error("%s", answer.words);
		scan->has_failed = true;
	}
}

static int scan_kernel_bus(struct scan *scan, const char *name)
{
	char path[sizeof(SCAN_NODE) + SCAN_NAME_SIZE], copy[SCAN_NAME_SIZE];
	const struct i2c_settings settings = { .name = copy,
					       .path = path,
					       .timeout_us = SCAN_TIMEOUT_US };
	cleanup(i2c_bus_freep) struct i2c_bus *bus = NULL;
	int r;

	(void)snprintf(copy, sizeof(copy), "%s", name);
	(void)snprintf(path, sizeof(path), SCAN_NODE "%s", name);
	r = i2c_bus_new(&bus, &settings);
	if (r == 0)
		scan_bus(scan, bus, name);
	return r;
}

static int scan_kernel_buses(struct scan *scan)
{
	unsigned long numbers[256];
	size_t count = scan_list_nodes(numbers, ARRAY_SIZE(numbers));
	char name[SCAN_NAME_SIZE];
	int r = 0;

	if (count == 0) {
		log_error("%s", scan_no_nodes);
		scan->has_failed = true;
	}
	for (size_t i = 0; r == 0 && i < count; i++) {
		(void)snprintf(name, sizeof(name), "i2c-%lu", numbers[i]);
		r = scan_kernel_bus(scan, name);
	}
	return r;
}

/* --- emulated ones -------------------------------------------------------------------------- */

/*
 * every emulated chip, at its first address, on the first bus where that is free. Return: 0;
 * -ENOMEM
 */
static int emulate(struct i2c_bus *buses[static SIM_BUSES_MAX], size_t *ret_count)
{
	const struct driver *driver;
	int r = 0;

	for (size_t i = 0; (r == 0 || r == -EEXIST) && (driver = driver_at(i)); i++) {
		if (driver->addresses[0] == 0 || !sim_i2c_knows(driver->name))
			continue;
		r = -EEXIST;
		for (size_t at = 0; r == -EEXIST && at < SIM_BUSES_MAX; at++) {
			if (at == *ret_count && sim_i2c_new(&buses[(*ret_count)++]) < 0)
				return -ENOMEM;
			r = sim_i2c_add(buses[at], driver->name, driver->addresses[0], NULL);
		}
	}
	return r == -EEXIST ? 0 : r;
}

static int scan_emulated(struct scan *scan, const char *only)
{
	struct i2c_bus *buses[SIM_BUSES_MAX] = { NULL };
	char name[SCAN_NAME_SIZE];
	bool is_there = false;
	size_t count = 0;
	int r;

	r = emulate(buses, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		(void)snprintf(name, sizeof(name), "i2c-%zu", i + 1);
		if (only && strcmp(only, name) != 0)
			continue;
		is_there = true;
		scan_bus(scan, buses[i], name);
	}
	for (size_t i = 0; i < count; i++)
		i2c_bus_free(buses[i]);
	if (r == 0 && !is_there) {
		log_error("there is no emulated bus %s: they are i2c-1 .. i2c-%zu", only, count);
		scan->has_failed = true;
	}
	return r;
}

/* --- all of it ------------------------------------------------------------------------------ */

static int scan_all(struct scan *scan, const char *bus, bool simulate)
{
	char name[SCAN_NAME_SIZE];

	if (bus && scan_parse_bus(bus, name) < 0)
		return -EINVAL;
	if (simulate)
		return scan_emulated(scan, bus ? name : NULL);
	return bus ? scan_kernel_bus(scan, name) : scan_kernel_buses(scan);
}

int daemon_scan(const char *bus, const struct daemon_options *options, FILE *out)
{
	struct scan scan = { 0 };
	int r, ended;

	r = scan_text_begin(&scan.text, out);
	if (r < 0)
		return r;
	r = scan_all(&scan, bus, options->simulate);
	ended = scan_text_end(&scan.text, r == 0 && !scan.has_failed);
	if (r == 0)
		r = ended;
	if (r == 0 && scan.has_failed)
		r = -EIO;
	return r;
}
