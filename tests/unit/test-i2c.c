/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The i2c-dev backend, with this test as the kernel: one adapter, one chip of 256 registers at 0x76,
 * and every error that the kernel can give.
 */

#include <check.h>
#include <errno.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "bus/i2c-dev.h"
#include "bus/i2c-owner.h"

#define CHIP  0x76
#define FD    42
#define PLAIN I2C_FUNC_I2C
#define SMBUS                                                                                      \
	(I2C_FUNC_SMBUS_BYTE | I2C_FUNC_SMBUS_BYTE_DATA | I2C_FUNC_SMBUS_WORD_DATA |               \
	 I2C_FUNC_SMBUS_I2C_BLOCK)

static struct {
	unsigned long functions;
	int open_error, slave_error, transfer_error, timeout_error; /* errno, 0: works */
	bool unplugged_by_transfer; /* the transfer that fails finds the node gone afterwards */
	bool short_block;
	int opens, closes, slaves, transfers;
	unsigned long timeout;
	uint16_t slave;
	uint32_t smbus_size;
	struct i2c_msg messages[2];
	uint32_t message_count;
	uint8_t registers[256], pointer;
} kernel;

static char bus_name[] = "i2c-1", bus_path[] = "/dev/i2c-1";
static struct i2c_settings settings = { .name = bus_name, .path = bus_path };
static struct i2c_bus *bus;
static struct i2c_device *chip;

static int fail_with(int error)
{
	errno = error;
	return -1;
}

static int kernel_open(const char *path)
{
	ck_assert_str_eq(path, settings.path);
	if (kernel.open_error)
		return fail_with(kernel.open_error);
	kernel.opens++;
	return FD;
}

static int kernel_close(int fd)
{
	ck_assert_int_eq(fd, FD);
	kernel.closes++;
	return 0;
}

static int kernel_slave(uint16_t address)
{
	kernel.slaves++;
	if (kernel.slave_error)
		return fail_with(kernel.slave_error);
	kernel.slave = address;
	return 0;
}

static void chip_write(const uint8_t *data, size_t length)
{
	kernel.pointer = data[0];
	for (size_t i = 1; i < length; i++)
		kernel.registers[kernel.pointer++] = data[i];
}

static void chip_read(uint8_t *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		data[i] = kernel.registers[kernel.pointer++];
}

static int kernel_rdwr(const struct i2c_rdwr_ioctl_data *data)
{
	ck_assert_msg(kernel.functions & I2C_FUNC_I2C, "I2C_RDWR on an adapter that cannot");
	kernel.message_count = data->nmsgs;
	for (uint32_t i = 0; i < data->nmsgs; i++) {
		kernel.messages[i] = data->msgs[i];
		if (data->msgs[i].flags & I2C_M_RD)
			chip_read(data->msgs[i].buf, data->msgs[i].len);
		else
			chip_write(data->msgs[i].buf, data->msgs[i].len);
	}
	return (int)data->nmsgs;
}

static void smbus_write(const struct i2c_smbus_ioctl_data *call)
{
	uint8_t bytes[34] = { call->command };

	switch (call->size) {
	case I2C_SMBUS_BYTE:
		chip_write(bytes, 1);
		break;
	case I2C_SMBUS_BYTE_DATA:
		bytes[1] = call->data->byte;
		chip_write(bytes, 2);
		break;
	case I2C_SMBUS_WORD_DATA:
		bytes[1] = (uint8_t)call->data->word;
		bytes[2] = (uint8_t)(call->data->word >> 8);
		chip_write(bytes, 3);
		break;
	default:
		memcpy(bytes + 1, call->data->block + 1, call->data->block[0]);
		chip_write(bytes, call->data->block[0] + 1U);
	}
}

static void smbus_read(const struct i2c_smbus_ioctl_data *call)
{
	uint8_t word[2];

	if (call->size != I2C_SMBUS_BYTE)
		kernel.pointer = call->command;
	switch (call->size) {
	case I2C_SMBUS_BYTE:
	case I2C_SMBUS_BYTE_DATA:
		chip_read(&call->data->byte, 1);
		break;
	case I2C_SMBUS_WORD_DATA:
		chip_read(word, 2);
		call->data->word = (uint16_t)(word[0] | word[1] << 8);
		break;
	default:
		ck_assert_uint_le(call->data->block[0], I2C_SMBUS_BLOCK_MAX);
		chip_read(call->data->block + 1, call->data->block[0]);
		if (kernel.short_block)
			call->data->block[0]--;
	}
}

