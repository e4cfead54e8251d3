/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotctl list: a row a device; --names is for the completions of shells. */
#include "ask.h"
#include "json.h"
#include "text.h"

#include "iotd/clock.h"
#include "iotd/parse.h"

#define COLUMNS 7

static void add_row(struct table *table, const struct device *device, int64_t now_us)
{
	char text[TEXT_SIZE] = "";

	table_add(table, COLOR_PLAIN, device->name);
	table_add(table, COLOR_PLAIN, device_kind_name(device->kind));
	table_add(table, COLOR_PLAIN, device->driver);
	if (device->interval_us > 0 && device->interval_us <= INT64_MAX)
		format_duration(text, sizeof(text), (int64_t)device->interval_us);
	table_add(table, COLOR_PLAIN, text);
	table_add(table, status_color(device->status), device_status_name(device->status));
	values_text(text, sizeof(text), device);
	table_add(table, COLOR_PLAIN, text);
	age_text(text, sizeof(text), device_last_us(device, now_us));
	table_add(table, COLOR_PLAIN, text);
}

static int print_table(const struct ctl *ctl, const struct devices *devices)
{
	static const char *const heads[COLUMNS] = { "NAME",   "KIND",  "DRIVER", "INTERVAL",
						    "STATUS", "VALUE", "AGE" };
	cleanup(table_free) struct table table = { .columns = COLUMNS };
	int64_t now_us = clock_realtime_us();

	for (size_t i = 0; i < COLUMNS; i++)
		table_add(&table, COLOR_BOLD, heads[i]);
	for (size_t i = 0; i < devices->count; i++)
		add_row(&table, &devices->list[i], now_us);
	return table_print(&table, stdout, 0, ctl->color) < 0 ? ctl_no_memory(ctl) : EX_OK;
}

/* Return: a list of JSON, strings only; NULL: out of memory */
static json_t *json_from_names(const struct devices *devices)
{
	cleanup(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < devices->count; i++)
		if (json_array_append_new(array, json_string(devices->list[i].name)) < 0)
			return NULL;
	return take_ptr(array);
}

static int print_names(const struct ctl *ctl, const struct devices *devices)
{
	if (ctl->json)
		return json_print(ctl, stdout, json_from_names(devices));
	for (size_t i = 0; i < devices->count; i++)
		(void)printf("%s\n", devices->list[i].name);
	return EX_OK;
}

int verb_list(struct ctl *ctl, int argc, char **argv)
{
	cleanup(bus_call_free) struct bus_call list = { 0 };
	cleanup(devices_free) struct devices devices = { 0 };
	int status = ask_devices(ctl, &list, &devices);

	(void)argc;
	(void)argv;
	if (status != EX_OK)
		return status;
	if (ctl->kind >= 0)
		devices_keep(&devices, (enum device_kind)ctl->kind);
	if (ctl->given & OPTION_NAMES)
		return print_names(ctl, &devices);
	if (ctl->json)
		return json_print(ctl, stdout, json_from_devices(&devices));
	return print_table(ctl, &devices);
}
