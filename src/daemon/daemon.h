/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's own state, shared by the files of this folder. */

#include <sys/queue.h>

#include "hardware.h"

#include "iotd/config.h"
#include "iotd/daemon.h"
#include "iotd/device.h"
#include "iotd/mqtt.h"
#include "iotd/service.h"
#include "iotd/spool.h"
#include "lines.h"

#define LINK_TEXT_SIZE	 192
#define RELOAD_TEXT_SIZE 384
#define RELOAD_ASKED_MAX 64

/** struct reload_asked - the commands that wait for a reload */
struct reload_asked {
	struct command *commands[RELOAD_ASKED_MAX];
	size_t count;
};

/** struct reload - the task that takes up a changed configuration (reload.c) */
struct reload {
	struct task *task;
	struct future wanted;
	bool is_wanted;
	bool is_ended;	   /* the daemon stops */
	bool is_switching; /* from one MQTT connection to another: states are told to the new one */
	bool has_log_level; /* from the command line, so the file's does not count */
	struct reload_asked asked, served;
	char fault[RELOAD_TEXT_SIZE]; /* why the last one was refused; "": it was not */
	struct settings *old;	      /* while the connection that goes by it is stopped */

	bool is_left; /* nobody waits for the job any more, which hangs */

	/* with the worker while the job is out */
	struct worker_key *key;
	struct worker_job job;
	const char *file;
	struct settings *loaded;
	struct config_faults faults;
};

/** struct device_changes - what became of devices */
struct device_changes {
	size_t kept, stopped, started;
};

struct daemon {
	struct settings *settings;
	struct reactor *reactor;
	struct workers *workers, *file_workers;
	struct hardware *hardware;
	struct notify *notify;
	struct lines *lines;
	struct pressure *pressure;
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
	struct reactor_io chips; /* GPIO chips that come and go */
	int chips_fd;		 /* -1: not watched */
	struct future stop;	 /* resolved when the daemon shall end */
	struct future *told;	 /* systemd knows that we are stopping */
	struct future **exits;	 /* of outputs, while stopping */
	size_t exits_awaited;
	SLIST_HEAD(, bus_trouble) bus_troubles;
	uint64_t lost; /* readings, for want of memory, since that began */
	int64_t lost_us;
	bool spool_fails;
	int64_t spool_failed_us;
	int64_t stop_deadline_us;

	struct reactor_timer ready_timer; /* set until READY=1, at the latest then */

	struct reload reload;

	char broker[LINK_TEXT_SIZE], link_fault[LINK_TEXT_SIZE];
	char status_text[2 * LINK_TEXT_SIZE + RELOAD_TEXT_SIZE + 240]; /* as systemd has it */
	int64_t status_us, logged_us;
	struct reactor_timer status_timer, stats_timer, log_timer;
};

/** control_execute() - carry out a command: daemon->control */
void control_execute(struct control *control, struct command *command);

/** buses_note() - a bus hangs, or answers: daemon->events.bus */
void buses_note(struct device_events *events, const struct sensor_settings *settings, bool hangs);

/** buses_done() - forget all that hang */
void buses_done(struct daemon *daemon);

/** spooling_new() - daemon->spool, and its joint. Return: 0; -ENOMEM */
int spooling_new(struct daemon *daemon);

/** spooling_log_end() - "stopped", and what becomes of the readings that are left; @is_stored: in the file */
void spooling_log_end(const struct daemon *daemon, bool is_stored);

/**
 * devices_change() - from the devices of @old to those of @settings, which are daemon->settings from then on
 *
 * @old must stay until it has returned, and is not used by devices later. Return: 0; a negative errno:
 * some could not be made (logged), or, if daemon->settings is not @settings, nothing was done.
 */
int devices_change(struct daemon *daemon, const struct settings *old, struct settings *settings,
		   struct device_changes *ret);

/** devices_forget() - clear the retained topics of all devices in @old */
void devices_forget(struct daemon *daemon, const struct settings *old);

/** devices_tell() - status and state of all devices once more: the connection is another one */
void devices_tell(struct daemon *daemon);

/** chips_start() - tell inputs and outputs of GPIO chips that come and go; where that cannot be, it is logged */
void chips_start(struct daemon *daemon);

/** chips_stop() - no more of it */
void chips_stop(struct daemon *daemon);

/** link_start() - a connection by daemon->settings. Return: 0; -ENOMEM */
int link_start(struct daemon *daemon, struct mqtt **ret);

/** reload_start() - ready to be asked. Return: 0; -ENOMEM */
int reload_start(struct daemon *daemon);

/** reload_ask() - load the file anew, once for all that ask until it begins; @command: to be answered, or NULL */
void reload_ask(struct daemon *daemon, struct command *command);

/** reload_end() - change nothing any more */
void reload_end(struct daemon *daemon);

/** reload_stop() - end the task; before the rest is taken down */
void reload_stop(struct daemon *daemon);

/** reload_done() - free what is left; after the workers have ended */
void reload_done(struct daemon *daemon);

/** status_start() - begin with T/stats. Return: 0; -ENOMEM */
int status_start(struct daemon *daemon);

/** status_stop() - no more timers */
void status_stop(struct daemon *daemon);

/** status_restart() - publish T/stats now, then by daemon->settings */
void status_restart(struct daemon *daemon);

/** status_changed() - something that STATUS= tells has changed; told once a second at most */
void status_changed(struct daemon *daemon);

/** status_stats() - the counters as of now */
const struct stats *status_stats(struct daemon *daemon);

/** status_log() - the counters to the log, once a second at most (SIGUSR1) */
void status_log(struct daemon *daemon);
