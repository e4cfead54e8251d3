/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs of the tests of workers: see the header. */
#include <check.h>
#include <errno.h>

#include "work.h"

#include "iotd/base.h"
#include "iotd/clock.h"

struct worker_key *keys[16];
int order[64];
atomic_int order_count;
sem_t begun, gate;

static int unguarded; /* by a lock, that is: counted by jobs of one key */

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

void work_idle(struct worker_job *job)
{
	struct work *work = container_of(job, struct work, job);

	ck_assert(worker_job_is_idle(job));
	ck_assert_int_ne(future_result(&job->future), -EINPROGRESS);
	work->idle_count++;
}

struct work work_make(int number)
{
	return (struct work){
		.job.run = work_run, .job.idle = work_idle, .number = number, .got = 1
	};
}

int step_done(struct task *task, int result)
{
	struct work *work = task_data(task);

	work->got = result;
	return 0;
}

int step_await(struct task *task, int result)
{
	(void)result;
	return task_await(task, &((struct work *)task_data(task))->job.future, step_done);
}

void hand(struct work *work, struct worker_key *key)
{
	ck_assert_int_eq(worker_run(key, &work->job), 0);
	ck_assert(!worker_job_is_idle(&work->job));
	if (!work->task)
		ck_assert_int_eq(task_spawn(&work->task, reactor, step_await, work, NULL), 0);
}

void run_all(void)
{
	run_for(1000);
}

void await_semaphore(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0 && errno == EINTR)
		;
}

static void setup(size_t threads)
{
	atomic_store(&order_count, 0); /* all tests may share one process (CK_FORK=no) */
	unguarded = 0;
	if (!reactor)
		ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", threads), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ck_assert_int_eq(worker_key_new(&keys[i], workers, 0), 0);
	ck_assert_int_eq(sem_init(&begun, 0, 0), 0);
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
}

void setup_one(void)
{
	setup(1);
}

void setup_many(void)
{
	setup(8);
}

void setup_real(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	setup(8);
}

void teardown(void)
{
	if (workers)
		ck_assert_int_eq(workers_free(workers, 10 * USEC_PER_SEC), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = worker_key_free(keys[i]);
	reactor = reactor_free(reactor);
}

void free_workers(void)
{
	ck_assert_int_eq(workers_free(take_ptr(workers), 10 * USEC_PER_SEC), 0);
}

void release(struct work *work)
{
	work->task = task_release(work->task);
}

int does_count(struct work *work)
{
	return work->number == unguarded++ ? 0 : -EPROTO;
}
