/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The link: a task that goes round
 *
 *	connect (a worker) -> up: the reactor owns the handle -> broken -> close (a worker) -> wait
 *
 * While it is up: link-up.c.
 *
 * Back-off: each try doubles the ceiling, from reconnect_min to reconnect_max, and the wait is a
 * random one below it, so that a fleet does not come back all at once. A connection that lasted
 * starts again at the bottom. All brokers of the list are tried before each wait. What the
 * log says of it is in outage.c.
 *
 * While another broker than the first is up, home.c looks for those before it. When it has one
 * connected, the broker that we leave is told to let the will speak (`offline` there is true), and
 * what it has not acknowledged goes to the other one, as after any loss of a connection.
 */
#include <errno.h>
#include <mqtt_protocol.h>
#include <stdio.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "link-parts.h"
#include "words.h"

static int link_begin(struct task *task, int result);
static int link_answered(struct task *task, int result);
static int link_broken(struct task *task, int result);
static int link_closed(struct task *task, int result);

/* --- the task ------------------------------------------------------------------------------- */

/* an earlier broker is connected: leave this one for it. MQTT 3.1.1: without a word the will speaks */
static void link_go_home(struct home *home, struct connection *there, size_t index)
{
	struct link *link = container_of(home, struct link, home);
	struct connection *c = link->connection;

	if (c->protocol == 5)
		(void)mosquitto_disconnect_v5(c->handle, MQTT_RC_DISCONNECT_WITH_WILL_MSG, NULL);
	(void)valve_drain(&c->valve);
	link->there = there;
	link->there_index = index;
	(void)snprintf(c->why, sizeof(c->why), "%.200s is there again", there->url);
	link_leave(link);
	link->parts.stats->disconnects++;
	future_resolve(&link->broken, 0);
	link->parts.events->down(link->parts.events, link_url(link), c->why);
}

static void link_held(struct reactor_timer *timer)
{
	struct link *link = container_of(timer, struct link, held);

	outage_held(&link->outage, link_now(link), link_url(link));
}

static int link_wait(struct link *link, struct task *task)
{
	const struct mqtt_settings *settings = link->parts.settings;
	int64_t delay_us = backoff_next(&link->backoff, settings->reconnect_min_us,
					settings->reconnect_max_us);

	return task_sleep(task, delay_us, link_begin);
}

/* the next broker at once, or after the last one a wait and the first again */
static int link_try_next(struct link *link, struct task *task)
{
	link->broker++;
	if (link->broker < link->parts.settings->broker_count)
		return link_begin(task, 0);
	link->broker = 0;
	return link_wait(link, task);
}

/* for one connection: that which is tried next. NULL: out of memory */
static const struct message *link_will(struct link *link)
{
	bool is_spent = link->will_is_spent;

	link->will_is_spent = false;
	return link->parts.events->will(link->parts.events, is_spent);
}

static const struct message *link_will_home(struct home *home)
{
	return link_will(container_of(home, struct link, home));
}

static void link_spend_will(struct home *home)
{
	container_of(home, struct link, home)->will_is_spent = true;
}

static int link_begin(struct task *task, int result)
{
	struct link *link = task_data(task);
	const struct message *will;
	int r = -ENOMEM;

	if (result < 0)
		return result;
	link->connection = connection_free(link->connection);
	will = link_will(link);
	if (will)
		r = connection_new(&link->connection, link->parts.settings, link->broker, will,
				   &link->wills[link->broker]);
	if (r < 0)
		return task_sleep(task, link->parts.settings->reconnect_max_us, link_begin);
	link->connection->tls = tls_context_ref(link->tls);
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
	if (c->is_introduced)
		link->will_is_spent = true;
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
	if (link->there)
		log_notice("leaving %s: %s", link_url(link), link->connection->why);
	else
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
	if (link->there) {
		connection_free(link->connection);
		link->connection = take_ptr(link->there);
		link->broker = link->there_index;
		return link_answered(task, 0);
	}
	if (link_now(link) - link->up_us >= OUTAGE_HELD_US) {
		backoff_reset(&link->backoff);
		link->broker = 0;
		return link_wait(link, task);
	}
	return link_try_next(link, task);
}

/* --- life ----------------------------------------------------------------------------------- */

/* Return: 0, also if no broker wants it; -ENOMEM */
static int link_prepare_tls(struct link *link)
{
	const struct mqtt_settings *settings = link->parts.settings;

	if (!tls_is_wanted(settings))
		return 0;
	if (!settings->tls.verify && !settings->tls.psk_identity)
		log_warning("mqtt.tls.verify is false: whoever answers as the broker is believed "
			    "to be it, and may read everything and send commands");
	return tls_context_new(&link->tls, &settings->tls);
}

static int link_prepare_home(struct link *link)
{
	link->home.will = link_will_home;
	link->home.spent = link_spend_will;
	link->home.found = link_go_home;
	link->home.parts = &link->parts;
	link->home.wills = link->wills;
	link->home.tls = link->tls;
	return worker_key_new(&link->home.key, link->parts.workers, 0);
}

int link_new(struct link **ret, const struct link_parts *parts)
{
	cleanup(link_freep) struct link *link = NULL;
	int r;

	(void)mosquitto_lib_init(); /* counts; never undone, for a job that hangs may still be in it */
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->parts = *parts;
	link_init_up(link);
	link->held.fire = link_held;
	link->wills = calloc(parts->settings->broker_count, sizeof(*link->wills));
	if (!link->wills)
		return -ENOMEM;
	for (size_t i = 0; i < parts->settings->broker_count; i++)
		link->wills[i] = (struct connection_will){ .qos = 1, .retain = true };
	r = worker_key_new(&link->key, parts->workers, 0);
	if (r == 0)
		r = link_prepare_tls(link);
	if (r == 0)
		r = link_prepare_home(link);
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
	connection_free(link->there);
	worker_key_free(link->key);
	worker_key_free(link->home.key);
	tls_context_unref(link->tls);
	free(link->wills);
	free(link);
	return NULL;
}

void link_update(struct link *link, const struct mqtt_settings *settings)
{
	link->parts.settings = settings;
}

void link_stay(struct link *link)
{
	home_stop(&link->home);
}

bool link_is_up(const struct link *link)
{
	return link->is_up;
}

/* Sparkplug wants the will to be sent in any case where the protocol can say so [3.0, NDEATH with MQTT 5.0] */
static int link_farewell(const struct link *link)
{
	bool will_speaks =
		link->parts.settings->format == FORMAT_SPARKPLUG && link->connection->protocol == 5;

	return will_speaks ? MQTT_RC_DISCONNECT_WITH_WILL_MSG : MQTT_RC_NORMAL_DISCONNECTION;
}

void link_stop(struct link *link, bool says_so)
{
	if (link->is_up) {
		if (says_so)
			(void)mosquitto_disconnect_v5(link->connection->handle, link_farewell(link),
						      NULL);
		(void)valve_drain(&link->connection->valve);
		link->parts.stats->disconnects++;
	}
	link_end(link);
}
