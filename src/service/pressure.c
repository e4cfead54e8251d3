/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * $MEMORY_PRESSURE_WATCH is a file of the kernel's pressure stall information, mostly that of iotd's own
 * cgroup: what $MEMORY_PRESSURE_WRITE says, in base64, is written into it, and then it has urgent data
 * (EPOLLPRI) whenever there is such pressure. Or it is a FIFO, which somebody writes to then. See
 * https://systemd.io/MEMORY_PRESSURE.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "iotd/log.h"
#include "iotd/service.h"

struct pressure {
	struct reactor_io io;
	int fd;
	void (*relieve)(void);
};

static void drain(int fd)
{
	char bytes[512];

	while (read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
		;
}

static void pressure_ready(struct reactor_io *io, uint32_t events)
{
	struct pressure *pressure = container_of(io, struct pressure, io);

	if (events & (EPOLLERR | EPOLLHUP)) {
		reactor_remove_io(io);
		return;
	}
	if (events & EPOLLIN)
		drain(pressure->fd);
	pressure->relieve();
	log_debug("memory pressure: what was free has been given back");
}

/* base64 (RFC 4648, 4). Return: how many bytes; -EINVAL no base64, or too much */
static ssize_t decode(const char *text, unsigned char *bytes, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned int bits = 0, count = 0;
	size_t length = 0;

	for (; *text && *text != '='; text++) {
		const char *digit = strchr(digits, *text);

		if (!digit || length == size)
			return -EINVAL;
		bits = bits << 6 | (unsigned int)(digit - digits);
		count += 6;
		if (count >= 8) {
			count -= 8;
			bytes[length++] = (unsigned char)(bits >> count);
		}
	}
	return (ssize_t)length;
}

/* Return: 0; -EINVAL; another errno */
static int write_trigger(int fd)
{
	const char *text = getenv("MEMORY_PRESSURE_WRITE");
	unsigned char trigger[512];
	ssize_t length;

	if (!text)
		return 0;
	length = decode(text, trigger, sizeof(trigger));
	if (length < 0)
		return -EINVAL;
	return write(fd, trigger, (size_t)length) < 0 ? -errno : 0;
}

static int watch(struct pressure *pressure, struct reactor *reactor, const char *path)
{
	struct stat status;
	int r;

	pressure->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (pressure->fd < 0 || fstat(pressure->fd, &status) < 0)
		return -errno;
	if (S_ISFIFO(status.st_mode))
		return reactor_add_io(reactor, &pressure->io, pressure->fd, EPOLLIN);
	if (!S_ISREG(status.st_mode))
		return -ENOTSUP;
	r = write_trigger(pressure->fd);
	return r < 0 ? r : reactor_add_io(reactor, &pressure->io, pressure->fd, EPOLLPRI);
}

int pressure_new(struct pressure **ret, struct reactor *reactor, void (*relieve)(void))
{
	const char *path = getenv("MEMORY_PRESSURE_WATCH");
	cleanup(pressure_freep) struct pressure *pressure = NULL;
	int r;

	*ret = NULL;
	if (!path || strcmp(path, "/dev/null") == 0)
		return 0;
	pressure = calloc(1, sizeof(*pressure));
	if (!pressure)
		return -ENOMEM;
	pressure->io.ready = pressure_ready;
	pressure->relieve = relieve;
	r = watch(pressure, reactor, path);
	if (r == 0)
		*ret = take_ptr(pressure);
	else
		log_debug("memory pressure: %s cannot be watched: %s", path, strerror(-r));
	return 0;
}

struct pressure *pressure_free(struct pressure *pressure)
{
	if (!pressure)
		return NULL;
	reactor_remove_io(&pressure->io);
	closep(&pressure->fd);
	free(pressure);
	return NULL;
}
