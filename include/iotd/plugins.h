/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Drivers built out of tree: files NAME.so of a folder, which are loaded once, before the first configuration.
 * From then on they are in the list of drivers.h behind those that are built in. What a file must
 * hold is in driver.h and iotd-driver(3).
 *
 * They run with all that iotd may do, so only their owner, root, may have a say: the folder and each
 * file must be root's and nobody else's to write.
 */

#include <stddef.h>
#include <sys/types.h>

#include "iotd/driver.h"

#define PLUGIN_FOLDER "/usr/lib/iotd/drivers" /* nothing is told if it is not there */

/** struct plugin_fault - something that was not loaded */
struct plugin_fault {
	char *name; /* of the driver, as far as that is known: "wind" of wind.so; "" of the folder */
	char *words; /* "/usr/lib/iotd/drivers/wind.so: undefined symbol: …" */
};

/**
 * plugins_load() - the drivers of all files *.so in @folder, in the order of their names
 * @owner: to whom folder and files must belong: 0 but in tests
 *
 * What cannot be loaded is a fault (plugin_fault_at()), and the rest is loaded. Once in a process, before
 * other threads look for drivers. Return: 0, also with faults; -ENOMEM.
 */
int plugins_load(const char *folder, uid_t owner);

/** plugins_unload() - forget them all; nobody may use one. For tests */
void plugins_unload(void);

/** plugin_at() - the @index-th driver that was loaded, NULL behind the last */
const struct driver *plugin_at(size_t index);

/** plugin_fault_at() - the @index-th fault, NULL behind the last */
const struct plugin_fault *plugin_fault_at(size_t index);

/** plugin_fault_find() - why there is no driver @name although there is a file for it; NULL: there is none */
const struct plugin_fault *plugin_fault_find(const char *name);
