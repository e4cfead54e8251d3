/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counts' file.
 *
 * A row holds a count as a whole, never a difference, so one that is written twice is the same. A
 * transaction is there or it is not: no row is torn, and none goes back. For a person with sqlite3(1):
 *
 *	SELECT * FROM count;
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "count-file.h"
#include "iotd/parse.h"

#define LENGTH_MAX 4096		   /* of a row: a name, a word, two numbers */
#define AMOUNT_MAX (INT64_MAX / 2) /* more than anything counts in a life; what is added has room */

struct count_file {
	struct database file;
	sqlite3_stmt *write, *load;
};

/* as SQLite keeps it, word by word */
#define TABLE                                                                                      \
	"count ("                                                                                  \
	" input TEXT NOT NULL, kind TEXT NOT NULL,"                                                \
	" start REAL NOT NULL, amount INTEGER NOT NULL,"                                           \
	" PRIMARY KEY (input, kind)) WITHOUT ROWID"

static const struct database_kind kind = {
	.application_id = 0x696f7463, /* "iotc" */
	.version = 1,
	.length_max = LENGTH_MAX,
	.create = "BEGIN IMMEDIATE;"
		  "CREATE TABLE " TABLE ";"
		  "PRAGMA application_id = 1768911971;"
		  "PRAGMA user_version = 1;"
		  "COMMIT;",
	.tables = "'CREATE TABLE " TABLE "'",
};

static const char *const kind_words[COUNT_KINDS] = {
	[COUNT_EDGES] = "edges",
	[COUNT_ON_TIME] = "on_us",
};

static int prepare_all(struct count_file *file)
{
	int r;

	r = database_prepare(&file->file,
			     "INSERT INTO count (input, kind, start, amount) VALUES (?, ?, ?, ?)"
			     " ON CONFLICT DO UPDATE"
			     " SET start = excluded.start, amount = excluded.amount",
			     &file->write);
	if (r == 0)
		r = database_prepare(&file->file,
				     "SELECT input, kind, start, amount FROM count"
				     " ORDER BY input, kind",
				     &file->load);
	return r;
}

int count_file_open(struct count_file **ret, const char *path, bool is_damaged,
		    char aside[static DATABASE_PATH_SIZE])
{
	struct count_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return -ENOMEM;
	r = database_open(&file->file, &kind, path, is_damaged, aside);
	if (r == 0)
		r = prepare_all(file);
	if (r < 0) {
		count_file_close(file);
		return r;
	}
	*ret = file;
	return 0;
}

struct count_file *count_file_close(struct count_file *file)
{
	if (!file)
		return NULL;
	(void)sqlite3_finalize(file->write);
	(void)sqlite3_finalize(file->load);
	database_close(&file->file);
	free(file);
	return NULL;
}

/* --- loading -------------------------------------------------------------------------------- */

/* Return: 0; -EBADMSG we never wrote that */
static int read_row(sqlite3_stmt *statement, struct count_row *row)
{
	const char *input = (const char *)sqlite3_column_text(statement, 0);
	const char *word = (const char *)sqlite3_column_text(statement, 1);
	int64_t amount = sqlite3_column_int64(statement, 3);
	int at = 0;

	if (!input || !word)
		return -ENOMEM;
	while (at < COUNT_KINDS && strcmp(kind_words[at], word) != 0)
		at++;
	if (!parse_name(input) || at == COUNT_KINDS || amount < 0 || amount > AMOUNT_MAX ||
	    sqlite3_column_type(statement, 2) != SQLITE_FLOAT ||
	    sqlite3_column_type(statement, 3) != SQLITE_INTEGER)
		return -EBADMSG;
	memcpy(row->input, input, strlen(input) + 1); /* parse_name(): it has room */
	row->count = (struct count){ .kind = (enum count_kind)at,
				     .start = sqlite3_column_double(statement, 2),
				     .amount = (uint64_t)amount };
	return row->count.start >= 0 && row->count.start <= COUNT_TOTAL_MAX ? 0 : -EBADMSG;
}

/* in the order of the primary key; where that is damaged, a row may be there twice */
static bool is_after(const struct count_row *row, const struct count_row *before)
{
	int order = strcmp(row->input, before->input);

	return order > 0 || (order == 0 && row->count.kind > before->count.kind);
}

static int grow(struct count_row **rows, size_t *size)
{
	size_t more = *size > 0 ? 2 * *size : 64;
	struct count_row *grown;

	if (more > COUNT_ROWS_MAX)
		return -EBADMSG;
	grown = reallocarray(*rows, more, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*rows = grown;
	*size = more;
	return 0;
}

int count_file_load(struct count_file *file, struct count_row **ret, size_t *ret_count)
{
	cleanup(freep) struct count_row *rows = NULL;
	size_t count = 0, size = 0;
	int step = SQLITE_DONE, r = 0;

	while (r == 0 && (step = sqlite3_step(file->load)) != SQLITE_DONE) {
		r = database_errno(&file->file, step);
		if (r == 0 && count == size)
			r = grow(&rows, &size);
		if (r == 0)
			r = read_row(file->load, &rows[count++]);
		if (r == 0 && count > 1 && !is_after(&rows[count - 1], &rows[count - 2]))
			r = -EBADMSG;
	}
	(void)sqlite3_reset(file->load);
	if (r < 0)
		return r;
	*ret = take_ptr(rows);
	*ret_count = count;
	return 0;
}

/* --- writing -------------------------------------------------------------------------------- */

static int write_row(struct count_file *file, const struct count_row *row)
{
	const struct count *count = &row->count;
	const char *word = kind_words[count->kind];

	if (sqlite3_bind_text(file->write, 1, row->input, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(file->write, 2, word, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_double(file->write, 3, count->start) != SQLITE_OK ||
	    sqlite3_bind_int64(file->write, 4, (int64_t)count->amount) != SQLITE_OK)
		return -ENOMEM;
	return database_run(&file->file, file->write);
}

int count_file_write(struct count_file *file, const struct count_row *rows, size_t count)
{
	int r;

	r = database_check_place(&file->file);
	if (r == 0)
		r = database_execute(&file->file, "BEGIN IMMEDIATE");
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = write_row(file, &rows[i]);
	if (r == 0)
		r = database_execute(&file->file, "COMMIT");
	if (r < 0)
		(void)database_execute(&file->file, "ROLLBACK"); /* SQLite may have done that */
	return r;
}
