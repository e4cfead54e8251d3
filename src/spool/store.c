/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool's file.
 *
 * SQLite because its torn-write safety is proven, because it is in every distribution, and because
 * sqlite3(1) can look into what it leaves. WAL and synchronous=FULL: one fsync a commit, and a
 * commit is a batch. AUTOINCREMENT, so that a row number is never used twice and "newer" always
 * means "greater"; the spool says which row, for it tells the number before the row is written. What
 * comes twice replaces itself: a commit that failed may have been made. Removed rows leave pages that
 * the next ones use; the file does not shrink.
 *
 * When a message expires is kept as CLOCK_REALTIME in microseconds, the only clock that goes on when
 * the host is off; 0: never.
 */
#include <errno.h>
#include <string.h>

#include "database.h"
#include "store.h"

#define ROW_MAX	   (INT64_MAX / 2) /* a greater one is not ours; and rows must not run out */
#define LENGTH_MAX (16 << 20)	   /* of a row; more is not held in memory either */
#define LOAD_BYTES (1 << 20)	   /* of messages at one go */
#define EXPIRE_MAX 4096 /* in one transaction: the log in front of the file is to stay small */

#define EXPIRY_LONGEST (UINT32_MAX * 1000000LL) /* mqtt.expiry has no more */

struct store {
	struct database file;
	sqlite3_stmt *append, *load, *sizes, *remove;
	int64_t realtime_us, now_us; /* the same moment */
	int64_t last_row;
};

/* as SQLite keeps it, word by word */
#define TABLE                                                                                      \
	"reading ("                                                                                \
	" row INTEGER PRIMARY KEY AUTOINCREMENT,"                                                  \
	" topic TEXT NOT NULL, payload BLOB NOT NULL,"                                             \
	" qos INTEGER NOT NULL, retain INTEGER NOT NULL,"                                          \
	" expiry INTEGER NOT NULL)"

static const struct database_kind kind = {
	.application_id = 0x696f7464, /* "iotd" */
	.version = 1,
	.length_max = LENGTH_MAX,
	.create = "BEGIN IMMEDIATE;"
		  "CREATE TABLE " TABLE ";"
		  "PRAGMA application_id = 1768911972;"
		  "PRAGMA user_version = 1;"
		  "COMMIT;",
	.tables = "'CREATE TABLE " TABLE "', 'CREATE TABLE sqlite_sequence(name,seq)'",
};

#define ROW_LENGTH "length(CAST(topic AS BLOB)) + length(payload)"

/* --- opening -------------------------------------------------------------------------------- */

static int prepare_all(struct store *store)
{
	int r;

	r = database_prepare(&store->file,
			     "INSERT OR REPLACE INTO reading"
			     " (topic, payload, qos, retain, expiry, row)"
			     " VALUES (?, ?, ?, ?, ?, ?)",
			     &store->append);
	if (r == 0)
		r = database_prepare(&store->file,
				     "SELECT row, topic, payload, qos, retain, expiry FROM reading"
				     " WHERE row BETWEEN ? AND ? ORDER BY row",
				     &store->load);
	if (r == 0)
		r = database_prepare(&store->file,
				     "SELECT row, " ROW_LENGTH ", expiry FROM reading"
				     " WHERE row BETWEEN ? AND ? ORDER BY row",
				     &store->sizes);
	if (r == 0)
		r = database_prepare(&store->file, "DELETE FROM reading WHERE row BETWEEN ? AND ?",
				     &store->remove);
	return r;
}

int store_open(struct store **ret, const char *path, bool is_damaged,
	       char aside[static STORE_PATH_SIZE])
{
	struct store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return -ENOMEM;
	r = database_open(&store->file, &kind, path, is_damaged, aside);
	if (r == 0)
		r = prepare_all(store);
	if (r < 0) {
		store_close(store);
		return r;
	}
	*ret = store;
	return 0;
}

void store_set_clock(struct store *store, int64_t realtime_us, int64_t now_us)
{
	store->realtime_us = realtime_us;
	store->now_us = now_us;
}

/* to CLOCK_REALTIME; 0 stays: never */
static int64_t expiry_to_file(const struct store *store, int64_t expires_us)
{
	return expires_us > 0 ? expires_us - store->now_us + store->realtime_us : 0;
}

