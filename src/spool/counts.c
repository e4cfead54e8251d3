/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts: a list in memory, sorted by input, of which the file is a late copy.
 *
 *	(first input) look → wait → (changed) … 10 s … collect → [open] → write → wait
 *	                                                       stop → write → close
 *
 * One job is out at a time. Until the file was read it is not known what earlier runs have counted: then an
 * entry holds what this run did, and what is read is added to it, once. A file that is not there holds nothing, so
 * all is known then; one that is there and cannot be used may hold anything, so it is tried
 * again and nothing is known until it can. A job that fails changes nothing but the time of the next one:
 * what it should have written is written by a later one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "count-file.h"
#include "iotd/counts.h"
#include "telling.h"

/* somebody waits for the totals */
#define RETRY_KNOW_US (1000LL * 1000)

enum count_phase {
	COUNTS_LOOK, /* open the file if it is there */
	COUNTS_OPEN, /* open or make it */
	COUNTS_WRITE,
	COUNTS_CLOSE
};

/* what one input counts */
struct entry {
	struct count_row row;
	bool is_whole; /* not only of this run */
	bool is_dirty; /* the file has another one */
};

/* the worker's while the job is out */
struct count_exchange {
	struct worker_job job;
	enum count_phase phase;
	const char *path;
	struct count_file *file;
	bool is_damaged;
	bool is_stale;	/* another one may be in its place: to be opened anew */
	bool is_absent; /* there was none, or one that nothing was ever written to */
	char aside[DATABASE_PATH_SIZE];
	struct count_row *loaded;
	size_t loaded_count;
	struct count_row *batch;
	size_t batch_count, batch_size;
};

struct counts {
	struct counts_parts parts;
	struct worker_key *key;
	struct count_exchange exchange;
	struct entry *entries;
	size_t count, size;
	struct reactor_timer timer; /* the next try to write */
	struct future stopped;
	char *path;
	bool is_asked, is_known, is_faulty;
	bool is_stopping, is_given_up, is_closed;
};

static void work(struct counts *counts);

/* --- the list ------------------------------------------------------------------------------- */

static int compare(const struct entry *entry, const char *input, enum count_kind kind)
{
	int order = strcmp(entry->row.input, input);

	return order != 0 ? order : (int)entry->row.count.kind - (int)kind;
}

