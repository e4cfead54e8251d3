/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In place of src/mqtt/link.c: a connection that breaks, and the broker behind it.
 *
 * What a connection is like is drawn when it is made: its window, its round trip, whether
 * acknowledgements get lost, come twice or in another order, whether its socket is full now and
 * then. Some die long before anybody notices: what is sent then arrives nowhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "days.h"
#include "mqtt/link.h"

#define PENDING_MAX  1024
#define RETAINED_MAX 64
#define REPLIES	     65536
#define QUOTA	     0x97 /* quota exceeded */

/* a message of which the daemon has not heard */
struct pending {
	int64_t at_us; /* NEVER: the acknowledgement is lost */
	int mid, reason;
	bool is_repeated;
	bool is_reading;
	char topic[64];
	size_t length;
	char payload[128];
};

struct link {
	struct wire wire;
	struct link_parts parts;
	struct reactor_timer attempt, ack, end, drain;
	bool is_up, is_stopped, is_failing, is_breaking, is_full;
	bool has_commands;
	int last_mid;
	struct wire_limits limits;
	int64_t round_us, jitter_us, up_us, dies_us;
	int lost_permille, twice_permille, room_most, room;
	struct pending pending[PENDING_MAX];
	size_t pending_count;
};

static struct {
	struct link *link; /* the one that is in use */
	int64_t away_until_us;
	int break_at; /* messages until the connection breaks; 0: not set */
	struct {
		char topic[64], payload[128];
	} retained[RETAINED_MAX];
	size_t retained_count;
	signed char replies[REPLIES]; /* 0: none expected; 1: ok; -1: refused; by id */
} broker;

void broker_reset(void)
{
	memset(&broker, 0, sizeof(broker));
}

bool broker_is_up(void)
{
	return broker.link && broker.link->is_up;
}

bool broker_is_well(void)
{
	const struct link *link = broker.link;

	return broker_is_up() && days_now() - link->up_us > SETTLE_US && link->dies_us == NEVER &&
	       link->lost_permille == 0 && link->room_most == 0 && link->limits.window > 4 &&
	       link->round_us + link->jitter_us < SETTLE_US / 10;
}

/* --- what arrives --------------------------------------------------------------------------- */

static void keep(const char *topic, const char *payload)
{
	size_t i = 0;

	while (i < broker.retained_count && strcmp(broker.retained[i].topic, topic) != 0)
		i++;
	if (i == RETAINED_MAX)
		days_fail("too many retained topics");
	if (i == broker.retained_count)
		broker.retained_count++;
	(void)snprintf(broker.retained[i].topic, sizeof(broker.retained[i].topic), "%s", topic);
	(void)snprintf(broker.retained[i].payload, sizeof(broker.retained[i].payload), "%s",
		       payload);
}

const char *broker_retained(const char *topic)
{
	for (size_t i = 0; i < broker.retained_count; i++)
		if (strcmp(broker.retained[i].topic, topic) == 0)
			return broker.retained[i].payload;
	return "";
}

void broker_expect_reply(int id, bool ok)
{
	broker.replies[id % REPLIES] = ok ? 1 : -1;
}

static void check_reply(const char *payload)
{
	bool is_ok = strstr(payload, "\"ok\":true") != NULL;
	const char *id = strstr(payload, "\"id\":");
	signed char *expected;

	if (!id)
		return;
	expected = &broker.replies[strtol(id + 5, NULL, 10) % REPLIES];
	if (*expected != 0 && is_ok != (*expected > 0))
		days_fail("a command that must be %s was answered: %s",
			  *expected > 0 ? "obeyed" : "refused", payload);
	*expected = 0;
}

