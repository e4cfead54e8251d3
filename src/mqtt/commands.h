/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What comes in: messages on T/command and T/output/NAME/set become commands, their results become
 * replies. On the reactor's thread.
 */

#include "iotd/reactor.h"
#include "iotd/settings.h"
#include "publisher.h"

struct commands;

/** struct incoming - a message as it came; all pointers are the caller's, and copied */
struct incoming {
	const char *topic;
	const void *payload;
	size_t length;
	bool retained;
	const char *response_topic; /* MQTT 5; NULL: none */
	const void *correlation;    /* MQTT 5; NULL: none */
	size_t correlation_length;
};

/** struct commands_events - the joint to the publisher; embedded in who owns both */
struct commands_events {
	/** sends a reply; takes it over */
	void (*reply)(struct commands_events *events, struct reply *reply);
};

/** struct commands_parts - what it works with; all must outlive it */
struct commands_parts {
	struct reactor *reactor;
	const struct command_settings *settings;
	const char *topic; /* T */
	bool is_mqtt_io;   /* T/output/NAME/set_on_ms and set_off_ms, too */
	struct control *control;
	struct commands_events *events;
	struct stats *stats;
};

/** commands_new() - Return: 0; -ENOMEM */
int commands_new(struct commands **ret, const struct commands_parts *parts);

/** commands_free() - commands that are still carried out end without a reply. NULL is fine. Returns NULL */
struct commands *commands_free(struct commands *commands);

/** commands_receive() - take a message in; only records it, so it may be called from within the library */
void commands_receive(struct commands *commands, const struct incoming *incoming);

/** commands_drop() - forget what was received and not yet begun: the connection is gone, or we stop */
void commands_drop(struct commands *commands);

/** commands_update() - other settings from now on; @topic says the same as before, in new memory */
void commands_update(struct commands *commands, const struct command_settings *settings,
		     const char *topic);

/** commands_topics() - what to subscribe to: T/command, T/output/+/set, mqtt-io's, then NULL */
const char *const *commands_topics(const struct commands *commands);

static inline void commands_freep(struct commands **commands)
{
	*commands = commands_free(*commands);
}
