/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The seam between i2c-dev.c and the kernel, so that a unit test can play the kernel. */

#include "iotd/bus.h"

/** struct i2c_calls - the system calls that i2c-dev.c makes; each fails with -1 and errno, as they do */
struct i2c_calls {
	int (*open)(const char *path);
	int (*close)(int fd);
	int (*control)(int fd, unsigned long request, void *argument); /* ioctl() */
};

/** i2c_dev_new() - i2c_bus_new() on other system calls; @calls must outlive the bus. Return: 0; -ENOMEM */
int i2c_dev_new(struct i2c_bus **ret, const struct i2c_settings *settings,
		const struct i2c_calls *calls);
