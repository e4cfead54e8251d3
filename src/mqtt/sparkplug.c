/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The edge node's session. Numbers in brackets are sections of the Sparkplug specification 3.0.
 *
 * A session begins with each connection, and with each rebirth that a host asks for:
 *
 *	NBIRTH (seq 0) -> a DBIRTH for each device that is online -> DDATA, and births and deaths as they come
 *
 * seq counts all of these in the order in which they leave [6.4.9 ff.], so it is given when a message is
 * handed to the wire, and counted when that took it. A reading that was queued before its session
 * began is is_historical: what is current stands in the birth.
 *
 * Nothing is said of a device that is not born. An old reading of one that is offline now, or is not even
 * configured any more, has it born first, and dead again when no reading waits. For the same reason a
 * DDEATH goes behind all readings that wait: they are from before.
 *
 * bdSeq is in the will and in the NBIRTH of one connection [6.4.21]; it begins at 0 with the process. An
 * attempt that never got as far as CONNECT does not use it up. While a connection is up, the next one may be
 * tried beside it (home.c), so the number of the will that was given last is apart from that of the
 * session, and becomes it when its connection is used.
 *
 * All of this is QoS 0 and not retained, as the specification demands, but for NDEATH (QoS 1). There
 * is no primary host: STATE is not looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "burst.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/message.h"
#include "iotd/sparkplug.h"
#include "sparkplug-devices.h"
#include "sparkplug.h"

/* who asks for rebirths all the time shall not keep the readings from being sent */
#define REBIRTH_DISTANCE_US USEC_PER_SEC

struct sparkplug {
	struct session session;
	struct sparkplug_parts parts;
	char *group_topic, *node; /* copies of mqtt.topic and device */
	char *data_prefix, *node_commands, *device_commands, *command_prefix;
	struct sparkplug_devices devices;
	struct message *will;	  /* the NDEATH that was given last */
	unsigned int will_seq;	  /* its bdSeq */
	unsigned int bd_seq, seq; /* of the session */
	int64_t begun_us;	  /* reactor time */
	bool birth_waits;	  /* NBIRTH */
	bool is_numbered;	  /* what was given last has seq */
	bool is_up, is_ended;
	struct reactor_timer rebirth;
	struct burst refusals;
};

static void sparkplug_wake(struct sparkplug *sp)
{
	if (sp->is_up)
		sp->parts.events->wake(sp->parts.events);
}

static char *topic_of(const struct sparkplug *sp, const char *verb, const char *device)
{
	return sparkplug_topic_new(sp->group_topic, verb, sp->node, device);
}

/* --- what is sent --------------------------------------------------------------------------- */

/* @message as the next one of the session */
static int sparkplug_number(struct sparkplug *sp, const struct message *message, bool is_late,
			    struct message **ret)
{
	const struct sparkplug_stamp stamp = {
		.time_us = clock_realtime_us(),
		.seq = (int)sp->seq,
		.is_late = is_late,
	};
	int r = sparkplug_payload_finish(ret, message, &stamp);

	if (r == 0)
		sp->is_numbered = true;
	return r;
}

static int make_node_birth(struct sparkplug *sp, struct message **ret)
{
	int64_t now_us = clock_realtime_us();
	const struct metric metrics[] = {
		{ .name = SPARKPLUG_BDSEQ,
		  .type = METRIC_COUNT,
		  .time_us = now_us,
		  .count = sp->bd_seq },
		{ .name = SPARKPLUG_REBIRTH,
		  .type = METRIC_SWITCH,
		  .time_us = now_us,
		  .on = false },
		{ .name = "Properties/Version",
		  .type = METRIC_TEXT,
		  .time_us = now_us,
		  .text = "iotd " IOTD_VERSION },
	};
	cleanup(message_freep) struct message *plain = NULL;
	cleanup(freep) char *topic = topic_of(sp, "NBIRTH", NULL);
	int r = -ENOMEM;

	if (topic)
		r = sparkplug_payload_new(&plain, topic, metrics, ARRAY_SIZE(metrics), true);
	if (r == 0)
		r = sparkplug_number(sp, plain, false, ret);
	if (r == 0)
		sp->birth_waits = false;
	return r;
}

