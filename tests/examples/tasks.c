/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A task that starts two others, does something else, and then awaits them; tasks.py is the same
 * program for asyncio and prints the same lines. In which order, and why:
 *
 *	0 s  main starts A and B and falls asleep; they run in the next    A 3
 *	     turn, in the order in which they were started                 B 2
 *	1 s  three sleeps end. Main fell asleep a turn before the others:  Doing something else...
 *	     its time is the earliest or, where the clock stood still,     A 2
 *	     the same, and it was set first                                B 1
 *	2 s  A fell asleep before B                                        A 1
 *	                                                                   done! (of B)
 *	3 s  main has awaited A since 1 s; B is done long since            done! (of A)
 *
 * Two rules give this order: what falls due earlier runs earlier, and what falls due in the same
 * instant runs in the order in which it was scheduled. asyncio has the first; the second needs a
 * clock that never gives two sleeps the same end, which time.monotonic() is in practice.
 */
#include <stdlib.h>

#include "countdown.h"

struct program {
	struct countdown a, b;
	struct task *task_a, *task_b;
};

static int main_awaited_b(struct task *task, int result)
{
	(void)task;
	return result;
}

static int main_awaited_a(struct task *task, int result)
{
	struct program *program = task_data(task);

	if (result < 0)
		return result;
	return task_await(task, task_future(program->task_b), main_awaited_b);
}

static int main_slept(struct task *task, int result)
{
	struct program *program = task_data(task);

	if (result < 0)
		return result;
	puts("Doing something else...");
	return task_await(task, task_future(program->task_a), main_awaited_a);
}

static int main_started(struct task *task, int result)
{
	struct program *program = task_data(task);

	result =
		task_spawn(&program->task_a, task_reactor(task), countdown_step, &program->a, NULL);
	if (result < 0)
		return result;
	result =
		task_spawn(&program->task_b, task_reactor(task), countdown_step, &program->b, NULL);
	if (result < 0)
		return result;
	return task_sleep(task, USEC_PER_SEC, main_slept);
}

/* runs however the main task ends: by itself, by an error, cancelled */
static void main_ended(struct task *task)
{
	struct program *program = task_data(task);

	program->task_a = task_release(program->task_a);
	program->task_b = task_release(program->task_b);
}

int main(int argc, char **argv)
{
	cleanup(reactor_freep) struct reactor *reactor = NULL;
	cleanup(task_releasep) struct task *task = NULL;
	struct program program = { .a = { "A", 3 }, .b = { "B", 2 } };
	int r;

	r = example_reactor(&reactor, argc, argv);
	if (r >= 0)
		r = task_spawn(&task, reactor, main_started, &program, main_ended);
	if (r >= 0)
		r = reactor_run(reactor, task);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
