/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GPIO chips that come and go: every line is told, and finds out by itself whether it is concerned.
 * Chips that are missed, where they cannot be watched, are found by trying again as after any failure.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon.h"
#include "iotd/log.h"

static void watch_failed(struct daemon *daemon, int error)
{
	log_notice("GPIO chips that are plugged in or out are not noticed at once, but within 10 s "
		   "at best: /dev cannot be watched: %s",
		   strerror(-error));
	chips_stop(daemon);
}

static void chips_changed(struct reactor_io *io, uint32_t events)
{
	struct daemon *daemon = container_of(io, struct daemon, chips);
	int r = gpio_watch_read(daemon->chips_fd);

	(void)events;
	if (r < 0)
		watch_failed(daemon, r);
	if (r <= 0)
		return;
	for (size_t i = 0; i < daemon->output_count; i++)
		output_chips_changed(daemon->outputs[i]);
	for (size_t i = 0; i < daemon->input_count; i++)
		input_chips_changed(daemon->inputs[i]);
}

void chips_start(struct daemon *daemon)
{
	int r;

	daemon->chips.ready = chips_changed;
	daemon->chips_fd = r = gpio_watch_open("/dev");
	if (r >= 0)
		r = reactor_add_io(daemon->reactor, &daemon->chips, daemon->chips_fd, EPOLLIN);
	if (r < 0)
		watch_failed(daemon, r);
}

void chips_stop(struct daemon *daemon)
{
	reactor_remove_io(&daemon->chips);
	closep(&daemon->chips_fd);
	daemon->chips_fd = -1;
}
