/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "json": one object a message, keys in the order of SPEC §3 (jansson keeps the order in
 * which they were set). Numbers are rounded to the channel's digits first and then written with 15
 * significant ones, the most that a double always holds: 21.37 is written 21.37. What is integral
 * becomes a JSON integer, for 21 is shorter than 21.0 and the same number.
 *
 * A reading is put together here: jansson takes two thirds of all that iotd does for one, to escape
 * names that have nothing to escape (parse_name()). What it writes must be what jansson would write:
 * tests/unit/test-message.c. A number that value_write() does not take is jansson's again.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "format.h"
#include "iotd/clock.h"
#include "iotd/json.h"

#define INTEGER_MAX    9007199254740992.0 /* 2^53: above, doubles are no longer exact integers */
#define SECONDS_DIGITS 6
#define READING_SIZE   (CLOCK_UTC_SIZE + 16 + CHANNELS_MAX * (NAME_LENGTH + DECIMAL_SIZE + 4))

/* takes @value over; NULL counts as out of memory */
static int object_set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

json_t *json_from_number(double number, int digits)
{
	double rounded = value_round(number, digits);

	if (fabs(rounded) <= INTEGER_MAX && nearbyint(rounded) == rounded)
		return json_integer((json_int_t)rounded);
	return json_real(rounded);
}

json_t *json_from_time(int64_t realtime_us)
{
	char text[CLOCK_UTC_SIZE];

	clock_format_utc(text, realtime_us);
	return json_string(text);
}

json_t *json_from_seconds(int64_t duration_us)
{
	return json_from_number((double)duration_us / (double)USEC_PER_SEC, SECONDS_DIGITS);
}

json_t *json_from_reading(const struct reading *reading)
{
	cleanup(json_decrefp) json_t *object = json_object();
	const struct value *value;

	if (object_set(object, "time", json_from_time(reading->time_us)) < 0)
		return NULL;
	for (size_t i = 0; i < reading->count; i++) {
		value = &reading->values[i];
		if (object_set(object, value->channel->name,
			       json_from_number(value->number, value->channel->digits)) < 0)
			return NULL;
	}
	return take_ptr(object);
}

json_t *json_from_state(const struct state *state)
{
	cleanup(json_decrefp) json_t *object = json_object();

	if (object_set(object, "time", json_from_time(state->time_us)) < 0 ||
	    object_set(object, "state", json_string(state->on ? "on" : "off")) < 0)
		return NULL;
	return take_ptr(object);
}

struct counter {
	const char *key;
	uint64_t count;
};

static int set_counters(json_t *object, const struct counter *counters, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (object_set(object, counters[i].key,
			       json_integer((json_int_t)counters[i].count)) < 0)
			return -ENOMEM;
	return 0;
}

/* null: nothing was measured */
static json_t *json_from_quantile(const struct histogram *histogram, unsigned int permille)
{
	int64_t duration_us = histogram_quantile(histogram, permille);

	return duration_us < 0 ? json_null() : json_from_seconds(duration_us);
}

static int set_measured(json_t *object, const struct stats *stats)
{
	const struct counter counters[] = {
		{ "sensors", stats->sensors },
		{ "sensors_offline", stats->sensors_offline },
		{ "spool_bytes", stats->spool_bytes },
		{ "spool_file_bytes", stats->spool_file_bytes },
		{ "reloads", stats->reloads },
		{ "reloads_refused", stats->reloads_refused },
		{ "rss", stats->memory_bytes },
	};

	if (object_set(object, "late_p50", json_from_quantile(&stats->late, 500)) < 0 ||
	    object_set(object, "late_p99", json_from_quantile(&stats->late, 990)) < 0 ||
	    object_set(object, "ack_p50", json_from_quantile(&stats->ack, 500)) < 0 ||
	    object_set(object, "ack_p99", json_from_quantile(&stats->ack, 990)) < 0 ||
	    object_set(object, "cpu", json_from_seconds(stats->cpu_us)) < 0)
		return -ENOMEM;
	return set_counters(object, counters, ARRAY_SIZE(counters));
}

json_t *json_from_stats(const struct stats *stats)
{
	const struct counter counters[] = {
		{ "readings", stats->readings },
		{ "read_errors", stats->read_errors },
		{ "reads_missed", stats->reads_missed },
		{ "published", stats->published },
		{ "acknowledged", stats->acknowledged },
		{ "refused", stats->refused },
		{ "discarded", stats->discarded },
		{ "expired", stats->expired },
		{ "queued", stats->queued },
		{ "in_flight", stats->in_flight },
		{ "connects", stats->connects },
		{ "disconnects", stats->disconnects },
		{ "commands", stats->commands },
		{ "commands_refused", stats->commands_refused },
		{ "edges", stats->edges },
		{ "edges_lost", stats->edges_lost },
		{ "log_dropped", stats->log_dropped },
	};
	cleanup(json_decrefp) json_t *object = json_object();

	if (object_set(object, "time", json_from_time(clock_realtime_us())) < 0 ||
	    object_set(object, "uptime", json_from_seconds(stats->now_us - stats->started_us)) <
		    0 ||
	    object_set(object, "connected", json_boolean(stats->connected)) < 0 ||
	    object_set(object, "late_max", json_from_seconds(stats->late_max_us)) < 0)
		return NULL;
	if (set_counters(object, counters, ARRAY_SIZE(counters)) < 0 ||
	    set_measured(object, stats) < 0)
		return NULL;
	return take_ptr(object);
}

/* takes @object over */
static int json_message_new(struct message **ret, const char *topic, json_t *object)
{
	cleanup(json_decrefp) json_t *owned = object;
	cleanup(freep) char *text = NULL;

	if (!owned)
		return -ENOMEM;
	text = json_dumps(owned, JSON_TEXT);
	if (!text)
		return -ENOMEM;
	return message_new(ret, topic, text, strlen(text));
}

/* Return: how long it is; 0: it has a number that is too long */
static size_t write_reading(char text[static READING_SIZE], const struct reading *reading)
{
	char *at = stpcpy(text, "{\"time\":\"");

	clock_format_utc(at, reading->time_us);
	at = stpcpy(at + strlen(at), "\"");
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];
		size_t length;

		at = stpcpy(stpcpy(stpcpy(at, ",\""), value->channel->name), "\":");
		length = value_write(at, value->number, value->channel->digits);
		if (length == 0)
			return 0;
		at += length;
	}
	*at++ = '}';
	return (size_t)(at - text);
}

static int json_reading(const struct message_origin *origin, const struct reading *reading,
			message_sink sink, void *data)
{
	char text[READING_SIZE];
	size_t length = write_reading(text, reading);
	struct message *message;
	int r;

	r = length > 0 ? message_new(&message, origin->topic, text, length)
		       : json_message_new(&message, origin->topic, json_from_reading(reading));
	if (r < 0)
		return r;
	sink(data, message);
	return 0;
}

static int json_state(const struct message_origin *origin, const struct state *state,
		      struct message **ret)
{
	return json_message_new(ret, origin->topic, json_from_state(state));
}

int message_from_stats(const char *topic, const struct stats *stats, struct message **ret)
{
	return json_message_new(ret, topic, json_from_stats(stats));
}

const struct message_format_ops message_format_json = {
	.reading = json_reading,
	.state = json_state,
};
