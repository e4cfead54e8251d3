/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's own state, shared by the files of this folder. */

#include <sys/queue.h>

#include "hardware.h"

#include "iotd/config.h"
#include "iotd/counts.h"
#include "iotd/daemon.h"
#include "iotd/dbus.h"
#include "iotd/device.h"
#include "iotd/mqtt.h"
#include "iotd/service.h"
#include "iotd/spool.h"
#include "lines.h"
#include "scanning.h"
#include "statsfile.h"

#define LINK_TEXT_SIZE	 192
#define COUNTS_PATH_SIZE 448
#define RELOAD_TEXT_SIZE 384
#define RELOAD_ASKED_MAX 64
#define HOST_TEXT_SIZE	 128

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
	bool is_retelling; /* to the new connection, what everybody else knows */
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
	char files[RELOAD_TEXT_SIZE - 128]; /* what is wrong with those of mqtt.tls */
};

/** struct device_changes - what became of devices */
struct device_changes {
	size_t kept, stopped, started;
};

/** struct announcing - what Home Assistant is still to be told (announcing.c) */
struct announcing {
	struct reactor_timer timer; /* set while there is something */
	bool lines_are_news;
	char manufacturer[HOST_TEXT_SIZE], model[HOST_TEXT_SIZE];
	struct discovery_host host;
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
	struct counts *counts;
	struct mqtt *mqtt;
	struct statsfile *statsfile;
	struct reactor_call textfile_again;
	struct dbus *dbus;
	struct scanning *scanning;
	struct stats stats;

	/* joints */
	struct device_parts parts;
	struct device_events events;
	struct output_rules rules;
	struct mqtt_events mqtt_events;
	struct spool_events spool_events;
	struct counts_events counts_events;
	struct control control;
	struct dbus_joint dbus_joint;
	char *config_file; /* of settings->file, absolute */

	struct sensor **sensors;
	struct input **inputs;
	struct output **outputs;
	size_t sensor_count, input_count, output_count;

	struct reactor_signal terminate, interrupt, hangup, statistics;
	struct reactor_io chips; /* GPIO chips that come and go */
	int chips_fd;		 /* -1: not watched */
	struct future stop;	 /* resolved when the daemon shall end */
	struct future *told;	 /* systemd knows that we are stopping */
	struct future *counted;	 /* counts are written, while stopping */
	struct future *removed;	 /* so is the textfile */
	struct future **exits;	 /* of outputs, while stopping */
	size_t exits_awaited;
	SLIST_HEAD(, bus_trouble) bus_troubles;
	uint64_t lost; /* readings, for want of memory, since that began */
	int64_t lost_us;
	bool spool_fails;
	int64_t spool_failed_us;
	int64_t counts_failed_us;
	char counts_path[COUNTS_PATH_SIZE];
	int64_t stop_deadline_us;
	int statm_fd;	  /* /proc/self/statm; -1: it is not there */
	int64_t start_us; /* CLOCK_REALTIME when we were started, as far as that is known */

	struct reactor_timer ready_timer; /* set until READY=1, at the latest then */

	struct reload reload;
	struct announcing announcing;

	char broker[LINK_TEXT_SIZE], link_fault[LINK_TEXT_SIZE];
	char status_text[2 * LINK_TEXT_SIZE + RELOAD_TEXT_SIZE + 240]; /* as systemd has it */
	int64_t status_us, logged_us;
	struct reactor_timer status_timer, stats_timer, log_timer;
};

/** control_execute() - carry out a command: daemon->control */
void control_execute(struct control *control, struct command *command);

/** at_hand_new() - on D-Bus, as @instance (may be NULL); when the devices are there. Return: 0; -ENOMEM */
int at_hand_new(struct daemon *daemon, const char *instance);

/** at_hand_stop() - not any more; when devices and reload have answered their commands */
void at_hand_stop(struct daemon *daemon);

/** buses_note() - a bus hangs, or answers: daemon->events.bus */
void buses_note(struct device_events *events, const struct sensor_settings *settings, bool hangs);

/** buses_done() - forget all that hang */
void buses_done(struct daemon *daemon);

