/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The broker: connect and back off (link), publish what the spool and the retained states hold
 * (publisher), take in commands (commands). On the reactor's thread.
 */

#include <stdbool.h>

#include "iotd/discovery.h"
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
	const struct discovery_host *host; /* for discovery; NULL: nothing is known */
};

/**
 * mqtt_check_files() - is in the files of mqtt.tls what must be, and does the key fit? On any worker; may block
 * @why: of -EKEYREJECTED, in words; @size: of it
 *
 * Return: 0, also if no broker is mqtts://; -EKEYREJECTED; -ENOMEM.
 */
int mqtt_check_files(const struct mqtt_settings *settings, char *why, size_t size);

/** mqtt_new() - starts connecting with the next turn. Return: 0; -ENOMEM */
int mqtt_new(struct mqtt **ret, const struct mqtt_parts *parts);

/** mqtt_free() - drops the connection without a word (the will speaks). NULL is fine. Returns NULL */
struct mqtt *mqtt_free(struct mqtt *mqtt);

/**
 * mqtt_describe() - what readings on @topic, or below it, are about: their user properties with MQTT 5
 *
 * To be called before their messages are published; the channels of @reading live until mqtt_undescribe().
 */
void mqtt_describe(struct mqtt *mqtt, const char *topic, const struct reading *reading);

/** mqtt_undescribe() - channels that were described are gone; those that are not are described again */
void mqtt_undescribe(struct mqtt *mqtt);

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

/** mqtt_announce() - discovery, if it is on, tells of @device what is new; valid during the call */
void mqtt_announce(struct mqtt *mqtt, const struct discovery_device *device);

/** mqtt_withdraw() - the device @name is gone: discovery, if it is on, removes it */
void mqtt_withdraw(struct mqtt *mqtt, const char *name);

/** mqtt_retire() - another connection, by @next, follows: discovery removes what that does not tell. Before mqtt_stop() */
void mqtt_retire(struct mqtt *mqtt, const struct settings *next);

/*
 * In format "sparkplug" a device is born with its latest values and dies when it is offline: the
 * three below tell what it is born with. In other formats they do nothing.
 */

/** mqtt_note_reading() - before its message is given to mqtt_publish() */
void mqtt_note_reading(struct mqtt *mqtt, const struct reading *reading);

/** mqtt_note_state() - the same */
void mqtt_note_state(struct mqtt *mqtt, const struct state *state);

/** mqtt_note_status() - of a sensor, an input or an output */
void mqtt_note_status(struct mqtt *mqtt, const char *name, enum device_status status);

/**
 * mqtt_update() - other settings from now on, in new memory; the connection stays
 * @settings: whose mqtt part says the same as before
 */
void mqtt_update(struct mqtt *mqtt, const struct settings *settings);

/** mqtt_hold_readings() - send none of them any more: the next connection does */
void mqtt_hold_readings(struct mqtt *mqtt);

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
