/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon: every object in order, the joints between the layers, start and stop.
 *
 * The loop's tasks are those of its origin, gathered here: a task a sensor, input and output
 * (src/device), the publisher with its link, the commands (src/mqtt), and the supervisor below, which sleeps until a signal
 * asks for the end. Data flows one way: devices tell daemon_events, which makes messages of it and
 * gives them to MQTT (publishing.c); commands come back through daemon_control (control.c).
 *
 * After the end (stopping.c) the workers are given a moment. One that hangs in the kernel is left
 * behind with all that it may still touch.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/memory.h"

/* the journal's catalog explains it (iotd.catalog) */
#define MESSAGE_ID_STARTED "8d345c67240a4ba19d7c235528529137"

#define WORKERS_END_US (300 * USEC_PER_MSEC)
/* lines that do not answer must not keep systemd waiting */
#define READY_LIMIT_US (2 * USEC_PER_SEC)
/* a task that is later than this makes no progress */
#define PROGRESS_US    (10 * USEC_PER_SEC)

/* --- ready, and the link ---------------------------------------------------------------------- */

static bool all_lines_tried(const struct daemon *daemon)
{
	struct device_info info;

	for (size_t i = 0; i < daemon->input_count; i++) {
		input_info(daemon->inputs[i], &info);
		if (info.status == STATUS_UNKNOWN)
			return false;
	}
	for (size_t i = 0; i < daemon->output_count; i++) {
		output_info(daemon->outputs[i], &info);
		if (info.status == STATUS_UNKNOWN)
			return false;
	}
	return true;
}

static void ready(struct reactor_timer *timer)
{
	reactor_stop_timer(timer);
	notify_ready(container_of(timer, struct daemon, ready_timer)->notify);
}

void daemon_look_ready(struct daemon *daemon)
{
	if (reactor_timer_is_set(&daemon->ready_timer) && all_lines_tried(daemon))
		ready(&daemon->ready_timer);
}

static void on_link(struct mqtt_events *events, bool up, const char *broker, const char *why)
{
	struct daemon *daemon = container_of(events, struct daemon, mqtt_events);

	(void)snprintf(daemon->broker, sizeof(daemon->broker), "%s", broker);
	(void)snprintf(daemon->link_fault, sizeof(daemon->link_fault), "%s", why ? why : "");
	for (size_t i = 0; i < daemon->output_count; i++)
		output_link_changed(daemon->outputs[i], up);
	dbus_note_facts(daemon->dbus);
	status_changed(daemon);
}

/* --- interlocks ----------------------------------------------------------------------------- */

static bool names_each_other(const struct output_settings *a, const struct output_settings *b)
{
	for (size_t i = 0; i < a->interlock_count; i++)
		if (strcmp(a->interlock[i], b->name) == 0)
			return true;
	for (size_t i = 0; i < b->interlock_count; i++)
		if (strcmp(b->interlock[i], a->name) == 0)
			return true;
	return false;
}

static const char *blocked_by(struct output_rules *rules, const struct output *output,
			      bool (*is_on)(const struct output *other))
{
	struct daemon *daemon = container_of(rules, struct daemon, rules);

	for (size_t i = 0; i < daemon->output_count; i++) {
		const struct output *other = daemon->outputs[i];

		if (other != output && is_on(other) &&
		    names_each_other(output_settings(output), output_settings(other)))
			return output_settings(other)->name;
	}
	return NULL;
}

static void went_off(struct output_rules *rules, const struct output *output)
{
	struct daemon *daemon = container_of(rules, struct daemon, rules);

	for (size_t i = 0; i < daemon->output_count; i++)
		if (daemon->outputs[i] != output)
			output_wake(daemon->outputs[i]);
}

/* --- health --------------------------------------------------------------------------------- */

static bool is_healthy(void *data)
{
	const struct daemon *daemon = data;
	int64_t limit_us = reactor_now(daemon->reactor) - PROGRESS_US;

	for (size_t i = 0; i < daemon->sensor_count; i++)
		if (sensor_deadline(daemon->sensors[i]) < limit_us)
			return false;
	return true;
}

/* --- the supervisor ------------------------------------------------------------------------- */

static int supervise(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);

	if (result < 0)
		return result;
	if (all_lines_tried(daemon))
		ready(&daemon->ready_timer);
	status_changed(daemon);
	return task_await(task, &daemon->stop, stopping_begin);
}

/* --- building ------------------------------------------------------------------------------- */

int link_start(struct daemon *daemon, struct mqtt **ret)
{
	struct mqtt_parts parts = {
		.reactor = daemon->reactor,
		.workers = daemon->workers,
		.settings = daemon->settings,
		.spool = daemon->spool,
		.control = &daemon->control,
		.events = &daemon->mqtt_events,
		.stats = &daemon->stats,
		.host = &daemon->announcing.host,
	};

	return mqtt_new(ret, &parts);
}

static int start_scanning(struct daemon *daemon)
{
	const struct scanning_parts parts = {
		.reactor = daemon->reactor,
		.workers = daemon->workers,
		.hardware = daemon->hardware,
		.settings = &daemon->settings,
		.patience_us = SCANNING_PATIENCE_US,
	};

	return scanning_new(&daemon->scanning, &parts);
}

