/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A blocking client on sd-bus: calls go out as they come, and bus_wait() turns the connection until all
 * have their answers. sd_bus_call() would wait for one after the other.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "bus.h"

#define SERVICE "org.iotd1"

/* --- Faults in words ---------------------------------------------------------------------------- */

static int tell_absent(struct ctl *ctl)
{
	return ctl_fail(ctl, EX_UNAVAILABLE,
			"iotd is not running, or another instance: systemctl status iotd%s%s",
			ctl->instance ? "@" : "", ctl->instance ? ctl->instance : "");
}

static int tell_denied(struct ctl *ctl, const sd_bus_error *error)
{
	return ctl_fail(ctl, EX_NOPERM, "%s: run it with sudo, or join the group iotd",
			error->message && error->message[0] ? error->message : "not permitted");
}

static int tell_late(struct ctl *ctl)
{
	return ctl_fail(ctl, EX_UNAVAILABLE,
			"iotd does not answer: see systemctl status iotd%s%s, or try again",
			ctl->instance ? "@" : "", ctl->instance ? ctl->instance : "");
}

int bus_tell(struct ctl *ctl, const sd_bus_error *error)
{
	static const struct {
		const char *name;
		int (*tell)(struct ctl *ctl);
	} known[] = {
		{ SD_BUS_ERROR_SERVICE_UNKNOWN, tell_absent },
		{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, tell_absent },
		{ SD_BUS_ERROR_NO_REPLY, tell_late },
		{ SD_BUS_ERROR_TIMEOUT, tell_late },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (sd_bus_error_has_name(error, known[i].name))
			return known[i].tell(ctl);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
		return tell_denied(ctl, error);
	return ctl_fail(ctl, EXIT_FAILURE, "%s",
			error->message && error->message[0] ? error->message : error->name);
}

int bus_lost(struct ctl *ctl, int r)
{
	return ctl_fail(ctl, EX_UNAVAILABLE,
			"no D-Bus system bus: %s; iotd runs without one, iotctl does not",
			strerror(-r));
}

int bus_strange(struct ctl *ctl, const char *method, int r)
{
	if (r == -ENOMEM)
		return ctl_no_memory(ctl);
	return ctl_fail(ctl, EXIT_FAILURE,
			"iotd's answer to %s cannot be read (%s): is it of another version?",
			method, strerror(-r));
}

/* --- Calls -------------------------------------------------------------------------------------- */

/* Return: "org.iotd1", or with the instance's name behind it as sd-bus escapes labels; NULL: out of memory */
static char *service_name(const char *instance)
{
	cleanup(freep) char *path = NULL;
	char *name;

	if (!instance)
		return strdup(SERVICE);
	if (sd_bus_path_encode("/x", instance, &path) < 0)
		return NULL;
	return asprintf(&name, SERVICE ".%s", path + strlen("/x/")) < 0 ? NULL : name;
}

int bus_open(struct ctl *ctl)
{
	int r;

	if (ctl->bus)
		return EX_OK;
	if (!ctl->service)
		ctl->service = service_name(ctl->instance);
	if (!ctl->service)
		return ctl_no_memory(ctl);
	r = sd_bus_open_system(&ctl->bus);
	if (r < 0)
		return bus_lost(ctl, r);
	return EX_OK;
}

static int take_answer(sd_bus_message *reply, void *data, sd_bus_error *unused)
{
	struct bus_call *call = data;

	(void)unused;
	call->reply = sd_bus_message_ref(reply);
	call->ctl->waiting--;
	return 0;
}

static int send_call(struct ctl *ctl, struct bus_call *call, const char *types, va_list arguments)
{
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_method_call(ctl->bus, &message, ctl->service, BUS_PATH,
					   call->interface ? call->interface : BUS_INTERFACE,
					   call->method);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(message, false);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(message, call->may_ask);
	if (r >= 0 && types)
		r = sd_bus_message_appendv(message, types, arguments);
	if (r >= 0)
		r = sd_bus_call_async(ctl->bus, &call->slot, message, take_answer, call,
				      call->timeout_us);
	sd_bus_message_unref(message);
	return r;
}

static int send_or_tell(struct ctl *ctl, struct bus_call *call, const char *types,
			va_list arguments)
{
	int r = bus_open(ctl);

	if (r != EX_OK)
		return r;
	call->ctl = ctl;
	if (call->timeout_us == 0)
		call->timeout_us = call->may_ask ? BUS_INTERACTIVE_US : BUS_QUICK_US;
	if (call->may_ask)
		agent_start(ctl);
	r = send_call(ctl, call, types, arguments);
	if (r == -EINVAL) /* what sd-bus will not send: a name that is no UTF-8 */
		return ctl_fail(ctl, EX_USAGE, "no text that can be sent over D-Bus");
	if (r < 0)
		return bus_lost(ctl, r);
	ctl->waiting++;
	return EX_OK;
}

int bus_send(struct ctl *ctl, struct bus_call *call, const char *types, ...)
{
	va_list arguments;
	int status;

	va_start(arguments, types);
	status = send_or_tell(ctl, call, types, arguments);
	va_end(arguments);
	return status;
}

int bus_wait(struct ctl *ctl)
{
	int r;

	while (ctl->waiting > 0) {
		r = sd_bus_process(ctl->bus, NULL);
		if (r == 0)
			r = sd_bus_wait(ctl->bus, UINT64_MAX);
		if (r < 0 && r != -EINTR)
			return bus_lost(ctl, r);
	}
	return EX_OK;
}

int bus_answered(struct ctl *ctl, const struct bus_call *call)
{
	const sd_bus_error *error = sd_bus_message_get_error(call->reply);

	return error ? bus_tell(ctl, error) : EX_OK;
}

bool bus_is_unknown(const struct bus_call *call)
{
	return sd_bus_error_has_name(sd_bus_message_get_error(call->reply),
				     SERVICE ".Error.NoSuchDevice");
}

int bus_ask(struct ctl *ctl, struct bus_call *call, const char *types, ...)
{
	va_list arguments;
	int status;

	va_start(arguments, types);
	status = send_or_tell(ctl, call, types, arguments);
	va_end(arguments);
	if (status == EX_OK)
		status = bus_wait(ctl);
	return status == EX_OK ? bus_answered(ctl, call) : status;
}

void bus_call_free(struct bus_call *call)
{
	if (call->slot && !call->reply)
		call->ctl->waiting--;
	call->slot = sd_bus_slot_unref(call->slot);
	call->reply = sd_bus_message_unref(call->reply);
}
