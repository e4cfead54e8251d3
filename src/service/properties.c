/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What objects say: the properties of org.iotd1.Sensor, .Input and .Output, and
 * GetManagedObjects.
 *
 * sd-bus could answer GetManagedObjects, in one go: 7 ms for a thousand sensors on a fast
 * computer. So we are asked before it (sd_bus_add_object()), and answer in pieces, as List is
 * answered (listing.c).
 */
#include <errno.h>
#include <string.h>

#include "objects.h"

#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

/* --- the values ----------------------------------------------------------------------------- */

static int write_whole(sd_bus_message *message, int64_t value)
{
	uint64_t whole = value > 0 ? (uint64_t)value : 0;

	return sd_bus_message_append_basic(message, 't', &whole);
}

static int write_name(sd_bus_message *message, const struct device_info *info)
{
	return values_text(message, info->name);
}

static int write_driver(sd_bus_message *message, const struct device_info *info)
{
	return values_text(message, info->driver);
}

static int write_interval(sd_bus_message *message, const struct device_info *info)
{
	return write_whole(message, info->interval_us);
}

static int write_channels(sd_bus_message *message, const struct device_info *info)
{
	return values_channels(message, info->channels, info->channel_count);
}

static int write_status(sd_bus_message *message, const struct device_info *info)
{
	return values_text(message, device_status_name(info->status));
}

static int write_fault(sd_bus_message *message, const struct device_info *info)
{
	return values_text(message, info->fault);
}

static int write_state(sd_bus_message *message, const struct device_info *info)
{
	return values_text(message, info->state < 0 ? "" : info->state > 0 ? "on" : "off");
}

static int write_time(sd_bus_message *message, const struct device_info *info)
{
	return write_whole(message, device_time(info));
}

static int write_readings(sd_bus_message *message, const struct device_info *info)
{
	return sd_bus_message_append_basic(message, 't', &info->readings);
}

static int write_errors(sd_bus_message *message, const struct device_info *info)
{
	return sd_bus_message_append_basic(message, 't', &info->read_errors);
}

static const struct {
	const char *name;
	int (*write)(sd_bus_message *message, const struct device_info *info);
} writers[] = {
	{ "Name", write_name },		{ "Driver", write_driver }, { "Interval", write_interval },
	{ "Channels", write_channels }, { "Status", write_status }, { "Fault", write_fault },
	{ "State", write_state },	{ "Time", write_time },	    { "Values", values_sample },
	{ "Readings", write_readings }, { "Errors", write_errors },
};

static int write_property(sd_bus_message *message, const char *name, const struct device_info *info)
{
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
		if (strcmp(writers[i].name, name) == 0)
			return writers[i].write(message, info);
	return -ENOENT;
}

