/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the linker puts in place of the real thing (--wrap), so that the same seed is the same run.
 *
 * The clocks are the reactor's. Workers are real threads, but how long they take must not matter: what
 * they post is held back until every job that was handed over is done, and then comes all at once
 * in the order of the hand-over. A job that parks hangs in virtual time: it, and the jobs that wait
 * behind it, let time pass.
 *
 * No wait has a limit in real time, for a limit in virtual time would be over at once.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "days.h"
#include "iotd/log.h"
#include "reactor/posts.h"

#define JOBS_MAX 512

enum job_stage {
	JOB_COLLECTED,
	JOB_HANDED_OVER,
	JOB_DONE
};

struct park {
	struct reactor_timer timer;
	int64_t hang_us;
	bool is_armed, is_over;
};

struct job {
	struct worker_job *job;
	struct worker_key *key;
	struct workers *pool;
	struct reactor_call *hand_over;
	enum job_stage stage;
	struct park *park;
	bool is_released; /* time does not wait for it */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER, woken = PTHREAD_COND_INITIALIZER;
static struct job jobs[JOBS_MAX]; /* in the order of the hand-over */
static size_t job_count;
static bool is_in_worker_run, is_ending;    /* ending: nothing hangs any more */
static struct reactor_call *hand_over_call; /* of the pool that worker_run() is about */
static void (*hand_over)(struct reactor_call *call);

int real_worker_run(struct worker_key *key, struct worker_job *job) REAL(worker_run);
void real_reactor_defer(struct reactor *reactor, struct reactor_call *call) REAL(reactor_defer);
void real_reactor_post_several(struct reactor *reactor, struct reactor_post *latest,
			       struct reactor_post *earliest) REAL(reactor_post_several);
int real_workers_free(struct workers *workers, int64_t timeout_us) REAL(workers_free);
int real_epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms) REAL(epoll_wait);

int wrap_reactor_new(struct reactor **ret) WRAP(reactor_new);
int wrap_reactor_run(struct reactor *reactor, struct task *root) WRAP(reactor_run);
int wrap_worker_run(struct worker_key *key, struct worker_job *job) WRAP(worker_run);
void wrap_reactor_defer(struct reactor *reactor, struct reactor_call *call) WRAP(reactor_defer);
void wrap_reactor_post_several(struct reactor *reactor, struct reactor_post *latest,
			       struct reactor_post *earliest) WRAP(reactor_post_several);
int wrap_workers_free(struct workers *workers, int64_t timeout_us) WRAP(workers_free);
int wrap_epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms) WRAP(epoll_wait);
int wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *with,
				const struct timespec *until) WRAP(pthread_cond_timedwait);
int64_t wrap_clock_boottime_us(void) WRAP(clock_boottime_us);
int64_t wrap_clock_monotonic_us(void) WRAP(clock_monotonic_us);
int64_t wrap_clock_realtime_us(void) WRAP(clock_realtime_us);
int wrap_log_start(void) WRAP(log_start);
void wrap_log_event(int level, const struct log_fields *fields, const char *format, ...)
	WRAP(log_event) printf_like(3, 4);

/* --- clocks and the log --------------------------------------------------------------------- */

int64_t wrap_clock_boottime_us(void)
{
	return days_now();
}

int64_t wrap_clock_monotonic_us(void)
{
	return days_now();
}

int64_t wrap_clock_realtime_us(void)
{
	return days_real();
}

int wrap_reactor_new(struct reactor **ret)
{
	int r = reactor_new_virtual(ret, days_now());

	if (r == 0)
		world.reactor = *ret;
	return r;
}

int wrap_reactor_run(struct reactor *reactor, struct task *root)
{
	return days_life_run(reactor, root);
}

int wrap_log_start(void)
{
	return 0;
}

void wrap_log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	(void)fields;
	if (!world.traces)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	days_trace("log %d: %s", level, text);
}

int wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *with,
				const struct timespec *until)
{
	(void)until;
	return pthread_cond_wait(cond, with);
}

/* --- jobs ----------------------------------------------------------------------------------- */

static struct job *find_job(const struct reactor_post *post)
{
	for (size_t i = 0; i < job_count; i++)
		if (&jobs[i].job->post == post)
			return &jobs[i];
	return NULL;
}

static bool is_blocked(const struct job *job)
{
	for (const struct job *other = jobs; other < jobs + job_count; other++)
		if (other->park && other->key == job->key && other->stage == JOB_HANDED_OVER)
			return true;
	return false;
}

static bool all_done(void)
{
	for (size_t i = 0; i < job_count; i++)
		if (jobs[i].stage == JOB_HANDED_OVER && !is_blocked(&jobs[i]))
			return false;
	return true;
}

static void hand_over_all(struct reactor_call *call)
{
	(void)pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < job_count; i++)
		if (jobs[i].stage == JOB_COLLECTED && jobs[i].hand_over == call)
			jobs[i].stage = JOB_HANDED_OVER;
	(void)pthread_mutex_unlock(&mutex);
	atomic_store(&world.now_us, reactor_now(world.reactor));
	hand_over(call);
}

