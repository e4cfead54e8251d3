/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Jobs of the tests of workers. One may say that it began, and wait for a gate, so that nothing here
 * depends on how long anything takes.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>

#include "reactor-fixture.h"

#include "iotd/worker.h"

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

extern struct worker_key *keys[16];

/* what the workers did, in order; written by them alone, read when they are through */
extern int order[64];
extern atomic_int order_count;
extern sem_t begun, gate;

void setup_one(void);
void setup_many(void);

/* time goes on while jobs are out */
void setup_real(void);
void teardown(void);
void free_workers(void);

struct work work_make(int number);
void work_idle(struct worker_job *job);

/* for @does: fails unless jobs run one at a time, in the order of their numbers */
int does_count(struct work *work);

/* runs it, and has a task await it */
void hand(struct work *work, struct worker_key *key);
void release(struct work *work);

/* the steps of that task */
int step_await(struct task *task, int result);
int step_done(struct task *task, int result);

/* until all jobs are back: the virtual clock waits for them */
void run_all(void);
void await_semaphore(sem_t *semaphore);
