/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The link while it is up: the reactor owns the handle.
 *
 * The socket is in epoll, EPOLLOUT only while there is something left to write. After every call into
 * the library, and after each burst of messages, link_settle() sends what they wrote, and looks at
 * what was recorded and at the library's end of the valve (the library may have closed it). A broker
 * that sends but does not read is not read from either, once its answers fill the valve.
 *
 * The keepalive: the library sends a PINGREQ from loop_misc() when nothing was sent or nothing
 * received for a keepalive time, and says that the broker is dead when a further one passes without an answer.
 * So loop_misc() is called when one of these can be due, not each second; the times seen here and
 * the library's may differ a little, so when it is due it is asked again after an eighth of it.
 *
 * TCP: no Nagle (connection.c), a burst in one send() (valve.c), and what comes in is acknowledged at once: a
 * broker with Nagle on, as mosquitto's default is, else sends the last PUBACKs of each burst only
 * after our delayed ACK, 40 ms later (measured: 100,000 readings at QoS 1 in bursts of 100 took 44 s
 * and 1.35 s of CPU without TCP_QUICKACK, 1.8 s and 0.39 s with it).
 */
#include <errno.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "link-parts.h"
#include "words.h"

/* bytes of messages, and one more, that are put together before they are sent */
#define BURST_MAX	  65536
/* No retained command is wanted, and one that is sent right now shall show that it is retained */
#define SUBSCRIBE_OPTIONS (MQTT_SUB_OPT_SEND_RETAIN_NEVER | MQTT_SUB_OPT_RETAIN_AS_PUBLISHED)

static void link_flush_done(struct link *link)
{
	reactor_cancel_call(&link->flush);
	link->flush_turns = 0;
}

void link_leave(struct link *link)
{
	link->is_up = false;
	home_stop(&link->home);
	reactor_remove_io(&link->io);
	link_flush_done(link);
	reactor_stop_timer(&link->keepalive);
	reactor_stop_timer(&link->held);
}

static void link_break(struct link *link, int code, int error)
{
	struct connection *c = link->connection;

	if (!link->is_up)
		return;
	connection_explain(c, c->lost ? c->lost : code, error);
	link_leave(link);
	link->parts.stats->disconnects++;
	future_resolve(&link->broken, 0);
	link->parts.events->down(link->parts.events, link_url(link), c->why);
}

static void link_subscribed(struct link *link, const struct connection_record *record,
			    const char *told)
{
	char why[REASON_SIZE];

	for (size_t i = 0; i < link->subscription_count; i++) {
		if (link->subscriptions[i].mid != record->mid ||
		    record->reason < MQTT_RC_UNSPECIFIED)
			continue;
		reason_words(why, record->reason);
		log_warning("%s refuses the subscription to \"%s\": %s%s; commands there do not "
			    "reach us",
			    link_url(link), link->subscriptions[i].topic, why, told);
	}
}

static const char *reason_of(const struct connection *c, int mid)
{
	for (size_t i = 0; i < c->reason_count; i++)
		if (c->reasons[i].mid == mid)
			return c->reasons[i].told;
	return "";
}

/* pass on what the callbacks recorded */
static void link_tell(struct link *link)
{
	struct connection *c = link->connection;
	struct connection_record record;
	const char *told;

	for (size_t i = 0; i < c->record_count; i++) {
		record = c->records[i];
		told = reason_of(c, record.mid);
		if (record.subscribed)
			link_subscribed(link, &record, told);
		else
			link->parts.events->acknowledged(link->parts.events, record.mid,
							 record.reason, told);
	}
	c->record_count = c->reason_count = 0;
}

static int link_watch(struct link *link)
{
	uint32_t events = 0;

	if (link->is_full)
		events |= EPOLLOUT;
	if (!mosquitto_want_write(link->connection->handle))
		events |= EPOLLIN;
	if (events == link->watched)
		return 0;
	link->watched = events;
	return reactor_modify_io(&link->io, events);
}

/* after the library said @code, with @error as the errno */
static void link_look(struct link *link, int code, int error)
{
	struct connection *c = link->connection;
	int r;

	link_tell(link);
	if (code != MOSQ_ERR_SUCCESS || c->lost != 0 || mosquitto_socket(c->handle) < 0) {
		link_break(link, code != MOSQ_ERR_SUCCESS ? code : MOSQ_ERR_CONN_LOST, error);
		return;
	}
	r = link_watch(link);
	if (r < 0)
		link_break(link, MOSQ_ERR_ERRNO, -r);
}

void link_settle(struct link *link, int code)
{
	bool was_full = link->is_full;
	int error = errno;

	if (!link->is_up)
		return;
	if (code == MOSQ_ERR_SUCCESS) {
		link_flush_done(link);
		code = connection_flush(link->connection, &link->is_full);
		error = errno;
	}
	link_look(link, code, error);
	if (link->is_up && was_full && !link->is_full)
		link->parts.events->writable(link->parts.events);
}

/*
 * What the library answers by itself, an acknowledgement mostly, leaves with what we say to it: a
 * command is carried out in the next turn and its reply published in the one after that. Two
 * packets would wake the broker twice, and the reply would wait for the first.
 */
static void link_flush_later(struct link *link)
{
	if (link->flush_turns == 0)
		link->flush_turns = 2;
	reactor_defer(link->parts.reactor, &link->flush);
}

