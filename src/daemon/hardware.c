/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buses and chips by their names. A bus is used by its configuration, and by the sources on it, which may be closed
 * long after a reload has changed or removed it: the last of them takes it down. Chips are only
 * names with a key, and stay.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "hardware.h"
#include "iotd/clock.h"
#include "iotd/config.h"
#include "iotd/descriptor.h"
#include "iotd/log.h"
#include "iotd/sim.h"

/* plain files are read one after another by one thread, unless one takes longer than this... */
#define FILE_PATIENCE_US (20 * USEC_PER_MSEC)

/* ...or there are more than these, which take 2 ms: then by as many as there are processors */
#define FILES_OF_KEY  512
#define FILE_KEYS_MAX 8

#define LENT_TIMEOUT_US (100 * USEC_PER_MSEC) /* the default of configured ones */

/* of a device whose channels only the kernel knows; most have fewer */
#define CHANNELS_GUESSED 16

struct bus {
	SLIST_ENTRY(bus) link;
	const struct i2c_settings *settings; /* NULL: no longer configured */
	struct i2c_bus *i2c;
	struct worker_key *key;
	size_t users; /* sources, and who is lent it */
	int64_t busy_us;
};

struct chip {
	SLIST_ENTRY(chip) link;
	char *name; /* as in the configuration; of what the kernel drives with the driver before it */
	struct worker_key *key;
};

/* what a source on a bus has borrowed */
struct bound {
	struct source_owner owner;
	struct hardware *hardware;
	struct bus *bus;
	struct i2c_device *device;
};

struct hardware {
	struct workers *workers;
	bool simulate;
	struct worker_key *files[FILE_KEYS_MAX];
	size_t file_keys, file_sources;
	SLIST_HEAD(, bus) buses;
	SLIST_HEAD(, chip) chips;
};

/* --- buses ---------------------------------------------------------------------------------- */

static struct bus *find_bus(struct hardware *hardware, const char *name)
{
	struct bus *bus;

	SLIST_FOREACH(bus, &hardware->buses, link)
	if (bus->settings && strcmp(bus->settings->name, name) == 0)
		return bus;
	return NULL;
}

static struct bus *find_path(struct hardware *hardware, const char *path)
{
	struct bus *bus;

	SLIST_FOREACH(bus, &hardware->buses, link)
	if (bus->settings && strcmp(bus->settings->path, path) == 0)
		return bus;
	return NULL;
}

static void bus_free(struct bus *bus)
{
	worker_key_free(bus->key);
	i2c_bus_free(bus->i2c);
	free(bus);
}

static void release_bus(struct hardware *hardware, struct bus *bus)
{
	if (bus->settings || bus->users > 0)
		return;
	SLIST_REMOVE(&hardware->buses, bus, bus, link);
	bus_free(bus);
}

static int add_bus(struct hardware *hardware, const struct i2c_settings *settings, struct bus **ret)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	r = worker_key_new(&bus->key, hardware->workers, 0);
	if (r == 0)
		r = hardware->simulate ? sim_i2c_new(&bus->i2c) : i2c_bus_new(&bus->i2c, settings);
	if (r < 0) {
		bus_free(bus);
		return r;
	}
	SLIST_INSERT_HEAD(&hardware->buses, bus, link);
	*ret = bus;
	return 0;
}

static int update_buses(struct hardware *hardware, const struct settings *settings)
{
	struct bus *bus, *next;
	int r = 0;

	for (bus = SLIST_FIRST(&hardware->buses); bus; bus = next) {
		const struct i2c_settings *fresh = NULL;

		next = SLIST_NEXT(bus, link);
		if (bus->settings)
			fresh = settings_find_i2c(settings, bus->settings->name);
		bus->settings = fresh && config_i2c_equal(bus->settings, fresh) ? fresh : NULL;
		release_bus(hardware, bus);
	}
	for (size_t i = 0; r == 0 && i < settings->i2c_count; i++) {
		if (find_bus(hardware, settings->i2c[i].name))
			continue;
		r = add_bus(hardware, &settings->i2c[i], &bus);
		if (r == 0)
			bus->settings = &settings->i2c[i];
	}
	return r;
}

