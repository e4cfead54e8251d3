/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The hardware of a configuration: its buses and chips, real or emulated, each with the worker key that keeps its
 * jobs in order.
 */

#include <stdbool.h>

#include "iotd/bus.h"
#include "iotd/source.h"
#include "iotd/worker.h"

/*
 * Bounds for any configuration: each bus and chip uses one thread, and only while it is busy; so does each file
 * that hangs. Files have theirs in a pool of their own, because it is files that hang by the hundred.
 */
#define HARDWARE_THREADS_MOST 256
#define FILE_THREADS_MOST     256

struct hardware;

/**
 * hardware_reserve_descriptors() - make room for what a configuration opens; a warning if there is not enough
 *
 * Any thread. Best before threads start: see descriptors_reserve().
 */
void hardware_reserve_descriptors(const struct settings *settings);

/**
 * hardware_new() - that of a configuration; others follow by hardware_update()
 * @workers: for buses and chips
 * @file_workers: for files
 * @settings: must outlive it, or the next hardware_update()
 * Return: 0; -ENOENT no emulation for a driver (logged); -ENOMEM.
 */
int hardware_new(struct hardware **ret, struct workers *workers, struct workers *file_workers,
		 const struct settings *settings, bool simulate);

/** hardware_check() - can it serve @settings? Return: 0; -ENOENT no emulation for a driver, with @fault */
int hardware_check(const struct hardware *hardware, const struct settings *settings,
		   char fault[static 256]);

/**
 * hardware_update() - serve @settings from now on, which come after @old
 *
 * A bus that changed is another one; the sources of the old one keep it until they are freed.
 * Return: 0; -ENOMEM (a bus is missing: its sensors cannot be made).
 */
int hardware_update(struct hardware *hardware, const struct settings *old,
		    const struct settings *settings);

/** hardware_free() - after workers_free(), when no job can come any more. NULL is fine. Returns NULL */
struct hardware *hardware_free(struct hardware *hardware);

/** hardware_source() - a source for @sensor and the key of its bus. Return: 0; -EINVAL; -ENOMEM */
int hardware_source(struct hardware *hardware, const struct sensor_settings *sensor,
		    struct source **ret, struct worker_key **ret_key);

struct bus;

/** struct lent_bus - a bus for somebody who is no sensor; embedded, zeroed: none */
struct lent_bus {
	struct i2c_bus *i2c;
	struct worker_key *key;	   /* on which its jobs are to be run, as those of its sensors */
	struct hardware *hardware; /* private from here on */
	struct bus *bus;
};

/**
 * hardware_lend_bus() - the bus whose node is @path, configured or not
 * @ret: stays as it is, also after a reload, until hardware_return_bus(), before hardware_free()
 * Return: 0; -ENOENT simulated, and not configured; -ENOMEM.
 */
int hardware_lend_bus(struct hardware *hardware, const char *path, struct lent_bus *ret);

/** hardware_return_bus() - with no job out. None: nothing */
void hardware_return_bus(struct lent_bus *lent);

/** hardware_is_simulated() - all buses are emulated ones */
bool hardware_is_simulated(const struct hardware *hardware);

/** hardware_line_key() - the key of the chip that @line is on; NULL: out of memory */
struct worker_key *hardware_line_key(struct hardware *hardware, const struct line_settings *line);

/** hardware_gpio() - where lines come from */
const struct gpio *hardware_gpio(const struct hardware *hardware);

/**
 * hardware_each_bus() - each bus that is configured, in no order
 * @each: @busy_us: how long jobs have kept it busy since it was made; @name stays until the next hardware_update()
 */
void hardware_each_bus(const struct hardware *hardware,
		       void (*each)(void *data, const char *name, int64_t busy_us), void *data);

static inline void hardware_freep(struct hardware **hardware)
{
	*hardware = hardware_free(*hardware);
}
