/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From iotd's words to pieces of D-Bus messages. sd-bus refuses a string that is no UTF-8: such
 * bytes become "?".
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dbus.h"
#include "iotd/json.h"
#include "iotd/parse.h"

/* of a text that is not ours; a fault of the configuration has the longest */
#define TEXT_SIZE 1024

int values_text(sd_bus_message *message, const char *text)
{
	char mended[TEXT_SIZE];
	int r;

	if (!text)
		text = "";
	r = sd_bus_message_append_basic(message, 's', text);
	if (r != -EINVAL)
		return r;
	(void)snprintf(mended, sizeof(mended), "%s", text);
	text_mend(mended);
	return sd_bus_message_append_basic(message, 's', mended);
}

/* --- dictionaries --------------------------------------------------------------------------- */

static int open_entry(sd_bus_message *message, const char *key, const char *type)
{
	int r = sd_bus_message_open_container(message, 'e', "sv");

	if (r >= 0)
		r = values_text(message, key);
	return r < 0 ? r : sd_bus_message_open_container(message, 'v', type);
}

static int close_entry(sd_bus_message *message)
{
	int r = sd_bus_message_close_container(message);

	return r < 0 ? r : sd_bus_message_close_container(message);
}

static int entry_basic(sd_bus_message *message, const char *key, char type, const void *value)
{
	const char types[] = { type, '\0' };
	int r = open_entry(message, key, types);

	if (r >= 0)
		r = sd_bus_message_append_basic(message, type, value);
	return r < 0 ? r : close_entry(message);
}

int values_entry_text(sd_bus_message *message, const char *key, const char *text)
{
	int r = open_entry(message, key, "s");

	if (r >= 0)
		r = values_text(message, text);
	return r < 0 ? r : close_entry(message);
}

int values_entry_whole(sd_bus_message *message, const char *key, uint64_t value)
{
	return entry_basic(message, key, 't', &value);
}

/* --- readings ------------------------------------------------------------------------------- */

int values_channels(sd_bus_message *message, const struct channel *channels, size_t count)
{
	int r = sd_bus_message_open_container(message, 'a', "(ss)");

	for (size_t i = 0; r >= 0 && i < count; i++) {
		r = sd_bus_message_open_container(message, 'r', "ss");
		if (r >= 0)
			r = values_text(message, channels[i].name);
		if (r >= 0)
			r = values_text(message, channels[i].unit);
		if (r >= 0)
			r = sd_bus_message_close_container(message);
	}
	return r < 0 ? r : sd_bus_message_close_container(message);
}

int values_reading(sd_bus_message *message, const struct value *values, size_t count)
{
	int r = sd_bus_message_open_container(message, 'a', "{sv}");

	for (size_t i = 0; r >= 0 && i < count; i++)
		r = entry_basic(message, values[i].channel->name, 'd', &values[i].number);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

int values_sample(sd_bus_message *message, const struct device_info *info)
{
	int r = sd_bus_message_open_container(message, 'a', "{sv}");

	for (size_t i = 0; r >= 0 && i < info->channel_count; i++) {
		double number = device_value(info, i);

		if (!isnan(number))
			r = entry_basic(message, info->channels[i].name, 'd', &number);
	}
	return r < 0 ? r : sd_bus_message_close_container(message);
}

int values_state(sd_bus_message *message, bool on)
{
	return sd_bus_message_append(message, "a{sv}", 1, "state", "s", on ? "on" : "off");
}

/* --- a device ------------------------------------------------------------------------------- */

static int append_channels(sd_bus_message *message, const struct device_info *info)
{
	int r = open_entry(message, "channels", "a(ss)");

	if (r >= 0)
		r = values_channels(message, info->channels, info->channel_count);
	return r < 0 ? r : close_entry(message);
}

/* of a sensor, or of an input that counts */
static int append_measuring(sd_bus_message *message, const struct device_info *info)
{
	int r = 0;

	if (info->driver)
		r = values_entry_text(message, "driver", info->driver);
	if (r >= 0 && info->interval_us > 0)
		r = values_entry_whole(message, "interval", (uint64_t)info->interval_us);
	if (r >= 0 && (info->kind == DEVICE_SENSOR || info->channel_count > 0))
		r = append_channels(message, info);
	return r;
}

/* the newest reading, or else the state */
static int append_newest(sd_bus_message *message, const struct device_info *info)
{
	int r;

	if (device_time(info) == 0)
		return 0;
	r = values_entry_whole(message, "time", (uint64_t)device_time(info));
	if (r >= 0)
		r = open_entry(message, "values", "a{sv}");
	if (r >= 0)
		r = info->sample ? values_sample(message, info)
				 : values_state(message, info->state > 0);
	return r < 0 ? r : close_entry(message);
}

static int append_counters(sd_bus_message *message, const struct device_info *info)
{
	int r;

	if (info->kind != DEVICE_SENSOR)
		return 0;
	r = values_entry_whole(message, "readings", info->readings);
	if (r >= 0)
		r = values_entry_whole(message, "errors", info->read_errors);
	if (r >= 0)
		r = values_entry_whole(message, "late", (uint64_t)info->late_us);
	return r < 0 ? r : values_entry_whole(message, "busy", (uint64_t)info->busy_us);
}

int values_device(sd_bus_message *message, const struct device_info *info)
{
	int r = sd_bus_message_open_container(message, 'a', "{sv}");

	if (r >= 0)
		r = values_entry_text(message, "name", info->name);
	if (r >= 0)
		r = values_entry_text(message, "kind", device_kind_name(info->kind));
	if (r >= 0)
		r = values_entry_text(message, "status", device_status_name(info->status));
	if (r >= 0 && info->fault)
		r = values_entry_text(message, "fault", info->fault);
	if (r >= 0)
		r = append_measuring(message, info);
	if (r >= 0 && info->state >= 0)
		r = values_entry_text(message, "state", info->state > 0 ? "on" : "off");
	if (r >= 0)
		r = append_newest(message, info);
	if (r >= 0)
		r = append_counters(message, info);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

/* --- statistics ----------------------------------------------------------------------------- */

static int append_object(sd_bus_message *message, json_t *object);

static int append_member(sd_bus_message *message, const char *key, json_t *value)
{
	int64_t whole = json_integer_value(value);
	double real = json_real_value(value);
	int truth = json_is_true(value), r;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return values_entry_text(message, key, json_string_value(value));
	case JSON_INTEGER:
		return entry_basic(message, key, whole < 0 ? 'x' : 't', &whole);
	case JSON_REAL:
		return entry_basic(message, key, 'd', &real);
	case JSON_TRUE:
	case JSON_FALSE:
		return entry_basic(message, key, 'b', &truth);
	case JSON_OBJECT:
		r = open_entry(message, key, "a{sv}");
		if (r >= 0)
			r = append_object(message, value);
		return r < 0 ? r : close_entry(message);
	case JSON_ARRAY:
	case JSON_NULL:
		break; /* nothing was measured */
	}
	return 0;
}

static int append_object(sd_bus_message *message, json_t *object)
{
	int r = sd_bus_message_open_container(message, 'a', "{sv}");
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) if (r >= 0) r = append_member(message, key, value);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

int values_stats(sd_bus_message *message, const struct stats *stats, uint64_t signals_dropped)
{
	cleanup(json_decrefp) json_t *object = json_from_stats(stats);

	if (!object || json_object_set_new(object, "signals_dropped",
					   json_integer((json_int_t)signals_dropped)) < 0)
		return -ENOMEM;
	return append_object(message, object);
}
