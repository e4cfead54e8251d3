/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sensor's worker does: open, start, collect and close its source. Whatever may block is here. */
#include <errno.h>

#include "iotd/bus.h"
#include "iotd/clock.h"
#include "sensor.h"

#define PROMPT_US (2 * USEC_PER_MSEC)

static int read_source(struct sensor *sensor)
{
	struct source *source = sensor->source;
	int r;

	if (sensor->phase == PHASE_CLOSE) {
		source_close(source);
		return 0;
	}
	if (sensor->phase == PHASE_START) {
		if (sensor->reopen)
			source_close(source);
		sensor->was_opened |= !source->is_open;
		r = source_open(source);
		if (r < 0)
			return r;
		r = source_start(source, &sensor->wait_us);
		if (r < 0 || sensor->wait_us > 0)
			return r;
	}
	r = source->driver->collect(source, sensor->values, &sensor->wait_us);
	sensor->has_values = r >= 0;
	return r;
}

/* sysfs knows more than the errno, and reading it may take its time: so not where the log line is made */
static void explain(struct source *source, int error)
{
	char words[sizeof(source->fault)];

	if (i2c_device_describe_error(source->i2c, error, words, sizeof(words)))
		(void)source_fail(source, error, "%s", words);
}

int sensor_job(struct worker_job *job)
{
	struct sensor *sensor = container_of(job, struct sensor, job);
	int r;

	sensor->wait_us = 0;
	sensor->has_values = false;
	sensor->source->fault[0] = '\0';
	r = read_source(sensor);
	if (r < 0 && sensor->source->i2c && !sensor->source->fault[0])
		explain(sensor->source, r);
	sensor->time_us = clock_realtime_us();
	return r;
}

/* thousands may be due in one turn: no more than this of it is given to what waits for nothing */
static bool has_time(const struct sensor *sensor)
{
	return clock_boottime_us() <= reactor_now(sensor->parts->reactor) + PROMPT_US;
}

int sensor_read_promptly(struct sensor *sensor)
{
	struct source *source = sensor->source;
	int64_t began_us, took_us;
	int r;

	if (!source->is_prompt || sensor->reopen || !has_time(sensor))
		return -EAGAIN;
	began_us = clock_monotonic_us();
	r = source_read_promptly(source, sensor->values);
	took_us = clock_monotonic_us() - began_us;
	sensor->wait_us = 0;
	sensor->has_values = r >= 0;
	sensor->time_us = clock_realtime_us();
	sensor->busy_us += took_us;
	source_was_used(source, took_us);
	return r;
}
