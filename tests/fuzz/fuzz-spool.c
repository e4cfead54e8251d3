/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool on a file that somebody else made. The input: a byte that says how large it may be, and what the rest is: bytes of
 * the file; a length in two bytes and then bytes of the file and of its -wal; or SQL that makes the file, on
 * an empty one or on one of ours. Mostly the file says that it is ours, or the rest would not be looked at.
 *
 * Promises: iotd starts, whatever the file is; that of another program is left alone, byte for byte; a damaged one is put aside and is still there; what was pushed and not acknowledged is in the file at the end, in its order,
 * behind all that was there before.
 */
#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <unistd.h>

#include "fuzz.h"

#include "iotd/base.h"
#include "iotd/spool.h"
#include "iotd/task.h"
#include "spool/store.h"

#define PATH	   "spool.db"
#define PUSHED	   5 /* the last right before the stop */
#define WINDOW	   64
#define TAKEN_MAX  5000
#define SQL_STEPS  200000
#define SQL_LENGTH 100000

static const char magic[] = "SQLite format 3"; /* with its NUL */

static struct reactor *reactor;
static struct workers *workers;
static char aside[STORE_PATH_SIZE];
static int asides;
static bool is_anothers;

/* --- the file ------------------------------------------------------------------------------- */

static void remove_files(void)
{
	DIR *folder = opendir(".");
	const struct dirent *entry;

	must(folder);
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			must(unlink(entry->d_name) == 0);
	(void)closedir(folder);
}

static int stop_long(void *steps)
{
	return ++*(int *)steps > SQL_STEPS / 1000;
}

/* nothing but this file */
static int authorize(void *data, int action, const char *first, const char *second,
		     const char *third, const char *fourth)
{
	static const char *const pragmas[] = { "user_version",	 "encoding",
					       "page_size",	 "auto_vacuum",
					       "journal_mode",	 "writable_schema",
					       "application_id", "legacy_file_format" };
	(void)data;
	(void)second;
	(void)third;
	(void)fourth;
	if (action == SQLITE_ATTACH || action == SQLITE_DETACH)
		return SQLITE_DENY;
	if (action != SQLITE_PRAGMA)
		return SQLITE_OK;
	for (size_t i = 0; i < ARRAY_SIZE(pragmas); i++)
		if (sqlite3_stricmp(first, pragmas[i]) == 0)
			return SQLITE_OK;
	return SQLITE_DENY;
}

static void make_by_sql(const char *sql)
{
	sqlite3 *db;
	int steps = 0;

	must(sqlite3_open(PATH, &db) == SQLITE_OK);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, SQL_LENGTH);
	sqlite3_progress_handler(db, 1000, stop_long, &steps);
	(void)sqlite3_set_authorizer(db, authorize, NULL);
	(void)sqlite3_exec(db, sql, NULL, NULL, NULL);
	(void)sqlite3_close_v2(db);
}

static void make_ours(void)
{
	struct store *store;

	must(store_open(&store, PATH, false, aside) == 0 && !aside[0]);
	store_close(store);
}

/* the application id: https://www.sqlite.org/fileformat.html, 1.3.14 */
static void call_ours(void)
{
	size_t length;
	cleanup(freep) uint8_t *file = file_get(PATH, &length);

	if (!file || length < 100 || memcmp(file, magic, sizeof(magic)) != 0)
		return;
	memcpy(file + 68, "iotd", 4);
	file_put(PATH, file, length);
}

static void make_file(struct input *input)
{
	uint8_t kind = input_byte(input) % 4;
	size_t length = kind == 1 ? input_number(input, 65536) : input->left;
	cleanup(freep) char *sql = NULL;

	length = length > input->left ? input->left : length;
	if (kind < 2) {
		file_put(PATH, input->data, length);
		if (kind == 1)
			file_put(PATH "-wal", input->data + length, input->left - length);
		return;
	}
	if (kind == 3)
		make_ours();
	sql = input_until(input, '\0', NULL);
	make_by_sql(sql);
}

/* what is no database was not touched, but for its name */
static void check_aside(const uint8_t *before, size_t length)
{
	size_t kept_length = 0;
	cleanup(freep) uint8_t *kept = file_get(aside, &kept_length);

	must(kept);
	if (length >= sizeof(magic) && memcmp(before, magic, sizeof(magic)) != 0)
		must(kept_length == length && memcmp(kept, before, length) == 0);
}

/* --- the spool ------------------------------------------------------------------------------ */

static void told_fault(struct spool_events *events, int error, const char *why)
{
	(void)events;
	must(error <= 0 && (error == 0) == (why == NULL));
	/* nothing but the file is wrong here */
	must(error == 0 || error == -EBADMSG || error == -EMEDIUMTYPE || error == -EPROTONOSUPPORT);
	is_anothers |= error == -EMEDIUMTYPE || error == -EPROTONOSUPPORT;
}

static void told_aside(struct spool_events *events, const char *path)
{
	(void)events;
	asides++;
	must(strncmp(path, PATH ".damaged-", strlen(PATH ".damaged-")) == 0);
	(void)snprintf(aside, sizeof(aside), "%s", path);
	must(access(aside, F_OK) == 0);
}

static uint64_t discarded;

static void told_discarding(struct spool_events *events, enum spool_bound bound)
{
	(void)events;
	(void)bound;
}

static void told_discarded(struct spool_events *events, uint64_t count, int64_t duration_us)
{
	(void)events;
	must(count > 0 && duration_us >= 0);
	discarded += count;
}

static int step_end(struct task *task, int result)
{
	(void)task;
	return result;
}

