/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sources that the kernel drives, without kernel and device: a source of iio, hwmon, w1 or thermal becomes one
 * whose channels are those of its options, with values that change slowly and suit their units. Nobody
 * can know what a device would have: without `channels` it is what such a device mostly has.
 *
 * There is no emulated /sys: what its files say is tested with trees of files (tests/unit/test-hwmon.c and
 * its like), and a person who simulates wants readings.
 */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/sim.h"

#define PERIOD_US (600 * USEC_PER_SEC)

struct simulated {
	struct driver driver; /* the real one but for what it does */
	struct source_owner owner;
};

static const struct {
	const char *unit;
	double mean, swing;
} weather[] = {
	{ "°C", 21, 4 },     { "%", 45, 10 },	{ "hPa", 1013, 8 }, { "lx", 400, 300 },
	{ "ppm", 600, 150 }, { "V", 3.3, 0.1 }, { "A", 0.4, 0.1 },  { "W", 1.3, 0.3 },
	{ "rpm", 1200, 90 }, { "mm", 850, 50 }, { "Ω", 1e4, 500 },
};

/* the usual channel of devices whose name begins so */
static const struct {
	enum driver_kind kind;
	const char *device;
	struct channel channel;
} usual[] = {
	{ DRIVER_HWMON, "", { "temp1", "°C", 3 } },
	{ DRIVER_IIO, "bh1", { "illuminance", "lx", 3 } },
	{ DRIVER_IIO, "opt3", { "illuminance", "lx", 3 } },
	{ DRIVER_IIO, "tsl2", { "illuminance", "lx", 3 } },
	{ DRIVER_IIO, "veml", { "illuminance", "lx", 3 } },
	{ DRIVER_IIO, "ads1", { "voltage0", "V", 6 } },
	{ DRIVER_IIO, "mcp3", { "voltage0", "V", 6 } },
	{ DRIVER_IIO, "", { "temperature", "°C", 3 } },
};

static const char *wanted_device(const struct source *source)
{
	const struct driver *driver = source->driver;

	for (size_t i = 0; i < driver->option_count; i++)
		if (strcmp(driver->options[i].name, "device") == 0 && source->options[i].string)
			return source->options[i].string;
	return "";
}

static int sim_open(struct source *source)
{
	const char *device = wanted_device(source);

	for (size_t i = 0; source->channel_count == 0 && i < ARRAY_SIZE(usual); i++) {
		if (source->driver->kind != usual[i].kind ||
		    strncmp(device, usual[i].device, strlen(usual[i].device)) != 0)
			continue;
		source->channels[0] = usual[i].channel;
		source->channel_count = 1;
	}
	return source->channel_count > 0 ? 0 : -ENODEV;
}

/* channels of one unit are not all the same */
static double sim_value(const char *unit, size_t channel)
{
	int64_t now_us = clock_monotonic_us();
	double turn = (double)(now_us % PERIOD_US) / (double)PERIOD_US;

	if (strcmp(unit, "J") == 0) /* only ever more */
		return floor((double)now_us / (double)USEC_PER_SEC);
	for (size_t i = 0; i < ARRAY_SIZE(weather); i++)
		if (strcmp(weather[i].unit, unit) == 0)
			return weather[i].mean +
			       weather[i].swing * sin(2 * M_PI * turn + (double)channel);
	return sin(2 * M_PI * turn + (double)channel);
}

static int sim_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	(void)wait_us;
	for (size_t i = 0; i < source->channel_count; i++)
		values[i] = sim_value(source->channels[i].unit, i);
	return 0;
}

static void sim_freed(struct source_owner *owner)
{
	free(container_of(owner, struct simulated, owner));
}

int sim_kernel_source(struct source *source)
{
	struct simulated *simulated = calloc(1, sizeof(*simulated));

	if (!simulated)
		return -ENOMEM;
	simulated->driver = *source->driver;
	simulated->driver.open = sim_open;
	simulated->driver.start = NULL;
	simulated->driver.collect = sim_collect;
	simulated->driver.close = NULL;
	simulated->owner.freed = sim_freed;
	source->driver = &simulated->driver;
	source->owner = &simulated->owner;
	return 0;
}
