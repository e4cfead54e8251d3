/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the host is to blame for when a transfer fails: the adapter is not there, may not be used, or a
 * kernel driver has the address. In words that say what to do now.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "iotd/bus.h"

#include "i2c-host.h"

#define WORDS_SIZE 160

void i2c_host_describe_missing(const char *sys, const char *path, char *ret, size_t size)
{
	const char *name = strrchr(path, '/');
	char adapter[128];

	(void)snprintf(adapter, sizeof(adapter), "%s/bus/i2c/devices/%s", sys,
		       name ? name + 1 : path);
	if (access(adapter, F_OK) == 0)
		(void)snprintf(ret, size,
			       "there is no %s, but the adapter is: load the module i2c-dev "
			       "(modprobe i2c-dev; at each start: /etc/modules-load.d/)",
			       path);
	else
		(void)snprintf(ret, size,
			       "there is no %s: is I2C enabled (Raspberry Pi: raspi-config, or "
			       "dtparam=i2c_arm=on in config.txt) and the module i2c-dev loaded?",
			       path);
}

static void describe_busy(const struct i2c_device *device, char *ret, size_t size)
{
	char owner[WORDS_SIZE];

	i2c_device_describe_owner(device, owner, sizeof(owner));
	(void)snprintf(ret, size, "%s, address 0x%02x: %s", device->bus_name, device->address,
		       owner);
}

bool i2c_device_describe_error(const struct i2c_device *device, int error, char *ret, size_t size)
{
	switch (error) {
	case -EBUSY:
		describe_busy(device, ret, size);
		return true;
	case -ENOENT:
		i2c_host_describe_missing("/sys", device->bus_name, ret, size);
		return true;
	case -EACCES:
		(void)snprintf(
			ret, size,
			"permission denied on %s: who runs iotd must be in its group, mostly "
			"i2c (usermod -aG i2c USER, then log in anew)",
			device->bus_name);
		return true;
	default:
		*ret = '\0';
		return false;
	}
}