static int kernel_smbus(const struct i2c_smbus_ioctl_data *call)
{
	ck_assert_uint_eq(kernel.slave, CHIP);
	kernel.smbus_size = call->size;
	if (call->read_write == I2C_SMBUS_READ)
		smbus_read(call);
	else
		smbus_write(call);
	return 0;
}

static int kernel_transfer(unsigned long request, const void *argument)
{
	kernel.transfers++;
	if (kernel.transfer_error) {
		if (kernel.unplugged_by_transfer)
			kernel.open_error = ENOENT;
		return fail_with(kernel.transfer_error);
	}
	return request == I2C_RDWR ? kernel_rdwr(argument) : kernel_smbus(argument);
}

static int kernel_control(int fd, unsigned long request, void *argument)
{
	ck_assert_int_eq(fd, FD);
	switch (request) {
	case I2C_FUNCS:
		if (!kernel.functions)
			return fail_with(ENOTTY);
		*(unsigned long *)argument = kernel.functions;
		return 0;
	case I2C_TIMEOUT:
		kernel.timeout = (unsigned long)(uintptr_t)argument;
		return kernel.timeout_error ? fail_with(kernel.timeout_error) : 0;
	case I2C_SLAVE:
		return kernel_slave((uint16_t)(uintptr_t)argument);
	case I2C_RDWR:
	case I2C_SMBUS:
		return kernel_transfer(request, argument);
	default:
		ck_abort_msg("unexpected ioctl %#lx", request);
		return -1;
	}
}

static const struct i2c_calls calls = { kernel_open, kernel_close, kernel_control };

static void set_up(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.functions = PLAIN;
	for (size_t i = 0; i < sizeof(kernel.registers); i++)
		kernel.registers[i] = (uint8_t)(i ^ 0x5a);
	settings.timeout_us = 0;
	ck_assert_int_eq(i2c_dev_new(&bus, &settings, &calls), 0);
	ck_assert_int_eq(i2c_device_new(&chip, bus, "/dev/i2c-1", CHIP), 0);
}

static void tear_down(void)
{
	chip = i2c_device_free(chip);
	bus = i2c_bus_free(bus);
	ck_assert_int_eq(kernel.opens, kernel.closes);
}

static const struct {
	uint16_t address;
	int result;
} addresses[] = {
	{ 0, -EINVAL }, { 0x07, -EINVAL }, { 0x08, 0 },
	{ 0x77, 0 },	{ 0x78, -EINVAL }, { 0x3ff, -EINVAL },
};

START_TEST(addresses_that_are_reserved_are_refused)
{
	cleanup(i2c_device_freep) struct i2c_device *device = NULL;

	ck_assert_int_eq(i2c_device_new(&device, bus, "i2c-1", addresses[_i].address),
			 addresses[_i].result);
	ck_assert_int_eq(device == NULL, addresses[_i].result < 0);
	if (device)
		ck_assert_str_eq(device->bus_name, "i2c-1");
}
END_TEST

START_TEST(a_bus_is_opened_by_its_first_transfer)
{
	uint8_t byte;

	ck_assert_int_eq(kernel.opens, 0);
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
	ck_assert_int_eq(kernel.opens, 1);
}
END_TEST

START_TEST(impossible_lengths_touch_nothing)
{
	static uint8_t data[8193];

	ck_assert_int_eq(i2c_write(chip, data, 0), -EINVAL);
	ck_assert_int_eq(i2c_read(chip, data, 0), -EINVAL);
	ck_assert_int_eq(i2c_write(chip, data, 8193), -EINVAL);
	ck_assert_int_eq(i2c_read(chip, data, 65537), -EINVAL);
	ck_assert_int_eq(i2c_write_read(chip, data, 1, data, 0), -EINVAL);
	ck_assert_int_eq(kernel.opens, 0);
	ck_assert_int_eq(i2c_read(chip, data, 8192), 0);
}
END_TEST

