/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The file that node_exporter's textfile collector reads: always whole, as another file takes its place each time.
 * A worker writes it; a disk that hangs keeps that worker and nothing else. What goes wrong is logged when it
 * begins and when it ends. On the reactor's thread.
 */

#include "iotd/metrics.h"
#include "iotd/worker.h"

#define STATSFILE_PATH_SIZE 512

struct statsfile;

/**
 * statsfile_new() - nothing is written yet
 * @again: deferred when a job is back during which another path was asked for: that is due now
 *
 * Return: 0; -ENOMEM
 */
int statsfile_new(struct statsfile **ret, struct reactor *reactor, struct workers *workers,
		  struct reactor_call *again);

/** statsfile_free() - the file stays. After workers_free(). NULL is fine. Returns NULL */
struct statsfile *statsfile_free(struct statsfile *statsfile);

/**
 * statsfile_is_due() - is there anything to do for @path, and is the last job back?
 * @path: "" none: only what was written to another one is to be removed
 *
 * If a job is out for 10 s that is logged: the file system hangs.
 */
bool statsfile_is_due(struct statsfile *statsfile, const char *path);

/**
 * statsfile_write() - have it written; what this run has written to another path is removed
 * @path:    shorter than STATSFILE_PATH_SIZE - 4, or "": none; copied
 * @figures: taken over
 *
 * Only if statsfile_is_due(). A file that is there must be a regular one.
 */
void statsfile_write(struct statsfile *statsfile, const char *path, struct figures *figures);

/**
 * statsfile_stop() - remove what this run has written: figures of an iotd that is gone would look like news
 * Return: a future of @statsfile, done with 0 when it is removed.
 */
struct future *statsfile_stop(struct statsfile *statsfile);
