/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The broker: connect and back off (link), publish what the spool and the retained states hold
 * (publisher), take in commands (commands). On the reactor's thread.
 */

#include <stdbool.h>

#include "iotd/message.h"
#include "iotd/spool.h"
#include "iotd/worker.h"

struct mqtt;

/** struct mqtt_events - the joint to the daemon */
struct mqtt_events {
	/** the link went up or down; @broker: its URL; @why: what broke it, in words, NULL when up */
	void (*link_changed)(struct mqtt_events *events, bool up, const char *broker,
			     const char *why);
};

/** struct mqtt_parts - what it works with; all must outlive it */
struct mqtt_parts {
	struct reactor *reactor;
	struct workers *workers;
	const struct settings *settings; /* mqtt, commands */
	struct spool *spool;
	struct control *control; /* carries out commands */
	struct mqtt_events *events;
	struct stats *stats;
};

/** mqtt_new() - starts connecting with the next turn. Return: 0; -ENOMEM */
int mqtt_new(struct mqtt **ret, const struct mqtt_parts *parts);

/** mqtt_free() - drops the connection without a word (the will speaks). NULL is fine. Returns NULL */
struct mqtt *mqtt_free(struct mqtt *mqtt);

/**
 * mqtt_publish() - a reading: through the spool, oldest first; takes @message over
 *
 * Leaves at the end of this turn if connected and fewer than 64 are in flight.
 */
void mqtt_publish(struct mqtt *mqtt, struct message *message);

/**
 * mqtt_publish_state() - a retained state: only the latest of each topic counts; takes @message over
 *
 * Sent at once, at QoS 1 at least, and again on every new connection.
 */
void mqtt_publish_state(struct mqtt *mqtt, struct message *message);

/** mqtt_forget_state() - the device is gone: nothing more is sent for @topic; an empty retained message clears it if @clear */
void mqtt_forget_state(struct mqtt *mqtt, const char *topic, bool clear);

/**
 * mqtt_update() - other settings from now on, in new memory; the connection stays
 * @settings: whose mqtt part says the same as before
 */
void mqtt_update(struct mqtt *mqtt, const struct settings *settings);

/** mqtt_is_connected() */
bool mqtt_is_connected(const struct mqtt *mqtt);

/**
 * mqtt_stop() - flush what is in the spool and in flight, publish `offline`, disconnect
 * @deadline_us: reactor time at which it is over in any case
 *
 * If not even `offline` could be handed over by then, mqtt_free() drops the connection: the will speaks.
 * Return: a future of the mqtt object, done with 0 (all acknowledged) or -ETIMEDOUT.
 */
struct future *mqtt_stop(struct mqtt *mqtt, int64_t deadline_us);

static inline void mqtt_freep(struct mqtt **mqtt)
{
	*mqtt = mqtt_free(*mqtt);
}
