/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As mqtt-io writes. No format of format.h: a topic here depends on what the configuration calls the channel,
 * and not only on the sensor's topic.
 *
 * All messages of a reading are made before the first is given out, so that a reading goes out
 * whole or not at all.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iotd/compat.h"
#include "iotd/mqtt-io.h"

struct batch {
	struct message *messages[CHANNELS_MAX];
	size_t count;
};

/* takes @topic over. Return: 0; -ENOMEM */
static int batch_add(struct batch *batch, char *topic, const struct value *value)
{
	cleanup(freep) char *owned = topic;
	int digits = value->channel->digits, r;
	double number = value_round(value->number, digits);
	cleanup(freep) char *text = NULL;

	/* as Python's f"{value:.2f}" */
	if (asprintf(&text, "%.*f", digits, number) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	r = message_new(&batch->messages[batch->count], owned, text, strlen(text));
	if (r < 0)
		return r;
	batch->count++;
	return 0;
}

/* Return: @r; if that is negative all are freed, else all are given out */
static int batch_end(struct batch *batch, int r, message_sink sink, void *data)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (r < 0)
			message_free(batch->messages[i]);
		else
			sink(data, batch->messages[i]);
	}
	return r;
}

int mqtt_io_reading(const struct mqtt_settings *mqtt, const struct sensor_settings *sensor,
		    const struct reading *reading, message_sink sink, void *data)
{
	struct batch batch = { .count = 0 };
	int r = 0;

	for (size_t i = 0; i < reading->count && r == 0; i++) {
		const struct value *value = &reading->values[i];
		char *topic;

		r = compat_sensor_topic(&topic, mqtt, sensor, value->channel->name);
		if (r == 0)
			r = batch_add(&batch, topic, value);
		else if (r == -ENOENT)
			r = 0;
	}
	return batch_end(&batch, r, sink, data);
}

int mqtt_io_count(const struct mqtt_settings *mqtt, const struct input_settings *input,
		  const struct reading *reading, message_sink sink, void *data)
{
	struct batch batch = { .count = 0 };
	int r = 0;

	for (size_t i = 0; i < reading->count && r == 0; i++) {
		const struct value *value = &reading->values[i];
		char *topic;

		r = compat_count_topic(&topic, mqtt, input, value->channel->name);
		if (r == 0)
			r = batch_add(&batch, topic, value);
	}
	return batch_end(&batch, r, sink, data);
}

int mqtt_io_state(const struct mqtt_settings *mqtt, const char *topic, const struct state *state,
		  struct message **ret)
{
	const struct compat_words *words = compat_words(mqtt);
	const char *word = state->on ? words->on : words->off;

	return message_new(ret, topic, word, strlen(word));
}
