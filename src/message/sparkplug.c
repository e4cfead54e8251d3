/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "sparkplug": payloads of Sparkplug B by protobuf-c. Numbers in brackets are sections of the
 * Sparkplug specification 3.0.
 *
 * A reading becomes a payload of metrics alone. The payload's own fields, time and seq, are appended
 * when it is sent: to protobuf, two messages behind each other are one message with the fields of both
 * (Protocol Buffers, "Encoding", last one wins), so what waits in the spool need not be decoded.
 * Only is_historical is inside the metrics: a reading that is late is taken apart for it.
 *
 * Aliases are not used, so each metric has its name [6.4.5]; datatypes are told at birth only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sparkplug_b.pb-c.h>

#include "format.h"
#include "iotd/clock.h"
#include "iotd/sparkplug.h"

#define NAMESPACE  "spBv1.0"
#define UNIT_KEY   "engUnit" /* no word of the specification, but what its users' programs look for */
#define STAMP_SIZE 32	     /* of a payload that has time and seq alone: 1 + 10 + 1 + 2 */

enum datatype { /* [6.4.16] */
	DATATYPE_UINT64 = 8,
	DATATYPE_DOUBLE = 10,
	DATATYPE_BOOLEAN = 11,
	DATATYPE_STRING = 12
};

/* a metric with what hangs on it */
struct packed {
	Sparkplug__Metric metric;
	Sparkplug__PropertySet properties;
	Sparkplug__PropertyValue value, *values[1];
	char *keys[1];
};

/* the library's structs know no const, but packing only reads them */
static char *unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

static uint64_t milliseconds(int64_t time_us)
{
	return time_us > 0 ? (uint64_t)(time_us / USEC_PER_MSEC) : 0;
}

/* --- topics --------------------------------------------------------------------------------- */

char *sparkplug_topic_new(const char *topic, const char *verb, const char *node, const char *device)
{
	char *text;

	if (asprintf(&text, NAMESPACE "/%.*s/%s/%s%s%s", (int)strcspn(topic, "/"), topic, verb,
		     node, device ? "/" : "", device ? device : "") < 0)
		return NULL;
	return text;
}

/* --- packing -------------------------------------------------------------------------------- */

static enum datatype datatype_of(enum metric_type type)
{
	switch (type) {
	case METRIC_NUMBER:
		break;
	case METRIC_SWITCH:
		return DATATYPE_BOOLEAN;
	case METRIC_COUNT:
		return DATATYPE_UINT64;
	case METRIC_TEXT:
		return DATATYPE_STRING;
	}
	return DATATYPE_DOUBLE;
}

static void set_value(Sparkplug__Metric *packed, const struct metric *metric)
{
	packed->has_is_null = packed->is_null = metric->is_null;
	if (metric->is_null)
		return;
	switch (metric->type) {
	case METRIC_NUMBER:
		packed->value_case = SPARKPLUG__METRIC__VALUE_DOUBLE_VALUE;
		packed->double_value = metric->number;
		break;
	case METRIC_SWITCH:
		packed->value_case = SPARKPLUG__METRIC__VALUE_BOOLEAN_VALUE;
		packed->boolean_value = metric->on;
		break;
	case METRIC_COUNT:
		packed->value_case = SPARKPLUG__METRIC__VALUE_LONG_VALUE;
		packed->long_value = metric->count;
		break;
	case METRIC_TEXT:
		packed->value_case = SPARKPLUG__METRIC__VALUE_STRING_VALUE;
		packed->string_value = unconst(metric->text);
		break;
	}
}

static void set_unit(struct packed *packed, const char *unit)
{
	sparkplug__property_value__init(&packed->value);
	packed->value.has_type = true;
	packed->value.type = DATATYPE_STRING;
	packed->value.value_case = SPARKPLUG__PROPERTY_VALUE__VALUE_STRING_VALUE;
	packed->value.string_value = unconst(unit);
	packed->values[0] = &packed->value;
	packed->keys[0] = unconst(UNIT_KEY);
	sparkplug__property_set__init(&packed->properties);
	packed->properties.n_keys = packed->properties.n_values = 1;
	packed->properties.keys = packed->keys;
	packed->properties.values = packed->values;
	packed->metric.properties = &packed->properties;
}

