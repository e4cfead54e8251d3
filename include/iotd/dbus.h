/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * D-Bus: iotd on the system bus, as org.iotd1(5) describes it. Where there is no bus nothing
 * happens and nothing is logged; when it comes, goes and comes back, the rest of iotd does not
 * notice. On the reactor's thread.
 */

#include <stdbool.h>

#include "iotd/model.h"
#include "iotd/reactor.h"

#define SCAN_BUS_SIZE 256 /* of the text that names a bus, with its NUL */

struct dbus;

/**
 * struct dbus_facts - what the Manager's properties say; pointers live until the callback returns
 */
struct dbus_facts {
	const char *version, *device, *broker, *config_file;
	const char *broker_fault; /* why it is not connected; "": it is, or that is not known yet */
	bool connected;
	uint64_t spooled; /* readings that wait for the broker */
};

/** struct dbus_message - a reading that the broker has not acknowledged */
struct dbus_message {
	uint64_t id;
	int64_t time_us; /* CLOCK_REALTIME when it came into being; 0: not known */
	const char *topic;
	const void *payload;
	size_t length;
};

/**
 * struct dbus_spool_query - a call of Spool(); belongs to dbus until it is answered
 *
 * done() is called exactly once, on the reactor, perhaps before the joint returns. Its parameters:
 * @error is negative if it cannot be told, and @text says why; @messages: oldest first, valid
 * during the call; @next: to go on with; 0: that was all.
 */
struct dbus_spool_query {
	uint64_t after; /* only messages with a higher id */
	size_t limit;	/* 1 .. 500 */
	void (*done)(struct dbus_spool_query *query, int error, const char *text,
		     const struct dbus_message *messages, size_t count, uint64_t next);
};

/**
 * struct dbus_scan_query - a call of Scan(); belongs to dbus until it is answered
 *
 * done() as above; @found: a part of a configuration. -EINVAL: @bus is no bus; -ECANCELED:
 * iotd is being stopped.
 */
struct dbus_scan_query {
	/* "i2c-1", "1", "/dev/i2c-1"; "": all. Printable ASCII, and not checked further */
	char bus[SCAN_BUS_SIZE];
	void (*done)(struct dbus_scan_query *query, int error, const char *text, const char *found);
};

/** struct dbus_joint - what D-Bus asks of the daemon */
struct dbus_joint {
	/** what is true now */
	void (*facts)(struct dbus_joint *joint, struct dbus_facts *ret);
	/**
	 * the device at @index, in the order sensors, inputs, outputs. False: there are not so many
	 */
	bool (*device)(struct dbus_joint *joint, size_t index, struct device_info *ret);
	/** NULL: the method says that it is not supported */
	void (*spool)(struct dbus_joint *joint, struct dbus_spool_query *query);
	/** NULL: the same */
	void (*scan)(struct dbus_joint *joint, struct dbus_scan_query *query);
};

/** struct dbus_parts - what it works with; all must outlive it */
struct dbus_parts {
	struct reactor *reactor;
	struct control *control; /* carries out commands */
	struct dbus_joint *joint;
	struct stats *stats;
	const char *instance; /* NULL: the name is org.iotd1 alone */
};

/**
 * dbus_new() - go to the bus that $DBUS_SYSTEM_BUS_ADDRESS names, or the system's, and stay there
 * Return: 0, also without a bus; -ENOMEM.
 */
int dbus_new(struct dbus **ret, const struct dbus_parts *parts);

/**
 * dbus_free() - leave the bus. NULL is fine. Returns NULL
 *
 * Commands that are still carried out answer nobody then.
 */
struct dbus *dbus_free(struct dbus *dbus);

/** dbus_stop() - iotd is being stopped: nothing is begun any more. NULL is fine, here and below */
void dbus_stop(struct dbus *dbus);

/** dbus_note_reading() - a reading was published: signal Reading */
void dbus_note_reading(struct dbus *dbus, const struct reading *reading);

/** dbus_note_state() - an input or an output has changed: signal Reading; properties */
void dbus_note_state(struct dbus *dbus, const struct state *state);

/**
 * dbus_note_device() - status, fault, interval or channels of a device may be other than they were
 */
void dbus_note_device(struct dbus *dbus, enum device_kind kind, const char *name);

/** dbus_note_devices() - devices came or went, or are configured otherwise: after a reload */
void dbus_note_devices(struct dbus *dbus);

/** dbus_note_facts() - something of struct dbus_facts may be other than it was */
void dbus_note_facts(struct dbus *dbus);

/**
 * dbus_name_new() - "org.iotd1", with @instance (may be NULL) behind it, escaped. The caller frees
 * it. NULL: out of memory
 */
char *dbus_name_new(const char *instance);

static inline void dbus_freep(struct dbus **dbus)
{
	*dbus = dbus_free(*dbus);
}
