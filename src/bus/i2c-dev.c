/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An I2C adapter of the kernel, through its character device (Linux
 * Documentation/i2c/dev-interface.rst, <linux/i2c-dev.h>).
 *
 * I2C_RDWR where the adapter can do it: one call, repeated START, one lock against other programs.
 * Where it cannot (SMBus-only hosts, i2c-stub) the SMBus calls that make the same bytes on the wire.
 * bcm2835 wants at most one read message, and that last: all our transfers are of that form.
 *
 * I2C_RDWR works behind the back of a kernel driver that owns the address, so the first transfer
 * with each address asks with I2C_SLAVE, which tells. I2C_SLAVE_FORCE is never used: the driver's
 * idea of the chip would silently become wrong.
 *
 * The node is opened by the first transfer. When a transfer says that the device is gone the node is
 * closed at once, because the kernel cannot finish an unplug while somebody holds it, and opened
 * again by path: the verdict of that tells a chip that is away from an adapter that is.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <string.h>
#include <sys/ioctl.h>

#include "i2c-dev.h"

/* I2C_TIMEOUT counts in 10 ms (dev-interface.rst) */
#define TIMEOUT_UNIT_US 10000

struct i2c_dev {
	struct i2c_bus bus;
	const struct i2c_calls *calls;
	char *path;
	int64_t timeout_us;
	int fd;			 /* -1: not open */
	unsigned long functions; /* I2C_FUNC_* of the open adapter */
	uint8_t asked[16];	 /* a bit an address: no kernel driver owns it */
	uint16_t slave;		 /* what I2C_SLAVE was set to last; 0 nothing */
};

/* <linux/i2c-dev.h>: what open(2) says about the node */
static int i2c_dev_open_error(int error)
{
	switch (error) {
	case ENODEV: /* the node outlives its adapter for a moment */
	case ENXIO:
	case ENOENT:
	case ENOTDIR:
		return -ENOENT;
	case EPERM:
		return -EACCES;
	default:
		return -error;
	}
}

/*
 * Linux Documentation/i2c/fault-codes.rst, and what adapters do beside it: EREMOTEIO for a NACK
 * (bcm2835, designware), ENODEV (i2c-stub), EBUSY for lines that are held low (stm32f7, rcar).
 */
static int i2c_dev_transfer_error(int error)
{
	switch (error) {
	case ENXIO:
	case ENODEV:
	case EREMOTEIO:
		return -ENXIO;
	case ETIMEDOUT:
	case EBUSY:
		return -ETIMEDOUT;
	case EOPNOTSUPP:
	case ENOTTY:
	case ENOSYS:
		return -EOPNOTSUPP;
	case EINVAL:
	case ENOMEM:
		return -error;
	default: /* also EAGAIN, a lost arbitration: from a driver it would mean "still converting" */
		return -EIO;
	}
}

static int i2c_dev_control(struct i2c_dev *dev, unsigned long request, void *argument)
{
	return dev->calls->control(dev->fd, request, argument) < 0 ? -errno : 0;
}

static void i2c_dev_close(struct i2c_dev *dev)
{
	if (dev->fd < 0)
		return;
	(void)dev->calls->close(dev->fd);
	dev->fd = -1;
}

static int i2c_dev_set_timeout(struct i2c_dev *dev)
{
	int64_t units = (dev->timeout_us + TIMEOUT_UNIT_US - 1) / TIMEOUT_UNIT_US;

	if (units == 0)
		return 0;
	return i2c_dev_control(dev, I2C_TIMEOUT, (void *)(uintptr_t)units);
}

static int i2c_dev_open(struct i2c_dev *dev)
{
	int r;

	if (dev->fd >= 0)
		return 0;

	dev->fd = dev->calls->open(dev->path);
	if (dev->fd < 0)
		return i2c_dev_open_error(errno);

	dev->slave = 0;
	memset(dev->asked, 0, sizeof(dev->asked));
	r = i2c_dev_control(dev, I2C_FUNCS, &dev->functions);
	if (r == 0 && dev->functions == 0) /* i2c-tiny-usb, unplugged: it can do nothing any more */
		r = -ENODEV;
	if (r == 0)
		r = i2c_dev_set_timeout(dev);
	if (r == 0)
		return 0;

	i2c_dev_close(dev);
	if (r == -ENODEV)
		return -ENOENT;
	return i2c_dev_transfer_error(-r);
}

