/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Timers of the reactor, on the virtual clock and on the kernel's, and the timer heap beside a naive
 * model. reallocarray() is replaced, so that it can run out of memory.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define KEEP_CALLOC
#include "no-memory.h"
#include "reactor-probe.h"
#include "test-reactor.h"

#include "iotd/base.h"
#include "iotd/task.h"
#include "reactor/timer-heap.h"

static int fired;
static int64_t last_us;

static void setup_timers(void)
{
	setup_virtual();
	fired = 0;
	last_us = 0;
	allocations_left = -1;
}

static void setup_real_timers(void)
{
	setup_real();
	fired = 0;
	last_us = 0;
}

/* --- timers --------------------------------------------------------------------------------- */

START_TEST(timers_fire_in_order_of_due_time_then_of_setting)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL),
		     c = probe_make('c', NULL), d = probe_make('d', NULL);

	set(&d, 30);
	set(&b, 20);
	set(&c, 20);
	set(&a, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "abcd");
	ck_assert_int_eq(a.at_us, 10);
	ck_assert_int_eq(b.at_us, 20);
	ck_assert_int_eq(c.at_us, 20);
	ck_assert_int_eq(reactor_now(reactor), 30);
}
END_TEST

START_TEST(timers_in_the_past_fire_in_the_next_turn)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	set(&a, 1000);
	run_until_idle();
	set(&c, 999);
	set(&b, -5);
	run_until_idle();
	ck_assert_str_eq(trace, "abc");
	ck_assert_int_eq(b.at_us, 1000); /* time never goes back */
	ck_assert_int_eq(c.at_us, 1000);
}
END_TEST

START_TEST(a_host_that_sleeps_can_be_simulated)
{
	struct probe probe = probe_make('a', NULL);

	ck_assert_int_eq(reactor_monotonic(reactor), 0);
	set(&probe, 5000);
	run_until_idle();
	ck_assert_int_eq(reactor_monotonic(reactor), 5000);
	reactor_set_slept(reactor, 3000);
	ck_assert_int_eq(reactor_monotonic(reactor), 2000);
	ck_assert_int_eq(reactor_now(reactor), 5000);
}
END_TEST

static void act_again_in_10(struct probe *probe)
{
	if (probe->count < 100)
		set(probe, probe->at_us + 10);
	trace_length = 0;
}

START_TEST(timer_set_in_its_own_callback_fires_again)
{
	struct probe a = probe_make('a', act_again_in_10);

	set(&a, 10);
	run_until_idle();
	ck_assert_int_eq(a.count, 100);
	ck_assert_int_eq(a.at_us, 1000);
}
END_TEST

static void act_at_once(struct probe *probe)
{
	if (probe->count < 50)
		set(probe, probe->at_us - 1);
	trace_length = 0;
}

START_TEST(timer_that_is_always_due_starves_nobody)
{
	struct probe storm = probe_make('s', act_at_once), call = probe_make('c', NULL),
		     io = probe_make('i', unwatch);

	set(&storm, 0);
	watch(&io);
	reactor_defer(reactor, &call.call);
	run_until_idle();
	ck_assert_int_eq(storm.count, 50);
	ck_assert_int_eq(io.count, 1);
	ck_assert_int_eq(call.count, 1);
}
END_TEST

static void act_stop_other_timer(struct probe *probe)
{
	reactor_stop_timer(&probe->other->timer);
	ck_assert(!reactor_timer_is_set(&probe->other->timer));
	free(probe->other);
}

START_TEST(timer_stopped_in_its_own_turn_does_not_fire_and_may_be_freed)
{
	struct probe a = probe_make('a', act_stop_other_timer), c = probe_make('c', NULL);
	struct probe *b = malloc(sizeof(*b));

	ck_assert_ptr_nonnull(b);
	*b = probe_make('b', NULL);
	a.other = b;
	set(&a, 10);
	set(b, 10);
	set(&c, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "ac");
}
END_TEST

START_TEST(timer_may_free_itself)
{
	struct probe *a = malloc(sizeof(*a));

	ck_assert_ptr_nonnull(a);
	*a = probe_make('a', act_free);
	set(a, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "a");
}
END_TEST

static void act_set_other_now(struct probe *probe)
{
	set(probe->other, probe->at_us);
}

START_TEST(timer_set_anew_in_its_own_turn_fires_in_a_later_one)
{
	struct probe a = probe_make('a', act_set_other_now), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	a.other = &b;
	set(&a, 10);
	set(&b, 10);
	set(&c, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "acb");
	ck_assert_int_eq(b.count, 1);
}
END_TEST

START_TEST(timer_moved_later_and_then_earlier_fires_once_at_the_last_time)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	set(&a, 10);
	set(&b, 12);
	set(&c, 17);
	set(&a, 20); /* lazy: its place in the heap is not moved */
	set(&a, 15); /* between the old place and the new time */
	run_until_idle();
	ck_assert_str_eq(trace, "bac");
	ck_assert_int_eq(a.at_us, 15);
}
END_TEST

