/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers: keys are queues, threads serve them.
 *
 * A key is ready when it has jobs and no thread is on it; ready keys wait in one list, and a thread
 * takes a key and serves it until it has no more jobs. So jobs of one key never run side by side, a
 * bus costs one hand-over for all that is due on it, and a hung bus holds one thread and no other
 * key. A shared key is for jobs that do not mind each other, such as reads of plain files: one
 * thread serves it as long as each job comes back within the key's patience, a further one while
 * one hangs. Where one hangs the next may hang as well (a network file system that is away): so
 * the thread that takes over is given a fraction of that time.
 *
 * Results of a shared key go back together, when it has no more jobs or after some milliseconds: the
 * reactor would have a turn for each, and where processors are few it would take the one that the
 * thread is on, so that the last of a thousand files is read twice as late. Where a job is late the
 * patience timer posts what was done before it.
 *
 * worker_run() only collects; one deferred call hands a turn's jobs over with one lock, those that are in a
 * hurry first: a thousand that fall due together take some milliseconds. A job that
 * was abandoned before it began is not run: what nobody waits for any more must not reach the
 * hardware late.
 *
 * A thread that is not to be had (memory, TasksMax=) is tried for again as long as a key waits: those
 * that run may all hang.
 *
 * The pool's memory outlives workers_free() until the last key is freed, so owners of keys need
 * not know the order of things at the end.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/worker.h"
#include "posts.h"

#define THREADS_MAX 1024
#define RETRY_US    (100 * USEC_PER_MSEC)
#define TOGETHER_US (5 * USEC_PER_MSEC) /* for so long a shared key keeps results back */
#define HURRY	    40 /* part of its patience that a shared key has left when a job was late */

struct job_list {
	struct worker_job *first, **last;
};

struct worker_key {
	struct workers *workers;
	struct worker_key *next; /* in the list of ready keys */
	struct job_list jobs;
	struct reactor_post *done, *done_first; /* by @next, the latest first; not posted yet */
	int64_t posted_us;   /* when the latest were that are, or when a thread took the key */
	bool is_busy;	     /* ready, or a thread is on it that is not late */
	uint64_t begun;	     /* counts jobs, to see whether the same one still runs */
	int64_t patience_us; /* 0: one job at a time, whatever it takes */
	uint64_t watched;    /* the job, by @begun, that is late if it runs still when... */
	int64_t wait_us; /* ...the patience timer fires, set for so long; reactor's thread only */
	size_t out;	 /* jobs that are not back; reactor's thread only */
	struct reactor_timer patience;
	atomic_size_t references; /* its owner, each job that is out, a thread that is on it */
};

struct workers {
	struct reactor *reactor;
	const char *name;
	struct reactor_call hand_over;
	struct reactor_timer retry; /* for a thread; reactor's thread only, as are the next ones */
	bool is_short;		    /* and that was logged */
	struct job_list collected[HURRY_MOST + 1]; /* of this turn; reactor's thread only */
	size_t keys;				   /* reactor's thread only */
	bool is_freed;

	pthread_mutex_t mutex;
	pthread_cond_t ready_changed, ended;
	struct worker_key *ready, **ready_last;
	size_t ready_count, idle, running, limit;
	pthread_t *threads;
	size_t started;
	atomic_bool is_stopping; /* changed with the mutex held */
};

