/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool: when what goes to the file and comes back from it.
 *
 * What is acknowledged soon never leaves memory. Every 400 ms all that is older than 300 ms goes to
 * the file in one transaction, together with the rows that have been acknowledged since, and stays
 * in memory while there is room (queue.h has the list with its gap). When sending comes to the gap,
 * a part of it is loaded. New readings queue behind, so the order never changes.
 *
 * The file belongs to one worker job at a time; what the job needs is in struct exchange. A message
 * that is acknowledged or discarded while a job writes it leaves the list, is freed when the job is
 * back, and its row goes with the next one.
 *
 * Rows of an earlier run are older than all that is in memory, so sending waits for them when iotd
 * starts, but not for a disk that hangs. If they turn up later, sending stops until nothing is in
 * flight, and they come first from then on.
 *
 * A job that fails changes nothing but the time of the next one. Without a path, or while the file
 * fails, all of this is a bounded list in memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange.h"
#include "queue.h"

#include "iotd/clock.h"
#include "iotd/spool.h"

#define WRITE_EVERY_US (400 * USEC_PER_MSEC)
#define WRITE_AGE_US   (300 * USEC_PER_MSEC) /* of what is written */
#define RETRY_US       (5 * USEC_PER_SEC)    /* after the file failed */
#define LOST_TWICE_US                                                                              \
	(60 * USEC_PER_SEC) /* a new file that is lost so soon is not replaced at once */
#define OPEN_WAIT_US (2 * USEC_PER_SEC) /* new readings wait so long for older ones */
#define MEMORY_HIGH  (2U << 20)		/* above this, what is in the file is let go ... */
#define MEMORY_KEEP  (1U << 20)		/* ... but for that much of what is next */

struct spool {
	struct spool_parts parts;
	char *path;
	uint64_t max_size;
	struct queue queue;
	struct store_rows found;  /* rows of an earlier run that are not in the queue yet */
	struct rows acknowledged; /* rows to be removed */
	uint64_t last_id;
	uint64_t untold; /* discarded since the last spool_push() */
	void (*ready)(void *data);
	void *ready_data;

	struct worker_key *key; /* NULL: memory only */
	struct exchange exchange;
	struct reactor_timer timer, open_timer;
	int64_t retry_us, lost_us;
	bool is_open, is_opening, is_due, is_wanted, is_faulty;
	bool is_stopping, is_given_up, is_closed;
	struct future stopped;
};

static void work(struct spool *spool);

/* --- what goes ------------------------------------------------------------------------------ */

/* acknowledged or discarded: out of the list, and out of the file when it is there */
static void forget(struct spool *spool, struct message *message)
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

static void count_discarded(struct spool *spool, uint64_t count)
{
	spool->parts.stats->discarded += count;
	spool->untold += count;
}

static void discard(struct spool *spool, struct message *message)
{
	forget(spool, message);
	count_discarded(spool, 1);
}

/* bytes that are too many, in memory and in the file */
static uint64_t surplus(const struct spool *spool)
{
	uint64_t bytes = spool->queue.size + spool->queue.gap.bytes + spool->found.bytes;
	uint64_t max_size = spool->max_size;

	return bytes > max_size ? bytes - max_size : 0;
}

static bool is_next_in_file(const struct spool *spool)
{
	return spool->found.count > 0 || queue_is_at_gap(&spool->queue);
}

/* the rows that the oldest are among, if they are only in the file */
static struct store_rows *oldest_rows(struct spool *spool)
{
	return spool->found.count > 0 ? &spool->found : &spool->queue.gap;
}

static uint64_t bytes_to_trim(const struct spool *spool)
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
		discard(spool, oldest);
	}
}

/* the oldest go; those that are only in the file go with the next job */
static void bound_size(struct spool *spool)
{
	if (spool->key)
		bound_memory(spool);
	while (surplus(spool) > 0 && !is_next_in_file(spool) && spool->queue.waiting)
		discard(spool, spool->queue.waiting);
}

/* --- what came back ------------------------------------------------------------------------- */

