/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * GPIO chips that come and go, by their nodes in /dev.
 *
 * A kernel before 6.6 does not wake who holds a line of a chip that is unplugged, and none wakes who
 * waits for one to come. inotify on the folder does both, without a right, a daemon or another
 * kind of socket: the kernel itself makes and removes the nodes (devtmpfs). libsystemd's device
 * monitor was rejected: it needs udev, which containers have not, and AF_NETLINK, which the unit
 * does without. A change of permissions counts too, since a node is root's until udev has
 * given it to its group.
 *
 * It does not say which chip it was: names are a number that the next chip gets, and who holds a
 * line is told by the kernel when it asks.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "iotd/bus.h"

int gpio_watch_open(const char *folder)
{
	cleanup(closep) int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (inotify_add_watch(fd, folder,
			      IN_CREATE | IN_DELETE | IN_ATTRIB | IN_MOVED_TO | IN_ONLYDIR) < 0)
		return -errno;
	return take_fd(&fd);
}

static bool is_about_chip(const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW)
		return true;
	return event->len > 0 && strncmp(event->name, "gpiochip", strlen("gpiochip")) == 0;
}

int gpio_watch_read(int fd)
{
	_Alignas(struct inotify_event) char buffer[4096];
	const struct inotify_event *event;
	ssize_t length;
	int found = 0;

	length = read(fd, buffer, sizeof(buffer));
	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (ssize_t at = 0; at < length; at += (ssize_t)(sizeof(*event) + event->len)) {
		event = (const struct inotify_event *)(const void *)(buffer + at);
		found |= is_about_chip(event);
	}
	return found;
}
