/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The spool's own state, shared by the files of this folder: each part and what it is for. */

#include "exchange.h"
#include "queue.h"
#include "telling.h"

#include "iotd/spool.h"

/* pages.c: what a worker reads of the file for a page: the worker's while the job is out */
struct page_reading {
	struct worker_job job;
	const struct exchange *exchange; /* of which only the store, which is the worker's */
	int64_t first, last;		 /* rows */
	size_t limit;
	struct message *messages[SPOOL_PAGE_MAX];
};

/* pages.c: who wants to see what waits */
struct paging {
	STAILQ_HEAD(, spool_page) pages; /* the first is worked on */
	struct reactor_call call;
	struct reactor_timer timer; /* while the job is out */
	struct page_reading reading;
	struct spool_page *reader; /* for whom the job is out; NULL: nobody, or it has gone */
	uint64_t files_lost;	   /* of the spool, when the job went out */
	bool is_late;		   /* the job */
	struct spool_entry entries[SPOOL_PAGE_MAX];
};

struct spool {
	struct spool_parts parts;
	char *path;
	uint64_t max_size;
	uint64_t file_bytes; /* as the last job found it */
	struct queue queue;
	struct store_rows found;  /* rows of an earlier run that are not in the queue yet */
	struct rows acknowledged; /* rows to be removed */
	uint64_t last_id;
	int64_t last_place;
	uint64_t files_lost; /* so far */
	void (*ready)(void *data);
	void *ready_data;

	struct worker_key *key; /* NULL: memory only */
	struct exchange exchange;
	struct reactor_timer timer, open_timer;
	struct telling telling;
	struct paging paging;
	int64_t retry_us, lost_us;
	int64_t load_retry_us;
	bool is_open, is_opening, is_due, is_wanted;
	bool is_stopping, is_given_up, is_closed;
	struct future stopped;
};

/* --- bounds.c: what has to go --------------------------------------------------------------- */

/** bounds_total() - what max_size bounds: bytes of the file, also of what is not there yet; without one, of memory */
uint64_t bounds_total(const struct spool *spool);

/** bounds_forget() - acknowledged or discarded: out of the list, and out of the file when it is there */
void bounds_forget(struct spool *spool, struct message *message);

/** bounds_keep() - discard what is too much; what is only in the file goes with the next job */
void bounds_keep(struct spool *spool);

/** bounds_to_trim() - bytes that the next job is to discard from bounds_oldest_rows() */
uint64_t bounds_to_trim(const struct spool *spool);

/** bounds_oldest_rows() - the rows that the oldest are among, if they are only in the file */
struct store_rows *bounds_oldest_rows(struct spool *spool);

/** bounds_trimmed() - the job has discarded @result->trimmed of bounds_oldest_rows() */
void bounds_trimmed(struct spool *spool, const struct store_result *result);

/** bounds_expire() - the oldest in memory whose time is over go, but for those in flight. Return: how many */
size_t bounds_expire(struct spool *spool);

/** bounds_tell_room() - tell it if there is room again */
void bounds_tell_room(struct spool *spool);

/* --- jobs.c: what goes to the file and comes back from it ------------------------------------ */

/** jobs_new() - open the file if it is there; spool->path is set. Return: 0; -ENOMEM */
int jobs_new(struct spool *spool);

/** jobs_work() - start what is due now, or see that it is started when it is */
void jobs_work(struct spool *spool);

/** jobs_pushed() - something is to be written soon */
void jobs_pushed(struct spool *spool);

/** jobs_forgotten() - something need not be written any more, or its row is to be removed */
void jobs_forgotten(struct spool *spool);

/** jobs_take_found() - rows of an earlier run take their place as soon as nothing newer is in flight */
void jobs_take_found(struct spool *spool);

/* --- pages.c: what waits, for people --------------------------------------------------------- */

/** pages_new() - nobody asks */
void pages_new(struct spool *spool);

/** pages_go_on() - who waits may be served, or refused */
void pages_go_on(struct spool *spool);

/** pages_free() - refuse who waits; no job is out */
void pages_free(struct spool *spool);
