/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sensor: a task that sleeps until its next due time, has a worker read its source, and hands the
 * reading on.
 *
 *	wait → read → (converting → read)* → publish → wait
 *
 * Due times are multiples of the interval since the daemon's start, so sensors of one interval fall due together and nothing
 * drifts. One struct worker_job goes to the worker and back; source and values belong to whoever
 * has it. A job that hangs is abandoned after a time-out: the sensor goes offline and waits until
 * the job is back before it touches the source again.
 *
 * After a failure the source is closed and opened anew before the next try: chips lose power,
 * adapters are unplugged, files are replaced. Tries come with doubling distance, at the latest
 * every 10 s (or every interval, if that is longer).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "sensor.h"

#define RETRY_MAX_US   (10 * USEC_PER_SEC)
/* a chip that was reset does not answer at once */
#define RETRY_PAUSE_US (5 * USEC_PER_MSEC)
/* a source that takes this long time and again is read on a thread of its own from then on */
#define SLOW_US	       (10 * USEC_PER_MSEC)
#define SLOW_READS     3 /* in a row: a busy host makes any read slow now and then */

static int sensor_wait(struct task *task, int result);
static int sensor_try(struct task *task);

/* --- life ----------------------------------------------------------------------------------- */

static void sensor_destroy(struct sensor *sensor)
{
	source_free(sensor->source);
	channel_filter_free(sensor->filter);
	worker_key_free(sensor->own_key);
	free(sensor);
}

/* close the source where it was opened, on its worker, then go */
static void sensor_close(struct sensor *sensor)
{
	bool was_closed = sensor->phase == PHASE_CLOSE;

	sensor->phase = PHASE_CLOSE;
	if (was_closed || worker_run(sensor->key, &sensor->job) < 0)
		sensor_destroy(sensor);
}

static void sensor_job_idle(struct worker_job *job)
{
	struct sensor *sensor = container_of(job, struct sensor, job);

	sensor->busy_us += sensor->job.took_us;
	source_was_used(sensor->source, sensor->job.took_us);
	if (sensor->is_freed)
		sensor_close(sensor);
	else
		future_resolve(&sensor->job_back, 0);
}

/* --- the task ------------------------------------------------------------------------------- */

/* all steps go through here, so that the watchdog knows when the next must come */
static int64_t note_deadline(struct sensor *sensor, int64_t wait_us)
{
	sensor->deadline_us = reactor_now(sensor->parts->reactor) + wait_us;
	return wait_us;
}

static int64_t next_distance(const struct sensor *sensor)
{
	int64_t limit_us = sensor->interval_us > RETRY_MAX_US ? sensor->interval_us : RETRY_MAX_US;
	int64_t distance_us = sensor->interval_us;

	for (unsigned int i = 1; i < sensor->failures && distance_us < limit_us; i++)
		distance_us *= 2;
	return distance_us < limit_us ? distance_us : limit_us;
}

/* the last multiple of the interval that is at most @distance_us behind the last one, or the next if that is over */
static void schedule(struct sensor *sensor, int64_t distance_us)
{
	int64_t now_us = reactor_now(sensor->parts->reactor), epoch_us = sensor->parts->epoch_us;
	int64_t interval_us = sensor->interval_us, due_us = sensor->due_us + distance_us;

	due_us = epoch_us + (due_us - epoch_us) / interval_us * interval_us;
	if (due_us <= now_us) {
		int64_t skipped = (now_us - due_us) / interval_us + 1;

		due_us += skipped * interval_us;
		if (sensor->failures == 0)
			sensor->parts->stats->reads_missed += (uint64_t)skipped;
	}
	sensor->due_us = due_us;
}

static int sensor_finish(struct task *task, int error)
{
	struct sensor *sensor = task_data(task);

	sensor->reopen = error < 0;
	if (error < 0)
		sensor_failed(sensor, error);
	else
		sensor_succeeded(sensor);
	if (sensor->due_us <=
	    reactor_now(sensor->parts->reactor)) /* else it was read besides the schedule */
		schedule(sensor, next_distance(sensor));
	return sensor_wait(task, 0);
}

int64_t sensor_job_limit(const struct sensor *sensor)
{
	int64_t limit_us = sensor->source->driver->limit_us;

	return limit_us > 0 ? limit_us : SENSOR_JOB_LIMIT_US;
}

