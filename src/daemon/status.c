/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon says about itself: STATUS= for systemd, T/stats for the broker, a file for Prometheus, SIGUSR1 for
 * the log.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "iotd/clock.h"
#include "iotd/log.h"

/* no multiple of anybody's interval: else it could look in the very moment of a reading, each time */
#define STATUS_DISTANCE_US (1037 * USEC_PER_MSEC)
/* who sends SIGUSR1 a thousand times a second shall not fill the journal */
#define LOG_DISTANCE_US	   USEC_PER_SEC
#define LINES_TEXT_SIZE	   80
#define LOG_TEXT_SIZE	   512
#define QUANTILES_SIZE	   80

/* --- STATUS= -------------------------------------------------------------------------------- */

static size_t count_offline_lines(const struct daemon *daemon)
{
	struct device_info info;
	size_t count = 0;

	for (size_t i = 0; i < daemon->input_count; i++) {
		input_info(daemon->inputs[i], &info);
		count += info.status == STATUS_OFFLINE;
	}
	for (size_t i = 0; i < daemon->output_count; i++) {
		output_info(daemon->outputs[i], &info);
		count += info.status == STATUS_OFFLINE;
	}
	return count;
}

/* lines are only spoken of when some are offline: SPEC.md's line is for those that are well */
static void describe_lines(const struct daemon *daemon, char text[static LINES_TEXT_SIZE])
{
	size_t offline = count_offline_lines(daemon);

	text[0] = '\0';
	if (offline > 0)
		(void)snprintf(text, LINES_TEXT_SIZE, "; %zu of %zu GPIO lines offline", offline,
			       daemon->input_count + daemon->output_count);
}

static void tell_status(struct reactor_timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, status_timer);
	bool is_up = mqtt_is_connected(daemon->mqtt);
	uint64_t spooled = daemon->stats.queued - daemon->stats.in_flight;
	char text[sizeof(daemon->status_text)], lines[LINES_TEXT_SIZE];

	describe_lines(daemon, lines);
	(void)snprintf(text, sizeof(text),
		       "%zu sensors, %zu offline%s; %s %s%s%s; %" PRIu64 " spooled%s%s",
		       daemon->sensor_count, figures_offline(daemon), lines,
		       is_up ? "connected to" : "not connected to", daemon->broker,
		       !is_up && daemon->link_fault[0] ? ": " : "", is_up ? "" : daemon->link_fault,
		       spooled, daemon->reload.fault[0] ? "; reload refused: " : "",
		       daemon->reload.fault);
	daemon->status_us = reactor_now(daemon->reactor);
	if (is_up && spooled > 0)
		status_changed(daemon); /* until it is drained */
	if (strcmp(text, daemon->status_text) == 0)
		return;
	memcpy(daemon->status_text, text, sizeof(text));
	notify_status(daemon->notify, text);
}

void status_changed(struct daemon *daemon)
{
	int64_t now_us = reactor_now(daemon->reactor);
	int64_t due_us = daemon->status_us + STATUS_DISTANCE_US;

	if (!reactor_timer_is_set(&daemon->status_timer))
		(void)reactor_set_timer(daemon->reactor, &daemon->status_timer,
					due_us > now_us ? due_us : now_us);
}

/* --- T/stats and the textfile ----------------------------------------------------------------- */

static void publish_stats(struct daemon *daemon)
{
	cleanup(freep) char *topic = topic_new(daemon->settings->mqtt.topic, "stats", NULL, NULL);
	struct message *message;

	if (daemon->reload.is_switching) /* told when the new connection is there */
		return;
	if (topic && message_from_stats(topic, figures_all(daemon), &message) == 0)
		mqtt_publish_state(daemon->mqtt, message);
	else
		log_error("T/stats is not published: out of memory");
}

static void write_textfile(struct daemon *daemon)
{
	const char *path = daemon->settings->stats.textfile;
	struct figures *figures;

	if (!statsfile_is_due(daemon->statsfile, path))
		return;
	figures = figures_new(daemon);
	if (figures)
		statsfile_write(daemon->statsfile, path, figures);
	else
		log_error("%s is not written: out of memory", path);
}

/* a reload has moved it while a worker was at the former one */
static void write_textfile_again(struct reactor_call *call)
{
	write_textfile(container_of(call, struct daemon, textfile_again));
}

static void tell_stats(struct reactor_timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, stats_timer);

	publish_stats(daemon);
	write_textfile(daemon);
	(void)reactor_set_timer(daemon->reactor, timer,
				reactor_now(daemon->reactor) + daemon->settings->stats.interval_us);
}

