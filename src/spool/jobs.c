/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When what goes to the file and comes back from it.
 *
 * What is acknowledged soon never leaves memory. Every 400 ms all that is older than 300 ms goes to
 * the file in one transaction, together with the rows that have been acknowledged since, and stays
 * in memory while there is room (queue.h has the list with its gap). When sending comes to the gap,
 * a part of it is loaded, also while the file cannot be written.
 *
 * The file belongs to one worker job at a time; what the job needs is in struct exchange. A message
 * that is acknowledged or discarded while a job writes it leaves the list, is freed when the job is
 * back, and its row goes with the next one.
 *
 * Rows of an earlier run are older than all that is in memory, so sending waits for them when iotd
 * starts, but not for a disk that hangs. If they turn up later, sending stops until nothing is in
 * flight, and they come first from then on.
 *
 * A job that fails changes nothing but the time of the next one.
 */
#include <errno.h>

#include "iotd/clock.h"
#include "state.h"

#define WRITE_EVERY_US (400 * USEC_PER_MSEC)
#define WRITE_AGE_US   (300 * USEC_PER_MSEC) /* of what is written */
#define RETRY_US       (5 * USEC_PER_SEC)    /* after the file failed */
#define LOST_TWICE_US                                                                              \
	(60 * USEC_PER_SEC) /* a new file that is lost so soon is not replaced at once */
#define OPEN_WAIT_US (2 * USEC_PER_SEC) /* new readings wait so long for older ones */
#define MEMORY_HIGH  (2U << 20)		/* above this, what is in the file is let go ... */
#define MEMORY_KEEP  (1U << 20)		/* ... but for that much of what is next */

/* --- what came back ------------------------------------------------------------------------- */