/* a source that is slow must not make its neighbours wait again and again */
static void separate_if_slow(struct sensor *sensor)
{
	/* others have a key of their bus or device */
	if (sensor->settings->bus || sensor->source->driver->kind != DRIVER_FILE || sensor->own_key)
		return;
	sensor->slow_reads = sensor->job.took_us < SLOW_US ? 0 : sensor->slow_reads + 1;
	if (sensor->slow_reads < SLOW_READS && sensor->job.took_us < SENSOR_JOB_LIMIT_US)
		return;
	if (worker_key_new(&sensor->own_key, worker_key_pool(sensor->key), 0) == 0)
		sensor->key = sensor->own_key;
}

static int job_came_back(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);

	(void)result;
	sensor->reopen = true;
	separate_if_slow(sensor);
	schedule(sensor, 0);
	return sensor_wait(task, 0);
}

static int sensor_retry(struct task *task, int result)
{
	(void)result;
	return sensor_try(task);
}

static int sensor_read_failed(struct task *task, int error)
{
	struct sensor *sensor = task_data(task);

	sensor_note_fault(sensor, error);
	if (!worker_job_is_idle(&sensor->job)) {
		sensor_failed(sensor, error);
		sensor->deadline_us = INT64_MAX; /* as long as it takes: the reactor is fine */
		future_init(&sensor->job_back, sensor->parts->reactor, NULL);
		return task_await(task, &sensor->job_back, job_came_back);
	}
	if (sensor->tries++ < sensor->settings->retries) {
		sensor->reopen = true;
		return task_sleep(task, note_deadline(sensor, RETRY_PAUSE_US), sensor_retry);
	}
	return sensor_finish(task, error);
}

/* what was opened anew may be another chip, with other channels */
static bool filter_fits(const struct sensor *sensor)
{
	const struct source *source = sensor->source;

	if (!sensor->filter || sensor->channel_count != source->channel_count)
		return false;
	for (size_t i = 0; i < source->channel_count; i++)
		if (strcmp(channel_filter_channels(sensor->filter)[i].name,
			   source->channels[i].name) != 0)
			return false;
	return true;
}

/* the configuration could not know what only the device tells */
static void warn_of_strange_channels(const struct sensor *sensor)
{
	const struct sensor_settings *settings = sensor->settings;
	const struct source *source = sensor->source;
	struct log_fields fields = { .name = settings->name };

	for (size_t i = 0; i < settings->channel_count; i++) {
		size_t at = 0;

		while (at < source->channel_count &&
		       strcmp(source->channels[at].name, settings->channels[i].name) != 0)
			at++;
		if (at == source->channel_count)
			log_event(LOG_WARNING, &fields,
				  "sensor %s: has no channel %s, whose settings do nothing",
				  settings->name, settings->channels[i].name);
	}
}

static int prepare_filter(struct sensor *sensor)
{
	bool is_known = sensor->filter && !sensor->was_opened;
	int r;

	sensor->was_opened = false;
	if (is_known || filter_fits(sensor))
		return 0;
	sensor->filter = channel_filter_free(sensor->filter);
	sensor->is_news = true;
	sensor->channel_count = sensor->source->channel_count;
	r = channel_filter_new(&sensor->filter, sensor->settings, sensor->source->channels,
			       sensor->channel_count);
	if (r < 0)
		return r;
	channel_filter_set_interval(sensor->filter, sensor->interval_us);
	warn_of_strange_channels(sensor);
	if (sensor->parts->events->channels)
		sensor->parts->events->channels(sensor->parts->events, sensor->settings->name);
	return 0;
}

static int sensor_no_worker(struct task *task, int error)
{
	struct sensor *sensor = task_data(task);

	(void)snprintf(sensor->fault, sizeof(sensor->fault), "no worker can read it: %s",
		       strerror(-error));
	return sensor_finish(task, error);
}

static int sensor_read_done(struct task *task, int result);

static int sensor_collect(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);

	(void)result;
	sensor->phase = PHASE_COLLECT;
	result = worker_run(sensor->key, &sensor->job);
	if (result < 0)
		return sensor_no_worker(task, result);
	return task_await_for(task, &sensor->job.future,
			      note_deadline(sensor, sensor_job_limit(sensor)), sensor_read_done);
}

static int sensor_read_ended(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);

	/* without a time to wait, EAGAIN is the bus's: arbitration lost */
	if ((result >= 0 && !sensor->has_values) || (result == -EAGAIN && sensor->wait_us > 0)) {
		if (sensor->collects++ < SENSOR_COLLECTS_MAX)
			return task_sleep(task, note_deadline(sensor, sensor->wait_us),
					  sensor_collect);
		result = -ETIMEDOUT;
	}
	if (result < 0)
		return sensor_read_failed(task, result);
	result = prepare_filter(sensor);
	if (result == 0)
		result =
			channel_filter_scale(sensor->filter, sensor->values, sensor->source->fault);
	return result < 0 ? sensor_read_failed(task, result) : sensor_finish(task, 0);
}

