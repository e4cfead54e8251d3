/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What waits, page by page, for people. A page comes from one place: from memory up to the rows
 * that are only in the file, or from those rows, by a job of its own among those of jobs.c: they
 * have one key, so the file still belongs to one of them at a time, and of struct exchange this one
 * touches the store only.
 *
 * An id is a message's place: the row that it has in the file, or would have if it came there. It
 * is given with the message, so it is the same before it is written, while it lies only in the
 * file, and when it is loaded again; and it grows with the order in which messages are sent.
 *
 * Nothing is kept for who asks but where the page begins. While the job reads, readings are
 * acknowledged: those are left out if their rows are still there. What is loaded meanwhile is in
 * memory with the same place, so it comes once.
 *
 * One page a turn, and one job at a time: who asks for many waits, and not the sensors.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "iotd/clock.h"
#include "state.h"

#define READ_US (3 * USEC_PER_SEC) /* the file does not answer for so long: it hangs */

/* --- the answer ----------------------------------------------------------------------------- */

static void finish(struct spool *spool, const struct spool_paged *paged)
{
	struct paging *paging = &spool->paging;
	struct spool_page *page = STAILQ_FIRST(&paging->pages);

	STAILQ_REMOVE_HEAD(&paging->pages, link);
	if (paging->reader == page)
		paging->reader = NULL;
	page->spool = NULL;
	pages_go_on(spool);
	page->done(page, paged);
}

/* rows that are only in the file; NULL: none is behind @after */
static const struct store_rows *rows_behind(struct spool *spool, int64_t after)
{
	const struct store_rows *rows = bounds_oldest_rows(spool);

	return rows->count > 0 && rows->last > after ? rows : NULL;
}

/* @place, or 0 if nothing is behind it */
static uint64_t next_of(struct spool *spool, int64_t place)
{
	const struct message *last = spool->queue.last;

	return (last && last->place > place) || rows_behind(spool, place) ? (uint64_t)place : 0;
}

static void refuse(struct spool *spool, int error)
{
	struct spool_page *page = STAILQ_FIRST(&spool->paging.pages);
	const struct store_rows *rows = rows_behind(spool, page->at);
	struct spool_paged paged = { .error = error };
	char text[STORE_PATH_SIZE + 160];

	if (error == -ECANCELED)
		(void)snprintf(text, sizeof(text), "iotd is being stopped");
	else
		(void)snprintf(text, sizeof(text),
			       "%s cannot be read: %s; %" PRIu64 " readings are only there",
			       spool->path,
			       error == -ETIMEDOUT ? "it does not answer" : telling_words(error),
			       rows ? rows->count : 0);
	paged.text = text;
	if (error != -ECANCELED && rows)
		paged.next = next_of(spool, rows->last);
	finish(spool, &paged);
}

/* by the clock of today: it may have been set since */
static int64_t wall_time(const struct spool *spool, const struct message *message)
{
	if (message->queued_us == 0)
		return 0;
	return clock_realtime_us() - (reactor_now(spool->parts.reactor) - message->queued_us);
}

/* Return: is there room for @message? */
static bool add_entry(struct spool *spool, const struct message *message, size_t *count,
		      size_t *bytes)
{
	size_t size = strlen(message->topic) + message->length;

	if (*count > 0 && *bytes + size > SPOOL_PAGE_BYTES)
		return false;
	spool->paging.entries[(*count)++] = (struct spool_entry){
		.id = (uint64_t)message->place,
		.time_us = wall_time(spool, message),
		.message = message,
	};
	*bytes += size;
	return true;
}

static void answer(struct spool *spool, size_t count)
{
	const struct spool_entry *entries = spool->paging.entries;
	struct spool_paged paged = { .entries = entries, .count = count };

	if (count > 0)
		paged.next = next_of(spool, (int64_t)entries[count - 1].id);
	finish(spool, &paged);
}

/* from @message up to the rows that are only in the file */
static void answer_from_memory(struct spool *spool, struct message *message,
			       const struct store_rows *rows)
{
	const struct spool_page *page = STAILQ_FIRST(&spool->paging.pages);
	size_t count = 0, bytes = 0;

	for (; message && count < page->limit && (!rows || message->place < rows->first);
	     message = message->next) {
		if (!add_entry(spool, message, &count, &bytes))
			break;
		spool->queue.looked = message;
	}
	answer(spool, count);
}

/* --- from the file -------------------------------------------------------------------------- */

static int read_rows(struct worker_job *job)
{
	struct page_reading *reading = container_of(job, struct page_reading, job);
	struct store *store = reading->exchange->store;

	if (!store)
		return -ESTALE;
	return store_load(store, reading->first, reading->last, reading->messages, reading->limit);
}

static int compare_rows(const void *row, const void *item)
{
	const struct message *const *message = item;
	int64_t a = *(const int64_t *)row, b = (*message)->row;

	return (a > b) - (a < b);
}

/* by .place 0: rows that are to be removed, but are not yet */
static void mark_acknowledged(struct message *const *messages, size_t count,
			      const struct rows *gone)
{
	int64_t first = messages[0]->row, last = messages[count - 1]->row;

	for (size_t i = 0; i < gone->count; i++) {
		struct message *const *found = NULL;

		if (gone->rows[i] >= first && gone->rows[i] <= last)
			found = bsearch(&gone->rows[i], messages, count, sizeof(struct message *),
					compare_rows);
		if (found)
			(*found)->place = 0;
	}
}