static void job_list_init(struct job_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void job_list_append(struct job_list *list, struct worker_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

static struct worker_job *job_list_take(struct job_list *list)
{
	struct worker_job *first = list->first;

	job_list_init(list);
	return first;
}

/* --- on the workers ------------------------------------------------------------------------- */

static void key_unref(struct worker_key *key)
{
	if (atomic_fetch_sub(&key->references, 1) == 1)
		free(key);
}

static void key_make_ready(struct worker_key *key)
{
	struct workers *workers = key->workers;

	atomic_fetch_add(&key->references, 1);
	key->is_busy = true;
	key->next = NULL;
	*workers->ready_last = key;
	workers->ready_last = &key->next;
	workers->ready_count++;
}

static bool key_is_ready(const struct worker_key *key)
{
	for (const struct worker_key *k = key->workers->ready; k; k = k->next)
		if (k == key)
			return true;
	return false;
}

static struct worker_key *take_ready(struct workers *workers)
{
	struct worker_key *key = workers->ready;

	workers->ready = key->next;
	if (!workers->ready)
		workers->ready_last = &workers->ready;
	workers->ready_count--;
	return key;
}

static struct worker_job *take_job(struct worker_key *key)
{
	struct worker_job *job = key->jobs.first;

	if (!job)
		return NULL;
	key->jobs.first = job->next;
	if (!key->jobs.first)
		key->jobs.last = &key->jobs.first;
	key->begun++;
	return job;
}

/* with the mutex held */
static void post_done(struct worker_key *key)
{
	struct reactor_post *done = take_ptr(key->done);

	if (done) /* not ours from here on */
		reactor_post_several(key->workers->reactor, done, key->done_first);
}

/* with the mutex held, which is let go while a job runs; false: another thread has taken the key
 * over */
static bool run_next(struct worker_key *key, struct worker_job *job)
{
	struct workers *workers = key->workers;
	uint64_t begun = key->begun;
	int64_t now_us;

	(void)pthread_mutex_unlock(&workers->mutex);
	job->result = atomic_load(&job->abandoned) ? -ECANCELED : job->run(job);
	now_us = clock_monotonic_us();
	(void)pthread_mutex_lock(&workers->mutex);
	if (!key->done)
		key->done_first = &job->post;
	job->post.next = key->done;
	key->done = &job->post;
	if (key->patience_us == 0 || key->begun != begun || now_us > key->posted_us + TOGETHER_US) {
		post_done(key);
		key->posted_us = now_us;
	}
	return key->begun == begun;
}

static void serve(struct worker_key *key)
{
	struct worker_job *job;

	key->posted_us = clock_monotonic_us();
	while (!key->workers->is_stopping) {
		job = take_job(key);
		if (!job)
			break;
		if (!run_next(key, job))
			return;
	}
	post_done(key);
	key->is_busy = false;
	if (key->jobs.first)
		key_make_ready(key); /* stopping: workers_free() finds them there */
}

static void *worker_main(void *argument)
{
	struct workers *workers = argument;

	(void)pthread_setname_np(pthread_self(), workers->name);
	(void)pthread_mutex_lock(&workers->mutex);
	while (!workers->is_stopping) {
		struct worker_key *key;

		if (!workers->ready) {
			workers->idle++;
			(void)pthread_cond_wait(&workers->ready_changed, &workers->mutex);
			workers->idle--;
			continue;
		}
		key = take_ready(workers);
		serve(key);
		key_unref(key);
	}
	workers->running--;
	(void)pthread_cond_broadcast(&workers->ended);
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
			    "is late "
			    "(memory, TasksMax= in the unit)",
			    workers->started, strerror(-r));
	else
		log_notice("threads can be started again");
}

static int start_thread(struct workers *workers)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the reactor's */
	r = pthread_create(&workers->threads[workers->started], NULL, worker_main, workers);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	workers->started++;
	workers->running++;
	return 0;
}

static void job_finish(struct worker_job *job, int result)
{
	struct worker_key *key = job->key;

	job->out = false;
	if (--key->out == 0)
		reactor_stop_timer(&key->patience); /* an idle host is not woken for nothing */
	reactor_release(key->workers->reactor);
	key_unref(key);
	if (result < 0)
		future_reject(&job->future, result);
	else
		future_resolve(&job->future, result);
	if (job->idle)
		job->idle(job); /* may free it */
}

static void job_back(struct reactor_post *post)
{
	struct worker_job *job = container_of(post, struct worker_job, post);

	job_finish(job, job->result);
}

static void job_abandoned(struct future *future)
{
	struct worker_job *job = container_of(future, struct worker_job, future);

	atomic_store(&job->abandoned, true);
}

