/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of D-Bus share: the connection (dbus.c), calls that are carried out (call.c), the
 * Manager (manager.c), its method List (listing.c), sensors, inputs and outputs (objects.c).
 *
 * A connection (struct dbus.bus) is used once: when it is lost, all that came by it is dropped, and
 * the next one begins with nothing. Between two there is none: @bus is NULL.
 */

#include <sys/queue.h>
#include <systemd/sd-bus.h>

#include "iotd/dbus.h"
#include "permission.h"

#define DBUS_NAME	  "org.iotd1"
#define DBUS_PATH	  "/org/iotd1"
#define MANAGER_INTERFACE "org.iotd1.Manager"

#define ERROR_NO_DEVICE "org.iotd1.Error.NoSuchDevice"
#define ERROR_REFUSED	"org.iotd1.Error.Refused"
#define ERROR_STOPPING	"org.iotd1.Error.Stopping"

/** struct call - a method call that is being carried out */
struct call {
	struct dbus *dbus;	 /* NULL: nobody waits for the answer any more */
	sd_bus_message *message; /* likewise */
	LIST_ENTRY(call) link;
	STAILQ_ENTRY(call) waiting; /* List: for its turn */
	struct permission permission;
	void (*begin)(struct call *call); /* when it is permitted */
	bool is_of_objects;		  /* GetManagedObjects, which is answered as List is */
	union {
		struct command command;
		struct dbus_spool_query spool;
		struct dbus_scan_query scan;
	};
};

/** struct listing - the answers to List, one after the other */
struct listing {
	STAILQ_HEAD(, call) waiting; /* the first is being answered */
	sd_bus_message *reply;	     /* to it; NULL: not begun */
	size_t at;		     /* the device that is next */
	struct reactor_timer timer;
};

/** struct manager_told - what clients have been told of the Manager's properties */
struct manager_told {
	char device[256], broker[256];
	bool connected;
	bool is_due; /* something may be other than was told */
};

struct dbus {
	struct dbus_parts parts;
	char *name;
	sd_bus *bus;	  /* NULL: none, the next try comes with @retry */
	bool is_owner;	  /* the name is ours: signals are of use */
	bool is_stopping; /* nothing is begun any more */

	/* dbus.c */
	struct reactor_io io;
	uint32_t events; /* that are watched for */
	struct reactor_timer timer, retry;
	struct reactor_call again;
	int64_t pause_us; /* before the next try */
	bool was_there;	  /* in this connection: we have been told something of our name */
	bool is_lost;	  /* it was there once, and its end is logged */
	uint64_t signals_dropped;

	LIST_HEAD(, call) calls;
	struct listing listing;
	struct manager_told told;
	struct objects *objects;  /* NULL: the name is not ours yet */
	struct device_info found; /* of the object that sd-bus asks for */
};

/* --- dbus.c --------------------------------------------------------------------------------- */

/** dbus_touch() - something was sent, or a question asked: see to it that it goes on */
void dbus_touch(struct dbus *dbus);

/** dbus_queued() - messages that wait to be written */
uint64_t dbus_queued(const struct dbus *dbus);

/** dbus_is_stalled() - the bus does not take what is written */
bool dbus_is_stalled(const struct dbus *dbus);

/**
 * dbus_may_signal() - a signal may be sent now; false: nobody can hear it, or it would wait, and is
 * counted as dropped
 */
bool dbus_may_signal(struct dbus *dbus);

/* --- call.c --------------------------------------------------------------------------------- */

/**
 * call_new() - begin with one; it is answered later
 * @error: what the caller is told if it is refused
 * Return: 0; negative: refused, to be returned to sd-bus.
 */
int call_new(struct call **ret, struct dbus *dbus, sd_bus_message *message, sd_bus_error *error);

/** call_execute() - have call->command carried out, which answers it */
void call_execute(struct call *call);

/**
 * call_permit() - ask if its sender may do that, then call->begin(); else it is answered. @verb,
 * @name: for who is asked
 */
void call_permit(struct call *call, const char *verb, const char *name);

/** call_reply() - an empty answer to be filled. Return: 0; -ENOMEM and such */
int call_reply(const struct call *call, sd_bus_message **ret);

/** call_done() - send @reply if @r is not negative, else an error; free both */
void call_done(struct call *call, sd_bus_message *reply, int r);

/** call_refuse() - answer with an error, count it, free the call. @name: of the error */
void call_refuse(struct call *call, enum command_refusal refusal, const char *name,
		 const char *text);

/** calls_stop() - nothing is begun any more: those that wait for polkit are answered */
void calls_stop(struct dbus *dbus);

/** calls_drop() - the connection is gone: answer nobody */
void calls_drop(struct dbus *dbus);

/* --- manager.c ------------------------------------------------------------------------------ */

/** manager_add() - the Manager on a new connection. Return: 0; -ENOMEM */
int manager_add(struct dbus *dbus);

/* --- signals.c ------------------------------------------------------------------------------ */

/**
 * signals_begin() - on a new connection clients ask for what is true now, and are told what changes
 */
void signals_begin(struct dbus *dbus);

/* --- listing.c ------------------------------------------------------------------------------ */

/** listing_begin() - answer a call of List, in its turn */
void listing_begin(struct call *call);

/** listing_is_of_objects() - an answer to GetManagedObjects is being made */
bool listing_is_of_objects(const struct dbus *dbus);

/** listing_restart() - devices came or went */
void listing_restart(struct dbus *dbus);

/** listing_drop() - the connection is gone, or no device is left */
void listing_drop(struct dbus *dbus);

/* --- values.c: pieces of messages. Return: 0 or more; a negative errno ------------------------ */

/** values_text() - a string, its bytes that are no UTF-8 as "?"; @text may be NULL: "" */
int values_text(sd_bus_message *message, const char *text);

/** values_entry_text() - of an a{sv} */
int values_entry_text(sd_bus_message *message, const char *key, const char *text);

/** values_entry_whole() - of an a{sv}, as t */
int values_entry_whole(sd_bus_message *message, const char *key, uint64_t value);

/** values_channels() - a(ss): names and units */
int values_channels(sd_bus_message *message, const struct channel *channels, size_t count);

/** values_reading() - a{sv}: channel → d */
int values_reading(sd_bus_message *message, const struct value *values, size_t count);

/** values_sample() - a{sv}: the newest sample, channel → d; what has none is not in it */
int values_sample(sd_bus_message *message, const struct device_info *info);

/** values_state() - a{sv}: "state" → s */
int values_state(sd_bus_message *message, bool on);

/** values_stats() - a{sv}: the members of T/stats, and those of D-Bus itself */
int values_stats(sd_bus_message *message, const struct stats *stats, uint64_t signals_dropped);

/** values_device() - a{sv}: a device in the answer to List */
int values_device(sd_bus_message *message, const struct device_info *info);
