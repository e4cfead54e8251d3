/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two drivers in one file. */

#include "plugin.h"

static const struct driver first = PLUGIN_DRIVER("first"), second = PLUGIN_DRIVER("second");

IOTD_DRIVERS(&first, &second);
