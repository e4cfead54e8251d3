/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tasks and futures.
 *
 * Who awaits a future hangs a waiter on it. Completing a future takes its waiters off, in the order
 * in which they came, and tells each; a waiting task only notes the result and defers its next
 * step, so nobody's code runs inside another's completion. A sleeping task's step runs straight
 * from its timer.
 *
 * A task ends in one place, task_end(): whatever it waits for is struck out, cleanup runs, then its
 * future completes. Its memory goes when it has ended and its handle is released, whichever is
 * last. A time-out that fires only defers the step and leaves the waiter where it is until the step
 * runs: a result that comes in the same turn takes its place.
 */
#include <assert.h>
#include <errno.h>

#include "iotd/task.h"

struct future_waiter {
	void (*done)(struct future_waiter *waiter, int result);
	struct future *future; /* NULL: awaits nothing */
	struct future_waiter *next, *previous;
};

struct task {
	struct future future;
	struct reactor *reactor;
	task_step step;
	void *data;
	void (*cleanup)(struct task *task);
	bool (*abandon)(struct task *task); /* gather: cancel all of it; true: all have ended */
	struct future_waiter waiter;
	struct reactor_timer timer;
	struct reactor_call call;
	int result;	 /* for the next step */
	bool is_held;	 /* somebody has the handle */
	bool is_running; /* it is on the stack: a cancel only marks it */
	bool is_ending, is_cancelled;
	bool is_retrieved; /* somebody saw the result */
};

/* --- futures -------------------------------------------------------------------------------- */

static void waiter_add(struct future *future, struct future_waiter *waiter)
{
	struct future_waiter *first = future->waiter;

	waiter->future = future;
	if (!first) {
		waiter->next = waiter->previous = waiter;
		future->waiter = waiter;
		return;
	}
	waiter->next = first;
	waiter->previous = first->previous;
	first->previous->next = waiter;
	first->previous = waiter;
}

static void waiter_remove(struct future_waiter *waiter)
{
	struct future *future = waiter->future;

	if (!future)
		return;
	if (waiter->next == waiter)
		future->waiter = NULL;
	else if (future->waiter == waiter)
		future->waiter = waiter->next;
	waiter->next->previous = waiter->previous;
	waiter->previous->next = waiter->next;
	waiter->future = NULL;
}

void future_init(struct future *future, struct reactor *reactor,
		 void (*cancelled)(struct future *future))
{
	*future = (struct future){ .cancelled = cancelled,
				   .reactor = reactor,
				   .result = -EINPROGRESS };
}

static void future_complete(struct future *future, int result)
{
	if (future->done)
		return;
	future->done = true;
	future->result = result;
	while (future->waiter) {
		struct future_waiter *waiter = future->waiter;

		waiter_remove(waiter);
		waiter->done(waiter, result);
	}
}

void future_resolve(struct future *future, int result)
{
	assert(result >= 0);
	future_complete(future, result);
}

void future_reject(struct future *future, int error)
{
	assert(error < 0 && error != TASK_WAITS);
	future_complete(future, error);
}

int future_result(const struct future *future)
{
	return future->done ? future->result : -EINPROGRESS;
}

/* marks the futures of tasks; never called, since abandoning a task is cancelling it */
static void task_abandoned(struct future *future)
{
	task_cancel(container_of(future, struct task, future));
}

/* stop awaiting; the awaited one is cancelled unless somebody else awaits it too */
static void waiter_abandon(struct future_waiter *waiter)
{
	struct future *future = waiter->future;

	if (!future)
		return;
	waiter_remove(waiter);
	if (future->waiter || future->done)
		return;
	if (future->cancelled != task_abandoned)
		future_complete(future, -ECANCELED);
	if (future->cancelled)
		future->cancelled(future);
}

/* --- tasks ---------------------------------------------------------------------------------- */

static void task_destroy(struct task *task)
{
	free(task);
}

static void task_unwait(struct task *task)
{
	reactor_stop_timer(&task->timer);
	reactor_cancel_call(&task->call);
	waiter_abandon(&task->waiter);
}

