/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Futures, await, and the cancelling of what waits. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "script.h"
#include "test-task.h"

#include "iotd/base.h"

static int cancelled_count; /* of futures */

static void setup_futures(void)
{
	setup();
	cancelled_count = 0;
}

/* --- futures, await ------------------------------------------------------------------------- */

static void count_cancelled(struct future *future)
{
	ck_assert_int_eq(future_result(future), -ECANCELED);
	cancelled_count++;
}

START_TEST(future_keeps_its_first_result)
{
	struct future future;

	future_init(&future, reactor, count_cancelled);
	ck_assert_int_eq(future_result(&future), -EINPROGRESS);
	future_resolve(&future, 3);
	future_reject(&future, -EIO);
	future_resolve(&future, 4);
	ck_assert_int_eq(future_result(&future), 3);
	future_init(&future, reactor, count_cancelled);
	future_reject(&future, -EIO);
	future_resolve(&future, 4);
	ck_assert_int_eq(future_result(&future), -EIO);
	ck_assert_int_eq(cancelled_count, 0);
}
END_TEST

START_TEST(await_brings_the_result_to_all_in_order)
{
	static const int results[] = { 0, 42, -EIO };
	struct script a = { .letter = 'a', .result = results[_i], .sleep_us = 10 },
		      b = { .letter = 'b' }, c = { .letter = 'c' },
		      d = { .letter = 'd', .sleep_us = 20, .result = 9 }, e = { .letter = 'e' };

	spawn(&a);
	b.future = c.future = d.future = task_future(a.task);
	spawn(&b);
	spawn(&c);
	spawn(&d);
	run_all();
	ck_assert_str_eq(trace, "aAbBcCdD");
	ck_assert_int_eq(b.got, results[_i]);
	ck_assert_int_eq(c.got, results[_i]);
	ck_assert_int_eq(d.got, results[_i]);
	ck_assert_int_eq(d.at_us, 10);	/* its time-out did not fire */
	e.future = task_future(d.task); /* done already: goes on in the next turn */
	spawn(&e);
	ck_assert_int_eq(e.got, 1);
	run_all();
	ck_assert_int_eq(e.got, results[_i] < 0 ? results[_i] : 9);
	task_release(a.task); /* its error was seen */
	release(&b);
	release(&c);
	release(&d);
	release(&e);
}
END_TEST

static int step_await_itself(struct task *task, int result)
{
	(void)result;
	return task_await(task, task_future(task), step_last);
}

START_TEST(task_that_awaits_itself_is_refused)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, step_await_itself, NULL, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), -EDEADLK);
	task_release(task);
}
END_TEST

START_TEST(time_out_cancels_what_was_awaited)
{
	struct script a = { .letter = 'a', .sleep_us = 100 }, b = { .letter = 'b', .sleep_us = 10 };

	spawn(&a);
	b.future = task_future(a.task);
	spawn(&b);
	run_all();
	ck_assert_str_eq(trace, "AbB"); /* a is cleaned up before b goes on */
	ck_assert_int_eq(b.got, -ETIMEDOUT);
	ck_assert_int_eq(b.at_us, 10);
	ck_assert_int_eq(task_result(a.task), -ECANCELED);
	release(&a);
	release(&b);
}
END_TEST

START_TEST(time_out_spares_what_another_awaits)
{
	struct script a = { .letter = 'a', .sleep_us = 100, .result = 7 },
		      b = { .letter = 'b', .sleep_us = 10 }, c = { .letter = 'c' };

	spawn(&a);
	b.future = c.future = task_future(a.task);
	spawn(&b);
	spawn(&c);
	run_all();
	ck_assert_str_eq(trace, "bBaAcC");
	ck_assert_int_eq(b.got, -ETIMEDOUT);
	ck_assert_int_eq(c.got, 7);
	release(&a);
	release(&b);
	release(&c);
}
END_TEST

START_TEST(time_out_of_a_future_calls_cancelled_once)
{
	struct future future;
	struct script a = { .letter = 'a', .sleep_us = 10, .future = &future },
		      b = { .letter = 'b', .sleep_us = 20, .future = &future };

	future_init(&future, reactor, count_cancelled);
	spawn(&a);
	spawn(&b);
	run_all();
	ck_assert_int_eq(a.got, -ETIMEDOUT);
	ck_assert_int_eq(b.got, -ETIMEDOUT);
	ck_assert_int_eq(cancelled_count, 1);
	ck_assert_int_eq(future_result(&future), -ECANCELED);
	future_resolve(&future, 1); /* too late: nothing */
	release(&a);
	release(&b);
}
END_TEST

/* the script's result goes to the future of its time-out race */
static struct future race;

