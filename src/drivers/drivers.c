/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The list of drivers, in the order in which --list-drivers shows them. A new chip is one line here. */

#include <string.h>

#include "iotd/drivers.h"

#define DRIVERS(one) one(bme280_driver) one(bmp280_driver) one(file_driver)

#define DECLARE(name) extern const struct driver name;
#define ENTRY(name)   &(name),

DRIVERS(DECLARE)

static const struct driver *const drivers[] = { DRIVERS(ENTRY) };

const struct driver *driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

const struct driver *driver_at(size_t index)
{
	return index < ARRAY_SIZE(drivers) ? drivers[index] : NULL;
}

const char *driver_kind_name(enum driver_kind kind)
{
	switch (kind) {
	case DRIVER_I2C:
		return "i2c";
	case DRIVER_FILE:
		return "file";
	case DRIVER_IIO:
		return "iio";
	case DRIVER_HWMON:
		return "hwmon";
	case DRIVER_W1:
		return "w1";
	case DRIVER_THERMAL:
		return "thermal";
	}
	return "unknown";
}