/* --- SIGUSR1 -------------------------------------------------------------------------------- */

static void describe_quantiles(const struct histogram *histogram, char text[static QUANTILES_SIZE])
{
	int64_t half_us = histogram_quantile(histogram, 500);

	if (half_us < 0)
		(void)snprintf(text, QUANTILES_SIZE, "none");
	else
		(void)snprintf(text, QUANTILES_SIZE,
			       "median %" PRId64 " us, worst hundredth %" PRId64 " us", half_us,
			       histogram_quantile(histogram, 990));
}

/* what was measured just now, and spread: the second half of the line */
static void describe_measured(const struct stats *stats, char text[static LOG_TEXT_SIZE])
{
	char late[QUANTILES_SIZE], ack[QUANTILES_SIZE];

	describe_quantiles(&stats->late, late);
	describe_quantiles(&stats->ack, ack);
	(void)snprintf(text, LOG_TEXT_SIZE,
		       "lateness %s; acknowledgements %s; sensors %" PRIu64 ", offline %" PRIu64
		       "; spool %" PRIu64 " bytes, file %" PRIu64 " bytes; reloads %" PRIu64
		       ", refused %" PRIu64 "; memory %" PRIu64 " bytes; CPU %" PRId64 " ms",
		       late, ack, stats->sensors, stats->sensors_offline, stats->spool_bytes,
		       stats->spool_file_bytes, stats->reloads, stats->reloads_refused,
		       stats->memory_bytes, (int64_t)(stats->cpu_us / USEC_PER_MSEC));
}

static void log_stats(struct reactor_timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, log_timer);
	const struct stats *stats = figures_all(daemon);
	char measured[LOG_TEXT_SIZE];

	describe_measured(stats, measured);
	log_notice("statistics: up %" PRId64 " s; readings %" PRIu64 ", failed %" PRIu64
		   ", missed %" PRIu64 ", latest by %" PRId64 " us; published %" PRIu64
		   ", acknowledged %" PRIu64 ", refused %" PRIu64 ", queued %" PRIu64
		   ", in flight %" PRIu64 ", discarded %" PRIu64 ", expired %" PRIu64
		   "; %s, connects %" PRIu64 ", disconnects %" PRIu64 "; commands %" PRIu64
		   ", refused %" PRIu64 "; edges %" PRIu64 ", lost %" PRIu64
		   "; log messages dropped %" PRIu64 "; %s",
		   (int64_t)((stats->now_us - stats->started_us) / USEC_PER_SEC), stats->readings,
		   stats->read_errors, stats->reads_missed, stats->late_max_us, stats->published,
		   stats->acknowledged, stats->refused, stats->queued, stats->in_flight,
		   stats->discarded, stats->expired,
		   stats->connected ? "connected" : "not connected", stats->connects,
		   stats->disconnects, stats->commands, stats->commands_refused, stats->edges,
		   stats->edges_lost, stats->log_dropped, measured);
	daemon->logged_us = stats->now_us;
}

void status_log(struct daemon *daemon)
{
	int64_t now_us = reactor_now(daemon->reactor), due_us = daemon->logged_us + LOG_DISTANCE_US;

	if (!reactor_timer_is_set(&daemon->log_timer))
		(void)reactor_set_timer(daemon->reactor, &daemon->log_timer,
					due_us > now_us ? due_us : now_us);
}

/* --- life ----------------------------------------------------------------------------------- */

int status_start(struct daemon *daemon)
{
	daemon->status_timer.fire = tell_status;
	daemon->stats_timer.fire = tell_stats;
	daemon->log_timer.fire = log_stats;
	daemon->textfile_again.run = write_textfile_again;
	daemon->status_us = reactor_now(daemon->reactor) - STATUS_DISTANCE_US;
	daemon->logged_us = reactor_now(daemon->reactor) - LOG_DISTANCE_US;
	figures_start(daemon);
	write_textfile(daemon); /* who has just set it up need not wait to see it */
	return reactor_set_timer(daemon->reactor, &daemon->stats_timer,
				 reactor_now(daemon->reactor) +
					 daemon->settings->stats.interval_us);
}

void status_restart(struct daemon *daemon)
{
	tell_stats(&daemon->stats_timer);
}

void status_stop(struct daemon *daemon)
{
	figures_stop(daemon);
	reactor_stop_timer(&daemon->status_timer);
	reactor_stop_timer(&daemon->stats_timer);
	reactor_stop_timer(&daemon->log_timer);
	reactor_cancel_call(&daemon->textfile_again);
	reactor_stop_timer(&daemon->ready_timer);
}
