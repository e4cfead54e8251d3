/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tasks: each row of the table in iotd/task.h, on the virtual clock. Futures and gather have files of
 * their own. calloc() and reallocarray() are replaced, so that they can run out of memory.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "fixture.h"
#include "no-memory.h"
#include "script.h"
#include "test-task.h"

#include "iotd/base.h"

static void setup_tasks(void)
{
	setup();
	allocations_left = -1;
}

/* --- spawn, sleep --------------------------------------------------------------------------- */

START_TEST(tasks_take_turns_in_the_order_of_spawning)
{
	struct script a = { .letter = 'a' }, b = { .letter = 'b' }, c = { .letter = 'c' };

	spawn(&a);
	spawn(&b);
	spawn(&c);
	ck_assert_str_eq(trace, ""); /* nothing runs inside task_spawn() */
	ck_assert_int_eq(task_result(a.task), -EINPROGRESS);
	run_all();
	ck_assert_str_eq(trace, "aAbBcC");
	ck_assert_int_eq(task_result(a.task), 0);
	release(&a);
	release(&b);
	release(&c);
}
END_TEST

START_TEST(sleepers_wake_in_the_order_of_due_time_then_of_falling_asleep)
{
	struct script a = { .letter = 'a', .sleep_us = 30 }, b = { .letter = 'b', .sleep_us = 10 },
		      c = { .letter = 'c', .sleep_us = 30 };

	spawn(&a);
	spawn(&b);
	spawn(&c);
	run_all();
	ck_assert_str_eq(trace, "bBaAcC");
	ck_assert_int_eq(b.at_us, 10);
	ck_assert_int_eq(c.at_us, 30);
	release(&a);
	release(&b);
	release(&c);
}
END_TEST

START_TEST(million_ticks_do_not_drift)
{
	struct ticker ticker = { .interval_us = 1337, .ticks = 1000000 };
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, step_tick, &ticker, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	ck_assert_int_eq(reactor_now(reactor), 1337000000);
	task_release(task);
}
END_TEST

static int step_sleep_badly(struct task *task, int result)
{
	(void)result;
	return task_sleep(task, -1, step_last);
}

START_TEST(negative_sleep_is_refused)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, step_sleep_badly, NULL, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), -EINVAL);
	task_release(task);
}
END_TEST

START_TEST(sleep_for_ever_does_not_overflow)
{
	struct script a = { .letter = 'a', .sleep_us = INT64_MAX };

	teardown();
	ck_assert_int_eq(reactor_new_virtual(&reactor, 1000), 0);
	spawn(&a);
	run_all();
	ck_assert_str_eq(trace, "");
	task_cancel(a.task);
	release(&a);
}
END_TEST

START_TEST(detached_task_runs_on)
{
	struct script a = { .letter = 'a', .sleep_us = 10 }, b = { .letter = 'b', .sleep_us = 20 };

	spawn(&a);
	a.task = task_release(a.task);
	ck_assert_int_eq(task_spawn(NULL, reactor, step_first, &b, script_ended), 0);
	run_all();
	ck_assert_str_eq(trace, "aAbB");
	ck_assert_ptr_null(task_release(NULL));
}
END_TEST

static void act_release_itself(struct script *script)
{
	script->task = task_release(script->task);
}

START_TEST(task_may_release_itself)
{
	struct script a = { .letter = 'a', .act = act_release_itself },
		      b = { .letter = 'b', .clean = act_release_itself };

	spawn(&a);
	spawn(&b);
	run_all();
	ck_assert_str_eq(trace, "aAbB");
	ck_assert_ptr_null(a.task);
	ck_assert_ptr_null(b.task);
}
END_TEST

/* a source of its own that a task waits for and frees in its step */
struct source {
	struct reactor_io io;
	struct reactor_timer timer;
	struct future future;
	int fd;
};

static void source_ready(struct reactor_io *io, uint32_t events)
{
	(void)events;
	future_resolve(&container_of(io, struct source, io)->future, 5);
}

static void source_timed(struct reactor_timer *timer)
{
	ck_assert_msg(timer == NULL, "the source was freed");
}

static int step_free_source(struct task *task, int result)
{
	struct source *source = task_data(task);

	reactor_remove_io(&source->io);
	reactor_stop_timer(&source->timer);
	closep(&source->fd);
	free(source);
	return result;
}

static int step_await_source(struct task *task, int result)
{
	struct source *source = task_data(task);

	(void)result;
	return task_await(task, &source->future, step_free_source);
}

