/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Built for a version of the interface that is not there yet, so that nothing behind it may be looked at. */

#include "plugin.h"

extern const struct driver_module iotd_driver;
const struct driver_module iotd_driver = { .abi = IOTD_DRIVER_ABI + 1,
					   .drivers = (const struct driver *const *)8 };
