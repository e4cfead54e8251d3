/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a sensor tells: readings, its status and faults to the daemon, readings to those who asked, its line of the list.
 * Its task (sensor.c) decides when. The first failure of many is logged, and the end of them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "sensor.h"

/* who may wait for one reading */
#define ASKED_MAX 64

static void tell_status(struct sensor *sensor, enum device_status status)
{
	struct device_events *events = sensor->parts->events;

	if (sensor->status == status)
		return;
	sensor->status = status;
	events->status(events, DEVICE_SENSOR, sensor->settings->name, status);
}

void sensor_forget_asked(struct sensor *sensor)
{
	sensor->asked = NULL;
	sensor->last_asked = &sensor->asked;
	sensor->asked_count = 0;
}

void sensor_answer(struct sensor *sensor, int error, const struct reading *reading)
{
	struct asked *asked = sensor->asked;

	sensor_forget_asked(sensor);
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

/*
 * That a chip says no shows that the bus moves, as a reading does; other errors say nothing of it. A
 * driver's own time-out comes with words: the chip is slow, not the bus.
 */
static void tell_bus(const struct sensor *sensor, int error)
{
	struct device_events *events = sensor->parts->events;
	bool is_of_chip = worker_job_is_idle(&sensor->job) && sensor->source->fault[0];
	bool hangs = error == -ETIMEDOUT && sensor->collects <= SENSOR_COLLECTS_MAX && !is_of_chip;

	if (sensor->settings->bus && events->bus && (hangs || error == 0 || error == -ENXIO))
		events->bus(events, sensor->settings, hangs);
}

void sensor_failed(struct sensor *sensor, int error)
{
	struct log_fields fields = { .message_id = MESSAGE_ID_OFFLINE,
				     .name = sensor->settings->name,
				     .bus = sensor->settings->bus,
				     .error = error };

	sensor->parts->stats->read_errors++;
	sensor->read_errors++;
	if (sensor->failures++ == 0) {
		sensor->failed_since_us = reactor_now(sensor->parts->reactor);
		log_event(LOG_WARNING, &fields, "sensor %s: offline: %s%s", sensor->settings->name,
			  sensor->fault, sensor->parts->is_once ? "" : "; trying again");
	}
	tell_bus(sensor, error);
	tell_status(sensor, STATUS_OFFLINE);
	device_tell_fault(sensor->parts->events, DEVICE_SENSOR, sensor->settings->name);
	sensor_answer(sensor, error, NULL);
}

void sensor_succeeded(struct sensor *sensor)
{
	struct device_events *events = sensor->parts->events;
	bool was_asked = sensor->asked != NULL;
	struct reading reading;

	sensor->parts->stats->readings++;
	sensor->readings++;
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
	sensor_answer(sensor, 0, &reading);
}

/* --- faults in words -------------------------------------------------------------------------- */

/* as i2c_write() has its errors; the errno's own words would send a person to the wrong place */
static const char *describe_bus_error(int error)
{
	switch (-error) {
	case ENOENT:
		return "there is no such adapter";
	case ENXIO:
		return "no device answers";
	case ETIMEDOUT:
		return "the bus hangs: does a chip hold a line low, are pull-ups missing?";
	case EBUSY:
		return "a kernel driver owns the address";
	case EACCES:
		return "permission denied; is iotd's user in the group i2c?";
	default:
		return strerror(-error);
	}
}

void sensor_note_fault(struct sensor *sensor, int error)
{
	const struct sensor_settings *settings = sensor->settings;
	const char *fault = sensor->source->fault;

	if (error == -ETIMEDOUT && !worker_job_is_idle(&sensor->job))
		(void)snprintf(
			sensor->fault, sizeof(sensor->fault), "no answer within %lld s: %s%s hangs",
			(long long)(sensor_job_limit(sensor) / USEC_PER_SEC),
			settings->bus ? "bus " : "its source", settings->bus ? settings->bus : "");
	else if (error == -ETIMEDOUT && sensor->collects > SENSOR_COLLECTS_MAX && !fault[0])
		(void)snprintf(sensor->fault, sizeof(sensor->fault),
			       "asked %d times, the chip is still converting", SENSOR_COLLECTS_MAX);
	else if (settings->bus && !fault[0])
		(void)snprintf(sensor->fault, sizeof(sensor->fault), "%s, address 0x%02x: %s",
			       settings->bus, settings->address, describe_bus_error(error));
	else
		(void)snprintf(sensor->fault, sizeof(sensor->fault), "%s",
			       fault[0] ? fault : strerror(-error));
}

/* --- who asks ---------------------------------------------------------------------------------- */

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
		.readings = sensor->readings,
		.read_errors = sensor->read_errors,
		.late_us = lateness_worst(&sensor->lateness, reactor_now(sensor->parts->reactor)),
		.busy_us = sensor->busy_us,
	};
	if (sensor->filter)
		ret->sample = channel_filter_sample(sensor->filter, &ret->sampled_us);
}

bool sensor_is_news(const struct sensor *sensor)
{
	return sensor->is_news;
}

void sensor_set_news(struct sensor *sensor, bool is_news)
{
	sensor->is_news = is_news;
}
