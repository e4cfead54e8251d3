/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prometheus' text format: a family is a HELP line, a TYPE line and its samples, all in one place.
 *
 * Names are as https://prometheus.io/docs/practices/naming wants them: seconds and bytes, _total for what only
 * grows. The usual process_… names are node_exporter's own, and the same name twice makes its whole scrape
 * fail; so all begin with iotd_. For the same reason each sample has the label `device`: a host may run
 * several iotd, and their files end up in one scrape.
 */
#include <inttypes.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/metrics.h"

#define COUNTER "counter"
#define GAUGE	"gauge"
#define SUMMARY "summary"

/* a family of one sample, which is a uint64_t of struct stats */
struct row {
	const char *name, *type, *help;
	size_t offset;
};

#define STATS(member) offsetof(struct stats, member)

static const struct row reading_rows[] = {
	{ "reads_missed_total", COUNTER,
	  "Due times that passed while the read before was under way.", STATS(reads_missed) },
	{ "edges_total", COUNTER, "Edges of inputs.", STATS(edges) },
	{ "edges_lost_total", COUNTER, "Edges that the kernel could not keep.", STATS(edges_lost) },
};

static const struct row publish_rows[] = {
	{ "connects_total", COUNTER, "Connections to a broker that were made.", STATS(connects) },
	{ "disconnects_total", COUNTER, "Connections to a broker that ended.", STATS(disconnects) },
	{ "published_messages_total", COUNTER, "Messages handed to the broker.", STATS(published) },
	{ "acknowledged_messages_total", COUNTER,
	  "Messages that the broker acknowledged; at QoS 0: written.", STATS(acknowledged) },
	{ "refused_messages_total", COUNTER, "Messages that the broker does not take; dropped.",
	  STATS(refused) },
	{ "queued_readings", GAUGE, "Readings that are not acknowledged.", STATS(queued) },
	{ "in_flight_readings", GAUGE, "Of these, handed to the broker.", STATS(in_flight) },
	{ "discarded_readings_total", COUNTER, "Readings that were lost because too many waited.",
	  STATS(discarded) },
	{ "expired_readings_total", COUNTER,
	  "Readings that were dropped because they waited for longer than mqtt.expiry.",
	  STATS(expired) },
	{ "spool_bytes", GAUGE,
	  "Readings that are not acknowledged, as spool.max_size counts them.",
	  STATS(spool_bytes) },
	{ "spool_file_bytes", GAUGE, "What the spool takes on the disk.", STATS(spool_file_bytes) },
};

static const struct row process_rows[] = {
	{ "resident_memory_bytes", GAUGE, "Memory that iotd has in use.", STATS(memory_bytes) },
	{ "log_dropped_messages_total", COUNTER,
	  "Log messages that were lost for want of a reader.", STATS(log_dropped) },
};

struct figures *figures_free(struct figures *figures)
{
	if (!figures)
		return NULL;
	free(figures->device);
	free(figures->devices);
	free(figures->buses);
	free(figures);
	return NULL;
}

/* --- lines ---------------------------------------------------------------------------------- */

static void put_family(FILE *file, const char *name, const char *type, const char *help)
{
	(void)fprintf(file, "# HELP iotd_%s %s\n# TYPE iotd_%s %s\n", name, help, name, type);
}

/* "A label value can be any sequence of UTF-8 characters", but these have to be escaped */
static void put_label(FILE *file, const char *key, const char *value)
{
	(void)fprintf(file, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '\n') {
			(void)fputs("\\n", file);
			continue;
		}
		if (*value == '"' || *value == '\\')
			(void)putc('\\', file);
		(void)putc(*value, file);
	}
	(void)putc('"', file);
}

/* all of a sample but its value; @key NULL: no other label than the device's */
static void put_sample(FILE *file, const struct figures *figures, const char *name, const char *key,
		       const char *value)
{
	(void)fprintf(file, "iotd_%s{", name);
	put_label(file, "device", figures->device);
	if (key) {
		(void)putc(',', file);
		put_label(file, key, value);
	}
	(void)fputs("} ", file);
}

