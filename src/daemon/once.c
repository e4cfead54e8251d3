/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --once: the daemon's own sensors and inputs, each asked once, without a broker. Buses are read side by
 * side as always; the lines come out in the order of the configuration when the last one has
 * answered.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hardware.h"
#include "iotd/clock.h"
#include "iotd/daemon.h"
#include "iotd/device.h"
#include "iotd/log.h"

#define ONCE_LIMIT_US  (30 * USEC_PER_SEC)
#define WORKERS_END_US (100 * USEC_PER_MSEC)
#define VALUE_SIZE     400 /* a double has 309 digits at most */

struct asked {
	struct once *once;
	const char *name;
	struct sensor *sensor;
	struct input *input;
	bool is_done, is_good;
	char *text; /* its lines */
	size_t size;
};

struct once {
	const struct settings *settings;
	struct reactor *reactor;
	struct workers *workers, *file_workers;
	struct hardware *hardware;
	struct stats stats;
	struct device_parts parts;
	struct device_events events;
	struct asked *asked;
	size_t count, left;
	struct future all_done;
};

static void answered(struct asked *asked, bool is_good)
{
	if (!asked || asked->is_done)
		return;
	asked->is_done = true;
	asked->is_good = is_good;
	if (--asked->once->left == 0)
		future_resolve(&asked->once->all_done, 0);
}

/* Return: 0; -ENOMEM */
static int write_reading(struct asked *asked, const struct reading *reading)
{
	FILE *text = open_memstream(&asked->text, &asked->size);
	char number[VALUE_SIZE];

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];

		value_format(number, sizeof(number), value->number, value->channel->digits);
		(void)fprintf(text, "%s.%s %s%s%s\n", asked->name, value->channel->name, number,
			      value->channel->unit[0] ? " " : "", value->channel->unit);
	}
	return fclose(text) == 0 ? 0 : -ENOMEM;
}

static void on_sensor(void *data, int error, const char *fault, const struct reading *reading)
{
	struct asked *asked = data;

	(void)fault; /* the sensor has logged it */
	if (error == 0)
		error = write_reading(asked, reading);
	answered(asked, error == 0);
}

static struct asked *find_asked(struct once *once, const char *name)
{
	for (size_t i = 0; i < once->count; i++)
		if (strcmp(once->asked[i].name, name) == 0)
			return &once->asked[i];
	return NULL;
}

static void on_state(struct device_events *events, const struct state *state)
{
	struct asked *asked = find_asked(container_of(events, struct once, events), state->name);

	if (!asked || asked->is_done)
		return;
	if (asprintf(&asked->text, "%s %s\n", state->name, state->on ? "on" : "off") < 0)
		asked->text = NULL;
	answered(asked, asked->text != NULL);
}

static void on_count(struct device_events *events, const struct input_settings *settings,
		     const struct reading *reading)
{
	struct asked *asked = find_asked(container_of(events, struct once, events), settings->name);

	if (asked && !asked->is_done)
		answered(asked, write_reading(asked, reading) == 0);
}

static void on_status(struct device_events *events, enum device_kind kind, const char *name,
		      enum device_status status)
{
	if (kind == DEVICE_INPUT && status == STATUS_OFFLINE)
		answered(find_asked(container_of(events, struct once, events), name), false);
}

static void on_reading(struct device_events *events, const struct sensor_settings *settings,
		       const struct reading *reading)
{
	(void)events; /* on_sensor() has it */
	(void)settings;
	(void)reading;
}

/* --- asking --------------------------------------------------------------------------------- */

static int ask_sensor(struct once *once, const struct sensor_settings *settings)
{
	struct asked *asked = &once->asked[once->count];
	struct worker_key *key;
	struct source *source;
	int r;

	r = hardware_source(once->hardware, settings, &source, &key);
	if (r == 0)
		r = sensor_new(&asked->sensor, &once->parts, settings, source, key);
	if (r < 0)
		return r;
	*asked = (struct asked){ .once = once, .name = settings->name, .sensor = asked->sensor };
	once->count++;
	once->left++;
	return sensor_read(asked->sensor, on_sensor, asked);
}

