/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dictionary's keys come in any order, so a channel is made by whoever names it first, the list of
 * channels or the values. Devices are made one by one in a list that grows, and are freed whole.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "device.h"
#include "text.h"

#define KEY_STATE "state"

/* --- Words ------------------------------------------------------------------------------------- */

/* Return: its place among @words; -1: it is none of them; an errno is in *@ret_error */
static int read_word(sd_bus_message *message, const char *(*name)(unsigned int), unsigned int count,
		     int *ret_error)
{
	cleanup(freep) char *text = NULL;

	*ret_error = variant_string(message, &text);
	for (unsigned int i = 0; text && i < count; i++)
		if (strcmp(text, name(i)) == 0)
			return (int)i;
	return -1;
}

/* --- Channels and values ------------------------------------------------------------------------ */

/* Return: the channel of that name, made if there is none; NULL: out of memory */
static struct device_channel *channel_at(struct device *device, const char *name)
{
	struct device_channel *channels, *channel;

	for (size_t i = 0; i < device->channel_count; i++)
		if (strcmp(device->channels[i].name, name) == 0)
			return &device->channels[i];
	channels = reallocarray(device->channels, device->channel_count + 1, sizeof(*channels));
	if (!channels)
		return NULL;
	device->channels = channels;
	channel = &channels[device->channel_count];
	*channel = (struct device_channel){
		.name = strdup(name),
		.unit = strdup(""),
		.number = (double)NAN,
	};
	if (!channel->name || !channel->unit) {
		free(channel->name);
		free(channel->unit);
		return NULL;
	}
	device->channel_count++;
	return channel;
}

static int read_channel(struct device *device, sd_bus_message *message)
{
	cleanup(freep) char *name = NULL, *unit = NULL;
	struct device_channel *channel;
	int r;

	r = string_read(message, &name);
	if (r < 0)
		return r;
	r = string_read(message, &unit);
	if (r < 0)
		return r;
	channel = channel_at(device, name);
	if (!channel)
		return -ENOMEM;
	free(channel->unit);
	channel->unit = take_ptr(unit);
	return 0;
}

static int read_channels(struct device *device, sd_bus_message *message)
{
	int r = variant_enter(message, "a(ss)");

	if (r <= 0)
		return r;
	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "(ss)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_STRUCT, "ss")) > 0) {
		r = read_channel(device, message);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(message);
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static const char *state_name(unsigned int state)
{
	return state > 0 ? "on" : "off";
}

static int read_state(struct device *device, sd_bus_message *message)
{
	int r;

	device->state = read_word(message, state_name, 2, &r);
	return r;
}

static int read_value(struct device *device, const char *key, sd_bus_message *message)
{
	cleanup(freep) char *name = strdup(key);
	struct device_channel *channel;
	double number;
	int r;

	if (!name)
		return -ENOMEM;
	if (strcmp(key, KEY_STATE) == 0 && sd_bus_message_verify_type(message, 'v', "s") > 0)
		return read_state(device, message);
	r = variant_enter(message, "d");
	if (r <= 0)
		return r;
	r = sd_bus_message_read_basic(message, SD_BUS_TYPE_DOUBLE, &number);
	if (r < 0)
		return r;
	text_clean(name);
	channel = channel_at(device, name);
	if (!channel)
		return -ENOMEM;
	channel->number = number;
	return sd_bus_message_exit_container(message);
}

/* --- Dictionaries ------------------------------------------------------------------------------- */

typedef int (*read_entry)(struct device *device, const char *key, sd_bus_message *message);

/* Return: 0; an errno */
static int read_dictionary(struct device *device, sd_bus_message *message, read_entry read)
{
	const char *key;
	int r;

	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sv}");
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
		r = sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &key);
		if (r < 0)
			return r;
		r = read(device, key, message);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	return r < 0 ? r : 0;
}