static void put_count(FILE *file, uint64_t count)
{
	(void)fprintf(file, "%" PRIu64 "\n", count);
}

static void put_seconds(FILE *file, int64_t duration_us)
{
	(void)fprintf(file, "%" PRId64 ".%06" PRId64 "\n", (int64_t)(duration_us / USEC_PER_SEC),
		      (int64_t)(duration_us % USEC_PER_SEC));
}

static void put_one_count(FILE *file, const struct figures *figures, const struct row *row,
			  uint64_t count)
{
	put_family(file, row->name, row->type, row->help);
	put_sample(file, figures, row->name, NULL, "");
	put_count(file, count);
}

static void put_one_duration(FILE *file, const struct figures *figures, const struct row *row,
			     int64_t duration_us)
{
	put_family(file, row->name, row->type, row->help);
	put_sample(file, figures, row->name, NULL, "");
	put_seconds(file, duration_us);
}

static void put_rows(FILE *file, const struct figures *figures, const struct row *rows,
		     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&figures->stats + rows[i].offset, sizeof(value));
		put_one_count(file, figures, &rows[i], value);
	}
}

/* --- families of several samples ------------------------------------------------------------ */

static void put_summary(FILE *file, const struct figures *figures, const struct row *row,
			const struct histogram *histogram)
{
	static const struct {
		unsigned int permille;
		const char *label;
	} quantiles[] = { { 500, "0.5" }, { 900, "0.9" }, { 990, "0.99" } };
	char name[64];

	put_family(file, row->name, row->type, row->help);
	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++) {
		int64_t duration_us = histogram_quantile(histogram, quantiles[i].permille);

		put_sample(file, figures, row->name, "quantile", quantiles[i].label);
		if (duration_us < 0)
			(void)fputs("NaN\n", file);
		else
			put_seconds(file, duration_us);
	}
	(void)snprintf(name, sizeof(name), "%s_sum", row->name);
	put_sample(file, figures, name, NULL, "");
	put_seconds(file, histogram->sum_us);
	(void)snprintf(name, sizeof(name), "%s_count", row->name);
	put_sample(file, figures, name, NULL, "");
	put_count(file, histogram->count);
}

static void put_sensors(FILE *file, const struct figures *figures, const struct row *row)
{
	put_family(file, row->name, row->type, row->help);
	for (size_t i = 0; i < figures->device_count; i++) {
		const struct device_figures *device = &figures->devices[i];
		uint64_t value;

		if (device->kind != DEVICE_SENSOR)
			continue;
		memcpy(&value, (const char *)device + row->offset, sizeof(value));
		put_sample(file, figures, row->name, "sensor", device->name);
		put_count(file, value);
	}
}

/* nothing of those of which the first try has not ended */
static void put_online(FILE *file, const struct figures *figures, enum device_kind kind,
		       const char *help)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s_online", device_kind_name(kind));
	put_family(file, name, GAUGE, help);
	for (size_t i = 0; i < figures->device_count; i++) {
		const struct device_figures *device = &figures->devices[i];

		if (device->kind != kind || device->status == STATUS_UNKNOWN)
			continue;
		put_sample(file, figures, name, device_kind_name(kind), device->name);
		put_count(file, device->status == STATUS_ONLINE);
	}
}