/* with the mutex held: a thread for each ready key, as far as there are any */
static void wake_threads(struct workers *workers)
{
	size_t wake = workers->ready_count < workers->idle ? workers->ready_count : workers->idle;
	int r = 0;

	for (size_t i = workers->idle;
	     i < workers->ready_count && workers->started < workers->limit && r == 0; i++) {
		r = start_thread(workers);
		note_shortage(workers, r);
	}
	for (size_t i = 0; i < wake; i++)
		(void)pthread_cond_signal(&workers->ready_changed);
}

static void retry_due(struct reactor_timer *timer)
{
	struct workers *workers = container_of(timer, struct workers, retry);

	(void)pthread_mutex_lock(&workers->mutex);
	wake_threads(workers);
	(void)pthread_mutex_unlock(&workers->mutex);
}

/* with the mutex held */
static void watch(struct worker_key *key, int64_t wait_us)
{
	key->watched = key->begun + key_is_ready(key); /* the one that runs, or the first to run */
	key->wait_us = wait_us;
}

/* with the mutex held: the watched job is late, another thread serves the rest */
static void take_over(struct worker_key *key)
{
	key->begun++; /* so that the late thread leaves the key when it is back */
	key_make_ready(key);
	wake_threads(key->workers);
	watch(key, key->patience_us / HURRY);
}

static void patience_over(struct reactor_timer *timer)
{
	struct worker_key *key = container_of(timer, struct worker_key, patience);
	struct workers *workers = key->workers;
	bool has_more;

	(void)pthread_mutex_lock(&workers->mutex);
	post_done(key); /* what came before a job that is late */
	has_more = key->is_busy && key->jobs.first;
	if (has_more && key_is_ready(key)) /* no thread is free, or not yet */
		watch(key,
		      key->wait_us * 2 < key->patience_us ? key->wait_us * 2 : key->patience_us);
	else if (has_more && key->begun == key->watched)
		take_over(key);
	else
		watch(key, key->patience_us);
	(void)pthread_mutex_unlock(&workers->mutex);
	if (has_more)
		(void)reactor_set_timer(workers->reactor, timer,
					reactor_now(workers->reactor) + key->wait_us);
}

/* with the mutex held */
static void give_to_keys(struct workers *workers, struct worker_job *job)
{
	while (job) {
		struct worker_job *next = job->next;
		struct worker_key *key = job->key;

		job_list_append(&key->jobs, job);
		if (!key->is_busy)
			key_make_ready(key);
		if (key->patience_us > 0 && !reactor_timer_is_set(&key->patience)) {
			watch(key, key->patience_us);
			(void)reactor_set_timer(workers->reactor, &key->patience,
						reactor_now(workers->reactor) + key->patience_us);
		}
		job = next;
	}
}

static void hand_over(struct reactor_call *call)
{
	struct workers *workers = container_of(call, struct workers, hand_over);

	(void)pthread_mutex_lock(&workers->mutex);
	for (int hurry = HURRY_MOST; hurry >= HURRY_NONE; hurry--)
		give_to_keys(workers, job_list_take(&workers->collected[hurry]));
	wake_threads(workers);
	(void)pthread_mutex_unlock(&workers->mutex);
}

int worker_run(struct worker_key *key, struct worker_job *job)
{
	struct workers *workers = key->workers;
	int r;

	if (job->out)
		return -EBUSY;
	if (atomic_load(&workers->is_stopping))
		return -ESHUTDOWN;
	if (workers->started == 0) {
		(void)pthread_mutex_lock(&workers->mutex);
		r = start_thread(workers);
		(void)pthread_mutex_unlock(&workers->mutex);
		if (r < 0)
			return -EAGAIN;
	}
	future_init(&job->future, workers->reactor, job_abandoned);
	job->post.run = job_back;
	job->key = key;
	job->out = true;
	atomic_store(&job->abandoned, false);
	atomic_fetch_add(&key->references, 1);
	key->out++;
	reactor_hold(workers->reactor);
	job_list_append(&workers->collected[job->hurry], job);
	reactor_defer(workers->reactor, &workers->hand_over);
	return 0;
}

bool worker_job_is_idle(const struct worker_job *job)
{
	return !job->out;
}

