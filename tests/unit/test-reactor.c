/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reactor, seen through its face: signals, and its life from reactor_new() to reactor_free().
 * Timers, descriptors and posts have files of their own.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"
#include "reactor-probe.h"
#include "test-reactor.h"

#include "iotd/base.h"
#include "iotd/task.h"

/* --- signals -------------------------------------------------------------------------------- */

static void add_signal(struct probe *probe, int number)
{
	ck_assert_int_eq(reactor_add_signal(reactor, &probe->signal, number), 0);
}

static void act_remove_all(struct probe *probe)
{
	struct probe *at = probe;

	do {
		reactor_remove_signal(&at->signal);
		at = at->other;
	} while (at && at != probe);
	finish(0);
}

START_TEST(signal_is_called_once_a_batch)
{
	struct probe a = probe_make('a', act_remove_all);

	add_signal(&a, SIGUSR1);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "a");
	for (int i = 0; i < 3; i++) { /* batches one after the other */
		add_signal(&a, SIGUSR1);
		ck_assert_int_eq(raise(SIGUSR1), 0);
		ck_assert_int_eq(run(), 0);
	}
	ck_assert_str_eq(trace, "aaaa");
}
END_TEST

static void act_finish_third(struct probe *probe)
{
	if (probe->count == 3)
		finish(0);
}

START_TEST(signals_that_the_kernel_queues_are_called_each)
{
	struct probe a = probe_make('a', act_finish_third), b = probe_make('b', NULL);

	add_signal(&b, SIGUSR2);
	add_signal(&a, SIGRTMIN);
	ck_assert_int_eq(raise(SIGUSR2), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(raise(SIGRTMIN), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "baaa");
	reactor_remove_signal(&a.signal);
	reactor_remove_signal(&b.signal);
	reactor_remove_signal(&b.signal); /* not added: nothing */
}
END_TEST

START_TEST(signal_callback_may_remove_the_others)
{
	struct probe a = probe_make('x', act_remove_all), b = probe_make('x', act_remove_all),
		     c = probe_make('x', act_remove_all);

	a.other = &b;
	b.other = &c;
	c.other = &a;
	add_signal(&a, SIGUSR1);
	add_signal(&b, SIGUSR1);
	add_signal(&c, SIGUSR1);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "x");
}
END_TEST

START_TEST(signal_reaches_all_who_asked)
{
	struct probe a = probe_make('x', NULL), b = probe_make('x', NULL),
		     end = probe_make('e', act_finish);

	add_signal(&end, SIGTERM);
	add_signal(&a, SIGUSR1);
	add_signal(&b, SIGUSR1);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "xxe");
}
END_TEST

START_TEST(removed_signal_stays_blocked)
{
	struct probe a = probe_make('a', NULL);

	add_signal(&a, SIGUSR1);
	reactor_remove_signal(&a.signal);
	ck_assert_int_eq(raise(SIGUSR1), 0); /* would end us */
	run_until_idle();
	ck_assert_str_eq(trace, "");
}
END_TEST

START_TEST(errors_of_signals)
{
	static const int bad[] = { 0, -1, SIGKILL, SIGSTOP, 65, 1000 };
	struct probe a = probe_make('a', NULL);
	struct rlimit before, none = { 0 };
	sigset_t blocked, blocked_before;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &blocked_before), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(reactor_add_signal(reactor, &a.signal, bad[i]), -EINVAL);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(reactor_add_signal(reactor, &a.signal, SIGUSR1), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
	ck_assert_int_eq(sigismember(&blocked, SIGUSR1), sigismember(&blocked_before, SIGUSR1));
	add_signal(&a, SIGUSR1);
	ck_assert_int_eq(reactor_add_signal(reactor, &a.signal, SIGUSR2), -EBUSY);
}
END_TEST

/* --- life ----------------------------------------------------------------------------------- */

static int open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		count++;
	(void)closedir(folder);
	return count;
}

START_TEST(no_descriptors_left_is_an_error_that_leaks_none)
{
	int free_fd = dup(STDERR_FILENO), count;
	struct rlimit before, few;
	struct reactor *other = NULL;

	ck_assert_int_eq(close(free_fd), 0);
	count = open_descriptors();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ (rlim_t)(free_fd + _i), before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(reactor_new(&other), -EMFILE);
	ck_assert_int_eq(reactor_new_virtual(&other, 0), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(open_descriptors(), count);
	ck_assert_int_eq(reactor_new(&other), 0);
	reactor_free(other);
	ck_assert_int_eq(open_descriptors(), count);
}
END_TEST

static int step_run_again(struct task *task, int result)
{
	(void)result;
	return reactor_run(task_reactor(task), task);
}

START_TEST(run_gives_the_result_of_its_root)
{
	static const int results[] = { 7, 0, -EIO, -EINPROGRESS };
	struct probe timer;
	struct task *root;

	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		ck_assert_int_eq(run_root(&root), 0);
		finish(results[i]);
		timer = probe_make('t', NULL);
		set(&timer, 10); /* must not be waited for */
		ck_assert_int_eq(reactor_run(reactor, root), results[i]);
		ck_assert_int_eq(reactor_run(reactor, root), results[i]); /* done already */
		reactor_stop_timer(&timer.timer);
		task_release(root);
	}
	ck_assert_int_eq(reactor_now(reactor), 0);
	ck_assert_int_eq(task_spawn(&root, reactor, step_run_again, NULL, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, root), -EBUSY);
	task_release(root);
}
END_TEST

START_TEST(virtual_clock_starts_where_told)
{
	struct reactor *other;

	ck_assert(reactor_is_virtual(reactor));
	ck_assert_int_eq(reactor_new_virtual(&other, 123456), 0);
	ck_assert_int_eq(reactor_now(other), 123456);
	reactor_free(other);
	ck_assert_int_eq(reactor_new(&other), 0);
	ck_assert(!reactor_is_virtual(other));
	reactor_free(other);
	ck_assert_ptr_null(reactor_free(NULL));
}
END_TEST

static TCase *life_cases(void)
{
	TCase *cases = tcase_create("life");

	tcase_add_checked_fixture(cases, setup_virtual, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, no_descriptors_left_is_an_error_that_leaks_none, 0, 3);
	tcase_add_test(cases, run_gives_the_result_of_its_root);
	tcase_add_test(cases, virtual_clock_starts_where_told);
	return cases;
}

static TCase *signal_cases(void)
{
	TCase *cases = tcase_create("signals");

	tcase_add_checked_fixture(cases, setup_virtual, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, signal_is_called_once_a_batch);
	tcase_add_test(cases, signals_that_the_kernel_queues_are_called_each);
	tcase_add_test(cases, signal_callback_may_remove_the_others);
	tcase_add_test(cases, signal_reaches_all_who_asked);
	tcase_add_test(cases, removed_signal_stays_blocked);
	tcase_add_test(cases, errors_of_signals);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("reactor");

	suite_add_tcase(suite, timer_cases());
	suite_add_tcase(suite, call_cases());
	suite_add_tcase(suite, descriptor_cases());
	suite_add_tcase(suite, post_cases());
	suite_add_tcase(suite, life_cases());
	suite_add_tcase(suite, signal_cases());
	suite_add_tcase(suite, real_timer_cases());
	suite_add_tcase(suite, real_post_cases());
	return suite_run(suite);
}
