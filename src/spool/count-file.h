/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The counts' file: an SQLite database with a row a count. Every call blocks: on a worker, one at a time. */

#include "database.h"
#include "iotd/model.h"

#define COUNT_ROWS_MAX (1 << 17) /* more than a configuration has inputs */

struct count_file;

/** struct count_row - what one input counts */
struct count_row {
	char input[NAME_LENGTH + 1];
	struct count count;
};

/** count_file_open() - as database_open(). Return: 0; errors as store_open() */
int count_file_open(struct count_file **ret, const char *path, bool is_damaged,
		    char aside[static DATABASE_PATH_SIZE]);

/** count_file_close() - NULL is fine. Returns NULL */
struct count_file *count_file_close(struct count_file *file);

/**
 * count_file_load() - all rows, by input and kind
 * @ret: the caller's, to be freed
 * Return: 0; -EBADMSG there is one that was never written like that, or too many; errors as store_write().
 */
int count_file_load(struct count_file *file, struct count_row **ret, size_t *ret_count);

/** count_file_write() - one transaction: all of @rows take the place of those that are there, or none. As store_write() */
int count_file_write(struct count_file *file, const struct count_row *rows, size_t count);
