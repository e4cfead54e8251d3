/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Readings that the broker has not acknowledged, oldest first. Bounded: when it is full the oldest
 * that is not in flight goes, and is counted. On the reactor's thread.
 */

#include <stdbool.h>

#include "iotd/model.h"
#include "iotd/settings.h"

struct spool;

/** spool_new() - an empty spool; @stats: queued, in_flight and discarded are kept there. Return: 0; -ENOMEM */
int spool_new(struct spool **ret, const struct spool_settings *settings, struct stats *stats);

/** spool_free() - drops what it holds. NULL is fine. Returns NULL */
struct spool *spool_free(struct spool *spool);

/**
 * spool_push() - keep a reading's message until spool_done(); takes @message over, gives it its id
 *
 * Return: 0, or how many readings had to go for it (also itself, if all others are in flight).
 */
int spool_push(struct spool *spool, struct message *message);

/** spool_next() - the oldest that is not in flight, in flight from now on; stays the spool's. NULL: none */
struct message *spool_next(struct spool *spool);

/** spool_is_empty() - true if nothing is left, in flight or not */
bool spool_is_empty(const struct spool *spool);

/** spool_done() - acknowledged: forget it. An unknown id: nothing */
void spool_done(struct spool *spool, uint64_t id);

/** spool_rewind() - the connection is gone: all that was in flight is next again, in its order */
void spool_rewind(struct spool *spool);

static inline void spool_freep(struct spool **spool)
{
	*spool = spool_free(*spool);
}
