/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A scan of I2C buses while iotd runs, as --scan is one before it does: the Manager's Scan. Sensors
 * of a bus wait for one address at a time at most. On the reactor's thread.
 */

#include <sys/queue.h>

#include "hardware.h"
#include "iotd/settings.h"

#define SCANNING_BUS_SIZE    256
#define SCANNING_PATIENCE_US 10000000

struct scanning;

/** struct scanning_parts - what it works with; must outlive it */
struct scanning_parts {
	struct reactor *reactor;
	struct workers *workers;
	struct hardware *hardware;
	struct settings *const *settings; /* the current ones: a reload changes them */
	int64_t patience_us; /* for one address, with the sensors that come first: then the bus hangs */
};

/**
 * struct scan_wish - embedded in who wants a scan
 * @bus:  "i2c-1", "1", "/dev/i2c-1" or a bus of the configuration; "": all that there are; stays
 *        until done()
 * @done: called once, on the reactor, perhaps before scanning_ask() returns; @found: a part of a
 *        configuration; or @error with @text in words: -EINVAL @bus is no bus; -EBUSY another scan
 *        is under way; -ENOENT there is no bus; -EIO none could be scanned; -ECANCELED iotd is
 *        being stopped; -ENOMEM
 */
struct scan_wish {
	const char *bus;
	void (*done)(struct scan_wish *wish, int error, const char *text, const char *found);
	SLIST_ENTRY(scan_wish) link; /* private */
};

/** scanning_new() - nothing is scanned. Return: 0; -ENOMEM */
int scanning_new(struct scanning **ret, const struct scanning_parts *parts);

/** scanning_ask() - scan, or wait for the scan of the same that is under way */
void scanning_ask(struct scanning *scanning, struct scan_wish *wish);

/** scanning_stop() - refuse who waits, now and from now on. NULL is fine */
void scanning_stop(struct scanning *scanning);

/**
 * scanning_free() - before the workers go: a job that hangs frees itself. NULL is fine. Returns
 * NULL
 */
struct scanning *scanning_free(struct scanning *scanning);

static inline void scanning_freep(struct scanning **scanning)
{
	*scanning = scanning_free(*scanning);
}
