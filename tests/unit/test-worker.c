/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers: where and in which order jobs run. Jobs that are abandoned, and the end, have files of their
 * own.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "fixture.h"
#include "test-worker.h"
#include "work.h"

#include "iotd/base.h"
#include "iotd/clock.h"

/* --- order ---------------------------------------------------------------------------------- */

START_TEST(job_runs_elsewhere_and_brings_its_result_back)
{
	static const int results[] = { 0, 42, -EIO, -ECANCELED };
	struct work work = work_make(1);

	work.result = results[_i];
	hand(&work, keys[0]);
	ck_assert_int_eq(worker_run(keys[0], &work.job), -EBUSY);
	ck_assert_int_eq(worker_run(keys[1], &work.job), -EBUSY);
	run_all();
	ck_assert_int_eq(work.got, results[_i]);
	ck_assert_int_eq(future_result(&work.job.future), results[_i]);
	ck_assert(worker_job_is_idle(&work.job));
	ck_assert_int_eq(work.idle_count, 1);
	ck_assert(!pthread_equal(work.thread, pthread_self()));
	release(&work);
}
END_TEST

START_TEST(job_may_be_run_again_and_again)
{
	struct work work = work_make(1);

	for (int i = 0; i < 1000; i++) {
		work.result = i;
		hand(&work, keys[i % 3]);
		run_all();
		ck_assert_int_eq(work.got, i);
		release(&work);
	}
}
END_TEST

START_TEST(jobs_of_one_key_run_one_at_a_time_and_in_order)
{
	enum {
		COUNT = 2000
	};
	struct work *works = calloc(COUNT, sizeof(*works));

	ck_assert_ptr_nonnull(works);
	for (int i = 0; i < COUNT; i++) {
		works[i] = work_make(i);
		works[i].does = does_count;
		hand(&works[i], keys[0]);
		if (i % 7 == 0)
			run_turn();
	}
	run_all();
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(works[i].got, 0);
		release(&works[i]);
	}
	free(works);
}
END_TEST

static int does_nap(struct work *work)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	return work->result;
}

/* so what the first one took is not the second one's too, nor anything twice */
START_TEST(what_jobs_took_is_told_of_each)
{
	struct work works[3] = { work_make(1), work_make(2), work_make(3) };
	int64_t began_us = clock_monotonic_us(), sum_us = 0;

	for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
		works[i].does = does_nap;
		hand(&works[i], keys[0]);
	}
	run_all();
	for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
		ck_assert_int_ge(works[i].job.took_us, 5 * USEC_PER_MSEC);
		sum_us += works[i].job.took_us;
		release(&works[i]);
	}
	ck_assert_int_le(sum_us, clock_monotonic_us() - began_us);
}
END_TEST

static atomic_int hurry_order;

static int does_tell_order(struct work *work)
{
	(void)work;
	return atomic_fetch_add(&hurry_order, 1);
}

START_TEST(those_in_a_hurry_come_first_within_a_turn)
{
	static const struct {
		enum worker_hurry hurry;
		int place;
	} jobs[] = {
		{ HURRY_NONE, 4 }, { HURRY_MOST, 0 }, { HURRY_SOME, 2 },
		{ HURRY_MOST, 1 }, { HURRY_NONE, 5 }, { HURRY_SOME, 3 },
	};
	struct work works[ARRAY_SIZE(jobs)];

	atomic_store(&hurry_order, 0);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		works[i] = work_make((int)i);
		works[i].does = does_tell_order;
		works[i].job.hurry = jobs[i].hurry;
		hand(&works[i], keys[0]);
	}
	run_all();
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		ck_assert_int_eq(works[i].got, jobs[i].place);
		release(&works[i]);
	}
}
END_TEST

static pthread_barrier_t all_here;

static int does_meet(struct work *work)
{
	(void)work;
	(void)pthread_barrier_wait(&all_here);
	return 0;
}

START_TEST(keys_run_side_by_side)
{
	struct work works[8];

	ck_assert_int_eq(pthread_barrier_init(&all_here, NULL, ARRAY_SIZE(works)), 0);
	for (int i = 0; i < 8; i++) {
		works[i] = work_make(i);
		works[i].does = does_meet; /* hangs unless all eight run at one time */
		hand(&works[i], keys[i]);
		if (_i == 1)
			run_turn(); /* each in a turn of its own */
	}
	run_all();
	for (int i = 0; i < 8; i++)
		release(&works[i]);
}
END_TEST

static atomic_int running, running_most;

static int does_measure(struct work *work)
{
	int now = atomic_fetch_add(&running, 1) + 1, most = atomic_load(&running_most);

	while (now > most && !atomic_compare_exchange_weak(&running_most, &most, now))
		;
	(void)does_meet(work);
	atomic_fetch_sub(&running, 1);
	(void)does_meet(work);
	return 0;
}

