/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a reading or a state to messages: which format does it, and the topics.
 *
 * A format is one file with one ops table (format.h). A new one adds its file and its line in
 * format_ops(), nothing else. A format that is not built in is refused by the configuration; here
 * it is -ENOTSUP.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

static const struct message_format_ops *format_ops(enum message_format format)
{
	switch (format) {
	case FORMAT_JSON:
		return &message_format_json;
	case FORMAT_VALUE:
		return &message_format_value;
	case FORMAT_SENML:
	case FORMAT_CBOR:
	case FORMAT_INFLUX:
	case FORMAT_SPARKPLUG:
		return NULL;
	}
	return NULL;
}

int message_from_reading(enum message_format format, const char *topic,
			 const struct reading *reading, message_sink sink, void *data)
{
	const struct message_format_ops *ops = format_ops(format);

	return ops ? ops->reading(topic, reading, sink, data) : -ENOTSUP;
}

int message_from_state(enum message_format format, const char *topic, const struct state *state,
		       struct message **ret)
{
	const struct message_format_ops *ops = format_ops(format);

	return ops ? ops->state(topic, state, ret) : -ENOTSUP;
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