static int step_sleep(struct task *task, int result)
{
	(void)result;
	return task_sleep(task, *(int64_t *)task_data(task), step_end);
}

static int step_await(struct task *task, int result)
{
	(void)result;
	return task_await_for(task, task_data(task), 600 * 1000000LL, step_end);
}

static int run(int (*step)(struct task *task, int result), void *data)
{
	struct task *task;
	int r;

	must(task_spawn(&task, reactor, step, data, NULL) == 0);
	r = reactor_run(reactor, task);
	task_release(task);
	return r;
}

static void push(struct spool *spool, int number)
{
	struct message *message;
	char payload[32];
	int length = snprintf(payload, sizeof(payload), "ours %d", number);

	must(message_new(&message, "t/ours", payload, (size_t)length) == 0);
	message->qos = 1;
	(void)spool_push(spool, message);
}

static bool is_ours(const struct message *message, int number)
{
	char payload[32];
	int length = snprintf(payload, sizeof(payload), "ours %d", number);

	return strcmp(message->topic, "t/ours") == 0 && message->length == (size_t)length &&
	       memcmp(message->payload, payload, message->length) == 0;
}

/* a window of readings is in flight when the connection breaks */
static void take_some(struct spool *spool)
{
	int taken = 0;

	while (taken < WINDOW && spool_next(spool))
		taken++;
	must(run(step_sleep, &(int64_t){ 1000000 }) == 0);
	spool_rewind(spool);
}

/* all are acknowledged but ours, of which only the first is. Return: how many of ours came, in order */
static int take_all(struct spool *spool)
{
	struct message *message;
	int seen = 0, taken = 0;

	for (int idle = 0; idle < 7 && taken < TAKEN_MAX; idle++) {
		while ((message = spool_next(spool)) && taken++ < TAKEN_MAX) {
			idle = 0;
			if (seen < PUSHED - 1 && is_ours(message, seen))
				seen++;
			if (seen < 2)
				spool_done(spool, message->id);
		}
		must(run(step_sleep, &(int64_t){ 1000000 }) == 0);
	}
	return taken < TAKEN_MAX ? seen : PUSHED - 1;
}

static void use_spool(uint64_t max_size)
{
	static struct spool_events events = { told_fault, told_aside, told_discarding,
					      told_discarded };
	static char path[] = PATH;
	const struct spool_settings settings = { .path = path, .max_size = max_size };
	struct stats stats = { 0 };
	const struct spool_parts parts = { reactor, workers, &settings, &events, &stats };
	int64_t moment_us = 2000000;
	struct spool *spool;

	must(spool_new(&spool, &parts) == 0);
	for (int i = 0; i < PUSHED - 1; i++)
		push(spool, i);
	must(run(step_sleep, &moment_us) == 0);
	take_some(spool);
	must(take_all(spool) == PUSHED - 1);
	spool_rewind(spool);
	push(spool, PUSHED - 1);
	must(run(step_await, spool_stop(spool)) == 0);
	must(stats.in_flight == 0);
	must(discarded <= stats.discarded);
	spool_free(spool);
}

/* row numbers that began right below the greatest that is taken */
static bool sequence_is_over(struct store *store)
{
	sqlite3_stmt *statement;
	sqlite3 *db;
	int64_t last = 0;

	store_close(store);
	must(sqlite3_open(PATH, &db) == SQLITE_OK);
	must(sqlite3_prepare_v2(db, "SELECT max(seq) FROM sqlite_sequence", -1, &statement, NULL) ==
	     SQLITE_OK);
	must(sqlite3_step(statement) == SQLITE_ROW);
	last = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close_v2(db);
	return last > INT64_MAX / 2;
}

/* ours that were not acknowledged are the last ones of the file */
static void check_file(void)
{
	static struct message *messages[TAKEN_MAX];
	struct store_rows rows;
	struct store *store;
	char again[STORE_PATH_SIZE];
	int64_t first;
	int count, next = 1;

	must(store_open(&store, PATH, false, again) == 0 && !again[0]);
	if (store_rows(store, &rows) < 0) {
		must(sequence_is_over(store));
		return;
	}
	must(rows.count >= PUSHED - 1);
	first = rows.last - (PUSHED - 2);
	count = store_load(store, first, rows.last, messages, TAKEN_MAX);
	must(count == PUSHED - 1);
	for (int i = 0; i < count; i++) {
		must(is_ours(messages[i], next++));
		message_free(messages[i]);
	}
	store_close(store);
}

static void check_left_alone(const uint8_t *before, size_t length)
{
	size_t after_length = 0;
	cleanup(freep) uint8_t *after = file_get(PATH, &after_length);

	must(asides == 0);
	must(after && after_length == length && memcmp(before, after, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	cleanup(freep) uint8_t *before = NULL;
	size_t length = 0;
	bool has_log;

	folder_enter();
	if (!reactor) {
		must(reactor_new_virtual(&reactor, 0) == 0);
		must(workers_new(&workers, reactor, "work", 1) == 0);
	}
	remove_files();
	make_file(&input);
	if (size > 0 && !(data[0] & 0x80))
		call_ours();
	has_log = access(PATH "-wal", F_OK) == 0;
	before = file_get(PATH, &length);
	asides = 0;
	discarded = 0;
	is_anothers = false;
	aside[0] = '\0';
	use_spool(size > 0 && data[0] & 4 ? 64 << 20 : 1 << 16);
	if (asides == 1)
		check_aside(before, length);
	must(asides <= 2);
	if (!is_anothers)
		check_file();
	else if (!has_log) /* what a log holds is SQLite's to take up */
		check_left_alone(before, length);
	return 0;
}
