/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Home Assistant's MQTT discovery (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).
 *
 * By device, PREFIX/device/NODE/config: what is common to all components once (dev, o, avty), and
 * the components in "cmps". One that is gone stays there with its platform alone, which makes Home
 * Assistant remove it; one that were only left out would stay. By entity, for versions before
 * 2024.11: PREFIX/PLATFORM/NODE/ID/config, each with all of it; an empty message removes it.
 *
 * Keys are the abbreviations that all versions know; a version ignores what it does not know.
 *
 * A reading holds only the channels that have something to say (deadband, a total that is not known
 * yet), so the template of a channel gives "" for one that is not there: Home Assistant then leaves
 * the number as it was.
 *
 * With mqtt.compat it is by entity, and topics, names and unique ids are mqtt-io's: Home Assistant
 * then takes us for it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "discovery-names.h"
#include "entity-class.h"
#include "iotd/clock.h"
#include "iotd/compat.h"
#include "iotd/discovery.h"
#include "iotd/message.h"

#define TEMPLATE_SIZE (NAME_LENGTH + 48)

/* an entity expires if it is silent for three times as long as it should, and so long at least */
#define EXPIRY_FACTOR 3
#define EXPIRY_MIN_S  60

/* a number, as a sensor of Home Assistant */
struct figure {
	const char *prefix, *name, *leaf; /* of its id; leaf NULL: none */
	const char *label, *unique_id;	  /* unique_id NULL: NODE.ID */
	const char *topic;
	const char *key;    /* in the JSON object there; NULL: the payload is the number */
	const char *sensor; /* whose status tells whether it is there, besides ours; NULL: none */
	const char *unit, *device_class, *state_class, *category; /* NULL: none */
	bool is_total; /* it only grows, or begins again */
	int precision;
	int64_t distance_us; /* between messages, when all is well */
};

/* "gas_resistance" of "air" -> "air gas resistance" */
static void make_label(char label[static OBJECT_SIZE], const char *name, const char *leaf)
{
	char *at;

	(void)snprintf(label, OBJECT_SIZE, "%s %s", name, leaf);
	for (at = label + strlen(name); *at; at++)
		if (*at == '_')
			*at = ' ';
}

/* --- a component ---------------------------------------------------------------------------- */

static json_t *availability(const char *topic)
{
	return json_pack("{s:s}", "t", topic);
}

/* what all components have; @label: the name to be shown. NULL: out of memory */
static json_t *component_new(const struct settings *settings, const char *id, const char *unique_id,
			     const char *label, const char *topic)
{
	const char *platform = discovery_platform(id);
	char node[DISCOVERY_NODE_SIZE];

	discovery_node(node, settings->device);
	if (unique_id)
		return json_pack("{s:s, s:s, s:s, s:s}", "p", platform, "name", label, "uniq_id",
				 unique_id, "stat_t", topic);
	return json_pack("{s:s, s:s, s:s++, s:s}", "p", platform, "name", label, "uniq_id", node,
			 ".", id, "stat_t", topic);
}

static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int set_text(json_t *object, const char *key, const char *text)
{
	return text ? set(object, key, json_string(text)) : 0;
}

