/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sensor's own state, shared by its task (sensor.c) and what its worker does (sensor-job.c). */

#include "device.h"

enum phase {
	PHASE_START,
	PHASE_COLLECT,
	PHASE_CLOSE
};

/* somebody who wants a reading now */
struct asked {
	struct asked *next;
	sensor_read_callback done;
	void *data;
};

struct sensor {
	const struct device_parts *parts;
	const struct sensor_settings *settings;
	struct task *task;
	struct worker_key *key, *own_key;
	struct channel_filter *filter;
	size_t channel_count; /* of the filter */
	bool is_freed;

	/* with the worker while the job is out */
	struct worker_job job;
	struct source *source;
	enum phase phase;
	bool reopen;
	bool has_values;
	int64_t wait_us, time_us, took_us;
	double values[CHANNELS_MAX];

	int64_t interval_us, due_us, deadline_us;
	int tries, collects, slow_reads;
	struct future job_back; /* awaited when an abandoned job must come back first */
	struct future wake;	/* resolved to read at once, besides the schedule */

	enum device_status status;
	unsigned int failures; /* in a row, after retries */
	int64_t failed_since_us;
	char fault[192];

	struct asked *asked, **last_asked; /* in their order */
	size_t asked_count;
};

/** sensor_job() - on the worker: the phase that is due; the job is the sensor's */
int sensor_job(struct worker_job *job);