static void link_flush_due(struct reactor_call *call)
{
	struct link *link = container_of(call, struct link, flush);

	if (--link->flush_turns > 0)
		reactor_defer(link->parts.reactor, &link->flush);
	else
		link_settle(link, MOSQ_ERR_SUCCESS);
}

static void link_set_tcp(struct link *link, int option, int value)
{
	struct connection *c = link->connection;

	if (c->scheme != MQTT_UNIX)
		(void)setsockopt(c->valve.outer, IPPROTO_TCP, option, &value, sizeof(value));
}

static void link_ready(struct reactor_io *io, uint32_t events)
{
	struct link *link = container_of(io, struct link, io);
	int code, error;

	if (events & EPOLLOUT) {
		link->out_us = link_now(link);
		link_settle(link, MOSQ_ERR_SUCCESS);
	}
	if (!link->is_up || !(events & ~(uint32_t)EPOLLOUT))
		return;
	link->in_us = link_now(link);
	code = connection_take_in(link->connection);
	error = errno;
	link_set_tcp(link, TCP_QUICKACK, 1); /* not sticky: tcp(7) */
	link_flush_later(link);
	link_look(link, code, error);
}

static int64_t link_keepalive_us(const struct link *link)
{
	return link->connection->keepalive_s * USEC_PER_SEC;
}

static void link_arm_keepalive(struct link *link, int64_t soonest_us)
{
	int64_t quiet_us = link->in_us < link->out_us ? link->in_us : link->out_us;
	int64_t due_us = quiet_us + link_keepalive_us(link);

	if (link_keepalive_us(link) == 0)
		return; /* the broker wants none */
	if (due_us < soonest_us)
		due_us = soonest_us;
	(void)reactor_set_timer(link->parts.reactor, &link->keepalive, due_us);
}

static void link_keep_alive(struct reactor_timer *timer)
{
	struct link *link = container_of(timer, struct link, keepalive);
	int64_t now_us = link_now(link), patience_us = link_keepalive_us(link);

	if (now_us - link->in_us >= patience_us || now_us - link->out_us >= patience_us)
		link->in_us = link->out_us =
			now_us; /* as the library does when it sends its PINGREQ */
	link_settle(link, mosquitto_loop_misc(link->connection->handle));
	if (link->is_up)
		link_arm_keepalive(link, now_us + patience_us / 8);
}

/* --- the wire ------------------------------------------------------------------------------- */

static int link_publish(struct wire *wire, const struct wire_message *message, int *ret_mid)
{
	struct link *link = container_of(wire, struct link, wire);

	if (!link->is_up)
		return -ENOTCONN;
	link->out_us = link_now(link);
	return connection_publish(link->connection, message, ret_mid);
}

static bool link_is_full(struct wire *wire)
{
	struct link *link = container_of(wire, struct link, wire);

	return !link->is_up || link->is_full ||
	       valve_waiting(&link->connection->valve) >= BURST_MAX ||
	       mosquitto_want_write(link->connection->handle);
}

static void link_end_burst(struct wire *wire)
{
	struct link *link = container_of(wire, struct link, wire);

	link_settle(link, MOSQ_ERR_SUCCESS);
}

/* --- begin ------------------------------------------------------------------------------------ */

static void link_received(void *data, const struct incoming *incoming)
{
	struct link *link = data;

	link->parts.events->received(link->parts.events, incoming);
}

int link_adopt(struct link *link)
{
	struct connection *c = link->connection;
	int r;

	link->watched = EPOLLIN;
	r = reactor_add_io(link->parts.reactor, &link->io, c->valve.outer, link->watched);
	if (r < 0)
		return r;
	future_init(&link->broken, link->parts.reactor, NULL);
	c->received = link_received;
	c->received_data = link;
	c->adopted = true;
	link->is_up = true;
	link->is_full = false;
	link->subscription_count = 0;
	link->up_us = link->in_us = link->out_us = link_now(link);
	link_arm_keepalive(link, 0);
	(void)reactor_set_timer(link->parts.reactor, &link->held, link->up_us + OUTAGE_HELD_US);
	home_leave(&link->home, link->broker);
	return 0;
}

struct wire *link_wire(struct link *link)
{
	return &link->wire;
}

void link_init_up(struct link *link)
{
	link->wire = (struct wire){
		.publish = link_publish,
		.is_full = link_is_full,
		.end = link_end_burst,
	};
	link->io.ready = link_ready;
	link->flush.run = link_flush_due;
	link->keepalive.fire = link_keep_alive;
}

/* --- subscriptions ------------------------------------------------------------------------------ */

/* @options: of MQTT 5 */
static void subscribe(struct link *link, const char *topic, int options)
{
	struct subscription *subscription = &link->subscriptions[link->subscription_count];
	int code;

	if (!link->is_up || link->subscription_count == SUBSCRIPTIONS_MAX)
		return;
	code = mosquitto_subscribe_v5(link->connection->handle, &subscription->mid, topic, 1,
				      link->connection->protocol == 5 ? options : 0, NULL);
	subscription->topic = topic;
	link->subscription_count++;
	link->out_us = link_now(link);
	link_settle(link, code);
}

void link_subscribe(struct link *link, const char *topic)
{
	subscribe(link, topic, SUBSCRIBE_OPTIONS);
}

void link_subscribe_retained(struct link *link, const char *topic)
{
	subscribe(link, topic, MQTT_SUB_OPT_SEND_RETAIN_ALWAYS | MQTT_SUB_OPT_NO_LOCAL);
}
