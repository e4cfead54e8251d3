/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reload: a task that waits until it is asked, has a worker read the file, and takes it up.
 *
 *	wait → load → (refused) → wait
 *	            → take up → (MQTT changed: stop the old connection → the new one) → wait
 *
 * The file is read and checked whole on a worker, so nothing waits for it. What asks before that begins is
 * served by it; what asks later is served by one more, so a storm ends in the last one. All that
 * can refuse comes before the first change. A file that hangs is refused after a while, and left to
 * the worker until it comes back.
 *
 * Devices and the connection hold pointers into the settings. Taking up gives each of them the new ones,
 * so the old ones can go at once, or when the old connection has said goodbye.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "iotd/clock.h"
#include "iotd/log.h"

/* the old connection: for what is in flight, and `offline` */
#define SWITCH_US (500 * USEC_PER_MSEC)
#define RETRY_US  (1 * USEC_PER_SEC)
/* for the file; if it takes longer its file system hangs, and whoever asked is told */
#define LOAD_US	  (10 * USEC_PER_SEC)

/* of a refused file; the log takes 256 lines at one go */
#define FAULTS_LOGGED 100

static int reload_begin(struct task *task, int result);
static int reload_connect(struct task *task, int result);

/* --- on the worker -------------------------------------------------------------------------- */

static int reload_job(struct worker_job *job)
{
	struct reload *reload = container_of(job, struct reload, job);
	int r = config_load(&reload->loaded, reload->file, &reload->faults);

	if (r < 0 || !reload->loaded)
		return r;
	hardware_reserve_descriptors(reload->loaded);
	/* a certificate without its key, half renewed, must not cost the connection that works */
	return mqtt_check_files(&reload->loaded->mqtt, reload->files, sizeof(reload->files));
}

/* what was left behind is of no use any more */
static void load_back(struct worker_job *job)
{
	struct reload *reload = container_of(job, struct reload, job);

	if (!reload->is_left)
		return;
	reload->is_left = false;
	reload->loaded = settings_free(reload->loaded);
	config_faults_free(&reload->faults);
}

/* --- the answer ----------------------------------------------------------------------------- */

static void answer(struct reload_asked *asked, int error, const char *text)
{
	struct command_result result = { .error = error, .text = text };

	while (asked->count > 0) {
		struct command *command = asked->commands[--asked->count];

		command->done(command, &result);
	}
}

static int reload_wait(struct task *task)
{
	struct daemon *daemon = task_data(task);
	struct reload *reload = &daemon->reload;

	future_init(&reload->wanted, daemon->reactor, NULL);
	if (reload->is_wanted)
		future_resolve(&reload->wanted, 0);
	return task_await(task, &reload->wanted, reload_begin);
}

static int reload_finish(struct task *task)
{
	struct daemon *daemon = task_data(task);

	status_changed(daemon);
	notify_reloaded(daemon->notify);
	return reload_wait(task);
}

static int reload_refuse(struct task *task, int error)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_CONFIG_REFUSED };
	struct daemon *daemon = task_data(task);
	struct reload *reload = &daemon->reload;

	if (!reload->is_left) {
		reload->loaded = settings_free(reload->loaded);
		config_faults_free(&reload->faults);
	}
	daemon->stats.reloads_refused++;
	log_event(LOG_ERR, &fields, "reload refused, the configuration stays as it was: %s",
		  reload->fault);
	answer(&reload->served, error, reload->fault);
	return reload_finish(task);
}

static int refuse_faults(struct task *task)
{
	struct daemon *daemon = task_data(task);
	struct reload *reload = &daemon->reload;
	const struct config_faults *faults = &reload->faults;

	for (size_t i = 0; i < faults->count && i < FAULTS_LOGGED; i++)
		log_error("%s", faults->lines[i]);
	if (faults->count > FAULTS_LOGGED)
		log_error("%zu more faults; iotd --check shows all of them",
			  faults->count - FAULTS_LOGGED);
	if (faults->count > 1)
		(void)snprintf(reload->fault, sizeof(reload->fault), "%.*s (and %zu more)",
			       RELOAD_TEXT_SIZE - 40, faults->lines[0], faults->count - 1);
	else
		(void)snprintf(reload->fault, sizeof(reload->fault), "%s",
			       faults->count > 0 ? faults->lines[0] : "");
	return reload_refuse(task, -EBADMSG);
}

