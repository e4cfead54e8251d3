/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection, with the bus's own matches for what the daemon says. The name's owner tells whether the
 * daemon runs. When the connection breaks, its end comes as a message of sd-bus's; it is freed on the loop's next
 * turn, for no callback may free its own connection, and tried again once a second.
 */
#include "feed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"

#include "iotd/clock.h"

#define RETRY_US  USEC_PER_SEC
#define RULE_SIZE 512

struct feed {
	struct ctl *ctl;
	struct feed_user *user;
	char **names;
	size_t name_count;
	sd_event *event;	/* NULL: not running yet */
	sd_event_source *retry; /* while the bus is away */
	const char *why;	/* it is gone; NULL: it is here */
};

static const char no_daemon[] = "iotd is not running", no_bus[] = "the system bus is not running";

/* --- What comes --------------------------------------------------------------------------------- */

static void tell_gone(struct feed *feed, const char *why)
{
	if (feed->why == why)
		return;
	feed->why = why;
	if (feed->event && feed->user->gone)
		feed->user->gone(feed->user, why);
}

static void tell_here(struct feed *feed)
{
	feed->why = NULL;
	if (feed->event && feed->user->here)
		feed->user->here(feed->user);
}

static int take_owner(sd_bus_message *message, void *data, sd_bus_error *error)
{
	const char *name, *before, *after;
	struct feed *feed = data;

	(void)error;
	if (sd_bus_message_read(message, "sss", &name, &before, &after) < 0)
		return 0;
	if (after[0] == '\0')
		tell_gone(feed, no_daemon);
	else /* also where one took over from another */
		tell_here(feed);
	return 0;
}

static int take_reading(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct feed *feed = data;
	const char *name;

	(void)error;
	if (feed->event && sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &name) > 0)
		feed->user->reading(feed->user, name, message);
	return 0;
}

/* Is one of them more than a reading? Those come as the signal Reading */
static bool changes_device(sd_bus_message *message)
{
	static const char *const keys[] = { "Status", "Fault", "Interval", "Channels" };
	const char *key;

	if (sd_bus_message_skip(message, "s") < 0 ||
	    sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sv}") < 0)
		return false;
	while (sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv") > 0) {
		if (sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &key) < 0)
			return false;
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (strcmp(key, keys[i]) == 0)
				return true;
		if (sd_bus_message_skip(message, "v") < 0 ||
		    sd_bus_message_exit_container(message) < 0)
			return false;
	}
	return false;
}

static int take_properties(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct feed *feed = data;

	(void)error;
	if (feed->event && changes_device(message))
		feed->user->changed(feed->user);
	return 0;
}

static int take_objects(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct feed *feed = data;

	(void)message;
	(void)error;
	if (feed->event)
		feed->user->changed(feed->user);
	return 0;
}

/* --- The connection ----------------------------------------------------------------------------- */

static int reopen(sd_event_source *source, uint64_t now_us, void *data);

static void retry_in(struct feed *feed, uint64_t lapse_us)
{
	if (feed->retry) {
		(void)sd_event_source_set_time_relative(feed->retry, lapse_us);
		(void)sd_event_source_set_enabled(feed->retry, SD_EVENT_ONESHOT);
	} else {
		(void)sd_event_add_time_relative(feed->event, &feed->retry, CLOCK_MONOTONIC,
						 lapse_us, 0, reopen, feed);
	}
}

static int take_end(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct feed *feed = data;

	(void)message;
	(void)error;
	tell_gone(feed, no_bus);
	if (feed->event)
		retry_in(feed, 0);
	return 0;
}

static int match(struct feed *feed, const char *rule, sd_bus_message_handler_t take)
{
	return sd_bus_add_match_async(feed->ctl->bus, NULL, rule, take, NULL, feed);
}

static int match_readings(struct feed *feed)
{
	char rule[RULE_SIZE];
	int r = 0;

	for (size_t i = 0; r >= 0 && (i == 0 || i < feed->name_count); i++) {
		bool named = feed->name_count > 0 && feed->name_count <= FEED_NAMES_MAX;

		(void)snprintf(rule, sizeof(rule),
			       "type='signal',sender='%s',path='" BUS_PATH
			       "',interface='" BUS_INTERFACE "',member='Reading'%s%s%s",
			       feed->ctl->service, named ? ",arg0='" : "",
			       named ? feed->names[i] : "", named ? "'" : "");
		r = match(feed, rule, take_reading);
		if (!named)
			break;
	}
	return r;
}

