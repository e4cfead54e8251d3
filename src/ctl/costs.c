/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "costs.h"
#include "json.h"

#include "iotd/clock.h"

void round_free(struct round *round)
{
	devices_free(&round->devices);
	json_decref(round->stats);
	json_decref(round->manager);
	*round = (struct round){ 0 };
}

/* nearly always it is where it was. Return: NULL: there was none */
static const struct device *device_before(const struct round *before, size_t index,
					  const struct device *now)
{
	const struct devices *devices = &before->devices;

	if (index < devices->count && strcmp(devices->list[index].name, now->name) == 0)
		return &devices->list[index];
	return devices_find(devices, now->name, DEVICE_SENSOR);
}

static struct cost cost_of(const struct device *before, const struct device *now, double lapse_s)
{
	struct cost cost = {
		.device = now, .rate = (double)NAN, .busy = (double)NAN, .read_s = (double)NAN
	};
	double reads, busy_s;

	/* a sensor that a reload made anew counts from 0 */
	if (!before || !(lapse_s > 0) || now->readings < before->readings ||
	    now->errors < before->errors || now->busy_us < before->busy_us)
		return cost;
	reads = (double)(now->readings - before->readings + now->errors - before->errors);
	busy_s = (double)(now->busy_us - before->busy_us) / (double)USEC_PER_SEC;
	cost.rate = (double)(now->readings - before->readings) / lapse_s;
	cost.busy = busy_s / lapse_s;
	if (reads > 0)
		cost.read_s = busy_s / reads;
	return cost;
}

static double cpu_of(const struct round *before, const struct round *now, double lapse_s)
{
	double used_s = json_number_value(json_object_get(now->stats, "cpu")) -
			json_number_value(json_object_get(before->stats, "cpu"));

	return before->stats && now->stats && lapse_s > 0 && used_s >= 0 ? used_s / lapse_s
									 : (double)NAN;
}

/* what is not known comes last; NAN is less than everything */
static int order(double a, double b)
{
	a = isnan(a) ? -1 : a;
	b = isnan(b) ? -1 : b;
	return (a < b) - (a > b);
}

static int by_place(const struct cost *a, const struct cost *b)
{
	return (a->device > b->device) - (a->device < b->device);
}

static int by_busy(const void *left, const void *right)
{
	const struct cost *a = left, *b = right;
	int r = order(a->busy, b->busy);

	return r != 0 ? r : by_place(a, b);
}

static int by_lateness(const void *left, const void *right)
{
	const struct cost *a = left, *b = right;
	int r = order((double)a->device->late_us, (double)b->device->late_us);

	return r != 0 ? r : by_place(a, b);
}

int costs_new(struct costs *ret, const struct round *before, const struct round *now, bool by_late)
{
	double lapse_s = before->time_us > 0
				 ? (double)(now->time_us - before->time_us) / (double)USEC_PER_SEC
				 : 0;
	struct costs costs = { .cpu = cpu_of(before, now, lapse_s) };

	costs.list = calloc(now->devices.count + 1, sizeof(*costs.list));
	if (!costs.list)
		return -ENOMEM;
	for (size_t i = 0; i < now->devices.count; i++) {
		const struct device *device = &now->devices.list[i];

		if (device->kind == DEVICE_SENSOR)
			costs.list[costs.count++] =
				cost_of(device_before(before, i, device), device, lapse_s);
	}
	qsort(costs.list, costs.count, sizeof(*costs.list), by_late ? by_lateness : by_busy);
	*ret = costs;
	return 0;
}