static void arrive(const struct wire_message *message)
{
	char payload[512];

	days_text(payload, sizeof(payload), message->payload, message->length);
	if (strcmp(message->topic, TOPIC "/stats") == 0)
		return; /* its counters are judged otherwise */
	days_digest(message->topic, strlen(message->topic));
	days_digest(payload, strlen(payload));
	days_trace("broker: %s %s", message->topic, payload);
	if (readings_is_one(message->topic))
		readings_event(message->topic, payload, strlen(payload), ARRIVED);
	else if (strcmp(message->topic, TOPIC "/reply") == 0)
		check_reply(payload);
	else if (message->retain)
		keep(message->topic, payload);
}

/* --- acknowledgements ----------------------------------------------------------------------- */

static void arm_ack(struct link *link)
{
	int64_t due_us = NEVER;

	for (size_t i = 0; i < link->pending_count; i++)
		if (link->pending[i].at_us < due_us)
			due_us = link->pending[i].at_us;
	if (due_us == NEVER)
		reactor_stop_timer(&link->ack);
	else
		(void)reactor_set_timer(link->parts.reactor, &link->ack, due_us);
}

static void acknowledge(struct link *link, const struct pending *pending)
{
	if (pending->is_reading && !pending->is_repeated)
		readings_event(pending->topic, pending->payload, pending->length,
			       pending->reason ? REFUSED : ACKNOWLEDGED);
	link->parts.events->acknowledged(link->parts.events, pending->mid, pending->reason, "");
}

static void ack_due(struct reactor_timer *timer)
{
	struct link *link = container_of(timer, struct link, ack);
	size_t i = 0;

	days_step();
	while (i < link->pending_count) {
		struct pending pending = link->pending[i];

		if (pending.at_us > days_now()) {
			i++;
			continue;
		}
		link->pending_count--;
		memmove(&link->pending[i], &link->pending[i + 1],
			(link->pending_count - i) * sizeof(pending));
		acknowledge(link, &pending);
		if (!pending.is_repeated && dice_chance(&world.dice, link->twice_permille) &&
		    link->pending_count < PENDING_MAX) {
			pending.is_repeated = true;
			pending.at_us = days_now() + dice_between(&world.dice, 1, 5000);
			link->pending[link->pending_count++] = pending;
		}
	}
	arm_ack(link);
}

/* --- the wire ------------------------------------------------------------------------------- */

static void await_ack(struct link *link, const struct wire_message *message, bool is_dead)
{
	struct pending *pending;

	if (link->pending_count == PENDING_MAX)
		days_fail("%d messages are not acknowledged", PENDING_MAX);
	pending = &link->pending[link->pending_count++];
	*pending = (struct pending){
		.at_us = days_now() + link->round_us +
			 (link->jitter_us ? dice_between(&world.dice, 0, link->jitter_us) : 0),
		.mid = link->last_mid,
		.is_reading = readings_is_one(message->topic),
	};
	if (message->qos == 0)
		pending->at_us = days_now(); /* written */
	else if (is_dead || dice_chance(&world.dice, link->lost_permille))
		pending->at_us = NEVER;
	if (!pending->is_reading)
		return;
	(void)snprintf(pending->topic, sizeof(pending->topic), "%s", message->topic);
	pending->length = message->length < sizeof(pending->payload) ? message->length
								     : sizeof(pending->payload);
	memcpy(pending->payload, message->payload, pending->length);
}

static bool is_refused(const struct link *link, const struct wire_message *message)
{
	(void)link;
	return message->qos > 0 && !world.is_calm && readings_is_one(message->topic) &&
	       dice_chance(&world.dice, world.refuses_permille);
}

static size_t in_flight(const struct link *link)
{
	size_t count = 0;

	for (size_t i = 0; i < link->pending_count; i++)
		count += !link->pending[i].is_repeated;
	return count;
}