static int make_birth(struct sparkplug *sp, struct sparkplug_device *device, struct message **ret)
{
	cleanup(message_freep) struct message *plain = NULL;
	cleanup(freep) char *topic = topic_of(sp, "DBIRTH", device->name);
	bool is_alive = device->is_online && device->is_configured;
	int r = -ENOMEM;

	if (topic)
		r = sparkplug_device_birth(&plain, device, topic, clock_realtime_us());
	if (r == 0)
		r = sparkplug_number(sp, plain, false, ret);
	if (r < 0)
		return r;
	device->is_born = true;
	sparkplug_device_turn(&sp->devices, device, is_alive ? TURN_NONE : TURN_DEATH);
	return 0;
}

static int make_death(struct sparkplug *sp, struct sparkplug_device *device, struct message **ret)
{
	cleanup(message_freep) struct message *plain = NULL;
	cleanup(freep) char *topic = topic_of(sp, "DDEATH", device->name);
	int r = -ENOMEM;

	if (topic)
		r = sparkplug_payload_new(&plain, topic, NULL, 0, false);
	if (r == 0)
		r = sparkplug_number(sp, plain, false, ret);
	if (r < 0)
		return r;
	device->is_born = false;
	sparkplug_device_turn(&sp->devices, device, TURN_NONE);
	if (!device->is_configured)
		sparkplug_device_drop(&sp->devices, device);
	return 0;
}

static bool sparkplug_waits(struct session *session, bool dry)
{
	const struct sparkplug *sp = container_of(session, struct sparkplug, session);

	return !sp->is_ended && (sp->birth_waits || !TAILQ_EMPTY(&sp->devices.births) ||
				 (dry && !TAILQ_EMPTY(&sp->devices.deaths)));
}

static int sparkplug_next(struct session *session, bool dry, struct message **ret)
{
	struct sparkplug *sp = container_of(session, struct sparkplug, session);

	if (!sparkplug_waits(session, dry))
		return -ENOENT;
	if (sp->birth_waits)
		return make_node_birth(sp, ret);
	if (!TAILQ_EMPTY(&sp->devices.births))
		return make_birth(sp, TAILQ_FIRST(&sp->devices.births), ret);
	return make_death(sp, TAILQ_FIRST(&sp->devices.deaths), ret);
}

/* the device of a reading's topic; NULL: a reading of another format, or of another node */
static const char *device_name(const struct sparkplug *sp, const char *topic)
{
	size_t length = strlen(sp->data_prefix);
	const char *name = topic + length;

	if (strncmp(topic, sp->data_prefix, length) != 0)
		return NULL;
	return *name != '\0' && strlen(name) <= NAME_LENGTH && !strchr(name, '/') ? name : NULL;
}

static void learn_name(void *data, const struct metric *metric)
{
	struct metric nameless = *metric;

	nameless.is_null = true; /* the value is old */
	if (metric->type == METRIC_NUMBER || metric->type == METRIC_SWITCH)
		(void)sparkplug_device_learn(data, &nameless);
}

static int sparkplug_dress(struct session *session, const struct message *reading,
			   struct message **ret)
{
	struct sparkplug *sp = container_of(session, struct sparkplug, session);
	const char *name = device_name(sp, reading->topic);
	struct sparkplug_device *device;
	int r;

	sp->is_numbered = false;
	if (!name)
		return 0;
	if (sp->birth_waits || !TAILQ_EMPTY(&sp->devices.births))
		return -EAGAIN;
	device = sparkplug_device_get(&sp->devices, name);
	if (!device)
		return -ENOMEM;
	if (!device->is_born) {
		if (device->count == 0)
			(void)sparkplug_payload_parse(reading->payload, reading->length, learn_name,
						      device);
		sparkplug_device_turn(&sp->devices, device, TURN_BIRTH);
		return -EAGAIN;
	}
	r = sparkplug_number(sp, reading,
			     reading->queued_us == 0 || reading->queued_us < sp->begun_us, ret);
	if (r == 0)
		(*ret)->expires_us = reading->expires_us;
	return r == -EBADMSG ? 0 : r;
}

