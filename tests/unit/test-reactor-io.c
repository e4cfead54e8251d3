/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls and descriptors: their turns, and what may be removed, freed or reused meanwhile. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "reactor-probe.h"
#include "test-reactor.h"

#include "iotd/base.h"

/* --- calls ---------------------------------------------------------------------------------- */

static void act_defer_other(struct probe *probe)
{
	reactor_defer(reactor, &probe->other->call);
}

START_TEST(calls_run_in_order_and_new_ones_in_a_later_turn)
{
	struct probe a = probe_make('a', act_defer_other), b = probe_make('b', NULL),
		     c = probe_make('c', NULL);

	a.other = &c;
	reactor_defer(reactor, &a.call);
	reactor_defer(reactor, &b.call);
	reactor_defer(reactor, &a.call); /* queued already: nothing */
	run_until_idle();
	ck_assert_str_eq(trace, "abc");
}
END_TEST

static void act_defer_itself(struct probe *probe)
{
	if (probe->count < 1000)
		reactor_defer(reactor, &probe->call);
	trace_length = 0;
}

START_TEST(call_that_defers_itself_starves_nobody)
{
	struct probe storm = probe_make('s', act_defer_itself),
		     timer = probe_make('t', act_note_calls), io = probe_make('i', act_note_calls);

	timer.other = io.other = &storm;
	reactor_defer(reactor, &storm.call);
	set(&timer, 0);
	watch(&io);
	run_until_idle();
	ck_assert_int_eq(storm.count, 1000);
	ck_assert_int_eq(io.count, 1);
	ck_assert_uint_le(io.events, 2); /* in the first turns, not after the storm */
	ck_assert_uint_le(timer.events, 2);
}
END_TEST

static void act_cancel_other_call(struct probe *probe)
{
	reactor_cancel_call(&probe->other->call);
	free(probe->other);
}

START_TEST(call_cancelled_in_its_own_turn_does_not_run_and_may_be_freed)
{
	struct probe a = probe_make('a', act_cancel_other_call), c = probe_make('c', NULL);
	struct probe *b = malloc(sizeof(*b));

	ck_assert_ptr_nonnull(b);
	*b = probe_make('b', NULL);
	a.other = b;
	reactor_defer(reactor, &a.call);
	reactor_defer(reactor, &b->call);
	reactor_defer(reactor, &c.call);
	run_until_idle();
	ck_assert_str_eq(trace, "ac");
	reactor_cancel_call(&c.call); /* not queued: nothing */
}
END_TEST

START_TEST(turn_runs_calls_then_descriptors_then_timers)
{
	struct probe call = probe_make('c', NULL), io = probe_make('i', unwatch),
		     timer = probe_make('t', NULL);

	set(&timer, 0);
	watch(&io);
	reactor_defer(reactor, &call.call);
	run_until_idle();
	ck_assert_str_eq(trace, "cit");
}
END_TEST

/* --- descriptors ---------------------------------------------------------------------------- */

static void act_read_third_time(struct probe *probe)
{
	eventfd_t value;

	ck_assert_uint_eq(probe->events, EPOLLIN);
	if (probe->count >= 3)
		ck_assert_int_eq(eventfd_read(probe->fd, &value), 0);
	if (probe->count == 4)
		finish(0);
}

static void act_write_other(struct probe *probe)
{
	ck_assert_int_eq(eventfd_write(probe->other->fd, 1), 0);
}

START_TEST(descriptor_is_called_while_it_is_ready)
{
	struct probe io = probe_make('i', act_read_third_time),
		     timer = probe_make('t', act_write_other);

	timer.other = &io;
	watch(&io);
	set(&timer, 100);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "iiiti");
	unwatch(&io);
}
END_TEST

static void act_unwatch_both(struct probe *probe)
{
	unwatch(probe->other);
	unwatch(probe);
}

START_TEST(descriptor_removed_in_its_own_batch_is_not_called)
{
	struct probe a = probe_make('x', act_unwatch_both), b = probe_make('x', act_unwatch_both);

	a.other = &b;
	b.other = &a;
	watch(&a);
	watch(&b);
	run_until_idle();
	ck_assert_str_eq(trace, "x");
	reactor_remove_io(&a.io); /* not watching: nothing */
}
END_TEST

static struct probe newcomer;

/* close the other's descriptor and open one of the same number that is not ready */
static void act_reuse_descriptor(struct probe *probe)
{
	int number = probe->other->fd, fd;

	unwatch(probe->other);
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_eq(fd, number);
	newcomer.fd = fd;
	ck_assert_int_eq(reactor_add_io(reactor, &newcomer.io, fd, EPOLLIN), 0);
	unwatch(probe);
}

