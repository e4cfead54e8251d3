/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scripts of tasks: see the header. They run on the virtual clock, which begins at 0. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "script.h"

#include "iotd/base.h"
#include "iotd/clock.h"

void setup(void)
{
	trace_clear();
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
}

void teardown(void)
{
	reactor = reactor_free(reactor);
}

int step_last(struct task *task, int result)
{
	struct script *script = task_data(task);

	note(script->letter);
	script->got = result;
	script->at_us = reactor_now(reactor);
	if (script->act)
		script->act(script);
	return result < 0 ? result : script->result;
}

int step_first(struct task *task, int result)
{
	const struct script *script = task_data(task);

	ck_assert_int_eq(result, 0);
	if (script->future && script->sleep_us)
		return task_await_for(task, script->future, script->sleep_us, step_last);
	if (script->future)
		return task_await(task, script->future, step_last);
	return task_sleep(task, script->sleep_us, step_last);
}

void script_ended(struct task *task)
{
	struct script *script = task_data(task);

	note((char)(script->letter - 'a' + 'A'));
	ck_assert_int_eq(task_result(task), -EINPROGRESS);
	if (script->clean)
		script->clean(script);
}

void spawn(struct script *script)
{
	script->got = 1;
	ck_assert_int_eq(task_spawn(&script->task, reactor, step_first, script, script_ended), 0);
	ck_assert_ptr_eq(task_reactor(script->task), reactor);
}

void release(struct script *script)
{
	(void)task_result(script->task);
	script->task = task_release(script->task);
	ck_assert_ptr_null(script->task);
}

void run_all(void)
{
	struct script day = { .letter = 'z', .sleep_us = 86400 * USEC_PER_SEC };

	spawn(&day);
	ck_assert_int_eq(reactor_run(reactor, day.task), 0);
	release(&day);
	ck_assert_str_eq(trace + trace_length - 2, "zZ");
	trace[trace_length -= 2] = '\0';
}

int step_tick(struct task *task, int result)
{
	struct ticker *ticker = task_data(task);

	(void)result;
	ck_assert_int_eq(reactor_now(reactor), ticker->due_us);
	if (ticker->ticks-- == 0)
		return 0;
	ticker->due_us += ticker->interval_us;
	return task_sleep_until(task, ticker->due_us, step_tick);
}

void act_cancel_other(struct script *script)
{
	task_cancel(script->other);
}

void act_drop_other(struct script *script)
{
	task_cancel(script->other);
	script->other = task_release(script->other);
}

struct task *gather(struct script *scripts, size_t count)
{
	struct task **tasks = calloc(count + 1, sizeof(struct task *)), *all;

	ck_assert_ptr_nonnull(tasks);
	for (size_t i = 0; i < count; i++)
		tasks[i] = scripts[i].task;
	ck_assert_int_eq(task_gather(&all, reactor, tasks, count), 0);
	free(tasks);
	return all;
}
