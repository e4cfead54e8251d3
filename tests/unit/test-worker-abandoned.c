/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that nobody awaits any more, and jobs that are late. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "test-worker.h"
#include "work.h"

#include "iotd/base.h"
#include "iotd/clock.h"

/* --- abandoned ------------------------------------------------------------------------------ */

START_TEST(job_abandoned_before_it_began_does_not_run)
{
	struct work first = work_make(1), second = work_make(2), third = work_make(3);

	first.gate = &gate;
	first.begun = &begun;
	hand(&first, keys[0]);
	run_turn();
	await_semaphore(&begun);
	hand(&second, keys[_i]); /* waits for the thread, or for its key */
	hand(&third, keys[_i]);
	run_turn();
	task_cancel(second.task);
	ck_assert_int_eq(future_result(&second.job.future), -ECANCELED);
	ck_assert(!worker_job_is_idle(&second.job));
	ck_assert_int_eq(worker_run(keys[0], &second.job), -EBUSY);
	ck_assert_int_eq(second.idle_count, 0);
	(void)sem_post(&gate);
	run_all();
	ck_assert_int_eq(atomic_load(&order_count), 2); /* first and third */
	ck_assert_int_eq(order[1], 3);
	ck_assert_int_eq(second.idle_count, 1);
	ck_assert_int_eq(second.got, 1);
	ck_assert_int_eq(second.job.took_us, 0);
	ck_assert_int_eq(third.got, 0);
	release(&first);
	release(&second);
	release(&third);
}
END_TEST

static int step_await_at_once(struct task *task, int result)
{
	struct work *work = task_data(task);

	ck_assert_int_eq(worker_run(keys[0], &work->job), 0);
	task_cancel(task);
	return step_await(task, result);
}

START_TEST(job_abandoned_in_the_turn_it_was_handed_over_does_not_run)
{
	struct work work = work_make(1);

	ck_assert_int_eq(task_spawn(&work.task, reactor, step_await_at_once, &work, NULL), 0);
	run_all();
	ck_assert_int_eq(task_result(work.task), -ECANCELED);
	ck_assert_int_eq(future_result(&work.job.future), -ECANCELED);
	ck_assert_int_eq(atomic_load(&order_count), 0);
	ck_assert_int_eq(work.idle_count, 1);
	release(&work);
}
END_TEST

START_TEST(job_abandoned_while_it_runs_says_when_it_is_back)
{
	struct work work = work_make(1);

	work.gate = &gate;
	work.begun = &begun;
	work.result = 5;
	hand(&work, keys[0]);
	run_turn();
	await_semaphore(&begun);
	run_turn();
	task_cancel(work.task);
	ck_assert_int_eq(future_result(&work.job.future), -ECANCELED);
	ck_assert(!worker_job_is_idle(&work.job));
	(void)sem_post(&gate);
	run_all();
	ck_assert_int_eq(work.idle_count, 1);
	ck_assert_int_eq(future_result(&work.job.future), -ECANCELED);
	release(&work);
	hand(&work, keys[0]); /* and it may be run again */
	(void)sem_post(&gate);
	run_all();
	ck_assert_int_eq(work.got, 5);
	release(&work);
}
END_TEST

static int step_await_briefly(struct task *task, int result)
{
	(void)result;
	return task_await_for(task, &((struct work *)task_data(task))->job.future, 2000, step_done);
}

START_TEST(time_out_abandons_a_job)
{
	struct work work = work_make(1);

	work.gate = &gate;
	ck_assert_int_eq(worker_run(keys[0], &work.job), 0);
	ck_assert_int_eq(task_spawn(&work.task, reactor, step_await_briefly, &work, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, work.task), 0);
	ck_assert_int_eq(work.got, -ETIMEDOUT);
	ck_assert(!worker_job_is_idle(&work.job));
	(void)sem_post(&gate);
	while (work.idle_count == 0)
		run_turn();
	release(&work);
}
END_TEST