static void task_end(struct task *task, int result)
{
	task->is_ending = true;
	task_unwait(task);
	if (task->cleanup)
		(task->cleanup)(task); /* in parentheses: cleanup() is a macro too */
	if (task->future.waiter)
		task->is_retrieved = true;
	future_complete(&task->future, result);
	task->is_ending = false;
	if (!task->is_held)
		task_destroy(task);
}

static void task_run(struct task *task, int result)
{
	int r;

	task->is_running = true;
	r = task->step(task, result);
	task->is_running = false;
	if (task->is_cancelled)
		task_end(task, -ECANCELED);
	else if (r != TASK_WAITS)
		task_end(task, r);
	else
		assert(task->waiter.future || task->call.next ||
		       reactor_timer_is_set(&task->timer));
}

static void task_called(struct reactor_call *call)
{
	struct task *task = container_of(call, struct task, call);

	task->is_running = true; /* the cleanup of what is abandoned may cancel or release us */
	waiter_abandon(&task->waiter); /* timed out: nobody awaits it now */
	task->is_running = false;
	if (task->is_cancelled)
		task_end(task, -ECANCELED);
	else
		task_run(task, task->result);
}

static void task_slept(struct reactor_timer *timer)
{
	struct task *task = container_of(timer, struct task, timer);

	if (!task->waiter.future) {
		task_run(task, 0);
		return;
	}
	task->result = -ETIMEDOUT;
	reactor_defer(task->reactor, &task->call);
}

static void task_awaited(struct future_waiter *waiter, int result)
{
	struct task *task = container_of(waiter, struct task, waiter);

	reactor_stop_timer(&task->timer);
	task->result = result;
	reactor_defer(task->reactor, &task->call);
}

static void task_init(struct task *task, struct reactor *reactor)
{
	future_init(&task->future, reactor, task_abandoned);
	task->reactor = reactor;
	task->waiter.done = task_awaited;
	task->timer.fire = task_slept;
	task->call.run = task_called;
}

int task_spawn(struct task **ret, struct reactor *reactor, task_step first, void *data,
	       void (*cleanup)(struct task *task))
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task)
		return -ENOMEM;
	task_init(task, reactor);
	task->step = first;
	task->data = data;
	task->cleanup = cleanup;
	reactor_defer(reactor, &task->call);
	if (ret) {
		task->is_held = true;
		*ret = task;
	}
	return 0;
}

struct task *task_release(struct task *task)
{
	if (!task)
		return NULL;
	assert(task->is_held);
	task->is_held = false;
	if (!task->future.done || task->is_ending)
		return NULL;
	/* an error that nobody saw is a bug, as in asyncio: await the task, or ask for it */
	assert(task->is_retrieved || task->future.result >= 0 || task->future.result == -ECANCELED);
	task_destroy(task);
	return NULL;
}

void *task_data(const struct task *task)
{
	return task->data;
}

struct reactor *task_reactor(const struct task *task)
{
	return task->reactor;
}

struct future *task_future(struct task *task)
{
	return &task->future;
}

int task_result(struct task *task)
{
	if (task->future.done)
		task->is_retrieved = true;
	return future_result(&task->future);
}

int task_sleep_until(struct task *task, int64_t due_us, task_step next)
{
	int r;

	assert(!task->waiter.future && !task->call.next);
	r = reactor_set_timer(task->reactor, &task->timer, due_us);
	if (r < 0)
		return r;
	task->step = next;
	return TASK_WAITS;
}

/* "for ever" is a duration too: the sum stops at the end of time */
static int64_t due_after(const struct task *task, int64_t duration_us)
{
	int64_t due_us;

	if (__builtin_add_overflow(reactor_now(task->reactor), duration_us, &due_us))
		return duration_us < 0 ? INT64_MIN : INT64_MAX;
	return due_us;
}

int task_sleep(struct task *task, int64_t duration_us, task_step next)
{
	if (duration_us < 0)
		return -EINVAL;
	return task_sleep_until(task, due_after(task, duration_us), next);
}

