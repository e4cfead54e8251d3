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
 * The pool's memory outlives workers_free() until the last key is freed, so owners of keys need
 * not know the order of things at the end.
 */
#include <errno.h>

#include "posts.h"
#include "workers.h"

#include "iotd/base.h"
#include "iotd/clock.h"

#define THREADS_MAX 1024
#define TOGETHER_US (5 * USEC_PER_MSEC) /* for so long a shared key keeps results back */
#define HURRY	    40 /* part of its patience that a shared key has left when a job was late */

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

/*
 * With the mutex held, which is let go while a job runs. @now_us: when the job before ended, then this one.
 * Return: false: another thread has taken the key over
 */
static bool run_next(struct worker_key *key, struct worker_job *job, int64_t *now_us)
{
	struct workers *workers = key->workers;
	uint64_t begun = key->begun;
	int64_t before_us = *now_us;

	(void)pthread_mutex_unlock(&workers->mutex);
	if (atomic_load(&job->abandoned)) {
		job->result = -ECANCELED;
	} else {
		job->result = job->run(job);
		*now_us = clock_monotonic_us();
		job->took_us = *now_us - before_us;
	}
	(void)pthread_mutex_lock(&workers->mutex);
	if (!key->done)
		key->done_first = &job->post;
	job->post.next = key->done;
	key->done = &job->post;
	if (key->patience_us == 0 || key->begun != begun ||
	    *now_us > key->posted_us + TOGETHER_US) {
		post_done(key);
		key->posted_us = *now_us;
	}
	return key->begun == begun;
}

static void serve(struct worker_key *key)
{
	int64_t now_us = clock_monotonic_us();
	struct worker_job *job;

	key->posted_us = now_us;
	while (!key->workers->is_stopping) {
		job = take_job(key);
		if (!job)
			break;
		if (!run_next(key, job, &now_us))
			return;
	}
	post_done(key);
	key->is_busy = false;
	if (key->jobs.first)
		key_make_ready(key); /* stopping: workers_free() finds them there */
}

/* with the mutex held */
void workers_serve(struct workers *workers)
{
	while (workers->ready && !workers->is_stopping) {
		struct worker_key *key = take_ready(workers);

		serve(key);
		key_unref(key);
	}
}

/* --- on the reactor ------------------------------------------------------------------------- */

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
	workers_unlock_and_wake(workers);
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
	workers_unlock_and_wake(workers);
}

int worker_run(struct worker_key *key, struct worker_job *job)
{
	struct workers *workers = key->workers;

	if (job->out)
		return -EBUSY;
	if (atomic_load(&workers->is_stopping))
		return -ESHUTDOWN;
	if (!workers->has_started && workers_first_thread(workers) < 0)
		return -EAGAIN;
	future_init(&job->future, workers->reactor, job_abandoned);
	job->post.run = job_back;
	job->key = key;
	job->out = true;
	job->took_us = 0;
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
	workers_free_threads(workers);
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
	struct workers *workers;

	if (threads < 1 || threads > THREADS_MAX)
		return -EINVAL;
	workers = calloc(1, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	if (workers_init_threads(workers, threads) < 0) {
		free(workers);
		return -ENOMEM;
	}
	workers->reactor = reactor;
	workers->name = name;
	workers->hand_over.run = hand_over;
	workers->ready_last = &workers->ready;
	for (int hurry = HURRY_NONE; hurry <= HURRY_MOST; hurry++)
		job_list_init(&workers->collected[hurry]);
	(void)pthread_mutex_init(&workers->mutex, NULL);
	*ret = workers;
	return 0;
}

void workers_set_idle(struct workers *workers, int64_t idle_us)
{
	workers->idle_us = idle_us;
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
	if (!workers_end_threads(workers, timeout_us))
		return -ETIMEDOUT;
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