/* --- emulated chips ------------------------------------------------------------------------- */

static bool has_chip(const struct settings *settings, const struct sensor_settings *chip)
{
	for (size_t i = 0; i < settings->sensor_count; i++) {
		const struct sensor_settings *sensor = &settings->sensors[i];

		if (sensor->enabled && sensor->bus && strcmp(sensor->bus, chip->bus) == 0 &&
		    sensor->address == chip->address && sensor->driver == chip->driver)
			return true;
	}
	return false;
}

static void remove_chips(struct hardware *hardware, const struct settings *old,
			 const struct settings *settings)
{
	for (size_t i = 0; i < old->sensor_count; i++) {
		const struct sensor_settings *sensor = &old->sensors[i];
		const struct bus *bus = sensor->bus ? find_bus(hardware, sensor->bus) : NULL;

		if (bus && sensor->enabled && !has_chip(settings, sensor))
			sim_i2c_remove(bus->i2c, sensor->address);
	}
}

static int emulate_chips(struct hardware *hardware, const struct settings *settings)
{
	for (size_t i = 0; i < settings->sensor_count; i++) {
		const struct sensor_settings *sensor = &settings->sensors[i];
		const struct bus *bus = sensor->bus ? find_bus(hardware, sensor->bus) : NULL;
		int r;

		if (!bus || !sensor->enabled)
			continue;
		r = sim_i2c_add(bus->i2c, sensor->driver->name, sensor->address, NULL);
		if (r < 0 && r != -EEXIST) /* it may be there already */
			return r;
		sim_i2c_configure(bus->i2c, sensor->address, sensor->driver, sensor->options);
	}
	return 0;
}

int hardware_check(const struct hardware *hardware, const struct settings *settings,
		   char fault[static 256])
{
	for (size_t i = 0; hardware->simulate && i < settings->sensor_count; i++) {
		const struct sensor_settings *sensor = &settings->sensors[i];

		if (!sensor->enabled || !sensor->bus || sim_i2c_knows(sensor->driver->name))
			continue;
		(void)snprintf(fault, 256,
			       "sensor %s: there is no emulation of a %s; set enabled = false to "
			       "simulate the rest",
			       sensor->name, sensor->driver->name);
		return -ENOENT;
	}
	return 0;
}

/* --- life ----------------------------------------------------------------------------------- */

int hardware_update(struct hardware *hardware, const struct settings *old,
		    const struct settings *settings)
{
	int r;

	r = update_buses(hardware, settings);
	if (r < 0 || !hardware->simulate)
		return r;
	remove_chips(hardware, old, settings);
	return emulate_chips(hardware, settings);
}

/* a file a channel, and with it those that say how to read it */
static size_t descriptors_of(const struct sensor_settings *sensor)
{
	size_t channels = CHANNELS_GUESSED;

	for (size_t i = 0; i < sensor->option_count; i++)
		if (sensor->options[i].count > 0)
			channels = sensor->options[i].count;
	switch (sensor->driver->kind) {
	case DRIVER_IIO:
		return 3 * channels; /* value, offset, scale */
	case DRIVER_HWMON:
		return 2 * channels; /* value, fault */
	case DRIVER_I2C:
	case DRIVER_FILE:
	case DRIVER_W1:
	case DRIVER_THERMAL:
		break;
	}
	return 1;
}

void hardware_reserve_descriptors(const struct settings *settings)
{
	size_t wanted = settings->input_count +
			2 * settings->output_count /* twice while systemd is given them to keep */ +
			settings->i2c_count;

	for (size_t i = 0; i < settings->sensor_count; i++)
		wanted += descriptors_of(&settings->sensors[i]);
	if (descriptors_reserve(wanted) == -EMFILE)
		log_warning("%zu sensors, lines and buses want more open files than the limit "
			    "allows: some will be offline (LimitNOFILE= in the unit)",
			    wanted);
}

