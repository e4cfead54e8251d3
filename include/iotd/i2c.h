/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A chip's address on an I2C bus, as its driver sees it. All calls may block and belong on a worker; a
 * driver is on one whenever it is called. Installed for drivers built out of tree.
 */

#include <stddef.h>
#include <stdint.h>

struct i2c_bus;

/** struct i2c_device - one address on a bus; the bus must outlive it */
struct i2c_device {
	struct i2c_bus *bus;
	uint16_t address;
	const char *bus_name; /* for messages: "/dev/i2c-1"; a copy */
};

/**
 * i2c_write() - START, address, @length bytes, STOP
 * @length: 1 .. 8192; 1 .. 33 on an adapter that only knows SMBus (the first byte is the command then)
 *
 * Return: 0; -ENXIO no chip answered (NACK; the kernel's ENODEV and EREMOTEIO are mapped to it);
 * -ETIMEDOUT the bus hangs; -EBUSY a kernel driver owns the address; -ENOENT no such adapter, or it
 * was unplugged; -EACCES; -EOPNOTSUPP the adapter cannot do this, or the node is none; -EINVAL;
 * -ENOMEM; -EIO, also for a lost arbitration: never -EAGAIN, which in a driver means "still converting".
 */
int i2c_write(struct i2c_device *device, const void *data, size_t length);

/** i2c_read() - START, address, read @length bytes, STOP. Return: as i2c_write() */
int i2c_read(struct i2c_device *device, void *data, size_t length);

/** i2c_write_read() - write, repeated START, read: how most chips read a register. Return: as i2c_write() */
int i2c_write_read(struct i2c_device *device, const void *out, size_t out_length, void *in,
		   size_t in_length);

/** i2c_read_registers() - @length bytes from 8-bit register @first on. Return: as i2c_write() */
int i2c_read_registers(struct i2c_device *device, uint8_t first, void *data, size_t length);

/** i2c_write_register() - one byte into an 8-bit register. Return: as i2c_write() */
int i2c_write_register(struct i2c_device *device, uint8_t reg, uint8_t value);

/**
 * i2c_device_describe_owner() - after -EBUSY: which kernel driver owns the address, and which iio or
 * hwmon device has the chip's values instead, in words for a person. Reads sysfs, so on a worker
 */
void i2c_device_describe_owner(const struct i2c_device *device, char *ret, size_t size);
