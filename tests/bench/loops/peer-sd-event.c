/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd-event, with an accuracy of 1 us, the least that it has; another thread wakes it by an eventfd. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>

#include "peer.h"

const char peer_name[] = "sd-event";

struct object {
	sd_event_source *timer, *timeout, *call;
	uint64_t due_us, interval_us;
};

static sd_event *event;
static struct object *objects;
static int wake_fd;

static size_t index_of(void *data)
{
	return (size_t)((struct object *)data - objects);
}

static int woken(sd_event_source *source, int fd, uint32_t events, void *data)
{
	eventfd_t value;

	(void)source;
	(void)events;
	(void)data;
	(void)eventfd_read(fd, &value);
	work_woken();
	return 0;
}

void peer_init(size_t count)
{
	objects = work_memory(count * sizeof(*objects));
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	work_must(sd_event_new(&event) >= 0, "sd_event_new");
	work_must(sd_event_add_io(event, NULL, wake_fd, EPOLLIN, woken, NULL) >= 0,
		  "sd_event_add_io");
}

void peer_run(void)
{
	(void)sd_event_loop(event);
}

void peer_stop(void)
{
	(void)sd_event_exit(event, 0);
}

static int fire(sd_event_source *source, uint64_t due_us, void *data)
{
	struct object *object = data;

	(void)due_us;
	object->due_us += object->interval_us;
	(void)sd_event_source_set_time(source, object->due_us);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	work_fired(index_of(data));
	return 0;
}

void peer_timer(size_t i, int64_t first_us, int64_t interval_us)
{
	struct object *object = &objects[i];

	object->due_us = (uint64_t)first_us;
	object->interval_us = (uint64_t)interval_us;
	work_must(sd_event_add_time(event, &object->timer, CLOCK_MONOTONIC, object->due_us, 1, fire,
				    object) >= 0,
		  "sd_event_add_time");
}

static int ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	(void)source;
	(void)fd;
	(void)events;
	work_ready(index_of(data));
	return 0;
}

void peer_watch(size_t i, int fd)
{
	work_must(sd_event_add_io(event, NULL, fd, EPOLLIN, ready, &objects[i]) >= 0,
		  "sd_event_add_io");
}

void peer_reset(size_t i, int64_t delay_us)
{
	struct object *object = &objects[i];

	if (object->timeout)
		(void)sd_event_source_set_time_relative(object->timeout, (uint64_t)delay_us);
	else
		work_must(sd_event_add_time_relative(event, &object->timeout, CLOCK_MONOTONIC,
						     (uint64_t)delay_us, 1, fire, object) >= 0,
			  "sd_event_add_time_relative");
}

static int deferred(sd_event_source *source, void *data)
{
	(void)source;
	work_deferred(index_of(data));
	return 0;
}

void peer_defer(size_t i)
{
	struct object *object = &objects[i];

	if (object->call)
		(void)sd_event_source_set_enabled(object->call, SD_EVENT_ONESHOT);
	else
		work_must(sd_event_add_defer(event, &object->call, deferred, object) >= 0,
			  "sd_event_add_defer");
}

void peer_wake(void)
{
	(void)eventfd_write(wake_fd, 1);
}
