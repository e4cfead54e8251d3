/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon: every object in order, the joints between the layers, start and stop.
 *
 * The loop's tasks are those of its origin, gathered here: a task a sensor, input and output
 * (src/device), the publisher with its link, the commands (src/mqtt), and the supervisor below, which sleeps until a signal
 * asks for the end. Data flows one way: devices tell daemon_events, which makes messages of it and
 * gives them to MQTT; commands come back through daemon_control (control.c).
 *
 * The end, within STOP_US: no new readings; outputs go where on_exit wants them; what can be
 * flushed is flushed; `offline`; disconnect. Then the workers are given a moment. One that hangs in
 * the kernel is left behind with all that it may still touch.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/memory.h"

/* the journal's catalog explains it (iotd.catalog) */
#define MESSAGE_ID_STARTED "8d345c67240a4ba19d7c235528529137"

#define STOP_US	       (2 * USEC_PER_SEC)
#define SPOOL_END_US   (300 * USEC_PER_MSEC) /* of these: what is left goes to the file */
#define TOLD_US	       (200 * USEC_PER_MSEC)
#define WORKERS_END_US (300 * USEC_PER_MSEC)
/* lines that do not answer must not keep systemd waiting */
#define READY_LIMIT_US (2 * USEC_PER_SEC)
#define LOST_QUIET_US  (5 * USEC_PER_SEC)
/* a task that is later than this makes no progress */
#define PROGRESS_US    (10 * USEC_PER_SEC)

/* --- the joint of the devices --------------------------------------------------------------- */

struct published {
	struct daemon *daemon;
	int qos;
	bool retain;
};

static void publish_reading(void *data, struct message *message)
{
	const struct published *published = data;
	struct daemon *daemon = published->daemon;

	message->qos = (uint8_t)published->qos;
	message->retain = published->retain;
	message->expiry_s = (uint32_t)(daemon->settings->mqtt.expiry_us / USEC_PER_SEC);
	message->queued_us = reactor_now(daemon->reactor);
	mqtt_publish(daemon->mqtt, message);
}

/* memory comes and goes: it is back when nothing was lost for a while */
static void note_lost(struct daemon *daemon, enum device_kind kind, const char *name, int r)
{
	int64_t now_us = reactor_now(daemon->reactor);

	if (r < 0) {
		daemon->stats.discarded++;
		daemon->lost_us = now_us;
		if (daemon->lost++ == 0)
			log_error("%s %s: a reading is lost: %s; further ones are only counted",
				  device_kind_name(kind), name, strerror(-r));
	} else if (daemon->lost > 0 && now_us - daemon->lost_us >= LOST_QUIET_US) {
		log_notice("no reading is lost any more; %" PRIu64 " were", daemon->lost);
		daemon->lost = 0;
	}
}

static void publish(struct published published, enum device_kind kind, const char *topic,
		    const struct reading *reading)
{
	struct daemon *daemon = published.daemon;
	int r = -ENOMEM;

	if (topic)
		r = message_from_reading(daemon->settings->mqtt.format, topic, reading,
					 publish_reading, &published);
	note_lost(daemon, kind, reading->name, r);
	if (!mqtt_is_connected(daemon->mqtt))
		status_changed(daemon);
}

static void on_reading(struct device_events *events, const struct sensor_settings *sensor,
		       const struct reading *reading)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	struct published published = { daemon, sensor->qos, sensor->retain };

	publish(published, DEVICE_SENSOR, sensor->topic, reading);
}

static void on_count(struct device_events *events, const struct input_settings *input,
		     const struct reading *reading)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	const struct mqtt_settings *mqtt = &daemon->settings->mqtt;
	cleanup(freep) char *topic =
		topic_new(mqtt->topic, device_kind_name(DEVICE_INPUT), input->name, NULL);
	struct published published = { daemon, mqtt->qos, true };

	publish(published, DEVICE_INPUT, topic, reading);
}

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

static void on_status(struct device_events *events, enum device_kind kind, const char *name,
		      enum device_status status)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	cleanup(freep) char *topic = NULL;
	const char *text = device_status_name(status);
	struct message *message;

	if (kind != DEVICE_SENSOR && reactor_timer_is_set(&daemon->ready_timer) &&
	    all_lines_tried(daemon))
		ready(&daemon->ready_timer);
	status_changed(daemon);
	if (kind != DEVICE_SENSOR || daemon->reload.is_switching)
		return;
	topic = topic_new(daemon->settings->mqtt.topic, device_kind_name(kind), name, "status");
	if (!topic || message_new(&message, topic, text, strlen(text)) < 0) {
		log_error("sensor %s: its status is not published: out of memory", name);
		return;
	}
	mqtt_publish_state(daemon->mqtt, message);
}

static void on_state(struct device_events *events, const struct state *state)
{
	struct daemon *daemon = container_of(events, struct daemon, events);
	cleanup(freep) char *topic = NULL;
	struct message *message;

	if (daemon->reload.is_switching)
		return; /* it is told when the new connection is there */
	topic = topic_new(daemon->settings->mqtt.topic, device_kind_name(state->kind), state->name,
			  NULL);
	if (!topic ||
	    message_from_state(daemon->settings->mqtt.format, topic, state, &message) < 0) {
		log_error("%s %s: its state is not published: out of memory",
			  device_kind_name(state->kind), state->name);
		return;
	}
	mqtt_publish_state(daemon->mqtt, message);
}

