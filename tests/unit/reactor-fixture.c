/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One reactor a test; it is turned by a task that ends when the test wants to look again. */
#include <check.h>
#include <string.h>

#include "reactor-fixture.h"

#include "iotd/task.h"

struct reactor *reactor;
struct workers *workers;
char trace[256];
size_t trace_length;

void note(char letter)
{
	ck_assert_uint_lt(trace_length, sizeof(trace) - 1);
	trace[trace_length++] = letter;
}

void trace_clear(void)
{
	memset(trace, 0, sizeof(trace));
	trace_length = 0;
}

static int step_end(struct task *task, int result)
{
	(void)task;
	return result;
}

static int step_sleep(struct task *task, int result)
{
	const int64_t *duration_us = task_data(task);

	return result < 0 ? result : task_sleep(task, *duration_us, step_end);
}

static void run_step(task_step step, int64_t *data)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, step, data, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

void run_for(int64_t duration_us)
{
	run_step(step_sleep, &duration_us);
}

void run_turn(void)
{
	run_step(step_end, NULL);
}