static void batch_back(struct spool *spool)
{
	struct exchange *x = &spool->exchange;

	for (size_t i = x->change.message_count; i-- > 0;) {
		struct message *message = x->batch[i];

		message->row = x->is_written ? message->place : 0;
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

static void loaded_back(struct spool *spool, int result)
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
	/* not if the job failed: it may not have come to loading */
	if (result == 0 && x->wanted.count > 0 && x->loaded_count == 0 &&
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
		bounds_trimmed(spool, &x->result);
	loaded_back(spool, result);
	spool->is_due |= x->change.message_count == WRITE_BATCH && x->is_written;
	if (spool->queue.size > MEMORY_HIGH && spool->found.count == 0)
		queue_let_go(&spool->queue, MEMORY_KEEP);
	bounds_keep(spool);
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
	spool->last_place = queue_place_behind(&spool->queue, x->last_row, spool->last_place);
	spool->parts.stats->queued += x->found.count;
	bounds_keep(spool);
}

/* damaged, moved or deleted. Return: how many readings were only there */
static uint64_t lose_file(struct spool *spool)
{
	uint64_t lost = spool->queue.gap.count + spool->found.count;

	spool->files_lost++;
	spool->parts.stats->queued -= lost;
	spool->parts.stats->discarded += lost;
	spool->found = (struct store_rows){ 0 };
	spool->acknowledged.count = 0;
	queue_forget_rows(&spool->queue);
	spool->is_open = false;
	return lost;
}

static void tell_aside(struct spool *spool)
{
	if (spool->exchange.aside[0])
		telling_aside(&spool->telling, spool->exchange.aside);
	spool->exchange.aside[0] = '\0';
}

static void failed(struct spool *spool, int error)
{
	int64_t now_us = reactor_now(spool->parts.reactor);
	uint64_t lost = 0;

	spool->retry_us = now_us + RETRY_US;
	if (spool->exchange.is_load_failed)
		spool->load_retry_us = spool->retry_us;
	spool->is_given_up = spool->is_stopping;
	if (error == -EBADMSG || error == -ESTALE) {
		if (spool->lost_us == 0 || now_us - spool->lost_us > LOST_TWICE_US)
			spool->retry_us = now_us;
		spool->lost_us = now_us;
		spool->exchange.is_damaged = error == -EBADMSG;
		lost = lose_file(spool);
	}
	telling_fault(&spool->telling, error, lost);
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
	spool->file_bytes = spool->exchange.file_bytes;
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
		telling_fault(&spool->telling, 0, 0);
	if (spool->is_closed)
		telling_end(&spool->telling, reactor_now(spool->parts.reactor));
	else
		bounds_tell_room(spool);
	if (spool->is_closed && spool->is_stopping)
		future_resolve(&spool->stopped, 0);
	if (spool->ready)
		spool->ready(spool->ready_data);
	jobs_work(spool);
	pages_go_on(spool);
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
	spool->exchange.realtime_us = clock_realtime_us();
	spool->exchange.now_us = reactor_now(spool->parts.reactor);
	r = worker_run(spool->key, &spool->exchange.job);
	if (r < 0)
		job_back(spool, r);
}

void jobs_take_found(struct spool *spool)
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

static bool may_write(const struct spool *spool)
{
	return reactor_now(spool->parts.reactor) >= spool->retry_us;
}

static void take_changes(struct spool *spool)
{
	struct exchange *x = &spool->exchange;
	struct rows nothing = x->removed;

	x->removed = spool->acknowledged;
	spool->acknowledged = nothing;
	x->change = (struct store_change){
		.removed = x->removed.rows,
		.removed_count = x->removed.count,
		.messages = x->batch,
		.message_count = queue_take_unsaved(&spool->queue, x->batch, WRITE_BATCH,
						    write_before_us(spool)),
	};
	x->change.trim = *bounds_oldest_rows(spool);
	x->change.trim.bytes = bounds_to_trim(spool);
	spool->is_due = false;
}

/* what is wanted is loaded, also while the file cannot be written */
static void start_sync(struct spool *spool)
{
	struct exchange *x = &spool->exchange;

	jobs_take_found(spool);
	x->change = (struct store_change){ 0 };
	if (may_write(spool) || spool->is_stopping)
		take_changes(spool);
	x->wanted = (struct store_rows){ 0 };
	if (spool->is_wanted && queue_is_at_gap(&spool->queue))
		x->wanted = spool->queue.gap;
	x->result = (struct store_result){ 0 };
	x->is_written = x->is_load_failed = false;
	x->loaded_count = 0;
	spool->is_wanted = false;
	start(spool, PHASE_SYNC);
}

/* something is to be written, now or soon */
static bool has_changes(const struct spool *spool)
{
	return spool->queue.unsaved || spool->acknowledged.count > 0 || bounds_to_trim(spool) > 0;
}

static bool is_change_due(const struct spool *spool)
{
	const struct message *oldest = spool->queue.unsaved;

	return spool->is_due && (spool->acknowledged.count > 0 || bounds_to_trim(spool) > 0 ||
				 (oldest && oldest->queued_us <= write_before_us(spool)));
}

static bool is_load_wanted(const struct spool *spool)
{
	return spool->is_wanted && reactor_now(spool->parts.reactor) >= spool->load_retry_us;
}

static void arm(struct spool *spool)
{
	int64_t due_us = reactor_now(spool->parts.reactor) + WRITE_EVERY_US;
	bool is_closed_by_fault = spool->telling.is_faulty && !spool->is_open;

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

void jobs_work(struct spool *spool)
{
	bool is_change_wanted = may_write(spool) && is_change_due(spool);

	if (!spool->key || !worker_job_is_idle(&spool->exchange.job) || spool->is_closed)
		return;
	if (spool->is_stopping)
		work_stopping(spool);
	else if (spool->is_open && (is_change_wanted || is_load_wanted(spool)))
		start_sync(spool);
	else if (!spool->is_open &&
		 (is_change_wanted || (may_write(spool) && spool->telling.is_faulty)))
		start(spool, PHASE_OPEN);
	else
		arm(spool);
}

static void write_due(struct reactor_timer *timer)
{
	struct spool *spool = container_of(timer, struct spool, timer);

	spool->is_due = true;
	jobs_work(spool);
}

/* the disk is slow or hangs: new readings do not wait for it any longer */
static void open_waited(struct reactor_timer *timer)
{
	struct spool *spool = container_of(timer, struct spool, open_timer);

	spool->is_opening = false;
	if (spool->ready)
		spool->ready(spool->ready_data);
	pages_go_on(spool);
}

void jobs_pushed(struct spool *spool)
{
	spool->is_due |= is_memory_short(spool);
	if (spool->is_due)
		jobs_work(spool);
	else
		arm(spool);
}

void jobs_forgotten(struct spool *spool)
{
	if (has_changes(spool))
		arm(spool);
	else if (!spool->telling.is_faulty)
		reactor_stop_timer(&spool->timer); /* all is well: let the host sleep */
}

int jobs_new(struct spool *spool)
{
	const struct spool_parts *parts = &spool->parts;
	int r;

	spool->timer.fire = write_due;
	spool->open_timer.fire = open_waited;
	spool->exchange.path = spool->path;
	spool->exchange.job.run = exchange_run;
	spool->exchange.job.idle = job_idle;
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