static int refuse_error(struct task *task, int error)
{
	struct daemon *daemon = task_data(task);

	(void)snprintf(daemon->reload.fault, sizeof(daemon->reload.fault),
		       "%s: cannot be loaded: %s", daemon->settings->file, strerror(-error));
	return reload_refuse(task, error);
}

static int refuse_files(struct task *task)
{
	struct daemon *daemon = task_data(task);

	(void)snprintf(daemon->reload.fault, sizeof(daemon->reload.fault), "%.100s: mqtt.tls: %s",
		       daemon->settings->file, daemon->reload.files);
	return reload_refuse(task, -EKEYREJECTED);
}

static int refuse_hang(struct task *task)
{
	struct daemon *daemon = task_data(task);

	daemon->reload.is_left = true;
	(void)snprintf(daemon->reload.fault, sizeof(daemon->reload.fault),
		       "%s: cannot be read: no answer within %lld s, its file system hangs",
		       daemon->settings->file, LOAD_US / USEC_PER_SEC);
	return reload_refuse(task, -ETIMEDOUT);
}

/* --- the connection ------------------------------------------------------------------------- */

static int reload_switched(struct task *task)
{
	struct daemon *daemon = task_data(task);

	daemon->reload.is_switching = false;
	daemon->reload.old = settings_free(daemon->reload.old);
	(void)snprintf(daemon->broker, sizeof(daemon->broker), "%s",
		       daemon->settings->mqtt.brokers[0].url);
	daemon->link_fault[0] = '\0';
	for (size_t i = 0; i < daemon->output_count; i++)
		output_link_changed(daemon->outputs[i], false);
	daemon->reload.is_retelling = true;
	devices_tell(daemon);
	daemon->reload.is_retelling = false;
	dbus_note_facts(daemon->dbus);
	status_restart(daemon);
	return reload_finish(task);
}

/* the old connection is at its end; the new one is made before that is freed, so there always is one */
static int reload_connect(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	struct mqtt *fresh;

	(void)result; /* what was not acknowledged stays in the spool */
	if (daemon->reload.is_ended)
		return 0;
	if (link_start(daemon, &fresh) < 0) {
		log_error("reload: out of memory; the new connection is tried again");
		return task_sleep(task, RETRY_US, reload_connect);
	}
	mqtt_free(daemon->mqtt);
	daemon->mqtt = fresh;
	return reload_switched(task);
}

/* what the broker retains of @old would never be told anew */
static bool leaves_topics(const struct settings *old, const struct settings *settings)
{
	return strcmp(old->mqtt.topic, settings->mqtt.topic) != 0 ||
	       (old->mqtt.format != FORMAT_SPARKPLUG && settings->mqtt.format == FORMAT_SPARKPLUG);
}

static int reload_link(struct task *task, struct settings *old)
{
	struct daemon *daemon = task_data(task);
	cleanup(freep) char *stats_topic = NULL;

	if (!daemon->reload.is_switching) {
		mqtt_update(daemon->mqtt, daemon->settings);
		settings_free(old);
		return reload_finish(task);
	}
	if (leaves_topics(old, daemon->settings)) {
		devices_forget(daemon, old);
		stats_topic = topic_new(old->mqtt.topic, "stats", NULL, NULL);
		if (stats_topic)
			mqtt_forget_state(daemon->mqtt, stats_topic, true);
	}
	mqtt_retire(daemon->mqtt, daemon->settings);
	if (old->mqtt.format != daemon->settings->mqtt.format)
		mqtt_hold_readings(daemon->mqtt); /* from now on they are for the new one */
	daemon->reload.old = old;
	return task_await(task, mqtt_stop(daemon->mqtt, reactor_now(daemon->reactor) + SWITCH_US),
			  reload_connect);
}

/* --- taking up ------------------------------------------------------------------------------ */

static void take_up_rest(struct daemon *daemon, struct settings *old)
{
	struct settings *settings = daemon->settings;

	if (!daemon->reload.has_log_level)
		log_set_level(settings->log_level);
	if (!config_spool_equal(&old->spool, &settings->spool)) {
		const struct spool_settings unused = settings->spool;

		log_warning("reload: a change of spool needs a restart of iotd");
		settings->spool = old->spool; /* what is still used, and what the log names */
		old->spool = unused;
	}
	if (strcmp(old->driver_dir, settings->driver_dir) != 0) {
		char *unused = settings->driver_dir;

		log_warning("reload: a change of driver_dir needs a restart of iotd");
		settings->driver_dir = old->driver_dir;
		old->driver_dir = unused;
	}
	if (old->stats.interval_us != settings->stats.interval_us ||
	    strcmp(old->stats.textfile, settings->stats.textfile) != 0)
		status_restart(daemon);
}

