/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The link: a task that goes round
 *
 *	connect (a worker) -> up: the reactor owns the handle -> broken -> close (a worker) -> wait
 *
 * While it is up, the socket is in epoll, EPOLLOUT only while there is something left to write. After
 * every call into the library link_settle() sends what it wrote, and looks at what the callbacks
 * recorded and at the library's end of the valve (the library may have closed it). A broker that sends
 * but does not read is not read from either, once its answers fill the valve.
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
 *
 * Back-off: each try doubles the ceiling, from reconnect_min to reconnect_max, and the wait is a
 * random one below it, so that a fleet does not come back all at once. A connection that lasted
 * starts again at the bottom. All brokers of the list are tried before each wait. What the
 * log says of it is in outage.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "connection.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "link.h"
#include "outage.h"
#include "words.h"

#define SUBSCRIPTIONS_MAX 4
/* No retained command is wanted, and one that is sent right now shall show that it is retained */
#define SUBSCRIBE_OPTIONS (MQTT_SUB_OPT_SEND_RETAIN_NEVER | MQTT_SUB_OPT_RETAIN_AS_PUBLISHED)
#define BACKOFF_TRIES_MAX 20 /* 2^20 times reconnect_min is more than any reconnect_max */

struct subscription {
	int mid;
	const char *topic;
};

struct link {
	struct link_parts parts;
	struct wire wire;
	struct worker_key *key;
	struct task *task;
	struct connection *connection; /* the one of now; the worker's while its job is out */
	size_t broker;
	struct connection_will *wills; /* of each broker, as it takes it */

	/* up */
	bool is_up, is_full; /* is_full: the socket takes no more for now */
	struct future broken;
	struct reactor_io io;
	uint32_t watched; /* EPOLL* */
	struct reactor_timer keepalive, held;
	int64_t up_us, in_us, out_us; /* since when; last traffic */
	struct subscription subscriptions[SUBSCRIPTIONS_MAX];
	size_t subscription_count;

	/* down */
	struct outage outage;
	unsigned int rounds; /* through all brokers, for the back-off */
};

static int link_begin(struct task *task, int result);
static int link_answered(struct task *task, int result);
static int link_broken(struct task *task, int result);
static int link_closed(struct task *task, int result);

static int64_t link_now(const struct link *link)
{
	return reactor_now(link->parts.reactor);
}

static const char *link_url(const struct link *link)
{
	return link->parts.settings->brokers[link->broker].url;
}

/* --- up: the handle is ours ----------------------------------------------------------------- */

static void link_leave(struct link *link)
{
	link->is_up = false;
	reactor_remove_io(&link->io);
	reactor_stop_timer(&link->keepalive);
	reactor_stop_timer(&link->held);
}

static void link_break(struct link *link, int code, int error)
{
	struct connection *c = link->connection;

	if (!link->is_up)
		return;
	library_words(c->why, sizeof(c->why), c->lost ? c->lost : code, error);
	link_leave(link);
	future_resolve(&link->broken, 0);
	link->parts.events->down(link->parts.events, link_url(link), c->why);
}

static void link_subscribed(struct link *link, const struct connection_record *record)
{
	char why[REASON_SIZE];

	for (size_t i = 0; i < link->subscription_count; i++) {
		if (link->subscriptions[i].mid != record->mid ||
		    record->reason < MQTT_RC_UNSPECIFIED)
			continue;
		reason_words(why, record->reason);
		log_warning(
			"%s refuses the subscription to \"%s\": %s; commands there do not reach us",
			link_url(link), link->subscriptions[i].topic, why);
	}
}