START_TEST(a_register_read_is_one_call_with_two_messages)
{
	uint8_t data[3] = { 0 };

	ck_assert_int_eq(i2c_read_registers(chip, 0xf7, data, sizeof(data)), 0);
	ck_assert_int_eq(kernel.transfers, 1);
	ck_assert_uint_eq(kernel.message_count, 2);
	ck_assert_uint_eq(kernel.messages[0].addr, CHIP);
	ck_assert_uint_eq(kernel.messages[0].flags, 0);
	ck_assert_uint_eq(kernel.messages[0].len, 1);
	ck_assert_uint_eq(kernel.messages[1].addr, CHIP);
	ck_assert_uint_eq(kernel.messages[1].flags, I2C_M_RD);
	ck_assert_uint_eq(kernel.messages[1].len, 3);
	ck_assert_mem_eq(data, &kernel.registers[0xf7], 3);
}
END_TEST

START_TEST(a_register_write_is_one_message)
{
	ck_assert_int_eq(i2c_write_register(chip, 0xf4, 0x25), 0);
	ck_assert_uint_eq(kernel.message_count, 1);
	ck_assert_uint_eq(kernel.messages[0].len, 2);
	ck_assert_uint_eq(kernel.registers[0xf4], 0x25);
}
END_TEST

/* a write of @sent bytes (register 0x20 first), then a read of @received, over SMBus calls */
static const struct {
	unsigned long functions;
	uint16_t sent, received;
	int result;
	uint32_t size;
} smbus_cases[] = {
	{ SMBUS, 1, 0, 0, I2C_SMBUS_BYTE },
	{ SMBUS, 2, 0, 0, I2C_SMBUS_BYTE_DATA },
	{ SMBUS, 3, 0, 0, I2C_SMBUS_WORD_DATA },
	{ SMBUS, 4, 0, 0, I2C_SMBUS_I2C_BLOCK_DATA },
	{ SMBUS, 33, 0, 0, I2C_SMBUS_I2C_BLOCK_DATA },
	{ SMBUS, 34, 0, -EOPNOTSUPP, 0 },
	{ SMBUS, 0, 1, 0, I2C_SMBUS_BYTE },
	{ SMBUS, 0, 2, -EOPNOTSUPP, 0 },
	{ SMBUS, 1, 1, 0, I2C_SMBUS_BYTE_DATA },
	{ SMBUS, 1, 2, 0, I2C_SMBUS_WORD_DATA },
	{ SMBUS, 1, 3, 0, I2C_SMBUS_I2C_BLOCK_DATA },
	{ SMBUS, 1, 32, 0, I2C_SMBUS_I2C_BLOCK_DATA },
	{ SMBUS, 1, 33, -EOPNOTSUPP, 0 },
	{ SMBUS, 2, 1, -EOPNOTSUPP, 0 },
	{ I2C_FUNC_SMBUS_I2C_BLOCK, 2, 0, 0, I2C_SMBUS_I2C_BLOCK_DATA },
	{ I2C_FUNC_SMBUS_I2C_BLOCK, 1, 1, 0, I2C_SMBUS_I2C_BLOCK_DATA },
	{ I2C_FUNC_SMBUS_BYTE_DATA, 1, 2, -EOPNOTSUPP, 0 },
	{ I2C_FUNC_SMBUS_BYTE_DATA, 1, 0, -EOPNOTSUPP, 0 },
};

/* writes @sent bytes and reads @received, in the call that fits */
static int exchange(const uint8_t *out, uint16_t sent, uint8_t *in, uint16_t received)
{
	if (sent > 0 && received > 0)
		return i2c_write_read(chip, out, sent, in, received);
	return sent > 0 ? i2c_write(chip, out, sent) : i2c_read(chip, in, received);
}

START_TEST(smbus_calls_make_the_same_bytes)
{
	uint16_t sent = smbus_cases[_i].sent, received = smbus_cases[_i].received;
	uint8_t out[64] = { 0x20 }, in[64] = { 0 };
	int r;

	for (size_t i = 1; i < sizeof(out); i++)
		out[i] = (uint8_t)(3 * i);
	kernel.functions = smbus_cases[_i].functions;
	r = exchange(out, sent, in, received);

	ck_assert_int_eq(r, smbus_cases[_i].result);
	ck_assert_uint_eq(kernel.smbus_size, smbus_cases[_i].size);
	ck_assert_int_eq(kernel.transfers, r == 0);
	if (r < 0)
		return;
	ck_assert_int_eq(memcmp(in, &kernel.registers[sent > 0 ? 0x20 : 0], received), 0);
	if (sent > 1)
		ck_assert_int_eq(memcmp(&kernel.registers[0x20], out + 1, sent - 1U), 0);
}
END_TEST

