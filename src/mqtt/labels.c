/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * User properties of readings: `device`, and `unit` of the one channel or `unit.CHANNEL` of each of several, as
 * far as they have one.
 *
 * The properties of a topic are made once, as they are on the wire, and then lent to each message.
 * They are found by the topic when a message is sent, and neither the message nor the spool's file
 * has to hold them; a reading that an earlier run left has them too, as soon as this run has read its
 * sensor.
 *
 * A deadband may hold back some channels of a reading, so a topic's channels are those of all its
 * readings so far. The first one has all of them.
 *
 * Sensors that fall due together come in the same order each time, and so do their messages. So the
 * label behind the one of last time is looked at first: among 10,000 a search of the tree would cost more
 * than all else.
 */
#include <errno.h>
#include <mosquitto.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "iotd/message.h"
#include "labels.h"
#include "packet.h"

struct label {
	struct label *next; /* that was made after it; of the last one: the first */
	char *topic;
	struct wire_properties properties;
	struct channel *channels; /* copies: a sensor that is opened anew may have others */
	size_t count;
};

struct labels {
	char *device;
	void *tree; /* struct label by topic: tsearch(3) */
	struct label *last, *noted, *found;
};

static int label_compare(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->topic, ((const struct label *)b)->topic);
}

static void label_free(void *pointer)
{
	struct label *label = pointer;

	free(label->properties.bytes);
	free(label->channels);
	free(label->topic);
	free(label);
}

/* Return: NULL: out of memory */
static struct label *label_new(struct labels *labels, const char *topic)
{
	struct label *label = calloc(1, sizeof(*label));

	if (!label)
		return NULL;
	label->topic = strdup(topic);
	if (!label->topic || !tsearch(label, &labels->tree, label_compare)) {
		label_free(label);
		return NULL;
	}
	label->next = labels->last ? labels->last->next : label;
	if (labels->last)
		labels->last->next = label;
	labels->last = label;
	return label;
}

static struct label *tree_find(const struct labels *labels, const char *topic)
{
	const struct label key = { .topic = (char *)(uintptr_t)topic };
	struct label *const *found = tfind(&key, &labels->tree, label_compare);

	return found ? *found : NULL;
}

/* @last: the one of last time; the new one is remembered there */
static struct label *label_find(const struct labels *labels, const char *topic, struct label **last)
{
	struct label *label = *last ? (*last)->next : NULL;

	if (!label || strcmp(label->topic, topic) != 0)
		label = tree_find(labels, topic);
	if (label)
		*last = label;
	return label;
}

/* what is no UTF-8, or finds no memory, is left out: MQTT 5.0, section 1.5.4 */
static void label_add(struct label *label, const char *name, const char *value)
{
	struct wire_properties *properties = &label->properties;
	uint8_t *grown;

	if (value[0] == '\0' ||
	    mosquitto_validate_utf8(value, (int)strlen(value)) != MOSQ_ERR_SUCCESS)
		return;
	grown = realloc(properties->bytes, properties->length + packet_pair(name, value, NULL));
	if (!grown)
		return;
	properties->bytes = grown;
	properties->length += packet_pair(name, value, grown + properties->length);
}

static void label_make(struct label *label, const char *device)
{
	char name[sizeof("unit.") + NAME_LENGTH] = "unit";

	label->properties.length = 0;
	label_add(label, "device", device);
	for (size_t i = 0; i < label->count; i++) {
		if (label->count > 1)
			(void)snprintf(name, sizeof(name), "unit.%s", label->channels[i].name);
		label_add(label, name, label->channels[i].unit);
	}
}

/* where it always is, unless a deadband holds others back */
static bool label_has_at(const struct label *label, size_t i, const struct channel *channel)
{
	return i < label->count && strcmp(label->channels[i].name, channel->name) == 0 &&
	       strcmp(label->channels[i].unit, channel->unit) == 0;
}

/* Return: it is news */
static bool label_learn(struct label *label, const struct channel *channel)
{
	struct channel *grown;
	size_t i = 0;

	while (i < label->count && strcmp(label->channels[i].name, channel->name) != 0)
		i++;
	if (label_has_at(label, i, channel))
		return false;
	if (i == label->count) {
		grown = reallocarray(label->channels, label->count + 1, sizeof(*grown));
		if (!grown)
			return false;
		label->channels = grown;
		label->count++;
	}
	label->channels[i] = *channel; /* new, or with another unit */
	return true;
}

/* the topic of one channel */
static void note_own(struct labels *labels, const char *topic, const struct channel *channel)
{
	cleanup(freep) char *own = topic_new(topic, channel->name, NULL, NULL);
	struct label *label = own ? tree_find(labels, own) : NULL;

	if (own && !label)
		label = label_new(labels, own);
	if (label && label_learn(label, channel))
		label_make(label, labels->device);
}

void labels_note(struct labels *labels, const char *topic, bool each_own,
		 const struct reading *reading)
{
	struct label *label = label_find(labels, topic, &labels->noted);
	bool is_news = false;

	if (!label)
		label = label_new(labels, topic);
	for (size_t i = 0; label && i < reading->count; i++) {
		const struct channel *channel = reading->values[i].channel;

		if (label_has_at(label, i, channel) || !label_learn(label, channel))
			continue;
		is_news = true;
		if (each_own)
			note_own(labels, topic, channel);
	}
	if (is_news && !each_own)
		label_make(label, labels->device);
}

const struct wire_properties *labels_find(struct labels *labels, const char *topic)
{
	const struct label *label = label_find(labels, topic, &labels->found);

	return label && label->properties.length > 0 ? &label->properties : NULL;
}

void labels_forget(struct labels *labels)
{
	tdestroy(labels->tree, label_free);
	labels->tree = NULL;
	labels->last = labels->noted = labels->found = NULL;
}

int labels_new(struct labels **ret, const char *device)
{
	struct labels *labels = calloc(1, sizeof(*labels));

	if (!labels)
		return -ENOMEM;
	labels->device = strdup(device);
	if (!labels->device) {
		free(labels);
		return -ENOMEM;
	}
	*ret = labels;
	return 0;
}

struct labels *labels_free(struct labels *labels)
{
	if (!labels)
		return NULL;
	labels_forget(labels);
	free(labels->device);
	free(labels);
	return NULL;
}
