/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The broker, for the daemon: puts link, publisher and commands together.
 *
 * T/status is a retained state like others, and the first that was ever set, so on each connection
 * `online` leaves right behind the subscriptions.
 *
 * Stopping goes through phases, each ended by the publisher being idle or by a time:
 *
 *	flushing (3/4 of the time that we are given) -> saying offline (the rest) -> stopped
 *
 * so that a spool that is too full to be flushed in time does not cost the farewell, and a broker
 * that acknowledges nothing costs no more than the deadline. A broker that took so little that not
 * even `offline` could be handed over is told no DISCONNECT: it says `offline` itself, as our will.
 *
 * In format "sparkplug" (sparkplug.c) NDEATH is the will; T/status is said, but not by the broker.
 */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "discovery.h"
#include "iotd/compat.h"
#include "iotd/log.h"
#include "iotd/mqtt.h"
#include "link.h"
#include "publisher.h"
#include "sparkplug.h"
#include "tls.h"

enum mqtt_phase {
	MQTT_RUNNING,
	MQTT_FLUSHING,
	MQTT_SAYING_OFFLINE,
	MQTT_STOPPED
};

struct mqtt {
	struct mqtt_parts parts;
	struct message *will; /* on T/status; that of Sparkplug is sparkplug_will() */
	struct link *link;
	struct labels *labels; /* NULL: readings have none */
	struct publisher *publisher;
	struct commands *commands;   /* NULL: never enabled so far */
	struct discovery *discovery; /* NULL: it is off */
	struct sparkplug *sparkplug; /* NULL: another format */
	struct link_events link_events;
	struct publisher_events publisher_events;
	struct commands_events commands_events;
	struct sparkplug_events sparkplug_events;
	enum mqtt_phase phase;
	struct reactor_timer phase_over;
	int64_t deadline_us;
	struct future stopped;
};

int mqtt_check_files(const struct mqtt_settings *settings, char *why, size_t size)
{
	struct tls_context *context;
	int r;

	if (!tls_is_wanted(settings))
		return 0;
	r = tls_context_new(&context, &settings->tls);
	if (r < 0)
		return r;
	r = tls_context_prepare(context, why, size);
	tls_context_unref(context);
	return r == -EHOSTUNREACH ? -EKEYREJECTED : r;
}

static int mqtt_say(struct mqtt *mqtt, const char *word)
{
	struct message *message;
	int r;

	r = message_new(&message, mqtt->will->topic, word, strlen(word));
	if (r < 0)
		return r;
	mqtt_publish_state(mqtt, message);
	return 0;
}

static const struct message *mqtt_will(struct link_events *events, bool is_spent)
{
	struct mqtt *mqtt = container_of(events, struct mqtt, link_events);

	return mqtt->sparkplug ? sparkplug_will(mqtt->sparkplug, is_spent) : mqtt->will;
}

/* Return: 0; -ENOMEM */
static int mqtt_say_last(struct mqtt *mqtt)
{
	struct message *death;
	int r;

	r = mqtt_say(mqtt, compat_words(&mqtt->parts.settings->mqtt)->offline);
	if (r < 0 || !mqtt->sparkplug)
		return r;
	r = sparkplug_end(mqtt->sparkplug, &death);
	return r < 0 ? r : publisher_set_state(mqtt->publisher, death);
}

/* on the topic of the will, which is the same for all connections */
static bool mqtt_has_said_last(struct mqtt *mqtt)
{
	const struct message *will = mqtt_will(&mqtt->link_events, false);

	return will && publisher_has_sent_state(mqtt->publisher, will->topic);
}

/* --- stopping ------------------------------------------------------------------------------- */

