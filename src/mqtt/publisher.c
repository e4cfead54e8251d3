/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What leaves.
 *
 * Three sources share one window of at most 64 messages in flight: replies to commands (a bounded
 * queue that dies with the connection), retained states (states.c), readings (the spool); in format
 * "sparkplug" a fourth, the session, which also says how and when a reading leaves. They take turns
 * message by message, so that no flood of one starves the others. The window is ours and not the
 * library's, whose queue has no limit. Readings leave a few places of it free, one at least, so that
 * replies and states do not wait behind a broker that acknowledges late or never.
 *
 * All that falls due in one turn leaves in one burst in the next: one deferred call. A
 * burst ends when nothing waits, the window is full (an acknowledgement starts the next), or the
 * socket takes no more (publisher_writable() starts it). A message of QoS 0 stays in flight until
 * it is written, so a slow broker slows it as it slows the others.
 *
 * A refused message is dropped: the broker would say no again. It is counted, and logged once a
 * burst. So is a reply that finds the queue full.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "burst.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "publisher.h"
#include "reason.h"
#include "states.h"
#include "words.h"

#define REPLIES_MAX  256
#define REPLY_QOS    1
#define REPLY_TYPE   "application/json"
#define RESERVED     16	  /* one place in 16, but one at least, is not for readings */
#define REFUSED_FROM 0x80 /* reason codes from here on are errors: MQTT 5.0, section 2.4 */

enum flight_source {
	FLIGHT_REPLY,
	FLIGHT_STATE,
	FLIGHT_SESSION,
	FLIGHT_READING,
	FLIGHT_SOURCES
};

/* a message that was handed over and is not acknowledged */
struct flight {
	int mid;
	enum flight_source source;
	struct state_slot *slot; /* of a state */
	struct message *reading; /* the spool's, which keeps what is in flight */
	int64_t sent_us;	 /* -1: nobody answers, QoS 0 */
};

struct publisher {
	struct publisher_parts parts;
	struct states *states;
	struct reply *first_reply, **last_reply;
	size_t reply_count;
	struct flight flights[2 * WIRE_WINDOW]; /* in their order; room, so that few have to move */
	size_t first_flight, flight_count;
	struct wire_limits limits;
	struct message *reading; /* taken from the spool, and waits for the session */
	struct reactor_call pump;
	enum flight_source turn; /* whose turn it is */
	bool up, holds_readings;
	struct burst refusals;
};

int reply_new(struct reply **ret, const char *topic, const char *payload, const void *correlation,
	      size_t correlation_length)
{
	size_t topic_size = strlen(topic) + 1, payload_size = strlen(payload) + 1;
	struct reply *reply;

	reply = malloc(sizeof(*reply) + topic_size + payload_size + correlation_length);
	if (!reply)
		return -ENOMEM;
	*reply = (struct reply){
		.topic = (char *)(reply + 1),
		.length = payload_size - 1,
		.correlation_length = correlation_length,
	};
	reply->payload = reply->topic + topic_size;
	memcpy(reply->topic, topic, topic_size);
	memcpy(reply->payload, payload, payload_size);
	if (correlation) {
		reply->correlation = reply->payload + payload_size;
		memcpy(reply->correlation, correlation, correlation_length);
	}
	*ret = reply;
	return 0;
}

struct reply *reply_free(struct reply *reply)
{
	free(reply);
	return NULL;
}

static struct reply *publisher_pop_reply(struct publisher *p)
{
	struct reply *reply = p->first_reply;

	if (!reply)
		return NULL;
	p->first_reply = reply->next;
	if (!p->first_reply)
		p->last_reply = &p->first_reply;
	p->reply_count--;
	return reply;
}

static void publisher_schedule(struct publisher *p)
{
	if (p->up)
		reactor_defer(p->parts.reactor, &p->pump);
}

static void publisher_refused(struct publisher *p, const char *topic, const char *why)
{
	char text[512];

	p->parts.stats->refused++;
	(void)snprintf(text, sizeof(text),
		       "the broker does not take \"%s\": %s; the message is dropped", topic, why);
	burst_note(&p->refusals, 1, text);
}

/* give back what @flight stands for; @message is its bytes, for its topic */
static void flight_end(struct publisher *p, const struct flight *flight)
{
	switch (flight->source) {
	case FLIGHT_REPLY:
		break;
	case FLIGHT_STATE:
		states_done(p->states, flight->slot);
		break;
	case FLIGHT_SESSION:
		break;
	case FLIGHT_READING:
		spool_done(p->parts.spool, flight->reading->id);
		break;
	case FLIGHT_SOURCES:
		break;
	}
}

