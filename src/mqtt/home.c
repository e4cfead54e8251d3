/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way home: a task that goes round
 *
 *	wait -> try the first broker -> the second … -> the last one before ours -> wait
 *
 * A try is a whole connection, up to the CONNACK, beside the one that is up and without touching
 * it. One that succeeds is not given up again but becomes the link's own: so what answers is what
 * will be used, and a broker that takes connections but refuses us is no home. Rejected: to look
 * only whether the port is open (a broker that is starting, or refuses us, would cost the
 * connection that works).
 *
 * Between rounds lie five times reconnect_max, give or take a fifth: 5 minutes by default. A home
 * that is still failing then costs one change of broker in that time, and a fleet does not come
 * back all at once.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "home.h"
#include "iotd/log.h"

#define ROUND_TIMES 5 /* reconnect_max */

static int home_try(struct task *task, int result);
static int home_answered(struct task *task, int result);

static int64_t home_delay(const struct home *home)
{
	int64_t usual_us = home->parts->settings->reconnect_max_us * ROUND_TIMES;
	uint64_t random = 0; /* and if there is none: the earliest time */

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	return usual_us / 5 * 4 + (int64_t)(random % (uint64_t)(usual_us / 5 * 2 + 1));
}

static int home_wait(struct task *task)
{
	struct home *home = task_data(task);

	home->at = 0;
	return task_sleep(task, home_delay(home), home_try);
}

static int home_begin(struct task *task, int result)
{
	(void)result;
	return home_wait(task);
}

static int home_try_next(struct task *task)
{
	struct home *home = task_data(task);

	home->there = connection_free(home->there);
	home->at++;
	return home->at < home->away ? home_try(task, 0) : home_wait(task);
}

static int home_try(struct task *task, int result)
{
	struct home *home = task_data(task);
	const struct message *will;

	if (result < 0)
		return result;
	will = home->will(home);
	if (!will || connection_new(&home->there, home->parts->settings, home->at, will,
				    &home->wills[home->at]) < 0)
		return home_wait(task);
	home->there->tls = tls_context_ref(home->tls);
	if (connection_connect(home->there, home->key) < 0)
		return home_try_next(task);
	return task_await(task, &home->there->job.future, home_answered);
}

static int home_answered(struct task *task, int result)
{
	struct home *home = task_data(task);

	home->wills[home->at] = home->there->will;
	if (home->there->is_introduced)
		home->spent(home);
	if (result == 0) {
		/* not from here: who is told stops this task */
		reactor_defer(home->parts->reactor, &home->tell);
		return 0;
	}
	log_debug("%s is not back yet: %s", home->there->url,
		  result == -EHOSTUNREACH ? home->there->why : strerror(-result));
	return home_try_next(task);
}

static void home_tell(struct reactor_call *call)
{
	struct home *home = container_of(call, struct home, tell);

	home->found(home, take_ptr(home->there), home->at);
}

void home_leave(struct home *home, size_t away)
{
	home_stop(home);
	if (away == 0)
		return;
	home->away = away;
	home->tell.run = home_tell;
	if (task_spawn(&home->task, home->parts->reactor, home_begin, home, NULL) < 0)
		log_debug("out of memory: not looking for the first broker");
}

void home_stop(struct home *home)
{
	if (home->task) {
		task_cancel(home->task);
		(void)task_result(home->task);
		home->task = task_release(home->task);
		reactor_cancel_call(&home->tell);
	}
	if (home->there)
		home->spent(home); /* a worker may still be at it */
	home->there = connection_orphan(home->there);
}