static int sensor_read_done(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);

	if (worker_job_is_idle(&sensor->job))
		separate_if_slow(sensor);
	return sensor_read_ended(task, result);
}

/* who comes late in a crowd: the shorter the interval the less a sensor can afford it */
static enum worker_hurry hurry_of(int64_t interval_us)
{
	if (interval_us >= USEC_PER_SEC)
		return HURRY_NONE;
	return interval_us > 100 * USEC_PER_MSEC ? HURRY_SOME : HURRY_MOST;
}

static int sensor_try(struct task *task)
{
	struct sensor *sensor = task_data(task);
	int r = sensor_read_promptly(sensor);

	if (r != -EAGAIN)
		return sensor_read_ended(task, r);
	sensor->phase = PHASE_START;
	sensor->collects = 0;
	sensor->job.hurry = hurry_of(sensor->interval_us);
	r = worker_run(sensor->key, &sensor->job);
	if (r < 0)
		return sensor_no_worker(task, r);
	return task_await_for(task, &sensor->job.future,
			      note_deadline(sensor, sensor_job_limit(sensor)), sensor_read_done);
}

static void note_lateness(struct sensor *sensor)
{
	struct stats *stats = sensor->parts->stats;
	int64_t now_us = reactor_now(sensor->parts->reactor), late_us = now_us - sensor->due_us;

	histogram_add(&stats->late, now_us, late_us);
	if (late_us > stats->late_max_us)
		stats->late_max_us = late_us;
	lateness_note(&sensor->lateness, now_us, late_us);
}

/* the time to read has come: -ETIMEDOUT on schedule, 0 because somebody asked */
static int sensor_due(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);

	if (result == -ETIMEDOUT)
		note_lateness(sensor);
	sensor->tries = 0;
	return sensor_try(task);
}

static int sensor_wait(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);
	int64_t wait_us = sensor->due_us - reactor_now(sensor->parts->reactor);

	(void)result;
	future_init(&sensor->wake, sensor->parts->reactor, NULL);
	if (sensor->asked)
		future_resolve(&sensor->wake, 0);
	return task_await_for(task, &sensor->wake, note_deadline(sensor, wait_us), sensor_due);
}

int sensor_new(struct sensor **ret, const struct device_parts *parts,
	       const struct sensor_settings *settings, struct source *source,
	       struct worker_key *key)
{
	struct sensor *sensor = calloc(1, sizeof(*sensor));
	int r;

	if (!sensor) {
		source_free(source);
		return -ENOMEM;
	}
	sensor->parts = parts;
	sensor->settings = settings;
	sensor->source = source;
	sensor->key = key;
	sensor->is_news = true;
	sensor->interval_us = settings->interval_us;
	sensor->job.run = sensor_job;
	sensor->job.idle = sensor_job_idle;
	sensor_forget_asked(sensor);
	sensor->due_us = sensor->deadline_us = reactor_now(parts->reactor);
	future_init(&sensor->job_back, parts->reactor, NULL);
	future_init(&sensor->wake, parts->reactor, NULL);
	r = task_spawn(&sensor->task, parts->reactor, sensor_wait, sensor, NULL);
	if (r < 0) {
		sensor_destroy(sensor);
		return r;
	}
	*ret = sensor;
	return 0;
}

struct sensor *sensor_free(struct sensor *sensor)
{
	if (!sensor)
		return NULL;
	sensor->is_freed = true;
	(void)snprintf(sensor->fault, sizeof(sensor->fault), "the sensor is being stopped");
	sensor_answer(sensor, -ECANCELED, NULL);
	task_cancel(sensor->task);
	sensor->task = task_release(sensor->task);
	if (worker_job_is_idle(&sensor->job))
		sensor_close(sensor);
	return NULL;
}

void sensor_set_interval(struct sensor *sensor, int64_t interval_us)
{
	sensor->interval_us = interval_us;
	sensor->is_news = true;
	if (sensor->filter)
		channel_filter_set_interval(sensor->filter, interval_us);
	sensor->due_us = reactor_now(sensor->parts->reactor);
	future_resolve(&sensor->wake, 0);
}

void sensor_update(struct sensor *sensor, const struct sensor_settings *settings)
{
	sensor->settings = settings;
	if (sensor->filter)
		channel_filter_update(sensor->filter, settings);
	if (sensor->interval_us != settings->interval_us)
		sensor_set_interval(sensor, settings->interval_us);
}

const struct sensor_settings *sensor_settings(const struct sensor *sensor)
{
	return sensor->settings;
}

int64_t sensor_deadline(const struct sensor *sensor)
{
	return sensor->deadline_us;
}