/* and back; what iotd never writes is never */
static int64_t expiry_from_file(const struct store *store, int64_t expiry_us)
{
	int64_t left_us, expires_us;

	if (expiry_us <= 0 || __builtin_sub_overflow(expiry_us, store->realtime_us, &left_us) ||
	    left_us > EXPIRY_LONGEST)
		return 0;
	expires_us = left_us + store->now_us;
	return expires_us > 0 ? expires_us : 1;
}

struct store *store_close(struct store *store)
{
	if (!store)
		return NULL;
	(void)sqlite3_finalize(store->append);
	(void)sqlite3_finalize(store->load);
	(void)sqlite3_finalize(store->sizes);
	(void)sqlite3_finalize(store->remove);
	database_close(&store->file);
	free(store);
	return NULL;
}

int store_rows(struct store *store, struct store_rows *ret)
{
	struct store_rows rows = { 0 };
	sqlite3_stmt *statement = NULL;
	int64_t last_row = 0;
	int r;

	r = database_prepare(&store->file,
			     "SELECT coalesce(min(row), 0), coalesce(max(row), 0), count(*),"
			     " coalesce(sum(" ROW_LENGTH "), 0),"
			     " (SELECT count(*) FROM sqlite_sequence"
			     "  WHERE typeof(seq) <> 'integer' OR seq > ?),"
			     " (SELECT coalesce(max(seq), 0) FROM sqlite_sequence) FROM reading",
			     &statement);
	if (r == 0 && sqlite3_bind_int64(statement, 1, ROW_MAX) != SQLITE_OK)
		r = -ENOMEM;
	if (r == 0)
		r = database_errno(&store->file, sqlite3_step(statement));
	if (r == 0) {
		rows.first = sqlite3_column_int64(statement, 0);
		rows.last = sqlite3_column_int64(statement, 1);
		rows.count = (uint64_t)sqlite3_column_int64(statement, 2);
		rows.bytes =
			(uint64_t)sqlite3_column_int64(statement, 3) + rows.count * STORE_ROW_SIZE;
		last_row = sqlite3_column_int64(statement, 5);
		if (sqlite3_column_int(statement, 4) > 0) /* the next row's number would be none */
			r = -EBADMSG;
	}
	(void)sqlite3_finalize(statement);
	if (r == 0 && rows.count > 0 && (rows.first < 1 || rows.last > ROW_MAX))
		r = -EBADMSG;
	if (r < 0)
		return r;
	store->last_row = last_row > rows.last ? last_row : rows.last;
	*ret = rows;
	return 0;
}

int64_t store_last_row(const struct store *store)
{
	return store->last_row;
}

/* --- changes -------------------------------------------------------------------------------- */

/* SQLite finds a row behind all others where there is none */
static int bind_place(sqlite3_stmt *statement, int index, int64_t place)
{
	return place > 0 ? sqlite3_bind_int64(statement, index, place)
			 : sqlite3_bind_null(statement, index);
}

static int append_message(struct store *store, const struct message *message)
{
	sqlite3_stmt *statement = store->append;

	if (sqlite3_bind_text(statement, 1, message->topic, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_blob64(statement, 2, message->payload, message->length, SQLITE_STATIC) !=
		    SQLITE_OK ||
	    sqlite3_bind_int(statement, 3, message->qos) != SQLITE_OK ||
	    sqlite3_bind_int(statement, 4, message->retain) != SQLITE_OK ||
	    sqlite3_bind_int64(statement, 5, expiry_to_file(store, message->expires_us)) !=
		    SQLITE_OK ||
	    bind_place(statement, 6, message->place) != SQLITE_OK)
		return -ENOMEM;
	return database_run(&store->file, statement);
}

static int append_messages(struct store *store, const struct store_change *change, int64_t *first)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < change->message_count; i++) {
		r = append_message(store, change->messages[i]);
		if (i == 0)
			*first = sqlite3_last_insert_rowid(store->file.db);
	}
	return r;
}

static int bind_range(sqlite3_stmt *statement, int64_t first, int64_t last)
{
	return sqlite3_bind_int64(statement, 1, first) == SQLITE_OK &&
			       sqlite3_bind_int64(statement, 2, last) == SQLITE_OK
		       ? 0
		       : -ENOMEM;
}