static void publisher_add_flight(struct publisher *p, const struct flight *flight)
{
	if (p->first_flight + p->flight_count == ARRAY_SIZE(p->flights)) {
		memmove(p->flights, &p->flights[p->first_flight],
			p->flight_count * sizeof(*flight));
		p->first_flight = 0;
	}
	p->flights[p->first_flight + p->flight_count++] = *flight;
}

/* acknowledgements come in the order of the messages, so the search mostly ends at once */
static bool publisher_take_flight(struct publisher *p, int mid, struct flight *ret)
{
	struct flight *first = &p->flights[p->first_flight], *at = first;

	while (at < first + p->flight_count && at->mid != mid)
		at++;
	if (at == first + p->flight_count)
		return false;
	*ret = *at;
	if (at > first)
		memmove(first + 1, first, (size_t)(at - first) * sizeof(*at));
	p->first_flight++;
	p->flight_count--;
	return true;
}

/* Return: 1 handed over, or dropped because it never can be; 0 the connection is gone */
static int publisher_send(struct publisher *p, struct flight *flight, struct wire_message *message)
{
	int r;

	if (message->qos > p->limits.qos)
		message->qos = p->limits.qos;
	message->retain = message->retain && p->limits.retain;
	r = p->parts.wire->publish(p->parts.wire, message, &flight->mid);
	if (r == -EINVAL || r == -EMSGSIZE) {
		publisher_refused(p, message->topic,
				  r == -EMSGSIZE ? "it is too large" : "its topic is not valid");
		flight_end(p, flight);
		return 1;
	}
	flight->sent_us = message->qos > 0 ? reactor_now(p->parts.reactor) : -1;
	/* in flight also if the connection broke: publisher_down() gives it back to its source */
	publisher_add_flight(p, flight);
	p->parts.stats->published += r == 0;
	if (r == 0 && p->parts.session && flight->source >= FLIGHT_SESSION)
		p->parts.session->sent(p->parts.session);
	return r == 0;
}

/* MQTT 5.0, section 3.3.2.3.3: what is left of it. Return: 0: there is no end; else 1 and up */
static uint32_t remaining_s(const struct publisher *p, const struct message *message)
{
	int64_t left_us, left_s;

	if (message->expires_us == 0)
		return 0;
	left_us = message->expires_us - reactor_now(p->parts.reactor);
	left_s = left_us / USEC_PER_SEC + (left_us % USEC_PER_SEC > 0);
	if (left_s < 1)
		return 1;
	return left_s > UINT32_MAX ? UINT32_MAX : (uint32_t)left_s;
}

static int publisher_send_message(struct publisher *p, struct flight *flight,
				  const struct message *message,
				  const struct wire_properties *extra)
{
	struct wire_message wire = {
		.topic = message->topic,
		.payload = message->payload,
		.length = message->length,
		.expiry_s = remaining_s(p, message),
		.extra = extra,
		.qos = message->qos,
		.retain = message->retain,
	};

	return publisher_send(p, flight, &wire);
}

static int publisher_send_reply(struct publisher *p)
{
	cleanup(reply_freep) struct reply *reply = publisher_pop_reply(p);
	struct flight flight = { .source = FLIGHT_REPLY };
	struct wire_message message;

	if (!reply)
		return -ENOENT;
	message = (struct wire_message){
		.topic = reply->topic,
		.payload = reply->payload,
		.length = reply->length,
		.correlation = reply->correlation,
		.correlation_length = reply->correlation_length,
		.content_type = REPLY_TYPE,
		.qos = REPLY_QOS,
	};
	return publisher_send(p, &flight, &message);
}

static int publisher_send_state(struct publisher *p)
{
	struct flight flight = { .source = FLIGHT_STATE, .slot = states_next(p->states) };

	if (!flight.slot)
		return -ENOENT;
	return publisher_send_message(p, &flight, state_slot_message(flight.slot), NULL);
}

/* the places of the window that readings may take */
static size_t publisher_reading_window(const struct publisher *p)
{
	size_t window = p->limits.window;

	if (window == 1)
		return 1;
	return window - (window < RESERVED ? 1 : window / RESERVED);
}

