/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The list of drivers: those of drivers.c, to which a new chip adds its line, then those of plugins.h. */

#include <stddef.h>

#include "iotd/source.h"

/** driver_find() - the driver called @name; NULL: none */
const struct driver *driver_find(const char *name);

/** driver_at() - the @index-th driver of the list, NULL behind its end */
const struct driver *driver_at(size_t index);

#define CANDIDATES_MAX 16

/** struct candidates - whose chip may be at an address */
struct candidates {
	bool is_sure; /* one candidate, recognised by its id or an answer with a checksum */
	size_t count; /* 0: somebody answers whom no driver knows */
	const struct driver *drivers[CANDIDATES_MAX];
};

/**
 * drivers_ask() - who is at the address of @i2c, by what changes no chip (see chip_has_id())
 *
 * At an address that is usual for no driver one byte is read, but not at 0x30 .. 0x37, 0x50 .. 0x5f
 * (EEPROMs and their write protection) and 0x69 (clock chips that a read may hang). Blocks.
 * Return: 1 somebody is, and *@ret says who; 0 nobody answers, or nobody asked; as i2c_write().
 */
int drivers_ask(struct i2c_device *i2c, struct candidates *ret);

/** driver_kind_name() - "i2c", "file", "iio" … */
const char *driver_kind_name(enum driver_kind kind);
