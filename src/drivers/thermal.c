/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * thermal: the temperature of a thermal zone of the kernel. Source: Linux Documentation/ABI/testing/
 * sysfs-class-thermal: `type` is the name, `temp` is millidegree Celsius. Below absolute zero is the kernel's
 * own value for a zone that was not measured yet (THERMAL_TEMP_INVALID, include/linux/thermal.h).
 */

#include <errno.h>

#include "sysfs.h"

#define ABSOLUTE_ZERO (-273.15)

enum {
	THERMAL_DEVICE,
	THERMAL_CHANNELS
};

static const char *const thermal_names[] = { "temperature", NULL };

static const struct driver_option thermal_options[] = {
	[THERMAL_DEVICE] = { .name = "device", .type = OPTION_STRING, .required = true },
	[THERMAL_CHANNELS] = { .name = "channels",
			       .type = OPTION_STRINGS,
			       .choices = thermal_names },
};

static const struct channel thermal_channels[] = { { "temperature", "°C", 3 } };

static const struct sysfs_kind thermal_kind = {
	.what = "thermal zone",
	.folder = "class/thermal",
	.pattern = "thermal_zone[0-9]*",
	.names = { "type" },
};

struct thermal_state {
	struct attribute temp;
};

static int thermal_open(struct source *source)
{
	struct thermal_state *state = source->state;
	cleanup(freep) char *folder = NULL;
	int r;

	r = sysfs_find(source, &thermal_kind, source->options[THERMAL_DEVICE].string, &folder);
	if (r < 0)
		return r;
	return attribute_open(source, &state->temp, folder, "temp");
}

static int thermal_collect(struct source *source, double values[static CHANNELS_MAX],
			   int64_t *wait_us)
{
	const struct thermal_state *state = source->state;
	double millidegree;
	int r;

	(void)wait_us;
	r = attribute_number(source, &state->temp, &millidegree);
	if (r < 0)
		return r;
	values[0] = millidegree / 1000;
	if (values[0] < ABSOLUTE_ZERO)
		return source_fail(source, -ENODATA, "%s: %g °C: the zone has not measured yet",
				   state->temp.path, values[0]);
	return 0;
}

static void thermal_close(struct source *source)
{
	struct thermal_state *state = source->state;

	attribute_close(&state->temp);
}

extern const struct driver thermal_driver;
const struct driver thermal_driver = {
	.name = "thermal",
	.kind = DRIVER_THERMAL,
	.channels = thermal_channels,
	.channel_count = ARRAY_SIZE(thermal_channels),
	.options = thermal_options,
	.option_count = ARRAY_SIZE(thermal_options),
	.state_size = sizeof(struct thermal_state),
	.open = thermal_open,
	.collect = thermal_collect,
	.close = thermal_close,
};