static void set_metric(struct packed *packed, const struct metric *metric, bool is_birth)
{
	sparkplug__metric__init(&packed->metric);
	packed->metric.name = unconst(metric->name);
	packed->metric.has_timestamp = true;
	packed->metric.timestamp = milliseconds(metric->time_us);
	set_value(&packed->metric, metric);
	if (!is_birth)
		return;
	packed->metric.has_datatype = true;
	packed->metric.datatype = datatype_of(metric->type);
	if (metric->unit && metric->unit[0] != '\0')
		set_unit(packed, metric->unit);
}

/* @payload and behind it @more: one message to protobuf */
static int payload_message_new(struct message **ret, const char *topic,
			       const Sparkplug__Payload *payload, const Sparkplug__Payload *more)
{
	size_t length = sparkplug__payload__get_packed_size(payload);
	size_t more_length = more ? sparkplug__payload__get_packed_size(more) : 0;
	cleanup(freep) uint8_t *bytes = malloc(length + more_length + 1);

	if (!bytes)
		return -ENOMEM;
	(void)sparkplug__payload__pack(payload, bytes);
	if (more)
		(void)sparkplug__payload__pack(more, bytes + length);
	return message_new(ret, topic, bytes, length + more_length);
}

int sparkplug_payload_new(struct message **ret, const char *topic, const struct metric *metrics,
			  size_t count, bool is_birth)
{
	struct packed packed[SPARKPLUG_METRICS_MAX];
	Sparkplug__Metric *list[SPARKPLUG_METRICS_MAX];
	Sparkplug__Payload payload = SPARKPLUG__PAYLOAD__INIT;

	for (size_t i = 0; i < count; i++) {
		set_metric(&packed[i], &metrics[i], is_birth);
		list[i] = &packed[i].metric;
	}
	payload.metrics = list;
	payload.n_metrics = count;
	return payload_message_new(ret, topic, &payload, NULL);
}

/* --- sending -------------------------------------------------------------------------------- */

static Sparkplug__Payload stamp_payload(const struct sparkplug_stamp *stamp)
{
	Sparkplug__Payload payload = SPARKPLUG__PAYLOAD__INIT;

	payload.has_timestamp = true;
	payload.timestamp = milliseconds(stamp->time_us);
	payload.has_seq = stamp->seq >= 0;
	payload.seq = payload.has_seq ? (uint64_t)stamp->seq : 0;
	return payload;
}

/* nothing in it that set_metric() does not write: the library would keep it, and not always whole */
static bool is_ours(const Sparkplug__Payload *payload)
{
	if (payload->base.n_unknown_fields > 0)
		return false;
	for (size_t i = 0; i < payload->n_metrics; i++)
		if (payload->metrics[i]->base.n_unknown_fields > 0 ||
		    payload->metrics[i]->properties)
			return false;
	return true;
}

static int finish_late(struct message **ret, const struct message *message,
		       const Sparkplug__Payload *stamp)
{
	Sparkplug__Payload *payload =
		sparkplug__payload__unpack(NULL, message->length, message->payload);
	int r = -EBADMSG;

	if (!payload)
		return r;
	for (size_t i = 0; i < payload->n_metrics; i++)
		payload->metrics[i]->has_is_historical = payload->metrics[i]->is_historical = true;
	if (is_ours(payload))
		r = payload_message_new(ret, message->topic, payload, stamp);
	sparkplug__payload__free_unpacked(payload, NULL);
	return r;
}

