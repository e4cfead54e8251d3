/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * EXCLUSIVE before the first access: one owner, and no shared memory file (sqlite.org, "WAL mode
 * without shared memory"). secure_delete is on in Debian's build and would write each freed page.
 * What a file says is not trusted: no functions from its schema, no row of a size that is never
 * written, and no schema but ours: a trigger could make rows vanish, a view never end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "database.h"
#include "iotd/base.h"

static const char before_access[] = "PRAGMA locking_mode = EXCLUSIVE;"
				    "PRAGMA trusted_schema = OFF;";

static const char manners[] = "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = FULL;"
			      "PRAGMA secure_delete = OFF;"
			      "PRAGMA wal_autocheckpoint = 500;"
			      "PRAGMA journal_size_limit = 2097152;";

int database_errno(const struct database *database, int code)
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
		error = database->db ? sqlite3_system_errno(database->db) : 0;
		return error > 0 ? -error : -EIO;
	}
}

int database_execute(struct database *database, const char *sql)
{
	return database_errno(database, sqlite3_exec(database->db, sql, NULL, NULL, NULL));
}

int database_prepare(struct database *database, const char *sql, sqlite3_stmt **ret)
{
	return database_errno(database, sqlite3_prepare_v3(database->db, sql, -1,
							   SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

int database_run(struct database *database, sqlite3_stmt *statement)
{
	int r = database_errno(database, sqlite3_step(statement));

	(void)sqlite3_reset(statement);
	return r;
}

/* --- opening -------------------------------------------------------------------------------- */

/* the first column of the first row */
static int query_number(struct database *database, const char *sql, int64_t *ret)
{
	sqlite3_stmt *statement = NULL;
	int r;

	r = database_prepare(database, sql, &statement);
	if (r == 0)
		r = database_errno(database, sqlite3_step(statement));
	if (r == 0)
		*ret = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	return r;
}

/* Return: 0 ours, or nobody's (@is_new); -EMEDIUMTYPE another's; -EPROTONOSUPPORT a newer one */
static int check_owner(struct database *database, const struct database_kind *kind, bool *is_new)
{
	int64_t id = 0, version = 0, tables = 0;
	int r;

	r = query_number(database, "PRAGMA application_id", &id);
	if (r == 0)
		r = query_number(database, "PRAGMA user_version", &version);
	if (r == 0)
		r = query_number(database, "SELECT count(*) FROM sqlite_master", &tables);
	if (r < 0)
		return r;
	*is_new = id == 0 && version == 0 && tables == 0;
	if (id != kind->application_id && !*is_new)
		return -EMEDIUMTYPE;
	if (version > kind->version)
		return -EPROTONOSUPPORT;
	return version == kind->version || *is_new ? 0 : -EBADMSG;
}

/* nothing is in it but what we made. Return: 0; -EBADMSG */
static int check_schema(struct database *database, const struct database_kind *kind)
{
	int64_t strangers = 0;
	char sql[768];
	int r;

	(void)snprintf(sql, sizeof(sql),
		       "SELECT count(*) FROM sqlite_schema WHERE coalesce(sql, '') NOT IN (%s)",
		       kind->tables);
	r = query_number(database, sql, &strangers);
	return r == 0 && strangers > 0 ? -EBADMSG : r;
}

/* Return: 0; -EBADMSG damaged */
static int check_sound(struct database *database, const struct database_kind *kind)
{
	sqlite3_stmt *check = NULL;
	int r;

	r = check_schema(database, kind); /* first: a check follows the schema */
	if (r == 0)
		r = database_prepare(database, "PRAGMA quick_check(1)", &check);
	if (r == 0)
		r = database_errno(database, sqlite3_step(check));
	if (r == 0 && strcmp((const char *)sqlite3_column_text(check, 0), "ok") != 0)
		r = -EBADMSG;
	(void)sqlite3_finalize(check);
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
static int check_size(struct database *database, const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	if (status.st_size < database->size)
		return -EBADMSG;
	database->size = status.st_size;
	return 0;
}

static int open_at(struct database *database, const struct database_kind *kind, const char *path)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	struct stat status;
	bool is_new = false;
	int r;

	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? -EISDIR : -ENODEV; /* a fifo would hang */
	r = sqlite3_open_v2(path, &database->db, flags, NULL);
	if (r == SQLITE_NOMEM)
		return -ENOMEM;
	if (r != SQLITE_OK || sqlite3_db_readonly(database->db, "main") != 0)
		return try_open(path);
	(void)sqlite3_limit(database->db, SQLITE_LIMIT_LENGTH, kind->length_max);
	r = database_execute(database, before_access);
	if (r == 0)
		r = check_owner(database, kind, &is_new);
	if (r == 0)
		r = check_sound(database, kind);
	/* it was opened for writing: only the version in its header says otherwise, which no SQLite has written */
	if (r == 0 && sqlite3_db_readonly(database->db, "main") != 0)
		r = -EBADMSG;
	if (r == 0)
		r = database_execute(database, manners);
	if (r == 0 && is_new)
		r = database_execute(database, kind->create);
	return r < 0 ? r : check_size(database, path);
}

void database_close(struct database *database)
{
	(void)sqlite3_close_v2(database->db);
	*database = (struct database){ 0 };
}

/* a name beside @path that nothing has yet */
static int name_aside(const char *path, char aside[static DATABASE_PATH_SIZE])
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
		length = snprintf(aside, DATABASE_PATH_SIZE, "%s.damaged-%s%s", path, stamp, more);
		if (length >= DATABASE_PATH_SIZE)
			return -ENAMETOOLONG;
		if (access(aside, F_OK) < 0)
			return errno == ENOENT ? 0 : -errno;
	}
	return -EEXIST;
}

/* rename @path and what belongs to it, itself last: a crash in between is found again */
static int set_aside(const char *path, char aside[static DATABASE_PATH_SIZE])
{
	static const char *const tails[] = { "-wal", "-journal", "-shm", "" };
	char from[DATABASE_PATH_SIZE + 16], to[DATABASE_PATH_SIZE + 16];
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

int database_open(struct database *ret, const struct database_kind *kind, const char *path,
		  bool is_damaged, char aside[static DATABASE_PATH_SIZE])
{
	struct database database = { 0 };
	int r;

	aside[0] = '\0';
	r = is_damaged ? -EBADMSG : open_at(&database, kind, path);
	if (r == -EBADMSG) {
		database_close(&database);
		r = set_aside(path, aside);
		if (r == 0)
			r = open_at(&database, kind, path);
		if (r == -EBADMSG)
			r = -EIO; /* not the file, but the disk */
	}
	if (r < 0)
		database_close(&database);
	else
		*ret = database;
	return r;
}

int database_check_place(struct database *database)
{
	const char *path = sqlite3_db_filename(database->db, "main");
	int has_moved = 0, r;

	(void)sqlite3_file_control(database->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
	if (!has_moved)
		return check_size(database, path);
	r = try_open(path);
	return r == -EIO ? -ESTALE : r;
}
