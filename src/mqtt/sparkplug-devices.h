/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The devices of a Sparkplug edge node: what each one has told last, and which of them are to be
 * born or to die. On the reactor's thread.
 */

#include <sys/queue.h>

#include "iotd/sparkplug.h"

/** enum device_turn - the queue that a device is in */
enum device_turn {
	TURN_NONE,
	TURN_BIRTH,
	TURN_DEATH
};

/** struct device_metric - the last value of one metric */
struct device_metric {
	char name[NAME_LENGTH + 1], unit[UNIT_LENGTH + 1];
	enum metric_type type; /* METRIC_NUMBER or METRIC_SWITCH */
	bool is_known;
	int64_t time_us;
	double number; /* of a switch: 0 or 1 */
};

/** struct sparkplug_device - a sensor, an input or an output */
struct sparkplug_device {
	TAILQ_ENTRY(sparkplug_device) all, next; /* next: in the queue of its turn */
	char name[NAME_LENGTH + 1];
	enum device_turn turn;
	bool is_configured; /* else only old readings speak of it */
	bool is_online;	    /* or not tried yet */
	bool is_born;	    /* in this session */
	struct device_metric *metrics;
	size_t count;
};

TAILQ_HEAD(device_queue, sparkplug_device);

/** struct sparkplug_devices - embedded; sparkplug_devices_init() */
struct sparkplug_devices {
	struct device_queue all; /* in the order of their first word */
	struct device_queue births, deaths;
	void *tree; /* by name: tsearch(3) */
};

/** sparkplug_devices_init() - none */
void sparkplug_devices_init(struct sparkplug_devices *devices);

/** sparkplug_devices_done() - free them all */
void sparkplug_devices_done(struct sparkplug_devices *devices);

/** sparkplug_device_get() - the one named @name, which is made if need be. NULL: out of memory, or no name of a device */
struct sparkplug_device *sparkplug_device_get(struct sparkplug_devices *devices, const char *name);

/** sparkplug_device_drop() - forget it */
void sparkplug_device_drop(struct sparkplug_devices *devices, struct sparkplug_device *device);

/** sparkplug_device_turn() - move it to the end of the queue of @turn, if it is not there */
void sparkplug_device_turn(struct sparkplug_devices *devices, struct sparkplug_device *device,
			   enum device_turn turn);

/**
 * sparkplug_device_learn() - @metric is its latest
 * Return: 1 it had none of this name or type; 0 it had; -ENOMEM; -ENOSPC it has SPARKPLUG_METRICS_MAX.
 */
int sparkplug_device_learn(struct sparkplug_device *device, const struct metric *metric);

/** sparkplug_device_birth() - a payload with all that it has, for sparkplug_payload_finish(). Return: 0; -ENOMEM */
int sparkplug_device_birth(struct message **ret, const struct sparkplug_device *device,
			   const char *topic, int64_t now_us);
