/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A driver of iotd that is built out of tree: wind from a file that another program writes, "3.4 270" for
 * 3.4 m/s from the west. See iotd-driver(3).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "iotd/chip.h"
#include "iotd/driver.h"

enum {
	WIND_PATH,
	WIND_FACTOR
};

static const struct driver_option wind_options[] = {
	[WIND_PATH] = { .name = "path", .type = OPTION_STRING, .required = true },
	[WIND_FACTOR] = { .name = "factor",
			  .type = OPTION_NUMBER,
			  .minimum = 0.1,
			  .maximum = 10,
			  .preset = 1 },
};

static const struct channel wind_channels[] = { { "speed", "m/s", 1 }, { "direction", "°", 0 } };
static const struct chip_range wind_ranges[] = { { 0, 75 }, { 0, 360 } };

struct wind_state {
	int fd;
};

static int wind_open(struct source *source)
{
	const char *path = source->options[WIND_PATH].string;
	struct wind_state *state = source->state;

	state->fd = open(path, O_RDONLY | O_CLOEXEC);
	return state->fd >= 0 ? 0 : source_fail(source, -errno, "%s: %s", path, strerror(errno));
}

static int wind_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	const struct wind_state *state = source->state;
	char text[64];
	ssize_t length = pread(state->fd, text, sizeof(text) - 1, 0);

	(void)wait_us;
	if (length < 0)
		return -errno;
	text[length] = '\0';
	if (sscanf(text, "%lf %lf", &values[0], &values[1]) != 2)
		return source_fail(source, -EBADMSG, "%s: is not \"SPEED DIRECTION\"",
				   source->options[WIND_PATH].string);
	values[0] *= source->options[WIND_FACTOR].number;
	return chip_plausible(source, values, wind_ranges);
}

static void wind_close(struct source *source)
{
	const struct wind_state *state = source->state;

	if (state->fd >= 0)
		(void)close(state->fd);
}

static const struct driver wind_driver = {
	.name = "anemometer",
	.kind = DRIVER_FILE,
	.channels = wind_channels,
	.channel_count = ARRAY_SIZE(wind_channels),
	.options = wind_options,
	.option_count = ARRAY_SIZE(wind_options),
	.state_size = sizeof(struct wind_state),
	.open = wind_open,
	.collect = wind_collect,
	.close = wind_close,
};

IOTD_DRIVERS(&wind_driver);