int task_await(struct task *task, struct future *future, task_step next)
{
	assert(!task->waiter.future && !task->call.next);
	if (future == &task->future)
		return -EDEADLK;
	if (future->cancelled == task_abandoned)
		container_of(future, struct task, future)->is_retrieved = true;
	task->step = next;
	if (future->done)
		task_awaited(&task->waiter, future->result);
	else
		waiter_add(future, &task->waiter);
	return TASK_WAITS;
}

int task_await_for(struct task *task, struct future *future, int64_t timeout_us, task_step next)
{
	int r = task_await(task, future, next);

	if (r != TASK_WAITS || future->done)
		return r;
	r = reactor_set_timer(task->reactor, &task->timer, due_after(task, timeout_us));
	if (r < 0) {
		waiter_remove(&task->waiter);
		return r;
	}
	return TASK_WAITS;
}

void task_cancel(struct task *task)
{
	if (task->future.done || task->is_ending)
		return;
	task->is_cancelled = true;
	if (task->is_running)
		return; /* it ends when its step returns */
	if (task->abandon && !task->abandon(task))
		return; /* one of the gathered is on the stack: it ends with that one */
	task_end(task, -ECANCELED);
}

/* --- gather --------------------------------------------------------------------------------- */

struct gathered {
	struct future_waiter waiter;
	struct gather *gather;
	struct task *task; /* NULL once it is done */
};

struct gather {
	struct task task;
	struct gathered *items;
	size_t count, left;
};

static void gather_cleanup(struct task *task)
{
	struct gather *gather = container_of(task, struct gather, task);

	free(gather->items);
	gather->items = NULL;
	gather->count = 0;
}

static bool gather_cancel_rest(struct task *task)
{
	struct gather *gather = container_of(task, struct gather, task);

	if (task->result >= 0)
		task->result = -ECANCELED;
	for (size_t i = 0; i < gather->count; i++) /* whose cleanup may cancel us is still left */
		if (gather->items[i].task)
			task_cancel(gather->items[i].task);
	return gather->left == 0;
}

/* the last step, deferred when nothing is left to gather */
static int gather_ended(struct task *task, int result)
{
	(void)task;
	return result;
}

static void gather_one(struct gather *gather, int result)
{
	gather->left--;
	if (result < 0 && gather->task.result >= 0) {
		gather->task.result = result;
		(void)gather_cancel_rest(&gather->task);
	}
	if (gather->left == 0)
		reactor_defer(gather->task.reactor, &gather->task.call);
}

static void gather_awaited(struct future_waiter *waiter, int result)
{
	struct gathered *item = container_of(waiter, struct gathered, waiter);

	item->task = NULL;
	gather_one(item->gather, result);
}

static int gather_first_error(struct task *const *tasks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (tasks[i]->future.done && tasks[i]->future.result < 0)
			return tasks[i]->future.result;
	return 0;
}

int task_gather(struct task **ret, struct reactor *reactor, struct task *const *tasks, size_t count)
{
	struct gather *gather = calloc(1, sizeof(*gather));

	if (!gather)
		return -ENOMEM;
	gather->items = calloc(count + 1, sizeof(*gather->items));
	if (!gather->items) {
		free(gather);
		return -ENOMEM;
	}
	task_init(&gather->task, reactor);
	gather->task.step = gather_ended;
	gather->task.cleanup = gather_cleanup;
	gather->task.abandon = gather_cancel_rest;
	gather->task.is_held = true;
	gather->task.result = gather_first_error(tasks, count);
	gather->count = count;
	for (size_t i = 0; i < count; i++) {
		struct gathered *item = &gather->items[i];

		tasks[i]->is_retrieved = true;
		if (tasks[i]->future.done)
			continue;
		*item = (struct gathered){ { .done = gather_awaited }, gather, tasks[i] };
		waiter_add(&tasks[i]->future, &item->waiter);
		gather->left++;
	}
	if (gather->left == 0)
		reactor_defer(reactor, &gather->task.call);
	else if (gather->task.result < 0)
		(void)gather_cancel_rest(&gather->task);
	*ret = &gather->task;
	return 0;
}
