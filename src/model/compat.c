/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mqtt-io's words, names and ids, after its source (version 2.6: server.py, home_assistant.py,
 * constants.py and config.schema.yml).
 *
 * A unique_id there is "{client_id}_{module}_{kind}_{name}", where module is the name that the user gave
 * to a configured module, and the topic of a discovery message has the client id as its node. If the
 * file names no client id, mqtt-io makes "mqtt-io-" and the SHA-1 of the topic prefix: iotd-convert
 * writes that into the configuration, so nothing here has to.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iotd/compat.h"

static const struct compat_words own_words = {
	.online = "online",
	.offline = "offline",
	.lost = "offline",
	.on = "on",
	.off = "off",
};

static const struct compat_words mqtt_io_words = {
	.online = "running",
	.offline = "stopped",
	.lost = "dead",
	.on = "ON",
	.off = "OFF",
};

bool compat_is_mqtt_io(const struct mqtt_settings *mqtt)
{
	return mqtt->compat && strcmp(mqtt->compat, "mqtt-io") == 0;
}

const struct compat_words *compat_words(const struct mqtt_settings *mqtt)
{
	return compat_is_mqtt_io(mqtt) ? &mqtt_io_words : &own_words;
}

/* Return: 0; -ENOMEM */
static int printf_like(2, 3) text_new(char **ret, const char *format, ...)
{
	va_list arguments;
	char *text;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0)
		return -ENOMEM;
	*ret = text;
	return 0;
}

/* --- names ---------------------------------------------------------------------------------- */

/* Return: the alias of @channel; NULL: it has none, @ret_others: but others have */
static const char *alias_of(const struct sensor_settings *sensor, const char *channel,
			    bool *ret_others)
{
	*ret_others = false;
	for (size_t i = 0; i < sensor->channel_count; i++) {
		if (!sensor->channels[i].alias)
			continue;
		if (strcmp(sensor->channels[i].name, channel) == 0)
			return sensor->channels[i].alias;
		*ret_others = true;
	}
	return NULL;
}

static void name_join(char name[static COMPAT_NAME_SIZE], const char *owner, const char *channel)
{
	(void)snprintf(name, COMPAT_NAME_SIZE, "%.*s%s%.*s", NAME_LENGTH, owner, channel ? "_" : "",
		       NAME_LENGTH, channel ? channel : "");
}

int compat_sensor_name(char name[static COMPAT_NAME_SIZE], const struct sensor_settings *sensor,
		       const char *channel)
{
	bool others;
	const char *alias = alias_of(sensor, channel, &others);

	if (!alias && others)
		return -ENOENT;
	if (alias)
		name_join(name, alias, NULL);
	else
		name_join(name, sensor->name, sensor->is_single ? NULL : channel);
	return 0;
}

void compat_count_name(char name[static COMPAT_NAME_SIZE], const struct input_settings *input,
		       const char *channel)
{
	const char *first = input->count ? "rate" : "total";

	name_join(name, input->name, strcmp(channel, first) == 0 ? NULL : channel);
}

int compat_sensor_topic(char **ret, const struct mqtt_settings *mqtt,
			const struct sensor_settings *sensor, const char *channel)
{
	bool others;
	const char *alias = alias_of(sensor, channel, &others);

	if (alias)
		return text_new(ret, "%s/sensor/%s", mqtt->topic, alias);
	if (others)
		return -ENOENT;
	return sensor->is_single ? text_new(ret, "%s", sensor->topic)
				 : text_new(ret, "%s_%s", sensor->topic, channel);
}

int compat_count_topic(char **ret, const struct mqtt_settings *mqtt,
		       const struct input_settings *input, const char *channel)
{
	char name[COMPAT_NAME_SIZE];

	compat_count_name(name, input, channel);
	return text_new(ret, "%s/sensor/%s", mqtt->topic, name);
}

/* --- ids ------------------------------------------------------------------------------------ */

static int id_new(char **ret, const struct mqtt_settings *mqtt, const char *module,
		  enum device_kind kind, const char *name)
{
	return text_new(ret, "%s_%s_%s_%s", mqtt->client_id, module, device_kind_name(kind), name);
}

static const char *line_module(const char *module, const struct line_settings *line)
{
	const char *slash;

	if (module)
		return module;
	slash = strrchr(line->chip, '/');
	return slash ? slash + 1 : line->chip;
}

int compat_sensor_id(char **ret, const struct mqtt_settings *mqtt,
		     const struct sensor_settings *sensor, const char *channel)
{
	char name[COMPAT_NAME_SIZE];
	int r = compat_sensor_name(name, sensor, channel);

	return r < 0 ? r : id_new(ret, mqtt, sensor->name, DEVICE_SENSOR, name);
}

int compat_count_id(char **ret, const struct mqtt_settings *mqtt,
		    const struct input_settings *input, const char *channel)
{
	char name[COMPAT_NAME_SIZE];

	compat_count_name(name, input, channel);
	return id_new(ret, mqtt, line_module(input->module, &input->line), DEVICE_SENSOR, name);
}

int compat_input_id(char **ret, const struct mqtt_settings *mqtt,
		    const struct input_settings *input)
{
	return id_new(ret, mqtt, line_module(input->module, &input->line), DEVICE_INPUT,
		      input->name);
}

int compat_output_id(char **ret, const struct mqtt_settings *mqtt,
		     const struct output_settings *output)
{
	return id_new(ret, mqtt, line_module(output->module, &output->line), DEVICE_OUTPUT,
		      output->name);
}

int compat_discovery_topic(char **ret, const struct mqtt_settings *mqtt, const char *component,
			   const char *name)
{
	return text_new(ret, "%s/%s/%s/%s/config", mqtt->discovery_prefix, component,
			mqtt->client_id, name);
}
