/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A reading's message lives for a few milliseconds, but a hundred of them at a time, and malloc() has
 * quick lists for seven of a size. So a thread may keep those that it freed, by size.
 */
#include <errno.h>
#include <string.h>

#include "iotd/memory.h"
#include "iotd/model.h"

#define SIZE_STEP 32  /* bytes: sizes are multiples of it */
#define SIZES	  10  /* and so many of them are kept */
#define KEPT_MAX  256 /* messages of each size */

static _Thread_local struct {
	bool is_on;
	struct message *first[SIZES];
	unsigned int count[SIZES];
} kept;

/* Return: steps, 0 for the first one */
static size_t place_of(size_t size)
{
	return (size - 1) / SIZE_STEP;
}

static struct message *allocate(size_t size)
{
	size_t place = place_of(size);
	struct message *message = place < SIZES ? kept.first[place] : NULL;

	if (!message) /* a sanitizer is to see where it ends */
		return malloc(MEMORY_IS_SANITIZED ? size : (place + 1) * SIZE_STEP);
	kept.first[place] = message->next;
	kept.count[place]--;
	return message;
}

int message_new(struct message **ret, const char *topic, const void *payload, size_t length)
{
	size_t topic_size = strlen(topic) + 1;
	struct message *message;

	message = allocate(sizeof(*message) + topic_size + length);
	if (!message)
		return -ENOMEM;
	*message = (struct message){ .topic_length = topic_size - 1,
				     .topic = (char *)(message + 1),
				     .length = length };
	message->payload = (uint8_t *)message->topic + topic_size;
	memcpy(message->topic, topic, topic_size);
	if (length > 0)
		memcpy(message->payload, payload, length);
	*ret = message;
	return 0;
}

struct message *message_free(struct message *message)
{
	size_t place;

	if (!message)
		return NULL;
	place = place_of(message_size(message));
	if (!kept.is_on || place >= SIZES || kept.count[place] == KEPT_MAX) {
		free(message);
		return NULL;
	}
	message->next = kept.first[place];
	kept.first[place] = message;
	kept.count[place]++;
	return NULL;
}

void message_keep_freed(bool keeps)
{
	struct message *message;

	kept.is_on = keeps && !MEMORY_IS_SANITIZED;
	if (kept.is_on)
		return;
	for (size_t i = 0; i < SIZES; i++) {
		while ((message = kept.first[i])) {
			kept.first[i] = message->next;
			free(message);
		}
		kept.count[i] = 0;
	}
}