static void batch_back(struct spool *spool)
{
	struct exchange *x = &spool->exchange;

	for (size_t i = x->change.message_count; i-- > 0;) {
		struct message *message = x->batch[i];

		message->row = x->is_written ? x->result.first_row + (int64_t)i : 0;
		if (message->id == 0) { /* forgotten meanwhile */
			if (message->row > 0)
				rows_add(&spool->acknowledged, message->row);
			message_free(message);
		} else if (!x->is_written) {
			spool->queue.unsaved = message;
		}
	}
	for (size_t i = 0; !x->is_written && i < x->change.removed_count; i++)
		rows_add(&spool->acknowledged, x->removed.rows[i]);
	x->removed.count = 0;
}

static void trimmed_back(struct spool *spool)
{
	const struct store_rows *trimmed = &spool->exchange.result.trimmed;
	struct store_rows *rows = oldest_rows(spool);
	uint64_t before = rows->count;

	if (trimmed->count == 0)
		return;
	store_rows_shrink(rows, trimmed);
	spool->parts.stats->queued -= before - rows->count;
	count_discarded(spool, before - rows->count);
}

static void loaded_back(struct spool *spool, bool is_failed)
{
	struct exchange *x = &spool->exchange;
	struct store_rows *gap = &spool->queue.gap;

	for (int i = 0; i < x->loaded_count; i++) {
		if (gap->count == 0) { /* a row that could not be removed */
			message_free(x->loaded[i]);
			continue;
		}
		x->loaded[i]->id = ++spool->last_id;
		queue_load(&spool->queue, x->loaded[i]);
	}
	if (x->wanted.count > 0 && x->loaded_count == 0 && !is_failed &&
	    gap->last == x->wanted.last) {
		spool->parts.stats->queued -= gap->count; /* somebody else removed them */
		*gap = (struct store_rows){ 0 };
	}
}

static void sync_back(struct spool *spool, int result)
{
	struct exchange *x = &spool->exchange;

	batch_back(spool);
	if (x->is_written)
		trimmed_back(spool);
	loaded_back(spool, result < 0);
	spool->is_due |= x->change.message_count == WRITE_BATCH && x->is_written;
	if (spool->queue.size > MEMORY_HIGH && spool->found.count == 0)
		queue_let_go(&spool->queue, MEMORY_KEEP);
	bound_size(spool);
}

static void open_back(struct spool *spool, int result)
{
	struct exchange *x = &spool->exchange;

	if (spool->is_opening) {
		spool->is_opening = false;
		reactor_stop_timer(&spool->open_timer);
	}
	spool->is_open = result == 0 && x->store;
	if (!spool->is_open)
		return;
	spool->found = x->found;
	spool->parts.stats->queued += x->found.count;
	bound_size(spool);
}

/* damaged, moved or deleted. Return: how many readings were only there */
static uint64_t lose_file(struct spool *spool)
{
	uint64_t lost = spool->queue.gap.count + spool->found.count;

	spool->parts.stats->queued -= lost;
	spool->parts.stats->discarded += lost;
	spool->found = (struct store_rows){ 0 };
	spool->acknowledged.count = 0;
	queue_forget_rows(&spool->queue);
	spool->is_open = false;
	return lost;
}

static void tell_fault(struct spool *spool, int error, uint64_t lost)
{
	struct spool_events *events = spool->parts.events;
	const char *what;
	char why[160];

	if ((error < 0) == spool->is_faulty)
		return;
	spool->is_faulty = error < 0;
	what = error == -EBUSY	   ? "another process has it open"
	       : error == -EBADMSG ? "it is damaged"
	       : error == -ESTALE  ? "it was moved or deleted"
				   : strerror(-error);
	if (lost > 0)
		(void)snprintf(why, sizeof(why), "%s; %" PRIu64 " readings were only there", what,
			       lost);
	else
		(void)snprintf(why, sizeof(why), "%s", what);
	events->fault(events, error, error < 0 ? why : NULL);
}

static void tell_aside(struct spool *spool)
{
	struct spool_events *events = spool->parts.events;

	if (spool->exchange.aside[0])
		events->aside(events, spool->exchange.aside);
	spool->exchange.aside[0] = '\0';
}

static void failed(struct spool *spool, int error)
{
	int64_t now_us = reactor_now(spool->parts.reactor);
	uint64_t lost = 0;

	spool->retry_us = now_us + RETRY_US;
	spool->is_given_up = spool->is_stopping;
	if (error == -EBADMSG || error == -ESTALE) {
		if (spool->lost_us == 0 || now_us - spool->lost_us > LOST_TWICE_US)
			spool->retry_us = now_us;
		spool->lost_us = now_us;
		spool->exchange.is_damaged = error == -EBADMSG;
		lost = lose_file(spool);
	}
	tell_fault(spool, error, lost);
}