static int i2c_dev_select(struct i2c_dev *dev, uint16_t address)
{
	int r;

	r = i2c_dev_control(dev, I2C_SLAVE, (void *)(uintptr_t)address);
	if (r == -EBUSY) /* here, and only here, it is a kernel driver */
		return r;
	if (r < 0)
		return i2c_dev_transfer_error(-r);
	dev->slave = address;
	return 0;
}

/* an SMBus call goes to the address that was set last; I2C_RDWR names its own */
static bool i2c_dev_is_selected(const struct i2c_dev *dev, uint16_t address)
{
	return dev->functions & I2C_FUNC_I2C || dev->slave == address;
}

static int i2c_dev_ask(struct i2c_dev *dev, uint16_t address)
{
	uint8_t *asked = &dev->asked[address / 8], bit = (uint8_t)(1U << address % 8);
	int r;

	if (*asked & bit && i2c_dev_is_selected(dev, address))
		return 0;
	r = i2c_dev_select(dev, address);
	if (r == 0)
		*asked |= bit;
	return r;
}

static int i2c_dev_rdwr(struct i2c_dev *dev, uint16_t address, const struct i2c_transfer *transfers,
			size_t count)
{
	struct i2c_msg messages[2];
	struct i2c_rdwr_ioctl_data data = { .msgs = messages, .nmsgs = (uint32_t)count };

	for (size_t i = 0; i < count; i++)
		messages[i] = (struct i2c_msg){
			.addr = address,
			.flags = transfers[i].read ? I2C_M_RD : 0,
			.len = transfers[i].length,
			.buf = transfers[i].data,
		};
	return i2c_dev_control(dev, I2C_RDWR, &data);
}

/**
 * struct smbus_form - an SMBus call that makes the same bytes on the wire as plain transfers
 * @sent:     lengths of the write that it serves, the command byte counted; 0: without a write
 * @received: lengths of the read
 */
struct smbus_form {
	unsigned long function;
	uint32_t size;
	uint8_t direction;
	struct {
		uint16_t least, most;
	} sent, received;
};

/* the first that fits and that the adapter can do is taken */
static const struct smbus_form smbus_forms[] = {
	{ I2C_FUNC_SMBUS_WRITE_BYTE, I2C_SMBUS_BYTE, I2C_SMBUS_WRITE, { 1, 1 }, { 0, 0 } },
	{ I2C_FUNC_SMBUS_WRITE_BYTE_DATA,
	  I2C_SMBUS_BYTE_DATA,
	  I2C_SMBUS_WRITE,
	  { 2, 2 },
	  { 0, 0 } },
	{ I2C_FUNC_SMBUS_WRITE_WORD_DATA,
	  I2C_SMBUS_WORD_DATA,
	  I2C_SMBUS_WRITE,
	  { 3, 3 },
	  { 0, 0 } },
	{ I2C_FUNC_SMBUS_WRITE_I2C_BLOCK,
	  I2C_SMBUS_I2C_BLOCK_DATA,
	  I2C_SMBUS_WRITE,
	  { 2, 33 },
	  { 0, 0 } },
	{ I2C_FUNC_SMBUS_READ_BYTE, I2C_SMBUS_BYTE, I2C_SMBUS_READ, { 0, 0 }, { 1, 1 } },
	{ I2C_FUNC_SMBUS_READ_BYTE_DATA, I2C_SMBUS_BYTE_DATA, I2C_SMBUS_READ, { 1, 1 }, { 1, 1 } },
	{ I2C_FUNC_SMBUS_READ_WORD_DATA, I2C_SMBUS_WORD_DATA, I2C_SMBUS_READ, { 1, 1 }, { 2, 2 } },
	{ I2C_FUNC_SMBUS_READ_I2C_BLOCK,
	  I2C_SMBUS_I2C_BLOCK_DATA,
	  I2C_SMBUS_READ,
	  { 1, 1 },
	  { 1, 32 } },
};

static const struct smbus_form *smbus_form_find(unsigned long functions, uint16_t sent,
						uint16_t received)
{
	for (size_t i = 0; i < ARRAY_SIZE(smbus_forms); i++) {
		const struct smbus_form *form = &smbus_forms[i];

		if (functions & form->function && sent >= form->sent.least &&
		    sent <= form->sent.most && received >= form->received.least &&
		    received <= form->received.most)
			return form;
	}
	return NULL;
}

/* what follows the command byte of a write */
static void smbus_pack(union i2c_smbus_data *data, uint32_t size, const uint8_t *bytes,
		       size_t length)
{
	switch (size) {
	case I2C_SMBUS_BYTE_DATA:
		data->byte = bytes[0];
		break;
	case I2C_SMBUS_WORD_DATA: /* the low byte goes first (SMBus specification 3.2, 6.5.4) */
		data->word = (uint16_t)(bytes[0] | bytes[1] << 8);
		break;
	case I2C_SMBUS_I2C_BLOCK_DATA:
		data->block[0] = (uint8_t)length;
		memcpy(data->block + 1, bytes, length);
		break;
	}
}