static void mqtt_finish(struct mqtt *mqtt, bool offline_is_said)
{
	bool all_said = publisher_is_idle(mqtt->publisher) && spool_is_empty(mqtt->parts.spool);

	mqtt->phase = MQTT_STOPPED;
	reactor_stop_timer(&mqtt->phase_over);
	link_stop(mqtt->link, offline_is_said);
	publisher_down(mqtt->publisher);
	if (mqtt->sparkplug)
		sparkplug_pause(mqtt->sparkplug);
	mqtt->parts.stats->connected = false;
	if (all_said)
		future_resolve(&mqtt->stopped, 0);
	else
		future_reject(&mqtt->stopped, -ETIMEDOUT);
}

static void mqtt_say_offline(struct mqtt *mqtt)
{
	mqtt->phase = MQTT_SAYING_OFFLINE;
	publisher_hold_readings(mqtt->publisher);
	if (mqtt_say_last(mqtt) < 0 ||
	    reactor_set_timer(mqtt->parts.reactor, &mqtt->phase_over, mqtt->deadline_us) < 0)
		mqtt_finish(mqtt, false);
}

static void mqtt_next_phase(struct mqtt *mqtt)
{
	switch (mqtt->phase) {
	case MQTT_FLUSHING:
		mqtt_say_offline(mqtt);
		break;
	case MQTT_SAYING_OFFLINE:
		mqtt_finish(mqtt, mqtt_has_said_last(mqtt));
		break;
	case MQTT_RUNNING:
	case MQTT_STOPPED:
		break;
	}
}

static void mqtt_phase_over(struct reactor_timer *timer)
{
	mqtt_next_phase(container_of(timer, struct mqtt, phase_over));
}

struct future *mqtt_stop(struct mqtt *mqtt, int64_t deadline_us)
{
	int64_t now_us = reactor_now(mqtt->parts.reactor);

	if (mqtt->phase != MQTT_RUNNING)
		return &mqtt->stopped;
	mqtt->phase = MQTT_FLUSHING;
	mqtt->deadline_us = deadline_us;
	link_stay(mqtt->link);
	if (mqtt->commands)
		commands_drop(mqtt->commands);
	if (!link_is_up(mqtt->link)) {
		mqtt_finish(mqtt, false);
		return &mqtt->stopped;
	}
	if (publisher_is_idle(mqtt->publisher) ||
	    reactor_set_timer(mqtt->parts.reactor, &mqtt->phase_over,
			      now_us + (deadline_us - now_us) / 4 * 3) < 0)
		mqtt_say_offline(mqtt);
	return &mqtt->stopped;
}

/* --- commands -------------------------------------------------------------------------------- */

static bool mqtt_takes_commands(const struct mqtt *mqtt)
{
	return mqtt->commands && mqtt->parts.settings->commands.enabled;
}

static void mqtt_subscribe_to_commands(struct mqtt *mqtt)
{
	if (!mqtt_takes_commands(mqtt))
		return;
	for (const char *const *topic = commands_topics(mqtt->commands); *topic; topic++)
		link_subscribe(mqtt->link, *topic);
	if (mqtt->sparkplug)
		link_subscribe(mqtt->link, sparkplug_device_commands(mqtt->sparkplug));
}

static void mqtt_command(struct mqtt *mqtt, const struct incoming *incoming)
{
	if (!mqtt_takes_commands(mqtt))
		return;
	if (mqtt->phase == MQTT_RUNNING)
		commands_receive(mqtt->commands, incoming);
	else
		stats_refuse(mqtt->parts.stats,
			     REFUSAL_DROPPED); /* we stop: nothing new is begun */
}

static void mqtt_subscribe(struct mqtt *mqtt)
{
	mqtt_subscribe_to_commands(mqtt);
	if (!mqtt->discovery)
		return;
	link_subscribe(mqtt->link, discovery_topic_of_birth(mqtt->discovery));
	if (discovery_own_topics(mqtt->discovery))
		link_subscribe_retained(mqtt->link, discovery_own_topics(mqtt->discovery));
}

/* --- joints --------------------------------------------------------------------------------- */

