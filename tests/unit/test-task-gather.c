/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gather: many tasks as one. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "script.h"
#include "test-task.h"

/* --- gather --------------------------------------------------------------------------------- */

START_TEST(gather_of_nothing_and_of_what_is_done)
{
	struct script a[2] = { { .letter = 'a', .result = 3 },
			       { .letter = 'b', .result = _i ? -EIO : 4 } };
	struct task *all = gather(NULL, 0);

	ck_assert_int_eq(task_result(all), -EINPROGRESS); /* in the next turn */
	ck_assert_int_eq(reactor_run(reactor, all), 0);
	task_release(all);
	spawn(&a[0]);
	spawn(&a[1]);
	run_all();
	all = gather(a, 2);
	ck_assert_int_eq(reactor_run(reactor, all), _i ? -EIO : 0);
	ck_assert_int_eq(task_result(a[0].task), 3);
	task_release(all);
	release(&a[0]);
	release(&a[1]);
}
END_TEST

START_TEST(gather_of_ten_thousand_keeps_all_results_in_order)
{
	enum {
		COUNT = 10000
	};
	struct ticker *tickers = calloc(COUNT, sizeof(*tickers));
	struct task **tasks = calloc(COUNT, sizeof(struct task *)), *all;

	ck_assert(tickers && tasks);
	for (int i = 0; i < COUNT; i++) {
		tickers[i] =
			(struct ticker){ .interval_us = 1 + (i * 7919) % 1000, .ticks = i % 10 };
		ck_assert_int_eq(task_spawn(&tasks[i], reactor, step_tick, &tickers[i], NULL), 0);
	}
	ck_assert_int_eq(task_gather(&all, reactor, tasks, COUNT), 0);
	ck_assert_int_eq(reactor_run(reactor, all), 0);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(tickers[i].ticks, -1);
		ck_assert_int_eq(task_result(tasks[i]), 0);
		task_release(tasks[i]);
	}
	task_release(all);
	free(tickers);
	free(tasks);
}
END_TEST

START_TEST(gather_of_ten_thousand_ends_with_the_first_error)
{
	enum {
		COUNT = 10000
	};
	struct script *scripts = calloc(COUNT, sizeof(*scripts));
	struct task *all;
	int cancelled = 0;

	ck_assert_ptr_nonnull(scripts);
	for (int i = 0; i < COUNT; i++) {
		scripts[i] = (struct script){ .letter = 'a', .sleep_us = 100 };
		if (i == COUNT / 2)
			scripts[i] =
				(struct script){ .letter = 'a', .sleep_us = 10, .result = -EIO };
		ck_assert_int_eq(
			task_spawn(&scripts[i].task, reactor, step_first, &scripts[i], NULL), 0);
	}
	all = gather(scripts, COUNT);
	ck_assert_int_eq(reactor_run(reactor, all), -EIO);
	ck_assert_int_eq(reactor_now(reactor), 10);
	for (int i = 0; i < COUNT; i++) {
		cancelled += task_result(scripts[i].task) == -ECANCELED;
		release(&scripts[i]);
	}
	ck_assert_int_eq(cancelled, COUNT - 1);
	task_release(all);
	free(scripts);
}
END_TEST

START_TEST(gather_with_an_error_cancels_the_rest_before_it_goes_on)
{
	struct script a[3] = { { .letter = 'a', .sleep_us = 100 },
			       { .letter = 'b', .sleep_us = 10, .result = -EIO },
			       { .letter = 'c', .sleep_us = 10, .result = -EPERM } },
		      waiting = { .letter = 'w' };
	struct task *all;

	for (int i = 0; i < 3; i++)
		spawn(&a[i]);
	all = gather(a, 3);
	waiting.future = task_future(all);
	spawn(&waiting);
	run_all();
	ck_assert_str_eq(trace, "bBACwW");
	ck_assert_int_eq(waiting.got, -EIO);
	task_release(all);
	for (int i = 0; i < 3; i++)
		release(&a[i]);
	release(&waiting);
}
END_TEST