int sparkplug_payload_finish(struct message **ret, const struct message *message,
			     const struct sparkplug_stamp *stamp)
{
	const Sparkplug__Payload payload = stamp_payload(stamp);
	cleanup(freep) uint8_t *bytes = NULL;

	if (stamp->is_late)
		return finish_late(ret, message, &payload);
	bytes = malloc(message->length + STAMP_SIZE);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, message->payload, message->length);
	return message_new(ret, message->topic, bytes,
			   message->length +
				   sparkplug__payload__pack(&payload, bytes + message->length));
}

/* --- parsing -------------------------------------------------------------------------------- */

static struct metric metric_from(const Sparkplug__Metric *packed)
{
	struct metric metric = {
		.name = packed->name,
		.is_null = packed->has_is_null && packed->is_null,
		.time_us =
			(int64_t)(packed->timestamp % (INT64_MAX / USEC_PER_MSEC)) * USEC_PER_MSEC,
	};

	if (packed->value_case == SPARKPLUG__METRIC__VALUE_DOUBLE_VALUE) {
		metric.number = packed->double_value;
	} else if (packed->value_case == SPARKPLUG__METRIC__VALUE_BOOLEAN_VALUE) {
		metric.type = METRIC_SWITCH;
		metric.on = packed->boolean_value;
	} else if (packed->value_case == SPARKPLUG__METRIC__VALUE_LONG_VALUE) {
		metric.type = METRIC_COUNT;
		metric.count = packed->long_value;
	} else if (packed->value_case == SPARKPLUG__METRIC__VALUE_STRING_VALUE) {
		metric.type = METRIC_TEXT;
		metric.text = packed->string_value;
	} else {
		metric.is_null = true;
	}
	return metric;
}

int sparkplug_payload_parse(const void *payload, size_t length, sparkplug_visit visit, void *data)
{
	Sparkplug__Payload *parsed = sparkplug__payload__unpack(NULL, length, payload);
	struct metric metric;

	if (!parsed)
		return -EBADMSG;
	for (size_t i = 0; i < parsed->n_metrics; i++) {
		metric = metric_from(parsed->metrics[i]);
		if (metric.name)
			visit(data, &metric);
	}
	sparkplug__payload__free_unpacked(parsed, NULL);
	return 0;
}

struct wanted {
	const char *name;
	bool is_found, on;
};

static void look_for_switch(void *data, const struct metric *metric)
{
	struct wanted *wanted = data;

	if (metric->type != METRIC_SWITCH || metric->is_null ||
	    strcmp(metric->name, wanted->name) != 0)
		return;
	wanted->is_found = true;
	wanted->on = metric->on;
}

int sparkplug_payload_switch(const void *payload, size_t length, const char *name, bool *ret)
{
	struct wanted wanted = { .name = name };
	int r = sparkplug_payload_parse(payload, length, look_for_switch, &wanted);

	if (r == 0 && !wanted.is_found)
		r = -ENOENT;
	if (r == 0)
		*ret = wanted.on;
	return r;
}

/* --- the format ----------------------------------------------------------------------------- */

static int sparkplug_reading(const struct message_origin *origin, const struct reading *reading,
			     message_sink sink, void *data)
{
	struct metric metrics[CHANNELS_MAX];
	struct message *message;
	int r;

	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];

		metrics[i] = (struct metric){
			.name = value->channel->name,
			.time_us = reading->time_us,
			.number = value_round(value->number, value->channel->digits),
		};
	}
	r = sparkplug_payload_new(&message, origin->topic, metrics, reading->count, false);
	if (r == 0)
		sink(data, message);
	return r;
}

static int sparkplug_state(const struct message_origin *origin, const struct state *state,
			   struct message **ret)
{
	const struct metric metric = {
		.name = SPARKPLUG_STATE,
		.type = METRIC_SWITCH,
		.time_us = state->time_us,
		.on = state->on,
	};

	return sparkplug_payload_new(ret, origin->topic, &metric, 1, false);
}

const struct message_format_ops message_format_sparkplug = {
	.reading = sparkplug_reading,
	.state = sparkplug_state,
};
