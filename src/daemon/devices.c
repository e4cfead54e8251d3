/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The devices of a configuration, at the start and at each reload; at the start the old one is empty.
 *
 * What says the same in both stays as it is: its task, its timers, its line. The rest is freed first, all of it, and
 * then made, since a line or an address may have gone from one name to another; each chip's worker
 * lets go of the old before it asks for the new, because its jobs run in order. An output is made
 * anew only if its line changed: all else it takes over without moving.
 *
 * At a reload a device that cannot be made is logged, and the others go on.
 */
#include <errno.h>
#include <string.h>

#include "daemon.h"
#include "iotd/compat.h"
#include "iotd/config.h"
#include "iotd/log.h"

/* the next devices: one for each in the settings, NULL for those that are not there (yet) */
struct plan {
	struct daemon *daemon;
	const struct settings *old, *settings;
	struct sensor **sensors;
	struct input **inputs;
	struct output **outputs;
	struct future **exits;
	struct device_changes changes;
	size_t found; /* index of the sensor that was found last */
};

static void plan_done(struct plan *plan)
{
	free(plan->sensors);
	free(plan->inputs);
	free(plan->outputs);
	free(plan->exits);
}

static int plan_new(struct plan *plan)
{
	const struct settings *settings = plan->settings;

	plan->sensors = calloc(settings->sensor_count + 1, sizeof(struct sensor *));
	plan->inputs = calloc(settings->input_count + 1, sizeof(struct input *));
	plan->outputs = calloc(settings->output_count + 1, sizeof(struct output *));
	plan->exits = calloc(settings->output_count + 1, sizeof(struct future *));
	return plan->sensors && plan->inputs && plan->outputs && plan->exits ? 0 : -ENOMEM;
}

/* --- retained topics ------------------------------------------------------------------------ */

/*
 * Not @clear: the topic of one that is gone is now somebody else's, who says more soon.
 *
 * What this run has not told may be there from an earlier one, and readings are no states: one that
 * is empty takes their place, to be cleared.
 */
static void forget_topic(struct daemon *daemon, const char *topic, bool clear)
{
	struct message *message;

	if (!topic)
		return;
	if (clear && message_new(&message, topic, NULL, 0) == 0)
		mqtt_publish_state(daemon->mqtt, message);
	mqtt_forget_state(daemon->mqtt, topic, clear);
}

static void forget(struct daemon *daemon, const char *prefix, enum device_kind kind,
		   const char *name, const char *leaf)
{
	cleanup(freep) char *topic = topic_new(prefix, device_kind_name(kind), name, leaf);

	forget_topic(daemon, topic, true);
}

/* the last reading of a sensor with `retain` */
static void forget_reading(struct daemon *daemon, const struct sensor *sensor,
			   const struct mqtt_settings *mqtt, bool clear)
{
	const struct sensor_settings *settings = sensor_settings(sensor);
	struct device_info info;

	if (!settings->retain)
		return;
	if (mqtt->format != FORMAT_VALUE) {
		forget_topic(daemon, settings->topic, clear);
		return;
	}
	sensor_info(sensor, &info);
	for (size_t i = 0; i < info.channel_count; i++) {
		cleanup(freep) char *topic = NULL;

		if (!compat_is_mqtt_io(mqtt))
			topic = topic_new(settings->topic, info.channels[i].name, NULL, NULL);
		else if (compat_sensor_topic(&topic, mqtt, settings, info.channels[i].name) < 0)
			continue; /* one that is not published */
		forget_topic(daemon, topic, clear);
	}
}

static void forget_value(struct daemon *daemon, const struct mqtt_settings *mqtt,
			 const struct input_settings *input, const char *channel)
{
	cleanup(freep) char *topic = NULL;

	if (!compat_is_mqtt_io(mqtt))
		topic = topic_new(input->count_topic, channel, NULL, NULL);
	else if (compat_count_topic(&topic, mqtt, input, channel) < 0)
		return;
	forget_topic(daemon, topic, true);
}

