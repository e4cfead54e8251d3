/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the drivers of these files do, which are all alike. */

#include <errno.h>

#include "iotd/driver.h"

static const struct channel plugin_channels[] = { { "level", "mm", 1 } };

static inline int plugin_open(struct source *source)
{
	(void)source;
	return 0;
}

static inline int plugin_collect(struct source *source, double values[static CHANNELS_MAX],
				 int64_t *wait_us)
{
	(void)wait_us;
	values[0] = 12.5;
	return source_fail(source, -EIO, "says %s", source->driver->name);
}

#define PLUGIN_DRIVER(title)                                                                       \
	{                                                                                          \
		.name = (title), .kind = DRIVER_FILE, .channels = plugin_channels,                 \
		.channel_count = ARRAY_SIZE(plugin_channels), .open = plugin_open,                 \
		.collect = plugin_collect                                                          \
	}