/* --- life ----------------------------------------------------------------------------------- */

int worker_key_new(struct worker_key **ret, struct workers *workers, int64_t patience_us)
{
	struct worker_key *key = calloc(1, sizeof(*key));

	if (!key)
		return -ENOMEM;
	key->patience_us = patience_us;
	key->patience.fire = patience_over;
	key->workers = workers;
	atomic_init(&key->references, 1);
	job_list_init(&key->jobs);
	workers->keys++;
	*ret = key;
	return 0;
}

struct workers *worker_key_pool(const struct worker_key *key)
{
	return key->workers;
}

static void workers_destroy(struct workers *workers)
{
	(void)pthread_mutex_destroy(&workers->mutex);
	(void)pthread_cond_destroy(&workers->ready_changed);
	(void)pthread_cond_destroy(&workers->ended);
	free(workers->threads);
	free(workers);
}

struct worker_key *worker_key_free(struct worker_key *key)
{
	struct workers *workers;

	if (!key)
		return NULL;
	workers = key->workers;
	reactor_stop_timer(&key->patience);
	key_unref(key);
	workers->keys--;
	if (workers->keys == 0 && workers->is_freed)
		workers_destroy(workers);
	return NULL;
}

int workers_new(struct workers **ret, struct reactor *reactor, const char *name, size_t threads)
{
	pthread_condattr_t attributes;
	struct workers *workers;

	if (threads < 1 || threads > THREADS_MAX)
		return -EINVAL;
	workers = calloc(1, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	workers->threads = calloc(threads, sizeof(*workers->threads));
	if (!workers->threads) {
		free(workers);
		return -ENOMEM;
	}
	workers->reactor = reactor;
	workers->name = name;
	workers->limit = threads;
	workers->hand_over.run = hand_over;
	workers->retry.fire = retry_due;
	workers->ready_last = &workers->ready;
	for (int hurry = HURRY_NONE; hurry <= HURRY_MOST; hurry++)
		job_list_init(&workers->collected[hurry]);
	(void)pthread_mutex_init(&workers->mutex, NULL);
	(void)pthread_cond_init(&workers->ready_changed, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&workers->ended, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	*ret = workers;
	return 0;
}

/* false: some thread did not come back in time */
static bool await_threads(struct workers *workers, int64_t timeout_us)
{
	int64_t end_us = clock_monotonic_us() + timeout_us;
	struct timespec end = { .tv_sec = end_us / USEC_PER_SEC,
				.tv_nsec = end_us % USEC_PER_SEC * NSEC_PER_USEC };
	bool all_ended;
	int r = 0;

	(void)pthread_mutex_lock(&workers->mutex);
	atomic_store(&workers->is_stopping, true);
	(void)pthread_cond_broadcast(&workers->ready_changed);
	while (workers->running > 0 && r == 0)
		r = pthread_cond_timedwait(&workers->ended, &workers->mutex, &end);
	all_ended = workers->running == 0;
	(void)pthread_mutex_unlock(&workers->mutex);
	return all_ended;
}

static void drop_jobs(struct worker_job *job)
{
	while (job) {
		struct worker_job *next = job->next;

		job_finish(job, -ECANCELED);
		job = next;
	}
}

int workers_free(struct workers *workers, int64_t timeout_us)
{
	if (!workers)
		return 0;
	reactor_stop_timer(&workers->retry);
	if (!await_threads(workers, timeout_us))
		return -ETIMEDOUT;
	for (size_t i = 0; i < workers->started; i++)
		(void)pthread_join(workers->threads[i], NULL);
	reactor_run_posts(workers->reactor);
	while (workers->ready) {
		struct worker_key *key = take_ready(workers);

		drop_jobs(job_list_take(&key->jobs));
		key_unref(key);
	}
	for (int hurry = HURRY_MOST; hurry >= HURRY_NONE; hurry--)
		drop_jobs(job_list_take(&workers->collected[hurry]));
	reactor_cancel_call(&workers->hand_over);
	workers->is_freed = true;
	if (workers->keys == 0)
		workers_destroy(workers);
	return 0;
}