static void act_resolve_race(struct script *script)
{
	future_resolve(&race, script->result);
}

START_TEST(result_of_the_same_turn_wins_over_the_time_out)
{
	struct script a = { .letter = 'a', .sleep_us = 10, .result = 7, .act = act_resolve_race },
		      b = { .letter = 'b', .sleep_us = 10, .future = &race };

	future_init(&race, reactor, count_cancelled);
	if (_i == 0) {
		spawn(&a);
		spawn(&b);
	} else { /* the time-out fires first */
		spawn(&b);
		spawn(&a);
	}
	run_all();
	ck_assert_str_eq(trace, "aAbB");
	ck_assert_int_eq(b.got, 7);
	ck_assert_int_eq(b.at_us, 10);
	ck_assert_int_eq(cancelled_count, 0);
	release(&a);
	release(&b);
}
END_TEST

START_TEST(result_one_turn_late_loses_against_the_time_out)
{
	struct script a = { .letter = 'a', .sleep_us = 11, .result = 7, .act = act_resolve_race },
		      b = { .letter = 'b', .sleep_us = 10, .future = &race };

	future_init(&race, reactor, count_cancelled);
	spawn(&a);
	spawn(&b);
	run_all();
	ck_assert_str_eq(trace, "bBaA");
	ck_assert_int_eq(b.got, -ETIMEDOUT);
	ck_assert_int_eq(cancelled_count, 1);
	release(&a);
	release(&b);
}
END_TEST

START_TEST(time_outs_of_zero_less_and_for_ever)
{
	struct script past = { .letter = 'a', .sleep_us = -5, .future = &race },
		      least = { .letter = 'b', .sleep_us = INT64_MIN, .future = &race },
		      ever = { .letter = 'c', .sleep_us = INT64_MAX, .future = &race },
		      end = { .letter = 'd', .sleep_us = 10, .act = act_resolve_race };

	future_init(&race, reactor, NULL);
	spawn(&past);
	spawn(&least);
	spawn(&ever);
	spawn(&end);
	run_all();
	ck_assert_int_eq(past.got, -ETIMEDOUT);
	ck_assert_int_eq(past.at_us, 0);
	ck_assert_int_eq(least.got, -ETIMEDOUT);
	ck_assert_int_eq(ever.got, 0);
	ck_assert_int_eq(ever.at_us, 10);
	release(&past);
	release(&least);
	release(&ever);
	release(&end);
}
END_TEST

/* a times out, b is cancelled for it, and b's cleanup turns against a */
START_TEST(abandoned_task_may_cancel_and_release_who_abandoned_it)
{
	struct script b = { .letter = 'b',
			    .sleep_us = 100,
			    .clean = _i ? act_drop_other : act_cancel_other },
		      a = { .letter = 'a', .sleep_us = 10 };

	spawn(&b);
	a.future = task_future(b.task);
	spawn(&a);
	b.other = a.task;
	run_all();
	ck_assert_str_eq(trace, "BA");
	if (_i == 0) {
		ck_assert_int_eq(task_result(a.task), -ECANCELED);
		release(&a);
	}
	release(&b);
}
END_TEST

/* --- cancel --------------------------------------------------------------------------------- */

static void act_cancel_itself(struct script *script)
{
	task_cancel(script->task);
	task_cancel(script->task);
	ck_assert_int_eq(task_result(script->task), -EINPROGRESS); /* ends when the step does */
}

static struct future never;

/* each state that a task can be in when it is cancelled, at 10 us unless it does so itself */
static const struct cancel_case {
	struct script script;
	bool at_once; /* before its first step */
	const char *trace;
	int result;
	int cancelled; /* calls of the future's cancelled() */
} cancel_cases[] = {
	{ { .letter = 'a' }, true, "A", -ECANCELED, 0 },
	{ { .letter = 'a', .sleep_us = 100 }, false, "A", -ECANCELED, 0 },
	{ { .letter = 'a', .sleep_us = 10 }, false, "A", -ECANCELED, 0 }, /* due in the same turn */
	{ { .letter = 'a', .future = &never }, false, "A", -ECANCELED, 1 },
	{ { .letter = 'a', .future = &never, .sleep_us = 100 }, false, "A", -ECANCELED, 1 },
	{ { .letter = 'a', .future = &never, .sleep_us = 10 }, false, "A", -ECANCELED, 1 },
	{ { .letter = 'a', .future = &race }, false, "A", -ECANCELED, 0 }, /* deferred */
	{ { .letter = 'a', .sleep_us = 5, .act = act_cancel_itself }, false, "aA", -ECANCELED, 0 },
	{ { .letter = 'a', .sleep_us = 5, .clean = act_cancel_itself }, false, "aA", 0, 0 },
	{ { .letter = 'a', .sleep_us = 5, .result = 9 }, false, "aA", 9, 0 }, /* done already */
	{ { .letter = 'a', .sleep_us = 5, .result = -EIO }, false, "aA", -EIO, 0 },
};

