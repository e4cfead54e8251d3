/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool's face: a list of readings, oldest first, whose middle may lie only in the file
 * (queue.h). New readings queue behind, so the order never changes. Without a path, or while the
 * file fails, it is a bounded list in memory (bounds.c); jobs.c is about the file.
 */
#include <errno.h>
#include <string.h>

#include "iotd/clock.h"
#include "state.h"

void spool_push(struct spool *spool, struct message *message)
{
	message->id = ++spool->last_id;
	message->place = ++spool->last_place;
	if (message->queued_us == 0)
		message->queued_us = reactor_now(spool->parts.reactor);
	queue_push(&spool->queue, message);
	spool->parts.stats->queued++;
	bounds_expire(spool);
	bounds_keep(spool);
	if (spool->key)
		jobs_pushed(spool);
}

struct message *spool_next(struct spool *spool)
{
	struct message *message;

	jobs_take_found(spool);
	if (spool->is_opening || spool->found.count > 0)
		return NULL;
	if (bounds_expire(spool) > 0 && spool->key)
		jobs_forgotten(spool);
	if (queue_is_at_gap(&spool->queue)) {
		spool->is_wanted = true;
		jobs_work(spool);
		return NULL;
	}
	message = queue_next(&spool->queue);
	if (message)
		spool->parts.stats->in_flight++;
	return message;
}

bool spool_is_empty(const struct spool *spool)
{
	return !spool->queue.first && spool->queue.gap.count == 0 && spool->found.count == 0;
}

uint64_t spool_memory(const struct spool *spool)
{
	return spool->queue.size;
}

uint64_t spool_bytes(const struct spool *spool)
{
	return bounds_total(spool);
}

uint64_t spool_file_bytes(const struct spool *spool)
{
	return spool->file_bytes;
}

void spool_done(struct spool *spool, uint64_t id)
{
	struct message *message = queue_find(&spool->queue, id);

	if (!message)
		return;
	spool->parts.stats->in_flight--;
	bounds_forget(spool, message);
	bounds_tell_room(spool);
	telling_acknowledged(&spool->telling, reactor_now(spool->parts.reactor));
	if (spool->key)
		jobs_forgotten(spool);
}

void spool_rewind(struct spool *spool)
{
	queue_rewind(&spool->queue);
	spool->parts.stats->in_flight = 0;
}

void spool_on_ready(struct spool *spool, void (*ready)(void *data), void *data)
{
	if (!ready && spool->ready_data != data)
		return; /* its successor is told by now */
	spool->ready = ready;
	spool->ready_data = data;
}

struct future *spool_stop(struct spool *spool)
{
	if (!spool->key)
		telling_end(&spool->telling, reactor_now(spool->parts.reactor));
	if (!spool->key || spool->is_stopping)
		return spool->key ? &spool->stopped : NULL;
	future_init(&spool->stopped, spool->parts.reactor, NULL);
	spool->is_stopping = true;
	reactor_stop_timer(&spool->timer);
	jobs_work(spool);
	pages_go_on(spool);
	return &spool->stopped;
}

int spool_new(struct spool **ret, const struct spool_parts *parts)
{
	cleanup(spool_freep) struct spool *spool = calloc(1, sizeof(*spool));
	int r;

	if (!spool)
		return -ENOMEM;
	spool->parts = *parts;
	spool->telling.events = parts->events;
	spool->parts.settings = NULL; /* a reload frees them */
	spool->max_size = parts->settings->max_size;
	pages_new(spool);
	spool->path = strdup(parts->settings->path ? parts->settings->path : "");
	if (!spool->path)
		return -ENOMEM;
	if (spool->path[0]) {
		r = jobs_new(spool);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(spool);
	return 0;
}

struct spool *spool_free(struct spool *spool)
{
	struct message *message;

	if (!spool)
		return NULL;
	reactor_stop_timer(&spool->timer);
	reactor_stop_timer(&spool->open_timer);
	pages_free(spool);
	while ((message = spool->queue.first)) {
		queue_remove(&spool->queue, message);
		message_free(message);
	}
	spool->parts.stats->queued = spool->parts.stats->in_flight = 0;
	store_close(spool->exchange.store);
	worker_key_free(spool->key);
	free(spool->acknowledged.rows);
	free(spool->exchange.removed.rows);
	free(spool->path);
	free(spool);
	return NULL;
}
