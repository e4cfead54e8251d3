/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the statistics are made of, at the moment in which somebody asks: counters that the layers keep, what is looked
 * up only now, and, for a worker that writes them, a copy of it all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon.h"

#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/metrics.h"

void figures_start(struct daemon *daemon)
{
	daemon->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

void figures_stop(struct daemon *daemon)
{
	closep(&daemon->statm_fd);
	daemon->statm_fd = -1;
}

/* proc(5): the second number of /proc/self/statm, in pages. Return: 0: cannot be told */
static uint64_t resident_bytes(int fd)
{
	char text[128], *second;
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	if (length <= 0)
		return 0;
	text[length] = '\0';
	second = strchr(text, ' ');
	return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static int64_t cpu_us(void)
{
	struct timespec spent;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent) < 0)
		return 0;
	return spent.tv_sec * USEC_PER_SEC + spent.tv_nsec / NSEC_PER_USEC;
}

size_t figures_offline(const struct daemon *daemon)
{
	struct device_info info;
	size_t count = 0;

	for (size_t i = 0; i < daemon->sensor_count; i++) {
		sensor_info(daemon->sensors[i], &info);
		count += info.status == STATUS_OFFLINE;
	}
	return count;
}

const struct stats *figures_now(struct daemon *daemon)
{
	struct stats *stats = &daemon->stats;

	stats->now_us = reactor_now(daemon->reactor);
	stats->log_dropped = log_dropped();
	stats->connected = mqtt_is_connected(daemon->mqtt);
	return stats;
}

const struct stats *figures_all(struct daemon *daemon)
{
	struct stats *stats = &daemon->stats;

	(void)figures_now(daemon);
	stats->sensors = daemon->sensor_count;
	stats->sensors_offline = figures_offline(daemon);
	stats->spool_bytes = spool_bytes(daemon->spool);
	stats->spool_file_bytes = spool_file_bytes(daemon->spool);
	stats->memory_bytes = resident_bytes(daemon->statm_fd);
	stats->cpu_us = cpu_us();
	histogram_turn(&stats->late, stats->now_us);
	histogram_turn(&stats->ack, stats->now_us);
	return stats;
}

/* --- a copy --------------------------------------------------------------------------------- */

static void add_device(struct figures *figures, const struct device_info *info)
{
	struct device_figures *device = &figures->devices[figures->device_count++];

	device->kind = info->kind;
	device->status = info->status;
	device->readings = info->readings;
	device->read_errors = info->read_errors;
	(void)snprintf(device->name, sizeof(device->name), "%s", info->name);
}

static void add_devices(struct figures *figures, const struct daemon *daemon)
{
	struct device_info info;

	for (size_t i = 0; i < daemon->sensor_count; i++) {
		sensor_info(daemon->sensors[i], &info);
		add_device(figures, &info);
	}
	for (size_t i = 0; i < daemon->input_count; i++) {
		input_info(daemon->inputs[i], &info);
		add_device(figures, &info);
	}
	for (size_t i = 0; i < daemon->output_count; i++) {
		output_info(daemon->outputs[i], &info);
		add_device(figures, &info);
	}
}

static void add_bus(void *data, const char *name, int64_t busy_us)
{
	struct figures *figures = data;
	struct bus_figures *bus = &figures->buses[figures->bus_count++];

	bus->busy_us = busy_us;
	(void)snprintf(bus->name, sizeof(bus->name), "%s", name);
}

/*
 * By the clock as it is now: a host may have started us before it knew the time. But not by each of its small
 * corrections, as whoever looks for restarts looks for changes of it.
 */
static int64_t start_time(struct daemon *daemon)
{
	int64_t age_us = reactor_now(daemon->reactor) - daemon->stats.started_us;
	int64_t start_us = clock_realtime_us() - age_us;

	if (llabs(start_us - daemon->start_us) > USEC_PER_SEC)
		daemon->start_us = start_us;
	return daemon->start_us;
}

struct figures *figures_new(struct daemon *daemon)
{
	cleanup(figures_freep) struct figures *figures = calloc(1, sizeof(*figures));
	size_t devices = daemon->sensor_count + daemon->input_count + daemon->output_count;

	if (!figures)
		return NULL;
	figures->device = strdup(daemon->settings->device);
	figures->devices = calloc(devices + 1, sizeof(*figures->devices));
	figures->buses = calloc(daemon->settings->i2c_count + 1, sizeof(*figures->buses));
	if (!figures->device || !figures->devices || !figures->buses)
		return NULL;
	figures->version = IOTD_VERSION;
	figures->start_us = start_time(daemon);
	figures->spool_max_bytes = daemon->settings->spool.max_size;
	figures->stats = *figures_all(daemon);
	add_devices(figures, daemon);
	hardware_each_bus(daemon->hardware, add_bus, figures);
	return take_ptr(figures);
}
