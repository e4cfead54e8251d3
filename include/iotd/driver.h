/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The driver interface. A driver is plain sequential code that runs on a worker: open() finds the
 * chip, start() triggers a conversion and says how long it takes, collect() fetches it. Between
 * start and collect the reactor waits, and the bus serves others. All calls for the sources of one
 * bus come one at a time. State lives in the source, never in the file.
 *
 * A failed call is not logged by the driver: it returns its errno and may say more with
 * source_fail(). After a failure the source is closed and opened again before the next try, so
 * open() must bring the chip into a known state from any other.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/model.h"
#include "iotd/settings.h"

struct i2c_device;
struct source;

enum driver_kind {
	DRIVER_I2C,
	DRIVER_FILE,
	DRIVER_IIO,
	DRIVER_HWMON,
	DRIVER_W1,
	DRIVER_THERMAL
};

enum option_type {
	OPTION_INTEGER,
	OPTION_NUMBER,
	OPTION_BOOLEAN,
	OPTION_STRING,
	OPTION_DURATION
};

/** struct driver_option - a key that a driver takes in its sensor's group, besides those that every sensor takes */
struct driver_option {
	const char *name;
	enum option_type type;
	bool required;
	double minimum, maximum; /* of numbers, inclusive; both 0: any */
	double preset;		 /* default of numbers and booleans */
	const char *text;	 /* default of strings; NULL: none */
	/* strings: the words allowed, NULL-terminated; integers: the same in decimal ("1", "2", "4"); NULL: any */
	const char *const *choices;
};

/**
 * struct driver - one per kind of chip or source; const, listed in drivers.c
 * @channels: the channels in the order of publishing; NULL if they depend on the options (see @describe)
 * @describe: fills @channels from the options without touching the hardware. Return: how many
 *            (1 .. CHANNELS_MAX); 0 if only open() can tell; -EINVAL
 * @state_size: bytes of source->state
 */
struct driver {
	const char *name;
	enum driver_kind kind;
	const struct channel *channels;
	size_t channel_count;
	int (*describe)(const struct option_value *options,
			struct channel channels[static CHANNELS_MAX]);
	const struct driver_option *options;
	size_t option_count;
	size_t state_size;
	uint16_t addresses[4]; /* usual ones, 0 ends; I2C only */

	/** find the chip, check its id, reset, read its calibration. May narrow source->channels */
	int (*open)(struct source *source);
	/** trigger a conversion; *@wait_us: until collect() makes sense. NULL: there is nothing to start */
	int (*start)(struct source *source, int64_t *wait_us);
	/**
	 * fetch: one number a channel, in the channel's unit, NAN for what this chip has not.
	 * Return: 0; -EAGAIN still converting: called again after *@wait_us; another errno
	 */
	int (*collect)(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us);
	/** undo open(), also a half-done one; may be NULL */
	void (*close)(struct source *source);
};

/** struct source_owner - who lent the source something and wants to know when it is given back */
struct source_owner {
	void (*freed)(struct source_owner *owner);
};

/** struct source - one chip or file that a sensor reads; made by source_new() */
struct source {
	const struct driver *driver;
	const struct option_value *options;
	struct option_value *copied; /* that is what options are; NULL: the driver has none */
	struct i2c_device *i2c;	     /* I2C drivers; else NULL */
	struct source_owner *owner;  /* told when it is freed; NULL: nobody */
	void *state;		     /* driver->state_size bytes, zeroed before open() */
	struct channel channels[CHANNELS_MAX];
	size_t channel_count; /* 0 until open() for those that only the kernel can name */
	bool is_open;
	char fault[192]; /* why the last call failed, in words; "" if the errno says all */
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

/** source_close() - on a worker; closed already: nothing */
void source_close(struct source *source);

/** source_fail() - set source->fault, cut where it is too long, and return @error (negative), for `return source_fail(s, -EIO, "checksum …")` */
int source_fail(struct source *source, int error, const char *format, ...) printf_like(3, 4);

static inline void source_freep(struct source **source)
{
	*source = source_free(*source);
}
