/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Was a file replaced or rewritten since? Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct file_stamp - which file a path led to, and when that was written; zeroed: none */
struct file_stamp {
	uint64_t device, inode;
	int64_t size, written_ns; /* CLOCK_REALTIME */
};

/**
 * file_stamp_read() - of the file at @path, which this process must be able to read. May block
 *
 * Return: 0; -EISDIR; -EINVAL no regular file; another errno of open(). *@ret is zeroed then.
 */
int file_stamp_read(struct file_stamp *ret, const char *path);

/** file_stamps_equal() - of @count each */
bool file_stamps_equal(const struct file_stamp *a, const struct file_stamp *b, size_t count);