static int wire_publish(struct wire *wire, const struct wire_message *message, int *ret_mid)
{
	struct link *link = container_of(wire, struct link, wire);
	bool is_dead = link->dies_us <= days_now();

	if (!link->is_up || link->is_breaking)
		return -ENOTCONN;
	if (broker.break_at > 0 && --broker.break_at == 0) {
		link->is_breaking = true;
		return -ENOTCONN;
	}
	if (message->qos > link->limits.qos || (message->retain && !link->limits.retain))
		days_fail("%s goes beyond what the CONNACK allows", message->topic);
	if (in_flight(link) >= link->limits.window)
		days_fail("more than %zu messages are in flight", link->limits.window);
	if (readings_is_one(message->topic))
		readings_sent(message->topic, message->payload, message->length, message->expiry_s);
	if (is_refused(link, message) && dice_chance(&world.dice, 300)) {
		readings_event(message->topic, message->payload, message->length, REFUSED);
		return -EMSGSIZE;
	}
	link->last_mid = link->last_mid % 65535 + 1;
	*ret_mid = link->last_mid;
	await_ack(link, message, is_dead);
	if (!is_dead && is_refused(link, message)) {
		link->pending[link->pending_count - 1].reason = QUOTA;
		readings_event(message->topic, message->payload, message->length, DECLINED);
	} else if (!is_dead) {
		arrive(message);
	}
	link->is_full = link->room_most > 0 && --link->room <= 0;
	return 0;
}

static bool wire_is_full(struct wire *wire)
{
	const struct link *link = container_of(wire, struct link, wire);

	return !link->is_up || link->is_full;
}

static void break_link(struct link *link);

static void wire_end(struct wire *wire)
{
	struct link *link = container_of(wire, struct link, wire);

	if (!link->is_up)
		return;
	if (link->is_breaking) {
		break_link(link);
		return;
	}
	arm_ack(link);
	if (link->is_full && !reactor_timer_is_set(&link->drain))
		(void)reactor_set_timer(link->parts.reactor, &link->drain,
					days_now() + dice_between(&world.dice, 1, 200000));
}

static void drained(struct reactor_timer *timer)
{
	struct link *link = container_of(timer, struct link, drain);

	days_step();
	link->is_full = false;
	link->room = link->room_most;
	link->parts.events->writable(link->parts.events);
}

/* --- connecting and breaking ---------------------------------------------------------------- */

static void try_again(struct link *link)
{
	int64_t wait_us = world.is_calm ? 10000 : dice_between(&world.dice, 1000, 3000000);

	if (link->is_stopped)
		return; /* by who was told that it broke */
	(void)reactor_set_timer(link->parts.reactor, &link->attempt, days_now() + wait_us);
}

static void leave(struct link *link)
{
	link->is_up = link->is_breaking = link->is_full = false;
	for (size_t i = 0; i < link->pending_count; i++) {
		const struct pending *pending = &link->pending[i];

		if (pending->is_reading && !pending->is_repeated)
			readings_event(pending->topic, pending->payload, pending->length, BROKEN);
	}
	link->pending_count = 0;
	reactor_stop_timer(&link->ack);
	reactor_stop_timer(&link->end);
	reactor_stop_timer(&link->drain);
}

static void break_link(struct link *link)
{
	days_trace("the connection breaks");
	leave(link);
	link->is_failing = true;
	outputs_link(false);
	link->parts.stats->disconnects++;
	link->parts.events->down(link->parts.events, "mqtt://broker", "it broke");
	try_again(link);
}

static void end_due(struct reactor_timer *timer)
{
	days_step();
	break_link(container_of(timer, struct link, end));
}

void broker_break(int64_t outage_us)
{
	broker.away_until_us = days_now() + outage_us;
	if (broker_is_up())
		break_link(broker.link);
}

void broker_break_at(int count)
{
	broker.break_at = count;
}

