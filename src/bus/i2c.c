/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One address on a bus, and the few shapes of transfer that chips use. What moves the bytes is
 * behind struct i2c_ops: i2c-dev.c (the kernel) or the emulation of src/sim. Lengths are checked
 * here, once for all kinds of bus.
 */

#include <errno.h>
#include <string.h>

#include "iotd/bus.h"

/* addresses below and above are reserved (I2C-bus specification UM10204, table 4) */
#define ADDRESS_FIRST 0x08
#define ADDRESS_LAST  0x77

/* of one message (Linux drivers/i2c/i2c-dev.c, i2cdev_ioctl_rdwr()) */
#define LENGTH_MAX 8192

struct i2c_bus *i2c_bus_free(struct i2c_bus *bus)
{
	if (bus)
		bus->ops->free(bus);
	return NULL;
}

int i2c_device_new(struct i2c_device **ret, struct i2c_bus *bus, const char *bus_name,
		   uint16_t address)
{
	struct i2c_device *device;
	size_t length = strlen(bus_name) + 1;

	if (address < ADDRESS_FIRST || address > ADDRESS_LAST)
		return -EINVAL;

	device = malloc(sizeof(*device) + length);
	if (!device)
		return -ENOMEM;

	*device = (struct i2c_device){
		.bus = bus,
		.address = address,
		.bus_name = memcpy(device + 1, bus_name, length),
	};
	(void)atomic_fetch_add(&bus->bound[address], 1);
	*ret = device;
	return 0;
}

struct i2c_device *i2c_device_free(struct i2c_device *device)
{
	if (device)
		(void)atomic_fetch_sub(&device->bus->bound[device->address], 1);
	free(device);
	return NULL;
}

bool i2c_is_bound(struct i2c_bus *bus, uint16_t address)
{
	return atomic_load(&bus->bound[address]) > 0;
}

static int i2c_transfer(struct i2c_device *device, struct i2c_transfer *transfers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (transfers[i].length == 0 || transfers[i].length > LENGTH_MAX)
			return -EINVAL;
	return device->bus->ops->transfer(device->bus, device->address, transfers, count);
}

/* a length that does not fit is made one that i2c_transfer() refuses */
static uint16_t i2c_length(size_t length)
{
	return length > LENGTH_MAX ? 0 : (uint16_t)length;
}

/* the kernel's struct i2c_msg has one pointer for both directions; a write leaves the bytes alone */
static struct i2c_transfer i2c_sending(const void *data, size_t length)
{
	return (struct i2c_transfer){ .length = i2c_length(length),
				      .data = (uint8_t *)(uintptr_t)data };
}

static struct i2c_transfer i2c_receiving(void *data, size_t length)
{
	return (struct i2c_transfer){ .read = true, .length = i2c_length(length), .data = data };
}

int i2c_write(struct i2c_device *device, const void *data, size_t length)
{
	struct i2c_transfer transfer = i2c_sending(data, length);

	return i2c_transfer(device, &transfer, 1);
}

int i2c_read(struct i2c_device *device, void *data, size_t length)
{
	struct i2c_transfer transfer = i2c_receiving(data, length);

	return i2c_transfer(device, &transfer, 1);
}

int i2c_write_read(struct i2c_device *device, const void *out, size_t out_length, void *in,
		   size_t in_length)
{
	struct i2c_transfer transfers[] = {
		i2c_sending(out, out_length),
		i2c_receiving(in, in_length),
	};

	return i2c_transfer(device, transfers, ARRAY_SIZE(transfers));
}

int i2c_read_registers(struct i2c_device *device, uint8_t first, void *data, size_t length)
{
	return i2c_write_read(device, &first, 1, data, length);
}

int i2c_write_register(struct i2c_device *device, uint8_t reg, uint8_t value)
{
	const uint8_t data[] = { reg, value };

	return i2c_write(device, data, sizeof(data));
}