START_TEST(a_short_smbus_block_is_an_error)
{
	uint8_t data[8] = { 0 };
	const uint8_t untouched[8] = { 0 };

	kernel.functions = SMBUS;
	kernel.short_block = true;
	ck_assert_int_eq(i2c_read_registers(chip, 0x88, data, sizeof(data)), -EIO);
	ck_assert_mem_eq(data, untouched, sizeof(data));
}
END_TEST

START_TEST(smbus_calls_follow_the_address)
{
	struct i2c_device *other;
	uint8_t byte;

	kernel.functions = SMBUS;
	ck_assert_int_eq(i2c_device_new(&other, bus, "i2c-1", 0x40), 0);
	ck_assert_int_eq(i2c_read_registers(chip, 0, &byte, 1), 0);
	kernel.transfer_error = ENXIO;
	ck_assert_int_eq(i2c_read_registers(other, 0, &byte, 1), -ENXIO);
	ck_assert_uint_eq(kernel.slave, 0x40);
	kernel.transfer_error = 0;
	ck_assert_int_eq(i2c_read_registers(chip, 0, &byte, 1), 0);
	ck_assert_uint_eq(kernel.slave, CHIP);
	ck_assert_int_eq(kernel.slaves, 3);
	ck_assert_int_eq(i2c_read_registers(chip, 0, &byte, 1), 0);
	ck_assert_int_eq(kernel.slaves, 3); /* and is only set when it changes */
	i2c_device_free(other);
}
END_TEST

START_TEST(an_address_that_a_kernel_driver_owns_is_left_alone)
{
	uint8_t byte;

	kernel.slave_error = EBUSY;
	ck_assert_int_eq(i2c_read(chip, &byte, 1), -EBUSY);
	ck_assert_int_eq(kernel.transfers, 0);

	kernel.slave_error = 0; /* the driver is unbound */
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
}
END_TEST

START_TEST(an_address_that_a_kernel_driver_takes_later_is_left_alone)
{
	struct i2c_device *other;
	uint8_t byte;

	kernel.functions = SMBUS;
	ck_assert_int_eq(i2c_device_new(&other, bus, "i2c-1", 0x40), 0);
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
	kernel.transfer_error = ENXIO;
	ck_assert_int_eq(i2c_read(other, &byte, 1), -ENXIO);
	kernel.transfer_error = 0;

	kernel.slave_error = EBUSY;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(i2c_read(chip, &byte, 1), -EBUSY);
	ck_assert_int_eq(kernel.transfers, 2);
	kernel.slave_error = 0; /* the driver is unbound */
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
	i2c_device_free(other);
}
END_TEST

/* a sysfs where adapter 1 has chips that the kernel drives; more than that as each test wants it */
static const char *sysfs_of(const char *more)
{
	static char root[] = "owner-XXXXXX", script[1024];

	memcpy(root + sizeof(root) - 7, "XXXXXX",
	       6); /* all tests may share one process (CK_FORK=no) */
	ck_assert_ptr_nonnull(mkdtemp(root));
	(void)snprintf(script, sizeof(script),
		       "cd %s && mkdir -p bus/i2c/devices/1-0076 bus/i2c/drivers/bmp280 && "
		       "cd bus/i2c/devices/1-0076 && ln -s ../../drivers/bmp280 driver && %s",
		       root, more);
	ck_assert_int_eq(system(script), 0);
	return root;
}

static void sysfs_remove(const char *root)
{
	char script[64];

	(void)snprintf(script, sizeof(script), "rm -r %s", root);
	ck_assert_int_eq(system(script), 0);
}

static const struct {
	const char *more, *words, *folder;
	unsigned int number;
} owners[] = {
	{ "mkdir -p iio:device3 && echo bme280 >iio:device3/name",
	  "the kernel driver bmp280 owns the chip; read its iio device \"bme280\" (",
	  "iio:device3)", 1 },
	{ "mkdir -p hwmon/hwmon0 && echo lm75 >hwmon/hwmon0/name",
	  "the kernel driver bmp280 owns the chip; read its hwmon device \"lm75\" (",
	  "hwmon/hwmon0)", 1 },
	{ "true", "the kernel driver bmp280 owns the chip, and makes no iio or hwmon device of it",
	  "", 1 },
	{ "true", "a kernel driver owns the address", "", 2 },
};

