/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers. A job of these tests may say that it began, and wait for a gate, so that nothing here
 * depends on how long anything takes. calloc() is replaced, so that it can run out of memory; not
 * under the thread sanitizer, whose threads call it before they are set up.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/worker.h"

static struct reactor *reactor;
static struct workers *workers;
static struct worker_key *keys[16];
#ifdef __SANITIZE_THREAD__ /* gcc's */
#define THREAD_SANITIZER
#elif defined(__has_feature) /* clang's */
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif

#ifndef THREAD_SANITIZER
static volatile int allocations_left = -1; /* -1: no end */

/* volatile: else gcc makes calloc() out of realloc() and memset(), and that would be ours */
static void *(*volatile system_realloc)(void *, size_t) = realloc;

void *calloc(size_t count, size_t size)
{
	void *memory;

	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	memory = system_realloc(NULL, count * size);
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
#endif

/* --- tools ---------------------------------------------------------------------------------- */

struct work {
	struct worker_job job;
	int (*does)(struct work *work);
	sem_t *begun, *gate; /* posted when it begins; waited for before it ends */
	int number, result;
	struct task *task; /* awaits it */
	int got;
	int idle_count;
	pthread_t thread;
};

/* what the workers did, in order; written by them alone, read when they are through */
static int order[64];
static atomic_int order_count;
static sem_t begun, gate;
static int unguarded; /* by a lock, that is: counted by jobs of one key */
static int64_t fired_at_us;

static int work_run(struct worker_job *job)
{
	struct work *work = container_of(job, struct work, job);
	int at = atomic_fetch_add(&order_count, 1);

	if (at < (int)ARRAY_SIZE(order))
		order[at] = work->number;
	work->thread = pthread_self();
	if (work->begun)
		(void)sem_post(work->begun);
	while (work->gate && sem_wait(work->gate) < 0 && errno == EINTR)
		;
	return work->does ? work->does(work) : work->result;
}

static void work_idle(struct worker_job *job)
{
	struct work *work = container_of(job, struct work, job);

	ck_assert(worker_job_is_idle(job));
	ck_assert_int_ne(future_result(&job->future), -EINPROGRESS);
	work->idle_count++;
}

static struct work work_make(int number)
{
	return (struct work){
		.job.run = work_run, .job.idle = work_idle, .number = number, .got = 1
	};
}

static int step_done(struct task *task, int result)
{
	struct work *work = task_data(task);

	work->got = result;
	return 0;
}

static int step_await(struct task *task, int result)
{
	(void)result;
	return task_await(task, &((struct work *)task_data(task))->job.future, step_done);
}

static void hand(struct work *work, struct worker_key *key)
{
	ck_assert_int_eq(worker_run(key, &work->job), 0);
	ck_assert(!worker_job_is_idle(&work->job));
	if (!work->task)
		ck_assert_int_eq(task_spawn(&work->task, reactor, step_await, work, NULL), 0);
}

static int step_sleep(struct task *task, int result)
{
	return result < 0 ? result : task_sleep(task, 1000, step_done);
}

/* until all jobs are back: the virtual clock waits for them */
static void run_all(void)
{
	struct work end = work_make(0);
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, step_sleep, &end, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static int step_nothing(struct task *task, int result)
{
	(void)task;
	return result;
}

/* one turn: what was handed over is with the workers then */
static void run_turn(void)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, step_nothing, NULL, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static void await_semaphore(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0 && errno == EINTR)
		;
}

static void setup(size_t threads)
{
	atomic_store(&order_count, 0); /* all tests may share one process (CK_FORK=no) */
	unguarded = 0;
	fired_at_us = 0;
	if (!reactor)
		ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, threads), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ck_assert_int_eq(worker_key_new(&keys[i], workers, 0), 0);
	ck_assert_int_eq(sem_init(&begun, 0, 0), 0);
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
}

static void setup_one(void)
{
	setup(1);
}

static void setup_many(void)
{
	setup(8);
}

/* time goes on while jobs are out */
static void setup_real(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	setup(3);
}

