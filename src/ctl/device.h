/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the daemon's List says, as plain structs. All texts are free of control characters: what comes
 * from a chip or a file through a daemon must not steer the terminal. A key that is missing or has
 * another type than it should is taken as not there.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "variant.h"

#include "iotd/model.h"

/** struct device_channel - a channel, and its newest value */
struct device_channel {
	char *name;
	char *unit;    /* "": none */
	double number; /* NAN: not known */
};

/** struct device - a sensor, an input or an output; texts are never NULL */
struct device {
	char *name;
	enum device_kind kind;
	enum device_status status;
	char *fault;	      /* "": none */
	char *driver;	      /* "": none */
	uint64_t interval_us; /* 0: none */
	struct device_channel *channels;
	size_t channel_count; /* 0: an input or output that has a state */
	int state;	      /* 1 on, 0 off, -1 not known or none */
	uint64_t time_us;     /* CLOCK_REALTIME of the newest reading or state; 0: none */
	uint64_t readings, errors;
	uint64_t late_us; /* the worst start of a read after its due time, of late */
	uint64_t busy_us; /* that its reads took, since it was made */
};

struct devices {
	struct device *list;
	size_t count;
};

/**
 * devices_read() - an answer to List
 * @ret: set on success only; released with devices_free()
 * Return: 0; -ENOMEM; -EBADMSG or another errno of sd-bus: this is no answer to List.
 */
int devices_read(struct devices *ret, sd_bus_message *reply);

/** devices_free() - and zero it; for cleanup(), too */
void devices_free(struct devices *devices);

/** devices_find() - NULL: there is none of that name (and @kind, unless it is -1) */
struct device *devices_find(const struct devices *devices, const char *name, int kind);

/** devices_keep() - those of @kind, and free the others */
void devices_keep(struct devices *devices, enum device_kind kind);

/**
 * device_read_values() - a time and an a{sv} of values: the answer to Read, and behind the name the signal Reading
 * @message: its next two members are read
 * Takes up channels that it did not have. Return: 0; -ENOMEM; -EBADMSG or another errno of sd-bus.
 */
int device_read_values(struct device *device, sd_bus_message *message);

/** device_forget_values() - its channels stay */
void device_forget_values(struct device *device);

/** device_last_us() - how long ago its newest reading or state is, at @now_us CLOCK_REALTIME; -1: there is none */
int64_t device_last_us(const struct device *device, int64_t now_us);
