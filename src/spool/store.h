/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The spool's file: an SQLite database of readings, oldest first by row. Every call blocks: on a
 * worker, one at a time. Only store.c knows SQLite.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "iotd/model.h"

#define STORE_PATH_SIZE 512 /* DATABASE_PATH_SIZE */
#define STORE_ROW_SIZE                                                                             \
	24 /* what a row takes besides topic and payload: 15, and the rest of its page */

struct store;

/** struct store_rows - a range of rows that are there */
struct store_rows {
	int64_t first, last; /* from 1; 0 and 0: none */
	uint64_t count;
	uint64_t bytes; /* the sum of their store_size() */
};

/** store_size() - bytes of the file that @message takes */
static inline uint64_t store_size(const struct message *message)
{
	return message->topic_length + message->length + STORE_ROW_SIZE;
}

/** store_rows_shrink() - @gone, the oldest of @rows, are there no more */
static inline void store_rows_shrink(struct store_rows *rows, const struct store_rows *gone)
{
	rows->first = gone->last + 1;
	rows->count -= gone->count < rows->count ? gone->count : rows->count;
	rows->bytes -= gone->bytes < rows->bytes ? gone->bytes : rows->bytes;
	if (rows->count == 0)
		*rows = (struct store_rows){ 0 };
}

/** struct store_change - what store_write() does in one transaction, in this order */
struct store_change {
	const int64_t *removed; /* rows that go */
	size_t removed_count;
	/* of this range the oldest go until .bytes have, and then those whose time is over */
	struct store_rows trim;
	/* rows that come, in their order: each as message.place says, or if that is 0 behind all others */
	struct message *const *messages;
	size_t message_count;
};

/** struct store_result - what it did */
struct store_result {
	struct store_rows trimmed;
	uint64_t expired;  /* of these: their time is over */
	int64_t first_row; /* of the messages */
};

/**
 * store_open() - open or make the file
 * @path:       its directory must be there
 * @is_damaged: it is known to be: put it aside in any case
 * @aside:      "" or where a damaged file was put: "PATH.damaged-20261122T131500Z"
 *
 * WAL with synchronous=FULL: what store_write() returned from survives a power cut (sqlite.org,
 * "PRAGMA synchronous"). A file that is no database, or that fails quick_check, is renamed with all
 * that belongs to it, never deleted, and a new one is made. Return: 0; -ENOENT, -EACCES, -EROFS,
 * -EISDIR, -ENOSPC, -EIO and such from the file system; -ENODEV it is neither file nor directory;
 * -EBUSY another process has it; -EMEDIUMTYPE it is another program's database, -EPROTONOSUPPORT
 * of a newer iotd: both are left alone; -ENAMETOOLONG; -ENOMEM.
 */
int store_open(struct store **ret, const char *path, bool is_damaged,
	       char aside[static STORE_PATH_SIZE]);

/**
 * store_set_clock() - what time it is, for store_write() and store_load()
 * @realtime_us: CLOCK_REALTIME: by it the file says when a message expires
 * @now_us: the same moment by the clock of message.expires_us
 */
void store_set_clock(struct store *store, int64_t realtime_us, int64_t now_us);

/** store_close() - NULL is fine. Returns NULL */
struct store *store_close(struct store *store);

/** store_rows() - what the file holds. Return: 0; as store_write() */
int store_rows(struct store *store, struct store_rows *ret);

/** store_last_row() - the greatest row that ever was, as of store_rows() */
int64_t store_last_row(const struct store *store);

/**
 * store_write() - one transaction; all of @change or nothing of it
 *
 * Return: 0; -ENOSPC, -EROFS, -EIO, -ENOMEM; -EBADMSG the file is damaged; -ESTALE somebody moved
 * or deleted it, and a new one can be made; -ENOENT and such: nor can a new one be made.
 */
int store_write(struct store *store, const struct store_change *change, struct store_result *ret);

/**
 * store_load() - copies of the oldest messages from row @first to row @last
 * @messages: takes up to @limit, fewer if they are large; each is the caller's; ->row and ->place are set
 * Return: how many, 0 only if there are none; errors as store_write().
 */
int store_load(struct store *store, int64_t first, int64_t last, struct message **messages,
	       size_t limit);
