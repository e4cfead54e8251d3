/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue of readings that the broker has not acknowledged, in memory.
 *
 * One list, oldest first. What is in flight is always its front part, because spool_next() takes
 * the oldest that is not, so one pointer (waiting) says where the rest begins:
 *
 *	first -> [in flight] [in flight] -> waiting -> [..] [..] <- last
 *
 * push, next and rewind are O(1); done searches the part in flight, which the publisher keeps to
 * 64. When the list grows over max_size the message at `waiting` goes: what is in flight may have
 * reached the broker, and is about to leave anyway. If all else is in flight, that is the new one.
 */
#include <errno.h>

#include "iotd/spool.h"

struct spool {
	struct message *first, *last;
	struct message *waiting; /* the oldest that is not in flight; NULL: none */
	uint64_t max_size, size;
	uint64_t last_id;
	struct stats *stats;
};

int spool_new(struct spool **ret, const struct spool_settings *settings, struct stats *stats)
{
	struct spool *spool;

	spool = calloc(1, sizeof(*spool));
	if (!spool)
		return -ENOMEM;
	spool->max_size = settings->max_size;
	spool->stats = stats;
	*ret = spool;
	return 0;
}

/* take @message out of the list and free it */
static void spool_drop(struct spool *spool, struct message *message)
{
	if (spool->waiting == message)
		spool->waiting = message->next;
	if (message->previous)
		message->previous->next = message->next;
	else
		spool->first = message->next;
	if (message->next)
		message->next->previous = message->previous;
	else
		spool->last = message->previous;

	spool->size -= message_size(message);
	spool->stats->queued--;
	message_free(message);
}

struct spool *spool_free(struct spool *spool)
{
	if (!spool)
		return NULL;
	spool_rewind(spool);
	while (spool->first)
		spool_drop(spool, spool->first);
	free(spool);
	return NULL;
}

int spool_push(struct spool *spool, struct message *message)
{
	int discarded = 0;

	message->id = ++spool->last_id;
	message->next = NULL;
	message->previous = spool->last;
	if (spool->last)
		spool->last->next = message;
	else
		spool->first = message;
	spool->last = message;
	if (!spool->waiting)
		spool->waiting = message;
	spool->size += message_size(message);
	spool->stats->queued++;

	while (spool->size > spool->max_size && spool->waiting) {
		spool_drop(spool, spool->waiting);
		spool->stats->discarded++;
		discarded++;
	}
	return discarded;
}

struct message *spool_next(struct spool *spool)
{
	struct message *message = spool->waiting;

	if (!message)
		return NULL;
	spool->waiting = message->next;
	spool->stats->in_flight++;
	return message;
}

bool spool_is_empty(const struct spool *spool)
{
	return !spool->first;
}

void spool_done(struct spool *spool, uint64_t id)
{
	for (struct message *m = spool->first; m != spool->waiting; m = m->next) {
		if (m->id != id)
			continue;
		spool->stats->in_flight--;
		spool_drop(spool, m);
		return;
	}
}

void spool_rewind(struct spool *spool)
{
	spool->waiting = spool->first;
	spool->stats->in_flight = 0;
}