static int read_values(struct device *device, sd_bus_message *message)
{
	int r = variant_enter(message, "a{sv}");

	if (r <= 0)
		return r;
	r = read_dictionary(device, message, read_value);
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int device_read_values(struct device *device, sd_bus_message *message)
{
	int r = sd_bus_message_read_basic(message, SD_BUS_TYPE_UINT64, &device->time_us);

	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	return read_dictionary(device, message, read_value);
}

void device_forget_values(struct device *device)
{
	for (size_t i = 0; i < device->channel_count; i++)
		device->channels[i].number = (double)NAN;
	device->state = -1;
	device->time_us = 0;
}

static const char *kind_name(unsigned int kind)
{
	return device_kind_name((enum device_kind)kind);
}

static const char *status_name(unsigned int status)
{
	return device_status_name((enum device_status)status);
}

static int read_kind(struct device *device, sd_bus_message *message)
{
	int r, kind = read_word(message, kind_name, DEVICE_OUTPUT + 1, &r);

	device->kind = kind < 0 ? DEVICE_SENSOR : (enum device_kind)kind;
	return r;
}

static int read_status(struct device *device, sd_bus_message *message)
{
	int r, status = read_word(message, status_name, STATUS_OFFLINE + 1, &r);

	device->status = status < 0 ? STATUS_UNKNOWN : (enum device_status)status;
	return r;
}

static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{ "interval", offsetof(struct device, interval_us) },
	{ "time", offsetof(struct device, time_us) },
	{ "readings", offsetof(struct device, readings) },
	{ "errors", offsetof(struct device, errors) },
	{ "late", offsetof(struct device, late_us) },
	{ "busy", offsetof(struct device, busy_us) },
};

static const struct {
	const char *key;
	size_t offset;
} strings[] = {
	{ "name", offsetof(struct device, name) },
	{ "fault", offsetof(struct device, fault) },
	{ "driver", offsetof(struct device, driver) },
};

static const struct {
	const char *key;
	int (*read)(struct device *device, sd_bus_message *message);
} others[] = {
	{ "kind", read_kind },	       { "status", read_status }, { KEY_STATE, read_state },
	{ "channels", read_channels }, { "values", read_values },
};

static int read_key(struct device *device, const char *key, sd_bus_message *message)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (strcmp(key, numbers[i].key) == 0)
			return variant_number(message,
					      (void *)((char *)device + numbers[i].offset));
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		if (strcmp(key, strings[i].key) == 0)
			return variant_string(message,
					      (void *)((char *)device + strings[i].offset));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(key, others[i].key) == 0)
			return others[i].read(device, message);
	return sd_bus_message_skip(message, "v");
}

/* --- Devices ------------------------------------------------------------------------------------ */

static void device_clear(struct device *device)
{
	for (size_t i = 0; i < device->channel_count; i++) {
		free(device->channels[i].name);
		free(device->channels[i].unit);
	}
	free(device->channels);
	free(device->name);
	free(device->fault);
	free(device->driver);
}

static int read_device(struct device *device, sd_bus_message *message)
{
	*device = (struct device){
		.name = strdup(""),
		.fault = strdup(""),
		.driver = strdup(""),
		.state = -1,
	};
	if (!device->name || !device->fault || !device->driver)
		return -ENOMEM;
	return read_dictionary(device, message, read_key);
}

/* Return: 1 one more; 0 that was the last; an errno */
static int devices_append(struct devices *devices, sd_bus_message *message)
{
	struct device *list;
	int r = sd_bus_message_at_end(message, false);

	if (r != 0)
		return r < 0 ? r : 0;
	list = reallocarray(devices->list, devices->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	devices->list = list;
	r = read_device(&list[devices->count++], message); /* counted: freed if it is half done */
	return r < 0 ? r : 1;
}

int devices_read(struct devices *ret, sd_bus_message *reply)
{
	cleanup(devices_free) struct devices devices = { 0 };
	int r;

	r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	do
		r = devices_append(&devices, reply);
	while (r > 0);
	if (r < 0)
		return r;
	*ret = devices;
	devices = (struct devices){ 0 };
	return 0;
}

void devices_free(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		device_clear(&devices->list[i]);
	free(devices->list);
	*devices = (struct devices){ 0 };
}

void devices_keep(struct devices *devices, enum device_kind kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < devices->count; i++) {
		if (devices->list[i].kind == kind)
			devices->list[kept++] = devices->list[i];
		else
			device_clear(&devices->list[i]);
	}
	devices->count = kept;
}

struct device *devices_find(const struct devices *devices, const char *name, int kind)
{
	for (size_t i = 0; i < devices->count; i++)
		if (strcmp(devices->list[i].name, name) == 0 &&
		    (kind < 0 || devices->list[i].kind == (enum device_kind)kind))
			return &devices->list[i];
	return NULL;
}

int64_t device_last_us(const struct device *device, int64_t now_us)
{
	if (device->time_us == 0 || device->time_us > (uint64_t)INT64_MAX)
		return -1;
	if ((int64_t)device->time_us >
	    now_us) /* the clock was set back, or a tick between two programs */
		return 0;
	return now_us - (int64_t)device->time_us;
}
