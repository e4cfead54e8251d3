/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The life of a source, for those that have one: devices, --once, tests. What drivers see of it is in driver.h. */

#include "iotd/driver.h"
#include "iotd/model.h"
#include "iotd/settings.h"

/** struct source_owner - who lent the source something and wants to know when it is given back */
struct source_owner {
	void (*freed)(struct source_owner *owner);
	/** a job kept what was lent busy for so long; on the reactor. NULL: nobody counts */
	void (*used)(struct source_owner *owner, int64_t duration_us);
};

/**
 * source_new() - a closed source
 * @options: as many as driver->options; copied
 * @i2c:     stays the caller's and must outlive the source; NULL for drivers without a bus
 * Return: 0; -EINVAL the options make no channels; -ENOMEM.
 */
int source_new(struct source **ret, const struct driver *driver, const struct option_value *options,
	       struct i2c_device *i2c);

/** source_free() - closes first. On a worker, or with no job out. NULL is fine. Returns NULL */
struct source *source_free(struct source *source);

/** source_open() - zero the state and open; open already: 0. On a worker. Return: 0 or the driver's errno (closed again then) */
int source_open(struct source *source);

/**
 * source_start() - begin a reading of an open source, which may wait
 * @wait_us: until collect() makes sense; untouched if the driver has nothing to start
 * On a worker. Return: 0 or the driver's errno.
 */
int source_start(struct source *source, int64_t *wait_us);

/**
 * source_read_promptly() - a whole reading at once, where the source is prompt. On any thread, the reactor's too
 * @values: as of driver->collect(); as they were on -EAGAIN
 * Return: 0; -EAGAIN it would have to wait: to be read on a worker; another errno of the driver.
 */
int source_read_promptly(struct source *source, double values[static CHANNELS_MAX]);

/** source_close() - on a worker; closed already: nothing */
void source_close(struct source *source);

/** source_was_used() - by a job, for so long: tell its owner. On the reactor */
void source_was_used(const struct source *source, int64_t duration_us);

static inline void source_freep(struct source **source)
{
	*source = source_free(*source);
}
