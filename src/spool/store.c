/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool's file.
 *
 * SQLite because its torn-write safety is proven, because it is in every distribution, and because
 * sqlite3(1) can look into what it leaves. WAL and synchronous=FULL: one fsync a commit, and a
 * commit is a batch. AUTOINCREMENT, so that a row number is never used twice and "newer" always
 * means "greater". Removed rows leave pages that the next ones use; the file does not shrink.
 *
 * EXCLUSIVE before the first access: one owner, and no shared memory file (sqlite.org, "WAL mode
 * without shared memory"). secure_delete is on in Debian's build and would write each freed page.
 * What the file says is not trusted: no functions from its schema, no row of a size that no
 * reading has, and no schema but ours: a trigger could make readings vanish, a view never end.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store.h"

#define APPLICATION_ID 0x696f7464 /* "iotd" */
#define SCHEMA_VERSION 1
#define ROW_MAX	       (INT64_MAX / 2) /* a greater one is not ours; and rows must not run out */
#define LENGTH_MAX     (16 << 20)      /* of a row; more is not held in memory either */
#define LOAD_BYTES     (1 << 20)       /* of messages at one go */

struct store {
	sqlite3 *db;
	sqlite3_stmt *append, *load, *sizes, *remove;
	off_t size; /* of the file when it was last looked at */
};

static const char before_access[] = "PRAGMA locking_mode = EXCLUSIVE;"
				    "PRAGMA trusted_schema = OFF;";

/* as SQLite keeps it, word by word */
#define TABLE                                                                                      \
	"reading ("                                                                                \
	" row INTEGER PRIMARY KEY AUTOINCREMENT,"                                                  \
	" topic TEXT NOT NULL, payload BLOB NOT NULL,"                                             \
	" qos INTEGER NOT NULL, retain INTEGER NOT NULL,"                                          \
	" expiry INTEGER NOT NULL)"

static const char manners[] = "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = FULL;"
			      "PRAGMA secure_delete = OFF;"
			      "PRAGMA wal_autocheckpoint = 500;"
			      "PRAGMA journal_size_limit = 2097152;";

static const char schema[] = "BEGIN IMMEDIATE;"
			     "CREATE TABLE " TABLE ";"
			     "PRAGMA application_id = 1768911972;"
			     "PRAGMA user_version = 1;"
			     "COMMIT";

#define ROW_LENGTH "length(CAST(topic AS BLOB)) + length(payload)"

/* Return: 0 or a negative errno for SQLite's @code */
static int store_errno(sqlite3 *db, int code)
{
	int error;

	switch (code & 0xff) { /* the primary code */
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* the schema is not ours, and so on */
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return -EBADMSG;
	default:
		error = db ? sqlite3_system_errno(db) : 0;
		return error > 0 ? -error : -EIO;
	}
}

static int execute(struct store *store, const char *sql)
{
	return store_errno(store->db, sqlite3_exec(store->db, sql, NULL, NULL, NULL));
}

static int prepare(struct store *store, const char *sql, sqlite3_stmt **ret)
{
	return store_errno(store->db, sqlite3_prepare_v3(store->db, sql, -1,
							 SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

/* to the end. Return: 0 or a negative errno */
static int run_statement(struct store *store, sqlite3_stmt *statement)
{
	int r = store_errno(store->db, sqlite3_step(statement));

	(void)sqlite3_reset(statement);
	return r;
}

/* --- opening -------------------------------------------------------------------------------- */

/* the first column of the first row */
static int query_number(struct store *store, const char *sql, int64_t *ret)
{
	sqlite3_stmt *statement = NULL;
	int r;

	r = prepare(store, sql, &statement);
	if (r == 0)
		r = store_errno(store->db, sqlite3_step(statement));
	if (r == 0)
		*ret = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	return r;
}

/* Return: 0 ours, or nobody's (@is_new); -EMEDIUMTYPE another's; -EPROTONOSUPPORT a newer one */
static int check_owner(struct store *store, bool *is_new)
{
	int64_t id = 0, version = 0, tables = 0;
	int r;

	r = query_number(store, "PRAGMA application_id", &id);
	if (r == 0)
		r = query_number(store, "PRAGMA user_version", &version);
	if (r == 0)
		r = query_number(store, "SELECT count(*) FROM sqlite_master", &tables);
	if (r < 0)
		return r;
	*is_new = id == 0 && version == 0 && tables == 0;
	if (id != APPLICATION_ID && !*is_new)
		return -EMEDIUMTYPE;
	if (version > SCHEMA_VERSION)
		return -EPROTONOSUPPORT;
	return version == SCHEMA_VERSION || *is_new ? 0 : -EBADMSG;
}

/* nothing is in it but what we made. Return: 0; -EBADMSG */
static int check_schema(struct store *store)
{
	int64_t strangers = 0;
	int r;

	r = query_number(store,
			 "SELECT count(*) FROM sqlite_schema WHERE coalesce(sql, '') NOT IN"
			 " ('CREATE TABLE " TABLE "', 'CREATE TABLE sqlite_sequence(name,seq)')",
			 &strangers);
	return r == 0 && strangers > 0 ? -EBADMSG : r;
}

/* Return: 0; -EBADMSG damaged */
static int check_sound(struct store *store)
{
	sqlite3_stmt *check = NULL;
	int r;

	r = check_schema(store); /* first: a check follows the schema */
	if (r == 0)
		r = prepare(store, "PRAGMA quick_check(1)", &check);
	if (r == 0)
		r = store_errno(store->db, sqlite3_step(check));
	if (r == 0 && strcmp((const char *)sqlite3_column_text(check, 0), "ok") != 0)
		r = -EBADMSG;
	(void)sqlite3_finalize(check);
	return r;
}

static int prepare_all(struct store *store)
{
	int r;

	r = prepare(store,
		    "INSERT INTO reading (topic, payload, qos, retain, expiry)"
		    " VALUES (?, ?, ?, ?, ?)",
		    &store->append);
	if (r == 0)
		r = prepare(store,
			    "SELECT row, topic, payload, qos, retain, expiry FROM reading"
			    " WHERE row BETWEEN ? AND ? ORDER BY row",
			    &store->load);
	if (r == 0)
		r = prepare(store,
			    "SELECT row, " ROW_LENGTH " FROM reading"
			    " WHERE row BETWEEN ? AND ? ORDER BY row",
			    &store->sizes);
	if (r == 0)
		r = prepare(store, "DELETE FROM reading WHERE row BETWEEN ? AND ?", &store->remove);
	return r;
}

/* why SQLite could not: it tries again read-only, and tells only how that went */
static int try_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return -EIO;
}

/* Return: 0; -EBADMSG it was cut off: it only ever grows */
static int check_size(struct store *store, const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	if (status.st_size < store->size)
		return -EBADMSG;
	store->size = status.st_size;
	return 0;
}

static int open_at(struct store *store, const char *path)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	struct stat status;
	bool is_new = false;
	int r;

	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? -EISDIR : -ENODEV; /* a fifo would hang */
	r = sqlite3_open_v2(path, &store->db, flags, NULL);
	if (r == SQLITE_NOMEM)
		return -ENOMEM;
	if (r != SQLITE_OK || sqlite3_db_readonly(store->db, "main") != 0)
		return try_open(path);
	(void)sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
	r = execute(store, before_access);
	if (r == 0)
		r = check_owner(store, &is_new);
	if (r == 0)
		r = check_sound(store);
	if (r == 0)
		r = execute(store, manners);
	if (r == 0 && is_new)
		r = execute(store, schema);
	if (r == 0)
		r = check_size(store, path);
	return r < 0 ? r : prepare_all(store);
}

static void close_db(struct store *store)
{
	(void)sqlite3_finalize(store->append);
	(void)sqlite3_finalize(store->load);
	(void)sqlite3_finalize(store->sizes);
	(void)sqlite3_finalize(store->remove);
	(void)sqlite3_close_v2(store->db);
	*store = (struct store){ 0 };
}

/* a name beside @path that nothing has yet */
static int name_aside(const char *path, char aside[static STORE_PATH_SIZE])
{
	time_t now = time(NULL);
	struct tm utc;
	char stamp[32];

	if (!gmtime_r(&now, &utc) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc) == 0)
		return -EOVERFLOW;
	for (int i = 0; i < 100; i++) {
		char more[16] = "";
		int length;

		if (i > 0)
			(void)snprintf(more, sizeof(more), "-%d", i);
		length = snprintf(aside, STORE_PATH_SIZE, "%s.damaged-%s%s", path, stamp, more);
		if (length >= STORE_PATH_SIZE)
			return -ENAMETOOLONG;
		if (access(aside, F_OK) < 0)
			return errno == ENOENT ? 0 : -errno;
	}
	return -EEXIST;
}

/* rename @path and what belongs to it, itself last: a crash in between is found again */
static int set_aside(const char *path, char aside[static STORE_PATH_SIZE])
{
	static const char *const tails[] = { "-wal", "-journal", "-shm", "" };
	char from[STORE_PATH_SIZE + 16], to[STORE_PATH_SIZE + 16];
	int r;

	r = name_aside(path, aside);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tails); i++) {
		(void)snprintf(from, sizeof(from), "%s%s", path, tails[i]);
		(void)snprintf(to, sizeof(to), "%s%s", aside, tails[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			r = -errno;
	}
	if (r < 0)
		aside[0] = '\0';
	return r;
}

int store_open(struct store **ret, const char *path, bool is_damaged,
	       char aside[static STORE_PATH_SIZE])
{
	struct store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return -ENOMEM;
	aside[0] = '\0';
	r = is_damaged ? -EBADMSG : open_at(store, path);
	if (r == -EBADMSG) {
		close_db(store);
		r = set_aside(path, aside);
		if (r == 0)
			r = open_at(store, path);
		if (r == -EBADMSG)
			r = -EIO; /* not the file, but the disk */
	}
	if (r < 0) {
		store_close(store);
		return r;
	}
	*ret = store;
	return 0;
}

struct store *store_close(struct store *store)
{
	if (!store)
		return NULL;
	close_db(store);
	free(store);
	return NULL;
}

int store_rows(struct store *store, struct store_rows *ret)
{
	struct store_rows rows = { 0 };
	sqlite3_stmt *statement = NULL;
	int r;

	r = prepare(store,
		    "SELECT coalesce(min(row), 0), coalesce(max(row), 0), count(*),"
		    " coalesce(sum(" ROW_LENGTH "), 0),"
		    " (SELECT count(*) FROM sqlite_sequence"
		    "  WHERE typeof(seq) <> 'integer' OR seq > ?) FROM reading",
		    &statement);
	if (r == 0 && sqlite3_bind_int64(statement, 1, ROW_MAX) != SQLITE_OK)
		r = -ENOMEM;
	if (r == 0)
		r = store_errno(store->db, sqlite3_step(statement));
	if (r == 0) {
		rows.first = sqlite3_column_int64(statement, 0);
		rows.last = sqlite3_column_int64(statement, 1);
		rows.count = (uint64_t)sqlite3_column_int64(statement, 2);
		rows.bytes =
			(uint64_t)sqlite3_column_int64(statement, 3) + rows.count * STORE_ROW_SIZE;
		if (sqlite3_column_int(statement, 4) > 0) /* the next row's number would be none */
			r = -EBADMSG;
	}
	(void)sqlite3_finalize(statement);
	if (r == 0 && rows.count > 0 && (rows.first < 1 || rows.last > ROW_MAX))
		r = -EBADMSG;
	if (r == 0)
		*ret = rows;
	return r;
}

/* --- changes -------------------------------------------------------------------------------- */

static int append_message(struct store *store, const struct message *message)
{
	sqlite3_stmt *statement = store->append;

	if (sqlite3_bind_text(statement, 1, message->topic, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_blob64(statement, 2, message->payload, message->length, SQLITE_STATIC) !=
		    SQLITE_OK ||
	    sqlite3_bind_int(statement, 3, message->qos) != SQLITE_OK ||
	    sqlite3_bind_int(statement, 4, message->retain) != SQLITE_OK ||
	    sqlite3_bind_int64(statement, 5, message->expiry_s) != SQLITE_OK)
		return -ENOMEM;
	return run_statement(store, statement);
}

static int append_messages(struct store *store, const struct store_change *change, int64_t *first)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < change->message_count; i++) {
		r = append_message(store, change->messages[i]);
		if (i == 0)
			*first = sqlite3_last_insert_rowid(store->db);
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

	return r < 0 ? r : run_statement(store, store->remove);
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

static int trim(struct store *store, const struct store_rows *range, struct store_rows *ret)
{
	struct store_rows gone = { 0 };
	int step, r;

	r = bind_range(store->sizes, range->first, range->last);
	if (r < 0)
		return r;
	while (gone.bytes < range->bytes && (step = sqlite3_step(store->sizes)) != SQLITE_DONE) {
		r = store_errno(store->db, step);
		if (r < 0)
			break;
		gone.last = sqlite3_column_int64(store->sizes, 0);
		gone.bytes += (uint64_t)sqlite3_column_int64(store->sizes, 1) + STORE_ROW_SIZE;
		gone.first = gone.count++ == 0 ? gone.last : gone.first;
	}
	(void)sqlite3_reset(store->sizes);
	if (r == 0 && gone.count > 0)
		r = remove_range(store, gone.first, gone.last);
	if (r == 0)
		*ret = gone;
	return r;
}

/* Return: 0 it is as we left it; -EBADMSG; -ESTALE another may be made in its place; else why not */
static int check_place(struct store *store)
{
	const char *path = sqlite3_db_filename(store->db, "main");
	int has_moved = 0, r;

	(void)sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
	if (!has_moved)
		return check_size(store, path);
	r = try_open(path);
	return r == -EIO ? -ESTALE : r;
}

int store_write(struct store *store, const struct store_change *change, struct store_result *ret)
{
	struct store_result result = { 0 };
	int r;

	r = check_place(store);
	if (r == 0)
		r = execute(store, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	r = remove_rows(store, change->removed, change->removed_count);
	if (r == 0 && change->trim.bytes > 0)
		r = trim(store, &change->trim, &result.trimmed);
	if (r == 0)
		r = append_messages(store, change, &result.first_row);
	if (r == 0)
		r = execute(store, "COMMIT");
	if (r < 0) {
		(void)execute(store, "ROLLBACK"); /* SQLite may have done that already */
		return r;
	}
	*ret = result;
	return 0;
}

/* --- loading -------------------------------------------------------------------------------- */

static int load_message(sqlite3_stmt *statement, struct message **ret)
{
	const char *topic = (const char *)sqlite3_column_text(statement, 1);
	const void *payload = sqlite3_column_blob(statement, 2);
	struct message *message;
	int r;

	if (!topic)
		return -ENOMEM;
	r = message_new(&message, topic, payload, (size_t)sqlite3_column_bytes(statement, 2));
	if (r < 0)
		return r;
	message->row = sqlite3_column_int64(statement, 0);
	message->qos = (uint8_t)sqlite3_column_int(statement, 3);
	message->retain = sqlite3_column_int(statement, 4) != 0;
	message->expiry_s = (uint32_t)sqlite3_column_int64(statement, 5);
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
		r = store_errno(store->db, step);
		if (r == 0)
			r = load_message(store->load, &messages[count]);
		if (r == 0)
			bytes += message_size(messages[count++]);
	}
	(void)sqlite3_reset(store->load);
	for (; r < 0 && count > 0; count--)
		message_free(messages[count - 1]);
	return r < 0 ? r : (int)count;
}