START_TEST(timer_set_anew_to_the_same_time_goes_behind_its_equals)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL);

	set(&a, 10);
	set(&b, 10);
	set(&a, 10);
	run_until_idle();
	ck_assert_str_eq(trace, "ba");
}
END_TEST

START_TEST(stopping_a_stopped_timer_does_nothing)
{
	struct probe a = probe_make('a', NULL);

	reactor_stop_timer(&a.timer);
	set(&a, 10);
	reactor_stop_timer(&a.timer);
	reactor_stop_timer(&a.timer);
	run_until_idle();
	ck_assert_str_eq(trace, "");
}
END_TEST

/* xorshift64: the same sequence everywhere */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct reactor_timer *naive_first(struct reactor_timer *timers, size_t count)
{
	struct reactor_timer *first = NULL;

	for (size_t i = 0; i < count; i++)
		if (timers[i].slot != 0 &&
		    (!first || timers[i].due_us < first->due_us ||
		     (timers[i].due_us == first->due_us && timers[i].order < first->order)))
			first = &timers[i];
	return first;
}

START_TEST(heap_agrees_with_a_naive_model)
{
	enum {
		COUNT = 200,
		STEPS = 5000
	};
	struct reactor_timer timers[COUNT] = { 0 };
	struct timer_heap heap = { 0 };
	uint64_t seed = 0x9e3779b97f4a7c15 + (uint64_t)_i, order = 0;

	for (int step = 0; step < STEPS; step++) {
		struct reactor_timer *timer = &timers[random_next(&seed) % COUNT];
		bool remove = random_next(&seed) % 3 == 0;

		if (remove && random_next(&seed) % 2 == 0 && timer_heap_first(&heap)) {
			timer_heap_take_first(&heap);
		} else if (remove && timer->slot != 0) {
			timer_heap_remove(&heap, timer);
		} else if (!remove) {
			int64_t before_us = timer->due_us;

			timer->due_us = (int64_t)(random_next(&seed) % 50);
			timer->order = ++order;
			ck_assert_int_eq(timer_heap_reserve(&heap, timer_heap_load(&heap) + 1), 0);
			if (timer->slot == 0)
				timer_heap_insert(&heap, timer);
			else if (timer->due_us <= before_us)
				timer_heap_advance(&heap, timer);
		}
		if (random_next(&seed) % 2 == 0)
			ck_assert_ptr_eq(timer_heap_first(&heap), naive_first(timers, COUNT));
	}
	while (timer_heap_first(&heap)) {
		ck_assert_ptr_eq(timer_heap_first(&heap), naive_first(timers, COUNT));
		timer_heap_remove(&heap, timer_heap_first(&heap));
	}
	ck_assert_ptr_null(naive_first(timers, COUNT));
	timer_heap_clear(&heap);
}
END_TEST

START_TEST(stopped_timers_leave_no_memory_behind)
{
	struct reactor_timer timers[10] = { 0 };
	struct timer_heap heap = { 0 };

	for (uint64_t step = 1; step <= 100000; step++) {
		struct reactor_timer *timer = &timers[step % 10];

		timer->due_us = INT64_MAX - (int64_t)step;
		timer->order = step;
		ck_assert_int_eq(timer_heap_reserve(&heap, timer_heap_load(&heap) + 1), 0);
		timer_heap_insert(&heap, timer);
		if (step % 10 != 0)
			timer_heap_remove(&heap, timer);
		else
			timer_heap_advance(&heap, timer);
		if (step % 10 == 0)
			timer_heap_remove(&heap, timer);
	}
	ck_assert_uint_le(heap.size, 256);
	ck_assert_ptr_null(timer_heap_first(&heap));
	timer_heap_clear(&heap);
}
END_TEST

/* what is set already is never refused */
START_TEST(a_full_heap_still_sets_a_timer_earlier)
{
	struct reactor_timer timers[64] = { 0 };
	struct timer_heap heap = { 0 };

	ck_assert_int_eq(timer_heap_reserve(&heap, 64), 0);
	ck_assert_uint_eq(heap.size, 64);
	for (int i = 0; i < 64; i++) {
		timers[i].due_us = 1000 + i;
		timers[i].order = (uint64_t)i + 1;
		timer_heap_insert(&heap, &timers[i]);
	}
	for (int i = 0; i < 64; i++) {
		timers[i].due_us = 999 - i;
		timers[i].order = 65 + (uint64_t)i;
		timer_heap_advance(&heap, &timers[i]);
		ck_assert_ptr_eq(timer_heap_first(&heap), &timers[i]);
	}
	for (int i = 63; i >= 0; i--) {
		ck_assert_ptr_eq(timer_heap_first(&heap), &timers[i]);
		timer_heap_take_first(&heap);
	}
	ck_assert_ptr_null(timer_heap_first(&heap));
	timer_heap_clear(&heap);
}
END_TEST

