/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a reading or a state to messages: which format does it, and the topics.
 *
 * A format is one file with one ops table (format.h). A new one adds its file and its line in
 * formats[], nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

static const struct message_format_ops *const formats[] = {
	[FORMAT_JSON] = &message_format_json,	  [FORMAT_VALUE] = &message_format_value,
	[FORMAT_SENML] = &message_format_senml,	  [FORMAT_CBOR] = &message_format_cbor,
	[FORMAT_INFLUX] = &message_format_influx, [FORMAT_SPARKPLUG] = &message_format_sparkplug,
};

int message_from_reading(enum message_format format, const struct message_origin *origin,
			 const struct reading *reading, message_sink sink, void *data)
{
	return formats[format]->reading(origin, reading, sink, data);
}

int message_from_state(enum message_format format, const struct message_origin *origin,
		       const struct state *state, struct message **ret)
{
	return formats[format]->state(origin, state, ret);
}

char *topic_new(const char *prefix, const char *kind, const char *name, const char *leaf)
{
	const char *parts[] = { prefix, kind, name, leaf };
	size_t size = 0;
	char *topic, *end;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		size += parts[i] ? strlen(parts[i]) + 1 : 0;
	topic = malloc(size);
	if (!topic)
		return NULL;

	end = stpcpy(topic, prefix);
	for (size_t i = 1; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i])
			continue;
		*end++ = '/';
		end = stpcpy(end, parts[i]);
	}
	return topic;
}