static int build(struct daemon *daemon, const struct daemon_options *options)
{
	static const struct settings none;
	struct device_changes changes;
	int r;

	hardware_reserve_descriptors(daemon->settings);
	announcing_new(daemon);
	r = reactor_new(&daemon->reactor);
	if (r < 0)
		return r;
	daemon->stats.started_us = daemon->parts.epoch_us = reactor_now(daemon->reactor);
	daemon->parts.reactor = daemon->reactor;
	future_init(&daemon->stop, daemon->reactor, NULL);
	r = signals_start(daemon);
	if (r == 0)
		r = log_start();
	if (r == 0)
		r = workers_new(&daemon->workers, daemon->reactor, "iotd-work",
				HARDWARE_THREADS_MOST);
	if (r == 0)
		r = workers_new(&daemon->file_workers, daemon->reactor, "iotd-file",
				FILE_THREADS_MOST);
	if (r == 0)
		r = hardware_new(&daemon->hardware, daemon->workers, daemon->file_workers,
				 daemon->settings, options->simulate);
	if (r == 0)
		r = notify_new(&daemon->notify, daemon->workers, daemon->reactor, is_healthy,
			       daemon);
	if (r == 0)
		r = lines_new(&daemon->lines, daemon->reactor, notify_key(daemon->notify));
	if (r == 0 && !options->simulate)
		daemon->parts.store = lines_store(daemon->lines);
	if (r == 0)
		r = pressure_new(&daemon->pressure, daemon->reactor, memory_give_back);
	if (r == 0)
		r = spooling_new(daemon);
	if (r == 0)
		r = counting_new(daemon, options->simulate);
	if (r == 0)
		r = statsfile_new(&daemon->statsfile, daemon->reactor, daemon->file_workers,
				  &daemon->textfile_again);
	if (r == 0)
		r = start_scanning(daemon);
	if (r == 0)
		r = link_start(daemon, &daemon->mqtt);
	if (r == 0)
		r = devices_change(daemon, &none, daemon->settings, &changes);
	if (r == 0 && !options->simulate)
		chips_start(daemon);
	if (r == 0)
		lines_release_others(daemon->lines);
	if (r == 0)
		r = status_start(daemon);
	if (r == 0)
		r = reload_start(daemon);
	if (r == 0)
		r = at_hand_new(daemon, options->instance);
	daemon->ready_timer.fire = ready;
	if (r == 0)
		r = reactor_set_timer(daemon->reactor, &daemon->ready_timer,
				      daemon->parts.epoch_us + READY_LIMIT_US);
	return r;
}

int daemon_new(struct daemon **ret, struct settings *settings, const struct daemon_options *options)
{
	cleanup(daemon_freep) struct daemon *daemon = NULL;
	int r;

	daemon = calloc(1, sizeof(*daemon));
	if (!daemon) {
		settings_free(settings);
		return -ENOMEM;
	}
	daemon->settings = settings;
	daemon->chips_fd = daemon->statm_fd = -1;
	daemon->parts.events = &daemon->events;
	daemon->parts.stats = &daemon->stats;
	daemon->events = (struct device_events){
		.reading = publishing_reading,
		.count = publishing_count,
		.status = publishing_status,
		.state = publishing_state,
		.bus = buses_note,
		.counted = counting_changed,
		.channels = publishing_channels,
		.fault = publishing_fault,
	};
	daemon->rules = (struct output_rules){ blocked_by, went_off };
	daemon->mqtt_events.link_changed = on_link;
	daemon->control.execute = control_execute;
	daemon->reload.has_log_level = options->has_log_level;
	(void)snprintf(daemon->broker, sizeof(daemon->broker), "%s", settings->mqtt.brokers[0].url);
	r = build(daemon, options);
	if (r < 0)
		return r;
	*ret = take_ptr(daemon);
	return 0;
}

int daemon_run(struct daemon *daemon)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_STARTED };
	cleanup(task_releasep) struct task *root = NULL;
	int r;

	log_event(LOG_INFO, &fields, "iotd %s: %zu sensors, %zu inputs, %zu outputs from %s",
		  IOTD_VERSION, daemon->sensor_count, daemon->input_count, daemon->output_count,
		  daemon->settings->file);
	r = task_spawn(&root, daemon->reactor, supervise, daemon, NULL);
	if (r < 0)
		return r;
	message_keep_freed(true);
	r = reactor_run(daemon->reactor, root);
	message_keep_freed(false);
	return r;
}

struct daemon *daemon_free(struct daemon *daemon)
{
	int files, others;

	if (!daemon)
		return NULL;
	reload_stop(daemon);
	chips_stop(daemon);
	devices_stop_reading(daemon);
	while (daemon->output_count > 0)
		output_free(daemon->outputs[--daemon->output_count]);
	at_hand_stop(daemon);
	mqtt_free(daemon->mqtt);
	scanning_free(daemon->scanning);
	files = workers_free(daemon->file_workers, WORKERS_END_US);
	others = workers_free(daemon->workers, WORKERS_END_US);
	if (files < 0 || others < 0) {
		log_warning("a %s hangs: left behind", files < 0 ? "file" : "bus or the resolver");
		log_stop();
		return NULL;
	}
	lines_free(daemon->lines);
	notify_free(daemon->notify);
	pressure_free(daemon->pressure);
	hardware_free(daemon->hardware);
	spool_free(daemon->spool);
	counts_free(daemon->counts);
	statsfile_free(daemon->statsfile);
	status_stop(daemon);
	reactor_free(daemon->reactor);
	reload_done(daemon);
	settings_free(daemon->settings);
	buses_done(daemon);
	free(daemon->sensors);
	free(daemon->inputs);
	free(daemon->outputs);
	free(daemon->exits);
	free(daemon);
	log_stop();
	return NULL;
}