static void mqtt_up(struct link_events *events, const char *broker,
		    const struct wire_limits *limits)
{
	struct mqtt *mqtt = container_of(events, struct mqtt, link_events);

	mqtt->parts.stats->connected = true;
	if (mqtt->sparkplug)
		link_subscribe(mqtt->link, sparkplug_node_commands(mqtt->sparkplug));
	mqtt_subscribe(mqtt);
	if (!link_is_up(mqtt->link))
		return; /* it broke under the subscriptions */
	if (mqtt->sparkplug)
		sparkplug_begin(mqtt->sparkplug);
	publisher_up(mqtt->publisher, limits);
	mqtt->parts.events->link_changed(mqtt->parts.events, true, broker, NULL);
}

static void mqtt_down(struct link_events *events, const char *broker, const char *why)
{
	struct mqtt *mqtt = container_of(events, struct mqtt, link_events);

	mqtt->parts.stats->connected = false;
	publisher_down(mqtt->publisher);
	if (mqtt->sparkplug)
		sparkplug_pause(mqtt->sparkplug);
	mqtt->parts.events->link_changed(mqtt->parts.events, false, broker, why);
	if (mqtt->phase == MQTT_FLUSHING || mqtt->phase == MQTT_SAYING_OFFLINE)
		mqtt_finish(mqtt, false);
}

static void mqtt_acknowledged(struct link_events *events, int mid, int reason, const char *told)
{
	publisher_acknowledged(container_of(events, struct mqtt, link_events)->publisher, mid,
			       reason, told);
}

static void mqtt_writable(struct link_events *events)
{
	publisher_writable(container_of(events, struct mqtt, link_events)->publisher);
}

static void mqtt_received(struct link_events *events, const struct incoming *incoming)
{
	struct mqtt *mqtt = container_of(events, struct mqtt, link_events);

	if (mqtt->discovery && discovery_receive(mqtt->discovery, incoming))
		return;
	if (!mqtt->sparkplug || !sparkplug_receive(mqtt->sparkplug, incoming))
		mqtt_command(mqtt, incoming);
}

static void mqtt_wake(struct sparkplug_events *events)
{
	publisher_wake(container_of(events, struct mqtt, sparkplug_events)->publisher);
}

static void mqtt_host_command(struct sparkplug_events *events, const struct incoming *incoming)
{
	mqtt_command(container_of(events, struct mqtt, sparkplug_events), incoming);
}

static void mqtt_idle(struct publisher_events *events)
{
	mqtt_next_phase(container_of(events, struct mqtt, publisher_events));
}

static void mqtt_reply(struct commands_events *events, struct reply *reply)
{
	struct mqtt *mqtt = container_of(events, struct mqtt, commands_events);

	if (publisher_reply(mqtt->publisher, reply) == -ENOTCONN)
		log_debug("a reply is dropped: nobody is connected");
}

/* --- life ----------------------------------------------------------------------------------- */

static int mqtt_new_link(struct mqtt *mqtt)
{
	const struct link_parts parts = {
		.reactor = mqtt->parts.reactor,
		.workers = mqtt->parts.workers,
		.settings = &mqtt->parts.settings->mqtt,
		.events = &mqtt->link_events,
		.stats = mqtt->parts.stats,
	};

	mqtt->link_events = (struct link_events){
		.will = mqtt_will,
		.up = mqtt_up,
		.down = mqtt_down,
		.acknowledged = mqtt_acknowledged,
		.writable = mqtt_writable,
		.received = mqtt_received,
	};
	return link_new(&mqtt->link, &parts);
}

static int mqtt_new_labels(struct mqtt *mqtt)
{
	const struct settings *settings = mqtt->parts.settings;

	if (settings->mqtt.protocol < 5 || !settings->mqtt.user_properties ||
	    settings->mqtt.format == FORMAT_SPARKPLUG) /* births say it */
		return 0;
	return labels_new(&mqtt->labels, settings->device);
}