/* --- the tables ----------------------------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-function-size): sd-bus gives so much */
static int get(sd_bus *bus, const char *path, const char *interface, const char *property,
	       sd_bus_message *reply, void *data, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	return write_property(reply, property, data);
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable sensor_table[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Name", "s", get, 0, CONST),
	SD_BUS_PROPERTY("Driver", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Interval", "t", get, 0, EMITS),
	SD_BUS_PROPERTY("Channels", "a(ss)", get, 0, EMITS),
	SD_BUS_PROPERTY("Status", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Fault", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Time", "t", get, 0, 0),
	SD_BUS_PROPERTY("Values", "a{sv}", get, 0, 0),
	SD_BUS_PROPERTY("Readings", "t", get, 0, 0),
	SD_BUS_PROPERTY("Errors", "t", get, 0, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable input_table[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Name", "s", get, 0, CONST),
	SD_BUS_PROPERTY("Status", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Fault", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("State", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Interval", "t", get, 0, EMITS),
	SD_BUS_PROPERTY("Channels", "a(ss)", get, 0, EMITS),
	SD_BUS_PROPERTY("Time", "t", get, 0, 0),
	SD_BUS_PROPERTY("Values", "a{sv}", get, 0, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable output_table[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Name", "s", get, 0, CONST),
	SD_BUS_PROPERTY("Status", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Fault", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("State", "s", get, 0, EMITS),
	SD_BUS_PROPERTY("Time", "t", get, 0, 0),
	SD_BUS_VTABLE_END,
};

/* by enum device_kind; the first and the last row of a table are sd-bus's own */
static const struct {
	const char *folder, *interface;
	const sd_bus_vtable *table;
	size_t rows;
} kinds[] = {
	{ DBUS_PATH "/sensor", "org.iotd1.Sensor", sensor_table, ARRAY_SIZE(sensor_table) },
	{ DBUS_PATH "/input", "org.iotd1.Input", input_table, ARRAY_SIZE(input_table) },
	{ DBUS_PATH "/output", "org.iotd1.Output", output_table, ARRAY_SIZE(output_table) },
};

const char *properties_folder(enum device_kind kind)
{
	return kinds[kind].folder;
}

const char *properties_interface(enum device_kind kind)
{
	return kinds[kind].interface;
}

char *properties_path_new(enum device_kind kind, const char *name)
{
	char *path;

	return sd_bus_path_encode(kinds[kind].folder, name, &path) < 0 ? NULL : path;
}

/* for sd-bus, before it asks for properties. Return: 1; 0: there is no such object */
static int find(sd_bus *bus, const char *path, const char *interface, void *data, void **ret,
		sd_bus_error *error)
{
	struct dbus *dbus = data;

	(void)bus;
	(void)interface;
	(void)error;
	for (enum device_kind kind = DEVICE_SENSOR; kind <= DEVICE_OUTPUT; kind++) {
		cleanup(freep) char *name = NULL;

		if (sd_bus_path_decode(path, kinds[kind].folder, &name) <= 0)
			continue;
		*ret = &dbus->found;
		return objects_find(dbus, kind, name, &dbus->found);
	}
	return 0;
}

/* --- GetManagedObjects ---------------------------------------------------------------------- */

static int append_property(sd_bus_message *message, const sd_bus_vtable *row,
			   const struct device_info *info)
{
	int r = sd_bus_message_open_container(message, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append_basic(message, 's', row->x.property.member);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', row->x.property.signature);
	if (r >= 0)
		r = write_property(message, row->x.property.member, info);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

/* {sa{sv}}: its one interface */
static int append_interface(sd_bus_message *message, const struct device_info *info)
{
	const sd_bus_vtable *table = kinds[info->kind].table;
	int r = sd_bus_message_open_container(message, 'e', "sa{sv}");

	if (r >= 0)
		r = sd_bus_message_append_basic(message, 's', kinds[info->kind].interface);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "{sv}");
	for (size_t row = 1; r >= 0 && row + 1 < kinds[info->kind].rows; row++)
		r = append_property(message, &table[row], info);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

int properties_object(sd_bus_message *message, const struct device_info *info)
{
	cleanup(freep) char *path = properties_path_new(info->kind, info->name);
	int r = path ? sd_bus_message_open_container(message, 'e', "oa{sa{sv}}") : -ENOMEM;

	if (r >= 0)
		r = sd_bus_message_append_basic(message, 'o', path);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "{sa{sv}}");
	if (r >= 0)
		r = append_interface(message, info);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

/* all that is sent to DBUS_PATH comes here first. Return: 0: it is not for us */
static int asked(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct call *call;
	int r;

	if (!sd_bus_message_is_method_call(message, OBJECT_MANAGER, "GetManagedObjects") ||
	    !sd_bus_message_has_signature(message, ""))
		return 0;
	r = call_new(&call, data, message, error);
	if (r < 0)
		return r;
	call->is_of_objects = true;
	listing_begin(call);
	return 1;
}

int properties_add(struct dbus *dbus)
{
	int r = sd_bus_add_object(dbus->bus, NULL, DBUS_PATH, asked, dbus);

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(kinds); i++)
		r = sd_bus_add_fallback_vtable(dbus->bus, NULL, kinds[i].folder, kinds[i].interface,
					       kinds[i].table, find, dbus);
	return r;
}
