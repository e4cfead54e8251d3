/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end, within STOP_US: no new readings; outputs go where on_exit wants them; what can be
 * flushed is flushed; `offline`; disconnect.
 */
#include <errno.h>

#include "daemon.h"
#include "iotd/clock.h"
#include "iotd/log.h"

#define STOP_US	      (2 * USEC_PER_SEC)
#define SPOOL_END_US  (300 * USEC_PER_MSEC) /* of these: what is left goes to the file */
#define COUNTS_END_US (100 * USEC_PER_MSEC)
#define TOLD_US	      (200 * USEC_PER_MSEC)
#define REMOVED_US    (100 * USEC_PER_MSEC)

static int stopped(struct task *task, int result)
{
	(void)task;
	(void)result; /* systemd does not listen: it knows how to end us */
	return 0;
}

static int statsfile_stopped(struct task *task, int result)
{
	const struct daemon *daemon = task_data(task);

	(void)result; /* a disk that hangs: it stays */
	return task_await_for(task, daemon->told, TOLD_US, stopped);
}

static int counts_stopped(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	int64_t left_us = daemon->stop_deadline_us - reactor_now(daemon->reactor);

	(void)result; /* a disk that hangs: what was counted since it was written last is lost */
	return task_await_for(task, daemon->removed, left_us > REMOVED_US ? left_us : REMOVED_US,
			      statsfile_stopped);
}

static int spool_stopped(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	int64_t left_us = daemon->stop_deadline_us - reactor_now(daemon->reactor);

	spooling_log_end(daemon, result == 0);
	if (!daemon->counted)
		return counts_stopped(task, 0);
	return task_await_for(task, daemon->counted,
			      left_us > COUNTS_END_US ? left_us : COUNTS_END_US, counts_stopped);
}

static int link_stopped(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	int64_t left_us = daemon->stop_deadline_us - reactor_now(daemon->reactor);
	struct future *stored = spool_stop(daemon->spool);

	(void)result; /* what was not acknowledged is in the spool */
	if (!stored)
		return spool_stopped(task, -ENOENT);
	return task_await_for(task, stored, left_us > SPOOL_END_US ? left_us : SPOOL_END_US,
			      spool_stopped);
}

static int stop_link(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);

	(void)result;
	return task_await_for(task,
			      mqtt_stop(daemon->mqtt, daemon->stop_deadline_us - SPOOL_END_US),
			      STOP_US + USEC_PER_SEC / 2, link_stopped);
}

/* one output after the other; they are driven side by side all the same */
static int stop_outputs(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	int64_t left_us = daemon->stop_deadline_us - reactor_now(daemon->reactor);

	(void)result;
	while (daemon->exits_awaited < daemon->output_count) {
		struct future *driven = daemon->exits[daemon->exits_awaited++];

		if (driven && left_us > 0)
			return task_await_for(task, driven, left_us, stop_outputs);
	}
	return stop_link(task, 0);
}

static void exit_outputs(struct daemon *daemon, bool on)
{
	for (size_t i = 0; i < daemon->output_count; i++)
		if ((output_settings(daemon->outputs[i])->on_exit == MOVE_ON) == on)
			daemon->exits[i] = output_exit(daemon->outputs[i]);
}

int stopping_begin(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);

	if (result < 0)
		return result;
	log_info("stopping");
	dbus_stop(daemon->dbus);
	reload_end(daemon);
	scanning_stop(daemon->scanning);
	daemon->told = notify_stopping(daemon->notify);
	daemon->stop_deadline_us = reactor_now(daemon->reactor) + STOP_US;
	reactor_stop_timer(&daemon->stats_timer);
	daemon->removed = statsfile_stop(daemon->statsfile);
	daemon->counted = counts_stop(daemon->counts); /* it asks the inputs */
	devices_stop_reading(daemon);
	exit_outputs(daemon, false); /* those that go on may wait for those that go off */
	exit_outputs(daemon, true);
	return stop_outputs(task, 0);
}