/* T/status, which with mqtt.compat has other words, two of them for "not there" */
static json_t *our_availability(const struct settings *settings)
{
	cleanup(freep) char *topic = topic_new(settings->mqtt.topic, "status", NULL, NULL);
	json_t *object = topic ? availability(topic) : NULL;

	if (compat_is_mqtt_io(&settings->mqtt) &&
	    json_object_set_new(object, "val_tpl",
				json_sprintf("{{ 'online' if value == '%s' else 'offline' }}",
					     compat_words(&settings->mqtt)->online)) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* T/status and T/sensor/NAME/status: both must say `online` */
static int set_availability(json_t *component, const struct settings *settings, const char *sensor)
{
	cleanup(freep) char *its = topic_new(settings->mqtt.topic, "sensor", sensor, "status");

	if (!its)
		return -ENOMEM;
	if (set(component, "avty",
		json_pack("[o, o]", our_availability(settings), availability(its))) < 0)
		return -ENOMEM;
	return set_text(component, "avty_mode", "all");
}

static int set_expiry(json_t *component, int64_t distance_us)
{
	int64_t seconds = (EXPIRY_FACTOR * distance_us + USEC_PER_SEC - 1) / USEC_PER_SEC;

	return set(component, "exp_aft",
		   json_integer(seconds > EXPIRY_MIN_S ? seconds : EXPIRY_MIN_S));
}

static int set_template(json_t *component, const char *key)
{
	char text[TEMPLATE_SIZE];

	(void)snprintf(text, sizeof(text), "{{ value_json['%s'] | default('') }}", key);
	return set_text(component, "val_tpl", text);
}

static int set_figure(json_t *component, const struct settings *settings,
		      const struct figure *figure)
{
	int r = figure->key ? set_template(component, figure->key) : 0;

	if (r == 0)
		r = set_text(component, "unit_of_meas", figure->unit);
	if (r == 0)
		r = set_text(component, "dev_cla", figure->device_class);
	if (r == 0)
		r = set_text(component, "stat_cla", figure->state_class);
	if (r == 0)
		r = set_text(component, "ent_cat", figure->category);
	if (r == 0)
		r = set(component, "suggested_display_precision", json_integer(figure->precision));
	if (r == 0)
		r = set_expiry(component, figure->distance_us);
	if (r == 0 && figure->sensor)
		r = set_availability(component, settings, figure->sensor);
	return r;
}

static int add_figure(json_t *components, const struct settings *settings,
		      const struct figure *figure)
{
	cleanup(json_decrefp) json_t *component = NULL;
	char id[OBJECT_SIZE];

	discovery_object_id(id, figure->prefix, figure->name, figure->leaf);
	component = component_new(settings, id, figure->unique_id, figure->label, figure->topic);
	if (!component || set_figure(component, settings, figure) < 0)
		return -ENOMEM;
	return set(components, id, take_ptr(component));
}

/* --- channels ------------------------------------------------------------------------------- */

/* how the settings call it; "none" is for whoever wants none */
static const char *chosen_class(const char *chosen, const char *by_unit)
{
	if (!chosen)
		return by_unit;
	return strcmp(chosen, "none") == 0 ? NULL : chosen;
}

/* fills in what @channel says of @figure; @chosen: its device_class in the settings, or NULL */
static int add_channel(json_t *components, const struct settings *settings, struct figure figure,
		       const struct channel *channel, const char *chosen)
{
	char label[OBJECT_SIZE], unit[UNIT_LENGTH + 1];
	cleanup(freep) char *topic = NULL;

	figure.prefix = SENSOR;
	if (!figure.label) { /* not as mqtt-io has it */
		make_label(label, figure.name, channel->name);
		figure.leaf = channel->name;
		figure.label = label;
		if (settings->mqtt.format != FORMAT_VALUE)
			figure.key = channel->name;
		else if (!(topic = topic_new(figure.topic, channel->name, NULL, NULL)))
			return -ENOMEM;
		else
			figure.topic = topic;
	}
	entity_unit(unit, channel->unit);
	figure.unit = unit[0] != '\0' ? unit : NULL;
	figure.device_class =
		chosen_class(chosen, entity_class(channel->name, unit, figure.is_total));
	figure.state_class = entity_state_class(figure.device_class, figure.is_total);
	return add_figure(components, settings, &figure);
}

/* what mqtt-io has instead of our names */
struct foreign {
	char name[COMPAT_NAME_SIZE];
	char *topic, *id;
};

static void foreign_done(struct foreign *foreign)
{
	free(foreign->topic);
	free(foreign->id);
}

static void take_foreign(struct figure *figure, const struct foreign *foreign)
{
	figure->name = foreign->name;
	figure->label = foreign->name;
	figure->topic = foreign->topic;
	figure->unique_id = foreign->id;
}

/* Return: 0, also without mqtt.compat; -ENOENT this channel is not published; -ENOMEM */
static int make_foreign_sensor(struct figure *figure, struct foreign *foreign,
			       const struct mqtt_settings *mqtt,
			       const struct sensor_settings *sensor, const char *channel)
{
	int r;

	if (!compat_is_mqtt_io(mqtt))
		return 0;
	r = compat_sensor_name(foreign->name, sensor, channel);
	if (r == 0)
		r = compat_sensor_topic(&foreign->topic, mqtt, sensor, channel);
	if (r == 0)
		r = compat_sensor_id(&foreign->id, mqtt, sensor, channel);
	if (r == 0)
		take_foreign(figure, foreign);
	return r;
}

/* Return: 0, also without mqtt.compat; -ENOMEM */
static int make_foreign_count(struct figure *figure, struct foreign *foreign,
			      const struct mqtt_settings *mqtt, const struct input_settings *input,
			      const char *channel)
{
	int r;

	if (!compat_is_mqtt_io(mqtt))
		return 0;
	compat_count_name(foreign->name, input, channel);
	r = compat_count_topic(&foreign->topic, mqtt, input, channel);
	if (r == 0)
		r = compat_count_id(&foreign->id, mqtt, input, channel);
	if (r == 0)
		take_foreign(figure, foreign);
	return r;
}

static const struct channel_settings *settings_of_channel(const struct sensor_settings *sensor,
							  const char *name)
{
	for (size_t i = 0; i < sensor->channel_count; i++)
		if (strcmp(sensor->channels[i].name, name) == 0)
			return &sensor->channels[i];
	return NULL;
}

static int add_sensor(json_t *components, const struct settings *settings,
		      const struct discovery_device *device)
{
	const struct sensor_settings *sensor = device->sensor;
	int64_t interval_us = device->info.interval_us, distance_us = interval_us;
	int r = 0;

	if (sensor->window_us > interval_us)
		distance_us = sensor->window_us;
	for (size_t i = 0; r == 0 && i < device->info.channel_count; i++) {
		const struct channel *channel = &device->info.channels[i];
		const struct channel_settings *own = settings_of_channel(sensor, channel->name);
		cleanup(foreign_done) struct foreign foreign = { .topic = NULL };
		struct figure figure = {
			.name = sensor->name,
			.topic = sensor->topic,
			.sensor = sensor->name,
			.precision = channel->digits,
			.distance_us = distance_us,
		};

		if (own && own->deadband > 0)
			figure.distance_us += own->max_age_us;
		r = make_foreign_sensor(&figure, &foreign, &settings->mqtt, sensor, channel->name);
		if (r == 0)
			r = add_channel(components, settings, figure, channel,
					own ? own->device_class : NULL);
		else if (r == -ENOENT)
			r = 0;
	}
	return r;
}

/* --- inputs and outputs --------------------------------------------------------------------- */

/* decimals that a multiple of @scale has, as far as the channel shows them */
static int scale_digits(double scale, int digits)
{
	int needed = 0;

	while (needed < digits && fabs(value_round(scale, needed) - scale) > fabs(scale) * 1e-9)
		needed++;
	return needed;
}

/* the readings of count or on_time: with more decimals than a person wants to see */
static int add_counter(json_t *components, const struct settings *settings,
		       const struct discovery_device *device)
{
	const struct input_settings *input = device->input;
	int r = 0;

	for (size_t i = 0; r == 0 && i < device->info.channel_count; i++) {
		const struct channel *channel = &device->info.channels[i];
		bool is_total = strcmp(channel->name, "total") == 0 ||
				strcmp(channel->name, "since_start") == 0;
		cleanup(foreign_done) struct foreign foreign = { .topic = NULL };
		struct figure figure = {
			.name = input->name,
			.topic = input->count_topic,
			.is_total = is_total,
			.precision = is_total ? scale_digits(input->scale, channel->digits)
					      : channel->digits - 3,
			.distance_us = device->info.interval_us,
		};

		r = make_foreign_count(&figure, &foreign, &settings->mqtt, input, channel->name);
		if (r == 0)
			r = add_channel(components, settings, figure, channel,
					input->count && is_total ? input->device_class : NULL);
	}
	return r;
}

static int set_state(json_t *component, const struct settings *settings, const char *device_class)
{
	const struct compat_words *words = compat_words(&settings->mqtt);
	int r = set_text(component, "pl_on", words->on);

	if (r == 0)
		r = set_text(component, "pl_off", words->off);
	if (r == 0 && settings->mqtt.format != FORMAT_VALUE)
		r = set_text(component, "val_tpl", "{{ value_json.state }}");
	if (r == 0)
		r = set_text(component, "dev_cla", chosen_class(device_class, NULL));
	return r;
}

static int set_command(json_t *component, const struct settings *settings, const char *name)
{
	cleanup(freep) char *topic = topic_new(settings->mqtt.topic, "output", name, "set");

	if (!topic || set_text(component, "cmd_t", topic) < 0)
		return -ENOMEM;
	return set(component, "qos", json_integer(settings->mqtt.qos));
}

/* with mqtt.compat; else NULL. Return: 0; -ENOMEM */
static int foreign_line_id(char **ret, const struct mqtt_settings *mqtt,
			   const struct discovery_device *device)
{
	if (!compat_is_mqtt_io(mqtt))
		return 0;
	return device->info.kind == DEVICE_INPUT ? compat_input_id(ret, mqtt, device->input)
						 : compat_output_id(ret, mqtt, device->output);
}

static int add_line(json_t *components, const struct settings *settings,
		    const struct discovery_device *device, const char *platform,
		    const char *device_class)
{
	const struct device_info *info = &device->info;
	cleanup(freep) char *topic =
		topic_new(settings->mqtt.topic, device_kind_name(info->kind), info->name, NULL);
	cleanup(json_decrefp) json_t *component = NULL;
	cleanup(freep) char *unique_id = NULL;
	char id[OBJECT_SIZE];

	if (!topic || foreign_line_id(&unique_id, &settings->mqtt, device) < 0)
		return -ENOMEM;
	discovery_object_id(id, platform, info->name, NULL);
	component = component_new(settings, id, unique_id, info->name, topic);
	if (!component || set_state(component, settings, device_class) < 0)
		return -ENOMEM;
	if (strcmp(platform, SWITCH) == 0 && set_command(component, settings, info->name) < 0)
		return -ENOMEM;
	return set(components, id, take_ptr(component));
}

static int add_input(json_t *components, const struct settings *settings,
		     const struct discovery_device *device)
{
	const struct input_settings *input = device->input;
	int r = 0;

	if (!input->count)
		r = add_line(components, settings, device, BINARY_SENSOR, input->device_class);
	return r == 0 ? add_counter(components, settings, device) : r;
}

/* one that takes no commands is shown all the same; its device classes are others then */
static int add_output(json_t *components, const struct settings *settings,
		      const struct discovery_device *device)
{
	const struct command_settings *commands = &settings->commands;

	if (commands->enabled && commands->allow[COMMAND_SET])
		return add_line(components, settings, device, SWITCH, device->output->device_class);
	return add_line(components, settings, device, BINARY_SENSOR, NULL);
}

json_t *discovery_components(const struct settings *settings, const struct discovery_device *device)
{
	cleanup(json_decrefp) json_t *components = json_object();
	int r = components ? 0 : -ENOMEM;

	if (r < 0)
		return NULL;
	switch (device->info.kind) {
	case DEVICE_SENSOR:
		r = add_sensor(components, settings, device);
		break;
	case DEVICE_INPUT:
		r = add_input(components, settings, device);
		break;
	case DEVICE_OUTPUT:
		r = add_output(components, settings, device);
		break;
	}
	return r < 0 ? NULL : take_ptr(components);
}

/* --- ourselves ------------------------------------------------------------------------------ */

json_t *discovery_diagnostics(const struct settings *settings)
{
	static const struct {
		const char *key, *label, *unit, *device_class;
		bool is_total;
		int precision;
	} figures[] = {
		{ "uptime", "uptime", "s", "duration", false, 0 },
		{ "queued", "readings queued", NULL, NULL, false, 0 },
		{ "discarded", "readings discarded", NULL, NULL, true, 0 },
		{ "read_errors", "read errors", NULL, NULL, true, 0 },
		{ "reads_missed", "reads missed", NULL, NULL, true, 0 },
		{ "late_max", "latest read", "s", "duration", false, 3 },
		{ "connects", "connects", NULL, NULL, true, 0 },
		{ "disconnects", "disconnects", NULL, NULL, true, 0 },
		{ "refused", "messages refused", NULL, NULL, true, 0 },
		{ "commands_refused", "commands refused", NULL, NULL, true, 0 },
	};
	cleanup(freep) char *topic = topic_new(settings->mqtt.topic, "stats", NULL, NULL);
	cleanup(json_decrefp) json_t *components = json_object();

	for (size_t i = 0; topic && components && i < ARRAY_SIZE(figures); i++) {
		const struct figure figure = {
			.prefix = STATS,
			.name = figures[i].key,
			.label = figures[i].label,
			.topic = topic,
			.key = figures[i].key,
			.unit = figures[i].unit,
			.device_class = figures[i].device_class,
			.state_class = entity_state_class(NULL, figures[i].is_total),
			.category = "diagnostic",
			.precision = figures[i].precision,
			.distance_us = settings->stats.interval_us,
		};

		if (add_figure(components, settings, &figure) < 0)
			return NULL;
	}
	return topic ? take_ptr(components) : NULL;
}

/* --- messages ------------------------------------------------------------------------------- */

json_t *discovery_remains(const char *id)
{
	return json_pack("{s:s}", "p", discovery_platform(id));
}

/* what is common to all components, into @object. Return: 0; -ENOMEM */
static int set_common(json_t *object, const struct settings *settings,
		      const struct discovery_host *host)
{
	bool is_foreign = compat_is_mqtt_io(&settings->mqtt);
	char node[DISCOVERY_NODE_SIZE];

	discovery_node(node, settings->device);
	if (set(object, "dev",
		json_pack("{s:[s], s:s, s:s*, s:s*, s:s*}", "ids",
			  is_foreign ? settings->mqtt.client_id : node, "name", settings->device,
			  "mf", host->manufacturer, "mdl", host->model, "sw", host->version)) < 0)
		return -ENOMEM;
	if (set(object, "o",
		json_pack("{s:s, s:s*, s:s*}", "name", "iotd", "sw", host->version, "url",
			  host->url)) < 0)
		return -ENOMEM;
	if (json_object_get(object, "avty")) /* a sensor's has two */
		return 0;
	return set(object, "avty", json_pack("[o]", our_availability(settings)));
}

int discovery_message(struct message **ret, const struct settings *settings,
		      const struct discovery_host *host, const char *id, json_t *what)
{
	cleanup(json_decrefp) json_t *object = id ? json_copy(what) : json_object();
	cleanup(freep) char *topic = discovery_topic(settings, id), *text = NULL;

	if (!object || !topic || set_common(object, settings, host) < 0)
		return -ENOMEM;
	if (id)
		(void)json_object_del(object, "p"); /* the topic says it */
	else if (json_object_set(object, "cmps", what) < 0)
		return -ENOMEM;
	text = json_dumps(object, JSON_COMPACT);
	return text ? message_new(ret, topic, text, strlen(text)) : -ENOMEM;
}
