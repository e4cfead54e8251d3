/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the Manager tells unasked: readings, and those of its properties that are other than was
 * told.
 */
#include <stdio.h>
#include <string.h>

#include "dbus.h"

/* --- PropertiesChanged ---------------------------------------------------------------------- */

static void remember(struct manager_told *told, const struct dbus_facts *facts)
{
	(void)snprintf(told->device, sizeof(told->device), "%s", facts->device);
	(void)snprintf(told->broker, sizeof(told->broker), "%s", facts->broker);
	told->connected = facts->connected;
}

void signals_begin(struct dbus *dbus)
{
	struct dbus_facts facts;

	dbus->parts.joint->facts(dbus->parts.joint, &facts);
	remember(&dbus->told, &facts);
}

void dbus_note_facts(struct dbus *dbus)
{
	struct manager_told before;
	struct dbus_facts facts;
	const char *changed[4];
	size_t count = 0;

	if (!dbus || !dbus->is_owner)
		return;
	dbus->told.is_due = dbus_is_stalled(dbus);
	if (dbus->told.is_due) /* later: who listens is to end up with the truth */
		return;
	before = dbus->told;
	dbus->parts.joint->facts(dbus->parts.joint, &facts);
	remember(&dbus->told, &facts);
	if (strcmp(before.device, dbus->told.device) != 0)
		changed[count++] = "Device";
	if (before.connected != dbus->told.connected)
		changed[count++] = "Connected";
	if (strcmp(before.broker, dbus->told.broker) != 0)
		changed[count++] = "Broker";
	changed[count] = NULL;
	if (count == 0)
		return;
	(void)sd_bus_emit_properties_changed_strv(dbus->bus, DBUS_PATH, MANAGER_INTERFACE,
						  (char **)(uintptr_t)changed);
	dbus_touch(dbus);
}

/* --- Reading -------------------------------------------------------------------------------- */

/* takes @signal over */
static void send_signal(struct dbus *dbus, sd_bus_message *signal, int r)
{
	if (r >= 0)
		r = sd_bus_send(dbus->bus, signal, NULL);
	if (r < 0)
		dbus->signals_dropped++;
	sd_bus_message_unref(signal);
	dbus_touch(dbus);
}

static int signal_new(const struct dbus *dbus, sd_bus_message **ret, const char *name,
		      int64_t time_us)
{
	int r = sd_bus_message_new_signal(dbus->bus, ret, DBUS_PATH, MANAGER_INTERFACE, "Reading");

	return r < 0 ? r : sd_bus_message_append(*ret, "st", name, (uint64_t)time_us);
}

void dbus_note_reading(struct dbus *dbus, const struct reading *reading)
{
	sd_bus_message *signal = NULL;
	int r;

	if (!dbus || !dbus_may_signal(dbus))
		return;
	r = signal_new(dbus, &signal, reading->name, reading->time_us);
	if (r >= 0)
		r = values_reading(signal, reading->values, reading->count);
	send_signal(dbus, signal, r);
}

void dbus_note_state(struct dbus *dbus, const struct state *state)
{
	sd_bus_message *signal = NULL;
	int r;

	dbus_note_device(dbus, state->kind, state->name);
	if (!dbus || !dbus_may_signal(dbus))
		return;
	r = signal_new(dbus, &signal, state->name, state->time_us);
	if (r >= 0)
		r = values_state(signal, state->on);
	send_signal(dbus, signal, r);
}
