/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A method call that cannot be answered at once: it waits for polkit, for a device, for its turn.
 * Not more than CALLS_MAX do, and not more than CALLS_OF_ONE_MAX of one sender. Its arguments are
 * checked before it becomes one, so what is kept of a stranger's message is small.
 *
 * Those that wait for polkit are counted for themselves, as somebody may let it ask for passwords
 * that never come: when there are too many, one of who has most of them has to go, so others are
 * let in, and reading goes on anyway.
 *
 * A command that is being carried out, and a question to the spool or the scan, must live until its
 * done(). If the connection is lost before, the call belongs to nobody (call->dbus is NULL), and
 * only frees itself then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dbus.h"
#include "iotd/parse.h"

#define CALLS_MAX	 64
#define CALLS_OF_ONE_MAX 8
#define TEXT_SIZE	 1024

static const char too_many[] = "too many calls wait for their answers";
static const char stopping[] = "iotd is being stopped";

static bool waits_for_polkit(const struct call *call)
{
	return call->permission.slot != NULL;
}

static size_t count_of_sender(const struct dbus *dbus, const char *sender)
{
	const struct call *call;
	size_t count = 0;

	for (call = LIST_FIRST(&dbus->calls); call; call = LIST_NEXT(call, link))
		count += strcmp(sd_bus_message_get_sender(call->message), sender) == 0;
	return count;
}

static size_t count_waiting(const struct dbus *dbus, bool for_polkit)
{
	const struct call *call;
	size_t count = 0;

	for (call = LIST_FIRST(&dbus->calls); call; call = LIST_NEXT(call, link))
		count += waits_for_polkit(call) == for_polkit;
	return count;
}

int call_new(struct call **ret, struct dbus *dbus, sd_bus_message *message, sd_bus_error *error)
{
	const char *sender = sd_bus_message_get_sender(message);
	struct call *call;

	if (dbus->is_stopping) {
		stats_refuse(dbus->parts.stats, REFUSAL_DROPPED);
		return sd_bus_error_set_const(error, ERROR_STOPPING, stopping);
	}
	if (!sender || count_waiting(dbus, false) >= CALLS_MAX ||
	    count_of_sender(dbus, sender) >= CALLS_OF_ONE_MAX) {
		stats_refuse(dbus->parts.stats, REFUSAL_DROPPED);
		return sd_bus_error_set_const(error, SD_BUS_ERROR_LIMITS_EXCEEDED, too_many);
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		stats_refuse(dbus->parts.stats, REFUSAL_DROPPED);
		return -ENOMEM;
	}
	call->dbus = dbus;
	call->message = sd_bus_message_ref(message);
	LIST_INSERT_HEAD(&dbus->calls, call, link);
	*ret = call;
	return 0;
}

/* nobody gets an answer any more */
static void call_leave(struct call *call)
{
	if (!call->dbus)
		return;
	LIST_REMOVE(call, link);
	permission_cancel(&call->permission);
	call->message = sd_bus_message_unref(call->message);
	call->dbus = NULL;
}

static void call_free(struct call *call)
{
	call_leave(call);
	free(call);
}

static void send_error(const struct call *call, const char *name, const char *text)
{
	char mended[TEXT_SIZE];
	sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(name, mended);

	(void)snprintf(mended, sizeof(mended), "%s", text);
	text_mend(mended);
	(void)sd_bus_reply_method_error(call->message, &error); /* else it has gone */
	dbus_touch(call->dbus);
}

void call_refuse(struct call *call, enum command_refusal refusal, const char *name,
		 const char *text)
{
	if (call->dbus) {
		stats_refuse(call->dbus->parts.stats, refusal);
		send_error(call, name, text);
	}
	call_free(call);
}

int call_reply(const struct call *call, sd_bus_message **ret)
{
	return sd_bus_message_new_method_return(call->message, ret);
}

void call_done(struct call *call, sd_bus_message *reply, int r)
{
	if (r >= 0 && call->dbus) {
		call->dbus->parts.stats->commands++;
		if (sd_bus_message_get_expect_reply(call->message) > 0)
			r = sd_bus_send(NULL, reply, NULL);
		dbus_touch(call->dbus);
	}
	sd_bus_message_unref(reply);
	if (r < 0)
		call_refuse(call, REFUSAL_FAILED, ERROR_REFUSED,
			    r == -ENOMEM ? "out of memory" : strerror(-r));
	else
		call_free(call);
}

