/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls what no iotd has. */

#include "plugin.h"

int function_of_another_iotd(struct source *source);

static const struct driver lost = { .name = "lost",
				    .kind = DRIVER_FILE,
				    .channels = plugin_channels,
				    .channel_count = ARRAY_SIZE(plugin_channels),
				    .open = function_of_another_iotd,
				    .collect = plugin_collect };

IOTD_DRIVERS(&lost);