START_TEST(cancelled_gather_cancels_all_of_it)
{
	struct script a[2] = { { .letter = 'a', .sleep_us = 100 },
			       { .letter = 'b', .sleep_us = 100 } },
		      killer = { .letter = 'k', .sleep_us = 10, .act = act_cancel_other },
		      waiting = { .letter = 'w' };
	struct task *all;

	spawn(&a[0]);
	spawn(&a[1]);
	all = gather(a, 2);
	killer.other = all;
	spawn(&killer);
	if (_i == 1) { /* through a task that awaits it */
		waiting.future = task_future(all);
		spawn(&waiting);
		killer.other = waiting.task;
	}
	run_all();
	ck_assert_str_eq(trace, _i == 0 ? "kABK" : "kABWK");
	ck_assert_int_eq(task_result(all), -ECANCELED);
	task_release(all);
	release(&a[0]);
	release(&a[1]);
	release(&killer);
	if (_i == 1)
		release(&waiting);
}
END_TEST

/* the gather must not end, and be freed, while the one who cancels it is on the stack */
START_TEST(gathered_task_may_cancel_the_gather)
{
	struct script a[3] = { { .letter = 'a', .sleep_us = 100 },
			       { .letter = 'b', .sleep_us = 10 },
			       { .letter = 'c', .sleep_us = 100 } };
	struct task *all;

	switch (_i) {
	case 0: /* in its step */
		a[1].act = act_drop_other;
		break;
	case 1: /* in its cleanup, while it ends by itself */
		a[1].clean = act_drop_other;
		break;
	case 2: /* in its cleanup, while it is cancelled for another's error */
		a[1].result = -EIO;
		a[2].clean = act_drop_other;
		break;
	case 3: /* the first of those that are cancelled */
		a[1].result = -EIO;
		a[0].clean = act_drop_other;
		break;
	}
	for (int i = 0; i < 3; i++)
		spawn(&a[i]);
	all = gather(a, 3);
	for (int i = 0; i < 3; i++)
		a[i].other = all;
	run_all();
	ck_assert_str_eq(trace, _i == 1 ? "bBAC" : _i == 0 ? "bACB" : "bBAC");
	for (int i = 0; i < 3; i++)
		release(&a[i]);
}
END_TEST

START_TEST(gather_cancelled_by_one_of_it_ends_after_that_one)
{
	struct script a[2] = { { .letter = 'a',
				 .sleep_us = 10,
				 .act = act_cancel_other,
				 .result = 5 },
			       { .letter = 'b', .sleep_us = 100 } },
		      waiting = { .letter = 'w' };
	struct task *all;

	spawn(&a[0]);
	spawn(&a[1]);
	all = gather(a, 2);
	a[0].other = all;
	waiting.future = task_future(all);
	spawn(&waiting);
	run_all();
	ck_assert_str_eq(trace, "aBAwW");
	ck_assert_int_eq(waiting.got, -ECANCELED);
	ck_assert_int_eq(task_result(a[0].task), -ECANCELED);
	task_release(all);
	release(&a[0]);
	release(&a[1]);
	release(&waiting);
}
END_TEST

START_TEST(gathers_nest_and_share)
{
	struct script a = { .letter = 'a', .sleep_us = 10 }, b = { .letter = 'b', .sleep_us = 20 };
	struct task *pairs[2], *all;

	spawn(&a);
	spawn(&b);
	ck_assert_int_eq(task_gather(&pairs[0], reactor, (struct task *[]){ a.task, b.task }, 2),
			 0);
	ck_assert_int_eq(task_gather(&pairs[1], reactor, (struct task *[]){ b.task, b.task }, 2),
			 0);
	ck_assert_int_eq(task_gather(&all, reactor, pairs, 2), 0);
	a.task = task_release(a.task); /* a gathered task may be detached */
	ck_assert_int_eq(reactor_run(reactor, all), 0);
	ck_assert_int_eq(reactor_now(reactor), 20);
	ck_assert_str_eq(trace, "aAbB");
	task_release(all);
	task_release(pairs[0]);
	task_release(pairs[1]);
	release(&b);
}
END_TEST

TCase *gather_cases(void)
{
	TCase *cases = tcase_create("gather");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, gather_of_nothing_and_of_what_is_done, 0, 2);
	tcase_add_test(cases, gather_of_ten_thousand_keeps_all_results_in_order);
	tcase_add_test(cases, gather_of_ten_thousand_ends_with_the_first_error);
	tcase_add_test(cases, gather_with_an_error_cancels_the_rest_before_it_goes_on);
	tcase_add_loop_test(cases, cancelled_gather_cancels_all_of_it, 0, 2);
	tcase_add_loop_test(cases, gathered_task_may_cancel_the_gather, 0, 4);
	tcase_add_test(cases, gather_cancelled_by_one_of_it_ends_after_that_one);
	tcase_add_test(cases, gathers_nest_and_share);
	return cases;
}