START_TEST(the_owner_of_an_address_and_what_it_offers)
{
	const char *root = sysfs_of(owners[_i].more);
	char words[192], expected[192];

	(void)snprintf(expected, sizeof(expected), "%s", owners[_i].words);
	if (*owners[_i].folder)
		(void)snprintf(expected, sizeof(expected), "%s%s/bus/i2c/devices/1-0076/%s",
			       owners[_i].words, root, owners[_i].folder);
	i2c_owner_describe(root, owners[_i].number, CHIP, words, sizeof(words));
	ck_assert_str_eq(words, expected);
	sysfs_remove(root);
}
END_TEST

START_TEST(the_owner_on_a_bus_that_is_none_is_some_driver)
{
	struct i2c_device *nowhere;
	char words[192];

	ck_assert_int_eq(i2c_device_new(&nowhere, bus, "/dev/null", CHIP), 0);
	i2c_device_describe_owner(nowhere, words, sizeof(words));
	ck_assert_str_eq(words, "a kernel driver owns the address");
	i2c_device_free(nowhere);
}
END_TEST

START_TEST(ownership_is_asked_once_an_address)
{
	uint8_t byte;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
	ck_assert_int_eq(kernel.slaves, 1);
}
END_TEST

static const struct {
	int error, result;
} transfer_errors[] = {
	{ ENXIO, -ENXIO },     { EREMOTEIO, -ENXIO },
	{ ENODEV, -ENXIO },    { ETIMEDOUT, -ETIMEDOUT },
	{ EBUSY, -ETIMEDOUT }, { EAGAIN, -EIO },
	{ EIO, -EIO },	       { EPROTO, -EIO },
	{ EINVAL, -EINVAL },   { EOPNOTSUPP, -EOPNOTSUPP },
	{ ENOMEM, -ENOMEM },
};

START_TEST(errors_of_a_transfer)
{
	uint8_t data[2];

	kernel.transfer_error = transfer_errors[_i].error;
	ck_assert_int_eq(i2c_read_registers(chip, 0, data, 2), transfer_errors[_i].result);

	kernel.transfer_error = 0;
	ck_assert_int_eq(i2c_read_registers(chip, 0, data, 2), 0);
}
END_TEST

static const struct {
	int error, result;
} open_errors[] = {
	{ ENOENT, -ENOENT }, { ENODEV, -ENOENT }, { ENXIO, -ENOENT },
	{ EACCES, -EACCES }, { EPERM, -EACCES },  { EMFILE, -EMFILE },
};

START_TEST(errors_of_the_node)
{
	uint8_t byte;

	kernel.open_error = open_errors[_i].error;
	ck_assert_int_eq(i2c_read(chip, &byte, 1), open_errors[_i].result);

	kernel.open_error = 0;
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
}
END_TEST

START_TEST(a_node_that_is_no_adapter_is_not_supported)
{
	uint8_t byte;

	kernel.functions = 0;
	ck_assert_int_eq(i2c_read(chip, &byte, 1), -EOPNOTSUPP);
	ck_assert_int_eq(kernel.closes, 1);
}
END_TEST

START_TEST(an_adapter_that_is_unplugged_comes_back)
{
	uint8_t byte;

	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);

	kernel.transfer_error = ENODEV;
	kernel.unplugged_by_transfer = true;
	ck_assert_int_eq(i2c_read(chip, &byte, 1), -ENOENT);
	ck_assert_msg(kernel.closes == kernel.opens,
		      "the kernel cannot remove an adapter that is open");
	ck_assert_int_eq(i2c_read(chip, &byte, 1), -ENOENT);

	kernel.open_error = kernel.transfer_error = 0;
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
	ck_assert_int_eq(kernel.slaves, 2); /* the new adapter may have other owners */
}
END_TEST

static const struct {
	int64_t timeout_us;
	unsigned long units;
} timeouts[] = { { 0, 0 }, { 1, 1 }, { 100000, 10 }, { 100001, 11 } };

