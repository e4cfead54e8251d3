/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What devices tell becomes messages here: a reading one with a place in the spool, a status or a state a retained
 * one of which only the newest counts (but in Sparkplug, where each is a value like others).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon.h"
#include "iotd/clock.h"
#include "iotd/compat.h"
#include "iotd/log.h"
#include "iotd/mqtt-io.h"
#include "iotd/sparkplug.h"

#define LOST_QUIET_US (5 * USEC_PER_SEC)

struct published {
	struct daemon *daemon;
	int qos;
	bool retain;
	int64_t expires_us;
};

static void publish_reading(void *data, struct message *message)
{
	const struct published *published = data;
	struct daemon *daemon = published->daemon;

	message->qos = (uint8_t)published->qos;
	message->retain = published->retain;
	message->expires_us = published->expires_us;
	message->queued_us = reactor_now(daemon->reactor);
	mqtt_publish(daemon->mqtt, message);
}

/* memory comes and goes: it is back when nothing was lost for a while */
static void note_lost(struct daemon *daemon, enum device_kind kind, const char *name, int r)
{
	int64_t now_us = reactor_now(daemon->reactor);

	if (r < 0) {
		daemon->stats.discarded++;
		daemon->lost_us = now_us;
		if (daemon->lost++ == 0)
			log_error("%s %s: a reading is lost: %s; further ones are only counted",
				  device_kind_name(kind), name, strerror(-r));
	} else if (daemon->lost > 0 && now_us - daemon->lost_us >= LOST_QUIET_US) {
		log_notice("no reading is lost any more; %" PRIu64 " were", daemon->lost);
		daemon->lost = 0;
	}
}

/* counted from when the sample was taken, on a clock that does not step. Return: 0: never */
static int64_t expires_us(const struct daemon *daemon, int64_t time_us)
{
	int64_t expiry_us = daemon->settings->mqtt.expiry_us;
	int64_t age_us;

	if (expiry_us == 0)
		return 0;
	age_us = clock_realtime_us() - time_us;
	if (age_us < 0 || age_us > expiry_us)
		age_us = 0; /* the clock was set meanwhile */
	return reactor_now(daemon->reactor) + expiry_us - age_us;
}

static bool is_sparkplug(const struct daemon *daemon)
{
	return daemon->settings->mqtt.format == FORMAT_SPARKPLUG;
}

/* format "sparkplug": where the values of a sensor, an input or an output go. NULL: out of memory */
static char *data_topic(const struct daemon *daemon, const char *name)
{
	const struct settings *settings = daemon->settings;

	return sparkplug_topic_new(settings->mqtt.topic, "DDATA", settings->device, name);
}

static void was_published(struct daemon *daemon, enum device_kind kind, const char *name, int r)
{
	note_lost(daemon, kind, name, r);
	if (!mqtt_is_connected(daemon->mqtt))
		status_changed(daemon);
}

static void publish(struct published published, enum device_kind kind,
		    const struct message_origin *origin, const struct reading *reading)
{
	struct daemon *daemon = published.daemon;
	cleanup(freep) char *data = NULL;
	struct message_origin from = *origin;
	int r = -ENOMEM;

	if (is_sparkplug(daemon)) {
		data = data_topic(daemon, reading->name);
		from.topic = data;
	}
	mqtt_note_reading(daemon->mqtt, reading);
	if (from.topic) {
		mqtt_describe(daemon->mqtt, from.topic, reading);
		r = message_from_reading(daemon->settings->mqtt.format, &from, reading,
					 publish_reading, &published);
	}
	was_published(daemon, kind, reading->name, r);
}

void publishing_reading(struct device_events *events, const struct sensor_settings *sensor,
			const struct reading *reading)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	const struct mqtt_settings *mqtt = &daemon->settings->mqtt;
	struct published published = { daemon, sensor->qos, sensor->retain,
				       expires_us(daemon, reading->time_us) };
	const struct message_origin origin = { sensor->topic, daemon->settings->device,
					       sensor->channels, sensor->channel_count };

	dbus_note_reading(daemon->dbus, reading);
	if (compat_is_mqtt_io(mqtt))
		was_published(daemon, DEVICE_SENSOR, reading->name,
			      mqtt_io_reading(mqtt, sensor, reading, publish_reading, &published));
	else
		publish(published, DEVICE_SENSOR, &origin, reading);
}

