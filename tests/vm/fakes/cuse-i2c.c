/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * cuse-i2c -f --name=i2c-77 --dir=DIR: a character device that answers the calls of i2c-dev, made with
 * CUSE. DIR has its chips and faults: chips.h.
 *
 * It is no adapter of the kernel (usb-i2c is), but it can do two things that such a one does not: fail
 * with any error, and hang for good: the caller waits in the kernel, and from the first signal on in
 * state D, deaf even to SIGKILL, like a caller of hardware that is stuck. The fault "stuck" ends with
 * its file, or with this program.
 */

#include <cuse_lowlevel.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <fuse_opt.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chips.h"

#define MESSAGES 8
#define LOOK_US	 20000 /* how often "stuck" is looked at */

static struct options {
	char *name, *dir;
} options;

static unsigned int slave; /* of I2C_SLAVE; one user at a time */

/* 0, or what is wrong with the bus, as a negative errno; does not return while it is stuck */
static int bus_state(void)
{
	int error;

	for (;;) {
		switch (chips_fault(&error)) {
		case FAULT_STUCK:
			(void)usleep(LOOK_US);
			break;
		case FAULT_NACK:
			return -ENXIO;
		case FAULT_ERRNO:
			return -error;
		case FAULT_UNPLUG:
			exit(0);
		case FAULT_NONE:
			return 0;
		}
	}
}

static void fake_open(fuse_req_t request, struct fuse_file_info *info)
{
	slave = 0;
	info->nonseekable = 1;
	(void)fuse_reply_open(request, info);
}

static void fake_read(fuse_req_t request, size_t length, off_t offset, struct fuse_file_info *info)
{
	uint8_t data[256];
	int r = bus_state();

	(void)offset;
	(void)info;
	if (length > sizeof(data))
		length = sizeof(data);
	if (r == 0)
		r = chips_read(slave, data, length);
	if (r < 0)
		(void)fuse_reply_err(request, -r);
	else
		(void)fuse_reply_buf(request, (const char *)data, length);
}

static void fake_write(fuse_req_t request, const char *data, size_t length, off_t offset,
		       struct fuse_file_info *info)
{
	int r = bus_state();

	(void)offset;
	(void)info;
	if (r == 0)
		r = chips_write(slave, (const uint8_t *)data, length);
	if (r < 0)
		(void)fuse_reply_err(request, -r);
	else
		(void)fuse_reply_write(request, length);
}

/* --- I2C_RDWR --------------------------------------------------------------------------------- */

/*
 * The caller's structures lie in its own memory and hold pointers, so each round asks the kernel for
 * what the last one made known: the header, then the messages, then the bytes of both directions.
 */
struct exchange {
	struct i2c_rdwr_ioctl_data head;
	struct i2c_msg messages[MESSAGES];
	struct iovec in[MESSAGES + 2], out[MESSAGES];
	size_t in_count, out_count, in_size, out_size;
};

/* true: @exchange is whole, and @in holds what is in it */
static bool exchange_gather(struct exchange *exchange, const uint8_t *in, size_t in_size,
			    void *head)
{
	exchange->in[0] = (struct iovec){ head, sizeof(exchange->head) };
	exchange->in_count = 1;
	exchange->in_size = sizeof(exchange->head);
	if (in_size < exchange->in_size)
		return false;

	memcpy(&exchange->head, in, sizeof(exchange->head));
	if (exchange->head.nmsgs > MESSAGES)
		exchange->head.nmsgs = MESSAGES;
	exchange->in[1] = (struct iovec){ exchange->head.msgs,
					  exchange->head.nmsgs * sizeof(struct i2c_msg) };
	exchange->in_count = 2;
	exchange->in_size += exchange->in[1].iov_len;
	if (in_size < exchange->in_size)
		return false;

	memcpy(exchange->messages, in + sizeof(exchange->head), exchange->in[1].iov_len);
	for (size_t i = 0; i < exchange->head.nmsgs; i++) {
		struct i2c_msg *message = &exchange->messages[i];
		struct iovec bytes = { message->buf, message->len };

		if (message->flags & I2C_M_RD) {
			exchange->out[exchange->out_count++] = bytes;
			exchange->out_size += message->len;
		} else {
			exchange->in[exchange->in_count++] = bytes;
			exchange->in_size += message->len;
		}
	}
	return in_size >= exchange->in_size;
}