static void count_in_order(struct reactor_timer *timer)
{
	ck_assert_int_ge(timer->due_us, last_us);
	ck_assert_int_eq(timer->due_us, reactor_now(reactor));
	last_us = timer->due_us;
	fired++;
}

START_TEST(hundred_thousand_timers_fire_in_order)
{
	enum {
		COUNT = 100000
	};
	struct reactor_timer *timers = calloc(COUNT, sizeof(*timers));
	uint64_t seed = 42;

	ck_assert_ptr_nonnull(timers);
	for (int i = 0; i < COUNT; i++) {
		timers[i].fire = count_in_order;
		ck_assert_int_eq(reactor_set_timer(reactor, &timers[i],
						   (int64_t)(random_next(&seed) % 5000)),
				 0);
	}
	for (int i = 0; i < COUNT; i += 4) {
		reactor_stop_timer(&timers[i]);
		ck_assert_int_eq(reactor_set_timer(reactor, &timers[i + 1], 6000 + i), 0);
	}
	run_until_idle();
	ck_assert_int_eq(fired, COUNT * 3 / 4);
	free(timers);
}
END_TEST

START_TEST(timer_without_memory_is_refused_and_the_others_live)
{
	struct probe probes[70];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		probes[i] = probe_make('x', NULL);
	for (size_t i = 0; i < 32; i++)
		set(&probes[i], 10);
	allocations_left = 0;
	for (size_t i = 32; i < 64; i++)
		set(&probes[i], 10); /* there is room for as many again */
	for (int attempt = 0; attempt < 3; attempt++) {
		r = reactor_set_timer(reactor, &probes[64].timer, 5);
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert(!reactor_timer_is_set(&probes[64].timer));
		allocations_left = 0;
	}
	ck_assert_int_eq(reactor_set_timer(reactor, &probes[0].timer, 20), 0); /* set already */
	allocations_left = -1;
	for (size_t i = 64; i < ARRAY_SIZE(probes); i++)
		set(&probes[i], 10);
	run_until_idle();
	ck_assert_uint_eq(trace_length, ARRAY_SIZE(probes));
}
END_TEST

static void act_again_without_memory(struct probe *probe)
{
	allocations_left = 0;
	if (probe->count == 1)
		set(probe, probe->at_us + 10);
	if (probe->other && reactor_timer_is_set(&probe->other->timer))
		set(probe->other, probe->at_us + 10);
}

START_TEST(timer_set_anew_in_its_turn_needs_no_memory)
{
	struct probe probes[64];

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = probe_make('x', act_again_without_memory);
		probes[i].other = &probes[ARRAY_SIZE(probes) - 1 - i];
		set(&probes[i], 10);
	}
	run_until_idle();
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		ck_assert_int_ge(probes[i].count, 1);
	allocations_left = -1;
}
END_TEST

/* --- the kernel's clock --------------------------------------------------------------------- */

static void act_check_not_early(struct probe *probe)
{
	ck_assert_int_ge(probe->at_us, probe->timer.due_us);
	ck_assert_int_ge(clock_boottime_us(), probe->timer.due_us);
	if (probe->letter == 'z')
		finish(0);
}

START_TEST(real_timers_never_fire_early_and_keep_their_order)
{
	struct probe probes[26];
	int64_t start_us = reactor_now(reactor);

	for (int i = 25; i >= 0; i--) { /* each earlier than what the timerfd is set to */
		probes[i] = probe_make((char)('a' + i), act_check_not_early);
		set(&probes[i], start_us + 500 + 700LL * i);
	}
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "abcdefghijklmnopqrstuvwxyz");
}
END_TEST

START_TEST(time_of_a_turn_stands_still_and_goes_on_outside_of_run)
{
	int64_t before_us = clock_boottime_us();

	ck_assert_int_ge(reactor_now(reactor), before_us);
	atomic_store(&slept_us, HOUR_US);
	ck_assert_int_ge(reactor_now(reactor), before_us + HOUR_US);
}
END_TEST

START_TEST(the_clock_of_edges_stands_still_while_the_host_sleeps)
{
	int64_t before_us = reactor_monotonic(reactor), slept_before_us = clock_slept_us();

	ck_assert_int_ge(clock_monotonic_us(), before_us);
	atomic_store(&slept_us, HOUR_US);
	ck_assert_int_ge(clock_slept_us(), slept_before_us + HOUR_US - USEC_PER_SEC);
	ck_assert_int_le(reactor_monotonic(reactor), clock_monotonic_us());
	ck_assert_int_ge(reactor_monotonic(reactor), before_us);
}
END_TEST