static int mqtt_new_publisher(struct mqtt *mqtt)
{
	const struct publisher_parts parts = {
		.reactor = mqtt->parts.reactor,
		.wire = link_wire(mqtt->link),
		.spool = mqtt->parts.spool,
		.labels = mqtt->labels,
		.stats = mqtt->parts.stats,
		.events = &mqtt->publisher_events,
		.session = mqtt->sparkplug ? sparkplug_session(mqtt->sparkplug) : NULL,
	};
	int r;

	mqtt->publisher_events.idle = mqtt_idle;
	r = publisher_new(&mqtt->publisher, &parts);
	return r < 0 ? r : mqtt_say(mqtt, compat_words(&mqtt->parts.settings->mqtt)->online);
}

static int mqtt_new_sparkplug(struct mqtt *mqtt)
{
	const struct sparkplug_parts parts = {
		.reactor = mqtt->parts.reactor,
		.settings = mqtt->parts.settings,
		.events = &mqtt->sparkplug_events,
		.stats = mqtt->parts.stats,
	};

	mqtt->sparkplug_events = (struct sparkplug_events){ mqtt_wake, mqtt_host_command };
	if (parts.settings->mqtt.format != FORMAT_SPARKPLUG)
		return 0;
	return sparkplug_new(&mqtt->sparkplug, &parts);
}

static int mqtt_new_will(struct mqtt *mqtt)
{
	const char *word = compat_words(&mqtt->parts.settings->mqtt)->lost;
	cleanup(freep) char *topic =
		topic_new(mqtt->parts.settings->mqtt.topic, "status", NULL, NULL);

	if (!topic || message_new(&mqtt->will, topic, word, strlen(word)) < 0)
		return -ENOMEM;
	mqtt->will->qos = 1;
	mqtt->will->retain = true;
	return 0;
}

static int mqtt_new_commands(struct mqtt *mqtt)
{
	const struct commands_parts parts = {
		.reactor = mqtt->parts.reactor,
		.settings = &mqtt->parts.settings->commands,
		.topic = mqtt->parts.settings->mqtt.topic,
		.is_mqtt_io = compat_is_mqtt_io(&mqtt->parts.settings->mqtt),
		.control = mqtt->parts.control,
		.events = &mqtt->commands_events,
		.stats = mqtt->parts.stats,
	};

	mqtt->commands_events.reply = mqtt_reply;
	return parts.settings->enabled ? commands_new(&mqtt->commands, &parts) : 0;
}

static int mqtt_new_discovery(struct mqtt *mqtt)
{
	const struct discovery_parts parts = {
		.reactor = mqtt->parts.reactor,
		.publisher = mqtt->publisher,
		.settings = mqtt->parts.settings,
		.host = mqtt->parts.host,
	};

	return parts.settings->mqtt.discovery_enabled ? discovery_new(&mqtt->discovery, &parts) : 0;
}

int mqtt_new(struct mqtt **ret, const struct mqtt_parts *parts)
{
	cleanup(mqtt_freep) struct mqtt *mqtt = NULL;
	int r;

	mqtt = calloc(1, sizeof(*mqtt));
	if (!mqtt)
		return -ENOMEM;
	mqtt->parts = *parts;
	mqtt->phase_over.fire = mqtt_phase_over;
	future_init(&mqtt->stopped, parts->reactor, NULL);
	r = mqtt_new_will(mqtt);
	if (r == 0)
		r = mqtt_new_sparkplug(mqtt);
	if (r == 0)
		r = mqtt_new_link(mqtt);
	if (r < 0)
		return r;
	r = mqtt_new_labels(mqtt);
	if (r < 0)
		return r;
	r = mqtt_new_publisher(mqtt);
	if (r < 0)
		return r;
	r = mqtt_new_commands(mqtt);
	if (r == 0)
		r = mqtt_new_discovery(mqtt);
	if (r < 0)
		return r;
	*ret = take_ptr(mqtt);
	return 0;
}

