/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The kernel driver that owns an address, for the message that says why a chip cannot be read.
 *
 * Who meets that wants the chip's values and does not know that the kernel has them already. So
 * the message names the driver, and where under /sys its values are: as an iio or a hwmon device.
 * Sources: Linux Documentation/i2c/i2c-sysfs.rst, ABI/testing/sysfs-bus-iio, sysfs-class-hwmon.
 */

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "iotd/bus.h"

#include "i2c-owner.h"

#define I2C_MAJOR 89 /* Linux Documentation/admin-guide/devices.txt; the minor is the N of i2c-N */
#define PATH_SIZE 256
#define NAME_SIZE 64

/* the last part of what the link @client/driver points to; "" if there is none */
static void read_driver(const char *client, char ret[static NAME_SIZE])
{
	char path[PATH_SIZE], target[PATH_SIZE];
	const char *slash;
	ssize_t length;

	(void)snprintf(path, sizeof(path), "%s/driver", client);
	length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	slash = strrchr(target, '/');
	(void)snprintf(ret, NAME_SIZE, "%.*s", NAME_SIZE - 1, slash ? slash + 1 : "");
}

/* the line in @folder/name; "" if there is none */
static void read_name(const char *folder, char ret[static NAME_SIZE])
{
	char path[PATH_SIZE];
	FILE *file;

	*ret = '\0';
	(void)snprintf(path, sizeof(path), "%s/name", folder);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(ret, NAME_SIZE, file))
		ret[strcspn(ret, "\n")] = '\0';
	(void)fclose(file);
}

/* the device of the class @kind that is made of the chip at @client, in words; false: there is none */
static bool describe_device(const char *client, const char *kind, const char *pattern, char *ret,
			    size_t size)
{
	char path[PATH_SIZE], name[NAME_SIZE];
	glob_t found;
	bool any;

	(void)snprintf(path, sizeof(path), "%s/%s", client, pattern);
	any = glob(path, 0, NULL, &found) == 0;
	if (any) {
		read_name(found.gl_pathv[0], name);
		(void)snprintf(ret, size, "%s device \"%s\" (%s)", kind, name, found.gl_pathv[0]);
	}
	globfree(&found);
	return any;
}

void i2c_owner_describe(const char *sys, unsigned int number, uint16_t address, char *ret,
			size_t size)
{
	char client[PATH_SIZE - 32], driver[NAME_SIZE], device[PATH_SIZE];

	(void)snprintf(client, sizeof(client), "%s/bus/i2c/devices/%u-%04x", sys, number, address);
	read_driver(client, driver);
	if (!*driver) /* it is on the other side of a multiplexer */
		(void)snprintf(ret, size, "a kernel driver owns the address");
	else if (describe_device(client, "iio", "iio:device*", device, sizeof(device)) ||
		 describe_device(client, "hwmon", "hwmon/hwmon*", device, sizeof(device)))
		(void)snprintf(ret, size, "the kernel driver %s owns the chip; read its %s", driver,
			       device);
	else
		(void)snprintf(ret, size,
			       "the kernel driver %s owns the chip, and makes no iio or hwmon "
			       "device of it",
			       driver);
}

void i2c_device_describe_owner(const struct i2c_device *device, char *ret, size_t size)
{
	struct stat node;

	if (stat(device->bus_name, &node) == 0 && S_ISCHR(node.st_mode) &&
	    major(node.st_rdev) == I2C_MAJOR)
		i2c_owner_describe("/sys", minor(node.st_rdev), device->address, ret, size);
	else
		(void)snprintf(ret, size, "a kernel driver owns the address");
}
