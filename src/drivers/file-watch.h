/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Is a path still the file that is open? inotify(7) tells when it may not be, so that most readings
 * need not ask the kernel.
 */

#include <stdbool.h>
#include <stdint.h>

/** struct file_watch - of one open file; zeroed: nothing is watched */
struct file_watch {
	bool is_on;
	bool is_memory; /* on, and the file is in memory alone: to read it is as to touch our own */
	uint64_t changes; /* of all that is watched, when it was last told of */
	int64_t asked_us; /* what was known then is used once */
	int64_t told_us;
};

/**
 * file_watch_begin() - from here on
 * @path: what @fd has open
 *
 * Where changes would not be told of it stays off: a path with a symbolic link, a file system of
 * another host or of a program, no more watches. On a worker, any of them.
 */
void file_watch_begin(struct file_watch *watch, const char *path, int fd);

/** file_watch_end() - not begun: nothing */
void file_watch_end(struct file_watch *watch);

/**
 * file_watch_is_quiet() - nothing happened since the last call to the path, as of a millisecond ago
 * at most and after that call. False: something may have, look now; also the first time, where
 * nothing is told of, and once a minute, for what is mounted over a path is never told of. Waits for nobody.
 */
bool file_watch_is_quiet(struct file_watch *watch);

/** file_watch_doubt() - nobody looked: the next answer is that something may have happened, too */
void file_watch_doubt(struct file_watch *watch);
