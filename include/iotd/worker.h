/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Workers: threads for whatever can only be done by blocking. A job goes out with a key and comes
 * back to the reactor as a future. Jobs with one key run one at a time and in order; different keys
 * run side by side. Threads start when they are needed, up to a bound, and end when they are not. Jobs that are handed over in
 * one turn cost one lock and one wake-up.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/task.h"

struct workers;
struct worker_key;

/** enum worker_hurry - of the jobs that one turn hands over to a key those with the greatest come first */
enum worker_hurry {
	HURRY_NONE,
	HURRY_SOME,
	HURRY_MOST
};

/**
 * struct worker_job - embedded in what the job works on
 * @run:    called on a worker; may block; returns the result (>= 0) or a negative errno
 * @idle:   if set, called on the reactor when the job is back, abandoned or not, after @future is
 *          done; may free the job
 * @future: the result, on the reactor
 * @hurry:  to be set before worker_run()
 * @took_us: how long @run took, once the job is back; 0: it was not begun
 *
 * From worker_run() until @future is done the job's memory belongs to the worker. If the awaiting
 * task is cancelled or times out the job is abandoned: @future is done with -ECANCELED, but the
 * worker may still be in @run: only after worker_job_is_idle() may it be freed or run again.
 */
struct worker_job {
	int (*run)(struct worker_job *job);
	void (*idle)(struct worker_job *job);
	struct future future;
	enum worker_hurry hurry;
	int64_t took_us;
	struct reactor_post post; /* private from here on */
	struct worker_key *key;
	struct worker_job *next;
	int result;
	bool out;
	atomic_bool abandoned;
};

/**
 * workers_new() - a pool
 * @name: of its threads, as `ps -L` and `top -H` show it; at most 15 bytes, which stay where they are
 * @threads: the most that may run at one time, 1 .. 1024; a job that hangs keeps one
 * Return: 0; -EINVAL @threads; -ENOMEM.
 */
int workers_new(struct workers **ret, struct reactor *reactor, const char *name, size_t threads);

/** workers_set_idle() - a thread that had nothing to do for @idle_us ends, but the last one; 10 s unless told. No job is out */
void workers_set_idle(struct workers *workers, int64_t idle_us);

/**
 * workers_free() - end the pool: waits for running jobs up to @timeout_us, drops those that wait
 * (-ECANCELED)
 *
 * Keys may be freed later. Return: 0 all threads ended and every job is back; -ETIMEDOUT a job
 * hangs: its thread and the pool's memory are left alone, the reactor must not be freed either, and
 * the process should end soon.
 */
int workers_free(struct workers *workers, int64_t timeout_us);

/**
 * worker_key_new() - a key
 * @patience_us: 0: its jobs never run at the same time. Else a shared key, for jobs that do not
 *               mind each other: they run one at a time as long as each is back within about this
 *               time; while one is late, another thread serves the rest. So a file that hangs does
 *               not hold up the others. Results come back together, at most 5 ms or this time after
 *               their jobs were done.
 * Return: 0; -ENOMEM.
 */
int worker_key_new(struct worker_key **ret, struct workers *workers, int64_t patience_us);

/** worker_key_pool() - the pool that serves @key */
struct workers *worker_key_pool(const struct worker_key *key);

/**
 * worker_key_free() - drop a key; NULL is fine; with jobs still out it goes when the last one is
 * back. Returns NULL
 */
struct worker_key *worker_key_free(struct worker_key *key);

/**
 * worker_run() - hand @job over at the end of this turn: to_thread()
 * @job: zeroed but for @run and @idle; not out
 *
 * Await &job->future. Return: 0; -EBUSY it is still out; -EAGAIN no thread can be started and none
 * runs; -ESHUTDOWN the pool was freed.
 */
int worker_run(struct worker_key *key, struct worker_job *job);

/** worker_job_is_idle() - true if no worker has it: it may be freed or run again */
bool worker_job_is_idle(const struct worker_job *job);

static inline void worker_key_freep(struct worker_key **key)
{
	*key = worker_key_free(*key);
}
