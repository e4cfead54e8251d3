/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The list of drivers, in the order in which --list-drivers shows them. A new chip is one line here. */

#include <string.h>

#include "iotd/drivers.h"
#include "iotd/plugins.h"

/* clang-format off */
#define DRIVERS(one) \
	one(ads1015_driver) \
	one(ads1115_driver) \
	one(aht20_driver) \
	one(bh1750_driver) \
	one(bme280_driver) \
	one(bme680_driver) \
	one(bme688_driver) \
	one(bmp180_driver) \
	one(bmp280_driver) \
	one(bmp388_driver) \
	one(bmp390_driver) \
	one(ens160_driver) \
	one(hdc1080_driver) \
	one(htu21d_driver) \
	one(ina219_driver) \
	one(ina226_driver) \
	one(ina260_driver) \
	one(lm75_driver) \
	one(ltr390_driver) \
	one(mcp9808_driver) \
	one(mpr121_driver) \
	one(scd4x_driver) \
	one(sgp40_driver) \
	one(sht3x_driver) \
	one(sht4x_driver) \
	one(shtc3_driver) \
	one(si7021_driver) \
	one(tmp102_driver) \
	one(tmp117_driver) \
	one(tsl2561_driver) \
	one(tsl2591_driver) \
	one(veml7700_driver) \
	one(vl6180x_driver) \
	one(file_driver) \
	one(hwmon_driver) \
	one(iio_driver) \
	one(register_driver) \
	one(thermal_driver) \
	one(w1_driver)
/* clang-format on */

#define DECLARE(name) extern const struct driver name;
#define ENTRY(name)   &(name),

DRIVERS(DECLARE)

static const struct driver *const drivers[] = { DRIVERS(ENTRY) };

const struct driver *driver_find(const char *name)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = driver_at(i)); i++)
		if (strcmp(driver->name, name) == 0)
			return driver;
	return NULL;
}

const struct driver *driver_at(size_t index)
{
	if (index < ARRAY_SIZE(drivers))
		return drivers[index];
	return plugin_at(index - ARRAY_SIZE(drivers));
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