static void act_suspend(struct probe *probe)
{
	(void)probe;
	atomic_store(&slept_us, 8 * HOUR_US);
}

struct schedule {
	int64_t due_us, interval_us;
	int runs, missed;
};

/* what a sensor does: due times come from the schedule, what was slept through is counted */
static int step_read(struct task *task, int result)
{
	struct schedule *schedule = task_data(task);
	int64_t behind_us = reactor_now(task_reactor(task)) - schedule->due_us;

	(void)result;
	schedule->runs++;
	schedule->missed += (int)(behind_us / schedule->interval_us);
	schedule->due_us += (behind_us / schedule->interval_us + 1) * schedule->interval_us;
	return task_sleep_until(task, schedule->due_us, step_read);
}

static int64_t caught_up_us;

static void catch_up(struct reactor_timer *timer)
{
	ck_assert_int_ge(timer->due_us, last_us);
	last_us = timer->due_us;
	if (fired++ == 0)
		caught_up_us = reactor_now(reactor);
	ck_assert_int_eq(reactor_now(reactor), caught_up_us); /* all in one turn */
}

START_TEST(suspended_host_catches_up_once)
{
	enum {
		COUNT = 1000
	};
	struct reactor_timer *timers = calloc(COUNT, sizeof(*timers));
	struct probe suspend = probe_make('s', act_suspend), end = probe_make('e', act_finish);
	int64_t start_us = reactor_now(reactor);
	struct schedule schedule = { .due_us = start_us, .interval_us = 60 * USEC_PER_SEC };
	struct task *task;

	ck_assert_ptr_nonnull(timers);
	for (int i = 0; i < COUNT; i++) {
		timers[i].fire = catch_up;
		ck_assert_int_eq(reactor_set_timer(reactor, &timers[i],
						   start_us + (60 + COUNT - i) * USEC_PER_SEC),
				 0);
	}
	set(&suspend, start_us + 1000);
	set(&end, start_us + 8 * HOUR_US - 1000);
	ck_assert_int_eq(task_spawn(&task, reactor, step_read, &schedule, NULL), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(fired, COUNT);
	ck_assert_int_ge(caught_up_us, start_us + 8 * HOUR_US);
	ck_assert_int_eq(schedule.runs, 2); /* at the start and after the sleep, not 480 times */
	ck_assert_int_ge(schedule.missed, 8 * 60 - 2);
	ck_assert_int_gt(schedule.due_us, caught_up_us); /* and on its grid as before */
	ck_assert_int_eq((schedule.due_us - start_us) % schedule.interval_us, 0);
	task_cancel(task);
	task_release(task);
	free(timers);
}
END_TEST

TCase *timer_cases(void)
{
	TCase *cases = tcase_create("timers");

	tcase_add_checked_fixture(cases, setup_timers, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, timers_fire_in_order_of_due_time_then_of_setting);
	tcase_add_test(cases, timers_in_the_past_fire_in_the_next_turn);
	tcase_add_test(cases, a_host_that_sleeps_can_be_simulated);
	tcase_add_test(cases, timer_set_in_its_own_callback_fires_again);
	tcase_add_test(cases, timer_that_is_always_due_starves_nobody);
	tcase_add_test(cases, timer_stopped_in_its_own_turn_does_not_fire_and_may_be_freed);
	tcase_add_test(cases, timer_may_free_itself);
	tcase_add_test(cases, timer_set_anew_in_its_own_turn_fires_in_a_later_one);
	tcase_add_test(cases, timer_moved_later_and_then_earlier_fires_once_at_the_last_time);
	tcase_add_test(cases, timer_set_anew_to_the_same_time_goes_behind_its_equals);
	tcase_add_test(cases, stopping_a_stopped_timer_does_nothing);
	tcase_add_loop_test(cases, heap_agrees_with_a_naive_model, 0, 10);
	tcase_add_test(cases, stopped_timers_leave_no_memory_behind);
	tcase_add_test(cases, a_full_heap_still_sets_a_timer_earlier);
	tcase_add_test(cases, hundred_thousand_timers_fire_in_order);
	tcase_add_test(cases, timer_without_memory_is_refused_and_the_others_live);
	tcase_add_test(cases, timer_set_anew_in_its_turn_needs_no_memory);
	return cases;
}

TCase *real_timer_cases(void)
{
	TCase *cases = tcase_create("timers on the kernel's clock");

	tcase_add_checked_fixture(cases, setup_real_timers, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, real_timers_never_fire_early_and_keep_their_order);
	tcase_add_test(cases, time_of_a_turn_stands_still_and_goes_on_outside_of_run);
	tcase_add_test(cases, the_clock_of_edges_stands_still_while_the_host_sleeps);
	tcase_add_test(cases, suspended_host_catches_up_once);
	return cases;
}