static int exchange_run(const struct exchange *exchange, const uint8_t *in, uint8_t *out)
{
	int r;

	in += exchange->in[0].iov_len + exchange->in[1].iov_len;
	for (size_t i = 0; i < exchange->head.nmsgs; i++) {
		const struct i2c_msg *message = &exchange->messages[i];

		r = bus_state();
		if (r < 0)
			return r;
		if (message->flags & I2C_M_RD) {
			r = chips_read(message->addr, out, message->len);
			out += message->len;
		} else {
			r = chips_write(message->addr, in, message->len);
			in += message->len;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static void fake_rdwr(fuse_req_t request, void *argument, const void *in, size_t in_size,
		      size_t out_size)
{
	struct exchange exchange = { 0 };
	uint8_t out[4096];
	int r;

	if (!exchange_gather(&exchange, in, in_size, argument) || out_size < exchange.out_size) {
		(void)fuse_reply_ioctl_retry(request, exchange.in, exchange.in_count, exchange.out,
					     exchange.out_count);
		return;
	}
	r = exchange.out_size <= sizeof(out) ? exchange_run(&exchange, in, out) : -EINVAL;
	if (r < 0)
		(void)fuse_reply_err(request, -r);
	else
		(void)fuse_reply_ioctl(request, (int)exchange.head.nmsgs, out, exchange.out_size);
}

/* --- The other calls ---------------------------------------------------------------------------- */

static void fake_functions(fuse_req_t request, void *argument, size_t out_size)
{
	unsigned long functions = I2C_FUNC_I2C;
	struct iovec where = { argument, sizeof(functions) };

	if (out_size == 0)
		(void)fuse_reply_ioctl_retry(request, NULL, 0, &where, 1);
	else
		(void)fuse_reply_ioctl(request, 0, &functions, sizeof(functions));
}

static void fake_ioctl(fuse_req_t request, int command, void *argument, struct fuse_file_info *info,
		       unsigned int flags, const void *in, size_t in_size, size_t out_size)
{
	(void)info;
	(void)flags;
	switch ((unsigned int)command) {
	case I2C_SLAVE:
	case I2C_SLAVE_FORCE:
		slave = (unsigned int)(uintptr_t)argument;
		(void)fuse_reply_ioctl(request, 0, NULL, 0);
		break;
	case I2C_TIMEOUT:
	case I2C_RETRIES:
		(void)fuse_reply_ioctl(request, 0, NULL, 0);
		break;
	case I2C_FUNCS:
		fake_functions(request, argument, out_size);
		break;
	case I2C_RDWR:
		fake_rdwr(request, argument, in, in_size, out_size);
		break;
	default:
		(void)fuse_reply_err(request, ENOTTY);
	}
}

static const struct cuse_lowlevel_ops operations = {
	.open = fake_open,
	.read = fake_read,
	.write = fake_write,
	.ioctl = fake_ioctl,
};

static const struct fuse_opt option_list[] = {
	{ "--name=%s", offsetof(struct options, name), 0 },
	{ "--dir=%s", offsetof(struct options, dir), 0 },
	FUSE_OPT_END,
};

int main(int argc, char **argv)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(argc, argv);
	char device[64];
	const char *info[] = { device };
	const struct cuse_info cuse = { .dev_info_argc = 1,
					.dev_info_argv = info,
					.flags = CUSE_UNRESTRICTED_IOCTL };

	if (fuse_opt_parse(&arguments, &options, option_list, NULL) != 0 || !options.name ||
	    !options.dir) {
		(void)fprintf(stderr, "usage: cuse-i2c -f --name=NAME --dir=DIR\n");
		return 64;
	}
	chips_init(options.dir);
	(void)snprintf(device, sizeof(device), "DEVNAME=%s", options.name);
	return cuse_lowlevel_main(arguments.argc, arguments.argv, &cuse, &operations, NULL);
}
