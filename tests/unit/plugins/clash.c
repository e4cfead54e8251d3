/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A driver that iotd has itself, and one that it has not. */

#include "plugin.h"

static const struct driver bme280 = PLUGIN_DRIVER("bme280"), other = PLUGIN_DRIVER("other");

IOTD_DRIVERS(&bme280, &other);
