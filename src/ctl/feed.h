/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The daemon as it goes on: its signals, and calls whose answers come on the loop. The bus and the daemon
 * may go away and come back; they are waited for, and their user is told.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "ctl.h"

#define FEED_NAMES_MAX 32 /* more than that are not told apart by the bus */

struct feed;

/** struct feed_user - who wants to know; embedded in its owner. NULL functions are not called */
struct feed_user {
	void (*here)(struct feed_user *user); /* the daemon has come back */
	void (*gone)(struct feed_user *user,
		     const char *why);		 /* it went away, or the bus: in words */
	void (*changed)(struct feed_user *user); /* devices came, went or fail: ask List */
	/* a reading; the next members of @message are its time and values */
	void (*reading)(struct feed_user *user, const char *name, sd_bus_message *message);
};

/**
 * feed_new() - connect, and ask the bus for signals
 * @ret:   set on success only; the caller frees it with feed_free()
 * @ctl:   its bus is opened, and opened anew when it comes back
 * @names: readings of these only, @count of them; 0: of all. They stay the caller's, and must live as long
 *
 * Nothing is told before feed_run(); until then calls can be made with bus_ask().
 * Return: EX_OK; another exit code, said.
 */
int feed_new(struct feed **ret, struct ctl *ctl, struct feed_user *user, char **names,
	     size_t count);

/** feed_run() - go on with @event, which runs then. Return: 0; an errno */
int feed_run(struct feed *feed, sd_event *event);

/** feed_free() - also of NULL. Return: NULL */
struct feed *feed_free(struct feed *feed);

static inline void feed_freep(struct feed **feed)
{
	*feed = feed_free(*feed);
}

/** feed_is_here() - as far as is known, does the daemon run? */
bool feed_is_here(const struct feed *feed);

/**
 * feed_ask() - call a method
 * @interface: NULL: the Manager's
 * @argument:  a string; NULL: it takes none
 * @answered:  called on the loop with @data and the answer, which may be an error; not called if the bus goes
 *
 * Return: 0; -ENOTCONN there is no bus; another errno.
 */
int feed_ask(struct feed *feed, const char *interface, const char *method, const char *argument,
	     sd_bus_message_handler_t answered, void *data);
