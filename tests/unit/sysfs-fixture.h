/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A tree of files in a folder of its own, which a driver takes for /sys (IOTD_SYSFS), and a source on
 * it. Paths are below that folder.
 */

#include "fixture.h"

#include "iotd/source.h"

extern struct source *source;

void sysfs_set_up(void);
void sysfs_tear_down(void);

/* folders above it are made */
void put(const char *path, const char *text);
void put_link(const char *path, const char *target);
void take_away(const char *path);
void move(const char *from, const char *to);

/* its whole path, in a buffer that the next call reuses */
const char *path_of(const char *path);

/* what the next source is configured with; channels end with NULL, none are all */
void configure(const char *driver, const char *device);
void want(const char *channel);

/* one round of a sensor; closed after a failure. Return: 0; the driver's errno */
int read_source(void);

/* after a good round: NAN for a channel that has no value, and a failure for one that is not there */
double value_of(const char *channel);
void assert_value(const char *channel, double value, const char *unit);

/* the names of the channels of the last good round, "temp1 fan2" */
const char *channel_names(void);

/* a round that fails so */
void assert_fails(int error, const char *words);
void assert_reads(void);
