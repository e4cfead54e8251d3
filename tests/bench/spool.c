/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool's file beside bare SQLite with the same table, the same safety and the same batches:
 *
 *	bench-spool store|bare FILE READINGS
 *
 * Appends READINGS in transactions of 100, then takes them out again, 100 at a time: reads them, and
 * removes them. Prints a line of JSON: ns a reading for each, the size of the file.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store.h"

#define BATCH 100

static const char topic[] = "bench/sensor/s12345";
static const char payload[] = "{\"time\":\"2026-11-23T01:02:03.456Z\",\"value\":20.5}";

static void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "bench-spool: %s failed\n", what);
	exit(1);
}

static double now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct message *new_message(void)
{
	struct message *message = NULL;

	must(message_new(&message, topic, payload, sizeof(payload) - 1) == 0, "message_new");
	return message;
}

/* --- the spool's ---------------------------------------------------------------------------- */

static struct store *store;

static void store_begin(const char *path)
{
	char aside[STORE_PATH_SIZE];

	must(store_open(&store, path, false, aside) == 0, "store_open");
}

static void store_append(void)
{
	struct message *messages[BATCH];
	struct store_change change = { .messages = messages, .message_count = BATCH };
	struct store_result result;

	for (size_t i = 0; i < BATCH; i++)
		messages[i] = new_message();
	must(store_write(store, &change, &result) == 0, "store_write");
	for (size_t i = 0; i < BATCH; i++)
		message_free(messages[i]);
}

static void store_take(int64_t first)
{
	struct message *messages[BATCH];
	int64_t removed[BATCH];
	struct store_change change = { .removed = removed, .removed_count = BATCH };
	struct store_result result;

	must(store_load(store, first, first + BATCH - 1, messages, BATCH) == BATCH, "store_load");
	for (size_t i = 0; i < BATCH; i++) {
		removed[i] = messages[i]->row;
		message_free(messages[i]);
	}
	must(store_write(store, &change, &result) == 0, "store_write");
}

/* --- bare ----------------------------------------------------------------------------------- */

static sqlite3 *db;
static sqlite3_stmt *append, *load, *drop;

static void execute(const char *sql)
{
	must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *statement;

	must(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, sql);
	return statement;
}

static void bare_begin(const char *path)
{
	must(sqlite3_open(path, &db) == SQLITE_OK, "sqlite3_open");
	execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = "
		"FULL;"
		"PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 500;"
		"CREATE TABLE reading (row INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,"
		" payload BLOB NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL,"
		" expiry INTEGER NOT NULL)");
	append = prepare("INSERT INTO reading (topic, payload, qos, retain, expiry)"
			 " VALUES (?, ?, 1, 0, 0)");
	load = prepare(
		"SELECT row, topic, payload FROM reading WHERE row >= ? ORDER BY row LIMIT ?");
	drop = prepare("DELETE FROM reading WHERE row = ?");
}

static void bare_append(void)
{
	execute("BEGIN");
	for (int i = 0; i < BATCH; i++) {
		(void)sqlite3_bind_text(append, 1, topic, sizeof(topic) - 1, SQLITE_STATIC);
		(void)sqlite3_bind_blob(append, 2, payload, sizeof(payload) - 1, SQLITE_STATIC);
		must(sqlite3_step(append) == SQLITE_DONE, "INSERT");
		(void)sqlite3_reset(append);
	}
	execute("COMMIT");
}

static void bare_take(int64_t first)
{
	int64_t rows[BATCH];
	int count = 0;

	(void)sqlite3_bind_int64(load, 1, first);
	(void)sqlite3_bind_int(load, 2, BATCH);
	while (sqlite3_step(load) == SQLITE_ROW) {
		rows[count++] = sqlite3_column_int64(load, 0);
		free(memcpy(malloc((size_t)sqlite3_column_bytes(load, 2) + 1),
			    sqlite3_column_blob(load, 2), (size_t)sqlite3_column_bytes(load, 2)));
	}
	(void)sqlite3_reset(load);
	must(count == BATCH, "SELECT");
	execute("BEGIN");
	for (int i = 0; i < count; i++) {
		(void)sqlite3_bind_int64(drop, 1, rows[i]);
		must(sqlite3_step(drop) == SQLITE_DONE, "DELETE");
		(void)sqlite3_reset(drop);
	}
	execute("COMMIT");
}

int main(int argc, char **argv)
{
	bool is_bare = argc == 4 && strcmp(argv[1], "bare") == 0;
	void (*begin)(const char *) = is_bare ? bare_begin : store_begin;
	void (*add)(void) = is_bare ? bare_append : store_append;
	void (*take)(int64_t) = is_bare ? bare_take : store_take;
	double started_ns, appended_ns, taken_ns;
	struct stat status;
	long readings;

	must(argc == 4 && (is_bare || strcmp(argv[1], "store") == 0),
	     "usage: store|bare FILE READINGS:");
	readings = strtol(argv[3], NULL, 10);
	begin(argv[2]);
	started_ns = now_ns();
	for (long n = 0; n < readings; n += BATCH)
		add();
	appended_ns = now_ns();
	must(stat(argv[2], &status) == 0, "stat");
	for (long n = 0; n < readings; n += BATCH)
		take(n + 1);
	taken_ns = now_ns();
	printf("{\"peer\":\"%s\",\"workload\":\"spool\",\"events\":%ld,\"append_ns\":%.1f,"
	       "\"take_ns\":%.1f,\"bytes\":%lld}\n",
	       argv[1], readings, (appended_ns - started_ns) / (double)readings,
	       (taken_ns - appended_ns) / (double)readings, (long long)status.st_size);
}