/* where it is, or would be */
static size_t entry_place(const struct counts *counts, const char *input, enum count_kind kind)
{
	size_t first = 0, end = counts->count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (compare(&counts->entries[middle], input, kind) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static struct entry *entry_find(const struct counts *counts, const char *input,
				enum count_kind kind)
{
	size_t at = entry_place(counts, input, kind);

	return at < counts->count && compare(&counts->entries[at], input, kind) == 0
		       ? &counts->entries[at]
		       : NULL;
}

/* Return: NULL: no memory */
static struct entry *entry_add(struct counts *counts, const char *input, enum count_kind kind)
{
	size_t at = entry_place(counts, input, kind), size = counts->size;
	struct entry *grown = counts->entries;

	if (counts->count == size) {
		size = size > 0 ? 2 * size : 16;
		grown = reallocarray(grown, size, sizeof(*grown));
		if (!grown)
			return NULL;
		counts->entries = grown;
		counts->size = size;
	}
	memmove(&grown[at + 1], &grown[at], (counts->count - at) * sizeof(*grown));
	counts->count++;
	grown[at] = (struct entry){ .row.count.kind = kind, .is_whole = counts->is_known };
	(void)strncpy(grown[at].row.input, input, NAME_LENGTH);
	return &grown[at];
}

static bool is_dirty(const struct counts *counts)
{
	for (size_t i = 0; i < counts->count; i++)
		if (counts->entries[i].is_dirty)
			return true;
	return false;
}

/* --- on the worker -------------------------------------------------------------------------- */

static int open_and_load(struct count_exchange *x)
{
	int r;

	x->file = count_file_close(x->file);
	r = count_file_open(&x->file, x->path, x->is_damaged, x->aside);
	if (r == 0)
		r = count_file_load(x->file, &x->loaded, &x->loaded_count);
	if (r < 0)
		x->file = count_file_close(x->file);
	return r;
}

static int job_open(struct count_exchange *x)
{
	struct stat status;
	int r = stat(x->path, &status);

	x->is_absent = r < 0 ? errno == ENOENT : S_ISREG(status.st_mode) && status.st_size == 0;
	if (x->is_absent && x->phase == COUNTS_LOOK)
		return 0; /* made when there is something to write */
	r = open_and_load(x);
	if (r == -EBADMSG && x->aside[0] == '\0') { /* a row that we never wrote */
		x->is_damaged = true;
		r = open_and_load(x);
	}
	x->is_damaged = x->is_stale = false;
	return r;
}

static int job_run(struct worker_job *job)
{
	struct count_exchange *x = container_of(job, struct count_exchange, job);

	switch (x->phase) {
	case COUNTS_LOOK:
	case COUNTS_OPEN:
		return job_open(x);
	case COUNTS_WRITE:
		return count_file_write(x->file, x->batch, x->batch_count);
	case COUNTS_CLOSE:
		x->file = count_file_close(x->file);
		return 0;
	}
	return 0;
}

/* --- what came back ------------------------------------------------------------------------- */

static void tell_fault(struct counts *counts, int error)
{
	if ((error < 0) == counts->is_faulty)
		return;
	counts->is_faulty = error < 0;
	counts->parts.events->fault(counts->parts.events, error,
				    error < 0 ? telling_words(error) : NULL);
}

/* what an entry has is of this run alone, unless a command has set it */
static void merge(struct counts *counts, const struct count_row *row)
{
	const struct count *kept = &row->count;
	struct entry *entry = entry_find(counts, row->input, kept->kind);

	if (!entry) {
		entry = entry_add(counts, row->input, kept->kind);
		if (entry)
			entry->row.count = *kept;
		return;
	}
	if (entry->is_whole)
		return;
	entry->is_dirty = entry->row.count.amount > 0;
	entry->row.count.start = kept->start;
	entry->row.count.amount += kept->amount;
}

static void become_known(struct counts *counts)
{
	struct counts_events *events = counts->parts.events;
	const struct count_exchange *x = &counts->exchange;

	events->collect(events); /* up to now, before anything is added to it */
	for (size_t i = 0; i < x->loaded_count; i++)
		merge(counts, &x->loaded[i]);
	for (size_t i = 0; i < counts->count; i++)
		counts->entries[i].is_whole = true;
	counts->is_known = true;
	events->known(events);
}

static void open_back(struct counts *counts, int result)
{
	struct count_exchange *x = &counts->exchange;

	if (x->aside[0] != '\0')
		counts->parts.events->aside(counts->parts.events, x->aside);
	x->aside[0] = '\0';
	if (!counts->is_known && (result == 0 || x->is_absent))
		become_known(counts);
	free(x->loaded);
	x->loaded = NULL;
	x->loaded_count = 0;
}

static void write_back(struct counts *counts, int result)
{
	struct count_exchange *x = &counts->exchange;

	for (size_t i = 0; result < 0 && i < x->batch_count; i++) {
		struct entry *entry = entry_find(counts, x->batch[i].input, x->batch[i].count.kind);

		if (entry)
			entry->is_dirty = true;
	}
}

static void failed(struct counts *counts, int error)
{
	struct count_exchange *x = &counts->exchange;

	if (error == -EBADMSG || error == -ESTALE) { /* what is there next has none of them */
		x->is_damaged = error == -EBADMSG;
		x->is_stale = true;
		for (size_t i = 0; i < counts->count; i++)
			counts->entries[i].is_dirty = true;
	}
	counts->is_given_up = counts->is_stopping;
	tell_fault(counts, error);
}

static void retry(struct counts *counts)
{
	int64_t after_us = counts->is_known ? COUNTS_WRITE_US : RETRY_KNOW_US;

	(void)reactor_set_timer(counts->parts.reactor, &counts->timer,
				reactor_now(counts->parts.reactor) + after_us);
}

static void job_back(struct counts *counts, int result)
{
	struct count_exchange *x = &counts->exchange;
	bool is_gone = result == -ECANCELED || result == -ESHUTDOWN;

	switch (x->phase) {
	case COUNTS_LOOK:
	case COUNTS_OPEN:
		open_back(counts, result);
		break;
	case COUNTS_WRITE:
		write_back(counts, result);
		break;
	case COUNTS_CLOSE:
		counts->is_closed = true;
		break;
	}
	counts->is_closed |= is_gone; /* so are the workers */
	if (!is_gone && result < 0)
		failed(counts, result);
	else if (result == 0 && x->file)
		tell_fault(counts, 0);
	if (counts->is_closed && counts->is_stopping)
		future_resolve(&counts->stopped, 0);
	if (!counts->is_closed && (counts->is_stopping || (x->phase == COUNTS_OPEN && x->file)))
		work(counts);
	else if (counts->is_faulty || is_dirty(counts))
		retry(counts);
}

static void job_idle(struct worker_job *job)
{
	struct count_exchange *x = container_of(job, struct count_exchange, job);

	job_back(container_of(x, struct counts, exchange), job->future.result);
}

/* --- what to do next ------------------------------------------------------------------------ */

static void start(struct counts *counts, enum count_phase phase)
{
	int r;

	counts->exchange.phase = phase;
	r = worker_run(counts->key, &counts->exchange.job);
	if (r < 0)
		job_back(counts, r);
}

/* Return: 0; -ENOMEM */
static int take_batch(struct counts *counts)
{
	struct count_exchange *x = &counts->exchange;

	if (x->batch_size < counts->count) {
		struct count_row *grown = reallocarray(x->batch, counts->size, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		x->batch = grown;
		x->batch_size = counts->size;
	}
	x->batch_count = 0;
	for (size_t i = 0; i < counts->count; i++) {
		if (!counts->entries[i].is_dirty)
			continue;
		counts->entries[i].is_dirty = false;
		x->batch[x->batch_count++] = counts->entries[i].row;
	}
	return 0;
}

static void write_dirty(struct counts *counts)
{
	int r = take_batch(counts);

	if (r == 0)
		start(counts, COUNTS_WRITE);
	else if (counts->is_stopping)
		start(counts, COUNTS_CLOSE);
	else
		retry(counts);
}

static void work(struct counts *counts)
{
	bool has_more = is_dirty(counts) && !counts->is_given_up;

	if (!worker_job_is_idle(&counts->exchange.job) || counts->is_closed)
		return;
	if (counts->is_stopping && !has_more)
		start(counts, COUNTS_CLOSE);
	else if (!counts->exchange.file || counts->exchange.is_stale)
		start(counts, counts->is_known ? COUNTS_OPEN : COUNTS_LOOK);
	else if (has_more)
		write_dirty(counts);
}

static void write_due(struct reactor_timer *timer)
{
	struct counts *counts = container_of(timer, struct counts, timer);

	counts->parts.events->collect(counts->parts.events);
	work(counts);
}

/* --- the face ------------------------------------------------------------------------------- */

int counts_get(struct counts *counts, const char *input, enum count_kind kind, struct count *ret)
{
	struct entry *entry = entry_find(counts, input, kind);

	if (!entry)
		entry = entry_add(counts, input, kind);
	if (!entry)
		return -ENOMEM;
	*ret = entry->row.count;
	if (!counts->is_asked) {
		counts->is_asked = true;
		start(counts, COUNTS_LOOK);
	}
	return entry->is_whole ? 0 : -EAGAIN;
}

bool counts_is_known(const struct counts *counts)
{
	return counts->is_known;
}

void counts_put(struct counts *counts, const char *input, const struct count *count, bool is_whole)
{
	struct entry *entry = entry_find(counts, input, count->kind);

	if (!entry || (entry->row.count.start == count->start &&
		       entry->row.count.amount == count->amount && entry->is_whole == is_whole))
		return;
	entry->row.count = *count;
	entry->is_whole = is_whole;
	entry->is_dirty = true;
}

void counts_changed(struct counts *counts, bool now)
{
	int64_t now_us = reactor_now(counts->parts.reactor);

	if (counts->is_stopping || (!now && reactor_timer_is_set(&counts->timer)))
		return;
	(void)reactor_set_timer(counts->parts.reactor, &counts->timer,
				now ? now_us : now_us + COUNTS_WRITE_US);
}

struct future *counts_stop(struct counts *counts)
{
	if (!counts->is_asked)
		return NULL;
	if (counts->is_stopping)
		return &counts->stopped;
	counts->parts.events->collect(counts->parts.events);
	future_init(&counts->stopped, counts->parts.reactor, NULL);
	counts->is_stopping = true;
	reactor_stop_timer(&counts->timer);
	work(counts);
	return &counts->stopped;
}

int counts_new(struct counts **ret, const struct counts_parts *parts)
{
	struct counts *counts = calloc(1, sizeof(*counts));
	int r;

	if (!counts)
		return -ENOMEM;
	counts->parts = *parts;
	counts->timer.fire = write_due;
	counts->exchange.job.run = job_run;
	counts->exchange.job.idle = job_idle;
	counts->path = strdup(parts->path);
	counts->exchange.path = counts->path;
	r = counts->path ? worker_key_new(&counts->key, parts->workers, 0) : -ENOMEM;
	if (r < 0) {
		counts_free(counts);
		return r;
	}
	*ret = counts;
	return 0;
}

struct counts *counts_free(struct counts *counts)
{
	if (!counts)
		return NULL;
	reactor_stop_timer(&counts->timer);
	count_file_close(counts->exchange.file);
	worker_key_free(counts->key);
	free(counts->exchange.loaded);
	free(counts->exchange.batch);
	free(counts->entries);
	free(counts->path);
	free(counts);
	return NULL;
}