/* pass on what the callbacks recorded */
static void link_tell(struct link *link)
{
	struct connection *c = link->connection;
	struct connection_record record;

	for (size_t i = 0; i < c->record_count; i++) {
		record = c->records[i];
		if (record.subscribed)
			link_subscribed(link, &record);
		else
			link->parts.events->acknowledged(link->parts.events, record.mid,
							 record.reason);
	}
	c->record_count = 0;
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

/* after every call into the library, which returned @code; errno is still its */
static void link_settle(struct link *link, int code)
{
	struct connection *c = link->connection;
	bool was_full = link->is_full;
	int error = errno, r;

	if (!link->is_up)
		return;
	if (code == MOSQ_ERR_SUCCESS) {
		code = connection_flush(c, &link->is_full);
		error = errno;
	}
	link_tell(link);
	if (code != MOSQ_ERR_SUCCESS || c->lost != 0 || mosquitto_socket(c->handle) < 0) {
		link_break(link, code != MOSQ_ERR_SUCCESS ? code : MOSQ_ERR_CONN_LOST, error);
		return;
	}
	r = link_watch(link);
	if (r < 0)
		link_break(link, MOSQ_ERR_ERRNO, -r);
	else if (was_full && !link->is_full)
		link->parts.events->writable(link->parts.events);
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
	int code = MOSQ_ERR_SUCCESS;

	if (events & ~(uint32_t)EPOLLOUT) {
		link->in_us = link_now(link);
		code = connection_take_in(link->connection);
		link_set_tcp(link, TCP_QUICKACK, 1); /* not sticky: tcp(7) */
	}
	if (events & EPOLLOUT)
		link->out_us = link_now(link);
	link_settle(link, code);
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

/* Return: 0; -EINVAL; -EMSGSIZE; -ENOTCONN, and the link will break */
static int publish_error(struct link *link, int code, int error)
{
	switch (code) {
	case MOSQ_ERR_SUCCESS:
		return 0;
	case MOSQ_ERR_OVERSIZE_PACKET:
	case MOSQ_ERR_PAYLOAD_SIZE:
		return -EMSGSIZE;
	case MOSQ_ERR_INVAL:
	case MOSQ_ERR_MALFORMED_UTF8:
	case MOSQ_ERR_QOS_NOT_SUPPORTED:
	case MOSQ_ERR_RETAIN_NOT_SUPPORTED:
	case MOSQ_ERR_PROTOCOL:
	case MOSQ_ERR_DUPLICATE_PROPERTY:
		return -EINVAL;
	default:
		if (link->connection->lost == 0)
			link->connection->lost = code;
		errno = error;
		return -ENOTCONN;
	}
}

/* MQTT 5 only. Return: an enum mosq_err_t */
static int make_properties(mosquitto_property **properties, const struct wire_message *message)
{
	int code = MOSQ_ERR_SUCCESS;

	if (message->expiry_s > 0)
		code = mosquitto_property_add_int32(properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
						    message->expiry_s);
	if (code == MOSQ_ERR_SUCCESS && message->correlation)
		code = mosquitto_property_add_binary(properties, MQTT_PROP_CORRELATION_DATA,
						     message->correlation,
						     (uint16_t)message->correlation_length);
	return code;
}

static int link_publish(struct wire *wire, const struct wire_message *message, int *ret_mid)
{
	struct link *link = container_of(wire, struct link, wire);
	mosquitto_property *properties = NULL;
	int code = MOSQ_ERR_SUCCESS, error;

	if (!link->is_up)
		return -ENOTCONN;
	if (message->length > MQTT_MAX_PAYLOAD)
		return -EMSGSIZE;
	if (link->connection->protocol == 5)
		code = make_properties(&properties, message);
	if (code == MOSQ_ERR_SUCCESS)
		code = mosquitto_publish_v5(link->connection->handle, ret_mid, message->topic,
					    (int)message->length, message->payload, message->qos,
					    message->retain, properties);
	error = errno;
	mosquitto_property_free_all(&properties);
	link->out_us = link_now(link);
	return publish_error(link, code, error);
}

static bool link_is_full(struct wire *wire)
{
	struct link *link = container_of(wire, struct link, wire);

	return !link->is_up || link->is_full || mosquitto_want_write(link->connection->handle);
}

static void link_end_burst(struct wire *wire)
{
	struct link *link = container_of(wire, struct link, wire);

	link_settle(link, MOSQ_ERR_SUCCESS);
}

/* --- the task ------------------------------------------------------------------------------- */

static void link_held(struct reactor_timer *timer)
{
	struct link *link = container_of(timer, struct link, held);

	outage_held(&link->outage, link_now(link), link_url(link));
}

static void link_received(void *data, const struct incoming *incoming)
{
	struct link *link = data;

	link->parts.events->received(link->parts.events, incoming);
}

/* from now on the handle is the reactor's. Return: 0; negative: it cannot be watched */
static int link_adopt(struct link *link)
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
	return 0;
}

/* between reconnect_min and a ceiling that doubles, anything: "full jitter" */
static int64_t link_delay(const struct link *link)
{
	const struct mqtt_settings *settings = link->parts.settings;
	unsigned int rounds = link->rounds < BACKOFF_TRIES_MAX ? link->rounds : BACKOFF_TRIES_MAX;
	int64_t ceiling_us = settings->reconnect_min_us << (rounds + 1);
	uint64_t random = 0;

	if (ceiling_us > settings->reconnect_max_us)
		ceiling_us = settings->reconnect_max_us;
	if (ceiling_us <= settings->reconnect_min_us)
		return ceiling_us;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint64_t)link_now(
			link); /* early at boot: microseconds are random enough */
	return settings->reconnect_min_us +
	       (int64_t)(random % (uint64_t)(ceiling_us - settings->reconnect_min_us + 1));
}

/* the next broker at once, or after the last one a wait and the first again */
static int link_try_next(struct link *link, struct task *task)
{
	int64_t delay_us;

	link->broker++;
	if (link->broker < link->parts.settings->broker_count)
		return link_begin(task, 0);
	link->broker = 0;
	delay_us = link_delay(link);
	link->rounds++;
	return task_sleep(task, delay_us, link_begin);
}

