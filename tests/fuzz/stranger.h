/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What targets that open an SQLite file share: a file that somebody else made, and time that passes. */

#include "fuzz.h"

#include "iotd/worker.h"

/** world - of virtual time; world_enter() makes it, once, and enters the folder of fuzz.h */
extern struct world {
	struct reactor *reactor;
	struct workers *workers;
} world;

void world_enter(void);

/** world_sleep() - so long in virtual time */
void world_sleep(int64_t duration_us);

/** world_await() - until it is done, ten minutes at most. Return: its result; -ETIMEDOUT */
int world_await(struct future *future);

/** struct stranger - a file as somebody else left it; stranger_free() */
struct stranger {
	const char *path;
	uint8_t *bytes;
	size_t length;
	bool has_log;
};

/**
 * stranger_makes() - the file @path, in a folder that is empty otherwise
 * @input: a byte, then what its lowest two bits say. 0: bytes of the file; 1: a length in two bytes, then
 *         bytes of the file and of its -wal; 2: SQL that makes the file; 3: SQL that changes ours. Its
 *         highest bit: the application id is what it says; else it is @id, or we would not look further
 * @make_ours: makes the file as iotd does, with nothing in it
 */
void stranger_makes(struct stranger *ret, struct input input, const char *path,
		    void (*make_ours)(void), const char id[static 4]);

/** stranger_check_aside() - what was put there as @aside is the file; byte for byte where it was no database */
void stranger_check_aside(const struct stranger *stranger, const char *aside);

/** stranger_check_untouched() - it is there still, byte for byte; what a log holds is SQLite's to take up */
void stranger_check_untouched(const struct stranger *stranger);

void stranger_free(struct stranger *stranger);
