/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Drivers that are not whole, and one that is. */

#include "plugin.h"

static const struct channel no_name[] = { { "", "mm", 1 } };
static const struct driver_option nameless[] = { { .type = OPTION_INTEGER } };

static const struct driver whole = PLUGIN_DRIVER("whole");
static const struct driver unnamed = PLUGIN_DRIVER("two words");
static const struct driver mute = {
	.name = "mute", .channels = plugin_channels, .channel_count = 1, .open = plugin_open
};
static const struct driver dumb = { .name = "dumb",
				    .open = plugin_open,
				    .collect = plugin_collect };
static const struct driver odd = { .name = "odd",
				   .kind = (enum driver_kind)77,
				   .channels = plugin_channels,
				   .channel_count = 1,
				   .open = plugin_open,
				   .collect = plugin_collect };
static const struct driver blank = { .name = "blank",
				     .channels = no_name,
				     .channel_count = 1,
				     .open = plugin_open,
				     .collect = plugin_collect };
static const struct driver vague = { .name = "vague",
				     .channels = plugin_channels,
				     .channel_count = 1,
				     .options = nameless,
				     .option_count = 1,
				     .open = plugin_open,
				     .collect = plugin_collect };

IOTD_DRIVERS(&unnamed, &mute, &dumb, &odd, &blank, &vague, &whole);