/* the readings of count or on_time */
static void forget_count(struct daemon *daemon, const struct settings *old,
			 const struct input_settings *input, const struct input_settings *now)
{
	bool is_same = now && now->count == input->count && now->on_time == input->on_time;

	if (old->mqtt.format != FORMAT_VALUE) {
		if (input->on_time && !is_same)
			forget_topic(daemon, input->count_topic, true);
		return;
	}
	if (input->frequency && !(is_same && now->frequency))
		forget_value(daemon, &old->mqtt, input, "frequency");
	if (is_same)
		return;
	forget_value(daemon, &old->mqtt, input, "total");
	forget_value(daemon, &old->mqtt, input, input->count ? "rate" : "since_start");
}

/* @now: what it is next; NULL: it is gone */
static void forget_input(struct daemon *daemon, const struct settings *old,
			 const struct input_settings *input, const struct input_settings *now)
{
	bool has_own = !input->count || old->mqtt.format != FORMAT_VALUE;
	bool has_next = now && (!now->count || old->mqtt.format != FORMAT_VALUE);

	if (input->count || input->on_time)
		forget_count(daemon, old, input, now);
	if (has_own && !has_next)
		forget(daemon, old->mqtt.topic, DEVICE_INPUT, input->name, NULL);
}

void devices_forget(struct daemon *daemon, const struct settings *old)
{
	const char *prefix = old->mqtt.topic;

	for (size_t i = 0; i < old->sensor_count; i++)
		forget(daemon, prefix, DEVICE_SENSOR, old->sensors[i].name, "status");
	for (size_t i = 0; i < old->input_count; i++)
		forget_input(daemon, old, &old->inputs[i], NULL);
	for (size_t i = 0; i < old->output_count; i++)
		forget(daemon, prefix, DEVICE_OUTPUT, old->outputs[i].name, NULL);
}

void devices_tell(struct daemon *daemon)
{
	struct device_info info;
	struct state state;

	for (size_t i = 0; i < daemon->sensor_count; i++) {
		sensor_info(daemon->sensors[i], &info);
		if (info.status != STATUS_UNKNOWN)
			daemon->events.status(&daemon->events, DEVICE_SENSOR, info.name,
					      info.status);
	}
	for (size_t i = 0; i < daemon->input_count; i++)
		if (input_state(daemon->inputs[i], &state) == 0)
			daemon->events.state(&daemon->events, &state);
	for (size_t i = 0; i < daemon->output_count; i++)
		if (output_state(daemon->outputs[i], &state) == 0)
			daemon->events.state(&daemon->events, &state);
	announcing_all(daemon);
}

/* --- keep or free --------------------------------------------------------------------------- */

/* both have the bus, or neither */
static bool bus_is_kept(const struct plan *plan, const char *name)
{
	const struct i2c_settings *before, *now;

	if (!name)
		return true;
	before = settings_find_i2c(plan->old, name);
	now = settings_find_i2c(plan->settings, name);
	return before && now && config_i2c_equal(before, now);
}

/* from where the last one was found backwards, as they come: 30,000 in the same order cost 30,000 looks */
static const struct sensor_settings *find_sensor(struct plan *plan, const char *name)
{
	const struct settings *settings = plan->settings;
	size_t count = settings->sensor_count;

	for (size_t i = 0; i < count; i++) {
		size_t at = (plan->found + count - i) % count;

		if (!settings->sensors[at].enabled || strcmp(settings->sensors[at].name, name) != 0)
			continue;
		plan->found = at;
		return &settings->sensors[at];
	}
	return NULL;
}