START_TEST(threads_are_bounded)
{
	struct work works[16];

	ck_assert_int_eq(pthread_barrier_init(&all_here, NULL, 8), 0);
	for (int i = 0; i < 16; i++) {
		works[i] = work_make(i);
		works[i].does = does_measure;
		hand(&works[i], keys[i]);
	}
	run_all();
	ck_assert_int_eq(atomic_load(&running_most), 8);
	for (int i = 0; i < 16; i++)
		release(&works[i]);
}
END_TEST

START_TEST(job_that_hangs_keeps_its_thread_and_no_other_key)
{
	struct work hung = work_make(1), behind = work_make(2), other = work_make(3);

	hung.gate = &gate;
	hung.begun = other.begun = &begun;
	hand(&hung, keys[0]);
	run_turn();
	await_semaphore(&begun);
	hand(&behind, keys[0]);
	hand(&other, keys[1]);
	run_turn();
	await_semaphore(&begun); /* the other key is served */
	ck_assert_int_eq(atomic_load(&order_count), 2);
	(void)sem_post(&gate);
	run_all();
	ck_assert_int_eq(order[1], 3);
	ck_assert_int_eq(order[2], 2);
	release(&hung);
	release(&behind);
	release(&other);
}
END_TEST

START_TEST(jobs_of_one_turn_go_over_together)
{
	struct work works[6];
	static const int expected[6] = { 0, 2, 4, 1, 3, 5 };

	for (int i = 0; i < 6; i++) {
		works[i] = work_make(i);
		hand(&works[i], keys[i % 2]);
	}
	run_all();
	for (int i = 0; i < 6; i++) { /* a key's jobs as one batch, whatever came between */
		ck_assert_int_eq(order[i], expected[i]);
		release(&works[i]);
	}
}
END_TEST

static int64_t fired_at_us;

static void on_timer(struct reactor_timer *timer)
{
	(void)timer;
	ck_assert_int_eq(atomic_load(&order_count), 1);
	fired_at_us = reactor_now(reactor);
}

static int does_sleep(struct work *work)
{
	static const struct timespec while_others_could_run = { .tv_nsec = 20000000 };

	(void)work;
	return nanosleep(&while_others_could_run, NULL);
}

START_TEST(virtual_clock_waits_for_jobs)
{
	struct reactor_timer timer = { .fire = on_timer };
	struct work work = work_make(1);

	fired_at_us = 0;
	work.does = does_sleep;
	hand(&work, keys[0]);
	ck_assert_int_eq(reactor_set_timer(reactor, &timer, 1), 0);
	while (work.got == 1) {
		run_turn();
		ck_assert(work.got != 1 || fired_at_us == 0);
	}
	ck_assert_int_eq(work.got, 0);
	ck_assert_int_eq(reactor_now(reactor), 0);
	run_all();
	ck_assert_int_eq(fired_at_us, 1);
	release(&work);
}
END_TEST

static int does_check_signals(struct work *work)
{
	sigset_t blocked;

	(void)work;
	if (pthread_sigmask(SIG_BLOCK, NULL, &blocked) != 0)
		return -EIO;
	return sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGUSR1) &&
	       sigismember(&blocked, SIGHUP);
}

START_TEST(workers_take_no_signals)
{
	struct work work = work_make(1);

	work.does = does_check_signals;
	hand(&work, keys[0]);
	run_all();
	ck_assert_int_eq(work.got, 1);
	release(&work);
}
END_TEST

static TCase *order_cases(void)
{
	TCase *cases = tcase_create("order, one thread");

	tcase_add_checked_fixture(cases, setup_one, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, job_runs_elsewhere_and_brings_its_result_back, 0, 4);
	tcase_add_test(cases, job_may_be_run_again_and_again);
	tcase_add_test(cases, jobs_of_one_turn_go_over_together);
	tcase_add_test(cases, virtual_clock_waits_for_jobs);
	tcase_add_test(cases, workers_take_no_signals);
	return cases;
}

static TCase *bounds_cases(void)
{
	TCase *cases = tcase_create("order, eight threads");

	tcase_add_checked_fixture(cases, setup_many, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, jobs_of_one_key_run_one_at_a_time_and_in_order);
	tcase_add_test(cases, what_jobs_took_is_told_of_each);
	tcase_add_test(cases, those_in_a_hurry_come_first_within_a_turn);
	tcase_add_loop_test(cases, keys_run_side_by_side, 0, 2);
	tcase_add_test(cases, threads_are_bounded);
	tcase_add_test(cases, job_that_hangs_keeps_its_thread_and_no_other_key);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("worker");

	suite_add_tcase(suite, order_cases());
	suite_add_tcase(suite, abandoned_cases());
	suite_add_tcase(suite, end_cases());
	suite_add_tcase(suite, bounds_cases());
	suite_add_tcase(suite, shortage_cases());
	suite_add_tcase(suite, storm_cases());
	suite_add_tcase(suite, late_cases());
	return suite_run(suite);
}
