/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the spool gives to a worker and gets back: the worker's while the job is out. */

#include "iotd/worker.h"
#include "store.h"

#define WRITE_BATCH 4096
#define LOAD_BATCH  1024

/** enum phase - what the job is to do */
enum phase {
	PHASE_LOOK, /* open the file if it is there */
	PHASE_OPEN, /* open or make it */
	PHASE_SYNC,
	PHASE_CLOSE
};

/** struct rows - a growing list of row numbers */
struct rows {
	int64_t *rows;
	size_t count, size;
};

/** struct exchange - zeroed but for @path and job.run = exchange_run */
struct exchange {
	struct worker_job job;
	enum phase phase;
	int64_t realtime_us, now_us; /* when it was handed over, on either clock */
	const char *path;
	struct store *store;
	bool is_damaged; /* so is the file that was open last */
	char aside[STORE_PATH_SIZE];
	struct store_rows found;
	int64_t last_row; /* the greatest that ever was there */

	struct message *batch[WRITE_BATCH];
	struct rows removed;
	struct store_change change;
	struct store_result result;
	bool is_written, is_load_failed;
	struct store_rows wanted; /* to be loaded; .count 0: nothing */
	struct message *loaded[LOAD_BATCH];
	int loaded_count;
	uint64_t file_bytes; /* with its journal, after the job; 0: there is none */
};

/** rows_add() - out of memory: it is not added, and its reading may be sent twice */
void rows_add(struct rows *rows, int64_t row);

/** exchange_run() - the job. Return: 0; as store_open(), store_write() */
int exchange_run(struct worker_job *job);
