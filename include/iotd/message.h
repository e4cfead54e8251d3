/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a reading or a state to bytes and topics: one format a file. Pure, any thread. */

#include "iotd/model.h"
#include "iotd/settings.h"

/** message_sink - takes one message (and owns it from then on) */
typedef void (*message_sink)(void *data, struct message *message);

/** struct message_origin - what formats say of a reading or a state besides its name and numbers */
struct message_origin {
	const char *topic;  /* of the sensor, input or output: "iotd/greenhouse-1/sensor/air" */
	const char *device; /* settings.device: "greenhouse-1" */
	/* what the file says of the sensor's channels, for their classes; none: NULL, 0 */
	const struct channel_settings *channels;
	size_t channel_count;
};

/**
 * message_from_reading() - the message of a reading, or one a channel (format "value")
 * @origin: only looked at during the call
 * @sink:   called for each message; qos, retain and expires_us are the caller's to set
 *
 * Return: 0; -ENOMEM (no message was given to @sink then).
 */
int message_from_reading(enum message_format format, const struct message_origin *origin,
			 const struct reading *reading, message_sink sink, void *data);

/**
 * message_from_state() - {"time":…,"state":"on"}, or what the format has for it
 * Return: as message_from_reading()
 */
int message_from_state(enum message_format format, const struct message_origin *origin,
		       const struct state *state, struct message **ret);

/** message_from_stats() - the counters of T/stats as a JSON object. Return: 0; -ENOMEM */
int message_from_stats(const char *topic, const struct stats *stats, struct message **ret);

/** topic_new() - "PREFIX/KIND/NAME" or with @leaf "PREFIX/KIND/NAME/LEAF"; NULL kind or leaf is left out. NULL: out of memory */
char *topic_new(const char *prefix, const char *kind, const char *name, const char *leaf);
