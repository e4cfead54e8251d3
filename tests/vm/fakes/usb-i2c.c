/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * usb-i2c DIR: an I2C bus behind a real adapter of the kernel. DIR has its chips and faults: chips.h.
 *
 * It plays an "i2c-tiny-usb" on a virtual USB port: vhci-hcd, the client half of USB/IP, gets one end
 * of a socket pair, and this program answers at the other. The kernel's own i2c-tiny-usb driver binds
 * to it, so there is a whole i2c_adapter: /dev/i2c-N with I2C_RDWR and all of SMBus, kernel drivers
 * for chips, and unplugging, which is the end of this program.
 *
 * Sources: Linux Documentation/usb/usbip_protocol.rst, drivers/i2c/busses/i2c-tiny-usb.c.
 * "stuck" is an adapter that does not answer: the driver gives up after 2 s with EIO.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chips.h"

#define VHCI	   "/sys/devices/platform/vhci_hcd.0"
#define SPEED_FULL 2		 /* enum usb_device_speed */
#define DEVICE_ID  (1 << 16 | 2) /* bus and device number at the other end; any */

/* usbip_protocol.rst: every word is big-endian */
enum {
	CMD_SUBMIT = 1,
	CMD_UNLINK,
	RET_SUBMIT,
	RET_UNLINK
};

struct header {
	uint32_t command, sequence, device, in, endpoint;
	uint32_t words[5]; /* submit: flags, length ...; return: status, actual length ... */
	uint8_t setup[8];
};

struct setup { /* USB 2.0, 9.3 */
	uint8_t type, request;
	uint16_t value, index;
};

enum { /* USB 2.0, table 9-4 */
	GET_STATUS = 0,
	GET_DESCRIPTOR = 6,
	SET_CONFIGURATION = 9,
	SET_INTERFACE = 11
};

enum { /* i2c-tiny-usb.c: CMD_I2C_IO carries flags for begin and end of a transfer */
	TINY_FUNCTIONS = 1,
	TINY_DELAY = 2,
	TINY_STATUS = 3,
	TINY_IO = 4,
	TINY_IO_LAST = 7
};

#define TINY_ACK  1
#define TINY_NACK 2

static const uint8_t device_descriptor[] = { 18,   1,	 0x10, 0x01, 0xff, 0, 0, 8, 0x03,
					     0x04, 0x31, 0xc6, 0x05, 0x02, 1, 2, 0, 1 };
static const uint8_t configuration_descriptor[] = {
	9, 2, 18, 0, 1, 1,    0, 0x80, 50, /* itself */
	9, 4, 0,  0, 0, 0xff, 0, 0,    0
}; /* interface */
static const uint8_t languages[] = { 4, 3, 0x09, 0x04 };
static const uint8_t vendor[] = { 10, 3, 'i', 0, 'o', 0, 't', 0, 'd', 0 };
static const uint8_t product[] = { 10, 3, 'f', 0, 'a', 0, 'k', 0, 'e', 0 };
/* I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL, little-endian */
static const uint8_t functions[] = { 0x01, 0x00, 0xff, 0x0e };

static uint8_t tiny_status = TINY_ACK; /* of the last message */

static int give(uint8_t *data, size_t room, const uint8_t *from, size_t length)
{
	if (length > room)
		length = room;
	memcpy(data, from, length);
	return (int)length;
}

static int get_descriptor(uint16_t value, uint8_t *data, size_t room)
{
	switch (value) {
	case 0x100:
		return give(data, room, device_descriptor, sizeof(device_descriptor));
	case 0x200:
		return give(data, room, configuration_descriptor, sizeof(configuration_descriptor));
	case 0x300:
		return give(data, room, languages, sizeof(languages));
	case 0x301:
		return give(data, room, vendor, sizeof(vendor));
	case 0x302:
		return give(data, room, product, sizeof(product));
	default:
		return -EPIPE;
	}
}

static int standard_request(const struct setup *setup, uint8_t *data, size_t room)
{
	switch (setup->request) {
	case GET_DESCRIPTOR:
		return get_descriptor(setup->value, data, room);
	case GET_STATUS:
		return give(data, room, (const uint8_t *)"\0", 2);
	case SET_CONFIGURATION:
	case SET_INTERFACE:
		return 0;
	default:
		return -EPIPE;
	}
}