struct mqtt *mqtt_free(struct mqtt *mqtt)
{
	if (!mqtt)
		return NULL;
	reactor_stop_timer(&mqtt->phase_over);
	commands_free(mqtt->commands);
	discovery_free(mqtt->discovery);
	publisher_free(mqtt->publisher);
	labels_free(mqtt->labels);
	link_free(mqtt->link);
	sparkplug_free(mqtt->sparkplug);
	message_free(mqtt->will);
	free(mqtt);
	return NULL;
}

void mqtt_update(struct mqtt *mqtt, const struct settings *settings)
{
	bool were_taken = mqtt_takes_commands(mqtt);

	mqtt->parts.settings = settings;
	link_update(mqtt->link, &settings->mqtt);
	if (mqtt->sparkplug)
		sparkplug_update(mqtt->sparkplug, settings);
	if (mqtt->commands)
		commands_update(mqtt->commands, &settings->commands, settings->mqtt.topic);
	else if (mqtt_new_commands(mqtt) < 0)
		log_error("out of memory: no commands are taken");
	/* those that are no longer wanted stay subscribed until the next connection, and are ignored */
	if (!were_taken && link_is_up(mqtt->link))
		mqtt_subscribe_to_commands(mqtt);
	if (mqtt->discovery)
		discovery_update(mqtt->discovery, settings);
}

/* --- what the daemon publishes -------------------------------------------------------------- */

void mqtt_describe(struct mqtt *mqtt, const char *topic, const struct reading *reading)
{
	if (mqtt->labels)
		labels_note(mqtt->labels, topic, mqtt->parts.settings->mqtt.format == FORMAT_VALUE,
			    reading);
}

void mqtt_undescribe(struct mqtt *mqtt)
{
	if (mqtt->labels)
		labels_forget(mqtt->labels);
}

void mqtt_publish(struct mqtt *mqtt, struct message *message)
{
	if (message->queued_us == 0)
		message->queued_us = reactor_now(mqtt->parts.reactor);
	publisher_push(mqtt->publisher, message);
}

void mqtt_publish_state(struct mqtt *mqtt, struct message *message)
{
	message->retain = true;
	if (message->qos < 1)
		message->qos = 1;
	if (mqtt->parts.settings->mqtt.qos == 2)
		message->qos = 2;
	if (publisher_set_state(mqtt->publisher, message) < 0)
		log_error("out of memory: a state is not published");
}

void mqtt_forget_state(struct mqtt *mqtt, const char *topic, bool clear)
{
	publisher_forget_state(mqtt->publisher, topic, clear);
}

void mqtt_announce(struct mqtt *mqtt, const struct discovery_device *device)
{
	if (mqtt->discovery)
		discovery_announce(mqtt->discovery, device);
}

void mqtt_withdraw(struct mqtt *mqtt, const char *name)
{
	if (mqtt->discovery)
		discovery_withdraw(mqtt->discovery, name);
}

void mqtt_retire(struct mqtt *mqtt, const struct settings *next)
{
	if (mqtt->discovery)
		discovery_retire(mqtt->discovery, next);
}

void mqtt_note_reading(struct mqtt *mqtt, const struct reading *reading)
{
	if (mqtt->sparkplug)
		sparkplug_note_reading(mqtt->sparkplug, reading);
}

void mqtt_note_state(struct mqtt *mqtt, const struct state *state)
{
	if (mqtt->sparkplug)
		sparkplug_note_state(mqtt->sparkplug, state);
}

void mqtt_note_status(struct mqtt *mqtt, const char *name, enum device_status status)
{
	if (mqtt->sparkplug)
		sparkplug_note_status(mqtt->sparkplug, name, status);
}

void mqtt_hold_readings(struct mqtt *mqtt)
{
	publisher_hold_readings(mqtt->publisher);
}

bool mqtt_is_connected(const struct mqtt *mqtt)
{
	return link_is_up(mqtt->link);
}