static void act_resolve_and_cancel(struct script *script)
{
	future_resolve(&race, 0);
	task_cancel(script->other);
	task_cancel(script->other);
}

START_TEST(task_can_be_cancelled_in_every_state)
{
	const struct cancel_case *c = &cancel_cases[_i];
	struct script killer = { .letter = 'k', .sleep_us = 10, .act = act_resolve_and_cancel },
		      a = c->script, waiting = { .letter = 'w' };

	future_init(&never, reactor, count_cancelled);
	future_init(&race, reactor, count_cancelled);
	spawn(&killer); /* first: its timer fires before the task's of the same time */
	spawn(&a);
	killer.other = a.task;
	waiting.future = task_future(a.task);
	if (c->at_once)
		task_cancel(a.task);
	else
		spawn(&waiting);
	run_all();
	for (char *at = trace; *at;) /* leave a's part */
		if (strchr("kKwW", *at))
			memmove(at, at + 1, strlen(at));
		else
			at++;
	ck_assert_str_eq(trace, c->trace);
	ck_assert_int_eq(task_result(a.task), c->result);
	ck_assert_int_eq(cancelled_count, c->cancelled);
	if (waiting.task) {
		ck_assert_int_eq(waiting.got, c->result);
		release(&waiting);
	}
	task_cancel(a.task); /* done: nothing */
	release(&a);
	release(&killer);
}
END_TEST

START_TEST(cancel_goes_down_the_chain_and_spares_what_is_shared)
{
	struct script a = { .letter = 'a', .sleep_us = 100, .result = 3 }, b = { .letter = 'b' },
		      c = { .letter = 'c' }, other = { .letter = 'o' },
		      killer = { .letter = 'k', .sleep_us = 10, .act = act_cancel_other };

	spawn(&a);
	b.future = task_future(a.task);
	spawn(&b);
	c.future = task_future(b.task);
	spawn(&c);
	if (_i == 1) {
		other.future = task_future(a.task);
		spawn(&other);
	}
	killer.other = c.task;
	spawn(&killer);
	run_all();
	ck_assert_str_eq(trace, _i == 0 ? "kABCK" : "kBCKaAoO");
	ck_assert_int_eq(task_result(a.task), _i == 0 ? -ECANCELED : 3);
	ck_assert_int_eq(task_result(b.task), -ECANCELED);
	ck_assert_int_eq(task_result(c.task), -ECANCELED);
	if (_i == 1)
		release(&other);
	release(&a);
	release(&b);
	release(&c);
	release(&killer);
}
END_TEST

START_TEST(awaited_task_may_cancel_who_awaits_it)
{
	struct script a = { .letter = 'a', .sleep_us = 10, .act = act_cancel_other },
		      b = { .letter = 'b' };

	spawn(&a);
	b.future = task_future(a.task);
	spawn(&b);
	a.other = b.task;
	run_all();
	ck_assert_str_eq(trace, "aBA"); /* a is cancelled with b, when its step is through */
	ck_assert_int_eq(task_result(a.task), -ECANCELED);
	release(&a);
	release(&b);
}
END_TEST

TCase *future_cases(void)
{
	TCase *cases = tcase_create("futures");

	tcase_add_checked_fixture(cases, setup_futures, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, future_keeps_its_first_result);
	tcase_add_loop_test(cases, await_brings_the_result_to_all_in_order, 0, 3);
	tcase_add_test(cases, task_that_awaits_itself_is_refused);
	tcase_add_test(cases, time_out_cancels_what_was_awaited);
	tcase_add_test(cases, time_out_spares_what_another_awaits);
	tcase_add_test(cases, time_out_of_a_future_calls_cancelled_once);
	tcase_add_loop_test(cases, result_of_the_same_turn_wins_over_the_time_out, 0, 2);
	tcase_add_test(cases, result_one_turn_late_loses_against_the_time_out);
	tcase_add_test(cases, time_outs_of_zero_less_and_for_ever);
	tcase_add_loop_test(cases, abandoned_task_may_cancel_and_release_who_abandoned_it, 0, 2);
	tcase_add_loop_test(cases, task_can_be_cancelled_in_every_state, 0,
			    ARRAY_SIZE(cancel_cases));
	tcase_add_loop_test(cases, cancel_goes_down_the_chain_and_spares_what_is_shared, 0, 2);
	tcase_add_test(cases, awaited_task_may_cancel_who_awaits_it);
	return cases;
}
