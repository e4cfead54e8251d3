/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotd's reactor, whose clock is CLOCK_BOOTTIME: the same here, as nobody suspends the host meanwhile. */
#include <string.h>

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/task.h"
#include "peer.h"

const char peer_name[] = "iotd";

/* a cache line for each */
struct periodic {
	_Alignas(64) struct reactor_timer timer;
	int64_t interval_us;
};

struct object {
	struct reactor_timer timeout;
	struct reactor_io io;
	struct reactor_call call;
	size_t i;
};

static struct reactor *reactor;
static struct task *root;
static struct future stopped;
static struct reactor_post post;
static struct periodic *periodics;
static struct object *objects;
static int64_t clock_offset_us;

static int step_end(struct task *task, int result)
{
	(void)task;
	return result;
}

static int step_wait(struct task *task, int result)
{
	(void)result;
	return task_await(task, &stopped, step_end);
}

static void woken(struct reactor_post *unused)
{
	(void)unused;
	work_woken();
}

void peer_init(size_t count)
{
	objects = work_memory(count * sizeof(*objects));
	periodics = aligned_alloc(sizeof(*periodics), (count + 1) * sizeof(*periodics));
	work_must(periodics != NULL, "aligned_alloc");
	memset(periodics, 0, (count + 1) * sizeof(*periodics));
	for (size_t i = 0; i < count; i++)
		objects[i].i = i;
	clock_offset_us = clock_boottime_us() - work_now_us();
	post.run = woken;
	work_must(reactor_new(&reactor) == 0, "reactor_new");
	future_init(&stopped, reactor, NULL);
	work_must(task_spawn(&root, reactor, step_wait, NULL, NULL) == 0, "task_spawn");
}

void peer_run(void)
{
	work_must(reactor_run(reactor, root) == 0, "reactor_run");
}

void peer_stop(void)
{
	future_resolve(&stopped, 0);
}

static void fire(struct reactor_timer *timer)
{
	const struct periodic *periodic = container_of(timer, struct periodic, timer);

	(void)reactor_set_timer(reactor, timer, timer->due_us + periodic->interval_us);
	work_fired((size_t)(periodic - periodics));
}

void peer_timer(size_t i, int64_t first_us, int64_t interval_us)
{
	struct periodic *periodic = &periodics[i];

	periodic->interval_us = interval_us;
	periodic->timer.fire = fire;
	work_must(reactor_set_timer(reactor, &periodic->timer, first_us + clock_offset_us) == 0,
		  "reactor_set_timer");
}

static void ready(struct reactor_io *io, uint32_t events)
{
	(void)events;
	work_ready(container_of(io, struct object, io)->i);
}

void peer_watch(size_t i, int fd)
{
	objects[i].io.ready = ready;
	work_must(reactor_add_io(reactor, &objects[i].io, fd, 1 /* EPOLLIN */) == 0,
		  "reactor_add_io");
}

void peer_reset(size_t i, int64_t delay_us)
{
	objects[i].timeout.fire = fire;
	(void)reactor_set_timer(reactor, &objects[i].timeout, reactor_now(reactor) + delay_us);
}

static void deferred(struct reactor_call *call)
{
	work_deferred(container_of(call, struct object, call)->i);
}

void peer_defer(size_t i)
{
	objects[i].call.run = deferred;
	reactor_defer(reactor, &objects[i].call);
}

void peer_wake(void)
{
	reactor_post(reactor, &post);
}