static void act_unwatch_newcomer(struct probe *probe)
{
	(void)probe;
	unwatch(&newcomer);
}

START_TEST(stale_event_does_not_reach_the_new_owner_of_a_descriptor)
{
	struct probe a = probe_make('x', act_reuse_descriptor),
		     b = probe_make('x', act_reuse_descriptor),
		     timer = probe_make('t', act_unwatch_newcomer);

	newcomer = probe_make('n', NULL);
	a.other = &b;
	b.other = &a;
	watch(&a);
	watch(&b);
	set(&timer, 1000);
	run_until_idle();
	ck_assert_str_eq(trace, "xt");
}
END_TEST

static void act_free_other(struct probe *probe)
{
	unwatch(probe->other);
	free(probe->other);
	unwatch(probe);
	free(probe);
}

START_TEST(descriptor_may_free_itself_and_others)
{
	struct probe *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));

	ck_assert(a && b);
	*a = probe_make('x', act_free_other);
	*b = probe_make('x', act_free_other);
	a->other = b;
	b->other = a;
	watch(a);
	watch(b);
	run_until_idle();
	ck_assert_str_eq(trace, "x");
}
END_TEST

static void act_modify_other(struct probe *probe)
{
	ck_assert_int_eq(reactor_modify_io(&probe->other->io, 0), 0);
	unwatch(probe);
}

START_TEST(modified_descriptor_is_called_for_what_it_wants_now)
{
	struct probe a = probe_make('x', act_modify_other), b = probe_make('x', act_modify_other),
		     end = probe_make('e', act_finish);

	a.other = &b;
	b.other = &a;
	watch(&a);
	watch(&b);
	set(&end, 100);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "xe");
	unwatch(&a);
	unwatch(&b);
}
END_TEST

START_TEST(hang_up_comes_unasked)
{
	struct probe a = probe_make('a', unwatch);
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	a.fd = ends[0];
	ck_assert_int_eq(reactor_add_io(reactor, &a.io, ends[0], 0), 0);
	ck_assert_int_eq(close(ends[1]), 0);
	run_until_idle();
	ck_assert_str_eq(trace, "a");
	ck_assert_uint_eq(a.events, EPOLLHUP);
}
END_TEST

START_TEST(more_descriptors_than_a_batch_holds_are_all_served)
{
	struct probe probes[200];

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = probe_make('x', unwatch);
		watch(&probes[i]);
	}
	run_until_idle();
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		ck_assert_int_eq(probes[i].count, 1);
}
END_TEST

START_TEST(errors_of_descriptors)
{
	struct probe a = probe_make('a', NULL), b = probe_make('b', NULL);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(reactor_modify_io(&a.io, EPOLLIN), -ENOENT);
	watch(&a);
	ck_assert_int_eq(reactor_add_io(reactor, &a.io, a.fd, EPOLLIN), -EBUSY);
	ck_assert_int_eq(reactor_add_io(reactor, &b.io, a.fd, EPOLLIN), -EEXIST);
	ck_assert_int_eq(reactor_add_io(reactor, &b.io, file, EPOLLIN), -EPERM);
	ck_assert_int_eq(close(file), 0);
	ck_assert_int_eq(reactor_add_io(reactor, &b.io, file, EPOLLIN), -EBADF);
	ck_assert_int_eq(reactor_modify_io(&b.io, EPOLLIN), -ENOENT);
	unwatch(&a);
	run_until_idle();
	ck_assert_str_eq(trace, "");
}
END_TEST

TCase *call_cases(void)
{
	TCase *cases = tcase_create("calls");

	tcase_add_checked_fixture(cases, setup_virtual, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, calls_run_in_order_and_new_ones_in_a_later_turn);
	tcase_add_test(cases, call_that_defers_itself_starves_nobody);
	tcase_add_test(cases, call_cancelled_in_its_own_turn_does_not_run_and_may_be_freed);
	tcase_add_test(cases, turn_runs_calls_then_descriptors_then_timers);
	return cases;
}

TCase *descriptor_cases(void)
{
	TCase *cases = tcase_create("descriptors");

	tcase_add_checked_fixture(cases, setup_virtual, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, descriptor_is_called_while_it_is_ready);
	tcase_add_test(cases, descriptor_removed_in_its_own_batch_is_not_called);
	tcase_add_test(cases, stale_event_does_not_reach_the_new_owner_of_a_descriptor);
	tcase_add_test(cases, descriptor_may_free_itself_and_others);
	tcase_add_test(cases, modified_descriptor_is_called_for_what_it_wants_now);
	tcase_add_test(cases, hang_up_comes_unasked);
	tcase_add_test(cases, more_descriptors_than_a_batch_holds_are_all_served);
	tcase_add_test(cases, errors_of_descriptors);
	return cases;
}