START_TEST(the_timeout_is_only_set_when_it_is_given)
{
	uint8_t byte;

	tear_down();
	settings.timeout_us = timeouts[_i].timeout_us;
	ck_assert_int_eq(i2c_dev_new(&bus, &settings, &calls), 0);
	ck_assert_int_eq(i2c_device_new(&chip, bus, "/dev/i2c-1", CHIP), 0);
	ck_assert_int_eq(i2c_read(chip, &byte, 1), 0);
	ck_assert_uint_eq(kernel.timeout, timeouts[_i].units);
}
END_TEST

START_TEST(a_timeout_that_is_refused_is_an_error)
{
	uint8_t byte;

	tear_down();
	settings.timeout_us = 100000;
	kernel.timeout_error = EINVAL;
	ck_assert_int_eq(i2c_dev_new(&bus, &settings, &calls), 0);
	ck_assert_int_eq(i2c_device_new(&chip, bus, "/dev/i2c-1", CHIP), 0);
	ck_assert_int_eq(i2c_read(chip, &byte, 1), -EINVAL);
	ck_assert_int_eq(kernel.opens, kernel.closes);
}
END_TEST

START_TEST(the_real_kernel_without_an_adapter)
{
	static char no_path[] = "/dev/i2c-missing", null_path[] = "/dev/null";
	struct i2c_settings missing = { .name = bus_name, .path = no_path };
	struct i2c_settings wrong = { .name = bus_name, .path = null_path };
	struct i2c_device *device;
	struct i2c_bus *real;
	uint8_t byte;

	ck_assert_int_eq(i2c_bus_new(&real, &missing), 0);
	ck_assert_int_eq(i2c_device_new(&device, real, missing.path, CHIP), 0);
	ck_assert_int_eq(i2c_read(device, &byte, 1), -ENOENT);
	i2c_device_free(device);
	i2c_bus_free(real);

	ck_assert_int_eq(i2c_bus_new(&real, &wrong), 0);
	ck_assert_int_eq(i2c_device_new(&device, real, wrong.path, CHIP), 0);
	ck_assert_int_eq(i2c_read(device, &byte, 1), -EOPNOTSUPP);
	i2c_device_free(device);
	i2c_bus_free(real);
}
END_TEST

START_TEST(free_takes_null)
{
	ck_assert_ptr_null(i2c_bus_free(NULL));
	ck_assert_ptr_null(i2c_device_free(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("i2c");
	TCase *tests = tcase_create("i2c");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, addresses_that_are_reserved_are_refused, 0,
			    (int)ARRAY_SIZE(addresses));
	tcase_add_test(tests, a_bus_is_opened_by_its_first_transfer);
	tcase_add_test(tests, impossible_lengths_touch_nothing);
	tcase_add_test(tests, a_register_read_is_one_call_with_two_messages);
	tcase_add_test(tests, a_register_write_is_one_message);
	tcase_add_loop_test(tests, smbus_calls_make_the_same_bytes, 0,
			    (int)ARRAY_SIZE(smbus_cases));
	tcase_add_test(tests, a_short_smbus_block_is_an_error);
	tcase_add_test(tests, smbus_calls_follow_the_address);
	tcase_add_test(tests, an_address_that_a_kernel_driver_owns_is_left_alone);
	tcase_add_test(tests, an_address_that_a_kernel_driver_takes_later_is_left_alone);
	tcase_add_loop_test(tests, the_owner_of_an_address_and_what_it_offers, 0,
			    (int)ARRAY_SIZE(owners));
	tcase_add_test(tests, the_owner_on_a_bus_that_is_none_is_some_driver);
	tcase_add_test(tests, ownership_is_asked_once_an_address);
	tcase_add_loop_test(tests, errors_of_a_transfer, 0, (int)ARRAY_SIZE(transfer_errors));
	tcase_add_loop_test(tests, errors_of_the_node, 0, (int)ARRAY_SIZE(open_errors));
	tcase_add_test(tests, a_node_that_is_no_adapter_is_not_supported);
	tcase_add_test(tests, an_adapter_that_is_unplugged_comes_back);
	tcase_add_loop_test(tests, the_timeout_is_only_set_when_it_is_given, 0,
			    (int)ARRAY_SIZE(timeouts));
	tcase_add_test(tests, a_timeout_that_is_refused_is_an_error);
	tcase_add_test(tests, the_real_kernel_without_an_adapter);
	tcase_add_test(tests, free_takes_null);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