static int remove_range(struct store *store, int64_t first, int64_t last)
{
	int r = bind_range(store->remove, first, last);

	return r < 0 ? r : database_run(&store->file, store->remove);
}

/* a run of rows that follow each other at one go: acknowledgements come in order */
static int remove_rows(struct store *store, const int64_t *rows, size_t count)
{
	size_t i = 0, run;
	int r = 0;

	for (; r == 0 && i < count; i += run) {
		for (run = 1; i + run < count && rows[i + run] == rows[i] + (int64_t)run;)
			run++;
		r = remove_range(store, rows[i], rows[i + run - 1]);
	}
	return r;
}

static bool is_over(const struct store *store, int64_t expiry_us)
{
	return expiry_us > 0 && expiry_us <= store->realtime_us;
}

/* sets what is trimmed and expired of @ret */
static int trim(struct store *store, const struct store_rows *range, struct store_result *ret)
{
	struct store_rows gone = { 0 };
	uint64_t expired = 0;
	int step, r;

	r = bind_range(store->sizes, range->first, range->last);
	if (r < 0)
		return r;
	while ((step = sqlite3_step(store->sizes)) != SQLITE_DONE) {
		bool over;

		r = database_errno(&store->file, step);
		if (r < 0)
			break;
		over = is_over(store, sqlite3_column_int64(store->sizes, 2));
		if (gone.bytes >= range->bytes && (!over || gone.count >= EXPIRE_MAX))
			break;
		expired += over;
		gone.last = sqlite3_column_int64(store->sizes, 0);
		gone.bytes += (uint64_t)sqlite3_column_int64(store->sizes, 1) + STORE_ROW_SIZE;
		gone.first = gone.count++ == 0 ? gone.last : gone.first;
	}
	(void)sqlite3_reset(store->sizes);
	if (r == 0 && gone.count > 0)
		r = remove_range(store, gone.first, gone.last);
	if (r == 0) {
		ret->trimmed = gone;
		ret->expired = expired;
	}
	return r;
}

int store_write(struct store *store, const struct store_change *change, struct store_result *ret)
{
	struct store_result result = { 0 };
	int r;

	r = database_check_place(&store->file);
	if (r == 0)
		r = database_execute(&store->file, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = remove_rows(store, change->removed, change->removed_count);
	if (r == 0 && change->trim.count > 0)
		r = trim(store, &change->trim, &result);
	if (r == 0)
		r = append_messages(store, change, &result.first_row);
	if (r == 0)
		r = database_execute(&store->file, "COMMIT");
	if (r < 0) {
		(void)database_execute(&store->file,
				       "ROLLBACK"); /* SQLite may have done that already */
		return r;
	}
	*ret = result;
	return 0;
}

/* --- loading -------------------------------------------------------------------------------- */

static int load_message(const struct store *store, struct message **ret)
{
	sqlite3_stmt *statement = store->load;
	const char *topic = (const char *)sqlite3_column_text(statement, 1);
	const void *payload = sqlite3_column_blob(statement, 2);
	struct message *message;
	int r;

	if (!topic)
		return -ENOMEM;
	r = message_new(&message, topic, payload, (size_t)sqlite3_column_bytes(statement, 2));
	if (r < 0)
		return r;
	message->row = message->place = sqlite3_column_int64(statement, 0);
	message->qos = (uint8_t)sqlite3_column_int(statement, 3);
	message->retain = sqlite3_column_int(statement, 4) != 0;
	message->expires_us = expiry_from_file(store, sqlite3_column_int64(statement, 5));
	*ret = message;
	return 0;
}

int store_load(struct store *store, int64_t first, int64_t last, struct message **messages,
	       size_t limit)
{
	size_t count = 0, bytes = 0;
	int step, r;

	r = bind_range(store->load, first, last);
	while (r == 0 && count < limit && bytes < LOAD_BYTES &&
	       (step = sqlite3_step(store->load)) != SQLITE_DONE) {
		r = database_errno(&store->file, step);
		if (r == 0)
			r = load_message(store, &messages[count]);
		if (r == 0)
			bytes += message_size(messages[count++]);
	}
	(void)sqlite3_reset(store->load);
	for (; r < 0 && count > 0; count--)
		message_free(messages[count - 1]);
	return r < 0 ? r : (int)count;
}