static int publisher_send_session(struct publisher *p)
{
	cleanup(message_freep) struct message *message = NULL;
	struct session *session = p->parts.session;
	struct flight flight = { .source = FLIGHT_SESSION };

	if (!session || session->next(session, spool_is_empty(p->parts.spool), &message) < 0)
		return -ENOENT;
	return publisher_send_message(p, &flight, message, NULL);
}

static int publisher_send_reading(struct publisher *p)
{
	cleanup(message_freep) struct message *dressed = NULL;
	struct session *session = p->parts.session;
	struct flight flight = { .source = FLIGHT_READING };
	const struct wire_properties *extra = NULL;
	int r = 0;

	if (p->holds_readings || p->flight_count >= publisher_reading_window(p))
		return -ENOENT;
	if (!p->reading)
		p->reading = spool_next(p->parts.spool);
	if (!p->reading)
		return -ENOENT;
	if (session)
		r = session->dress(session, p->reading, &dressed);
	if (r < 0)
		return r == -EAGAIN ? publisher_send_session(p) : -ENOENT;
	flight.reading = take_ptr(p->reading);
	if (p->parts.labels)
		extra = labels_find(p->parts.labels, flight.reading->topic);
	return publisher_send_message(p, &flight, dressed ? dressed : flight.reading, extra);
}

/* may it have something? Most have nothing most of the time */
static bool publisher_waits(const struct publisher *p, enum flight_source source)
{
	switch (source) {
	case FLIGHT_REPLY:
		return p->first_reply;
	case FLIGHT_SESSION:
		return p->parts.session;
	case FLIGHT_STATE:
	case FLIGHT_READING:
		return true;
	case FLIGHT_SOURCES:
		break;
	}
	return false;
}

/* the next one of the source whose turn it is. Return: 1; 0 the connection is gone; -ENOENT nothing waits */
static int publisher_send_next(struct publisher *p)
{
	static int (*const send[FLIGHT_SOURCES])(struct publisher *) = {
		[FLIGHT_REPLY] = publisher_send_reply,
		[FLIGHT_STATE] = publisher_send_state,
		[FLIGHT_SESSION] = publisher_send_session,
		[FLIGHT_READING] = publisher_send_reading,
	};
	enum flight_source source;
	int r = -ENOENT;

	for (int i = 0; i < FLIGHT_SOURCES && r == -ENOENT; i++) {
		source = p->turn;
		p->turn = (source + 1) % FLIGHT_SOURCES;
		if (publisher_waits(p, source))
			r = send[source](p);
	}
	return r;
}

static void publisher_tell_idle(struct publisher *p)
{
	if (publisher_is_idle(p) && p->parts.events && p->parts.events->idle)
		p->parts.events->idle(p->parts.events);
}

static bool publisher_can_send(const struct publisher *p)
{
	return p->flight_count < p->limits.window && !p->parts.wire->is_full(p->parts.wire);
}

static void publisher_burst(struct reactor_call *call)
{
	struct publisher *p = container_of(call, struct publisher, pump);
	struct wire *wire = p->parts.wire;
	int r = 1;

	for (int i = 0; i < WIRE_WINDOW && r > 0; i++)
		r = publisher_can_send(p) ? publisher_send_next(p) : 0;
	wire->end(wire); /* may find that the connection is gone, and call publisher_down() */
	if (!p->up)
		return;
	if (r > 0)
		publisher_schedule(
			p); /* some were dropped: they took a place in the burst, not in the window */
	publisher_tell_idle(p);
}

static void publisher_spool_ready(void *data)
{
	publisher_schedule(data);
}

int publisher_new(struct publisher **ret, const struct publisher_parts *parts)
{
	cleanup(publisher_freep) struct publisher *p = NULL;
	int r;

	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->parts = *parts;
	p->pump.run = publisher_burst;
	p->last_reply = &p->first_reply;
	spool_on_ready(parts->spool, publisher_spool_ready, p);
	burst_init(&p->refusals, parts->reactor, LOG_WARNING, "messages were refused");
	r = states_new(&p->states);
	if (r < 0)
		return r;
	*ret = take_ptr(p);
	return 0;
}

struct publisher *publisher_free(struct publisher *publisher)
{
	if (!publisher)
		return NULL;
	publisher_down(publisher);
	spool_on_ready(publisher->parts.spool, NULL, publisher);
	burst_stop(&publisher->refusals);
	states_free(publisher->states);
	free(publisher);
	return NULL;
}

