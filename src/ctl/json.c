/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "json.h"

#include "iotd/clock.h"
#include "iotd/parse.h"

#define JSON_TEXT     (JSON_COMPACT | JSON_REAL_PRECISION(15)) /* 17 would not show 21.37 as 21.37 */
#define INTEGER_MAX   9007199254740992.0 /* 2^53: above, doubles are no longer exact integers */
#define DURATION_SIZE 32
#define NESTING_MAX   8

/* takes @value over; NULL counts as out of memory */
static int object_set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

json_t *json_from_number(double number)
{
	if (!isfinite(number))
		return json_null();
	if (fabs(number) <= INTEGER_MAX && nearbyint(number) == number)
		return json_integer((json_int_t)number);
	return json_real(number);
}

json_t *json_from_time(uint64_t realtime_us)
{
	char text[CLOCK_UTC_SIZE];

	clock_format_utc(text, realtime_us > INT64_MAX ? INT64_MAX : (int64_t)realtime_us);
	return json_string(text);
}

json_t *json_from_seconds(uint64_t lapse_us)
{
	return json_from_number((double)lapse_us / (double)USEC_PER_SEC);
}

static json_t *json_from_count(uint64_t count)
{
	return count > INT64_MAX ? json_real((double)count) : json_integer((json_int_t)count);
}

static int set_channel_values(json_t *object, const struct device *device)
{
	const struct device_channel *channel;

	for (size_t i = 0; i < device->channel_count; i++) {
		channel = &device->channels[i];
		if (isfinite(channel->number) &&
		    object_set(object, channel->name, json_from_number(channel->number)) < 0)
			return -ENOMEM;
	}
	return 0;
}

json_t *json_from_values(const struct device *device)
{
	cleanup(json_decrefp) json_t *object = json_object();

	if (device->time_us > 0 && object_set(object, "time", json_from_time(device->time_us)) < 0)
		return NULL;
	if (device->state >= 0 &&
	    object_set(object, "state", json_string(device->state > 0 ? "on" : "off")) < 0)
		return NULL;
	if (set_channel_values(object, device) < 0)
		return NULL;
	return take_ptr(object);
}

static json_t *json_from_channels(const struct device *device)
{
	cleanup(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < device->channel_count; i++)
		if (json_array_append_new(array,
					  json_pack("{s:s, s:s}", "name", device->channels[i].name,
						    "unit", device->channels[i].unit)) < 0)
			return NULL;
	return take_ptr(array);
}

/* what only sensors and counters have */
static int set_sensor(json_t *object, const struct device *device)
{
	char interval[DURATION_SIZE];

	if (device->driver[0] != '\0' &&
	    object_set(object, "driver", json_string(device->driver)) < 0)
		return -ENOMEM;
	if (device->interval_us > 0 && device->interval_us <= INT64_MAX) {
		format_duration(interval, sizeof(interval), (int64_t)device->interval_us);
		if (object_set(object, "interval", json_string(interval)) < 0)
			return -ENOMEM;
	}
	if (device->channel_count == 1 &&
	    object_set(object, "unit", json_string(device->channels[0].unit)) < 0)
		return -ENOMEM;
	if (device->channel_count > 0 &&
	    object_set(object, "channels", json_from_channels(device)) < 0)
		return -ENOMEM;
	return 0;
}

static int set_figures(json_t *object, const struct device *device)
{
	if (device->kind != DEVICE_SENSOR)
		return 0;
	if (object_set(object, "readings", json_from_count(device->readings)) < 0 ||
	    object_set(object, "errors", json_from_count(device->errors)) < 0 ||
	    object_set(object, "late", json_from_seconds(device->late_us)) < 0 ||
	    object_set(object, "busy", json_from_seconds(device->busy_us)) < 0)
		return -ENOMEM;
	return 0;
}

json_t *json_from_device(const struct device *device)
{
	cleanup(json_decrefp) json_t *object = NULL;

	object = json_pack("{s:s, s:s}", "name", device->name, "kind",
			   device_kind_name(device->kind));
	if (!object || set_sensor(object, device) < 0 ||
	    object_set(object, "status", json_string(device_status_name(device->status))) < 0)
		return NULL;
	if (device->state >= 0 &&
	    object_set(object, "state", json_string(device->state > 0 ? "on" : "off")) < 0)
		return NULL;
	if (device->fault[0] != '\0' && object_set(object, "fault", json_string(device->fault)) < 0)
		return NULL;
	if (device->time_us > 0 && object_set(object, "values", json_from_values(device)) < 0)
		return NULL;
	return set_figures(object, device) < 0 ? NULL : take_ptr(object);
}

