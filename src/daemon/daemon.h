/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's own state, shared by the files of this folder. */

#include "hardware.h"
#include "iotd/daemon.h"
#include "iotd/device.h"
#include "iotd/mqtt.h"
#include "iotd/service.h"
#include "iotd/spool.h"

#define LINK_TEXT_SIZE 192

struct daemon {
	struct settings *settings;
	struct reactor *reactor;
	struct workers *workers;
	struct hardware *hardware;
	struct notify *notify;
	struct spool *spool;
	struct mqtt *mqtt;
	struct stats stats;

	/* joints */
	struct device_parts parts;
	struct device_events events;
	struct output_rules rules;
	struct mqtt_events mqtt_events;
	struct spool_events spool_events;
	struct control control;

	struct sensor **sensors;
	struct input **inputs;
	struct output **outputs;
	size_t sensor_count, input_count, output_count;

	struct reactor_signal terminate, interrupt, hangup, statistics;
	struct future stop;    /* resolved when the daemon shall end */
	struct future *told;   /* systemd knows that we are stopping */
	struct future **exits; /* of outputs, while stopping */
	size_t exits_awaited;
	bool spool_fails;
	int64_t spool_failed_us;
	int64_t stop_deadline_us;

	struct reactor_timer ready_timer; /* set until READY=1, at the latest then */

	char broker[LINK_TEXT_SIZE], link_fault[LINK_TEXT_SIZE];
	char status_text[2 * LINK_TEXT_SIZE + 160]; /* as systemd has it */
	int64_t status_us;
	struct reactor_timer status_timer, stats_timer;
};

/** control_execute() - carry out a command: daemon->control */
void control_execute(struct control *control, struct command *command);

/** spooling_new() - daemon->spool, and its joint. Return: 0; -ENOMEM */
int spooling_new(struct daemon *daemon);

/** spooling_log_end() - "stopped", and what becomes of the readings that are left; @is_stored: in the file */
void spooling_log_end(const struct daemon *daemon, bool is_stored);

/** status_start() - begin with T/stats. Return: 0; -ENOMEM */
int status_start(struct daemon *daemon);

/** status_stop() - no more timers */
void status_stop(struct daemon *daemon);

/** status_changed() - something that STATUS= tells has changed; told once a second at most */
void status_changed(struct daemon *daemon);

/** status_stats() - the counters as of now */
const struct stats *status_stats(struct daemon *daemon);

/** status_log() - the counters to the log (SIGUSR1) */
void status_log(struct daemon *daemon);