START_TEST(late_job_of_a_shared_key_does_not_hold_up_the_others)
{
	struct work hung[2] = { work_make(1), work_make(2) }, others[3];
	struct worker_key *shared;
	unsigned int began = 0;

	ck_assert_int_eq(worker_key_new(&shared, workers, 2000), 0);
	ck_assert_ptr_eq(worker_key_pool(shared), workers);
	for (int i = 0; i < 2; i++) {
		hung[i].gate = &gate;
		hand(&hung[i], shared);
	}
	for (int i = 0; i < 3; i++) {
		others[i] = work_make(10 + i);
		hand(&others[i], shared);
	}
	while (others[2].got == 1)
		run_turn();
	for (int i = 0; i < 2; i++) {
		ck_assert(!worker_job_is_idle(&hung[i].job));
		(void)sem_post(&gate);
	}
	while (hung[0].got == 1 || hung[1].got == 1)
		run_turn();
	ck_assert_int_eq(atomic_load(&order_count), 5);
	for (int i = 0; i < 5; i++) /* each began once; threads may overtake one another */
		began |= 1U << order[i];
	ck_assert_uint_eq(began, 1U << 1 | 1U << 2 | 1U << 10 | 1U << 11 | 1U << 12);
	hand(&hung[0], shared); /* the key works on */
	(void)sem_post(&gate);
	while (hung[0].idle_count < 2)
		run_turn();
	worker_key_free(shared);
	for (int i = 0; i < 2; i++)
		release(&hung[i]);
	for (int i = 0; i < 3; i++)
		release(&others[i]);
}
END_TEST

START_TEST(results_of_a_shared_key_do_not_wait_for_one_that_is_late)
{
	struct work quick[4], hung = work_make(4);
	struct worker_key *shared;

	ck_assert_int_eq(worker_key_new(&shared, workers, 2000), 0);
	for (int i = 0; i < 4; i++) {
		quick[i] = work_make(i);
		hand(&quick[i], shared);
	}
	hung.gate = &gate;
	hand(&hung, shared);
	while (quick[3].got == 1)
		run_turn();
	ck_assert(!worker_job_is_idle(&hung.job));
	(void)sem_post(&gate);
	while (hung.got == 1)
		run_turn();
	worker_key_free(shared);
	for (int i = 0; i < 4; i++)
		release(&quick[i]);
	release(&hung);
}
END_TEST

static int does_work(struct work *work)
{
	int64_t began_us = clock_monotonic_us();

	while (clock_monotonic_us() < began_us + 50)
		;
	return work->result;
}

START_TEST(results_of_a_shared_key_come_together)
{
	struct work works[200];
	struct worker_key *shared;
	int64_t began_us;
	int back = 0, turns = 0; /* that bring something */

	ck_assert_int_eq(worker_key_new(&shared, workers, 3600 * USEC_PER_SEC), 0);
	for (int i = 0; i < 200; i++) {
		works[i] = work_make(i);
		works[i].does = does_work;
		hand(&works[i], shared);
	}
	began_us = clock_monotonic_us();
	while (back < 200) {
		int before = back;

		run_turn();
		while (back < 200 && works[back].got != 1)
			back++;
		turns += back > before;
	}
	/* those of each 5 ms, and the rest, of which a turn may see a part */
	ck_assert_int_le(turns, 2 + (clock_monotonic_us() - began_us) / 5000);
	for (int i = 0; i < 200; i++)
		release(&works[i]);
	worker_key_free(shared);
}
END_TEST

START_TEST(many_late_jobs_of_a_shared_key_cost_little_more_than_one)
{
	struct work hung[6], other = work_make(10);
	struct worker_key *shared;
	int64_t began_us;

	ck_assert_int_eq(worker_key_new(&shared, workers, USEC_PER_SEC), 0);
	for (int i = 0; i < 6; i++) {
		hung[i] = work_make(i);
		hung[i].gate = &gate;
		hand(&hung[i], shared);
	}
	hand(&other, shared);
	began_us = clock_monotonic_us();
	while (other.got == 1)
		run_turn();
	ck_assert_int_ge(clock_monotonic_us() - began_us, USEC_PER_SEC);
	ck_assert_int_lt(clock_monotonic_us() - began_us, 6 * USEC_PER_SEC); /* not six times */
	for (int i = 0; i < 6; i++)
		(void)sem_post(&gate);
	for (int i = 0; i < 6; i++) {
		while (hung[i].got == 1)
			run_turn();
		release(&hung[i]);
	}
	worker_key_free(shared);
	release(&other);
}
END_TEST