/* what this connection is like */
static void draw(struct link *link)
{
	struct dice *dice = &world.dice;
	bool is_calm = world.is_calm;

	link->limits = (struct wire_limits){ WIRE_WINDOW, 2, true };
	link->round_us = 200;
	link->jitter_us = link->lost_permille = link->twice_permille = link->room_most = 0;
	link->dies_us = NEVER;
	if (is_calm || dice_chance(dice, 200))
		return;
	link->limits.window = (size_t)dice_between(dice, 1, WIRE_WINDOW);
	if (world.qos > 0 && dice_chance(dice, 100))
		link->limits.qos = 1;
	link->round_us = dice_chance(dice, 300) ? 0 : dice_between(dice, 100, 2000000);
	link->jitter_us = dice_chance(dice, 500) ? 0 : dice_between(dice, 1, 500000);
	link->lost_permille = dice_chance(dice, 300) ? 10 : 0;
	link->twice_permille = dice_chance(dice, 300) ? 100 : 0;
	link->room_most = dice_chance(dice, 300) ? (int)dice_between(dice, 1, 20) : 0;
	link->room = link->room_most;
	if (dice_chance(dice, 300)) {
		link->dies_us = days_now() + dice_between(dice, 0, 2 * world.distance_us);
		(void)reactor_set_timer(link->parts.reactor, &link->end,
					link->dies_us + dice_between(dice, 1, 5000000));
	} else if (link->lost_permille > 0) { /* a broker that forgets one is ended some day */
		(void)reactor_set_timer(link->parts.reactor, &link->end,
					days_now() + dice_between(dice, 1, 10000000));
	}
}

static void attempt_due(struct reactor_timer *timer)
{
	struct link *link = container_of(timer, struct link, attempt);

	days_step();
	if (!world.is_calm &&
	    (broker.away_until_us > days_now() || dice_chance(&world.dice, 200))) {
		if (!link->is_failing) {
			link->is_failing = true;
			outputs_link(false);
			link->parts.events->down(link->parts.events, "mqtt://broker", "refused");
		}
		try_again(link);
		return;
	}
	days_trace("connected");
	link->is_up = true;
	link->up_us = days_now();
	link->is_failing = link->has_commands = false;
	draw(link);
	outputs_link(true);
	link->parts.stats->connects++;
	link->parts.events->up(link->parts.events, "mqtt://broker", &link->limits);
}

bool broker_send(const char *topic, const char *payload, bool retained)
{
	const struct incoming incoming = {
		.topic = topic,
		.payload = payload,
		.length = strlen(payload),
		.retained = retained,
	};
	struct link *link = broker.link;

	if (!broker_is_up() || !link->has_commands)
		return false;
	days_trace("command: %s %.80s", topic, payload);
	link->parts.events->received(link->parts.events, &incoming);
	return true;
}

/* --- what the rest sees --------------------------------------------------------------------- */

int link_new(struct link **ret, const struct link_parts *parts)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return -ENOMEM;
	link->wire = (struct wire){ wire_publish, wire_is_full, wire_end };
	link->parts = *parts;
	link->attempt.fire = attempt_due;
	link->ack.fire = ack_due;
	link->end.fire = end_due;
	link->drain.fire = drained;
	link->last_mid = (int)dice_between(&world.dice, 0, 65535);
	broker.link = link;
	outputs_link(false); /* the daemon's outputs count from here */
	try_again(link);
	*ret = link;
	return 0;
}

void link_stop(struct link *link, bool says_so)
{
	(void)says_so;
	if (link->is_stopped)
		return;
	link->is_stopped = true;
	leave(link);
	reactor_stop_timer(&link->attempt);
}

struct link *link_free(struct link *link)
{
	if (!link)
		return NULL;
	link_stop(link, false);
	if (broker.link == link)
		broker.link = NULL;
	free(link);
	return NULL;
}

void link_update(struct link *link, const struct mqtt_settings *settings)
{
	link->parts.settings = settings;
}

void link_stay(struct link *link)
{
	(void)link; /* there is one broker */
}

struct wire *link_wire(struct link *link)
{
	return &link->wire;
}

bool link_is_up(const struct link *link)
{
	return link->is_up;
}

void link_subscribe(struct link *link, const char *topic)
{
	link->has_commands |= strcmp(topic, TOPIC "/command") == 0;
}

/* nothing is retained here that an earlier run told Home Assistant */
void link_subscribe_retained(struct link *link, const char *topic)
{
	(void)link;
	(void)topic;
}