void publisher_up(struct publisher *publisher, const struct wire_limits *limits)
{
	publisher->limits = *limits;
	if (publisher->limits.window > WIRE_WINDOW)
		publisher->limits.window = WIRE_WINDOW;
	publisher->up = true;
	/* T/status says `online`, or NBIRTH that we are born, before anything else is said */
	publisher->turn = publisher->parts.session ? FLIGHT_SESSION : FLIGHT_STATE;
	publisher_schedule(publisher);
}

void publisher_down(struct publisher *publisher)
{
	struct reply *reply;

	publisher->up = false;
	publisher->first_flight = publisher->flight_count = 0;
	publisher->reading = NULL;
	reactor_cancel_call(&publisher->pump);
	while ((reply = publisher_pop_reply(publisher)))
		reply_free(reply);
	if (publisher->states)
		states_rewind(publisher->states);
	spool_rewind(publisher->parts.spool);
}

void publisher_push(struct publisher *publisher, struct message *message)
{
	spool_push(publisher->parts.spool, message);
	publisher_schedule(publisher);
}

int publisher_set_state(struct publisher *publisher, struct message *message)
{
	int r = states_set(publisher->states, message);

	if (r < 0) {
		message_free(message);
		return r;
	}
	publisher_schedule(publisher);
	return 0;
}

void publisher_forget_state(struct publisher *publisher, const char *topic, bool clear)
{
	if (states_forget(publisher->states, topic, clear) < 0)
		log_error("out of memory: \"%s\" stays on the broker", topic);
	publisher_schedule(publisher);
}

void publisher_repeat_state(struct publisher *publisher, const char *topic)
{
	states_repeat(publisher->states, topic);
	publisher_schedule(publisher);
}

int publisher_reply(struct publisher *publisher, struct reply *reply)
{
	if (!publisher->up) {
		reply_free(reply);
		return -ENOTCONN;
	}
	if (publisher->reply_count >= REPLIES_MAX) {
		publisher_refused(publisher, reply->topic, "too many replies wait");
		reply_free(reply);
		return -ENOBUFS;
	}
	reply->next = NULL;
	*publisher->last_reply = reply;
	publisher->last_reply = &reply->next;
	publisher->reply_count++;
	publisher_schedule(publisher);
	return 0;
}

static const char *flight_topic(const struct flight *flight)
{
	switch (flight->source) {
	case FLIGHT_STATE:
		return state_slot_message(flight->slot)->topic;
	case FLIGHT_READING:
		return flight->reading->topic;
	case FLIGHT_SESSION:
		return "a birth or a death";
	case FLIGHT_REPLY:
	case FLIGHT_SOURCES:
		break;
	}
	return "the reply to a command";
}

static void publisher_count_latency(struct publisher *p, const struct flight *flight)
{
	int64_t now_us = reactor_now(p->parts.reactor);

	if (flight->sent_us >= 0)
		histogram_add(&p->parts.stats->ack, now_us, now_us - flight->sent_us);
}

void publisher_acknowledged(struct publisher *publisher, int mid, int reason, const char *told)
{
	char words[REASON_SIZE], why[REASON_SIZE + REASON_TOLD_SIZE];
	struct flight flight;

	if (!publisher_take_flight(publisher, mid, &flight))
		return;
	publisher_count_latency(publisher, &flight);
	if (reason >= REFUSED_FROM) {
		reason_words(words, reason);
		(void)snprintf(why, sizeof(why), "%s%s", words, told);
		publisher_refused(publisher, flight_topic(&flight), why);
	} else {
		publisher->parts.stats->acknowledged++;
	}
	flight_end(publisher, &flight);
	publisher_schedule(publisher); /* also tells if it is idle now */
}

void publisher_writable(struct publisher *publisher)
{
	publisher_schedule(publisher);
}

void publisher_wake(struct publisher *publisher)
{
	publisher_schedule(publisher);
}

void publisher_hold_readings(struct publisher *publisher)
{
	publisher->holds_readings = true;
}

bool publisher_has_sent_state(const struct publisher *publisher, const char *topic)
{
	return states_has_sent(publisher->states, topic);
}

bool publisher_is_idle(const struct publisher *publisher)
{
	struct session *session = publisher->parts.session;

	if (session && session->waits(session, spool_is_empty(publisher->parts.spool)))
		return false;
	return publisher->flight_count == 0 && publisher->reply_count == 0 &&
	       states_are_sent(publisher->states) &&
	       (publisher->holds_readings || spool_is_empty(publisher->parts.spool));
}
