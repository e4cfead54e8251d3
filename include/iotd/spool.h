/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Readings that the broker has not acknowledged, oldest first: in memory, and behind it in a file
 * (SQLite, on a worker) for what waits longer than a moment, so that a healthy host writes nothing
 * and a crash loses the last second at most. Bounded: when it is full the oldest that is not in
 * flight goes, and is counted. So does what nobody wants any more: message.expires_us. On the reactor's
 * thread.
 */

#include <sys/queue.h>

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
	/** readings are dropped from now on because their time (message.expires_us) is over */
	void (*expiring)(struct spool_events *events);
	/** none was for a while and one was acknowledged, or the spool is closed; @count were, in @duration_us */
	void (*expired)(struct spool_events *events, uint64_t count, int64_t duration_us);
};

/** struct spool_parts - what it works with; all but the settings must outlive it */
struct spool_parts {
	struct reactor *reactor;
	struct workers *workers; /* NULL: memory only */
	const struct spool_settings *settings;
	struct spool_events *events; /* NULL: nobody listens */
	struct stats *stats;	     /* queued, in_flight, discarded, expired are kept there */
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

/** spool_bytes() - of all readings that wait or are in flight, as max_size counts them */
uint64_t spool_bytes(const struct spool *spool);

/** spool_file_bytes() - what the file and its journal took on the disk when they were used last; 0: there is none */
uint64_t spool_file_bytes(const struct spool *spool);

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

/* --- what waits, for people ------------------------------------------------------------------ */

#define SPOOL_PAGE_MAX	 500	     /* messages of a page */
#define SPOOL_PAGE_BYTES (256 << 10) /* of their topics and payloads, or one message */

/** struct spool_entry - one of a page */
struct spool_entry {
	uint64_t id;	 /* from 1; that of an older one is less; not message.id */
	int64_t time_us; /* CLOCK_REALTIME when it came into being; 0: the file does not say */
	const struct message *message;
};

/** struct spool_paged - a page; it lives until done() returns, or changes the spool */
struct spool_paged {
	/*
	 * -ECANCELED the spool is stopped or freed; others: what comes next is in the file only,
	 * which cannot be read (as store_write()) or hangs (-ETIMEDOUT). No entries then; .next
	 * goes on behind those
	 */
	int error;
	const char *text; /* of the error, for a person */
	const struct spool_entry *entries;
	size_t count;
	uint64_t next; /* give it as .after to go on; 0: that was all */
};

/**
 * struct spool_page - a wish for a page; embedded in who wants it, zeroed but for the first three
 * @after: 0, or the id behind which the page begins
 * @limit: messages; 1 .. SPOOL_PAGE_MAX, what is not is taken as that
 * @done:  called once, on the reactor, in a later turn; may free it, or ask for the next
 */
struct spool_page {
	uint64_t after;
	size_t limit;
	void (*done)(struct spool_page *page, const struct spool_paged *paged);
	struct spool *spool; /* private from here on; NULL: not asked */
	STAILQ_ENTRY(spool_page) link;
	int64_t at;
};

/**
 * spool_page() - the readings that are not acknowledged yet, oldest first, whether in flight, in
 * memory or only in the file
 *
 * Page by page no reading that stays is left out, none is told twice, and an id never goes to
 * another one. Only if a file turns up late (its disk hung when iotd started) may those that had no
 * place in it yet be told again, under new ids. Wishes are served one after another, and the file
 * is read by a worker.
 */
void spool_page(struct spool *spool, struct spool_page *page);

/** spool_page_cancel() - done() is not called any more. Not asked, or done: nothing */
void spool_page_cancel(struct spool_page *page);

static inline void spool_freep(struct spool **spool)
{
	*spool = spool_free(*spool);
}