static int ask_input(struct once *once, const struct input_settings *settings)
{
	struct worker_key *key = hardware_line_key(once->hardware, &settings->line);
	struct asked *asked = &once->asked[once->count];
	int r;

	if (!key)
		return -ENOMEM;
	*asked = (struct asked){ .once = once, .name = settings->name };
	r = input_new(&asked->input, &once->parts, settings, hardware_gpio(once->hardware), key);
	if (r < 0)
		return r;
	once->count++;
	once->left++;
	return 0;
}

static int ask_all(struct once *once)
{
	const struct settings *settings = once->settings;
	int r = 0;

	once->asked =
		calloc(settings->sensor_count + settings->input_count + 1, sizeof(*once->asked));
	if (!once->asked)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < settings->sensor_count; i++)
		if (settings->sensors[i].enabled)
			r = ask_sensor(once, &settings->sensors[i]);
	for (size_t i = 0; r == 0 && i < settings->input_count; i++)
		if (settings->inputs[i].enabled)
			r = ask_input(once, &settings->inputs[i]);
	if (once->left == 0)
		future_resolve(&once->all_done, 0);
	return r;
}

static int ended(struct task *task, int result)
{
	(void)task;
	(void)result; /* who did not answer in time is not good */
	return 0;
}

static int await_all(struct task *task, int result)
{
	struct once *once = task_data(task);

	(void)result;
	return task_await_for(task, &once->all_done, ONCE_LIMIT_US, ended);
}

static int ask(struct once *once, const struct daemon_options *options)
{
	cleanup(task_releasep) struct task *root = NULL;
	int r;

	hardware_reserve_descriptors(once->settings);
	r = reactor_new(&once->reactor);
	if (r == 0)
		r = workers_new(&once->workers, once->reactor, "iotd-work", HARDWARE_THREADS_MOST);
	if (r == 0)
		r = workers_new(&once->file_workers, once->reactor, "iotd-file", FILE_THREADS_MOST);
	if (r == 0)
		r = hardware_new(&once->hardware, once->workers, once->file_workers, once->settings,
				 options->simulate);
	if (r < 0)
		return r;
	once->events = (struct device_events){ on_reading, on_count, on_status, on_state };
	once->parts = (struct device_parts){ once->reactor, &once->events, &once->stats,
					     reactor_now(once->reactor) };
	once->parts.is_once = true;
	future_init(&once->all_done, once->reactor, NULL);
	r = ask_all(once);
	if (r == 0)
		r = task_spawn(&root, once->reactor, await_all, once, NULL);
	return r < 0 ? r : reactor_run(once->reactor, root);
}

static void once_end(struct once *once)
{
	for (size_t i = 0; once->asked && i < once->count; i++) {
		sensor_free(once->asked[i].sensor);
		input_free(once->asked[i].input);
	}
	if (workers_free(once->file_workers, WORKERS_END_US) < 0 ||
	    workers_free(once->workers, WORKERS_END_US) < 0)
		return; /* a file or a bus hangs: leave it what it may still touch */
	for (size_t i = 0; once->asked && i < once->count; i++)
		free(once->asked[i].text);
	free(once->asked);
	hardware_free(once->hardware);
	reactor_free(once->reactor);
	free(once);
}

int daemon_once(const struct settings *settings, const struct daemon_options *options, FILE *out)
{
	struct once *once = calloc(1, sizeof(*once));
	int r;

	if (!once)
		return -ENOMEM;
	once->settings = settings;
	r = ask(once, options);
	if (r < 0)
		log_error("cannot read anything: %s", strerror(-r));
	for (size_t i = 0; r != -ENOMEM && once->asked && i < once->count; i++) {
		const struct asked *asked = &once->asked[i];

		if (asked->is_good)
			(void)fputs(asked->text, out);
		else
			r = -EIO;
		if (!asked->is_done)
			log_error("%s: no answer within %lld s", asked->name,
				  ONCE_LIMIT_US / USEC_PER_SEC);
	}
	once_end(once);
	return r;
}