int wrap_worker_run(struct worker_key *key, struct worker_job *job)
{
	int r;

	is_in_worker_run = true;
	r = real_worker_run(key, job);
	is_in_worker_run = false;
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&mutex);
	if (job_count == JOBS_MAX)
		days_fail("more than %d jobs are out", JOBS_MAX);
	jobs[job_count++] = (struct job){
		.job = job,
		.key = key,
		.pool = worker_key_pool(key),
		.hand_over = hand_over_call,
	};
	(void)pthread_mutex_unlock(&mutex);
	return 0;
}

void wrap_reactor_defer(struct reactor *reactor, struct reactor_call *call)
{
	if (is_in_worker_run)
		hand_over_call = call;
	if (is_in_worker_run && call->run != hand_over_all) {
		hand_over = call->run;
		call->run = hand_over_all;
	}
	real_reactor_defer(reactor, call);
}

/* what workers post is jobs, all of it */
void wrap_reactor_post_several(struct reactor *reactor, struct reactor_post *latest,
			       struct reactor_post *earliest)
{
	struct job *job = NULL;

	(void)reactor;
	(void)pthread_mutex_lock(&mutex);
	for (struct reactor_post *post = latest; post;
	     post = post == earliest ? NULL : post->next) {
		job = find_job(post);
		if (!job)
			days_fail("a worker posts what is no job");
		job->stage = JOB_DONE;
	}
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&mutex);
}

/* --- hanging -------------------------------------------------------------------------------- */

void seams_park(struct worker_key *key, int64_t hang_us)
{
	struct park park = { .hang_us = hang_us };
	struct job *job = jobs;

	(void)pthread_mutex_lock(&mutex);
	while (job < jobs + job_count && (job->key != key || job->stage != JOB_HANDED_OVER))
		job++;
	if (job == jobs + job_count)
		days_fail("a job hangs that is not out");
	if (!is_ending)
		job->park = &park;
	(void)pthread_cond_broadcast(&changed);
	while (!park.is_over && !is_ending)
		(void)pthread_cond_wait(&woken, &mutex);
	(void)pthread_mutex_unlock(&mutex);
}

/* with the mutex held; time waits for its key again */
static void unpark(struct job *parked)
{
	for (struct job *job = jobs; job < jobs + job_count; job++) {
		if (job->key != parked->key || !job->is_released)
			continue;
		reactor_hold(world.reactor);
		job->is_released = false;
	}
	parked->park->is_over = true;
	parked->park = NULL;
	(void)pthread_cond_broadcast(&woken);
}

static void hang_is_over(struct reactor_timer *timer)
{
	const struct park *park = container_of(timer, struct park, timer);

	days_step();
	(void)pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < job_count; i++)
		if (jobs[i].park == park) {
			unpark(&jobs[i]);
			break;
		}
	(void)pthread_mutex_unlock(&mutex);
}

static void release_blocked(void)
{
	for (struct job *job = jobs; job < jobs + job_count; job++) {
		struct park *park = job->park;

		if (job->stage != JOB_HANDED_OVER || job->is_released)
			continue;
		reactor_release(world.reactor);
		job->is_released = true;
		if (!park || park->is_armed)
			continue;
		park->is_armed = true;
		park->timer.fire = hang_is_over;
		(void)reactor_set_timer(world.reactor, &park->timer, days_now() + park->hang_us);
	}
}

/* with the mutex held: what is done is posted. Return: how many */
static size_t post_done(void)
{
	size_t left = 0, posted = 0;

	for (size_t i = 0; i < job_count; i++) {
		if (jobs[i].stage != JOB_DONE) {
			jobs[left++] = jobs[i];
			continue;
		}
		if (jobs[i].is_released)
			reactor_hold(world.reactor);
		real_reactor_post_several(world.reactor, &jobs[i].job->post, &jobs[i].job->post);
		posted++;
	}
	job_count = left;
	return posted;
}

static size_t await_jobs(void)
{
	size_t posted;

	(void)pthread_mutex_lock(&mutex);
	while (!all_done())
		(void)pthread_cond_wait(&changed, &mutex);
	release_blocked();
	posted = post_done();
	(void)pthread_mutex_unlock(&mutex);
	return posted;
}

int wrap_epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
	days_step();
	if (timeout_ms != 0 && await_jobs() == 0)
		return 0; /* all that is out hangs */
	return real_epoll_wait(fd, events, count, 0);
}

static void forget_jobs(const struct workers *pool)
{
	size_t left = 0;

	for (size_t i = 0; i < job_count; i++)
		if (jobs[i].pool != pool)
			jobs[left++] = jobs[i];
	job_count = left;
}

/* nothing hangs at the end; what was handed over is done, what was not never will */
int wrap_workers_free(struct workers *workers, int64_t timeout_us)
{
	int r;

	(void)pthread_mutex_lock(&mutex);
	is_ending = true;
	for (size_t i = 0; i < job_count; i++)
		if (jobs[i].park) {
			reactor_stop_timer(&jobs[i].park->timer);
			unpark(&jobs[i]);
		}
	(void)pthread_mutex_unlock(&mutex);
	(void)await_jobs();
	r = real_workers_free(workers, timeout_us);
	(void)pthread_mutex_lock(&mutex);
	forget_jobs(workers);
	is_ending = false;
	(void)pthread_mutex_unlock(&mutex);
	return r;
}
