/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of pools and keys, whatever is out, and what they refuse. calloc() is replaced, so that it can
 * run out of memory; not under the thread sanitizer, whose threads call it before they are set up.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_THREAD__ /* gcc's */
#define THREAD_SANITIZER
#elif defined(__has_feature) /* clang's */
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif

#ifndef THREAD_SANITIZER
#include "no-memory.h"
#endif
#include "test-worker.h"
#include "work.h"

#include "iotd/base.h"
#include "iotd/clock.h"

/* --- the end -------------------------------------------------------------------------------- */

START_TEST(freed_pool_drops_what_waits)
{
	struct work runs = work_make(1), batched = work_make(2), waits = work_make(3),
		    collected = work_make(4);

	runs.gate = &gate;
	runs.begun = &begun;
	runs.result = 7;
	hand(&runs, keys[0]);
	hand(&batched, keys[0]);
	run_turn();
	await_semaphore(&begun);
	hand(&waits, keys[1]);
	run_turn();
	ck_assert_int_eq(worker_run(keys[2], &collected.job), 0); /* not even handed over */
	ck_assert_int_eq(workers_free(workers, 0), -ETIMEDOUT);	  /* from now on nothing begins */
	(void)sem_post(&gate);
	free_workers();
	ck_assert_int_eq(future_result(&waits.job.future), -ECANCELED);
	ck_assert_int_eq(future_result(&collected.job.future), -ECANCELED);
	ck_assert(worker_job_is_idle(&runs.job) && worker_job_is_idle(&batched.job));
	ck_assert_int_eq(worker_run(keys[0], &runs.job), -ESHUTDOWN);
	run_all();
	ck_assert_int_eq(runs.got, 7);
	ck_assert_int_eq(batched.got, -ECANCELED);
	ck_assert_int_eq(waits.got, -ECANCELED);
	release(&runs);
	release(&batched);
	release(&waits);
}
END_TEST

START_TEST(freed_pool_calls_idle_for_what_was_abandoned)
{
	struct work runs = work_make(1), waits = work_make(2);

	runs.gate = &gate;
	runs.begun = &begun;
	hand(&runs, keys[0]);
	run_turn();
	await_semaphore(&begun);
	hand(&waits, keys[1]);
	run_turn();
	task_cancel(runs.task);
	task_cancel(waits.task);
	ck_assert_int_eq(workers_free(workers, 0), -ETIMEDOUT); /* from now on nothing begins */
	(void)sem_post(&gate);
	free_workers();
	ck_assert_int_eq(runs.idle_count, 1);
	ck_assert_int_eq(waits.idle_count, 1);
	release(&runs);
	release(&waits);
}
END_TEST

START_TEST(hung_job_does_not_hold_the_end_up)
{
	struct work hung = work_make(1);
	int64_t before_us;

	hung.gate = &gate;
	hung.begun = &begun;
	hand(&hung, keys[0]);
	run_turn();
	await_semaphore(&begun);
	before_us = clock_monotonic_us();
	ck_assert_int_eq(workers_free(workers, 20 * USEC_PER_MSEC), -ETIMEDOUT);
	ck_assert_int_ge(clock_monotonic_us() - before_us, 20 * USEC_PER_MSEC);
	ck_assert(!worker_job_is_idle(&hung.job));
	ck_assert_int_eq(worker_run(keys[1], &hung.job), -EBUSY);
	(void)sem_post(&gate);
	free_workers(); /* it came back after all */
	run_turn();
	ck_assert(worker_job_is_idle(&hung.job));
	release(&hung);
}
END_TEST

static void free_pool_and_keys(struct worker_job *job)
{
	work_idle(job);
	if (workers)
		free_workers();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = worker_key_free(keys[i]);
}

