/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Readings that the broker has not acknowledged, oldest first: in memory, and behind it in a file
 * (SQLite, on a worker) for what waits longer than a moment, so that a healthy host writes nothing
 * and a crash loses the last second at most. Bounded: when it is full the oldest that is not in
 * flight goes, and is counted. On the reactor's thread.
 */

#include "iotd/model.h"
#include "iotd/settings.h"
#include "iotd/worker.h"

struct spool;

#define SPOOL_MEMORY_MAX                                                                           \
	(16U << 20) /* bytes in memory while there is a file that cannot be written */

/** enum spool_bound - why readings have to go */
enum spool_bound {
	SPOOL_BOUND_SIZE,  /* max_size */
	SPOOL_BOUND_MEMORY /* SPOOL_MEMORY_MAX, while the file cannot be written */
};

/** struct spool_events - the joint to the daemon, which logs; called on the reactor */
struct spool_events {
	/**
	 * the file fails (@error negative, @why in words), or works again (0, NULL); once each, but
	 * again when readings are lost with it: @why says how many
	 */
	void (*fault)(struct spool_events *events, int error, const char *why);
	/** a damaged file was put aside as @path */
	void (*aside)(struct spool_events *events, const char *path);
	/** the oldest readings are discarded from now on */
	void (*discarding)(struct spool_events *events, enum spool_bound bound);
	/** no more: there is room again, or the spool is closed; @count were, in @duration_us */
	void (*discarded)(struct spool_events *events, uint64_t count, int64_t duration_us);
};

/** struct spool_parts - what it works with; all but the settings must outlive it */
struct spool_parts {
	struct reactor *reactor;
	struct workers *workers; /* NULL: memory only */
	const struct spool_settings *settings;
	struct spool_events *events; /* NULL: nobody listens */
	struct stats *stats;	     /* queued, in_flight and discarded are kept there */
};

/** spool_new() - a file that is there is opened from the next turn on. Return: 0; -ENOMEM */
int spool_new(struct spool **ret, const struct spool_parts *parts);

/**
 * spool_free() - what is only in memory is lost (see spool_stop()). NULL is fine. Returns NULL
 *
 * After workers_free().
 */
struct spool *spool_free(struct spool *spool);

/**
 * spool_on_ready() - @ready is called when spool_next() may have something after it had nothing
 * @ready: replaces the one before; NULL: none, unless somebody else than @data has replaced it
 */
void spool_on_ready(struct spool *spool, void (*ready)(void *data), void *data);

/**
 * spool_push() - keep a reading's message until spool_done(); takes @message over, gives it its id
 *
 * Older ones may have to go: see struct spool_events.
 */
void spool_push(struct spool *spool, struct message *message);

/**
 * spool_next() - the oldest that is not in flight; in flight from now on; stays the spool's
 *
 * Return: NULL: there is none, or it is being loaded (see spool_on_ready()).
 */
struct message *spool_next(struct spool *spool);

/** spool_is_empty() - nothing waits, in memory or in the file */
bool spool_is_empty(const struct spool *spool);

/** spool_memory() - bytes of readings in memory */
uint64_t spool_memory(const struct spool *spool);

/** spool_done() - acknowledged: forget it. An unknown id: nothing */
void spool_done(struct spool *spool, uint64_t id);

/** spool_rewind() - the connection is gone: all that was in flight is next again, in its order */
void spool_rewind(struct spool *spool);

/**
 * spool_stop() - write everything to the file and close it
 *
 * Return: a future of the spool, done with 0, also if the file fails; NULL: memory only.
 */
struct future *spool_stop(struct spool *spool);

static inline void spool_freep(struct spool **spool)
{
	*spool = spool_free(*spool);
}
