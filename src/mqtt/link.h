/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The link to the broker: connects, keeps alive, notices that it broke, backs off, connects again.
 * On the reactor's thread.
 */

#include "commands.h"
#include "iotd/settings.h"
#include "iotd/worker.h"
#include "wire.h"

struct link;

/** struct link_events - the joint to who owns it; embedded there. None may free the link */
struct link_events {
	/**
	 * the will of the next connection; @is_spent: the one given last may have reached a broker
	 * Return: stays the owner's, valid until the next call; NULL: out of memory
	 */
	const struct message *(*will)(struct link_events *events, bool is_spent);
	/** connected: subscribe and publish from now on */
	void (*up)(struct link_events *events, const char *broker,
		   const struct wire_limits *limits);
	/** broken, or the first attempt failed; @why in words, valid for the call */
	void (*down)(struct link_events *events, const char *broker, const char *why);
	/** the end of a published message; @reason as in a PUBACK, @told: words to stand behind it, or "" */
	void (*acknowledged)(struct link_events *events, int mid, int reason, const char *told);
	/** the socket takes more again */
	void (*writable)(struct link_events *events);
	/** a message came in; called from within the library: record it, nothing else */
	void (*received)(struct link_events *events, const struct incoming *incoming);
};

/** struct link_parts - what it works with; all must outlive it */
struct link_parts {
	struct reactor *reactor;
	struct workers *workers;
	const struct mqtt_settings *settings;
	struct link_events *events;
	struct stats *stats;
};

/** link_new() - starts connecting with the next turn. Return: 0; -ENOMEM */
int link_new(struct link **ret, const struct link_parts *parts);

/** link_free() - drops the connection without a word, and an attempt that is under way. NULL is fine. Returns NULL */
struct link *link_free(struct link *link);

/** link_update() - settings that say the same, in new memory */
void link_update(struct link *link, const struct mqtt_settings *settings);

/** link_wire() - to publish through; lives as long as the link */
struct wire *link_wire(struct link *link);

/** link_stay() - with the broker that it is connected to, from now on: it will be stopped */
void link_stay(struct link *link);

/** link_is_up() - connected */
bool link_is_up(const struct link *link);

/** link_subscribe() - at QoS 1, without retained messages where the protocol can; a refusal is logged. @topic must outlive the link */
void link_subscribe(struct link *link, const char *topic);

/** link_subscribe_retained() - the same, with retained messages, and without our own where the protocol can */
void link_subscribe_retained(struct link *link, const char *topic);

/**
 * link_stop() - never connect again; link_events are silent from now on
 * @says_so: say DISCONNECT if connected: the broker forgets the will. Else it speaks, when link_free() drops the connection
 */
void link_stop(struct link *link, bool says_so);

static inline void link_freep(struct link **link)
{
	*link = link_free(*link);
}