static int link_begin(struct task *task, int result)
{
	struct link *link = task_data(task);
	int r;

	if (result < 0)
		return result;
	link->connection = connection_free(link->connection);
	r = connection_new(&link->connection, link->parts.settings, link->broker,
			   link->parts.status_topic, &link->wills[link->broker]);
	if (r < 0)
		return task_sleep(task, link->parts.settings->reconnect_max_us, link_begin);
	r = connection_connect(link->connection, link->key);
	if (r < 0)
		return link_answered(task, r);
	return task_await(task, &link->connection->job.future, link_answered);
}

static int link_answered(struct task *task, int result)
{
	struct link *link = task_data(task);
	struct connection *c = link->connection;

	link->wills[link->broker] = c->will;
	if (result == 0)
		result = link_adopt(link);
	if (result < 0) {
		if (result != -EHOSTUNREACH)
			error_words(c->why, sizeof(c->why), result);
		if (outage_failed(&link->outage, link_now(link), link_url(link), c->why))
			link->parts.events->down(link->parts.events, link_url(link), c->why);
		return link_try_next(link, task);
	}
	link->parts.stats->connects++;
	outage_connected(&link->outage, link_now(link), link_url(link));
	link->parts.events->up(link->parts.events, link_url(link), &c->limits);
	if (link->is_up) /* what came with the CONNACK is in the valve: epoll would not tell */
		link_settle(link, connection_digest(c));
	return task_await(task, &link->broken, link_broken);
}

static int link_broken(struct task *task, int result)
{
	struct link *link = task_data(task);
	int r;

	(void)result;
	link->parts.stats->disconnects++;
	outage_lost(&link->outage, link_now(link), link->up_us, link_url(link),
		    link->connection->why);
	r = connection_close(link->connection, link->key);
	if (r < 0)
		return link_closed(task, r);
	return task_await(task, &link->connection->job.future, link_closed);
}

static int link_closed(struct task *task, int result)
{
	struct link *link = task_data(task);

	(void)result;
	if (link_now(link) - link->up_us >= OUTAGE_HELD_US) {
		link->rounds = 0;
		link->broker = 0;
		return task_sleep(task, link_delay(link), link_begin);
	}
	return link_try_next(link, task);
}

/* --- life ----------------------------------------------------------------------------------- */

int link_new(struct link **ret, const struct link_parts *parts)
{
	cleanup(link_freep) struct link *link = NULL;
	int r;

	(void)mosquitto_lib_init(); /* counts; never undone, for a job that hangs may still be in it */
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->parts = *parts;
	link->wire = (struct wire){
		.publish = link_publish,
		.is_full = link_is_full,
		.end = link_end_burst,
	};
	link->io.ready = link_ready;
	link->keepalive.fire = link_keep_alive;
	link->held.fire = link_held;
	link->wills = calloc(parts->settings->broker_count, sizeof(*link->wills));
	if (!link->wills)
		return -ENOMEM;
	for (size_t i = 0; i < parts->settings->broker_count; i++)
		link->wills[i] = (struct connection_will){ .qos = 1, .retain = true };
	r = worker_key_new(&link->key, parts->workers, 0);
	if (r < 0)
		return r;
	r = task_spawn(&link->task, parts->reactor, link_begin, link, NULL);
	if (r < 0)
		return r;
	*ret = take_ptr(link);
	return 0;
}

/* end the task, and with it what it awaits */
static void link_end(struct link *link)
{
	link_leave(link);
	if (!link->task)
		return;
	task_cancel(link->task);
	(void)task_result(link->task);
	link->task = task_release(link->task);
}

struct link *link_free(struct link *link)
{
	if (!link)
		return NULL;
	link_end(link);
	connection_orphan(link->connection);
	worker_key_free(link->key);
	free(link->wills);
	free(link);
	return NULL;
}

void link_update(struct link *link, const struct mqtt_settings *settings)
{
	link->parts.settings = settings;
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
	int options = link->connection->protocol == 5 ? SUBSCRIBE_OPTIONS : 0;
	struct subscription *subscription = &link->subscriptions[link->subscription_count];
	int code;

	if (!link->is_up || link->subscription_count == SUBSCRIPTIONS_MAX)
		return;
	code = mosquitto_subscribe_v5(link->connection->handle, &subscription->mid, topic, 1,
				      options, NULL);
	subscription->topic = topic;
	link->subscription_count++;
	link->out_us = link_now(link);
	link_settle(link, code);
}

void link_stop(struct link *link, bool says_so)
{
	if (link->is_up) {
		if (says_so)
			(void)mosquitto_disconnect(link->connection->handle);
		(void)valve_drain(&link->connection->valve);
		link->parts.stats->disconnects++;
	}
	link_end(link);
}