/* a file that is only read from, or closed, may fail all the same */
static bool shows_that_it_works(const struct spool *spool)
{
	switch (spool->exchange.phase) {
	case PHASE_LOOK:
	case PHASE_OPEN:
		return true;
	case PHASE_SYNC:
		return spool->exchange.is_written;
	case PHASE_CLOSE:
		break;
	}
	return false;
}

static void job_back(struct spool *spool, int result)
{
	switch (spool->exchange.phase) {
	case PHASE_LOOK:
	case PHASE_OPEN:
		open_back(spool, result);
		break;
	case PHASE_SYNC:
		sync_back(spool, result);
		break;
	case PHASE_CLOSE:
		spool->is_closed = true;
		break;
	}
	tell_aside(spool);
	if (result == -ECANCELED || result == -ESHUTDOWN) /* the workers are gone */
		spool->is_closed = true;
	else if (result < 0)
		failed(spool, result);
	else if (shows_that_it_works(spool))
		tell_fault(spool, 0, 0);
	if (spool->is_closed && spool->is_stopping)
		future_resolve(&spool->stopped, 0);
	if (spool->ready)
		spool->ready(spool->ready_data);
	work(spool);
}

static void job_idle(struct worker_job *job)
{
	struct exchange *x = container_of(job, struct exchange, job);

	job_back(container_of(x, struct spool, exchange), job->future.result);
}

/* --- what to do next ------------------------------------------------------------------------ */

static void start(struct spool *spool, enum phase phase)
{
	int r;

	spool->exchange.phase = phase;
	r = worker_run(spool->key, &spool->exchange.job);
	if (r < 0)
		job_back(spool, r);
}

/* rows of an earlier run take their place as soon as nothing newer is in flight */
static void take_found(struct spool *spool)
{
	if (spool->found.count == 0 || spool->queue.waiting != spool->queue.first)
		return;
	queue_set_gap(&spool->queue, &spool->found);
	spool->found = (struct store_rows){ 0 };
}

static bool is_memory_short(const struct spool *spool)
{
	return spool->key && spool->queue.size > MEMORY_HIGH;
}

/* younger ones are about to be acknowledged */
static int64_t write_before_us(const struct spool *spool)
{
	if (spool->is_stopping || is_memory_short(spool))
		return INT64_MAX;
	return reactor_now(spool->parts.reactor) - WRITE_AGE_US;
}

static void start_sync(struct spool *spool)
{
	struct exchange *x = &spool->exchange;
	struct rows nothing = x->removed;

	take_found(spool);
	x->removed = spool->acknowledged;
	spool->acknowledged = nothing;
	x->change = (struct store_change){
		.removed = x->removed.rows,
		.removed_count = x->removed.count,
		.messages = x->batch,
		.message_count = queue_take_unsaved(&spool->queue, x->batch, WRITE_BATCH,
						    write_before_us(spool)),
	};
	x->change.trim = *oldest_rows(spool);
	x->change.trim.bytes = bytes_to_trim(spool);
	x->wanted = (struct store_rows){ 0 };
	if (spool->is_wanted && queue_is_at_gap(&spool->queue))
		x->wanted = spool->queue.gap;
	x->result = (struct store_result){ 0 };
	x->is_written = false;
	x->loaded_count = 0;
	spool->is_wanted = spool->is_due = false;
	start(spool, PHASE_SYNC);
}

/* something is to be written, now or soon */
static bool has_changes(const struct spool *spool)
{
	return spool->queue.unsaved || spool->acknowledged.count > 0 || bytes_to_trim(spool) > 0;
}

static bool is_change_due(const struct spool *spool)
{
	const struct message *oldest = spool->queue.unsaved;

	return spool->is_due && (spool->acknowledged.count > 0 || bytes_to_trim(spool) > 0 ||
				 (oldest && oldest->queued_us <= write_before_us(spool)));
}

static void arm(struct spool *spool)
{
	int64_t due_us = reactor_now(spool->parts.reactor) + WRITE_EVERY_US;
	bool is_closed_by_fault = spool->is_faulty && !spool->is_open;

	if (reactor_timer_is_set(&spool->timer) || spool->is_closed ||
	    !(has_changes(spool) || spool->is_wanted || is_closed_by_fault))
		return;
	if (due_us < spool->retry_us)
		due_us = spool->retry_us;
	(void)reactor_set_timer(spool->parts.reactor, &spool->timer, due_us);
}