static int match_changes(struct feed *feed)
{
	static const char *const members[] = { "InterfacesAdded", "InterfacesRemoved" };
	char rule[RULE_SIZE];
	int r;

	(void)snprintf(rule, sizeof(rule),
		       "type='signal',sender='%s',path_namespace='" BUS_PATH
		       "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
		       feed->ctl->service);
	r = match(feed, rule, take_properties);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(members); i++) {
		(void)snprintf(rule, sizeof(rule),
			       "type='signal',sender='%s',path='" BUS_PATH
			       "',interface='org.freedesktop.DBus.ObjectManager',member='%s'",
			       feed->ctl->service, members[i]);
		r = match(feed, rule, take_objects);
	}
	return r;
}

static int subscribe(struct feed *feed)
{
	char rule[RULE_SIZE];
	int r;

	r = match(feed,
		  "type='signal',sender='org.freedesktop.DBus.Local',"
		  "path='/org/freedesktop/DBus/Local',"
		  "interface='org.freedesktop.DBus.Local',member='Disconnected'",
		  take_end);
	if (r < 0)
		return r;
	(void)snprintf(
		rule, sizeof(rule),
		"type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
		"member='NameOwnerChanged',arg0='%s'",
		feed->ctl->service);
	r = match(feed, rule, take_owner);
	if (r >= 0 && feed->user->reading)
		r = match_readings(feed);
	if (r >= 0 && feed->user->changed)
		r = match_changes(feed);
	return r;
}

/* who owns the name when the bus has come back */
static int take_first_owner(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct feed *feed = data;

	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL))
		tell_gone(feed, no_daemon);
	else if (feed->why) /* it may have come in between, and have been told */
		tell_here(feed);
	return 0;
}

static int ask_owner(struct feed *feed)
{
	return sd_bus_call_method_async(feed->ctl->bus, NULL, "org.freedesktop.DBus",
					"/org/freedesktop/DBus", "org.freedesktop.DBus",
					"GetNameOwner", take_first_owner, feed, "s",
					feed->ctl->service);
}

static void close_bus(struct feed *feed)
{
	if (feed->ctl->bus)
		(void)sd_bus_detach_event(feed->ctl->bus);
	feed->ctl->bus = sd_bus_close_unref(feed->ctl->bus);
}

static int reopen(sd_event_source *source, uint64_t now_us, void *data)
{
	struct feed *feed = data;
	int r;

	(void)source;
	(void)now_us;
	close_bus(feed);
	r = sd_bus_open_system(&feed->ctl->bus);
	if (r >= 0)
		r = subscribe(feed);
	if (r >= 0)
		r = ask_owner(feed);
	if (r >= 0)
		r = sd_bus_attach_event(feed->ctl->bus, feed->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		return 0;
	close_bus(feed);
	retry_in(feed, RETRY_US);
	return 0;
}

/* --- Life --------------------------------------------------------------------------------------- */

int feed_new(struct feed **ret, struct ctl *ctl, struct feed_user *user, char **names, size_t count)
{
	cleanup(feed_freep) struct feed *feed = calloc(1, sizeof(*feed));
	int r;

	if (!feed)
		return ctl_no_memory(ctl);
	feed->ctl = ctl;
	feed->user = user;
	feed->names = names;
	feed->name_count = count;
	r = bus_open(ctl);
	if (r != EX_OK)
		return r;
	r = subscribe(feed);
	if (r < 0)
		return bus_lost(ctl, r);
	*ret = take_ptr(feed);
	return EX_OK;
}

int feed_run(struct feed *feed, sd_event *event)
{
	feed->event = sd_event_ref(event);
	return sd_bus_attach_event(feed->ctl->bus, event, SD_EVENT_PRIORITY_NORMAL);
}

struct feed *feed_free(struct feed *feed)
{
	if (!feed)
		return NULL;
	close_bus(feed); /* its matches have our address */
	sd_event_source_disable_unref(feed->retry);
	sd_event_unref(feed->event);
	free(feed);
	return NULL;
}

bool feed_is_here(const struct feed *feed)
{
	return !feed->why;
}

int feed_ask(struct feed *feed, const char *interface, const char *method, const char *argument,
	     sd_bus_message_handler_t answered, void *data)
{
	struct ctl *ctl = feed->ctl;
	sd_bus_message *message = NULL;
	int r;

	if (!ctl->bus)
		return -ENOTCONN;
	r = sd_bus_message_new_method_call(ctl->bus, &message, ctl->service, BUS_PATH,
					   interface ? interface : BUS_INTERFACE, method);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(message, false);
	if (r >= 0 && argument)
		r = sd_bus_message_append_basic(message, SD_BUS_TYPE_STRING, argument);
	if (r >= 0)
		r = sd_bus_call_async(ctl->bus, NULL, message, answered, data, BUS_QUICK_US);
	sd_bus_message_unref(message);
	return r < 0 ? r : 0;
}
