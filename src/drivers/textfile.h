/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Text files with numbers in them, as the kernel writes them below /sys and /proc. Shared by file and
 * by the drivers of what the kernel drives. All of it on a worker; failures have words in source->fault, which
 * begin with the path.
 */

#include <sys/stat.h>

#include "iotd/driver.h"

/* what counts of a file; a sysfs file has no more */
#define TEXTFILE_SIZE 4096

/** textfile_fail() - the words of @error (an errno, positive) for @path. Returns it as a negative one */
int textfile_fail(struct source *source, const char *path, int error);

/**
 * textfile_open() - a regular file to be read again and again by pread()
 * @ret_fd:     set on success only; the caller closes it
 * @ret_status: of the file that is open
 * Return: 0; -EISDIR; -EINVAL no regular file (to open a FIFO waits, and to open a device can do
 *         anything); -EMFILE what is left is for others; an errno of stat() or open().
 */
int textfile_open(struct source *source, const char *path, int *ret_fd, struct stat *ret_status);

/**
 * textfile_read() - what the file says now
 * @text: ends with a NUL behind what was read
 * Return: its length, TEXTFILE_SIZE where there may be more; an errno of pread().
 */
int textfile_read(struct source *source, const char *path, int fd,
		  char text[static TEXTFILE_SIZE + 1]);

/**
 * textfile_parse() - the decimal number that the @length bytes at @word are as a whole
 * @ret: finite; read in the C locale whatever the process has; set on success only
 * Return: 0; -EBADMSG no number; -ERANGE too large; -ENOMEM.
 */
int textfile_parse(struct source *source, const char *path, const char *word, size_t length,
		   double *ret);