static void work_stopping(struct spool *spool)
{
	bool has_more = spool->queue.unsaved || spool->acknowledged.count > 0;

	if (!has_more || spool->is_given_up)
		start(spool, PHASE_CLOSE);
	else if (spool->is_open)
		start_sync(spool);
	else
		start(spool, PHASE_OPEN);
}

static void work(struct spool *spool)
{
	bool may_try = reactor_now(spool->parts.reactor) >= spool->retry_us;

	if (!spool->key || !worker_job_is_idle(&spool->exchange.job) || spool->is_closed)
		return;
	if (spool->is_stopping)
		work_stopping(spool);
	else if (may_try && spool->is_open && (is_change_due(spool) || spool->is_wanted))
		start_sync(spool);
	else if (may_try && !spool->is_open && (is_change_due(spool) || spool->is_faulty))
		start(spool, PHASE_OPEN);
	else
		arm(spool);
}

static void write_due(struct reactor_timer *timer)
{
	struct spool *spool = container_of(timer, struct spool, timer);

	spool->is_due = true;
	work(spool);
}

/* the disk is slow or hangs: new readings do not wait for it any longer */
static void open_waited(struct reactor_timer *timer)
{
	struct spool *spool = container_of(timer, struct spool, open_timer);

	spool->is_opening = false;
	if (spool->ready)
		spool->ready(spool->ready_data);
}

/* --- the face ------------------------------------------------------------------------------- */

uint64_t spool_push(struct spool *spool, struct message *message)
{
	uint64_t discarded;

	message->id = ++spool->last_id;
	if (message->queued_us == 0)
		message->queued_us = reactor_now(spool->parts.reactor);
	queue_push(&spool->queue, message);
	spool->parts.stats->queued++;
	bound_size(spool);
	if (is_memory_short(spool)) {
		spool->is_due = true;
		work(spool);
	} else if (spool->key) {
		arm(spool);
	}
	discarded = spool->untold;
	spool->untold = 0;
	return discarded;
}

struct message *spool_next(struct spool *spool)
{
	struct message *message;

	take_found(spool);
	if (spool->is_opening || spool->found.count > 0)
		return NULL;
	if (queue_is_at_gap(&spool->queue)) {
		spool->is_wanted = true;
		work(spool);
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

void spool_done(struct spool *spool, uint64_t id)
{
	struct message *message = queue_find(&spool->queue, id);

	if (!message)
		return;
	spool->parts.stats->in_flight--;
	forget(spool, message);
	if (!spool->key)
		return;
	if (has_changes(spool))
		arm(spool);
	else if (!spool->is_faulty)
		reactor_stop_timer(&spool->timer); /* all is well: let the host sleep */
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
	if (!spool->key || spool->is_stopping)
		return spool->key ? &spool->stopped : NULL;
	future_init(&spool->stopped, spool->parts.reactor, NULL);
	spool->is_stopping = true;
	reactor_stop_timer(&spool->timer);
	work(spool);
	return &spool->stopped;
}

static int start_looking(struct spool *spool)
{
	const struct spool_parts *parts = &spool->parts;
	int r;

	r = worker_key_new(&spool->key, parts->workers, 0);
	if (r == 0)
		r = reactor_set_timer(parts->reactor, &spool->open_timer,
				      reactor_now(parts->reactor) + OPEN_WAIT_US);
	if (r < 0)
		return r;
	spool->is_opening = true;
	start(spool, PHASE_LOOK);
	return 0;
}

int spool_new(struct spool **ret, const struct spool_parts *parts)
{
	cleanup(spool_freep) struct spool *spool = calloc(1, sizeof(*spool));
	int r;

	if (!spool)
		return -ENOMEM;
	spool->parts = *parts;
	spool->timer.fire = write_due;
	spool->open_timer.fire = open_waited;
	spool->exchange.job.run = exchange_run;
	spool->exchange.job.idle = job_idle;
	spool->parts.settings = NULL; /* a reload frees them */
	spool->max_size = parts->settings->max_size;
	spool->path = strdup(parts->settings->path ? parts->settings->path : "");
	if (!spool->path)
		return -ENOMEM;
	spool->exchange.path = spool->path;
	if (spool->path[0]) {
		r = start_looking(spool);
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