static void keep_sensor(struct plan *plan, struct sensor *sensor)
{
	const struct sensor_settings *before = sensor_settings(sensor);
	const struct sensor_settings *now = find_sensor(plan, before->name);

	if (now && config_sensor_equal(before, now) && bus_is_kept(plan, now->bus)) {
		sensor_update(sensor, now);
		plan->sensors[now - plan->settings->sensors] = sensor;
		plan->changes.kept++;
		return;
	}
	if (!now) {
		forget(plan->daemon, plan->old->mqtt.topic, DEVICE_SENSOR, before->name, "status");
		mqtt_withdraw(plan->daemon->mqtt, before->name);
	}
	if (!now || !now->retain || strcmp(now->topic, before->topic) != 0 ||
	    compat_is_mqtt_io(&plan->old->mqtt)) /* an alias may have changed */
		forget_reading(plan->daemon, sensor, &plan->old->mqtt, true);
	sensor_free(sensor);
	plan->changes.stopped++;
}

static void keep_input(struct plan *plan, struct input *input)
{
	const struct input_settings *before = input_settings(input), *now = NULL;
	size_t at;

	for (at = 0; at < plan->settings->input_count && !now; at++)
		if (plan->settings->inputs[at].enabled &&
		    strcmp(plan->settings->inputs[at].name, before->name) == 0)
			now = &plan->settings->inputs[at];
	if (now && config_input_equal(before, now)) {
		input_update(input, now);
		plan->inputs[at - 1] = input;
		plan->changes.kept++;
		return;
	}
	forget_input(plan->daemon, plan->old, before, now);
	if (!now)
		mqtt_withdraw(plan->daemon->mqtt, before->name);
	counting_keep(plan->daemon, input); /* for the next of this name */
	input_free(input);
	plan->changes.stopped++;
}

static void keep_output(struct plan *plan, struct output *output)
{
	const struct output_settings *before = output_settings(output), *now = NULL;
	size_t at;

	for (at = 0; at < plan->settings->output_count && !now; at++)
		if (plan->settings->outputs[at].enabled &&
		    strcmp(plan->settings->outputs[at].name, before->name) == 0)
			now = &plan->settings->outputs[at];
	if (now && config_output_line_equal(before, now)) {
		output_update(output, now);
		if (!mqtt_is_connected(plan->daemon->mqtt))
			output_link_changed(output, false);
		plan->outputs[at - 1] = output;
		plan->changes.kept++;
		return;
	}
	if (!now) {
		forget(plan->daemon, plan->old->mqtt.topic, DEVICE_OUTPUT, before->name, NULL);
		mqtt_withdraw(plan->daemon->mqtt, before->name);
	}
	output_remove(output);
	plan->changes.stopped++;
}

static void keep_or_free(struct plan *plan)
{
	struct daemon *daemon = plan->daemon;

	while (daemon->sensor_count > 0)
		keep_sensor(plan, daemon->sensors[--daemon->sensor_count]);
	while (daemon->input_count > 0)
		keep_input(plan, daemon->inputs[--daemon->input_count]);
	while (daemon->output_count > 0)
		keep_output(plan, daemon->outputs[--daemon->output_count]);
	mqtt_undescribe(daemon->mqtt);
}

/* --- make ----------------------------------------------------------------------------------- */

static int make_sensor(struct plan *plan, size_t at)
{
	const struct sensor_settings *settings = &plan->settings->sensors[at];
	struct daemon *daemon = plan->daemon;
	struct worker_key *key;
	struct source *source;
	int r;

	r = hardware_source(daemon->hardware, settings, &source, &key);
	if (r == 0)
		r = sensor_new(&plan->sensors[at], &daemon->parts, settings, source, key);
	if (r == 0)
		forget_reading(daemon, plan->sensors[at], &plan->settings->mqtt, false);
	return r;
}

static int make_input(struct plan *plan, size_t at)
{
	const struct input_settings *settings = &plan->settings->inputs[at];
	struct daemon *daemon = plan->daemon;
	struct worker_key *key = hardware_line_key(daemon->hardware, &settings->line);

	int r;

	if (!key)
		return -ENOMEM;
	r = input_new(&plan->inputs[at], &daemon->parts, settings, hardware_gpio(daemon->hardware),
		      key);
	if (r == 0)
		r = counting_restore(daemon, plan->inputs[at]);
	if (r < 0)
		plan->inputs[at] = input_free(plan->inputs[at]);
	return r;
}

