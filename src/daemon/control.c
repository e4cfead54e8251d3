/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands: from struct command to devices, and the answer back. Whatever comes here has been
 * parsed and is allowed; what is left to find out is whether the named thing exists and does it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"

static void fail(struct command *command, int error, const char *text)
{
	struct command_result result = { .error = error, .text = text };

	command->done(command, &result);
}

static void fail_unknown(struct command *command, const char *kind)
{
	char text[NAME_LENGTH + 64];
	struct command_result result = { .error = -ENOENT, .text = text, .is_unknown = true };

	(void)snprintf(text, sizeof(text), "no %s named \"%s\"", kind, command->name);
	command->done(command, &result);
}

static struct sensor *find_sensor(const struct daemon *daemon, const char *name)
{
	struct device_info info;

	for (size_t i = 0; i < daemon->sensor_count; i++) {
		sensor_info(daemon->sensors[i], &info);
		if (strcmp(info.name, name) == 0)
			return daemon->sensors[i];
	}
	return NULL;
}

static struct input *find_input(const struct daemon *daemon, const char *name)
{
	struct device_info info;

	for (size_t i = 0; i < daemon->input_count; i++) {
		input_info(daemon->inputs[i], &info);
		if (strcmp(info.name, name) == 0)
			return daemon->inputs[i];
	}
	return NULL;
}

static struct output *find_output(const struct daemon *daemon, const char *name)
{
	for (size_t i = 0; i < daemon->output_count; i++)
		if (strcmp(output_settings(daemon->outputs[i])->name, name) == 0)
			return daemon->outputs[i];
	return NULL;
}

static void execute_ping(struct daemon *daemon, struct command *command)
{
	struct command_result result = { .stats = figures_now(daemon) };

	command->done(command, &result);
}

static void execute_stats(struct daemon *daemon, struct command *command)
{
	struct command_result result = { .stats = figures_all(daemon) };

	command->done(command, &result);
}

static void execute_list(struct daemon *daemon, struct command *command)
{
	size_t count = daemon->sensor_count + daemon->input_count + daemon->output_count, at = 0;
	cleanup(freep) struct device_info *devices = calloc(count + 1, sizeof(*devices));
	struct command_result result = { .devices = devices, .device_count = count };

	if (!devices) {
		fail(command, -ENOMEM, "out of memory");
		return;
	}
	for (size_t i = 0; i < daemon->sensor_count; i++)
		sensor_info(daemon->sensors[i], &devices[at++]);
	for (size_t i = 0; i < daemon->input_count; i++)
		input_info(daemon->inputs[i], &devices[at++]);
	for (size_t i = 0; i < daemon->output_count; i++)
		output_info(daemon->outputs[i], &devices[at++]);
	command->done(command, &result);
}

/* --- read ----------------------------------------------------------------------------------- */

static void sensor_was_read(void *data, int error, const char *fault, const struct reading *reading)
{
	struct command *command = data;
	struct command_result result = { .error = error, .text = fault, .reading = reading };

	command->done(command, &result);
}

static void answer(struct command *command, int r, const struct command_result *result)
{
	char text[NAME_LENGTH + 64];

	if (r == 0) {
		command->done(command, result);
		return;
	}
	(void)snprintf(text, sizeof(text), "\"%s\" is offline", command->name);
	fail(command, r, text);
}

static void read_input(struct input *input, struct command *command)
{
	struct command_result result = { .error = 0 };
	struct reading reading;
	struct state state;
	int r;

	if (input_settings(input)->count) {
		result.reading = &reading;
		r = input_read_counter(input, &reading);
	} else {
		result.state = &state;
		r = input_state(input, &state);
	}
	answer(command, r, &result);
}

static void read_output(const struct output *output, struct command *command)
{
	struct state state;
	struct command_result result = { .state = &state };

	answer(command, output_state(output, &state), &result);
}

static void execute_read(struct daemon *daemon, struct command *command)
{
	struct sensor *sensor = find_sensor(daemon, command->name);
	struct input *input = find_input(daemon, command->name);
	struct output *output = find_output(daemon, command->name);
	int r;

	if (sensor) {
		r = sensor_read(sensor, sensor_was_read, command);
		if (r < 0)
			fail(command, r,
			     r == -EBUSY ? "too many ask for it at one time" : "out of memory");
	} else if (input) {
		read_input(input, command);
	} else if (output) {
		read_output(output, command);
	} else {
		fail_unknown(command, "sensor");
	}
}

/* --- outputs -------------------------------------------------------------------------------- */

static void output_was_set(void *data, int error, const char *fault, const struct state *state)
{
	struct command *command = data;
	struct command_result result = { .error = error, .text = fault, .state = state };

	command->done(command, &result);
}

static void execute_output(struct daemon *daemon, struct command *command)
{
	struct output *output = find_output(daemon, command->name);
	bool on = command->on;

	if (!output) {
		fail_unknown(command, "output");
		return;
	}
	if (command->kind == COMMAND_PULSE)
		on = true;
	if (command->kind == COMMAND_TOGGLE)
		on = !output_is_on(output);
	output_set(output, on, command->for_us, output_was_set, command);
}

static void execute_interval(struct daemon *daemon, struct command *command)
{
	struct command_result result = { .interval_us = command->interval_us };
	struct sensor *sensor = find_sensor(daemon, command->name);

	if (!sensor) {
		fail_unknown(command, "sensor");
		return;
	}
	sensor_set_interval(sensor, command->interval_us);
	announcing_look(daemon);
	dbus_note_device(daemon->dbus, DEVICE_SENSOR, command->name);
	command->done(command, &result);
}

static void execute_count(struct daemon *daemon, struct command *command)
{
	struct input *input = find_input(daemon, command->name);
	struct command_result result = { .error = 0 };
	double before;
	int r;

	if (!input) {
		fail_unknown(command, "input");
		return;
	}
	r = input_set_total(input, command->total, &before);
	if (r == 0)
		result.total = &before;
	if (r < 0 && r != -ENODATA) {
		fail(command, r, r == -ENOTSUP ? "that input has neither count nor on_time" : NULL);
		return;
	}
	counting_set(daemon, input);
	command->done(command, &result);
}

void control_execute(struct control *control, struct command *command)
{
	struct daemon *daemon = container_of(control, struct daemon, control);

	if (daemon->reload.is_ended) { /* on_exit has the last word */
		fail(command, -ECANCELED, "iotd is being stopped");
		return;
	}
	switch (command->kind) {
	case COMMAND_PING:
		execute_ping(daemon, command);
		return;
	case COMMAND_STATS:
		execute_stats(daemon, command);
		return;
	case COMMAND_LIST:
		execute_list(daemon, command);
		return;
	case COMMAND_READ:
		execute_read(daemon, command);
		return;
	case COMMAND_SET:
	case COMMAND_PULSE:
	case COMMAND_TOGGLE:
		execute_output(daemon, command);
		return;
	case COMMAND_INTERVAL:
		execute_interval(daemon, command);
		return;
	case COMMAND_RELOAD:
		reload_ask(daemon, command);
		return;
	case COMMAND_COUNT:
		execute_count(daemon, command);
		return;
	case COMMAND_KINDS:
		fail(command, -ENOTSUP, "no such command");
		return;
	}
}
