/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What iotctl top works out from two rounds of answers. Pure. */

#include <jansson.h>

#include "device.h"

/** struct round - what the daemon said at one moment */
struct round {
	struct devices devices;
	json_t *stats;	 /* NULL: not there */
	json_t *manager; /* its properties; NULL: not there */
	int64_t time_us; /* CLOCK_MONOTONIC */
};

/** struct cost - of one sensor; NAN: not known, for it is new or did not read */
struct cost {
	const struct device *device;
	double rate;   /* readings a second */
	double busy;   /* the share of the time that its worker was at it, 0 .. 1 */
	double read_s; /* seconds a read, with those that failed */
};

/** struct costs - of all sensors */
struct costs {
	struct cost *list;
	size_t count;
	double cpu; /* of the whole process, 1: one processor; NAN: not known */
};

/** round_free() - what is in it; it is empty then */
void round_free(struct round *round);

/**
 * costs_new() - of the time between two rounds
 * @ret: set on success only; its list is freed with free(), and points into @now
 * @before: an empty one before the first
 * @by_late: sorted by lateness, not by busy
 * Return: 0; -ENOMEM.
 */
int costs_new(struct costs *ret, const struct round *before, const struct round *now, bool by_late);
