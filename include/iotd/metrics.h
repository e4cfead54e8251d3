/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The statistics as Prometheus reads them (https://prometheus.io/docs/instrumenting/exposition_formats,
 * "Text-based format"). They are a copy of what devices and daemon hold, so that a worker can write them. Any thread.
 */

#include <stdio.h>

#include "iotd/model.h"

/** struct device_figures - of a sensor, input or output */
struct device_figures {
	enum device_kind kind;
	enum device_status status;
	uint64_t readings, read_errors; /* sensors */
	char name[NAME_LENGTH + 1];
};

/** struct bus_figures - of an I2C bus */
struct bus_figures {
	int64_t busy_us;
	char name[NAME_LENGTH + 1];
};

/** struct figures - all that is told; made with calloc() and freed by figures_free() */
struct figures {
	char *device;	     /* the configuration's */
	const char *version; /* not freed */
	int64_t start_us;    /* CLOCK_REALTIME when iotd was started */
	uint64_t spool_max_bytes;
	struct stats stats;
	struct device_figures *devices;
	size_t device_count;
	struct bus_figures *buses;
	size_t bus_count;
};

/** figures_free() - half-filled ones and NULL are fine. Returns NULL */
struct figures *figures_free(struct figures *figures);

/** metrics_write() - all of them to @file, where ferror() says if that failed */
void metrics_write(FILE *file, const struct figures *figures);

static inline void figures_freep(struct figures **figures)
{
	*figures = figures_free(*figures);
}