static int file_keys_new(struct hardware *hardware, struct workers *workers)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int r = 0;

	while (r == 0 && hardware->file_keys < FILE_KEYS_MAX &&
	       (hardware->file_keys == 0 || (long)hardware->file_keys < processors)) {
		r = worker_key_new(&hardware->files[hardware->file_keys], workers,
				   FILE_PATIENCE_US);
		hardware->file_keys += r == 0;
	}
	return r;
}

int hardware_new(struct hardware **ret, struct workers *workers, struct workers *file_workers,
		 const struct settings *settings, bool simulate)
{
	static const struct settings none;
	cleanup(hardware_freep) struct hardware *hardware = NULL;
	char fault[256];
	int r;

	hardware = calloc(1, sizeof(*hardware));
	if (!hardware)
		return -ENOMEM;
	hardware->workers = workers;
	hardware->simulate = simulate;
	r = hardware_check(hardware, settings, fault);
	if (r < 0) {
		log_error("%s", fault);
		return r;
	}
	r = file_keys_new(hardware, file_workers);
	if (r == 0)
		r = hardware_update(hardware, &none, settings);
	if (r < 0)
		return r;
	*ret = take_ptr(hardware);
	return 0;
}

struct hardware *hardware_free(struct hardware *hardware)
{
	struct chip *chip;
	struct bus *bus;

	if (!hardware)
		return NULL;
	while ((chip = SLIST_FIRST(&hardware->chips))) {
		SLIST_REMOVE_HEAD(&hardware->chips, link);
		worker_key_free(chip->key);
		free(chip->name);
		free(chip);
	}
	while ((bus = SLIST_FIRST(&hardware->buses))) {
		SLIST_REMOVE_HEAD(&hardware->buses, link);
		bus_free(bus);
	}
	for (size_t i = 0; i < hardware->file_keys; i++)
		worker_key_free(hardware->files[i]);
	free(hardware);
	return NULL;
}

/* --- what devices get ----------------------------------------------------------------------- */

static void unbind(struct source_owner *owner)
{
	struct bound *bound = container_of(owner, struct bound, owner);

	i2c_device_free(bound->device);
	bound->bus->users--;
	release_bus(bound->hardware, bound->bus);
	free(bound);
}

static void count_use(struct source_owner *owner, int64_t duration_us)
{
	container_of(owner, struct bound, owner)->bus->busy_us += duration_us;
}

static int bind_device(struct hardware *hardware, struct bus *bus, uint16_t address,
		       struct bound **ret)
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
	bound->owner = (struct source_owner){ .freed = unbind, .used = count_use };
	bound->hardware = hardware;
	bound->bus = bus;
	bus->users++;
	*ret = bound;
	return 0;
}

int hardware_lend_bus(struct hardware *hardware, const char *path, struct lent_bus *ret)
{
	char *node = strdup(path);
	const struct i2c_settings settings = { .name = node,
					       .path = node,
					       .timeout_us = LENT_TIMEOUT_US };
	struct bus *bus = find_path(hardware, path);
	int r = 0;

	if (!node)
		return -ENOMEM;
	if (!bus)
		r = hardware->simulate ? -ENOENT : add_bus(hardware, &settings, &bus);
	free(node);
	if (r < 0)
		return r;
	bus->users++;
	*ret = (struct lent_bus){ bus->i2c, bus->key, hardware, bus };
	return 0;
}

void hardware_return_bus(struct lent_bus *lent)
{
	if (!lent->bus)
		return;
	lent->bus->users--;
	release_bus(lent->hardware, lent->bus);
	*lent = (struct lent_bus){ 0 };
}

bool hardware_is_simulated(const struct hardware *hardware)
{
	return hardware->simulate;
}

