/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of enumerations, as users write and read them. */
#include <errno.h>
#include <string.h>

#include "iotd/model.h"

const char *device_kind_name(enum device_kind kind)
{
	switch (kind) {
	case DEVICE_SENSOR:
		return "sensor";
	case DEVICE_INPUT:
		return "input";
	case DEVICE_OUTPUT:
		return "output";
	}
	return "";
}

const char *device_status_name(enum device_status status)
{
	switch (status) {
	case STATUS_UNKNOWN:
		return "unknown";
	case STATUS_ONLINE:
		return "online";
	case STATUS_OFFLINE:
		return "offline";
	}
	return "";
}

const char *command_refusal_name(enum command_refusal refusal)
{
	switch (refusal) {
	case REFUSAL_MALFORMED:
		return "malformed";
	case REFUSAL_NOT_ALLOWED:
		return "not_allowed";
	case REFUSAL_UNKNOWN:
		return "unknown";
	case REFUSAL_FAILED:
		return "failed";
	case REFUSAL_RETAINED:
		return "retained";
	case REFUSAL_DROPPED:
		return "dropped";
	case REFUSAL_KINDS:
		break;
	}
	return "";
}

static const char *const command_names[COMMAND_KINDS] = {
	[COMMAND_PING] = "ping",     [COMMAND_LIST] = "list",	      [COMMAND_STATS] = "stats",
	[COMMAND_READ] = "read",     [COMMAND_SET] = "set",	      [COMMAND_PULSE] = "pulse",
	[COMMAND_TOGGLE] = "toggle", [COMMAND_INTERVAL] = "interval", [COMMAND_RELOAD] = "reload",
	[COMMAND_COUNT] = "count",
};

const char *command_kind_name(enum command_kind kind)
{
	return command_names[kind];
}

int command_kind_from_name(const char *name)
{
	for (int kind = 0; kind < COMMAND_KINDS; kind++)
		if (strcmp(command_names[kind], name) == 0)
			return kind;
	return -EINVAL;
}