static int smbus_unpack(const union i2c_smbus_data *data, uint32_t size, uint8_t *bytes,
			size_t length)
{
	switch (size) {
	case I2C_SMBUS_WORD_DATA:
		bytes[0] = (uint8_t)data->word;
		bytes[1] = (uint8_t)(data->word >> 8);
		return 0;
	case I2C_SMBUS_I2C_BLOCK_DATA:
		if (data->block[0] != length)
			return -EIO;
		memcpy(bytes, data->block + 1, length);
		return 0;
	default:
		bytes[0] = data->byte;
		return 0;
	}
}

static int i2c_dev_smbus(struct i2c_dev *dev, const struct i2c_transfer *transfers, size_t count)
{
	const struct i2c_transfer none = { 0 };
	const struct i2c_transfer *write = transfers[0].read ? &none : &transfers[0];
	const struct i2c_transfer *read = transfers[count - 1].read ? &transfers[count - 1] : &none;
	const struct smbus_form *form =
		smbus_form_find(dev->functions, write->length, read->length);
	union i2c_smbus_data data = { 0 };
	struct i2c_smbus_ioctl_data call;
	int r;

	if (!form)
		return -EOPNOTSUPP;

	if (read->length > 0)
		data.block[0] = (uint8_t)read->length; /* how many an I2C block read asks for */
	else if (write->length > 1)
		smbus_pack(&data, form->size, write->data + 1, write->length - 1U);

	call = (struct i2c_smbus_ioctl_data){
		.read_write = form->direction,
		.command = write->length > 0 ? write->data[0] : 0,
		.size = form->size,
		.data = &data,
	};
	r = i2c_dev_control(dev, I2C_SMBUS, &call);
	if (r < 0 || read->length == 0)
		return r;
	return smbus_unpack(&data, form->size, read->data, read->length);
}

/* the errno of a transfer for the caller; a device that is gone may be the chip or the adapter */
static int i2c_dev_verdict(struct i2c_dev *dev, int error)
{
	/* EIO may be an unplug, too (i2c-tiny-usb): the next transfer opens it again */
	if (error == EIO)
		i2c_dev_close(dev);
	/* EOPNOTSUPP: of an adapter that could do it when it was opened */
	if (error == ENODEV || error == EOPNOTSUPP) {
		int r;

		i2c_dev_close(dev);
		r = i2c_dev_open(dev);
		if (r < 0)
			return r;
	}
	return i2c_dev_transfer_error(error);
}

static int i2c_dev_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			    size_t count)
{
	struct i2c_dev *dev = container_of(bus, struct i2c_dev, bus);
	int r;

	r = i2c_dev_open(dev);
	if (r < 0)
		return r;

	r = i2c_dev_ask(dev, address);
	if (r < 0)
		return r;

	if (dev->functions & I2C_FUNC_I2C)
		r = i2c_dev_rdwr(dev, address, transfers, count);
	else
		r = i2c_dev_smbus(dev, transfers, count);
	return r < 0 ? i2c_dev_verdict(dev, -r) : 0;
}

static void i2c_dev_free(struct i2c_bus *bus)
{
	struct i2c_dev *dev = container_of(bus, struct i2c_dev, bus);

	i2c_dev_close(dev);
	free(dev->path);
	free(dev);
}

static const struct i2c_ops i2c_dev_ops = {
	.transfer = i2c_dev_transfer,
	.free = i2c_dev_free,
};

int i2c_dev_new(struct i2c_bus **ret, const struct i2c_settings *settings,
		const struct i2c_calls *calls)
{
	struct i2c_dev *dev;

	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return -ENOMEM;

	dev->bus.ops = &i2c_dev_ops;
	dev->calls = calls;
	dev->timeout_us = settings->timeout_us;
	dev->fd = -1;
	dev->path = strdup(settings->path);
	if (!dev->path) {
		i2c_dev_free(&dev->bus);
		return -ENOMEM;
	}

	*ret = &dev->bus;
	return 0;
}

static int kernel_open(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static int kernel_control(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument);
}

int i2c_bus_new(struct i2c_bus **ret, const struct i2c_settings *settings)
{
	static const struct i2c_calls kernel = { kernel_open, close, kernel_control };

	return i2c_dev_new(ret, settings, &kernel);
}