static int reload_take_up(struct task *task)
{
	struct daemon *daemon = task_data(task);
	struct reload *reload = &daemon->reload;
	struct settings *loaded = take_ptr(reload->loaded), *old = daemon->settings;
	struct device_changes changes = { 0 };
	int r;

	reload->is_switching =
		!config_mqtt_equal(&old->mqtt, &loaded->mqtt) ||
		strcmp(old->device, loaded->device) != 0; /* it is in messages and ids */
	r = devices_change(daemon, old, loaded, &changes);
	if (daemon->settings != loaded) {
		reload->is_switching = false;
		reload->loaded = loaded;
		return refuse_error(task, r);
	}
	reload->fault[0] = '\0';
	dbus_note_devices(daemon->dbus);
	daemon->stats.reloads++;
	take_up_rest(daemon, old);
	log_notice("reloaded %s: %zu devices kept, %zu stopped, %zu started%s", loaded->file,
		   changes.kept, changes.stopped, changes.started,
		   reload->is_switching ? "; connecting anew" : "");
	answer(&reload->served, r, r < 0 ? "some devices cannot be started, see the log" : NULL);
	return reload_link(task, old);
}

static int reload_loaded(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	struct reload *reload = &daemon->reload;
	char fault[256];

	if (reload->is_ended)
		return 0;
	if (!worker_job_is_idle(&reload->job))
		return refuse_hang(task);
	if (result == -EBADMSG)
		return refuse_faults(task);
	if (result == -EKEYREJECTED)
		return refuse_files(task);
	if (result < 0)
		return refuse_error(task, result);
	result = hardware_check(daemon->hardware, reload->loaded, fault);
	if (result < 0) {
		(void)snprintf(reload->fault, sizeof(reload->fault), "%s", fault);
		return reload_refuse(task, result);
	}
	return reload_take_up(task);
}

static int reload_begin(struct task *task, int result)
{
	struct daemon *daemon = task_data(task);
	struct reload *reload = &daemon->reload;

	if (reload->is_ended)
		return 0;
	reload->is_wanted = false;
	reload->served = reload->asked;
	reload->asked.count = 0;
	notify_reloading(daemon->notify);
	if (reload->is_left)
		return refuse_hang(task);
	reload->file = daemon->settings->file;
	result = worker_run(reload->key, &reload->job);
	return result < 0 ? refuse_error(task, result)
			  : task_await_for(task, &reload->job.future, LOAD_US, reload_loaded);
}

static int reload_first(struct task *task, int result)
{
	(void)result;
	return reload_wait(task);
}

/* --- life ----------------------------------------------------------------------------------- */

void reload_ask(struct daemon *daemon, struct command *command)
{
	const struct command_result full = { .error = -EBUSY,
					     .text = "too many wait for a reload already" };
	struct reload *reload = &daemon->reload;

	if (command && reload->asked.count == RELOAD_ASKED_MAX) {
		command->done(command, &full);
		return;
	}
	if (command)
		reload->asked.commands[reload->asked.count++] = command;
	reload->is_wanted = true;
	future_resolve(&reload->wanted, 0);
}

int reload_start(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	int r;

	reload->job.run = reload_job;
	reload->job.idle = load_back;
	future_init(&reload->wanted, daemon->reactor, NULL);
	r = worker_key_new(&reload->key, daemon->workers, 0);
	return r < 0 ? r : task_spawn(&reload->task, daemon->reactor, reload_first, daemon, NULL);
}

void reload_end(struct daemon *daemon)
{
	daemon->reload.is_ended = true;
}

void reload_stop(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;

	if (reload->task) {
		task_cancel(reload->task);
		(void)task_result(reload->task);
		reload->task = task_release(reload->task);
	}
	answer(&reload->served, -ECANCELED, "iotd is being stopped");
	answer(&reload->asked, -ECANCELED, "iotd is being stopped");
}

void reload_done(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;

	worker_key_free(reload->key);
	config_faults_free(&reload->faults);
	settings_free(reload->loaded);
	settings_free(reload->old);
}