/* both jobs are back in one batch of posts, and the first one's callback ends everything */
START_TEST(pool_may_be_freed_in_a_callback)
{
	struct work works[3];

	for (int i = 0; i < 3; i++) {
		works[i] = work_make(i);
		works[i].job.idle = free_pool_and_keys;
		works[i].begun = &begun;
		hand(&works[i], keys[0]);
	}
	works[0].gate = &gate;
	run_turn();
	await_semaphore(&begun);
	run_turn();
	task_cancel(works[0].task);
	(void)sem_post(&gate);
	await_semaphore(&begun);
	await_semaphore(&begun);
	run_all();
	ck_assert_int_eq(works[0].idle_count, 1);
	for (int i = 1; i < 3; i++)
		ck_assert(worker_job_is_idle(&works[i].job));
	for (int i = 0; i < 3; i++)
		release(&works[i]);
}
END_TEST

START_TEST(key_may_be_freed_while_its_jobs_are_out)
{
	struct work runs = work_make(1), waits = work_make(2), next = work_make(3);

	runs.gate = &gate;
	runs.begun = &begun;
	hand(&runs, keys[0]);
	run_turn();
	await_semaphore(&begun);
	hand(&waits, keys[0]);
	keys[0] = worker_key_free(keys[0]);
	ck_assert_ptr_null(keys[0]);
	hand(&next, keys[1]);
	(void)sem_post(&gate);
	run_all();
	ck_assert_int_eq(waits.got, 0);
	ck_assert_int_eq(next.got, 0);
	release(&runs);
	release(&waits);
	release(&next);
	ck_assert_ptr_null(worker_key_free(NULL));
}
END_TEST

START_TEST(errors_of_pools)
{
	struct workers *other = NULL;

	ck_assert_int_eq(workers_new(&other, reactor, "work", 0), -EINVAL);
	ck_assert_int_eq(workers_new(&other, reactor, "work", 1025), -EINVAL);
#ifndef THREAD_SANITIZER
	if (allocator_is_ours()) {
		struct worker_key *key = NULL;

		for (int i = 0; i < 2; i++) {
			allocations_left = i;
			ck_assert_int_eq(workers_new(&other, reactor, "work", 1024), -ENOMEM);
		}
		ck_assert_int_eq(worker_key_new(&key, workers, 0), -ENOMEM);
		allocations_left = -1;
		ck_assert_ptr_null(key);
	}
#endif
	ck_assert_ptr_null(other);
	ck_assert_int_eq(workers_new(&other, reactor, "work", 1024), 0);
	ck_assert_int_eq(workers_free(other, 0), 0); /* no thread was ever started */
	ck_assert_int_eq(workers_free(NULL, 0), 0);
}
END_TEST

/* of threads that are started from now on. Return: what it was */
static size_t set_stack(size_t size)
{
	pthread_attr_t attributes;
	size_t before;

	ck_assert_int_eq(pthread_getattr_default_np(&attributes), 0);
	ck_assert_int_eq(pthread_attr_getstacksize(&attributes, &before), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attributes, size), 0);
	ck_assert_int_eq(pthread_setattr_default_np(&attributes), 0);
	return before;
}

START_TEST(no_thread_to_be_had_is_an_error)
{
	struct work work = work_make(1);
	size_t size = set_stack((size_t)1 << 47);

	ck_assert_int_eq(worker_run(keys[0], &work.job), -EAGAIN);
	ck_assert(worker_job_is_idle(&work.job));
	(void)set_stack(size);
	hand(&work, keys[0]);
	run_all();
	ck_assert_int_eq(work.got, 0);
	release(&work);
}
END_TEST

/* the only thread hangs, and nothing else is handed over that would start another */
START_TEST(thread_that_was_not_to_be_had_is_tried_for_again)
{
	struct work hung = work_make(1), waits = work_make(2);
	size_t size;

	hung.gate = &gate;
	hung.begun = &begun;
	hand(&hung, keys[0]);
	run_turn();
	await_semaphore(&begun);
	size = set_stack((size_t)1 << 47);
	hand(&waits, keys[1]);
	run_turn();
	(void)set_stack(size);
	while (waits.got == 1)
		run_turn();
	ck_assert_int_eq(waits.got, 0);
	ck_assert(!worker_job_is_idle(&hung.job));
	(void)sem_post(&gate);
	while (hung.got == 1)
		run_turn();
	release(&hung);
	release(&waits);
}
END_TEST

