/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The seam between i2c-host.c and sysfs, so that a unit test can play it. */

#include <stddef.h>

/** i2c_host_describe_missing() - i2c_device_describe_error() of -ENOENT for the node @path; sysfs is at @sys */
void i2c_host_describe_missing(const char *sys, const char *path, char *ret, size_t size);