/* --- commands ------------------------------------------------------------------------------- */

static int append_read(sd_bus_message *reply, const struct command_result *result)
{
	const struct reading *reading = result->reading;
	int64_t time_us = reading ? reading->time_us : result->state->time_us;
	int r = sd_bus_message_append(reply, "t", (uint64_t)time_us);

	if (r < 0)
		return r;
	return reading ? values_reading(reply, reading->values, reading->count)
		       : values_state(reply, result->state->on);
}

static int append_result(const struct call *call, sd_bus_message *reply,
			 const struct command_result *result)
{
	switch (call->command.kind) {
	case COMMAND_STATS:
		return values_stats(reply, result->stats, call->dbus->signals_dropped);
	case COMMAND_READ:
		return append_read(reply, result);
	case COMMAND_SET:
	case COMMAND_TOGGLE:
		return sd_bus_message_append(reply, "s", result->state->on ? "on" : "off");
	case COMMAND_PING:
	case COMMAND_LIST:
	case COMMAND_PULSE:
	case COMMAND_INTERVAL:
	case COMMAND_RELOAD:
	case COMMAND_COUNT:
	case COMMAND_KINDS:
		break;
	}
	return 0;
}

static void refuse_command(struct call *call, const struct command_result *result)
{
	const char *text = result->text ? result->text : strerror(-result->error);

	if (call->dbus && call->dbus->is_stopping && result->error == -ECANCELED)
		call_refuse(call, REFUSAL_DROPPED, ERROR_STOPPING, text);
	else if (result->is_unknown)
		call_refuse(call, REFUSAL_UNKNOWN, ERROR_NO_DEVICE, text);
	else
		call_refuse(call, REFUSAL_FAILED, ERROR_REFUSED, text);
}

static void command_done(struct command *command, const struct command_result *result)
{
	struct call *call = container_of(command, struct call, command);
	sd_bus_message *reply = NULL;
	int r;

	if (!call->dbus) {
		call_free(call);
		return;
	}
	if (result->error < 0) {
		refuse_command(call, result);
		return;
	}
	r = call_reply(call, &reply);
	if (r >= 0)
		r = append_result(call, reply, result);
	call_done(call, reply, r);
}

void call_execute(struct call *call)
{
	struct control *control = call->dbus->parts.control;

	call->command.done = command_done;
	control->execute(control, &call->command);
}

/* --- permission ----------------------------------------------------------------------------- */

static void permitted(struct permission *permission, const char *error, const char *text)
{
	struct call *call = container_of(permission, struct call, permission);

	if (error)
		call_refuse(call, REFUSAL_NOT_ALLOWED, error, text);
	else if (call->dbus->is_stopping)
		call_refuse(call, REFUSAL_DROPPED, ERROR_STOPPING, stopping);
	else
		call->begin(call);
}

/* the oldest of who has most of those that wait for polkit; the list begins with the latest */
static struct call *most_waiting(const struct dbus *dbus)
{
	struct call *call, *found = NULL;
	size_t most = 0;

	for (call = LIST_FIRST(&dbus->calls); call; call = LIST_NEXT(call, link)) {
		size_t count = count_of_sender(dbus, sd_bus_message_get_sender(call->message));

		if (!waits_for_polkit(call) || count < most)
			continue;
		most = count;
		found = call;
	}
	return found;
}

void call_permit(struct call *call, const char *verb, const char *name)
{
	if (count_waiting(call->dbus, true) >= CALLS_MAX)
		call_refuse(most_waiting(call->dbus), REFUSAL_DROPPED, SD_BUS_ERROR_LIMITS_EXCEEDED,
			    too_many);
	if (permission_ask(&call->permission, call->message, verb, name, permitted) < 0)
		call_refuse(call, REFUSAL_NOT_ALLOWED, SD_BUS_ERROR_ACCESS_DENIED,
			    "nobody can be asked if this is allowed");
	else
		dbus_touch(call->dbus);
}

void calls_drop(struct dbus *dbus)
{
	struct call *call;

	while ((call = LIST_FIRST(&dbus->calls))) {
		bool is_begun = !waits_for_polkit(call);

		call_leave(call);
		if (!is_begun)
			free(call);
	}
}

void calls_stop(struct dbus *dbus)
{
	struct call *call;

	while ((call = most_waiting(dbus)))
		call_refuse(call, REFUSAL_DROPPED, ERROR_STOPPING, stopping);
}
