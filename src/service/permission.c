/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * polkit (org.freedesktop.PolicyKit1.Authority, CheckAuthorization) knows who sits where and whom
 * to ask for a password. Where it is not there, or does not answer, the caller's user is asked of
 * the bus, and root may: so a polkit that is broken locks nobody out who could not mend it.
 *
 * All of it by messages that are answered later; nothing here waits. Between question and answer a
 * caller may have gone, and what nobody wants any more is not carried out: so the bus is asked for
 * it last.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "iotd/clock.h"
#include "permission.h"

#define ACTION "org.iotd1.write"
#define BUS    "org.freedesktop.DBus"

/* CheckAuthorizationFlags: AllowUserInteraction */
#define INTERACTIVE 1U

#define LIMIT_US	     (5 * USEC_PER_SEC)
#define LIMIT_INTERACTIVE_US (120 * USEC_PER_SEC) /* somebody looks for a password */

static void finish(struct permission *permission, const char *error, const char *text)
{
	permission->slot = sd_bus_slot_unref(permission->slot);
	permission->call = NULL;
	permission->done(permission, error, text);
}

/* takes @question over. Return: 0; negative */
static int ask(struct permission *permission, sd_bus_message *question,
	       sd_bus_message_handler_t answered, int64_t limit_us)
{
	sd_bus *bus = sd_bus_message_get_bus(permission->call);
	int r;

	permission->slot = sd_bus_slot_unref(permission->slot);
	r = sd_bus_call_async(bus, &permission->slot, question, answered, permission,
			      (uint64_t)limit_us);
	sd_bus_message_unref(question);
	return r < 0 ? r : 0;
}

/* a question to the bus about the caller */
static int ask_bus(struct permission *permission, const char *method,
		   sd_bus_message_handler_t answered)
{
	sd_bus *bus = sd_bus_message_get_bus(permission->call);
	sd_bus_message *question = NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &question, BUS, "/org/freedesktop/DBus", BUS,
					   method);
	if (r >= 0)
		r = sd_bus_message_append(question, "s",
					  sd_bus_message_get_sender(permission->call));
	if (r < 0) {
		sd_bus_message_unref(question);
		return r;
	}
	return ask(permission, question, answered, LIMIT_US);
}

static int presence_told(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct permission *permission = data;
	int is_there = 0;

	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL) ||
	    sd_bus_message_read(reply, "b", &is_there) < 0 || !is_there)
		finish(permission, SD_BUS_ERROR_ACCESS_DENIED, "the caller has left the bus");
	else
		finish(permission, NULL, NULL);
	return 0;
}

static int user_told(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct permission *permission = data;
	uint32_t user = UINT32_MAX;

	(void)error;
	if (!sd_bus_message_is_method_error(reply, NULL) &&
	    sd_bus_message_read(reply, "u", &user) >= 0 && user == 0)
		finish(permission, NULL, NULL);
	else
		finish(permission, SD_BUS_ERROR_ACCESS_DENIED, permission->fault);
	return 0;
}

static void ask_user(struct permission *permission, const char *why)
{
	(void)snprintf(permission->fault, sizeof(permission->fault),
		       "only root may do this, as polkit cannot be asked: %.80s", why);
	if (ask_bus(permission, "GetConnectionUnixUser", user_told) < 0)
		finish(permission, SD_BUS_ERROR_ACCESS_DENIED, permission->fault);
}

/* who could prove more, if only polkit were allowed to ask */
static void deny(struct permission *permission, bool is_challenge)
{
	if (is_challenge &&
	    sd_bus_message_get_allow_interactive_authorization(permission->call) <= 0)
		finish(permission, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
		       "polkit would have to ask for a password (action " ACTION ")");
	else
		finish(permission, SD_BUS_ERROR_ACCESS_DENIED,
		       "polkit does not allow it (action " ACTION ")");
}

static int polkit_answered(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct permission *permission = data;
	const sd_bus_error *fault = sd_bus_message_get_error(reply);
	int is_authorized = 0, is_challenge = 0;

	(void)error;
	if (fault)
		ask_user(permission, fault->name);
	else if (sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
		 sd_bus_message_read(reply, "bb", &is_authorized, &is_challenge) < 0)
		ask_user(permission, "its answer is not understood");
	else if (!is_authorized)
		deny(permission, is_challenge);
	else if (ask_bus(permission, "NameHasOwner", presence_told) < 0)
		finish(permission, SD_BUS_ERROR_ACCESS_DENIED, "the bus cannot be asked");
	return 0;
}

static int question_new(sd_bus_message **ret, sd_bus_message *call, const char *verb,
			const char *name)
{
	bool interactive = sd_bus_message_get_allow_interactive_authorization(call) > 0;
	sd_bus_message *question = NULL;
	int r;

	r = sd_bus_message_new_method_call(
		sd_bus_message_get_bus(call), &question, "org.freedesktop.PolicyKit1",
		"/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority",
		"CheckAuthorization");
	if (r >= 0)
		r = sd_bus_message_append(question, "(sa{sv})sa{ss}us", "system-bus-name", 1,
					  "name", "s", sd_bus_message_get_sender(call), ACTION, 2,
					  "verb", verb, "name", name,
					  interactive ? INTERACTIVE : 0U, "");
	if (r < 0) {
		sd_bus_message_unref(question);
		return r;
	}
	*ret = question;
	return 0;
}

int permission_ask(struct permission *permission, sd_bus_message *call, const char *verb,
		   const char *name,
		   void (*done)(struct permission *permission, const char *error, const char *text))
{
	bool interactive = sd_bus_message_get_allow_interactive_authorization(call) > 0;
	sd_bus_message *question;
	int r;

	permission->call = call;
	permission->done = done;
	r = question_new(&question, call, verb, name);
	return r < 0 ? r
		     : ask(permission, question, polkit_answered,
			   interactive ? LIMIT_INTERACTIVE_US : LIMIT_US);
}

void permission_cancel(struct permission *permission)
{
	permission->slot = sd_bus_slot_unref(permission->slot);
	permission->call = NULL;
}
