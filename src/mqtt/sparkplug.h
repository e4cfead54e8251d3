/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Sparkplug B edge node: what it says of itself and of its devices, and the numbers of all that it
 * says. The publisher knows it as struct session. On the reactor's thread.
 */

#include "commands.h"
#include "iotd/reactor.h"
#include "iotd/settings.h"
#include "publisher.h"

struct sparkplug;

/** struct sparkplug_events - the joint to who owns it; embedded there */
struct sparkplug_events {
	/** there is something to send */
	void (*wake)(struct sparkplug_events *events);
	/** a DCMD, as if it had come on T/output/NAME/set; called from sparkplug_receive() */
	void (*command)(struct sparkplug_events *events, const struct incoming *incoming);
};

/** struct sparkplug_parts - what it works with; all but the settings must outlive it */
struct sparkplug_parts {
	struct reactor *reactor;
	const struct settings *settings; /* topic, device, and the devices there are */
	struct sparkplug_events *events;
	struct stats *stats;
};

/** sparkplug_new() - not connected. Return: 0; -ENOMEM */
int sparkplug_new(struct sparkplug **ret, const struct sparkplug_parts *parts);

/** sparkplug_free() - NULL is fine. Returns NULL */
struct sparkplug *sparkplug_free(struct sparkplug *sparkplug);

/** sparkplug_update() - other devices from now on; topic and device say the same as before */
void sparkplug_update(struct sparkplug *sparkplug, const struct settings *settings);

/** sparkplug_session() - for the publisher; lives as long as @sparkplug */
struct session *sparkplug_session(struct sparkplug *sparkplug);

/** sparkplug_node_commands(), sparkplug_device_commands() - topics to subscribe to: NCMD, and DCMD of all devices */
const char *sparkplug_node_commands(const struct sparkplug *sparkplug);
const char *sparkplug_device_commands(const struct sparkplug *sparkplug);

/**
 * sparkplug_will() - the NDEATH of the next connection
 * @is_spent: the one before was given to a broker: the next bdSeq
 * Return: it stays the node's, until the next call; NULL: out of memory.
 */
const struct message *sparkplug_will(struct sparkplug *sparkplug, bool is_spent);

/** sparkplug_begin() - connected, with the will that was given last: NBIRTH, and the DBIRTH of each device that is online */
void sparkplug_begin(struct sparkplug *sparkplug);

/** sparkplug_pause() - no longer connected */
void sparkplug_pause(struct sparkplug *sparkplug);

/**
 * sparkplug_end() - nothing is said of this session any more
 * @ret_death: its NDEATH, the last word; the caller's
 * Return: 0; -ENOMEM.
 */
int sparkplug_end(struct sparkplug *sparkplug, struct message **ret_death);

/** sparkplug_receive() - a message came in: called from within the library. Return: false: not for us */
bool sparkplug_receive(struct sparkplug *sparkplug, const struct incoming *incoming);

/** sparkplug_note_reading() - what its device is born with from now on */
void sparkplug_note_reading(struct sparkplug *sparkplug, const struct reading *reading);

/** sparkplug_note_state() - the same of an input or output */
void sparkplug_note_state(struct sparkplug *sparkplug, const struct state *state);

/** sparkplug_note_status() - a device dies, or is born again */
void sparkplug_note_status(struct sparkplug *sparkplug, const char *name,
			   enum device_status status);

static inline void sparkplug_freep(struct sparkplug **sparkplug)
{
	*sparkplug = sparkplug_free(*sparkplug);
}
