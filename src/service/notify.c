/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One worker job says what there is to say; what comes while it is out is said when it is back.
 *
 * sd_notify() opens a socket each time, and fails when no descriptor is left: systemd would hear
 * nothing from a daemon that is well and end it. So one socket is opened at the start (socket.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/service.h"
#include "socket.h"

#define STATUS_SIZE 768

struct notify {
	struct reactor *reactor;
	struct worker_key *key;
	struct worker_job job;
	struct notify_socket socket;
	struct reactor_timer feed;
	int64_t feed_us; /* 0: no watchdog */
	bool (*is_healthy)(void *data);
	void *data;

	/* to be said when the worker is back */
	bool reloading, ready, stopping, alive;
	int64_t reloading_us;	  /* CLOCK_MONOTONIC */
	char status[STATUS_SIZE]; /* "": nothing new */

	bool was_ready, was_hungry;
	struct future told;	      /* everything, at the end */
	char text[STATUS_SIZE + 128]; /* with the worker while the job is out */
};

static int notify_job(struct worker_job *job)
{
	struct notify *notify = container_of(job, struct notify, job);

	notify_socket_send(&notify->socket, notify->text, 0);
	return 0;
}

/* a message of its own, before READY=1; sd_notify(3) wants the time with it */
static void notify_flush_reloading(struct notify *notify)
{
	(void)snprintf(notify->text, sizeof(notify->text),
		       "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", notify->reloading_us);
	if (worker_run(notify->key, &notify->job) == 0)
		notify->reloading = false;
}

static void notify_flush(struct notify *notify)
{
	bool has_status = notify->status[0] != '\0';

	if (!worker_job_is_idle(&notify->job))
		return;
	if (notify->reloading) {
		notify_flush_reloading(notify);
		return;
	}
	if (!notify->ready && !notify->stopping && !notify->alive && !has_status)
		return;
	(void)snprintf(notify->text, sizeof(notify->text), "%s%s%s%s%s%s",
		       notify->ready ? "READY=1\n" : "", notify->stopping ? "STOPPING=1\n" : "",
		       notify->alive ? "WATCHDOG=1\n" : "", has_status ? "STATUS=" : "",
		       notify->status, has_status ? "\n" : "");
	if (worker_run(notify->key, &notify->job) < 0)
		return; /* no thread to be had: said with the next that there is to say */
	notify->ready = notify->stopping = notify->alive = false;
	notify->status[0] = '\0';
}

static void notify_back(struct worker_job *job)
{
	struct notify *notify = container_of(job, struct notify, job);

	notify_flush(notify);
	if (worker_job_is_idle(job))
		future_resolve(&notify->told, 0);
}

static void notify_feed(struct reactor_timer *timer)
{
	struct notify *notify = container_of(timer, struct notify, feed);
	int64_t late_us = reactor_now(notify->reactor) - timer->due_us;
	/* stopped (SIGSTOP) or suspended: tasks are behind, and go on only after this turn */
	bool was_away = late_us > notify->feed_us;
	bool healthy = was_away || notify->is_healthy(notify->data);

	if (!healthy && !notify->was_hungry)
		log_error("watchdog: a task makes no progress; systemd will end iotd unless it "
			  "goes on");
	notify->was_hungry = !healthy;
	notify->alive |= healthy;
	notify_flush(notify);
	(void)reactor_set_timer(notify->reactor, timer,
				reactor_now(notify->reactor) + notify->feed_us);
}

int notify_new(struct notify **ret, struct workers *workers, struct reactor *reactor,
	       bool (*is_healthy)(void *data), void *data)
{
	cleanup(notify_freep) struct notify *notify = NULL;
	uint64_t watchdog_us = 0;
	int r;

	notify = calloc(1, sizeof(*notify));
	if (!notify)
		return -ENOMEM;
	notify->reactor = reactor;
	notify_socket_open(&notify->socket);
	future_init(&notify->told, reactor, NULL);
	notify->is_healthy = is_healthy;
	notify->data = data;
	notify->job.run = notify_job;
	notify->job.idle = notify_back;
	notify->feed.fire = notify_feed;
	r = worker_key_new(&notify->key, workers, 0);
	if (r < 0)
		return r;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0 && watchdog_us > 1) {
		notify->feed_us = (int64_t)(watchdog_us / 2);
		r = reactor_set_timer(reactor, &notify->feed, reactor_now(reactor));
		if (r < 0)
			return r;
	}
	*ret = take_ptr(notify);
	return 0;
}

struct notify *notify_free(struct notify *notify)
{
	if (!notify)
		return NULL;
	reactor_stop_timer(&notify->feed);
	worker_key_free(notify->key);
	closep(&notify->socket.fd);
	free(notify);
	return NULL;
}

struct worker_key *notify_key(const struct notify *notify)
{
	return notify->key;
}

void notify_ready(struct notify *notify)
{
	if (notify->was_ready)
		return;
	notify->was_ready = notify->ready = true;
	notify_flush(notify);
}

void notify_reloading(struct notify *notify)
{
	if (!notify->was_ready)
		return;
	notify->ready = false; /* of the reload before, if that is not said yet */
	notify->reloading = true;
	notify->reloading_us = clock_monotonic_us();
	notify_flush(notify);
}

void notify_reloaded(struct notify *notify)
{
	if (!notify->was_ready)
		return;
	notify->ready = true;
	notify_flush(notify);
}

struct future *notify_stopping(struct notify *notify)
{
	future_init(&notify->told, notify->reactor, NULL);
	notify->stopping = true;
	notify_flush(notify);
	if (worker_job_is_idle(&notify->job)) /* no thread to be had */
		future_resolve(&notify->told, 0);
	return &notify->told;
}

void notify_status(struct notify *notify, const char *text)
{
	(void)snprintf(notify->status, sizeof(notify->status), "%s", text);
	/* a further line would be a message of its own, and the broker's words may be in it */
	for (char *c = notify->status; *c; c++)
		if (*c == '\n')
			*c = ' ';
	notify_flush(notify);
}
