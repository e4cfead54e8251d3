/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * org.iotd1.Manager on /org/iotd1. What a method is given is checked here, in full, before anybody
 * is asked for permission; what it does is a command like those that come over MQTT, and is carried
 * out by the same code.
 *
 * All methods are SD_BUS_VTABLE_UNPRIVILEGED: otherwise sd-bus would ask the kernel and the bus
 * about the caller, and wait for the answer. Who may do what is permission.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dbus.h"
#include "iotd/clock.h"
#include "iotd/parse.h"

#define INTERVAL_MIN_US USEC_PER_MSEC
#define DURATION_MAX_US (100LL * 365 * 86400 * USEC_PER_SEC) /* as parse_duration() */
#define SPOOL_LIMIT	500

/* --- properties ----------------------------------------------------------------------------- */

static int append_fact(sd_bus_message *reply, const char *property, const struct dbus_facts *facts)
{
	const struct {
		const char *property, *text;
	} texts[] = {
		{ "Version", facts->version },	      { "Device", facts->device },
		{ "Broker", facts->broker },	      { "BrokerFault", facts->broker_fault },
		{ "ConfigFile", facts->config_file },
	};
	int connected = facts->connected;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i].property, property) == 0)
			return values_text(reply, texts[i].text);
	if (strcmp(property, "Spooled") == 0)
		return sd_bus_message_append_basic(reply, 't', &facts->spooled);
	return sd_bus_message_append_basic(reply, 'b', &connected);
}

/* NOLINTNEXTLINE(readability-function-size): sd-bus gives a getter seven parameters */
static int get(sd_bus *bus, const char *path, const char *interface, const char *property,
	       sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct dbus *dbus = data;
	struct dbus_facts facts;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	dbus->parts.joint->facts(dbus->parts.joint, &facts);
	return append_fact(reply, property, &facts);
}

/* --- what is wrong with a call -------------------------------------------------------------- */

static int refuse_argument(const struct dbus *dbus, sd_bus_error *error, const char *text)
{
	stats_refuse(dbus->parts.stats, REFUSAL_MALFORMED);
	return sd_bus_error_set_const(error, SD_BUS_ERROR_INVALID_ARGS, text);
}

static int refuse_name(const struct dbus *dbus, sd_bus_error *error)
{
	return refuse_argument(dbus, error, "a name has 1 to 64 of the characters A-Z a-z 0-9 _ -");
}

/* --- methods: R ----------------------------------------------------------------------------- */

static int list(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct call *call;
	int r = call_new(&call, data, message, error);

	if (r < 0)
		return r;
	listing_begin(call);
	return 1;
}

static int read_device(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct call *call;
	const char *name;
	int r = sd_bus_message_read(message, "s", &name);

	if (r < 0)
		return r;
	if (!parse_name(name))
		return refuse_name(data, error);
	r = call_new(&call, data, message, error);
	if (r < 0)
		return r;
	call->command.kind = COMMAND_READ;
	(void)snprintf(call->command.name, sizeof(call->command.name), "%s", name);
	call_execute(call);
	return 1;
}

static int stats(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct call *call;
	int r = call_new(&call, data, message, error);

	if (r < 0)
		return r;
	call->command.kind = COMMAND_STATS;
	call_execute(call);
	return 1;
}