static void answer_from_file(struct spool *spool, struct message *const *messages, size_t count)
{
	const struct exchange *x = &spool->exchange;
	struct spool_page *page = STAILQ_FIRST(&spool->paging.pages);
	size_t added = 0, bytes = 0;

	mark_acknowledged(messages, count, &spool->acknowledged);
	if (!worker_job_is_idle(&x->job))
		mark_acknowledged(messages, count, &x->removed);
	for (size_t i = 0; i < count; i++)
		if (messages[i]->place > 0 && !add_entry(spool, messages[i], &added, &bytes))
			break;
	page->at = messages[count - 1]->row;
	if (added > 0)
		answer(spool, added);
	else
		pages_go_on(spool);
}

static void rows_back(struct worker_job *job)
{
	struct page_reading *reading = container_of(job, struct page_reading, job);
	struct paging *paging = container_of(reading, struct paging, reading);
	struct spool *spool = container_of(paging, struct spool, paging);
	int result = job->future.result;
	bool is_same_file = paging->files_lost == spool->files_lost;

	reactor_stop_timer(&paging->timer);
	paging->is_late = false;
	if (!paging->reader || !is_same_file)
		pages_go_on(spool);
	else if (result < 0)
		refuse(spool, result == -ESHUTDOWN ? -ECANCELED : result);
	else if (result > 0)
		answer_from_file(spool, reading->messages, (size_t)result);
	else {
		paging->reader->at = reading->last; /* all that was there has gone */
		pages_go_on(spool);
	}
	for (int i = 0; i < result; i++)
		message_free(reading->messages[i]);
}

static void read_late(struct reactor_timer *timer)
{
	struct spool *spool = container_of(timer, struct spool, paging.timer);

	spool->paging.is_late = true;
	pages_go_on(spool);
}

static void start_reading(struct spool *spool, const struct store_rows *rows)
{
	struct paging *paging = &spool->paging;
	struct page_reading *reading = &paging->reading;
	struct spool_page *page = STAILQ_FIRST(&paging->pages);
	int r;

	reading->first = rows->first > page->at ? rows->first : page->at + 1;
	reading->last = rows->last;
	reading->limit = page->limit;
	paging->files_lost = spool->files_lost;
	r = worker_run(spool->key, &reading->job);
	if (r == 0)
		r = reactor_set_timer(spool->parts.reactor, &paging->timer,
				      reactor_now(spool->parts.reactor) + READ_US);
	paging->reader = page;
	if (r < 0)
		refuse(spool, r == -ESHUTDOWN ? -ECANCELED : r);
}

/* --- one page ------------------------------------------------------------------------------- */

static void work(struct reactor_call *call)
{
	struct spool *spool = container_of(call, struct spool, paging.call);
	struct paging *paging = &spool->paging;
	struct spool_page *page = STAILQ_FIRST(&paging->pages);
	const struct store_rows *rows;
	struct message *message;

	if (!page || spool->is_opening)
		return;
	rows = rows_behind(spool, page->at);
	if (spool->is_stopping)
		refuse(spool, -ECANCELED);
	else if (!queue_look(&spool->queue, page->at, &message))
		pages_go_on(spool);
	else if (!rows || (message && message->place < rows->first))
		answer_from_memory(spool, message, rows);
	else if (worker_job_is_idle(&paging->reading.job))
		start_reading(spool, rows);
	else if (paging->is_late)
		refuse(spool, -ETIMEDOUT);
}

void pages_go_on(struct spool *spool)
{
	if (!STAILQ_EMPTY(&spool->paging.pages))
		reactor_defer(spool->parts.reactor, &spool->paging.call);
}

void spool_page(struct spool *spool, struct spool_page *page)
{
	page->spool = spool;
	page->at = page->after < INT64_MAX ? (int64_t)page->after : INT64_MAX;
	if (page->limit < 1)
		page->limit = 1;
	if (page->limit > SPOOL_PAGE_MAX)
		page->limit = SPOOL_PAGE_MAX;
	STAILQ_INSERT_TAIL(&spool->paging.pages, page, link);
	pages_go_on(spool);
}

void spool_page_cancel(struct spool_page *page)
{
	struct paging *paging;

	if (!page->spool)
		return;
	paging = &page->spool->paging;
	if (paging->reader == page)
		paging->reader = NULL;
	STAILQ_REMOVE(&paging->pages, page, spool_page, link);
	page->spool = NULL;
}

/* --- life ----------------------------------------------------------------------------------- */

void pages_new(struct spool *spool)
{
	struct paging *paging = &spool->paging;

	STAILQ_INIT(&paging->pages);
	paging->call.run = work;
	paging->timer.fire = read_late;
	paging->reading.exchange = &spool->exchange;
	paging->reading.job.run = read_rows;
	paging->reading.job.idle = rows_back;
}

void pages_free(struct spool *spool)
{
	while (!STAILQ_EMPTY(&spool->paging.pages))
		refuse(spool, -ECANCELED);
	reactor_cancel_call(&spool->paging.call);
	reactor_stop_timer(&spool->paging.timer);
}
