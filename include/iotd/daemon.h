/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon: every layer plugged together from a configuration. */

#include <stdbool.h>
#include <stdio.h>

#include "iotd/settings.h"

struct daemon;

/** struct daemon_options - what the command line adds to the configuration */
struct daemon_options {
	bool simulate;	      /* emulated buses and lines */
	bool has_log_level;   /* it is set: a reload does not change it */
	const char *instance; /* of its name on D-Bus; NULL: none */
};

/**
 * daemon_new() - build everything; nothing runs before daemon_run()
 * @settings: taken over
 *
 * Blocks SIGHUP, SIGTERM, SIGINT and SIGUSR1 for the process, ignores SIGPIPE, and has the log written
 * by a thread: call it from the main thread, once. Return: 0; -ENOENT simulated: a driver has no emulation; -EMFILE; -ENOMEM.
 */
int daemon_new(struct daemon **ret, struct settings *settings,
	       const struct daemon_options *options);

/** daemon_run() - until SIGTERM or SIGINT has been obeyed. Return: 0 a clean stop; negative errno */
int daemon_run(struct daemon *daemon);

/**
 * daemon_free() - take down what is left. NULL is fine. Returns NULL
 *
 * If a worker hangs in the kernel its memory is left alone: the process must end soon.
 */
struct daemon *daemon_free(struct daemon *daemon);

/**
 * daemon_once() - read every sensor and input once, print a line a channel
 * @settings: stays the caller's
 * @out:      "air.temperature 21.37 °C", in the order of the configuration
 * Faults go to the log, one a device. Return: 0 all could be read; -EIO some could not; -ENOMEM and such.
 */
int daemon_once(const struct settings *settings, const struct daemon_options *options, FILE *out);

/**
 * daemon_load_drivers() - those built out of tree, from where the configuration @file says; before it is loaded
 * @is_told: what cannot be loaded goes to stderr, plain; else it is logged as a warning
 * Call once, from the main thread.
 */
void daemon_load_drivers(const char *file, bool is_told);

/**
 * daemon_scan() - find the chips on I2C buses, print the configuration for them
 * @bus: "i2c-1", "1" or "/dev/i2c-1"; NULL: all that there are
 * @out: a part of a configuration, `sensors = ( … );`, with comments for what is not sure
 *
 * With options->simulate every emulated chip is at its first address, on the first bus where that is
 * free. Blocks, so before there is a reactor. Faults go to the log. Return: 0 all was scanned; -EIO a
 * bus could not be, or there is none; -EINVAL @bus is no bus; -ENOMEM.
 */
int daemon_scan(const char *bus, const struct daemon_options *options, FILE *out);

/** daemon_list_drivers() - one driver a line: name, kind, channels with units */
void daemon_list_drivers(FILE *out);

static inline void daemon_freep(struct daemon **daemon)
{
	*daemon = daemon_free(*daemon);
}