/* value: the message's flags, of which bit 0 is I2C_M_RD; index: the chip's address */
static int tiny_io(const struct setup *setup, uint8_t *data, size_t length)
{
	int error, r;

	if (chips_fault(&error) == FAULT_NACK)
		r = -ENXIO;
	else if (setup->value & 1)
		r = chips_read(setup->index, data, length);
	else
		r = chips_write(setup->index, data, length);
	tiny_status = r == 0 ? TINY_ACK : TINY_NACK;
	return (int)length;
}

static int tiny_request(const struct setup *setup, uint8_t *data, size_t length)
{
	switch (setup->request) {
	case TINY_FUNCTIONS:
		return give(data, length, functions, sizeof(functions));
	case TINY_DELAY:
		return 0;
	case TINY_STATUS:
		return give(data, length, &tiny_status, 1);
	default:
		if (setup->request >= TINY_IO && setup->request <= TINY_IO_LAST)
			return tiny_io(setup, data, length);
		return -EPIPE;
	}
}

static bool is_tiny_io(const struct header *header)
{
	return (header->setup[0] & 0x60) && header->setup[1] >= TINY_IO;
}

/* a control transfer: bytes given or taken, or a negative errno */
static int control(const uint8_t *bytes, uint8_t *data, size_t length)
{
	const struct setup setup = {
		.type = bytes[0],
		.request = bytes[1],
		.value = (uint16_t)(bytes[2] | bytes[3] << 8),
		.index = (uint16_t)(bytes[4] | bytes[5] << 8),
	};

	if ((setup.type & 0x60) == 0)
		return standard_request(&setup, data, length);
	return tiny_request(&setup, data, length);
}

static bool receive(int fd, void *data, size_t length)
{
	return length == 0 || recv(fd, data, length, MSG_WAITALL) == (ssize_t)length;
}

static bool answer(int fd, struct header *header, const uint8_t *data, int result)
{
	size_t length = ntohl(header->in) && result > 0 ? (size_t)result : 0;

	header->command = htonl(RET_SUBMIT);
	memset(header->words, 0, sizeof(header->words));
	memset(header->setup, 0, sizeof(header->setup));
	header->words[0] = htonl((uint32_t)(result < 0 ? result : 0));
	header->words[1] = htonl((uint32_t)(result < 0 ? 0 : result));
	return send(fd, header, sizeof(*header), MSG_NOSIGNAL) == (ssize_t)sizeof(*header) &&
	       (length == 0 || send(fd, data, length, MSG_NOSIGNAL) == (ssize_t)length);
}

/* the kernel gave up waiting for an answer; from now on there will be none */
static bool unlink_request(int fd, struct header *header)
{
	header->command = htonl(RET_UNLINK);
	memset(header->words, 0, sizeof(header->words) + sizeof(header->setup));
	header->words[0] = htonl((uint32_t)-ECONNRESET);
	return send(fd, header, sizeof(*header), MSG_NOSIGNAL) == (ssize_t)sizeof(*header);
}

/* one request; false: the adapter is unplugged */
static bool serve(int fd)
{
	static uint8_t data[65536];
	struct header header;
	enum fault fault;
	size_t length;
	int error, r = -EPIPE;

	if (!receive(fd, &header, sizeof(header)))
		return false;
	if (ntohl(header.command) == CMD_UNLINK)
		return unlink_request(fd, &header);
	length = ntohl(header.words[1]);
	if (length > sizeof(data) || (!ntohl(header.in) && !receive(fd, data, length)))
		return false;

	fault = chips_fault(&error);
	if (fault == FAULT_UNPLUG)
		return false;
	if (fault == FAULT_STUCK && is_tiny_io(&header))
		return true; /* never answered */
	if (ntohl(header.endpoint) == 0)
		r = control(header.setup, data, length);
	return answer(fd, &header, data, r);
}

static int plug_in(int fd)
{
	FILE *attach = fopen(VHCI "/attach", "we");

	if (!attach)
		return -errno;
	/* port, socket, device id, speed */
	if (fprintf(attach, "0 %d %d %d", fd, DEVICE_ID, SPEED_FULL) < 0 || fclose(attach) != 0)
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	int ends[2], r;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: usb-i2c DIR\n");
		return 64;
	}
	chips_init(argv[1]);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		perror("socketpair");
		return 1;
	}
	r = plug_in(ends[1]);
	if (r < 0) {
		(void)fprintf(stderr, VHCI "/attach: %s\n", strerror(-r));
		return 1;
	}
	(void)close(ends[1]);
	while (serve(ends[0]))
		;
	return 0;
}