static void teardown(void)
{
	if (workers)
		ck_assert_int_eq(workers_free(workers, 10 * USEC_PER_SEC), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = worker_key_free(keys[i]);
	reactor = reactor_free(reactor);
}

static void free_workers(void)
{
	ck_assert_int_eq(workers_free(take_ptr(workers), 10 * USEC_PER_SEC), 0);
}

static void release(struct work *work)
{
	work->task = task_release(work->task);
}

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

static int does_count(struct work *work)
{
	return work->number == unguarded++ ? 0 : -EPROTO;
}

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
	for (int i = 0; i < 5; i++) /* each begun once, and in order */
		ck_assert_int_eq(order[i], ((int[]){ 1, 2, 10, 11, 12 })[i]);
	ck_assert_int_eq(atomic_load(&order_count), 5);
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

	ck_assert_int_eq(worker_key_new(&shared, workers, 1000), 0);
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

	ck_assert_int_eq(workers_new(&other, reactor, 0), -EINVAL);
	ck_assert_int_eq(workers_new(&other, reactor, 1025), -EINVAL);
#ifndef THREAD_SANITIZER
	if (allocator_is_ours()) {
		struct worker_key *key = NULL;

		for (int i = 0; i < 2; i++) {
			allocations_left = i;
			ck_assert_int_eq(workers_new(&other, reactor, 1024), -ENOMEM);
		}
		ck_assert_int_eq(worker_key_new(&key, workers, 0), -ENOMEM);
		allocations_left = -1;
		ck_assert_ptr_null(key);
	}
#endif
	ck_assert_ptr_null(other);
	ck_assert_int_eq(workers_new(&other, reactor, 1024), 0);
	ck_assert_int_eq(workers_free(other, 0), 0); /* no thread was ever started */
	ck_assert_int_eq(workers_free(NULL, 0), 0);
}
END_TEST

START_TEST(no_thread_to_be_had_is_an_error)
{
	struct work work = work_make(1);
	pthread_attr_t attributes;
	size_t size;

	ck_assert_int_eq(pthread_getattr_default_np(&attributes), 0);
	ck_assert_int_eq(pthread_attr_getstacksize(&attributes, &size), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attributes, (size_t)1 << 47), 0);
	ck_assert_int_eq(pthread_setattr_default_np(&attributes), 0);
	ck_assert_int_eq(worker_run(keys[0], &work.job), -EAGAIN);
	ck_assert(worker_job_is_idle(&work.job));
	ck_assert_int_eq(pthread_attr_setstacksize(&attributes, size), 0);
	ck_assert_int_eq(pthread_setattr_default_np(&attributes), 0);
	hand(&work, keys[0]);
	run_all();
	ck_assert_int_eq(work.got, 0);
	release(&work);
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

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *one = tcase_create("one thread"), *many = tcase_create("eight threads"),
	      *real = tcase_create("kernel's clock");

	tcase_add_checked_fixture(one, setup_one, teardown);
	tcase_set_timeout(one, 60);
	tcase_add_loop_test(one, job_runs_elsewhere_and_brings_its_result_back, 0, 4);
	tcase_add_test(one, job_may_be_run_again_and_again);
	tcase_add_test(one, jobs_of_one_turn_go_over_together);
	tcase_add_test(one, virtual_clock_waits_for_jobs);
	tcase_add_test(one, workers_take_no_signals);
	tcase_add_loop_test(one, job_abandoned_before_it_began_does_not_run, 0, 2);
	tcase_add_test(one, job_abandoned_in_the_turn_it_was_handed_over_does_not_run);
	tcase_add_test(one, job_abandoned_while_it_runs_says_when_it_is_back);
	tcase_add_test(one, abandoned_job_may_be_freed_when_it_is_back);
	tcase_add_test(one, freed_pool_drops_what_waits);
	tcase_add_test(one, freed_pool_calls_idle_for_what_was_abandoned);
	tcase_add_test(one, hung_job_does_not_hold_the_end_up);
	tcase_add_test(one, pool_may_be_freed_in_a_callback);
	tcase_add_test(one, key_may_be_freed_while_its_jobs_are_out);
	tcase_add_test(one, errors_of_pools);
	tcase_add_test(one, no_thread_to_be_had_is_an_error);
	suite_add_tcase(suite, one);

	tcase_add_checked_fixture(many, setup_many, teardown);
	tcase_set_timeout(many, 60);
	tcase_add_test(many, jobs_of_one_key_run_one_at_a_time_and_in_order);
	tcase_add_loop_test(many, keys_run_side_by_side, 0, 2);
	tcase_add_test(many, threads_are_bounded);
	tcase_add_test(many, job_that_hangs_keeps_its_thread_and_no_other_key);
	tcase_add_test(many, storm_of_jobs_and_cancels_settles);
	suite_add_tcase(suite, many);

	tcase_add_checked_fixture(real, setup_real, teardown);
	tcase_set_timeout(real, 60);
	tcase_add_test(real, time_out_abandons_a_job);
	tcase_add_test(real, late_job_of_a_shared_key_does_not_hold_up_the_others);
	tcase_add_test(real, jobs_of_a_shared_key_run_one_at_a_time_while_none_is_late);
	tcase_add_loop_test(real, pool_with_a_late_shared_key_can_be_freed, 0, 2);
	suite_add_tcase(suite, real);

	return suite_run(suite);
}