/** signals_start() - SIGTERM, SIGINT: stop; SIGHUP: reload; SIGUSR1: statistics; SIGPIPE is ignored. Return: 0; negative */
int signals_start(struct daemon *daemon);

/** spooling_new() - daemon->spool, and its joint. Return: 0; -ENOMEM */
int spooling_new(struct daemon *daemon);

/** spooling_log_end() - "stopped", and what becomes of the readings that are left; @is_stored: in the file */
void spooling_log_end(const struct daemon *daemon, bool is_stored);

/** counting_new() - daemon->counts, and its joint; @simulate: in a file of their own. Return: 0; -ENOMEM */
int counting_new(struct daemon *daemon, bool simulate);

/** counting_restore() - @input goes on from what is kept of it. Return: 0; -ENOMEM */
int counting_restore(struct daemon *daemon, struct input *input);

/** counting_keep() - what @input has counted up to now; before it is freed, too */
void counting_keep(struct daemon *daemon, struct input *input);

/** counting_set() - the total of @input was set: keep it now */
void counting_set(struct daemon *daemon, struct input *input);

/** counting_changed() - daemon->events.counted */
void counting_changed(struct device_events *events);

/** announcing_new() - find out about the host; before the connection */
void announcing_new(struct daemon *daemon);

/** announcing_look() - channels, intervals or lines may be others: tell Home Assistant, if discovery is on */
void announcing_look(struct daemon *daemon);

/** announcing_all() - tell it of all devices */
void announcing_all(struct daemon *daemon);

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

/** devices_stop_reading() - free all sensors and inputs */
void devices_stop_reading(struct daemon *daemon);

/** chips_start() - tell inputs and outputs of GPIO chips that come and go; where that cannot be, it is logged */
void chips_start(struct daemon *daemon);

/** chips_stop() - no more of it */
void chips_stop(struct daemon *daemon);

/** publishing_reading() - make messages of what devices tell: daemon->events */
void publishing_reading(struct device_events *events, const struct sensor_settings *sensor,
			const struct reading *reading);

/** publishing_count() - the same */
void publishing_count(struct device_events *events, const struct input_settings *input,
		      const struct reading *reading);

/** publishing_status() - the same */
void publishing_status(struct device_events *events, enum device_kind kind, const char *name,
		       enum device_status status);

/** publishing_state() - the same */
void publishing_state(struct device_events *events, const struct state *state);

/** publishing_channels() - nothing to publish, but others are told: daemon->events */
void publishing_channels(struct device_events *events, const char *name);

/** publishing_fault() - the same */
void publishing_fault(struct device_events *events, enum device_kind kind, const char *name);

/** daemon_look_ready() - READY=1 once all lines have been tried */
void daemon_look_ready(struct daemon *daemon);

/** stopping_begin() - the supervisor goes on here when the daemon shall end */
int stopping_begin(struct task *task, int result);

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

/** figures_start() - what the statistics need to be at hand */
void figures_start(struct daemon *daemon);

/** figures_stop() - no more of them */
void figures_stop(struct daemon *daemon);

/** figures_offline() - how many sensors are offline */
size_t figures_offline(const struct daemon *daemon);

/** figures_now() - the counters as of now; what takes longer is as of the last figures_all() */
const struct stats *figures_now(struct daemon *daemon);

/** figures_all() - all of the statistics as of now: a look at each sensor, and two system calls */
const struct stats *figures_all(struct daemon *daemon);

/** figures_new() - a copy of all, for metrics_write(). NULL: out of memory */
struct figures *figures_new(struct daemon *daemon);

/** status_start() - begin with T/stats and the textfile. Return: 0; -ENOMEM */
int status_start(struct daemon *daemon);

/** status_stop() - no more timers */
void status_stop(struct daemon *daemon);

/** status_restart() - publish T/stats and write the textfile now, then by daemon->settings */
void status_restart(struct daemon *daemon);

/** status_changed() - something that STATUS= tells has changed; told once a second at most */
void status_changed(struct daemon *daemon);

/** status_log() - the counters to the log, once a second at most (SIGUSR1) */
void status_log(struct daemon *daemon);