static struct worker_key *next_file_key(struct hardware *hardware)
{
	return hardware->files[hardware->file_sources++ / FILES_OF_KEY % hardware->file_keys];
}

/* the key of the chip or device called @name; NULL: out of memory */
static struct worker_key *key_of(struct hardware *hardware, const char *name)
{
	struct chip *chip;

	SLIST_FOREACH(chip, &hardware->chips, link)
	if (strcmp(chip->name, name) == 0)
		return chip->key;
	chip = calloc(1, sizeof(*chip));
	if (!chip)
		return NULL;
	chip->name = strdup(name);
	if (!chip->name || worker_key_new(&chip->key, hardware->workers, 0) < 0) {
		free(chip->name);
		free(chip);
		return NULL;
	}
	SLIST_INSERT_HEAD(&hardware->chips, chip, link);
	return chip->key;
}

/* of the device that the option `device` names, as its driver knows it */
static int kernel_key(struct hardware *hardware, const struct sensor_settings *sensor,
		      struct worker_key **ret)
{
	cleanup(freep) char *name = NULL;
	const char *device = "";

	for (size_t i = 0; i < sensor->option_count; i++)
		if (strcmp(sensor->driver->options[i].name, "device") == 0)
			device = sensor->options[i].string;
	if (asprintf(&name, "%s %s", sensor->driver->name, device) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	*ret = key_of(hardware, name);
	return *ret ? 0 : -ENOMEM;
}

/* a read of what the kernel drives may be one of a slow bus: 750 ms for a DS18B20 */
static bool is_kernel_driven(const struct driver *driver)
{
	switch (driver->kind) {
	case DRIVER_IIO:
	case DRIVER_HWMON:
	case DRIVER_W1:
	case DRIVER_THERMAL:
		return true;
	case DRIVER_I2C:
	case DRIVER_FILE:
		break;
	}
	return false;
}

static int kernel_source(struct hardware *hardware, const struct sensor_settings *sensor,
			 struct source **ret, struct worker_key **ret_key)
{
	cleanup(source_freep) struct source *source = NULL;
	int r;

	r = source_new(&source, sensor->driver, sensor->options, NULL);
	if (r == 0 && hardware->simulate)
		r = sim_kernel_source(source);
	if (r == 0)
		r = kernel_key(hardware, sensor, ret_key);
	if (r < 0)
		return r;
	*ret = take_ptr(source);
	return 0;
}

int hardware_source(struct hardware *hardware, const struct sensor_settings *sensor,
		    struct source **ret, struct worker_key **ret_key)
{
	struct bound *bound = NULL;
	struct bus *bus = NULL;
	int r;

	if (is_kernel_driven(sensor->driver))
		return kernel_source(hardware, sensor, ret, ret_key);
	if (sensor->bus) {
		bus = find_bus(hardware, sensor->bus);
		r = bus ? bind_device(hardware, bus, sensor->address, &bound) : -ENOMEM;
		if (r < 0)
			return r;
	}
	r = source_new(ret, sensor->driver, sensor->options, bound ? bound->device : NULL);
	if (r < 0) {
		if (bound)
			unbind(&bound->owner);
		return r;
	}
	(*ret)->owner = bound ? &bound->owner : NULL;
	*ret_key = bus ? bus->key : next_file_key(hardware);
	return 0;
}

struct worker_key *hardware_line_key(struct hardware *hardware, const struct line_settings *line)
{
	return key_of(hardware, line->chip);
}
const struct gpio *hardware_gpio(const struct hardware *hardware)
{
	return hardware->simulate ? &gpio_emulated : &gpio_kernel;
}

void hardware_each_bus(const struct hardware *hardware,
		       void (*each)(void *data, const char *name, int64_t busy_us), void *data)
{
	const struct bus *bus;

	SLIST_FOREACH(bus, &hardware->buses, link)
	if (bus->settings)
		each(data, bus->settings->name, bus->busy_us);
}
