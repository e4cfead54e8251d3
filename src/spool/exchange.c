/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "exchange.h"

void rows_add(struct rows *rows, int64_t row)
{
	size_t size = rows->size ? rows->size * 2 : 256;
	int64_t *grown;

	if (rows->count == rows->size) {
		grown = reallocarray(rows->rows, size, sizeof(*grown));
		if (!grown)
			return;
		rows->rows = grown;
		rows->size = size;
	}
	rows->rows[rows->count++] = row;
}

static int job_open(struct exchange *x)
{
	int r;

	x->store = store_close(x->store);
	r = store_open(&x->store, x->path, x->is_damaged, x->aside);
	x->is_damaged &= x->aside[0] == '\0';
	if (r == 0)
		r = store_rows(x->store, &x->found);
	if (r == 0)
		x->last_row = store_last_row(x->store);
	return r;
}

static int job_write(struct exchange *x)
{
	const struct store_change *change = &x->change;
	int r;

	if (change->message_count == 0 && change->removed_count == 0 && change->trim.bytes == 0)
		return 0;
	r = store_write(x->store, change, &x->result);
	x->is_written = r == 0;
	return r;
}

static int job_load(struct exchange *x)
{
	int64_t first = x->wanted.first;
	int r;

	if (x->wanted.count == 0)
		return 0;
	if (first <= x->result.trimmed.last)
		first = x->result.trimmed.last + 1;
	r = store_load(x->store, first, x->wanted.last, x->loaded, LOAD_BATCH);
	x->loaded_count = r < 0 ? 0 : r;
	x->is_load_failed = r < 0;
	return r < 0 ? r : 0;
}

/* a full disk can still be read */
static int job_sync(struct exchange *x)
{
	int written, loaded;

	store_set_clock(x->store, x->realtime_us, x->now_us);
	written = job_write(x);
	if (written == -EBADMSG || written == -ESTALE)
		return written;
	loaded = job_load(x);
	return loaded < 0 ? loaded : written;
}

static uint64_t bytes_of(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
}

static void measure(struct exchange *x)
{
	char journal[STORE_PATH_SIZE];

	(void)snprintf(journal, sizeof(journal), "%s-wal", x->path);
	x->file_bytes = bytes_of(x->path) + bytes_of(journal);
}

static int run_phase(struct exchange *x)
{
	switch (x->phase) {
	case PHASE_LOOK:
		if (access(x->path, F_OK) < 0 && errno == ENOENT)
			return 0; /* made when there is something to write */
		return job_open(x);
	case PHASE_OPEN:
		return job_open(x);
	case PHASE_SYNC:
		return job_sync(x);
	case PHASE_CLOSE:
		x->store = store_close(x->store);
		return 0;
	}
	return 0;
}

int exchange_run(struct worker_job *job)
{
	struct exchange *x = container_of(job, struct exchange, job);
	int r = run_phase(x);

	measure(x);
	return r;
}