static void on_link(struct mqtt_events *events, bool up, const char *broker, const char *why)
{
	struct daemon *daemon = container_of(events, struct daemon, mqtt_events);

	(void)snprintf(daemon->broker, sizeof(daemon->broker), "%s", broker);
	(void)snprintf(daemon->link_fault, sizeof(daemon->link_fault), "%s", why ? why : "");
	for (size_t i = 0; i < daemon->output_count; i++)
		output_link_changed(daemon->outputs[i], up);
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

/* --- signals -------------------------------------------------------------------------------- */

static void on_stop_signal(struct reactor_signal *signal)
{
	struct daemon *daemon = signal->number == SIGTERM
					? container_of(signal, struct daemon, terminate)
					: container_of(signal, struct daemon, interrupt);

	future_resolve(&daemon->stop, 0);
}

static void on_statistics_signal(struct reactor_signal *signal)
{
	status_log(container_of(signal, struct daemon, statistics));
}

static void on_reload_signal(struct reactor_signal *signal)
{
	reload_ask(container_of(signal, struct daemon, hangup), NULL);
}

static int add_signals(struct daemon *daemon)
{
	int r;

	daemon->terminate.arrived = daemon->interrupt.arrived = on_stop_signal;
	daemon->statistics.arrived = on_statistics_signal;
	daemon->hangup.arrived = on_reload_signal;
	r = reactor_add_signal(daemon->reactor, &daemon->terminate, SIGTERM);
	if (r == 0)
		r = reactor_add_signal(daemon->reactor, &daemon->interrupt, SIGINT);
	if (r == 0)
		r = reactor_add_signal(daemon->reactor, &daemon->statistics, SIGUSR1);
	if (r == 0)
		r = reactor_add_signal(daemon->reactor, &daemon->hangup, SIGHUP);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) /* a broker that closes must not end us */
		r = -errno;
	return r;
}

/* --- the supervisor ------------------------------------------------------------------------- */

static void free_sensors_and_inputs(struct daemon *daemon)
{
	while (daemon->sensor_count > 0)
		sensor_free(daemon->sensors[--daemon->sensor_count]);
	while (daemon->input_count > 0)
		input_free(daemon->inputs[--daemon->input_count]);
}

static int stopped(struct task *task, int result)
{
	(void)task;
	(void)result; /* systemd does not listen: it knows how to end us */
	return 0;
}

static int spool_stopped(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);

	spooling_log_end(daemon, result == 0);
	return task_await_for(task, daemon->told, TOLD_US, stopped);
}

static int link_stopped(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	int64_t left_us = daemon->stop_deadline_us - reactor_now(daemon->reactor);
	struct future *stored = spool_stop(daemon->spool);

	(void)result; /* what was not acknowledged is in the spool */
	if (!stored)
		return spool_stopped(task, -ENOENT);
	return task_await_for(task, stored, left_us > SPOOL_END_US ? left_us : SPOOL_END_US,
			      spool_stopped);
}

static int stop_link(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);

	(void)result;
	return task_await_for(task,
			      mqtt_stop(daemon->mqtt, daemon->stop_deadline_us - SPOOL_END_US),
			      STOP_US + USEC_PER_SEC / 2, link_stopped);
}

/* one output after the other; they are driven side by side all the same */
static int stop_outputs(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	int64_t left_us = daemon->stop_deadline_us - reactor_now(daemon->reactor);

	(void)result;
	while (daemon->exits_awaited < daemon->output_count) {
		struct future *driven = daemon->exits[daemon->exits_awaited++];

		if (driven && left_us > 0)
			return task_await_for(task, driven, left_us, stop_outputs);
	}
	return stop_link(task, 0);
}

static void exit_outputs(struct daemon *daemon, bool on)
{
	for (size_t i = 0; i < daemon->output_count; i++)
		if ((output_settings(daemon->outputs[i])->on_exit == MOVE_ON) == on)
			daemon->exits[i] = output_exit(daemon->outputs[i]);
}

static int stop(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);

	if (result < 0)
		return result;
	log_info("stopping");
	reload_end(daemon);
	daemon->told = notify_stopping(daemon->notify);
	daemon->stop_deadline_us = reactor_now(daemon->reactor) + STOP_US;
	reactor_stop_timer(&daemon->stats_timer);
	free_sensors_and_inputs(daemon);
	exit_outputs(daemon, false); /* those that go on may wait for those that go off */
	exit_outputs(daemon, true);
	return stop_outputs(task, 0);
}

static int supervise(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);

	if (result < 0)
		return result;
	if (all_lines_tried(daemon))
		ready(&daemon->ready_timer);
	status_changed(daemon);
	return task_await(task, &daemon->stop, stop);
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
	};

	return mqtt_new(ret, &parts);
}

static int build(struct daemon *daemon, const struct daemon_options *options)
{
	static const struct settings none;
	struct device_changes changes;
	int r;

	hardware_reserve_descriptors(daemon->settings);
	r = reactor_new(&daemon->reactor);
	if (r < 0)
		return r;
	daemon->stats.started_us = daemon->parts.epoch_us = reactor_now(daemon->reactor);
	daemon->parts.reactor = daemon->reactor;
	future_init(&daemon->stop, daemon->reactor, NULL);
	r = add_signals(daemon);
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
	daemon->chips_fd = -1;
	daemon->parts.events = &daemon->events;
	daemon->parts.stats = &daemon->stats;
	daemon->events =
		(struct device_events){ on_reading, on_count, on_status, on_state, buses_note };
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
	return reactor_run(daemon->reactor, root);
}

struct daemon *daemon_free(struct daemon *daemon)
{
	int files, others;

	if (!daemon)
		return NULL;
	reload_stop(daemon);
	chips_stop(daemon);
	free_sensors_and_inputs(daemon);
	while (daemon->output_count > 0)
		output_free(daemon->outputs[--daemon->output_count]);
	mqtt_free(daemon->mqtt);
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
