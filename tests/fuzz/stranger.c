/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See the header. What strangers make by SQL is bounded: steps, lengths, and nothing but this file. */
#include <dirent.h>
#include <sqlite3.h>
#include <unistd.h>

#include "stranger.h"

#include "iotd/base.h"
#include "iotd/task.h"

#define SQL_STEPS  200000
#define SQL_LENGTH 100000

static const char magic[] = "SQLite format 3"; /* with its NUL */

struct world world;

/* --- time ----------------------------------------------------------------------------------- */

void world_enter(void)
{
	folder_enter();
	if (world.reactor)
		return;
	must(reactor_new_virtual(&world.reactor, 0) == 0);
	must(workers_new(&world.workers, world.reactor, "work", 1) == 0);
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

	must(task_spawn(&task, world.reactor, step, data, NULL) == 0);
	r = reactor_run(world.reactor, task);
	task_release(task);
	return r;
}

void world_sleep(int64_t duration_us)
{
	must(run(step_sleep, &duration_us) == 0);
}

int world_await(struct future *future)
{
	return run(step_await, future);
}

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

static void make_by_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	int steps = 0;

	must(sqlite3_open(path, &db) == SQLITE_OK);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, SQL_LENGTH);
	sqlite3_progress_handler(db, 1000, stop_long, &steps);
	(void)sqlite3_set_authorizer(db, authorize, NULL);
	(void)sqlite3_exec(db, sql, NULL, NULL, NULL);
	(void)sqlite3_close_v2(db);
}

static void make_file(struct input *input, const char *path, void (*make_ours)(void))
{
	uint8_t kind = input_byte(input) % 4;
	size_t length = kind == 1 ? input_number(input, 65536) : input->left;
	cleanup(freep) char *sql = NULL;
	char wal[64];

	length = length > input->left ? input->left : length;
	if (kind < 2) {
		file_put(path, input->data, length);
		(void)snprintf(wal, sizeof(wal), "%s-wal", path);
		if (kind == 1)
			file_put(wal, input->data + length, input->left - length);
		return;
	}
	if (kind == 3)
		make_ours();
	sql = input_until(input, '\0', NULL);
	make_by_sql(path, sql);
}

/* where it is: https://www.sqlite.org/fileformat.html, 1.3.14 */
static void call_it(const char *path, const char id[static 4])
{
	size_t length;
	cleanup(freep) uint8_t *file = file_get(path, &length);

	if (!file || length < 100 || memcmp(file, magic, sizeof(magic)) != 0)
		return;
	memcpy(file + 68, id, 4);
	file_put(path, file, length);
}

void stranger_makes(struct stranger *ret, struct input input, const char *path,
		    void (*make_ours)(void), const char id[static 4])
{
	bool has_id = input.left > 0 && input.data[0] & 0x80;
	char wal[64];

	remove_files();
	make_file(&input, path, make_ours);
	if (!has_id)
		call_it(path, id);
	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	*ret = (struct stranger){ .path = path, .has_log = access(wal, F_OK) == 0 };
	ret->bytes = file_get(path, &ret->length);
}

void stranger_free(struct stranger *stranger)
{
	free(stranger->bytes);
}

/* --- what must hold ------------------------------------------------------------------------- */

static bool is_no_database(const struct stranger *stranger)
{
	return stranger->length >= sizeof(magic) &&
	       memcmp(stranger->bytes, magic, sizeof(magic)) != 0;
}

void stranger_check_aside(const struct stranger *stranger, const char *aside)
{
	size_t length = 0;
	cleanup(freep) uint8_t *kept = file_get(aside, &length);

	must(kept);
	if (is_no_database(stranger))
		must(length == stranger->length && memcmp(kept, stranger->bytes, length) == 0);
}

void stranger_check_untouched(const struct stranger *stranger)
{
	size_t length = 0;
	cleanup(freep) uint8_t *now = file_get(stranger->path, &length);

	if (stranger->has_log)
		return;
	must(now && length == stranger->length && memcmp(now, stranger->bytes, length) == 0);
}