static void put_devices(FILE *file, const struct figures *figures)
{
	static const struct row rows[] = {
		{ "readings_total", COUNTER, "Good reads of a sensor.",
		  offsetof(struct device_figures, readings) },
		{ "read_errors_total", COUNTER,
		  "Reads of a sensor that failed, after their retries.",
		  offsetof(struct device_figures, read_errors) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		put_sensors(file, figures, &rows[i]);
	put_online(file, figures, DEVICE_SENSOR, "Whether the sensor can be read.");
	put_online(file, figures, DEVICE_INPUT, "Whether the input has its line.");
	put_online(file, figures, DEVICE_OUTPUT, "Whether the output has its line.");
}

static void put_buses(FILE *file, const struct figures *figures)
{
	static const char name[] = "bus_busy_seconds_total";

	put_family(file, name, COUNTER, "Time for which reads kept an I2C bus busy.");
	for (size_t i = 0; i < figures->bus_count; i++) {
		put_sample(file, figures, name, "bus", figures->buses[i].name);
		put_seconds(file, figures->buses[i].busy_us);
	}
}

static void put_commands(FILE *file, const struct figures *figures)
{
	const struct stats *stats = &figures->stats;
	static const char name[] = "commands_total";

	put_family(file, name, COUNTER, "Commands: carried out (ok), or why they were refused.");
	put_sample(file, figures, name, "result", "ok");
	put_count(file, stats->commands);
	for (enum command_refusal i = 0; i < REFUSAL_KINDS; i++) {
		put_sample(file, figures, name, "result", command_refusal_name(i));
		put_count(file, stats->refusals[i]);
	}
}

static void put_reloads(FILE *file, const struct figures *figures)
{
	static const char name[] = "reloads_total";

	put_family(file, name, COUNTER, "Configurations that were taken up (ok) or refused.");
	put_sample(file, figures, name, "result", "ok");
	put_count(file, figures->stats.reloads);
	put_sample(file, figures, name, "result", "refused");
	put_count(file, figures->stats.reloads_refused);
}

/* --- all ------------------------------------------------------------------------------------ */

static void put_process(FILE *file, const struct figures *figures)
{
	static const struct row start = { "start_time_seconds", GAUGE,
					  "When iotd was started, in seconds since 1970.", 0 };
	static const struct row cpu = { "cpu_seconds_total", COUNTER,
					"Time of processors, in user space and in the kernel.", 0 };
	const struct stats *stats = &figures->stats;

	put_family(file, "build_info", GAUGE, "1, with the version of iotd.");
	put_sample(file, figures, "build_info", "version", figures->version);
	put_count(file, 1);
	put_one_duration(file, figures, &start, figures->start_us);
	put_one_duration(file, figures, &cpu, stats->cpu_us);
	put_rows(file, figures, process_rows, ARRAY_SIZE(process_rows));
}

static void put_readings(FILE *file, const struct figures *figures)
{
	static const struct row late = { "schedule_lateness_seconds", SUMMARY,
					 "How long after their due times reads began.", 0 };
	static const struct row late_max = { "schedule_lateness_max_seconds", GAUGE,
					     "The worst of these since the start.", 0 };

	put_devices(file, figures);
	put_rows(file, figures, reading_rows, ARRAY_SIZE(reading_rows));
	put_summary(file, figures, &late, &figures->stats.late);
	put_one_duration(file, figures, &late_max, figures->stats.late_max_us);
	put_buses(file, figures);
}

void metrics_write(FILE *file, const struct figures *figures)
{
	static const struct row connected = { "connected", GAUGE, "Whether there is a broker.", 0 };
	static const struct row ack = {
		"acknowledgement_latency_seconds", SUMMARY,
		"From handing a message to the broker to its acknowledgement, at QoS 1 and 2.", 0
	};
	static const struct row spool_max = { "spool_max_bytes", GAUGE, "spool.max_size.", 0 };

	put_process(file, figures);
	put_readings(file, figures);
	put_one_count(file, figures, &connected, figures->stats.connected);
	put_rows(file, figures, publish_rows, ARRAY_SIZE(publish_rows));
	put_one_count(file, figures, &spool_max, figures->spool_max_bytes);
	put_summary(file, figures, &ack, &figures->stats.ack);
	put_commands(file, figures);
	put_reloads(file, figures);
}
