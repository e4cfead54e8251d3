/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A file of iotd's, as an SQLite database: how it is opened, whose it is, whether it is sound, and what
 * becomes of one that is not. Every call blocks: on a worker, one at a time. What is in it is its
 * owner's business (store.c, count-file.c).
 */

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DATABASE_PATH_SIZE 512

/** struct database - zeroed: closed */
struct database {
	sqlite3 *db;
	off_t size; /* of the file when it was last looked at */
};

/** struct database_kind - what tells one of our files from another's */
struct database_kind {
	int64_t application_id;
	int64_t version;
	int length_max;	    /* bytes of a row, at most */
	const char *create; /* SQL that makes a new one, application_id and user_version too */
	const char *tables; /* list of all SQL in sqlite_schema: "'CREATE TABLE …', …" */
};

/**
 * database_open() - open or make the file, as WAL with synchronous=FULL
 * @is_damaged: it is known to be: put it aside in any case
 * @aside:      "" or where a damaged file was put: "PATH.damaged-20261122T131500Z"
 *
 * What a COMMIT returned from survives a power cut (sqlite.org, "PRAGMA synchronous"). A file that is no
 * database, or that fails quick_check, is renamed with all that belongs to it, never deleted, and a
 * new one is made. Return: 0; errors as store_open(); closed then.
 */
int database_open(struct database *ret, const struct database_kind *kind, const char *path,
		  bool is_damaged, char aside[static DATABASE_PATH_SIZE]);

/** database_close() - all statements are finalized before; a closed one is fine */
void database_close(struct database *database);

/** database_errno() - 0 or a negative errno for SQLite's @code; -EBADMSG: the file is damaged */
int database_errno(const struct database *database, int code);

/** database_execute() - SQL without rows. Return: 0; as database_errno() */
int database_execute(struct database *database, const char *sql);

/** database_prepare() - a statement that is used again and again. Return: 0; as database_errno() */
int database_prepare(struct database *database, const char *sql, sqlite3_stmt **ret);

/** database_run() - @statement to its end, and back to its beginning. Return: 0; as database_errno() */
int database_run(struct database *database, sqlite3_stmt *statement);

/**
 * database_check_place() - before writing: is the file still where it was?
 *
 * Return: 0 it is as we left it; -EBADMSG it was cut off; -ESTALE somebody moved or deleted it, and a
 * new one can be made in its place; -ENOENT and such: nor can a new one be made.
 */
int database_check_place(struct database *database);
