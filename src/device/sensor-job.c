/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sensor's worker does: open, start, collect and close its source. Whatever may block is here. */
#include <errno.h>

#include "iotd/bus.h"
#include "iotd/clock.h"
#include "sensor.h"

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
		r = source_open(source);
		if (r < 0)
			return r;
		r = source->driver->start ? source->driver->start(source, &sensor->wait_us) : 0;
		if (r < 0 || sensor->wait_us > 0)
			return r;
	}
	r = source->driver->collect(source, sensor->values, &sensor->wait_us);
	sensor->has_values = r >= 0;
	return r;
}

/* sysfs knows who owns the address, and reading it may take its time: so not where the log line is made */
static void explain_busy(struct source *source)
{
	char owner[sizeof(source->fault)];

	i2c_device_describe_owner(source->i2c, owner, sizeof(owner));
	(void)source_fail(source, -EBUSY, "%s, address 0x%02x: %s", source->i2c->bus_name,
			  source->i2c->address, owner);
}

int sensor_job(struct worker_job *job)
{
	struct sensor *sensor = container_of(job, struct sensor, job);
	int64_t began_us = clock_monotonic_us();
	int r;

	sensor->wait_us = 0;
	sensor->has_values = false;
	sensor->source->fault[0] = '\0';
	r = read_source(sensor);
	if (r == -EBUSY && sensor->source->i2c && !sensor->source->fault[0])
		explain_busy(sensor->source);
	sensor->time_us = clock_realtime_us();
	sensor->took_us = clock_monotonic_us() - began_us;
	return r;
}
