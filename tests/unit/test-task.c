/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tasks and futures: each row of the table in iotd/task.h, on the virtual clock.
 *
 * A script is the data of a task: what it awaits or how long it sleeps, and how it ends. Steps and
 * cleanups leave a trace: a small letter for a step, the capital for the cleanup. calloc() and
 * reallocarray() are replaced, so that they can run out of memory.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "fixture.h"

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/task.h"

static struct reactor *reactor;
static char trace[256];
static size_t trace_length;
static int cancelled_count;		   /* of futures */
static volatile int allocations_left = -1; /* -1: no end */

/* volatile: else gcc makes calloc() out of realloc() and memset(), and that would be ours */
static void *(*volatile system_realloc)(void *, size_t) = realloc;

static void *allocate(void *memory, size_t count, size_t size)
{
	if (allocations_left == 0) {
		errno = ENOMEM;
		return NULL;
	}
	if (allocations_left > 0)
		allocations_left--;
	return system_realloc(memory, count * size);
}

void *reallocarray(void *memory, size_t count, size_t size)
{
	return allocate(memory, count, size);
}

void *calloc(size_t count, size_t size)
{
	void *memory = allocate(NULL, count, size);

	return memory ? memset(memory, 0, count * size) : NULL;
}

/* valgrind has an allocator of its own */
static bool allocator_is_ours(void)
{
	void *volatile memory; /* else the compiler knows that a calloc() so small succeeds */

	allocations_left = 0;
	memory = calloc(1, 1);
	allocations_left = -1;
	if (!memory)
		return true;
	free(memory);
	return false;
}

/* --- tools ---------------------------------------------------------------------------------- */

static void note(char letter)
{
	ck_assert_uint_lt(trace_length, sizeof(trace) - 1);
	trace[trace_length++] = letter;
}

static void setup(void)
{
	memset(trace, 0, sizeof(trace)); /* all tests may share one process (CK_FORK=no) */
	trace_length = 0;
	cancelled_count = 0;
	allocations_left = -1;
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
}

static void teardown(void)
{
	reactor = reactor_free(reactor);
}

struct script {
	char letter;
	struct future *future; /* what it awaits, if any */
	int64_t sleep_us;      /* else how long it sleeps; with @future: the time-out, 0 none */
	int result;	       /* what it ends with, unless what it awaited failed */
	void (*act)(struct script *script);   /* in its last step */
	void (*clean)(struct script *script); /* in its cleanup */
	struct task *task, *other;
	int got;       /* what the last step was given */
	int64_t at_us; /* when it ended */
};

static int step_last(struct task *task, int result)
{
	struct script *script = task_data(task);

	note(script->letter);
	script->got = result;
	script->at_us = reactor_now(reactor);
	if (script->act)
		script->act(script);
	return result < 0 ? result : script->result;
}

static int step_first(struct task *task, int result)
{
	const struct script *script = task_data(task);

	ck_assert_int_eq(result, 0);
	if (script->future && script->sleep_us)
		return task_await_for(task, script->future, script->sleep_us, step_last);
	if (script->future)
		return task_await(task, script->future, step_last);
	return task_sleep(task, script->sleep_us, step_last);
}

static void script_ended(struct task *task)
{
	struct script *script = task_data(task);

	note((char)(script->letter - 'a' + 'A'));
	ck_assert_int_eq(task_result(task), -EINPROGRESS);
	if (script->clean)
		script->clean(script);
}

static void spawn(struct script *script)
{
	script->got = 1;
	ck_assert_int_eq(task_spawn(&script->task, reactor, step_first, script, script_ended), 0);
	ck_assert_ptr_eq(task_reactor(script->task), reactor);
}

static void release(struct script *script)
{
	(void)task_result(script->task);
	script->task = task_release(script->task);
	ck_assert_ptr_null(script->task);
}

/* a day, or until nothing is left */
static void run_all(void)
{
	struct script day = { .letter = 'z', .sleep_us = 86400 * USEC_PER_SEC };

	spawn(&day);
	ck_assert_int_eq(reactor_run(reactor, day.task), 0);
	release(&day);
	ck_assert_str_eq(trace + trace_length - 2, "zZ");
	trace[trace_length -= 2] = '\0';
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

struct ticker {
	int64_t due_us, interval_us;
	int ticks;
};

static int step_tick(struct task *task, int result)
{
	struct ticker *ticker = task_data(task);

	(void)result;
	ck_assert_int_eq(reactor_now(reactor), ticker->due_us);
	if (ticker->ticks-- == 0)
		return 0;
	ticker->due_us += ticker->interval_us;
	return task_sleep_until(task, ticker->due_us, step_tick);
}

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

static void act_cancel_other(struct script *script)
{
	task_cancel(script->other);
}

static void act_drop_other(struct script *script)
{
	task_cancel(script->other);
	script->other = task_release(script->other);
}

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

/* --- gather --------------------------------------------------------------------------------- */

static struct task *gather(struct script *scripts, size_t count)
{
	struct task **tasks = calloc(count + 1, sizeof(struct task *)), *all;

	ck_assert_ptr_nonnull(tasks);
	for (size_t i = 0; i < count; i++)
		tasks[i] = scripts[i].task;
	ck_assert_int_eq(task_gather(&all, reactor, tasks, count), 0);
	free(tasks);
	return all;
}

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

/* --- errors --------------------------------------------------------------------------------- */

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

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, tasks_take_turns_in_the_order_of_spawning);
	tcase_add_test(cases, sleepers_wake_in_the_order_of_due_time_then_of_falling_asleep);
	tcase_add_test(cases, million_ticks_do_not_drift);
	tcase_add_test(cases, negative_sleep_is_refused);
	tcase_add_test(cases, sleep_for_ever_does_not_overflow);
	tcase_add_test(cases, detached_task_runs_on);
	tcase_add_test(cases, task_may_release_itself);
	tcase_add_test(cases, task_may_free_its_own_source);
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
	tcase_add_loop_test(cases, error_that_somebody_saw_does_not_abort, 0, 5);
	if (allocator_is_ours())
		tcase_add_test(cases, out_of_memory_is_an_error_everywhere);
	return cases;
}

static TCase *gather_cases(void)
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

static TCase *abort_cases(void)
{
	TCase *cases = tcase_create("unseen errors");

	tcase_add_checked_fixture(cases, setup, teardown);
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
	suite_add_tcase(suite, gather_cases());
	suite_add_tcase(suite, abort_cases());
	return suite_run(suite);
}
