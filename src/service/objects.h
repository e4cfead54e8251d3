/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sensors, inputs and outputs as objects on D-Bus: the list of them (objects.c), what they say (properties.c). */

#include "dbus.h"

/* --- objects.c ------------------------------------------------------------------------------ */

/** objects_add() - on a new connection: there are none yet. Return: 0 or more; -ENOMEM */
int objects_add(struct dbus *dbus);

/** objects_begin() - they are there, and tell of changes from now on. Return: 0, also if they were; -ENOMEM */
int objects_begin(struct dbus *dbus);

/** objects_drop() - the connection is gone */
void objects_drop(struct dbus *dbus);

/** objects_look() - devices came or went, or are configured otherwise. Return: 0; -ENOMEM: drop the connection */
int objects_look(struct dbus *dbus);

/** objects_note() - something of that device may be other than was told; before objects_begin(): nothing */
void objects_note(struct dbus *dbus, enum device_kind kind, const char *name);

/** objects_go_on() - what kept changes from being told may be over: the bus took what was written */
void objects_go_on(struct dbus *dbus);

/** objects_are_told() - no change waits to be told */
bool objects_are_told(const struct dbus *dbus);

/** objects_find() - the device of an object. Return: false: there is none of that name */
bool objects_find(const struct dbus *dbus, enum device_kind kind, const char *name,
		  struct device_info *ret);

/* --- properties.c --------------------------------------------------------------------------- */

/** properties_add() - on a new connection. Return: 0 or more; -ENOMEM */
int properties_add(struct dbus *dbus);

/** properties_folder() - where the objects of that kind are: "/org/iotd1/sensor" */
const char *properties_folder(enum device_kind kind);

/** properties_interface() - the one interface of that kind: "org.iotd1.Sensor" */
const char *properties_interface(enum device_kind kind);

/** properties_path_new() - of an object, escaped; the caller frees it. NULL: out of memory */
char *properties_path_new(enum device_kind kind, const char *name);

/** properties_object() - append {oa{sa{sv}}}: an object in the answer to GetManagedObjects */
int properties_object(sd_bus_message *message, const struct device_info *info);