static int append_messages(sd_bus_message *reply, const struct dbus_message *messages, size_t count)
{
	int r = sd_bus_message_open_container(reply, 'a', "(ttsay)");

	for (size_t i = 0; r >= 0 && i < count; i++) {
		const struct dbus_message *message = &messages[i];

		r = sd_bus_message_open_container(reply, 'r', "ttsay");
		if (r >= 0)
			r = sd_bus_message_append(reply, "tt", message->id,
						  (uint64_t)message->time_us);
		if (r >= 0)
			r = values_text(reply, message->topic);
		if (r >= 0)
			r = sd_bus_message_append_array(reply, 'y', message->payload,
							message->length);
		if (r >= 0)
			r = sd_bus_message_close_container(reply);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* a question that the daemon did not answer */
static void refuse_query(struct call *call, int error, const char *text)
{
	text = text ? text : strerror(-error);
	if (error == -EINVAL)
		call_refuse(call, REFUSAL_MALFORMED, SD_BUS_ERROR_INVALID_ARGS, text);
	else if (error == -ECANCELED)
		call_refuse(call, REFUSAL_DROPPED, ERROR_STOPPING, text);
	else
		call_refuse(call, REFUSAL_FAILED, ERROR_REFUSED, text);
}

static void spool_told(struct dbus_spool_query *query, int error, const char *text,
		       const struct dbus_message *messages, size_t count, uint64_t next)
{
	struct call *call = container_of(query, struct call, spool);
	sd_bus_message *reply = NULL;
	int r;

	if (error < 0 || !call->dbus) {
		refuse_query(call, error, text);
		return;
	}
	r = call_reply(call, &reply);
	if (r >= 0)
		r = append_messages(reply, messages, count);
	if (r >= 0)
		r = sd_bus_message_append(reply, "t", next);
	call_done(call, reply, r);
}

static int spool(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct dbus *dbus = data;
	struct dbus_joint *joint = dbus->parts.joint;
	struct call *call;
	uint64_t after;
	uint32_t limit;
	int r = sd_bus_message_read(message, "tu", &after, &limit);

	if (r < 0)
		return r;
	if (limit < 1 || limit > SPOOL_LIMIT)
		return refuse_argument(dbus, error, "the limit must be 1 to 500");
	if (!joint->spool)
		return sd_bus_error_set_const(error, SD_BUS_ERROR_NOT_SUPPORTED, "not built in");
	r = call_new(&call, dbus, message, error);
	if (r < 0)
		return r;
	call->spool = (struct dbus_spool_query){ after, limit, spool_told };
	joint->spool(joint, &call->spool);
	return 1;
}

/* --- methods: W ----------------------------------------------------------------------------- */

/* Return: 0; negative: no such state */
static int parse_wanted(struct command *command, const char *state)
{
	command->kind = COMMAND_SET;
	if (strcmp(state, "on") == 0)
		command->on = true;
	else if (strcmp(state, "toggle") == 0)
		command->kind = COMMAND_TOGGLE;
	else if (strcmp(state, "off") != 0)
		return -EINVAL;
	return 0;
}

static int set(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct command command = { 0 };
	const char *name, *state;
	struct call *call;
	uint64_t for_us;
	int r = sd_bus_message_read(message, "sst", &name, &state, &for_us);

	if (r < 0)
		return r;
	if (!parse_name(name))
		return refuse_name(data, error);
	if (parse_wanted(&command, state) < 0)
		return refuse_argument(data, error, "the state must be on, off or toggle");
	if (for_us > DURATION_MAX_US)
		return refuse_argument(data, error, "that is more than 100 years");
	r = call_new(&call, data, message, error);
	if (r < 0)
		return r;
	command.for_us = (int64_t)for_us;
	(void)snprintf(command.name, sizeof(command.name), "%s", name);
	call->command = command;
	call->begin = call_execute;
	call_permit(call, "set", call->command.name);
	return 1;
}

static int set_interval(sd_bus_message *message, void *data, sd_bus_error *error)
{
	uint64_t interval_us;
	struct call *call;
	const char *name;
	int r = sd_bus_message_read(message, "st", &name, &interval_us);

	if (r < 0)
		return r;
	if (!parse_name(name))
		return refuse_name(data, error);
	if (interval_us < INTERVAL_MIN_US || interval_us > DURATION_MAX_US)
		return refuse_argument(data, error,
				       "the interval must be 1 ms to 100 years, in microseconds");
	r = call_new(&call, data, message, error);
	if (r < 0)
		return r;
	call->command.kind = COMMAND_INTERVAL;
	call->command.interval_us = (int64_t)interval_us;
	(void)snprintf(call->command.name, sizeof(call->command.name), "%s", name);
	call->begin = call_execute;
	call_permit(call, "interval", call->command.name);
	return 1;
}

static int reload(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct call *call;
	int r = call_new(&call, data, message, error);

	if (r < 0)
		return r;
	call->command.kind = COMMAND_RELOAD;
	call->begin = call_execute;
	call_permit(call, "reload", "");
	return 1;
}

static void scan_told(struct dbus_scan_query *query, int error, const char *text, const char *found)
{
	struct call *call = container_of(query, struct call, scan);
	sd_bus_message *reply = NULL;
	int r;

	if (error < 0 || !call->dbus) {
		refuse_query(call, error, text);
		return;
	}
	r = call_reply(call, &reply);
	if (r >= 0)
		r = values_text(reply, found);
	call_done(call, reply, r);
}

static void scan_begin(struct call *call)
{
	struct dbus_joint *joint = call->dbus->parts.joint;

	joint->scan(joint, &call->scan);
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static int scan(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct dbus *dbus = data;
	struct call *call;
	const char *bus;
	int r = sd_bus_message_read(message, "s", &bus);

	if (r < 0)
		return r;
	if (strlen(bus) >= SCAN_BUS_SIZE || !is_printable(bus))
		return refuse_argument(dbus, error,
				       "no I2C bus: i2c-1, 1 or /dev/i2c-1; \"\": all of them");
	if (!dbus->parts.joint->scan)
		return sd_bus_error_set_const(error, SD_BUS_ERROR_NOT_SUPPORTED, "not built in");
	r = call_new(&call, dbus, message, error);
	if (r < 0)
		return r;
	(void)snprintf(call->scan.bus, sizeof(call->scan.bus), "%s", bus);
	call->scan.done = scan_told;
	call->begin = scan_begin;
	call_permit(call, "scan", call->scan.bus);
	return 1;
}

/* --- the table ------------------------------------------------------------------------------ */

#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define OPEN  SD_BUS_VTABLE_UNPRIVILEGED

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get, 0, CONST),
	SD_BUS_PROPERTY("Device", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Connected", "b", get, 0, EMITS),
	SD_BUS_PROPERTY("Broker", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("BrokerFault", "s", get, 0, 0),
	SD_BUS_PROPERTY("Spooled", "t", get, 0, 0),
	SD_BUS_PROPERTY("ConfigFile", "s", get, 0, CONST),
	SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", devices), list,
				OPEN),
	SD_BUS_METHOD_WITH_ARGS("Read", SD_BUS_ARGS("s", name),
				SD_BUS_RESULT("t", time, "a{sv}", values), read_device, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Set", SD_BUS_ARGS("s", name, "s", state, "t", for_usec),
				SD_BUS_RESULT("s", state), set, OPEN),
	SD_BUS_METHOD_WITH_ARGS("SetInterval", SD_BUS_ARGS("s", name, "t", usec), SD_BUS_NO_RESULT,
				set_interval, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, reload, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Stats", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", stats), stats,
				OPEN),
	SD_BUS_METHOD_WITH_ARGS("Spool", SD_BUS_ARGS("t", after, "u", limit),
				SD_BUS_RESULT("a(ttsay)", messages, "t", next), spool, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Scan", SD_BUS_ARGS("s", bus), SD_BUS_RESULT("s", configuration),
				scan, OPEN),
	SD_BUS_SIGNAL_WITH_ARGS("Reading", SD_BUS_ARGS("s", name, "t", time, "a{sv}", values), 0),
	SD_BUS_VTABLE_END,
};

int manager_add(struct dbus *dbus)
{
	signals_begin(dbus);
	return sd_bus_add_object_vtable(dbus->bus, NULL, DBUS_PATH, MANAGER_INTERFACE, vtable,
					dbus);
}