static void sparkplug_sent(struct session *session)
{
	struct sparkplug *sp = container_of(session, struct sparkplug, session);

	if (sp->is_numbered)
		sp->seq = (sp->seq + 1) % SPARKPLUG_SEQ_COUNT;
	sp->is_numbered = false;
}

/* --- death ---------------------------------------------------------------------------------- */

static int make_node_death(const struct sparkplug *sp, unsigned int bd_seq, struct message **ret)
{
	const struct sparkplug_stamp stamp = { .time_us = clock_realtime_us(), .seq = -1 };
	const struct metric metric = {
		.name = SPARKPLUG_BDSEQ,
		.type = METRIC_COUNT,
		.time_us = stamp.time_us,
		.count = bd_seq,
	};
	cleanup(message_freep) struct message *plain = NULL;
	cleanup(freep) char *topic = topic_of(sp, "NDEATH", NULL);
	int r = -ENOMEM;

	if (topic)
		r = sparkplug_payload_new(&plain, topic, &metric, 1, true);
	if (r == 0)
		r = sparkplug_payload_finish(ret, plain, &stamp);
	if (r == 0)
		(*ret)->qos = 1;
	return r;
}

const struct message *sparkplug_will(struct sparkplug *sparkplug, bool is_spent)
{
	if (is_spent) {
		sparkplug->will_seq = (sparkplug->will_seq + 1) % SPARKPLUG_SEQ_COUNT;
		sparkplug->will = message_free(sparkplug->will);
	}
	if (!sparkplug->will &&
	    make_node_death(sparkplug, sparkplug->will_seq, &sparkplug->will) < 0)
		return NULL;
	return sparkplug->will;
}

int sparkplug_end(struct sparkplug *sparkplug, struct message **ret_death)
{
	sparkplug->is_ended = true;
	sparkplug_pause(sparkplug);
	return make_node_death(sparkplug, sparkplug->bd_seq, ret_death);
}

/* --- the session ---------------------------------------------------------------------------- */

static void give_birth(struct sparkplug *sparkplug)
{
	struct sparkplug_device *device = TAILQ_FIRST(&sparkplug->devices.all), *next;

	sparkplug->birth_waits = true;
	sparkplug->is_numbered = false;
	sparkplug->seq = 0;
	sparkplug->begun_us = reactor_now(sparkplug->parts.reactor);
	for (; device; device = next) {
		bool is_shown = device->is_online && device->count > 0;

		next = TAILQ_NEXT(device, all);
		device->is_born = false;
		sparkplug_device_turn(&sparkplug->devices, device, TURN_NONE);
		if (!device->is_configured)
			sparkplug_device_drop(&sparkplug->devices, device);
		else if (is_shown)
			sparkplug_device_turn(&sparkplug->devices, device, TURN_BIRTH);
	}
}

void sparkplug_begin(struct sparkplug *sparkplug)
{
	sparkplug->is_up = true;
	sparkplug->bd_seq = sparkplug->will_seq;
	give_birth(sparkplug);
}

void sparkplug_pause(struct sparkplug *sparkplug)
{
	sparkplug->is_up = false;
	reactor_stop_timer(&sparkplug->rebirth);
}

static void rebirth_due(struct reactor_timer *timer)
{
	struct sparkplug *sp = container_of(timer, struct sparkplug, rebirth);

	give_birth(sp);
	sparkplug_wake(sp);
}

static void sparkplug_ask_rebirth(struct sparkplug *sp)
{
	if (sp->is_up && !reactor_timer_is_set(&sp->rebirth))
		(void)reactor_set_timer(sp->parts.reactor, &sp->rebirth,
					sp->begun_us + REBIRTH_DISTANCE_US);
}

/* --- commands ------------------------------------------------------------------------------- */

static void refuse(struct sparkplug *sp, enum command_refusal refusal, const char *topic,
		   const char *why)
{
	char text[512];

	stats_refuse(sp->parts.stats, refusal);
	(void)snprintf(text, sizeof(text), "a command on \"%s\" is refused: %s", topic, why);
	burst_note(&sp->refusals, 1, text);
}

