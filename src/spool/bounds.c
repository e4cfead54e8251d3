/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has to go when there is too much.
 *
 * max_size bounds the file, and counts what is in memory as if it were there already; without a
 * file it bounds memory. The oldest that is not in flight goes first. If that is only in the file
 * the next job removes it, for it is the job that knows how large it is.
 *
 * While the file is late or fails, memory has a bound of its own, and what was never written goes.
 *
 * What nobody wants any more goes as soon as it is the oldest: in memory with each one that comes or is
 * to be sent, in the file with each job. One that is to last longer shields those behind it until then.
 */
#include "state.h"

void bounds_forget(struct spool *spool, struct message *message)
{
	queue_remove(&spool->queue, message);
	spool->parts.stats->queued--;
	if (message->row == QUEUE_WRITING) {
		message->id = 0; /* the job has it */
		return;
	}
	if (message->row > 0)
		rows_add(&spool->acknowledged, message->row);
	message_free(message);
}

static void count_discarded(struct spool *spool, uint64_t count, enum spool_bound bound)
{
	spool->parts.stats->discarded += count;
	telling_discarded(&spool->telling, count, bound, reactor_now(spool->parts.reactor));
}

static void discard(struct spool *spool, struct message *message, enum spool_bound bound)
{
	bounds_forget(spool, message);
	count_discarded(spool, 1, bound);
}

uint64_t bounds_total(const struct spool *spool)
{
	return spool->key ? spool->queue.stored + spool->queue.gap.bytes + spool->found.bytes
			  : spool->queue.size;
}

static uint64_t surplus(const struct spool *spool)
{
	uint64_t bytes = bounds_total(spool);

	return bytes > spool->max_size ? bytes - spool->max_size : 0;
}

static bool is_next_in_file(const struct spool *spool)
{
	return spool->found.count > 0 || queue_is_at_gap(&spool->queue);
}

struct store_rows *bounds_oldest_rows(struct spool *spool)
{
	return spool->found.count > 0 ? &spool->found : &spool->queue.gap;
}

uint64_t bounds_to_trim(const struct spool *spool)
{
	return is_next_in_file(spool) ? surplus(spool) : 0;
}

/* the file is late or fails: what is in it is let go, then the oldest that never was */
static void bound_memory(struct spool *spool)
{
	struct queue *queue = &spool->queue;

	if (queue->size > SPOOL_MEMORY_MAX && spool->found.count == 0)
		queue_let_go(queue, 0);
	while (queue->size > SPOOL_MEMORY_MAX) {
		struct message *oldest = queue->gap.count > 0 ? queue->fresh : queue->waiting;

		if (oldest && oldest->row != 0)
			oldest = queue->unsaved;
		if (!oldest)
			return;
		discard(spool, oldest, SPOOL_BOUND_MEMORY);
	}
}

void bounds_keep(struct spool *spool)
{
	if (spool->key)
		bound_memory(spool);
	while (surplus(spool) > 0 && !is_next_in_file(spool) && spool->queue.waiting)
		discard(spool, spool->queue.waiting, SPOOL_BOUND_SIZE);
}

static void count_expired(struct spool *spool, uint64_t count)
{
	if (count == 0)
		return;
	spool->parts.stats->expired += count;
	telling_expired(&spool->telling, count, reactor_now(spool->parts.reactor));
}

void bounds_trimmed(struct spool *spool, const struct store_result *result)
{
	struct store_rows *rows = bounds_oldest_rows(spool);
	uint64_t before = rows->count, gone, expired;

	if (result->trimmed.count == 0)
		return;
	store_rows_shrink(rows, &result->trimmed);
	gone = before - rows->count;
	expired = result->expired < gone ? result->expired : gone;
	spool->parts.stats->queued -= gone;
	count_expired(spool, expired);
	if (gone > expired)
		count_discarded(spool, gone - expired, SPOOL_BOUND_SIZE);
}

/* with each one that comes, so few go at a time */
size_t bounds_expire(struct spool *spool)
{
	int64_t now_us = reactor_now(spool->parts.reactor);
	struct message *oldest;
	size_t count = 0;

	while ((oldest = spool->queue.waiting) && oldest->expires_us > 0 &&
	       oldest->expires_us <= now_us) {
		bounds_forget(spool, oldest);
		count++;
	}
	count_expired(spool, count);
	return count;
}

/* not at the first byte that is free, or each reading would tell the next end and beginning */
void bounds_tell_room(struct spool *spool)
{
	uint64_t max_size = spool->max_size;

	if (spool->telling.is_discarding && bounds_total(spool) <= max_size - max_size / 8 &&
	    (!spool->key || spool->queue.size <= SPOOL_MEMORY_MAX - SPOOL_MEMORY_MAX / 8))
		telling_room(&spool->telling, reactor_now(spool->parts.reactor));
}
