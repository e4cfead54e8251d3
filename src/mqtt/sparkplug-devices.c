/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each device lies in the list of all, in a tree by name, and in one of two queues while it waits for
 * its birth or its death to be sent.
 *
 * Its metrics are learnt from what it tells: the first reading of a sensor holds all its channels. One
 * that shows up later makes the device be born again, which is how Sparkplug adds a metric.
 */
#include <errno.h>
#include <search.h>
#include <string.h>

#include "sparkplug-devices.h"

static int compare_names(const void *left, const void *right)
{
	const struct sparkplug_device *a = left, *b = right;

	return strcmp(a->name, b->name);
}

void sparkplug_devices_init(struct sparkplug_devices *devices)
{
	TAILQ_INIT(&devices->all);
	TAILQ_INIT(&devices->births);
	TAILQ_INIT(&devices->deaths);
	devices->tree = NULL;
}

void sparkplug_devices_done(struct sparkplug_devices *devices)
{
	while (!TAILQ_EMPTY(&devices->all))
		sparkplug_device_drop(devices, TAILQ_FIRST(&devices->all));
}

static struct sparkplug_device *add_device(struct sparkplug_devices *devices, const char *name)
{
	struct sparkplug_device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	memcpy(device->name, name, strlen(name) + 1);
	device->is_online = true;
	if (!tsearch(device, &devices->tree, compare_names)) {
		free(device);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&devices->all, device, all);
	return device;
}

struct sparkplug_device *sparkplug_device_get(struct sparkplug_devices *devices, const char *name)
{
	struct sparkplug_device wanted, **found;
	size_t size = strlen(name) + 1;

	if (size == 1 || size > sizeof(wanted.name))
		return NULL;
	memcpy(wanted.name, name, size);
	found = tfind(&wanted, &devices->tree, compare_names);
	return found ? *found : add_device(devices, name);
}

void sparkplug_device_drop(struct sparkplug_devices *devices, struct sparkplug_device *device)
{
	sparkplug_device_turn(devices, device, TURN_NONE);
	(void)tdelete(device, &devices->tree, compare_names);
	TAILQ_REMOVE(&devices->all, device, all);
	free(device->metrics);
	free(device);
}

static struct device_queue *queue_of(struct sparkplug_devices *devices, enum device_turn turn)
{
	return turn == TURN_BIRTH ? &devices->births : &devices->deaths;
}

void sparkplug_device_turn(struct sparkplug_devices *devices, struct sparkplug_device *device,
			   enum device_turn turn)
{
	if (device->turn == turn)
		return;
	if (device->turn != TURN_NONE)
		TAILQ_REMOVE(queue_of(devices, device->turn), device, next);
	device->turn = turn;
	if (turn != TURN_NONE)
		TAILQ_INSERT_TAIL(queue_of(devices, turn), device, next);
}

/* --- metrics -------------------------------------------------------------------------------- */

static struct device_metric *find_metric(const struct sparkplug_device *device,
					 const struct metric *metric)
{
	for (size_t i = 0; i < device->count; i++)
		if (device->metrics[i].type == metric->type &&
		    strcmp(device->metrics[i].name, metric->name) == 0)
			return &device->metrics[i];
	return NULL;
}

static int add_metric(struct sparkplug_device *device, const struct metric *metric,
		      struct device_metric **ret)
{
	struct device_metric *metrics;

	if (device->count == SPARKPLUG_METRICS_MAX || strlen(metric->name) > NAME_LENGTH)
		return -ENOSPC;
	metrics = reallocarray(device->metrics, device->count + 1, sizeof(*metrics));
	if (!metrics)
		return -ENOMEM;
	device->metrics = metrics;
	*ret = &metrics[device->count++];
	**ret = (struct device_metric){ .type = metric->type };
	memcpy((*ret)->name, metric->name, strlen(metric->name) + 1);
	return 1;
}

static bool take_unit(struct device_metric *own, const struct metric *metric)
{
	size_t size = metric->unit ? strlen(metric->unit) + 1 : 0;

	if (size == 0 || size > sizeof(own->unit) || memcmp(own->unit, metric->unit, size) == 0)
		return false;
	memcpy(own->unit, metric->unit, size);
	return true;
}

int sparkplug_device_learn(struct sparkplug_device *device, const struct metric *metric)
{
	struct device_metric *own = find_metric(device, metric);
	int r = 0;

	if (!own)
		r = add_metric(device, metric, &own);
	if (r < 0)
		return r;
	if (take_unit(own, metric))
		r = 1;
	if (metric->is_null)
		return r;
	own->is_known = true;
	own->time_us = metric->time_us;
	own->number = metric->type == METRIC_SWITCH ? metric->on : metric->number;
	return r;
}

int sparkplug_device_birth(struct message **ret, const struct sparkplug_device *device,
			   const char *topic, int64_t now_us)
{
	struct metric metrics[SPARKPLUG_METRICS_MAX];

	for (size_t i = 0; i < device->count; i++) {
		const struct device_metric *own = &device->metrics[i];

		metrics[i] = (struct metric){
			.name = own->name,
			.unit = own->unit,
			.type = own->type,
			.is_null = !own->is_known,
			.time_us = own->is_known ? own->time_us : now_us,
		};
		if (own->type == METRIC_SWITCH)
			metrics[i].on = own->number > 0;
		else
			metrics[i].number = own->number;
	}
	return sparkplug_payload_new(ret, topic, metrics, device->count, true);
}
