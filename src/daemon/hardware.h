/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The hardware of a configuration: its buses and chips, real or emulated, each with the worker key that keeps its
 * jobs in order.
 */

#include <stdbool.h>

#include "iotd/bus.h"
#include "iotd/driver.h"
#include "iotd/worker.h"

struct hardware;

/** hardware_new() - @settings must outlive it. Return: 0; -ENOENT no emulation for a driver; -ENOMEM */
int hardware_new(struct hardware **ret, struct workers *workers, const struct settings *settings,
		 bool simulate);

/** hardware_free() - after workers_free(), when no job can come any more. NULL is fine. Returns NULL */
struct hardware *hardware_free(struct hardware *hardware);

/** hardware_source() - a source for @sensor and the key of its bus. Return: 0; -EINVAL; -ENOMEM */
int hardware_source(struct hardware *hardware, const struct sensor_settings *sensor,
		    struct source **ret, struct worker_key **ret_key);

/** hardware_line_key() - the key of the chip that @line is on; NULL: out of memory */
struct worker_key *hardware_line_key(struct hardware *hardware, const struct line_settings *line);

/** hardware_gpio() - where lines come from */
const struct gpio *hardware_gpio(const struct hardware *hardware);

/** hardware_threads() - how many workers a configuration can keep busy at one time */
size_t hardware_threads(const struct settings *settings);

static inline void hardware_freep(struct hardware **hardware)
{
	*hardware = hardware_free(*hardware);
}
