/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One driver, with a name that pair.c has too. */

#include "plugin.h"

static const struct driver second = PLUGIN_DRIVER("second");

IOTD_DRIVERS(&second);
