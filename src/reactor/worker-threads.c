/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads of a pool: started when a key waits, ended when they are not needed. Of the idle ones the
 * latest is woken first, so those that a start or a bus that hung needed in addition stay idle and
 * end; the last one stays.
 *
 * A thread that is not to be had (memory, TasksMax=) is tried for again as long as a key waits: those
 * that run may all hang.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "workers.h"

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/log.h"

#define RETRY_US (100 * USEC_PER_MSEC)
#define IDLE_US	 (10 * USEC_PER_SEC)

/* --- on the threads ------------------------------------------------------------------------- */

/* with the mutex held. Return: false: nothing was to be done for so long that the thread may end */
static bool wait_idle(struct thread *thread)
{
	struct workers *workers = thread->workers;
	int64_t end_us = clock_monotonic_us() + workers->idle_us;
	struct timespec end = { .tv_sec = end_us / USEC_PER_SEC,
				.tv_nsec = end_us % USEC_PER_SEC * NSEC_PER_USEC };
	struct thread **link = &workers->idle;
	bool is_late = false;

	thread->is_woken = false;
	thread->next = workers->idle;
	workers->idle = thread;
	while (!thread->is_woken && !(is_late && workers->staying > 1))
		if (workers->staying > 1)
			is_late = pthread_cond_timedwait(&thread->woken, &workers->mutex, &end) ==
				  ETIMEDOUT;
		else
			(void)pthread_cond_wait(&thread->woken, &workers->mutex);
	if (thread->is_woken)
		return true;
	while (*link != thread)
		link = &(*link)->next;
	*link = thread->next;
	workers->staying--;
	return false;
}

/* with the mutex held: it has let it go for good, so this takes no time */
static void join(struct thread *ended)
{
	struct workers *workers = ended->workers;

	(void)pthread_join(ended->id, NULL);
	ended->next = workers->spare;
	workers->spare = ended;
}

static void *worker_main(void *argument)
{
	struct thread *thread = argument;
	struct workers *workers = thread->workers;

	(void)pthread_setname_np(pthread_self(), workers->name);
	(void)pthread_mutex_lock(&workers->mutex);
	do {
		workers->coming--;
		workers_serve(workers);
	} while (!workers->is_stopping && wait_idle(thread));
	if (workers->ended)
		join(workers->ended); /* so there is only one that is not joined */
	workers->ended = thread;
	workers->running--;
	(void)pthread_cond_signal(&workers->all_ended);
	(void)pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

/* --- on the reactor ------------------------------------------------------------------------- */

static void note_shortage(struct workers *workers, int r)
{
	bool is_short = r < 0;

	if (is_short)
		(void)reactor_set_timer(workers->reactor, &workers->retry,
					reactor_now(workers->reactor) + RETRY_US);
	if (is_short == workers->is_short)
		return;
	workers->is_short = is_short;
	if (is_short)
		log_warning("no further thread can be started beside %zu: %s; what waits for one "
			    "is late (memory, TasksMax= in the unit)",
			    workers->running, strerror(-r));
	else
		log_notice("threads can be started again");
}

/* with the mutex held, there is a spare one */
static int start_thread(struct workers *workers)
{
	struct thread *thread = workers->spare;
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the reactor's */
	r = pthread_create(&thread->id, NULL, worker_main, thread);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	workers->spare = thread->next;
	workers->coming++;
	workers->running++;
	workers->staying++;
	workers->has_started = true;
	return 0;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(condition, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

/* with the mutex held; memory for the most threads is touched as far as it is needed */
static bool has_spare(struct workers *workers)
{
	if (!workers->spare && workers->ended)
		join(take_ptr(workers->ended));
	if (!workers->spare && workers->untouched > 0) {
		workers->spare = &workers->threads[--workers->untouched];
		workers->spare->workers = workers;
		init_condition(&workers->spare->woken);
	}
	return workers->spare;
}

/* with the mutex held. Return: of those that wait the one that began to last; NULL: none */
static struct thread *take_idle(struct workers *workers)
{
	struct thread *thread = workers->idle;

	if (!thread)
		return NULL;
	workers->idle = thread->next;
	workers->coming++;
	thread->is_woken = true;
	return thread;
}

/* with the mutex held, which is let go: a thread for each ready key, as far as there are any */
void workers_unlock_and_wake(struct workers *workers)
{
	struct thread *woken = NULL, *thread;
	size_t wanted = 0;
	int r = 0;

	if (workers->ready_count > workers->coming)
		wanted = workers->ready_count - workers->coming;
	for (; wanted > 0 && (thread = take_idle(workers)); wanted--) {
		thread->next_woken = woken;
		woken = thread;
	}
	for (; wanted > 0 && r == 0 && has_spare(workers); wanted--) {
		r = start_thread(workers);
		note_shortage(workers, r);
	}
	(void)pthread_mutex_unlock(&workers->mutex); /* first: who is woken would wait for it */
	for (; woken; woken = thread) {
		thread = woken->next_woken;
		(void)pthread_cond_signal(&woken->woken);
	}
}

static void retry_due(struct reactor_timer *timer)
{
	struct workers *workers = container_of(timer, struct workers, retry);

	(void)pthread_mutex_lock(&workers->mutex);
	workers_unlock_and_wake(workers);
}

int workers_init_threads(struct workers *workers, size_t most)
{
	workers->threads = calloc(most, sizeof(*workers->threads));
	if (!workers->threads)
		return -ENOMEM;
	workers->untouched = most;
	workers->idle_us = IDLE_US;
	workers->retry.fire = retry_due;
	init_condition(&workers->all_ended);
	return 0;
}

int workers_first_thread(struct workers *workers)
{
	int r = 0;

	(void)pthread_mutex_lock(&workers->mutex);
	if (has_spare(workers))
		r = start_thread(workers);
	(void)pthread_mutex_unlock(&workers->mutex);
	return r;
}

/* false: some thread did not come back in time */
bool workers_end_threads(struct workers *workers, int64_t timeout_us)
{
	int64_t end_us = clock_monotonic_us() + timeout_us;
	struct timespec end = { .tv_sec = end_us / USEC_PER_SEC,
				.tv_nsec = end_us % USEC_PER_SEC * NSEC_PER_USEC };
	struct thread *thread;
	bool all_ended;
	int r = 0;

	(void)pthread_mutex_lock(&workers->mutex);
	atomic_store(&workers->is_stopping, true);
	while ((thread = take_idle(workers)))
		(void)pthread_cond_signal(&thread->woken);
	while (workers->running > 0 && r == 0)
		r = pthread_cond_timedwait(&workers->all_ended, &workers->mutex, &end);
	all_ended = workers->running == 0;
	if (all_ended && workers->ended)
		join(take_ptr(workers->ended));
	(void)pthread_mutex_unlock(&workers->mutex);
	return all_ended;
}

void workers_free_threads(struct workers *workers)
{
	(void)pthread_cond_destroy(&workers->all_ended);
	free(workers->threads);
}
