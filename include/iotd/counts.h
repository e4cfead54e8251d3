/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What inputs have counted, kept over restarts: in memory, and in a file (SQLite, on a worker) that is
 * written COUNTS_WRITE_US after a change at the latest, and at the end. What is written is whole or not there,
 * so a crash or a power cut loses what was counted in that time, and nothing is counted twice.
 * On the reactor's thread.
 */

#include "iotd/model.h"
#include "iotd/worker.h"

#define COUNTS_WRITE_US (10LL * 1000 * 1000)

struct counts;

/** struct counts_events - the joint to the daemon, which logs; called on the reactor */
struct counts_events {
	/** the file fails (@error negative, @why in words), or works again (0, NULL); once each */
	void (*fault)(struct counts_events *events, int error, const char *why);
	/** a damaged file was put aside as @path */
	void (*aside)(struct counts_events *events, const char *path);
	/** it is known from now on what earlier runs have counted: counts_get() */
	void (*known)(struct counts_events *events);
	/** it is about to be written: counts_put() what has changed */
	void (*collect)(struct counts_events *events);
};

/** struct counts_parts - what it works with; all of it must outlive it */
struct counts_parts {
	struct reactor *reactor;
	struct workers *workers;
	const char *path; /* copied */
	struct counts_events *events;
};

/** counts_new() - nothing is opened until somebody counts. Return: 0; -ENOMEM */
int counts_new(struct counts **ret, const struct counts_parts *parts);

/** counts_free() - after workers_free(). NULL is fine. Returns NULL */
struct counts *counts_free(struct counts *counts);

/**
 * counts_get() - what @input has counted; the first call has the file read
 * @ret: 0 for what was never counted
 *
 * Return: 0; -EAGAIN it is not known yet, and @ret is what was put so far in this run; -ENOMEM.
 */
int counts_get(struct counts *counts, const char *input, enum count_kind kind, struct count *ret);

/** counts_is_known() - false: the file is to be read yet, or cannot be */
bool counts_is_known(const struct counts *counts);

/**
 * counts_put() - what it has counted now, after counts_get()
 * @is_whole: it is all; false: only that of this run, because the rest is not known yet
 */
void counts_put(struct counts *counts, const char *input, const struct count *count, bool is_whole);

/** counts_changed() - something was counted: collect and write soon; @now: at once. Cheap */
void counts_changed(struct counts *counts, bool now);

/** counts_stop() - collect, write and close. Return: a future of @counts, done with 0; NULL: nothing to do */
struct future *counts_stop(struct counts *counts);
