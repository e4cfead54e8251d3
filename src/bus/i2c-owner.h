/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The seam between i2c-owner.c and sysfs, so that a unit test can play it. */

#include <stddef.h>
#include <stdint.h>

/**
 * i2c_owner_describe() - i2c_device_describe_owner() of a sysfs that is at @sys
 * @number: of the adapter, N of i2c-N
 */
void i2c_owner_describe(const char *sys, unsigned int number, uint16_t address, char *ret,
			size_t size);