/* the value of @metric, which is all that we obey. Return: false: it is refused, and told so */
static bool read_switch(struct sparkplug *sp, const struct incoming *in, const char *metric,
			bool *ret_on)
{
	char why[64];
	int r = sparkplug_payload_switch(in->payload, in->length, metric, ret_on);

	(void)snprintf(why, sizeof(why), "it has no Boolean metric \"%s\"", metric);
	if (r < 0)
		refuse(sp, REFUSAL_MALFORMED, in->topic,
		       r == -ENOENT ? why : "it is no Sparkplug payload");
	return r == 0;
}

static void receive_for_node(struct sparkplug *sp, const struct incoming *in)
{
	bool on;

	if (in->retained)
		refuse(sp, REFUSAL_RETAINED, in->topic, "it is retained, so it may be an old one");
	else if (read_switch(sp, in, SPARKPLUG_REBIRTH, &on) && on)
		sparkplug_ask_rebirth(sp);
}

static void receive_for_device(struct sparkplug *sp, const struct incoming *in)
{
	const char *name = in->topic + strlen(sp->command_prefix);
	cleanup(freep) char *topic = topic_new(sp->group_topic, "output", name, "set");
	struct incoming word = { .topic = topic, .retained = in->retained };
	bool on;

	if (!topic) {
		refuse(sp, REFUSAL_DROPPED, in->topic, "out of memory");
		return;
	}
	if (!read_switch(sp, in, SPARKPLUG_STATE, &on))
		return;
	word.payload = on ? "on" : "off";
	word.length = strlen(word.payload);
	sp->parts.events->command(sp->parts.events, &word);
}

bool sparkplug_receive(struct sparkplug *sparkplug, const struct incoming *incoming)
{
	const char *prefix = sparkplug->command_prefix;

	if (strcmp(incoming->topic, sparkplug->node_commands) == 0)
		receive_for_node(sparkplug, incoming);
	else if (strncmp(incoming->topic, prefix, strlen(prefix)) == 0)
		receive_for_device(sparkplug, incoming);
	else
		return false;
	return true;
}

/* --- devices -------------------------------------------------------------------------------- */

/* takes up what sparkplug_device_learn() told; one that is born already is born again with it */
static void learn(struct sparkplug *sp, struct sparkplug_device *device,
		  const struct metric *metric)
{
	if (sparkplug_device_learn(device, metric) <= 0 || !device->is_born ||
	    device->turn != TURN_NONE)
		return;
	sparkplug_device_turn(&sp->devices, device, TURN_BIRTH);
	sparkplug_wake(sp);
}

void sparkplug_note_reading(struct sparkplug *sparkplug, const struct reading *reading)
{
	struct sparkplug_device *device = sparkplug_device_get(&sparkplug->devices, reading->name);

	for (size_t i = 0; device && i < reading->count; i++) {
		const struct channel *channel = reading->values[i].channel;
		const struct metric metric = {
			.name = channel->name,
			.unit = channel->unit,
			.time_us = reading->time_us,
			.number = value_round(reading->values[i].number, channel->digits),
		};

		learn(sparkplug, device, &metric);
	}
}

void sparkplug_note_state(struct sparkplug *sparkplug, const struct state *state)
{
	struct sparkplug_device *device = sparkplug_device_get(&sparkplug->devices, state->name);
	const struct metric metric = {
		.name = SPARKPLUG_STATE,
		.type = METRIC_SWITCH,
		.time_us = state->time_us,
		.on = state->on,
	};

	if (device)
		learn(sparkplug, device, &metric);
}

void sparkplug_note_status(struct sparkplug *sparkplug, const char *name, enum device_status status)
{
	struct sparkplug_device *device = sparkplug_device_get(&sparkplug->devices, name);
	enum device_turn turn;

	if (!device)
		return;
	device->is_online = status != STATUS_OFFLINE;
	turn = device->turn;
	if (device->is_online && turn == TURN_DEATH)
		turn = TURN_NONE; /* it was not told that it had gone */
	if (device->is_online && !device->is_born && device->count > 0)
		turn = TURN_BIRTH;
	if (!device->is_online && device->is_born)
		turn = TURN_DEATH;
	sparkplug_device_turn(&sparkplug->devices, device, turn);
	sparkplug_wake(sparkplug);
}

