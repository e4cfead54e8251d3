/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "value": a message a channel, its topic the sensor's with the channel's name behind it,
 * its payload the bare number; a state is `on` or `off`. The time is lost: that is the format.
 *
 * All messages of a reading are made before the first is given out, so that a reading goes out
 * whole or not at all.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

/* a double has up to 309 digits before its point */
#define NUMBER_SIZE 400

static int value_message_new(struct message **ret, const char *topic, const struct value *value)
{
	cleanup(freep) char *channel_topic = topic_new(topic, value->channel->name, NULL, NULL);
	char number[NUMBER_SIZE];

	if (!channel_topic)
		return -ENOMEM;
	value_format(number, sizeof(number), value->number, value->channel->digits);
	return message_new(ret, channel_topic, number, strlen(number));
}

static int value_reading(const struct message_origin *origin, const struct reading *reading,
			 message_sink sink, void *data)
{
	struct message *messages[CHANNELS_MAX];
	size_t made;
	int r = 0;

	for (made = 0; made < reading->count; made++) {
		r = value_message_new(&messages[made], origin->topic, &reading->values[made]);
		if (r < 0)
			break;
	}
	for (size_t i = 0; i < made; i++) {
		if (r < 0)
			message_free(messages[i]);
		else
			sink(data, messages[i]);
	}
	return r;
}

static int value_state(const struct message_origin *origin, const struct state *state,
		       struct message **ret)
{
	const char *word = state->on ? "on" : "off";

	return message_new(ret, origin->topic, word, strlen(word));
}

const struct message_format_ops message_format_value = {
	.reading = value_reading,
	.state = value_state,
};
