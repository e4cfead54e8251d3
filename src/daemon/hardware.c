/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "hardware.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/sim.h"

/* plain files are read one after another by one thread, unless one takes longer than this */
#define FILE_PATIENCE_US (20 * USEC_PER_MSEC)
#define THREADS_SPARE	 8   /* the broker, systemd, and room */
#define THREADS_MOST	 256 /* a bound for any configuration */

struct bus {
	SLIST_ENTRY(bus) link;
	const struct i2c_settings *settings;
	struct i2c_bus *i2c;
	struct worker_key *key;
};

struct chip {
	SLIST_ENTRY(chip) link;
	const char *name; /* as in the configuration */
	struct worker_key *key;
};

struct bound {
	SLIST_ENTRY(bound) link;
	struct i2c_device *device;
};

struct hardware {
	struct workers *workers;
	bool simulate;
	struct worker_key *files;
	SLIST_HEAD(, bus) buses;
	SLIST_HEAD(, chip) chips;
	SLIST_HEAD(, bound) devices;
};

static struct bus *find_bus(struct hardware *hardware, const char *name)
{
	struct bus *bus;

	SLIST_FOREACH(bus, &hardware->buses, link)
	if (strcmp(bus->settings->name, name) == 0)
		return bus;
	return NULL;
}

static int add_bus(struct hardware *hardware, const struct i2c_settings *settings)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->settings = settings;
	SLIST_INSERT_HEAD(&hardware->buses, bus, link);
	r = worker_key_new(&bus->key, hardware->workers, 0);
	if (r < 0)
		return r;
	return hardware->simulate ? sim_i2c_new(&bus->i2c) : i2c_bus_new(&bus->i2c, settings);
}

static int emulate_chips(struct hardware *hardware, const struct settings *settings)
{
	int r;

	for (size_t i = 0; i < settings->sensor_count; i++) {
		const struct sensor_settings *sensor = &settings->sensors[i];

		const struct bus *bus = sensor->bus ? find_bus(hardware, sensor->bus) : NULL;

		if (!bus || !sensor->enabled)
			continue;
		r = sim_i2c_add(bus->i2c, sensor->driver->name, sensor->address, NULL);
		if (r == -ENOENT)
			log_error("sensor %s: there is no emulation of a %s; set enabled = false "
				  "to simulate the rest",
				  sensor->name, sensor->driver->name);
		if (r < 0)
			return r;
	}
	return 0;
}

int hardware_new(struct hardware **ret, struct workers *workers, const struct settings *settings,
		 bool simulate)
{
	cleanup(hardware_freep) struct hardware *hardware = NULL;
	int r;

	hardware = calloc(1, sizeof(*hardware));
	if (!hardware)
		return -ENOMEM;
	hardware->workers = workers;
	hardware->simulate = simulate;
	r = worker_key_new(&hardware->files, workers, FILE_PATIENCE_US);
	for (size_t i = 0; r == 0 && i < settings->i2c_count; i++)
		r = add_bus(hardware, &settings->i2c[i]);
	if (r == 0 && simulate)
		r = emulate_chips(hardware, settings);
	if (r < 0)
		return r;
	*ret = take_ptr(hardware);
	return 0;
}

struct hardware *hardware_free(struct hardware *hardware)
{
	struct bound *bound;
	struct chip *chip;
	struct bus *bus;

	if (!hardware)
		return NULL;
	while ((bound = SLIST_FIRST(&hardware->devices))) {
		SLIST_REMOVE_HEAD(&hardware->devices, link);
		i2c_device_free(bound->device);
		free(bound);
	}
	while ((chip = SLIST_FIRST(&hardware->chips))) {
		SLIST_REMOVE_HEAD(&hardware->chips, link);
		worker_key_free(chip->key);
		free(chip);
	}
	while ((bus = SLIST_FIRST(&hardware->buses))) {
		SLIST_REMOVE_HEAD(&hardware->buses, link);
		worker_key_free(bus->key);
		i2c_bus_free(bus->i2c);
		free(bus);
	}
	worker_key_free(hardware->files);
	free(hardware);
	return NULL;
}

static int bind_device(struct hardware *hardware, const struct bus *bus, uint16_t address,
		       struct i2c_device **ret)
{
	struct bound *bound = calloc(1, sizeof(*bound));
	int r;

	if (!bound)
		return -ENOMEM;
	r = i2c_device_new(&bound->device, bus->i2c, bus->settings->path, address);
	if (r < 0) {
		free(bound);
		return r;
	}
	SLIST_INSERT_HEAD(&hardware->devices, bound, link);
	*ret = bound->device;
	return 0;
}

int hardware_source(struct hardware *hardware, const struct sensor_settings *sensor,
		    struct source **ret, struct worker_key **ret_key)
{
	struct i2c_device *device = NULL;
	struct bus *bus = NULL;
	int r;

	if (sensor->bus) {
		bus = find_bus(hardware, sensor->bus);
		assert(bus); /* config has seen to it that every bus that is named is listed */
		r = bind_device(hardware, bus, sensor->address, &device);
		if (r < 0)
			return r;
	}
	r = source_new(ret, sensor->driver, sensor->options, device);
	if (r < 0)
		return r;
	*ret_key = bus ? bus->key : hardware->files;
	return 0;
}

struct worker_key *hardware_line_key(struct hardware *hardware, const struct line_settings *line)
{
	struct chip *chip;

	SLIST_FOREACH(chip, &hardware->chips, link)
	if (strcmp(chip->name, line->chip) == 0)
		return chip->key;
	chip = calloc(1, sizeof(*chip));
	if (!chip)
		return NULL;
	if (worker_key_new(&chip->key, hardware->workers, 0) < 0) {
		free(chip);
		return NULL;
	}
	chip->name = line->chip;
	SLIST_INSERT_HEAD(&hardware->chips, chip, link);
	return chip->key;
}

const struct gpio *hardware_gpio(const struct hardware *hardware)
{
	return hardware->simulate ? &gpio_emulated : &gpio_kernel;
}

size_t hardware_threads(const struct settings *settings)
{
	size_t most = settings->i2c_count + settings->input_count + settings->output_count +
		      THREADS_SPARE;

	for (size_t i = 0; i < settings->sensor_count; i++)
		most += settings->sensors[i].bus == NULL; /* each of the files may hang */
	return most < THREADS_MOST ? most : THREADS_MOST;
}
