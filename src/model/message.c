/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "iotd/model.h"

int message_new(struct message **ret, const char *topic, const void *payload, size_t length)
{
	size_t topic_size = strlen(topic) + 1;
	struct message *message;

	message = malloc(sizeof(*message) + topic_size + length);
	if (!message)
		return -ENOMEM;
	*message = (struct message){ .topic = (char *)(message + 1), .length = length };
	message->payload = (uint8_t *)message->topic + topic_size;
	memcpy(message->topic, topic, topic_size);
	if (length > 0)
		memcpy(message->payload, payload, length);
	*ret = message;
	return 0;
}

struct message *message_free(struct message *message)
{
	free(message);
	return NULL;
}

size_t message_size(const struct message *message)
{
	return sizeof(*message) + strlen(message->topic) + 1 + message->length;
}
