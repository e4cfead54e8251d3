/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libevent 2, with its precise timers; a deferred call is event_active(). */
#include <event2/event.h>
#include <event2/thread.h>

#include "peer.h"

const char peer_name[] = "libevent";

static struct event_base *base;
static struct event **timers, **timeouts, **calls, *async;

static size_t index_of(void *argument)
{
	return (size_t)argument - 1;
}

static void *argument_of(size_t i)
{
	return (void *)(i + 1);
}

static struct timeval interval_of(int64_t us)
{
	return (struct timeval){ us / 1000000, us % 1000000 };
}

static void woken(evutil_socket_t fd, short events, void *argument)
{
	(void)fd;
	(void)events;
	(void)argument;
	work_woken();
}

void peer_init(size_t count)
{
	struct event_config *config = event_config_new();

	timers = work_memory(count * sizeof(struct event *));
	timeouts = work_memory(count * sizeof(struct event *));
	calls = work_memory(count * sizeof(struct event *));
	work_must(evthread_use_pthreads() == 0 && config != NULL, "evthread_use_pthreads");
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	work_must(base != NULL, "event_base_new");
	async = event_new(base, -1, EV_PERSIST, woken, NULL);
	work_must(async != NULL, "event_new");
}

void peer_run(void)
{
	(void)event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void peer_stop(void)
{
	(void)event_base_loopbreak(base);
}

struct first {
	size_t i;
	int64_t interval_us;
};

static void fire(evutil_socket_t fd, short events, void *argument)
{
	(void)fd;
	(void)events;
	work_fired(index_of(argument));
}

/* EV_PERSIST repeats from the first one on, whose delay is another */
static void fire_first(evutil_socket_t fd, short events, void *argument)
{
	struct first *first = argument;
	struct timeval interval = interval_of(first->interval_us);

	(void)fd;
	(void)events;
	timers[first->i] = event_new(base, -1, EV_PERSIST, fire, argument_of(first->i));
	(void)event_add(timers[first->i], &interval);
	work_fired(first->i);
}

void peer_timer(size_t i, int64_t first_us, int64_t interval_us)
{
	struct first *first = work_memory(sizeof(*first));
	int64_t delay_us = first_us - work_now_us();
	struct timeval delay = interval_of(delay_us > 0 ? delay_us : 0);

	*first = (struct first){ i, interval_us };
	work_must(event_base_once(base, -1, EV_TIMEOUT, fire_first, first, &delay) == 0,
		  "event_base_once");
}

static void ready(evutil_socket_t fd, short events, void *argument)
{
	(void)fd;
	(void)events;
	work_ready(index_of(argument));
}

void peer_watch(size_t i, int fd)
{
	struct event *event = event_new(base, fd, EV_READ | EV_PERSIST, ready, argument_of(i));

	work_must(event && event_add(event, NULL) == 0, "event_add");
}

void peer_reset(size_t i, int64_t delay_us)
{
	struct timeval delay = interval_of(delay_us);

	if (!timeouts[i])
		timeouts[i] = event_new(base, -1, 0, fire, argument_of(i));
	(void)event_add(timeouts[i], &delay);
}

static void deferred(evutil_socket_t fd, short events, void *argument)
{
	(void)fd;
	(void)events;
	work_deferred(index_of(argument));
}

void peer_defer(size_t i)
{
	if (!calls[i])
		calls[i] = event_new(base, -1, 0, deferred, argument_of(i));
	event_active(calls[i], EV_TIMEOUT, 0);
}

void peer_wake(void)
{
	event_active(async, EV_TIMEOUT, 0);
}
