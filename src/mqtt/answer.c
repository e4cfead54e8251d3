/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replies to commands: keys in the order id, ok, result or error. The id is JSON text already. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "iotd/json.h"
#include "iotd/parse.h"

#define DURATION_SIZE 32
#define TOTAL_DIGITS  6 /* as it is published */
#define DUMP_FLAGS    ((size_t)JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

static json_t *json_duration(int64_t duration_us)
{
	char text[DURATION_SIZE];

	format_duration(text, sizeof(text), duration_us);
	return json_string(text);
}

/* words of a fault: the kernel's and the file's names in them may be cut, or no UTF-8 at all */
static json_t *json_words(const char *words)
{
	cleanup(freep) char *text = strdup(words);

	if (!text)
		return NULL;
	text_mend(text);
	return json_string(text);
}

/* sets what is not NULL; takes @value over. Return: 0; -1 */
static int set_optional(json_t *object, const char *key, json_t *value)
{
	return value ? json_object_set_new(object, key, value) : 0;
}

static json_t *answer_channels(const struct device_info *device)
{
	cleanup(json_decrefp) json_t *array = json_array();
	json_t *channel;

	for (size_t i = 0; i < device->channel_count; i++) {
		channel = json_pack("{s:s, s:s}", "name", device->channels[i].name, "unit",
				    device->channels[i].unit);
		if (json_array_append_new(array, channel) < 0)
			return NULL;
	}
	return take_ptr(array);
}

/* what only sensors and counters have. Return: 0; -1 */
static int answer_sensor(json_t *object, const struct device_info *device)
{
	if (device->driver &&
	    json_object_set_new(object, "driver", json_string(device->driver)) < 0)
		return -1;
	if (device->interval_us > 0 &&
	    json_object_set_new(object, "interval", json_duration(device->interval_us)) < 0)
		return -1;
	if (device->channel_count == 1 &&
	    json_object_set_new(object, "unit", json_string(device->channels[0].unit)) < 0)
		return -1;
	if (device->channel_count > 0 &&
	    json_object_set_new(object, "channels", answer_channels(device)) < 0)
		return -1;
	return 0;
}

static json_t *answer_device(const struct device_info *device)
{
	cleanup(json_decrefp) json_t *object = NULL;

	object = json_pack("{s:s, s:s}", "name", device->name, "kind",
			   device_kind_name(device->kind));
	if (!object || answer_sensor(object, device) < 0 ||
	    json_object_set_new(object, "status", json_string(device_status_name(device->status))) <
		    0)
		return NULL;
	if (device->state >= 0 &&
	    json_object_set_new(object, "state", json_string(device->state > 0 ? "on" : "off")) < 0)
		return NULL;
	if (set_optional(object, "fault", device->fault ? json_words(device->fault) : NULL) < 0)
		return NULL;
	return take_ptr(object);
}

static json_t *answer_list(const struct command_result *result)
{
	cleanup(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < result->device_count; i++)
		if (json_array_append_new(array, answer_device(&result->devices[i])) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *answer_ping(const struct command_result *result)
{
	cleanup(json_decrefp) json_t *object = json_pack("{s:s}", "version", IOTD_VERSION);
	const struct stats *stats = result->stats;

	if (!object)
		return NULL;
	if (stats && json_object_set_new(object, "uptime",
					 json_from_seconds(stats->now_us - stats->started_us)) < 0)
		return NULL;
	return take_ptr(object);
}

static json_t *answer_state(const struct command_result *result)
{
	if (result->reading)
		return json_from_reading(result->reading);
	return result->state ? json_from_state(result->state) : json_object();
}

/* "before" is there if it is known */
static json_t *answer_count(const struct command *command, const struct command_result *result)
{
	cleanup(json_decrefp) json_t *object = NULL;

	object = json_pack("{s:s, s:o}", "name", command->name, "total",
			   json_from_number(command->total, TOTAL_DIGITS));
	if (!object ||
	    set_optional(object, "before",
			 result->total ? json_from_number(*result->total, TOTAL_DIGITS) : NULL) < 0)
		return NULL;
	return take_ptr(object);
}

static json_t *answer_result(const struct command *command, const struct command_result *result)
{
	switch (command->kind) {
	case COMMAND_PING:
		return answer_ping(result);
	case COMMAND_LIST:
		return answer_list(result);
	case COMMAND_STATS:
		return result->stats ? json_from_stats(result->stats) : json_object();
	case COMMAND_READ:
	case COMMAND_SET:
	case COMMAND_PULSE:
	case COMMAND_TOGGLE:
		return answer_state(result);
	case COMMAND_INTERVAL:
		return json_pack("{s:s, s:o}", "name", command->name, "interval",
				 json_duration(result->interval_us));
	case COMMAND_COUNT:
		return answer_count(command, result);
	case COMMAND_RELOAD:
	case COMMAND_KINDS:
		break;
	}
	return json_object();
}

/* takes @value over */
static char *answer_dump(const char *id, bool ok, const char *key, json_t *value)
{
	cleanup(json_decrefp) json_t *owned = value;
	cleanup(freep) char *dumped = owned ? json_dumps(owned, DUMP_FLAGS) : NULL;
	char *text;

	if (!dumped ||
	    asprintf(&text, "{%s%s%s\"ok\":%s,\"%s\":%s}", id ? "\"id\":" : "", id ? id : "",
		     id ? "," : "", ok ? "true" : "false", key, dumped) < 0)
		return NULL;
	return text;
}

char *answer_new(const char *id, const struct command *command, const struct command_result *result)
{
	if (result->error < 0)
		return answer_new_fault(id, result->text ? result->text : strerror(-result->error));
	return answer_dump(id, true, "result", answer_result(command, result));
}

char *answer_new_fault(const char *id, const char *text)
{
	return answer_dump(id, false, "error", json_words(text));
}
