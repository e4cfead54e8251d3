/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libev: repeating timers that do not drift; a deferred call is ev_feed_event(). */
#include <ev.h>

#include "peer.h"

const char peer_name[] = "libev";

struct object {
	ev_timer timer, timeout;
	ev_io io;
	ev_prepare call;
};

static struct ev_loop *loop;
static ev_async async;
static struct object *objects;

static void woken(struct ev_loop *unused, ev_async *watcher, int events)
{
	(void)unused;
	(void)watcher;
	(void)events;
	work_woken();
}

void peer_init(size_t count)
{
	objects = work_memory(count * sizeof(*objects));
	loop = ev_loop_new(EVBACKEND_EPOLL);
	work_must(loop != NULL, "ev_loop_new");
	ev_async_init(&async, woken);
	ev_async_start(loop, &async);
}

void peer_run(void)
{
	(void)ev_run(loop, 0);
}

void peer_stop(void)
{
	ev_break(loop, EVBREAK_ALL);
}

static void fire(struct ev_loop *unused, ev_timer *timer, int events)
{
	(void)unused;
	(void)events;
	work_fired((size_t)((struct object *)timer->data - objects));
}

void peer_timer(size_t i, int64_t first_us, int64_t interval_us)
{
	ev_timer *timer = &objects[i].timer;

	ev_now_update(loop);
	ev_timer_init(timer, fire, (double)(first_us - work_now_us()) / 1e6,
		      (double)interval_us / 1e6);
	timer->data = &objects[i];
	ev_timer_start(loop, timer);
}

static void ready(struct ev_loop *unused, ev_io *io, int events)
{
	(void)unused;
	(void)events;
	work_ready((size_t)((struct object *)io->data - objects));
}

void peer_watch(size_t i, int fd)
{
	ev_io_init(&objects[i].io, ready, fd, EV_READ);
	objects[i].io.data = &objects[i];
	ev_io_start(loop, &objects[i].io);
}

void peer_reset(size_t i, int64_t delay_us)
{
	ev_timer *timeout = &objects[i].timeout;

	if (!ev_is_active(timeout))
		ev_init(timeout, fire);
	timeout->repeat = (double)delay_us / 1e6;
	ev_timer_again(loop, timeout);
}

static void deferred(struct ev_loop *unused, ev_prepare *call, int events)
{
	(void)unused;
	(void)events;
	work_deferred((size_t)((struct object *)call->data - objects));
}

/* a watcher that was never started may be fed all the same */
void peer_defer(size_t i)
{
	ev_prepare *call = &objects[i].call;

	if (!call->data) {
		ev_prepare_init(call, deferred);
		call->data = &objects[i];
	}
	ev_feed_event(loop, call, EV_CUSTOM);
}

void peer_wake(void)
{
	ev_async_send(loop, &async);
}
