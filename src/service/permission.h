/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* May the sender of a call change something? polkit says it, or else it must be root. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

/** struct permission - a question that is asked; zeroed: none */
struct permission {
	sd_bus_slot *slot; /* of the answer that is awaited */
	sd_bus_message *call;
	void (*done)(struct permission *permission, const char *error, const char *text);
	char fault[160]; /* why polkit did not say it */
};

/**
 * permission_ask() - for the action org.iotd1.write
 * @call: whose sender is asked about; must stay until done() or permission_cancel()
 * @verb, @name: what it wants, for rules and dialogs of polkit
 * @done: called once, never before this returns: @error is NULL if it may, else the error it gets,
 * with @text.
 *        Who has left the bus meanwhile may nothing.
 *
 * Return: 0; negative: it cannot be asked.
 */
int permission_ask(struct permission *permission, sd_bus_message *call, const char *verb,
		   const char *name,
		   void (*done)(struct permission *permission, const char *error,
				const char *text));

/** permission_cancel() - done() is not called any more */
void permission_cancel(struct permission *permission);
