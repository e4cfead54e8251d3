/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The link's own state, shared by link.c, the task, and link-up.c, the time while a connection is up. */

#include "backoff.h"
#include "connection.h"
#include "home.h"
#include "link.h"
#include "outage.h"

#define SUBSCRIPTIONS_MAX 8

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
	bool will_is_spent; /* what link_events.will gave last may have reached a broker */
	struct connection_will *wills; /* of each broker, as it takes it */
	struct tls_context *tls;       /* NULL: no broker is mqtts:// */
	struct home home;
	struct connection *there; /* where we go now, connected; NULL: nowhere */
	size_t there_index;

	/* up */
	bool is_up, is_full; /* is_full: the socket takes no more for now */
	struct future broken;
	struct reactor_io io;
	uint32_t watched; /* EPOLL* */
	struct reactor_call flush;
	unsigned int flush_turns; /* until then; 0: it is not due */
	struct reactor_timer keepalive, held;
	int64_t up_us, in_us, out_us; /* since when; last traffic */
	struct subscription subscriptions[SUBSCRIPTIONS_MAX];
	size_t subscription_count;

	/* down */
	struct outage outage;
	struct backoff backoff; /* a step for each round through all brokers */
};

static inline int64_t link_now(const struct link *link)
{
	return reactor_now(link->parts.reactor);
}

static inline const char *link_url(const struct link *link)
{
	return link->parts.settings->brokers[link->broker].url;
}

/** link_init_up() - what link-up.c is called by, when @link is made */
void link_init_up(struct link *link);

/** link_adopt() - from now on the handle is the reactor's. Return: 0; negative: it cannot be watched */
int link_adopt(struct link *link);

/** link_leave() - no more: the handle is a worker's again, or goes. Not up: nothing */
void link_leave(struct link *link);

/** link_settle() - after every call into the library that can write, which returned @code; errno is still its */
void link_settle(struct link *link, int code);
