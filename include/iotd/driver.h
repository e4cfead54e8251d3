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
 *
 * This header, and chip.h, i2c.h, parse.h, clock.h, base.h, channel.h and option.h that go with it, are
 * installed for drivers built out of tree; iotd-driver(3) tells how to write one. A change of what they
 * say that an older driver would not survive makes IOTD_DRIVER_ABI one more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/base.h"
#include "iotd/channel.h"
#include "iotd/option.h"

struct i2c_device;
struct source;
struct source_owner;

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
	OPTION_DURATION,
	OPTION_STRINGS,	 /* a list of different strings: channels = [ "temp1", "fan2" ] */
	OPTION_INTEGERS, /* a list of integers: bytes = [ 0x60, 0xa0 ] */
	OPTION_GROUPS /* a list of groups with @members: registers = ( { channel = "level"; … } ) */
};

#define OPTION_LIST_MAX CHANNELS_MAX /* elements of a list */

/** struct driver_option - a key that a driver takes in its sensor's group, besides those that every sensor takes */
struct driver_option {
	const char *name;
	enum option_type type;
	bool required;
	double minimum, maximum; /* of numbers, inclusive; both 0: any */
	double preset;		 /* default of numbers and booleans; a list has none: it is empty */
	const char *text;	 /* default of strings; NULL: none */
	/* what is allowed, NULL-terminated: words, numbers in decimal ("1", "0.25"), durations ("100ms"); NULL: any */
	const char *const *choices; /* of lists: for each element, as are minimum and maximum */
	const struct driver_option
		*members; /* OPTION_GROUPS: the keys of a group; none is OPTION_GROUPS */
	size_t member_count;
};

/** struct option_check - the joint through which a driver says what is wrong with its options; config/ fills it */
struct option_check {
	void (*fault)(struct option_check *check, const struct option_value *value,
		      const char *words);
};

/**
 * option_fault() - a fault of the configuration, told with FILE, LINE and PATH
 * @value: the one that is wrong: of the options, or an element or member of their lists
 */
void option_fault(struct option_check *check, const struct option_value *value, const char *format,
		  ...) printf_like(3, 4);

/**
 * option_choice() - which of @option's choices is @value? 0 is the first
 * @value: of the option, or of an element of its list
 * Return: -1 none of them.
 */
int option_choice(const struct driver_option *option, const struct option_value *value);

/** enum recognition - what driver->recognise() thinks of who is at an address */
enum recognition {
	RECOGNISED_NOT,
	RECOGNISED_PERHAPS, /* nothing speaks against it, but such chips have no id */
	RECOGNISED	    /* by an id, or by an answer with a right checksum */
};

/**
 * struct driver - one per kind of chip or source; const, listed in drivers.c or IOTD_DRIVERS()
 * @channels: the channels in the order of publishing; NULL if they depend on the options (see @describe).
 *            Both: only the digits depend on them
 * @describe: fills @channels from the options without touching the hardware. Return: how many
 *            (1 .. CHANNELS_MAX); 0 if only open() can tell; -EINVAL. An option that the file has wrong
 *            still has its default then, so that a string without one is NULL even where required
 * @check:    says what is wrong with options that are right each alone; NULL: nothing can be. Called
 *            before @describe and only when each alone was right
 * @state_size: bytes of source->state
 */
struct driver {
	const char *name;
	enum driver_kind kind;
	const struct channel *channels;
	size_t channel_count;
	int (*describe)(const struct option_value *options,
			struct channel channels[static CHANNELS_MAX]);
	void (*check)(const struct option_value *options, struct option_check *check);
	const struct driver_option *options;
	size_t option_count;
	size_t state_size;
	uint16_t addresses[4]; /* usual ones, 0 ends; I2C only */
	int64_t limit_us; /* a call that takes longer has failed; 0: 3 s. Also counts waiting for the bus */

	/**
	 * is the chip at @i2c, which may be any, one of this driver's? For --scan, and for the hint where an
	 * absent chip may be. On a worker. It changes nothing: see chip_has_id() and those after it.
	 * NULL: whatever can be read is one, perhaps. I2C only
	 */
	enum recognition (*recognise)(struct i2c_device *i2c);
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

/**
 * struct source - one chip or file that a sensor reads; made by source_new()
 * @is_prompt: set by collect() of a driver without start() where the next one will wait for nothing and
 *             nobody: iotd calls that on its own thread, with this still set. Would it have to wait after
 *             all, it returns -EAGAIN: then it is called on a worker, with this set back
 */
struct source {
	const struct driver *driver;
	const struct option_value *options;
	struct option_value *copied; /* that is what options are; NULL: the driver has none */
	struct i2c_device *i2c;	     /* I2C drivers; else NULL */
	struct source_owner *owner;  /* told when it is freed; NULL: nobody */
	void *state;		     /* driver->state_size bytes, zeroed before open() */
	struct channel
		*channels; /* channel_count of them; room for CHANNELS_MAX if open() names them */
	size_t channel_count; /* 0 until open() for those that only the kernel can name */
	bool is_open;
	bool is_prompt;
	unsigned int readings; /* begun since open(): 1 in the first start() and collect() */
	int polls;	       /* chip_converting() counts here; 0 when start() is called */
	char fault[192];       /* why the last call failed, in words; "" if the errno says all */
};

/** source_fail() - set source->fault, cut where it is too long, and return @error (negative), for `return source_fail(s, -EIO, "checksum …")` */
int source_fail(struct source *source, int error, const char *format, ...) printf_like(3, 4);

/* --- Drivers built out of tree ---------------------------------------------------------------- */

/** IOTD_DRIVER_ABI - the version of all this; iotd loads no driver that was built for another one */
#define IOTD_DRIVER_ABI 2U

/** struct driver_module - what a file NAME.so in driver_dir exports as iotd_driver; its first member never moves */
struct driver_module {
	unsigned int abi;		     /* IOTD_DRIVER_ABI */
	const struct driver *const *drivers; /* NULL ends them */
};

/** IOTD_DRIVERS() - makes it, from pointers to the drivers of the file: IOTD_DRIVERS(&wind_driver); */
#define IOTD_DRIVERS(...)                                                                          \
	extern const struct driver_module iotd_driver;                                             \
	__attribute__((visibility("default"))) const struct driver_module iotd_driver = {          \
		IOTD_DRIVER_ABI, (const struct driver *const[]){ __VA_ARGS__, NULL }               \
	}
