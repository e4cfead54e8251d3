/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The list of drivers. A new chip adds one line to drivers.c and nothing elsewhere. */

#include <stddef.h>

#include "iotd/driver.h"

/** driver_find() - the driver called @name; NULL: none */
const struct driver *driver_find(const char *name);

/** driver_at() - the @index-th driver of the list, NULL behind its end */
const struct driver *driver_at(size_t index);

/** driver_kind_name() - "i2c", "file", "iio" … */
const char *driver_kind_name(enum driver_kind kind);
