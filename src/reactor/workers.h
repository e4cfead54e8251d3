/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The pool: what the keys (worker.c) and the threads that serve them (worker-threads.c) share. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/worker.h"

struct job_list {
	struct worker_job *first, **last;
};

struct thread {
	struct workers *workers;
	pthread_t id;
	pthread_cond_t woken;
	bool is_woken;
	struct thread *next;	   /* of the spare or of the idle ones */
	struct thread *next_woken; /* reactor's thread only */
};

struct workers {
	struct reactor *reactor;
	const char *name;
	struct reactor_call hand_over;
	struct reactor_timer retry; /* for a thread; reactor's thread only, as are the next ones */
	bool is_short;		    /* and that was logged */
	bool has_started;	    /* a thread: one stays then */
	struct job_list collected[HURRY_MOST + 1]; /* of this turn; reactor's thread only */
	size_t keys;				   /* reactor's thread only */
	bool is_freed;

	pthread_mutex_t mutex;
	pthread_cond_t all_ended;
	struct worker_key *ready, **ready_last;
	size_t ready_count, running, staying;
	size_t coming; /* threads that were started or woken and have not looked for a key yet */
	int64_t idle_us;
	struct thread *threads;		     /* they stay: a late signal finds its own */
	size_t untouched;		     /* of them, at the end */
	struct thread *spare, *idle, *ended; /* ended: the latest, which nobody has joined yet */
	atomic_bool is_stopping;	     /* changed with the mutex held */
};

/** workers_init_threads() - none yet, at most @most. Return: 0; -ENOMEM */
int workers_init_threads(struct workers *workers, size_t most);

/** workers_first_thread() - there is one from here on. Return: 0; -EAGAIN and what else pthread_create(3) says */
int workers_first_thread(struct workers *workers);

/** workers_unlock_and_wake() - with the mutex held, which is let go: a thread for each ready key, as far as there are any */
void workers_unlock_and_wake(struct workers *workers);

/** workers_end_threads() - those that are idle at once, others when they are back. Return: false: not all in time */
bool workers_end_threads(struct workers *workers, int64_t timeout_us);

/** workers_free_threads() - after workers_end_threads() */
void workers_free_threads(struct workers *workers);

/** workers_serve() - with the mutex held, on a thread: until no key is ready; worker.c's */
void workers_serve(struct workers *workers);