void publishing_count(struct device_events *events, const struct input_settings *input,
		      const struct reading *reading)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	const struct mqtt_settings *mqtt = &daemon->settings->mqtt;
	struct published published = { daemon, mqtt->qos, true,
				       expires_us(daemon, reading->time_us) };
	const struct message_origin origin = { .topic = input->count_topic,
					       .device = daemon->settings->device };

	dbus_note_reading(daemon->dbus, reading);
	if (compat_is_mqtt_io(mqtt))
		was_published(daemon, DEVICE_INPUT, reading->name,
			      mqtt_io_count(mqtt, input, reading, publish_reading, &published));
	else
		publish(published, DEVICE_INPUT, &origin, reading);
}

void publishing_status(struct device_events *events, enum device_kind kind, const char *name,
		       enum device_status status)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	cleanup(freep) char *topic = NULL;
	const char *text = device_status_name(status);
	struct message *message;

	if (kind != DEVICE_SENSOR)
		daemon_look_ready(daemon);
	status_changed(daemon);
	dbus_note_device(daemon->dbus, kind, name);
	mqtt_note_status(daemon->mqtt, name, status);
	if (kind != DEVICE_SENSOR || daemon->reload.is_switching || is_sparkplug(daemon))
		return;
	announcing_look(daemon); /* one that is offline may have told its channels, too */
	topic = topic_new(daemon->settings->mqtt.topic, device_kind_name(kind), name, "status");
	if (!topic || message_new(&message, topic, text, strlen(text)) < 0) {
		log_error("sensor %s: its status is not published: out of memory", name);
		return;
	}
	mqtt_publish_state(daemon->mqtt, message);
}

static int state_message(const struct mqtt_settings *mqtt, const struct message_origin *origin,
			 const struct state *state, struct message **ret)
{
	return compat_is_mqtt_io(mqtt) ? mqtt_io_state(mqtt, origin->topic, state, ret)
				       : message_from_state(mqtt->format, origin, state, ret);
}

/* no retained state: a value like others, of which each change counts */
static void publish_value(struct daemon *daemon, const struct state *state)
{
	struct published published = { .daemon = daemon };
	cleanup(freep) char *topic = data_topic(daemon, state->name);
	const struct message_origin origin = { .topic = topic, .device = daemon->settings->device };
	struct message *message;
	int r = -ENOMEM;

	published.expires_us = expires_us(daemon, state->time_us);
	mqtt_note_state(daemon->mqtt, state);
	if (topic)
		r = message_from_state(FORMAT_SPARKPLUG, &origin, state, &message);
	if (r == 0)
		publish_reading(&published, message);
	was_published(daemon, state->kind, state->name, r);
}

void publishing_state(struct device_events *events, const struct state *state)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	struct message_origin origin = { .device = daemon->settings->device };
	cleanup(freep) char *topic = NULL;
	struct message *message;

	if (!daemon->reload.is_retelling)
		dbus_note_state(daemon->dbus, state);
	if (daemon->reload.is_switching)
		return; /* it is told when the new connection is there */
	if (is_sparkplug(daemon)) {
		publish_value(daemon, state);
		return;
	}
	topic = topic_new(daemon->settings->mqtt.topic, device_kind_name(state->kind), state->name,
			  NULL);
	origin.topic = topic;
	if (!topic || state_message(&daemon->settings->mqtt, &origin, state, &message) < 0) {
		log_error("%s %s: its state is not published: out of memory",
			  device_kind_name(state->kind), state->name);
		return;
	}
	mqtt_publish_state(daemon->mqtt, message);
}

void publishing_channels(struct device_events *events, const char *name)
{
	struct daemon *daemon = container_of(events, struct daemon, events);

	dbus_note_device(daemon->dbus, DEVICE_SENSOR, name);
	announcing_look(daemon);
}

void publishing_fault(struct device_events *events, enum device_kind kind, const char *name)
{
	dbus_note_device(container_of(events, struct daemon, events)->dbus, kind, name);
}
