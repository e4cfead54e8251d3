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

/* longer than any healthy transfer: i2c-dev's own limit is a second for each */
#define JOB_TIMEOUT_US (3 * USEC_PER_SEC)
#define RETRY_MAX_US   (10 * USEC_PER_SEC)
/* a chip that was reset does not answer at once */
#define RETRY_PAUSE_US (5 * USEC_PER_MSEC)
/* a source that takes this long time and again is read on a thread of its own from then on */
#define SLOW_US	       (10 * USEC_PER_MSEC)
#define SLOW_READS     3 /* in a row: a busy host makes any read slow now and then */
/* conversions that are not ready when they should be are asked for so often */
#define COLLECTS_MAX   20
/* who may wait for one reading */
#define ASKED_MAX      64

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

	if (sensor->is_freed)
		sensor_close(sensor);
	else
		future_resolve(&sensor->job_back, 0);
}

/* --- telling -------------------------------------------------------------------------------- */

static void tell_status(struct sensor *sensor, enum device_status status)
{
	struct device_events *events = sensor->parts->events;

	if (sensor->status == status)
		return;
	sensor->status = status;
	events->status(events, DEVICE_SENSOR, sensor->settings->name, status);
}

static void forget_asked(struct sensor *sensor)
{
	sensor->asked = NULL;
	sensor->last_asked = &sensor->asked;
	sensor->asked_count = 0;
}

/* all who asked until now; who asks meanwhile gets the next reading */
static void answer(struct sensor *sensor, int error, const struct reading *reading)
{
	struct asked *asked = sensor->asked;

	forget_asked(sensor);
	while (asked) {
		struct asked *next = asked->next;

		asked->done(asked->data, error, error < 0 ? sensor->fault : NULL, reading);
		free(asked);
		asked = next;
	}
}

static void log_recovery(const struct sensor *sensor)
{
	struct log_fields fields = { .message_id = MESSAGE_ID_ONLINE,
				     .name = sensor->settings->name,
				     .bus = sensor->settings->bus };
	char age[32];

	device_format_age(age, sizeof(age),
			  reactor_now(sensor->parts->reactor) - sensor->failed_since_us);
	log_event(LOG_NOTICE, &fields, "sensor %s: online again after %s, %u failed reads",
		  sensor->settings->name, age, sensor->failures);
}

/* that a chip says no shows that the bus moves, as a reading does; other errors say nothing of it */
static void tell_bus(const struct sensor *sensor, int error)
{
	struct device_events *events = sensor->parts->events;
	bool hangs = error == -ETIMEDOUT && sensor->collects <= COLLECTS_MAX;

	if (sensor->settings->bus && events->bus && (hangs || error == 0 || error == -ENXIO))
		events->bus(events, sensor->settings, hangs);
}

static void sensor_failed(struct sensor *sensor, int error)
{
	struct log_fields fields = { .message_id = MESSAGE_ID_OFFLINE,
				     .name = sensor->settings->name,
				     .bus = sensor->settings->bus,
				     .error = error };

	sensor->parts->stats->read_errors++;
	if (sensor->failures++ == 0) {
		sensor->failed_since_us = reactor_now(sensor->parts->reactor);
		log_event(LOG_WARNING, &fields, "sensor %s: offline: %s; trying again",
			  sensor->settings->name, sensor->fault);
	}
	tell_bus(sensor, error);
	tell_status(sensor, STATUS_OFFLINE);
	answer(sensor, error, NULL);
}