START_TEST(task_may_free_its_own_source)
{
	struct source *source = calloc(1, sizeof(*source));
	struct task *task;

	ck_assert_ptr_nonnull(source);
	source->io.ready = source_ready;
	source->timer.fire = source_timed;
	source->fd = eventfd(1, EFD_CLOEXEC);
	future_init(&source->future, reactor, NULL);
	ck_assert_int_eq(reactor_add_io(reactor, &source->io, source->fd, EPOLLIN), 0);
	ck_assert_int_eq(reactor_set_timer(reactor, &source->timer, 100), 0);
	ck_assert_int_eq(task_spawn(&task, reactor, step_await_source, source, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 5);
	task_release(task);
	run_all();
}
END_TEST

/* --- errors --------------------------------------------------------------------------------- */

static struct future never;

static int step_sleep_without_memory(struct task *task, int result)
{
	(void)result;
	allocations_left = 0;
	return task_data(task) ? task_await_for(task, &never, 10, step_last)
			       : task_sleep(task, 10, step_last);
}

START_TEST(out_of_memory_is_an_error_everywhere)
{
	struct task *task = NULL, *tasks[1];

	for (int i = 0; i < 2; i++) {
		allocations_left = i;
		ck_assert_int_eq(task_gather(&task, reactor, NULL, 0), -ENOMEM);
	}
	allocations_left = 0;
	ck_assert_int_eq(task_spawn(&task, reactor, step_first, NULL, NULL), -ENOMEM);
	ck_assert_ptr_null(task);
	future_init(&never, reactor, NULL);
	for (int i = 0; i < 2; i++) {
		allocations_left = -1;
		ck_assert_int_eq(task_spawn(&tasks[0], reactor, step_sleep_without_memory,
					    i ? &never : NULL, NULL),
				 0);
		ck_assert_int_eq(reactor_run(reactor, tasks[0]), -ENOMEM);
		task_release(tasks[0]);
	}
	ck_assert_int_eq(future_result(&never), -EINPROGRESS); /* not cancelled: never awaited */
	allocations_left = -1;
	run_all();
}
END_TEST

#ifndef NDEBUG
START_TEST(error_that_nobody_saw_aborts)
{
	struct script a = { .letter = 'a', .result = -EIO };

	(void)signal(SIGABRT, SIG_DFL);
	spawn(&a);
	run_all();
	task_release(a.task);
}
END_TEST
#endif

static void see_nothing(struct script *a)
{
	run_all();
	task_cancel(a->task);
}

static void see_result(struct script *a)
{
	run_all();
	ck_assert_int_eq(task_result(a->task), -EIO);
}

static void see_run(struct script *a)
{
	ck_assert_int_eq(reactor_run(reactor, a->task), -EIO);
}

static void see_await(struct script *a)
{
	struct script b = { .letter = 'b', .future = task_future(a->task) };

	spawn(&b);
	run_all();
	release(&b);
}

static void see_gather(struct script *a)
{
	struct task *all = gather(a, 1);

	ck_assert_int_eq(reactor_run(reactor, all), -EIO);
	task_release(all);
}

START_TEST(error_that_somebody_saw_does_not_abort)
{
	static void (*const see[])(struct script *) = { see_result, see_run, see_await, see_gather,
							see_nothing };
	struct script a = { .letter = 'a', .result = _i == 4 ? -ECANCELED : -EIO };

	spawn(&a);
	see[_i](&a);
	a.task = task_release(a.task);
}
END_TEST

static TCase *task_cases(void)
{
	TCase *cases = tcase_create("tasks");

	tcase_add_checked_fixture(cases, setup_tasks, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, tasks_take_turns_in_the_order_of_spawning);
	tcase_add_test(cases, sleepers_wake_in_the_order_of_due_time_then_of_falling_asleep);
	tcase_add_test(cases, million_ticks_do_not_drift);
	tcase_add_test(cases, negative_sleep_is_refused);
	tcase_add_test(cases, sleep_for_ever_does_not_overflow);
	tcase_add_test(cases, detached_task_runs_on);
	tcase_add_test(cases, task_may_release_itself);
	tcase_add_test(cases, task_may_free_its_own_source);
	tcase_add_loop_test(cases, error_that_somebody_saw_does_not_abort, 0, 5);
	if (allocator_is_ours())
		tcase_add_test(cases, out_of_memory_is_an_error_everywhere);
	return cases;
}

static TCase *abort_cases(void)
{
	TCase *cases = tcase_create("unseen errors");

	tcase_add_checked_fixture(cases, setup_tasks, teardown);
	tcase_set_timeout(cases, 60);
#ifndef NDEBUG
	if (tests_fork()) /* else it would end the whole program */
		tcase_add_test_raise_signal(cases, error_that_nobody_saw_aborts, SIGABRT);
#endif
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("task");

	suite_add_tcase(suite, task_cases());
	suite_add_tcase(suite, future_cases());
	suite_add_tcase(suite, gather_cases());
	suite_add_tcase(suite, abort_cases());
	return suite_run(suite);
}