static void configure(struct sparkplug *sp, const char *name, bool enabled)
{
	struct sparkplug_device *device = enabled ? sparkplug_device_get(&sp->devices, name) : NULL;

	if (device)
		device->is_configured = true;
}

void sparkplug_update(struct sparkplug *sparkplug, const struct settings *settings)
{
	struct sparkplug_device *device, *next;

	TAILQ_FOREACH(device, &sparkplug->devices.all, all)
	device->is_configured = false;
	for (size_t i = 0; i < settings->sensor_count; i++)
		configure(sparkplug, settings->sensors[i].name, settings->sensors[i].enabled);
	for (size_t i = 0; i < settings->input_count; i++)
		configure(sparkplug, settings->inputs[i].name, settings->inputs[i].enabled);
	for (size_t i = 0; i < settings->output_count; i++)
		configure(sparkplug, settings->outputs[i].name, settings->outputs[i].enabled);
	for (device = TAILQ_FIRST(&sparkplug->devices.all); device; device = next) {
		next = TAILQ_NEXT(device, all);
		if (device->is_configured)
			continue;
		if (device->is_born)
			sparkplug_device_turn(&sparkplug->devices, device, TURN_DEATH);
		else
			sparkplug_device_drop(&sparkplug->devices, device);
	}
	sparkplug_wake(sparkplug);
}

/* --- life ----------------------------------------------------------------------------------- */

static int make_topics(struct sparkplug *sp)
{
	const struct settings *settings = sp->parts.settings;

	sp->group_topic = strdup(settings->mqtt.topic);
	sp->node = strdup(settings->device);
	if (!sp->group_topic || !sp->node)
		return -ENOMEM;
	sp->data_prefix = topic_of(sp, "DDATA", "");
	sp->node_commands = topic_of(sp, "NCMD", NULL);
	sp->device_commands = topic_of(sp, "DCMD", "+");
	sp->command_prefix = topic_of(sp, "DCMD", "");
	return sp->data_prefix && sp->node_commands && sp->device_commands && sp->command_prefix
		       ? 0
		       : -ENOMEM;
}

int sparkplug_new(struct sparkplug **ret, const struct sparkplug_parts *parts)
{
	cleanup(sparkplug_freep) struct sparkplug *sp = calloc(1, sizeof(*sp));
	int r;

	if (!sp)
		return -ENOMEM;
	sp->parts = *parts;
	sp->session = (struct session){
		.waits = sparkplug_waits,
		.next = sparkplug_next,
		.dress = sparkplug_dress,
		.sent = sparkplug_sent,
	};
	sp->rebirth.fire = rebirth_due;
	sparkplug_devices_init(&sp->devices);
	burst_init(&sp->refusals, parts->reactor, LOG_NOTICE, "Sparkplug commands were refused");
	r = make_topics(sp);
	if (r < 0)
		return r;
	sparkplug_update(sp, parts->settings);
	sp->parts.settings = NULL; /* a reload frees them */
	*ret = take_ptr(sp);
	return 0;
}

struct sparkplug *sparkplug_free(struct sparkplug *sparkplug)
{
	if (!sparkplug)
		return NULL;
	reactor_stop_timer(&sparkplug->rebirth);
	burst_stop(&sparkplug->refusals);
	sparkplug_devices_done(&sparkplug->devices);
	message_free(sparkplug->will);
	free(sparkplug->group_topic);
	free(sparkplug->node);
	free(sparkplug->data_prefix);
	free(sparkplug->node_commands);
	free(sparkplug->device_commands);
	free(sparkplug->command_prefix);
	free(sparkplug);
	return NULL;
}

struct session *sparkplug_session(struct sparkplug *sparkplug)
{
	return &sparkplug->session;
}

const char *sparkplug_node_commands(const struct sparkplug *sparkplug)
{
	return sparkplug->node_commands;
}

const char *sparkplug_device_commands(const struct sparkplug *sparkplug)
{
	return sparkplug->device_commands;
}