static int make_output(struct plan *plan, size_t at)
{
	const struct output_settings *settings = &plan->settings->outputs[at];
	struct daemon *daemon = plan->daemon;
	struct worker_key *key = hardware_line_key(daemon->hardware, &settings->line);
	int r;

	if (!key)
		return -ENOMEM;
	r = output_new(&plan->outputs[at], &daemon->parts, settings,
		       hardware_gpio(daemon->hardware), key, &daemon->rules);
	if (r == 0 && mqtt_is_connected(daemon->mqtt))
		output_link_changed(plan->outputs[at], true);
	return r;
}

static void made(struct plan *plan, int r, int *error, const char *name)
{
	if (r == 0) {
		plan->changes.started++;
		return;
	}
	log_error("%s: cannot be started: %s", name, strerror(-r));
	if (*error == 0)
		*error = r;
}

static int make_missing(struct plan *plan)
{
	const struct settings *settings = plan->settings;
	int error = 0;

	for (size_t i = 0; i < settings->output_count; i++)
		if (settings->outputs[i].enabled && !plan->outputs[i])
			made(plan, make_output(plan, i), &error, settings->outputs[i].name);
	for (size_t i = 0; i < settings->input_count; i++)
		if (settings->inputs[i].enabled && !plan->inputs[i])
			made(plan, make_input(plan, i), &error, settings->inputs[i].name);
	for (size_t i = 0; i < settings->sensor_count; i++)
		if (settings->sensors[i].enabled && !plan->sensors[i])
			made(plan, make_sensor(plan, i), &error, settings->sensors[i].name);
	return error;
}

/* the gaps of what is disabled or could not be made go */
static void take_over(struct plan *plan)
{
	const struct settings *settings = plan->settings;
	struct daemon *daemon = plan->daemon;

	for (size_t i = 0; i < settings->sensor_count; i++)
		if (plan->sensors[i])
			plan->sensors[daemon->sensor_count++] = plan->sensors[i];
	for (size_t i = 0; i < settings->input_count; i++)
		if (plan->inputs[i])
			plan->inputs[daemon->input_count++] = plan->inputs[i];
	for (size_t i = 0; i < settings->output_count; i++)
		if (plan->outputs[i])
			plan->outputs[daemon->output_count++] = plan->outputs[i];
	free(daemon->sensors);
	free(daemon->inputs);
	free(daemon->outputs);
	free(daemon->exits);
	daemon->sensors = take_ptr(plan->sensors);
	daemon->inputs = take_ptr(plan->inputs);
	daemon->outputs = take_ptr(plan->outputs);
	daemon->exits = take_ptr(plan->exits);
}

int devices_change(struct daemon *daemon, const struct settings *old, struct settings *settings,
		   struct device_changes *ret)
{
	cleanup(plan_done) struct plan plan = { .daemon = daemon,
						.old = old,
						.settings = settings };
	int r, error;

	r = plan_new(&plan);
	if (r < 0)
		return r;
	daemon->settings = settings;
	r = hardware_update(daemon->hardware, old, settings);
	keep_or_free(&plan);
	error = make_missing(&plan);
	take_over(&plan);
	if (r == 0)
		r = error;
	for (size_t i = 0; i < daemon->output_count; i++)
		output_obey_interlock(daemon->outputs[i]);
	daemon->announcing.lines_are_news = true;
	announcing_look(daemon);
	*ret = plan.changes;
	return r;
}

void devices_stop_reading(struct daemon *daemon)
{
	while (daemon->sensor_count > 0)
		sensor_free(daemon->sensors[--daemon->sensor_count]);
	while (daemon->input_count > 0)
		input_free(daemon->inputs[--daemon->input_count]);
}