/* of the pool, by their name: a sanitizer has some of its own */
static int count_threads(void)
{
	struct dirent *entry;
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	ck_assert_ptr_nonnull(tasks);
	while ((entry = readdir(tasks))) {
		char path[300], name[16] = "";
		cleanup(closep) int fd = -1;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		count += read(fd, name, sizeof(name) - 1) > 0 && strcmp(name, "work\n") == 0;
	}
	(void)closedir(tasks);
	return count;
}

/* so many threads at one time */
static void run_side_by_side(struct work *works, int count)
{
	for (int i = 0; i < count; i++) {
		works[i] = work_make(i);
		works[i].gate = &gate;
		works[i].begun = &begun;
		hand(&works[i], keys[i]);
	}
	run_turn();
	for (int i = 0; i < count; i++)
		await_semaphore(&begun);
	for (int i = 0; i < count; i++)
		(void)sem_post(&gate);
	run_all();
	for (int i = 0; i < count; i++)
		release(&works[i]);
}

START_TEST(threads_that_are_not_needed_end)
{
	int before = count_threads();
	struct work works[4];

	workers_set_idle(workers, 10 * USEC_PER_MSEC);
	for (int round = 0; round < 3; round++) {
		run_side_by_side(works, 4);
		while (count_threads() >
		       before + 1) /* the kernel tells nobody when a thread ends */
			(void)sched_yield();
	}
}
END_TEST

/* the others are not kept by turns */
START_TEST(a_thread_that_has_work_all_the_time_keeps_no_other)
{
	int before = count_threads();
	struct work works[4];

	workers_set_idle(workers, 50 * USEC_PER_MSEC);
	run_side_by_side(works, 4);
	while (count_threads() > before + 1)
		run_side_by_side(works, 1);
}
END_TEST

START_TEST(storm_of_jobs_and_cancels_settles)
{
	enum {
		COUNT = 4000
	};
	struct work *works = calloc(COUNT, sizeof(*works));
	int finished = 0, idle = 0;

	ck_assert_ptr_nonnull(works);
	for (int i = 0; i < COUNT; i++) {
		works[i] = work_make(i);
		hand(&works[i], keys[i * 7 % 16]);
		if (i % 5 == 0)
			run_turn();
		if (i % 3 == 0)
			task_cancel(works[i / 2].task);
	}
	run_all();
	for (int i = 0; i < COUNT; i++) {
		ck_assert(worker_job_is_idle(&works[i].job));
		finished += works[i].got == 0;
		idle += works[i].idle_count;
		release(&works[i]);
	}
	ck_assert_int_gt(finished, COUNT / 2);
	ck_assert_int_eq(idle, COUNT);
	free(works);
}
END_TEST

TCase *end_cases(void)
{
	TCase *cases = tcase_create("the end, one thread");

	tcase_add_checked_fixture(cases, setup_one, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, freed_pool_drops_what_waits);
	tcase_add_test(cases, freed_pool_calls_idle_for_what_was_abandoned);
	tcase_add_test(cases, hung_job_does_not_hold_the_end_up);
	tcase_add_test(cases, pool_may_be_freed_in_a_callback);
	tcase_add_test(cases, key_may_be_freed_while_its_jobs_are_out);
	tcase_add_test(cases, errors_of_pools);
	tcase_add_test(cases, no_thread_to_be_had_is_an_error);
	return cases;
}

TCase *shortage_cases(void)
{
	TCase *cases = tcase_create("shortage, kernel's clock");

	tcase_add_checked_fixture(cases, setup_real, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, thread_that_was_not_to_be_had_is_tried_for_again);
	return cases;
}

TCase *storm_cases(void)
{
	TCase *cases = tcase_create("storm, eight threads");

	tcase_add_checked_fixture(cases, setup_many, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, threads_that_are_not_needed_end);
	tcase_add_test(cases, a_thread_that_has_work_all_the_time_keeps_no_other);
	tcase_add_test(cases, storm_of_jobs_and_cancels_settles);
	return cases;
}
