/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Most tests of the reactor run on the virtual clock until nothing is left to do, and compare the
 * trace. The root task of reactor_run() waits for a future that finish() ends.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "reactor-probe.h"

#include "iotd/base.h"
#include "iotd/task.h"

static struct future finished;

void setup_virtual(void)
{
	trace_clear();
	atomic_store(&slept_us, 0);
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
}

void setup_real(void)
{
	trace_clear();
	atomic_store(&slept_us, 0);
	ck_assert_int_eq(reactor_new(&reactor), 0);
}

void teardown(void)
{
	reactor = reactor_free(reactor);
	ck_assert_ptr_null(reactor);
}

static int step_finished(struct task *task, int result)
{
	(void)task;
	return result;
}

static int step_wait(struct task *task, int result)
{
	(void)result;
	return task_await(task, &finished, step_finished);
}

int run_root(struct task **ret)
{
	future_init(&finished, reactor, NULL);
	return task_spawn(ret, reactor, step_wait, NULL, NULL);
}

int run(void)
{
	struct task *root;
	int r;

	ck_assert_int_eq(run_root(&root), 0);
	r = reactor_run(reactor, root);
	task_cancel(root);
	ck_assert_ptr_null(task_release(root));
	return r;
}

void finish(int result)
{
	if (result < 0)
		future_reject(&finished, result);
	else
		future_resolve(&finished, result);
}

void run_until_idle(void)
{
	ck_assert_int_eq(run(), -EDEADLK);
}

static void probe_happened(struct probe *probe)
{
	note(probe->letter);
	probe->count++;
	probe->at_us = reactor_now(reactor);
	if (probe->act)
		probe->act(probe);
}

static void probe_fired(struct reactor_timer *timer)
{
	ck_assert(!reactor_timer_is_set(timer));
	probe_happened(container_of(timer, struct probe, timer));
}

static void probe_called(struct reactor_call *call)
{
	probe_happened(container_of(call, struct probe, call));
}

static void probe_ready(struct reactor_io *io, uint32_t events)
{
	struct probe *probe = container_of(io, struct probe, io);

	probe->events = events;
	probe_happened(probe);
}

static void probe_arrived(struct reactor_signal *signal)
{
	probe_happened(container_of(signal, struct probe, signal));
}

static void probe_posted(struct reactor_post *post)
{
	probe_happened(container_of(post, struct probe, post));
}

struct probe probe_make(char letter, void (*act)(struct probe *probe))
{
	return (struct probe){ .timer.fire = probe_fired,
			       .call.run = probe_called,
			       .io.ready = probe_ready,
			       .signal.arrived = probe_arrived,
			       .post.run = probe_posted,
			       .letter = letter,
			       .act = act,
			       .fd = -1 };
}

void set(struct probe *probe, int64_t due_us)
{
	ck_assert_int_eq(reactor_set_timer(reactor, &probe->timer, due_us), 0);
	ck_assert(reactor_timer_is_set(&probe->timer));
}

void watch(struct probe *probe)
{
	probe->fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_ge(probe->fd, 0);
	ck_assert_int_eq(reactor_add_io(reactor, &probe->io, probe->fd, EPOLLIN), 0);
}

void unwatch(struct probe *probe)
{
	reactor_remove_io(&probe->io);
	closep(&probe->fd);
	probe->fd = -1;
}

void act_finish(struct probe *probe)
{
	(void)probe;
	finish(0);
}

void act_free(struct probe *probe)
{
	free(probe);
}

void act_note_calls(struct probe *probe)
{
	probe->events = (uint32_t)probe->other->count;
	unwatch(probe);
}
