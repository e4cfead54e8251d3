/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A sensor's own state, shared by its task (sensor.c), what its worker does (sensor-job.c) and what
 * is told of it (sensor-told.c).
 */

#include "device.h"
#include "lateness.h"

/* longer than any healthy transfer: i2c-dev's own limit is a second for each */
#define SENSOR_JOB_LIMIT_US (3 * USEC_PER_SEC)
/* conversions that are not ready when they should be are asked for so often */
#define SENSOR_COLLECTS_MAX 20

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
	/* what each reading touches: together, for it is long since the last one */
	const struct device_parts *parts;
	const struct sensor_settings *settings;
	struct task *task;
	struct channel_filter *filter;
	int64_t interval_us, due_us, deadline_us;
	int tries, collects;
	enum device_status status;
	unsigned int failures; /* in a row, after retries */
	struct future wake;    /* resolved to read at once, besides the schedule */
	uint64_t readings;
	struct lateness lateness;	   /* of reads on schedule */
	int64_t busy_us;		   /* what its jobs took */
	struct asked *asked, **last_asked; /* in their order */
	bool is_freed;
	bool is_news; /* others have to be told of its channels or its interval */

	/* with the worker while the job is out */
	bool reopen;
	bool has_values;
	bool was_opened; /* since the filter was last looked at */
	enum phase phase;
	struct source *source;
	int64_t wait_us, time_us;
	double values[CHANNELS_MAX];
	struct worker_job job;

	struct worker_key *key, *own_key;
	struct future job_back; /* awaited when an abandoned job must come back first */
	int slow_reads;
	size_t channel_count; /* of the filter */
	size_t asked_count;
	int64_t failed_since_us;
	uint64_t read_errors;
	char fault[192];
};

/** sensor_job() - on the worker: the phase that is due; the job is the sensor's */
int sensor_job(struct worker_job *job);

/** sensor_read_promptly() - on the reactor: a reading that waits for nothing. Return: as sensor_job(); -EAGAIN it must be a job */
int sensor_read_promptly(struct sensor *sensor);

/** sensor_job_limit() - how long its job may take */
int64_t sensor_job_limit(const struct sensor *sensor);

/** sensor_note_fault() - put into words, for those who are told, why a read failed */
void sensor_note_fault(struct sensor *sensor, int error);

/** sensor_failed() - a read failed after all retries: tell all who are to know; `fault` says why */
void sensor_failed(struct sensor *sensor, int error);

/** sensor_succeeded() - `values` are a reading: publish what is to be published, tell all who are to know */
void sensor_succeeded(struct sensor *sensor);

/** sensor_forget_asked() - nobody waits for a reading */
void sensor_forget_asked(struct sensor *sensor);

/** sensor_answer() - all who asked until now; who asks meanwhile gets the next reading. @reading: NULL on failure */
void sensor_answer(struct sensor *sensor, int error, const struct reading *reading);
