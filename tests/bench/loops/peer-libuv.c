/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libuv: timers in whole milliseconds; what it calls a deferred call is an idle handle or a check. */
#include <uv.h>

#include "peer.h"

const char peer_name[] = "libuv";

struct object {
	uv_timer_t timer, timeout;
	uv_poll_t poll;
	uv_idle_t idle;
};

static uv_loop_t loop;
static uv_async_t async;
static struct object *objects;

static void woken(uv_async_t *unused)
{
	(void)unused;
	work_woken();
}

void peer_init(size_t count)
{
	objects = work_memory(count * sizeof(*objects));
	work_must(uv_loop_init(&loop) == 0, "uv_loop_init");
	for (size_t i = 0; i < count; i++) {
		(void)uv_timer_init(&loop, &objects[i].timer);
		(void)uv_timer_init(&loop, &objects[i].timeout);
		(void)uv_idle_init(&loop, &objects[i].idle);
		objects[i].timer.data = objects[i].poll.data = objects[i].idle.data = &objects[i];
	}
	work_must(uv_async_init(&loop, &async, woken) == 0, "uv_async_init");
}

void peer_run(void)
{
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

void peer_stop(void)
{
	uv_stop(&loop);
}

static void fire(uv_timer_t *timer)
{
	work_fired((size_t)((struct object *)timer->data - objects));
}

void peer_timer(size_t i, int64_t first_us, int64_t interval_us)
{
	int64_t delay_us = first_us - work_now_us();

	uv_update_time(&loop);
	work_must(uv_timer_start(&objects[i].timer, fire,
				 delay_us > 0 ? (uint64_t)(delay_us + 999) / 1000 : 0,
				 (uint64_t)interval_us / 1000) == 0,
		  "uv_timer_start");
}

static void ready(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	work_ready((size_t)((struct object *)poll->data - objects));
}

void peer_watch(size_t i, int fd)
{
	work_must(uv_poll_init(&loop, &objects[i].poll, fd) == 0, "uv_poll_init");
	objects[i].poll.data = &objects[i];
	work_must(uv_poll_start(&objects[i].poll, UV_READABLE, ready) == 0, "uv_poll_start");
}

void peer_reset(size_t i, int64_t delay_us)
{
	(void)uv_timer_start(&objects[i].timeout, fire, (uint64_t)delay_us / 1000, 0);
}

static void deferred(uv_idle_t *idle)
{
	(void)uv_idle_stop(idle);
	work_deferred((size_t)((struct object *)idle->data - objects));
}

void peer_defer(size_t i)
{
	(void)uv_idle_start(&objects[i].idle, deferred);
}

void peer_wake(void)
{
	(void)uv_async_send(&async);
}
