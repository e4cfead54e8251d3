/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ask.h"

#include "iotd/parse.h"
#include "iotd/suggest.h"

int ask_devices(struct ctl *ctl, struct bus_call *list, struct devices *ret)
{
	int r, status;

	list->method = "List";
	status = list->slot ? bus_wait(ctl) : bus_ask(ctl, list, NULL);
	if (status == EX_OK)
		status = bus_answered(ctl, list);
	if (status != EX_OK)
		return status;
	r = devices_read(ret, list->reply);
	return r < 0 ? bus_strange(ctl, "List", r) : EX_OK;
}

static int tell_unknown(struct ctl *ctl, const char *message, const char *name, unsigned int kinds)
{
	cleanup(bus_call_free) struct bus_call list = { 0 };
	cleanup(devices_free) struct devices devices = { 0 };
	struct suggest suggest = { .word = name };
	int status;

	status = ask_devices(ctl, &list, &devices);
	if (status != EX_OK)
		return status;
	for (size_t i = 0; i < devices.count; i++)
		if (kinds & 1U << devices.list[i].kind)
			suggest_offer(&suggest, devices.list[i].name);
	return ctl_fail(ctl, EXIT_FAILURE, "%s%s", message, suggest_text(&suggest));
}

int ask_named(struct ctl *ctl, const struct bus_call *call, const char *name, unsigned int kinds)
{
	if (bus_is_unknown(call))
		return tell_unknown(ctl, sd_bus_message_get_error(call->reply)->message, name,
				    kinds);
	return bus_answered(ctl, call);
}

int ask_name_is_good(struct ctl *ctl, const char *name)
{
	if (parse_name(name))
		return EX_OK;
	return ctl_fail(ctl, EX_USAGE,
			"nothing can be named \"%s\": names have up to 64 letters, digits, - and _",
			name);
}
