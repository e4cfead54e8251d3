/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Tasks and futures: asyncio's, with callbacks for coroutines. A task is a chain of steps; a step
 * runs on the reactor, never waits, and either returns what it awaits or ends the task:
 *
 *	static int count(struct task *task, int result)
 *	{
 *		struct countdown *c = task_data(task);
 *
 *		if (result < 0 || c->left == 0)
 *			return result;
 *		printf("%d\n", c->left--);
 *		return task_sleep(task, USEC_PER_SEC, count);
 *	}
 *
 * | asyncio                    | here                                                           |
 * | create_task(f())           | task_spawn(&task, reactor, f, data, cleanup)                   |
 * | await asyncio.sleep(1)     | return task_sleep(task, USEC_PER_SEC, next)                    |
 * | await other                | return task_await(task, task_future(other), next)              |
 * | await wait_for(other, t)   | return task_await_for(task, task_future(other), t_us, next)    |
 * | await gather(a, b)         | task_gather(&all, reactor, tasks, 2), then await its future    |
 * | task.cancel()              | task_cancel(task)                                              |
 * | future.set_result(r)       | future_resolve(future, r), future_reject(future, -EIO)         |
 *
 * A result is an int: 0 or more for success, a negative errno for an error. What a task brings back
 * besides lies in its data. All of this belongs to the reactor's thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/reactor.h"

struct future_waiter;

/* what a step returns that awaits something; no errno and no result has this value */
#define TASK_WAITS INT32_MIN

/**
 * task_step - one step of a task
 * @result: of what was awaited (0 for the first step and after a sleep), or its error:
 *          -ETIMEDOUT after task_await_for(), -ECANCELED if the awaited one was cancelled
 *
 * Return: what task_sleep(), task_await() and so on return, or the task's result, which ends it.
 */
typedef int (*task_step)(struct task *task, int result);

/**
 * struct future - a result that is not there yet; embed it, or look at a task's
 * @cancelled: if set, called once when a task that awaited it is cancelled or timed out, and nobody
 *             else awaits it; the future is done with -ECANCELED by then
 */
struct future {
	void (*cancelled)(struct future *future);
	struct reactor *reactor;      /* private from here on */
	struct future_waiter *waiter; /* who awaits it, in order; a ring */
	int result;
	bool done;
};

/** future_init() - a future that is not done; @cancelled may be NULL */
void future_init(struct future *future, struct reactor *reactor,
		 void (*cancelled)(struct future *future));

/**
 * future_resolve() - done with @result >= 0; who awaits it goes on in the next turn. Done already:
 * nothing
 */
void future_resolve(struct future *future, int result);

/** future_reject() - done with the negative errno @error. Done already: nothing */
void future_reject(struct future *future, int error);

/** future_result() - the result; -EINPROGRESS while there is none */
int future_result(const struct future *future);

/**
 * task_spawn() - a task whose first step runs in the next turn: create_task()
 * @ret:     handle, to be given up with task_release(); NULL to detach the task at once
 * @first:   the first step, called with result 0
 * @data:    task_data() of the task; stays the caller's
 * @cleanup: called once when the task ends in whatever way, before who awaits it goes on; may be
 *           NULL
 *
 * Return: 0; -ENOMEM.
 */
int task_spawn(struct task **ret, struct reactor *reactor, task_step first, void *data,
	       void (*cleanup)(struct task *task));

/**
 * task_release() - give up the handle of task_spawn(); NULL is fine. Returns NULL
 *
 * A task that still runs is detached and runs on. A task that ended with an error that nobody
 * awaited or asked for by task_result() is a bug ("task exception was never retrieved"): a build
 * without NDEBUG aborts.
 */
struct task *task_release(struct task *task);

/** task_data() - what task_spawn() got */
void *task_data(const struct task *task);

/** task_reactor() - the reactor that runs it */
struct reactor *task_reactor(const struct task *task);

/** task_future() - the future of its result; valid while the handle is held */
struct future *task_future(struct task *task);

/** task_result() - its result; -EINPROGRESS while it runs; -ECANCELED after task_cancel() */
int task_result(struct task *task);

/**
 * task_sleep() - go on with @next after @duration_us
 * Return: TASK_WAITS; -EINVAL negative duration; -ENOMEM.
 */
int task_sleep(struct task *task, int64_t duration_us, task_step next);

/**
 * task_sleep_until() - go on with @next at @due_us of reactor_now(): no drift, due times come from
 * the schedule. Return: as task_sleep()
 */
int task_sleep_until(struct task *task, int64_t due_us, task_step next);

/**
 * task_await() - go on with @next and the result of @future
 *
 * Goes on in the next turn if it is done already. Return: TASK_WAITS; -EDEADLK @future is the
 * task's own.
 */
int task_await(struct task *task, struct future *future, task_step next);

/**
 * task_await_for() - the same, for @timeout_us at most: wait_for()
 *
 * When the time is over, @future is cancelled (its task, if it is a task's) unless another task
 * awaits it as well, and @next gets -ETIMEDOUT. A result that is there in the same turn wins.
 * Return: as task_await(); -ENOMEM.
 */
int task_await_for(struct task *task, struct future *future, int64_t timeout_us, task_step next);

/**
 * task_gather() - a task that is done when all of @tasks are
 * @ret:   handle; its result is 0, or the first error, which cancels the others; released like any
 * @tasks: handles, copied; they stay the caller's; task_result() of each has its result, in order
 * @count: may be 0
 *
 * The gathering task ends only when every one of @tasks has ended. Cancelling it cancels them; if
 * one of them does so itself, the gathering task ends when that one has. Return: 0; -ENOMEM.
 */
int task_gather(struct task **ret, struct reactor *reactor, struct task *const *tasks,
		size_t count);

/**
 * task_cancel() - end it now with -ECANCELED
 *
 * What it awaits is cancelled too, unless another task awaits that as well; then its cleanup runs;
 * then who awaits it goes on with -ECANCELED in the next turn. A task may cancel itself: its step
 * still runs to its end. Done already: nothing.
 */
void task_cancel(struct task *task);

static inline void task_releasep(struct task **task)
{
	*task = task_release(*task);
}