json_t *json_from_devices(const struct devices *devices)
{
	cleanup(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < devices->count; i++)
		if (json_array_append_new(array, json_from_device(&devices->list[i])) < 0)
			return NULL;
	return take_ptr(array);
}

/* --- Dictionaries of a message ------------------------------------------------------------------ */

static int read_dictionary(json_t **ret, sd_bus_message *message, int depth);

static int read_basic(json_t **ret, sd_bus_message *message, char type)
{
	union {
		uint64_t count;
		int64_t number;
		double real;
		int boolean;
		const char *text;
	} value;
	int r = sd_bus_message_read_basic(message, type, &value);

	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	if (type == SD_BUS_TYPE_UINT64)
		*ret = json_from_count(value.count);
	else if (type == SD_BUS_TYPE_INT64)
		*ret = json_integer((json_int_t)value.number);
	else if (type == SD_BUS_TYPE_DOUBLE)
		*ret = json_from_number(value.real);
	else if (type == SD_BUS_TYPE_BOOLEAN)
		*ret = json_boolean(value.boolean);
	else
		*ret = json_string(value.text);
	return *ret ? 0 : -ENOMEM;
}

/* Return: 0, *@ret is NULL if it is of a type that Stats does not have; an errno */
static int read_variant(json_t **ret, sd_bus_message *message, int depth)
{
	cleanup(json_decrefp) json_t *value = NULL;
	const char *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(message, &type, &contents);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	if (strcmp(contents, "a{sv}") != 0 &&
	    (strlen(contents) != 1 || !strchr("txdbs", *contents)))
		return sd_bus_message_skip(message, "v");
	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, contents);
	if (r < 0)
		return r;
	r = *contents == 'a' ? read_dictionary(&value, message, depth + 1)
			     : read_basic(&value, message, *contents);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(message);
	if (r >= 0)
		*ret = take_ptr(value);
	return r < 0 ? r : 0;
}

static int read_entry(json_t *object, sd_bus_message *message, int depth)
{
	cleanup(json_decrefp) json_t *value = NULL;
	const char *key;
	int r;

	r = sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &key);
	if (r < 0)
		return r;
	r = read_variant(&value, message, depth);
	if (r < 0 || !value)
		return r;
	r = object_set(object, key, take_ptr(value));
	return r;
}

static int read_dictionary(json_t **ret, sd_bus_message *message, int depth)
{
	cleanup(json_decrefp) json_t *object = json_object();
	int r;

	if (depth > NESTING_MAX)
		return -EBADMSG;
	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sv}");
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
		r = read_entry(object, message, depth);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(message);
	if (r < 0)
		return r;
	*ret = take_ptr(object);
	return *ret ? 0 : -ENOMEM;
}

int json_from_dictionary(json_t **ret, sd_bus_message *message)
{
	return read_dictionary(ret, message, 0);
}

uint64_t json_count(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	double number = json_number_value(value);

	if (json_is_integer(value))
		return json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	return number > 0 && number < INTEGER_MAX ? (uint64_t)number : 0;
}

/* --- Printing ----------------------------------------------------------------------------------- */

/* jansson writes U+0080 to U+009F as they are, and some terminals obey them: those alone are escaped then */
static bool has_c1(const char *text)
{
	while ((text = strstr(text, "\xc2")) != NULL)
		if ((unsigned char)*++text < 0xa0)
			return true;
	return false;
}

int json_print(const struct ctl *ctl, FILE *file, json_t *value)
{
	cleanup(json_decrefp) json_t *owned = value;
	cleanup(freep) char *text = value ? json_dumps(value, JSON_TEXT | JSON_ENCODE_ANY) : NULL;

	if (text && has_c1(text)) {
		free(text);
		text = json_dumps(owned, JSON_TEXT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	}
	if (!text)
		return ctl_no_memory(ctl);
	(void)fprintf(file, "%s\n", text);
	return EX_OK;
}