static void sensor_succeeded(struct sensor *sensor)
{
	struct device_events *events = sensor->parts->events;
	bool was_asked = sensor->asked != NULL;
	struct reading reading;

	sensor->parts->stats->readings++;
	if (sensor->failures > 0) {
		log_recovery(sensor);
		channel_filter_forget(sensor->filter);
		sensor->due_us = reactor_now(sensor->parts->reactor); /* no more back-off */
	}
	sensor->failures = 0;
	tell_bus(sensor, 0);
	tell_status(sensor, STATUS_ONLINE);
	if (channel_filter_publish(sensor->filter, sensor->values,
				   reactor_now(sensor->parts->reactor), sensor->time_us, was_asked,
				   &reading) > 0)
		events->reading(events, sensor->settings, &reading);
	answer(sensor, 0, &reading);
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

/* as i2c_write() has its errors; the errno's own words would send a person to the wrong place */
static const char *describe_bus_error(int error)
{
	switch (-error) {
	case ENOENT:
		return "there is no such adapter";
	case ENXIO:
		return "no chip answers";
	case ETIMEDOUT:
		return "the bus hangs";
	case EBUSY:
		return "a kernel driver owns the address";
	case EACCES:
		return "permission denied; is iotd's user in the group i2c?";
	default:
		return strerror(-error);
	}
}

static void note_fault(struct sensor *sensor, int error)
{
	const struct sensor_settings *settings = sensor->settings;
	const char *fault = sensor->source->fault;

	if (error == -ETIMEDOUT && !worker_job_is_idle(&sensor->job))
		(void)snprintf(sensor->fault, sizeof(sensor->fault),
			       "no answer within %lld s: %s%s hangs", JOB_TIMEOUT_US / USEC_PER_SEC,
			       settings->bus ? "bus " : "its source",
			       settings->bus ? settings->bus : "");
	else if (error == -ETIMEDOUT && sensor->collects > COLLECTS_MAX && !fault[0])
		(void)snprintf(sensor->fault, sizeof(sensor->fault),
			       "asked %d times, the chip is still converting", COLLECTS_MAX);
	else if (settings->bus && !fault[0])
		(void)snprintf(sensor->fault, sizeof(sensor->fault), "%s, address 0x%02x: %s",
			       settings->bus, settings->address, describe_bus_error(error));
	else
		(void)snprintf(sensor->fault, sizeof(sensor->fault), "%s",
			       fault[0] ? fault : strerror(-error));
}

/* a source that is slow must not make its neighbours wait again and again */
static void separate_if_slow(struct sensor *sensor)
{
	if (sensor->settings->bus || sensor->own_key)
		return;
	sensor->slow_reads = sensor->took_us < SLOW_US ? 0 : sensor->slow_reads + 1;
	if (sensor->slow_reads < SLOW_READS && sensor->took_us < JOB_TIMEOUT_US)
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

	note_fault(sensor, error);
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

static int prepare_filter(struct sensor *sensor)
{
	int r;

	if (filter_fits(sensor))
		return 0;
	sensor->filter = channel_filter_free(sensor->filter);
	sensor->channel_count = sensor->source->channel_count;
	r = channel_filter_new(&sensor->filter, sensor->settings, sensor->source->channels,
			       sensor->channel_count);
	if (r == 0)
		channel_filter_set_interval(sensor->filter, sensor->interval_us);
	return r;
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
	return task_await_for(task, &sensor->job.future, note_deadline(sensor, JOB_TIMEOUT_US),
			      sensor_read_done);
}

static int sensor_read_done(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);

	if (worker_job_is_idle(&sensor->job))
		separate_if_slow(sensor);
	/* without a time to wait, EAGAIN is the bus's: arbitration lost */
	if ((result >= 0 && !sensor->has_values) || (result == -EAGAIN && sensor->wait_us > 0)) {
		if (sensor->collects++ < COLLECTS_MAX)
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
	int r;

	sensor->phase = PHASE_START;
	sensor->collects = 0;
	sensor->job.hurry = hurry_of(sensor->interval_us);
	r = worker_run(sensor->key, &sensor->job);
	if (r < 0)
		return sensor_no_worker(task, r);
	return task_await_for(task, &sensor->job.future, note_deadline(sensor, JOB_TIMEOUT_US),
			      sensor_read_done);
}

/* the time to read has come: -ETIMEDOUT on schedule, 0 because somebody asked */
static int sensor_due(struct task *task, int result)
{
	struct sensor *sensor = task_data(task);
	int64_t late_us = reactor_now(sensor->parts->reactor) - sensor->due_us;

	if (result == -ETIMEDOUT && late_us > sensor->parts->stats->late_max_us)
		sensor->parts->stats->late_max_us = late_us;
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
	sensor->interval_us = settings->interval_us;
	sensor->job.run = sensor_job;
	sensor->job.idle = sensor_job_idle;
	forget_asked(sensor);
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
	answer(sensor, -ECANCELED, NULL);
	task_cancel(sensor->task);
	sensor->task = task_release(sensor->task);
	if (worker_job_is_idle(&sensor->job))
		sensor_close(sensor);
	return NULL;
}

/* the worker has its job still, and nobody waits for that any more */
static bool sensor_hangs(const struct sensor *sensor)
{
	return !worker_job_is_idle(&sensor->job) &&
	       future_result(&sensor->job.future) != -EINPROGRESS;
}

int sensor_read(struct sensor *sensor, sensor_read_callback done, void *data)
{
	struct asked *asked;

	if (sensor_hangs(sensor)) {
		done(data, -ETIMEDOUT, sensor->fault, NULL); /* no use in waiting */
		return 0;
	}
	if (sensor->asked_count == ASKED_MAX)
		return -EBUSY;
	asked = malloc(sizeof(*asked));
	if (!asked)
		return -ENOMEM;
	*asked = (struct asked){ .done = done, .data = data };
	*sensor->last_asked = asked;
	sensor->last_asked = &asked->next;
	sensor->asked_count++;
	future_resolve(&sensor->wake, 0); /* or the read that is under way answers */
	return 0;
}

void sensor_set_interval(struct sensor *sensor, int64_t interval_us)
{
	sensor->interval_us = interval_us;
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

void sensor_info(const struct sensor *sensor, struct device_info *ret)
{
	/* until the first reading they are the source's, and that is the worker's while it opens it */
	bool is_known = sensor->filter || worker_job_is_idle(&sensor->job);
	const struct channel *channels =
		sensor->filter ? channel_filter_channels(sensor->filter) : sensor->source->channels;

	*ret = (struct device_info){
		.kind = DEVICE_SENSOR,
		.status = sensor->status,
		.name = sensor->settings->name,
		.driver = sensor->source->driver->name,
		.interval_us = sensor->interval_us,
		.channels = is_known ? channels : NULL,
		.channel_count = sensor->filter ? sensor->channel_count
				 : is_known	? sensor->source->channel_count
						: 0,
		.state = -1,
		.fault = sensor->status == STATUS_OFFLINE ? sensor->fault : NULL,
	};
}

int64_t sensor_deadline(const struct sensor *sensor)
{
	return sensor->deadline_us;
}