START_TEST(jobs_of_a_shared_key_run_one_at_a_time_while_none_is_late)
{
	struct work works[200];
	struct worker_key *shared;

	ck_assert_int_eq(worker_key_new(&shared, workers, 3600 * USEC_PER_SEC), 0);
	for (int i = 0; i < 200; i++) {
		works[i] = work_make(i);
		works[i].does = does_count;
		hand(&works[i], shared);
		if (i % 7 == 0)
			run_turn();
	}
	while (works[199].got == 1)
		run_turn();
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(works[i].got, 0);
		release(&works[i]);
	}
	worker_key_free(shared);
}
END_TEST

START_TEST(pool_with_a_late_shared_key_can_be_freed)
{
	struct work hung = work_make(1), waits = work_make(2);
	struct worker_key *shared;

	/* so long that no other thread takes over what is to wait */
	ck_assert_int_eq(worker_key_new(&shared, workers, 3600 * USEC_PER_SEC), 0);
	hung.gate = &gate;
	hung.begun = &begun;
	hand(&hung, shared);
	run_turn();
	await_semaphore(&begun);
	hand(&waits, shared);
	run_turn();
	if (_i == 1)
		shared = worker_key_free(shared);
	ck_assert_int_eq(workers_free(workers, 1), -ETIMEDOUT);
	(void)sem_post(&gate);
	free_workers();
	run_turn();
	ck_assert_int_eq(hung.got, 0);
	ck_assert_int_eq(waits.got, -ECANCELED);
	worker_key_free(shared);
	release(&hung);
	release(&waits);
}
END_TEST

static void free_work(struct worker_job *job)
{
	free(container_of(job, struct work, job));
	order[0] = -1;
}

START_TEST(abandoned_job_may_be_freed_when_it_is_back)
{
	struct work *work = malloc(sizeof(*work));

	ck_assert_ptr_nonnull(work);
	*work = work_make(1);
	work->job.idle = free_work;
	work->gate = &gate;
	work->begun = &begun;
	hand(work, keys[0]);
	run_turn();
	await_semaphore(&begun);
	run_turn();
	task_cancel(work->task);
	release(work);
	(void)sem_post(&gate);
	run_all();
	ck_assert_int_eq(order[0], -1);
}
END_TEST

TCase *abandoned_cases(void)
{
	TCase *cases = tcase_create("abandoned, one thread");

	tcase_add_checked_fixture(cases, setup_one, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, job_abandoned_before_it_began_does_not_run, 0, 2);
	tcase_add_test(cases, job_abandoned_in_the_turn_it_was_handed_over_does_not_run);
	tcase_add_test(cases, job_abandoned_while_it_runs_says_when_it_is_back);
	tcase_add_test(cases, abandoned_job_may_be_freed_when_it_is_back);
	return cases;
}

TCase *late_cases(void)
{
	TCase *cases = tcase_create("late, kernel's clock");

	tcase_add_checked_fixture(cases, setup_real, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, time_out_abandons_a_job);
	tcase_add_test(cases, late_job_of_a_shared_key_does_not_hold_up_the_others);
	tcase_add_test(cases, results_of_a_shared_key_do_not_wait_for_one_that_is_late);
	tcase_add_test(cases, results_of_a_shared_key_come_together);
	tcase_add_test(cases, many_late_jobs_of_a_shared_key_cost_little_more_than_one);
	tcase_add_test(cases, jobs_of_a_shared_key_run_one_at_a_time_while_none_is_late);
	tcase_add_loop_test(cases, pool_with_a_late_shared_key_can_be_freed, 0, 2);
	return cases;
}
