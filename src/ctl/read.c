/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * iotctl read: some at a time are under way side by side, for each waits for its chip. The list is asked
 * for their units.
 */
#include <stdio.h>

#include "ask.h"
#include "json.h"
#include "text.h"

#define AT_ONCE 6 /* the daemon takes 8 calls of one sender */

struct reads {
	struct ctl *ctl;
	struct bus_call list;
	struct devices devices;
	json_t *values; /* name → reading */
	struct bus_call calls[AT_ONCE];
};

static void reads_free(struct reads *reads)
{
	for (size_t i = 0; i < AT_ONCE; i++)
		bus_call_free(&reads->calls[i]);
	bus_call_free(&reads->list);
	devices_free(&reads->devices);
	json_decref(reads->values);
}

static void print_lines(const struct device *device)
{
	char text[TEXT_SIZE];

	if (device->state >= 0)
		(void)printf("%s %s\n", device->name, device->state > 0 ? "on" : "off");
	for (size_t i = 0; i < device->channel_count; i++) {
		value_text(text, sizeof(text), &device->channels[i]);
		(void)printf("%s.%s %s\n", device->name, device->channels[i].name, text);
	}
}

static int show(struct reads *reads, const struct bus_call *call, const char *name)
{
	struct ctl *ctl = reads->ctl;
	struct device *device;
	int r, status = ask_named(ctl, call, name, ~0U);

	if (status != EX_OK)
		return status;
	device = devices_find(&reads->devices, name, -1);
	if (!device) /* it came with a reload, just now */
		return ctl_fail(ctl, EXIT_FAILURE, "\"%s\" is new: try again", name);
	device_forget_values(device);
	r = device_read_values(device, call->reply);
	if (r < 0)
		return bus_strange(ctl, "Read", r);
	if (!ctl->json)
		print_lines(device);
	else if (json_object_set_new(reads->values, name, json_from_values(device)) < 0)
		return ctl_no_memory(ctl);
	return EX_OK;
}

/* Return: EX_OK; the code of the last that failed */
static int read_some(struct reads *reads, char **names, size_t count)
{
	int status = EX_OK, r;

	for (size_t i = 0; i < count; i++) {
		reads->calls[i] = (struct bus_call){
			.method = "Read",
			.timeout_us = BUS_READ_US,
		};
		status = bus_send(reads->ctl, &reads->calls[i], "s", names[i]);
		if (status != EX_OK)
			return status;
	}
	status = bus_wait(reads->ctl);
	if (status == EX_OK && !reads->devices.list)
		status = ask_devices(reads->ctl, &reads->list, &reads->devices);
	if (status != EX_OK)
		return status;
	for (size_t i = 0; i < count; i++) {
		r = show(reads, &reads->calls[i], names[i]);
		status = r != EX_OK ? r : status;
		bus_call_free(&reads->calls[i]);
	}
	return status;
}

static int read_all(struct reads *reads, char **names, size_t count)
{
	size_t some;
	int r, status;

	reads->list.method = "List";
	status = bus_send(reads->ctl, &reads->list, NULL);
	if (status != EX_OK)
		return status;
	for (size_t i = 0; i < count; i += some) {
		some = count - i < AT_ONCE ? count - i : AT_ONCE;
		r = read_some(reads, names + i, some);
		if (r == EX_UNAVAILABLE)
			return r;
		status = r != EX_OK ? r : status;
	}
	return status;
}

int verb_read(struct ctl *ctl, int argc, char **argv)
{
	cleanup(reads_free) struct reads reads = { .ctl = ctl, .values = json_object() };
	int r, status;

	for (int i = 0; i < argc; i++) {
		status = ask_name_is_good(ctl, argv[i]);
		if (status != EX_OK)
			return status;
	}
	status = read_all(&reads, argv, (size_t)argc);
	if (!ctl->json || status == EX_UNAVAILABLE)
		return status;
	r = json_print(ctl, stdout, take_ptr(reads.values));
	return r != EX_OK ? r : status;
}
