/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buses that hang, in the log: once when it begins and once when it ends, beside what each sensor says
 * of itself.
 *
 * A read that times out may be the fault of one chip that holds the clock. It is the bus when two
 * sensors in a row have timed out, or the only one: then everything on it is offline, and what to
 * look at is the bus. A reading, or a chip that says no, shows that it moves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "iotd/clock.h"
#include "iotd/log.h"

/* the journal's catalog explains these (iotd.catalog) */
#define MESSAGE_ID_HANGS   "4a43628905cb4c5d9e2076af98c9a2e2"
#define MESSAGE_ID_ANSWERS "bfff489efd9b4f5ebfb667f53aecbfaa"

/* a bus of which the last that is known is a time-out */
struct bus_trouble {
	SLIST_ENTRY(bus_trouble) link;
	char *bus, *sensor; /* the first that timed out */
	int64_t since_us;
	bool is_told;
};

static struct bus_trouble *find_trouble(const struct daemon *daemon, const char *bus)
{
	struct bus_trouble *trouble;

	SLIST_FOREACH(trouble, &daemon->bus_troubles, link)
	if (strcmp(trouble->bus, bus) == 0)
		return trouble;
	return NULL;
}

static void end_trouble(struct daemon *daemon, struct bus_trouble *trouble)
{
	SLIST_REMOVE(&daemon->bus_troubles, trouble, bus_trouble, link);
	free(trouble->bus);
	free(trouble->sensor);
	free(trouble);
}

static struct bus_trouble *begin_trouble(struct daemon *daemon,
					 const struct sensor_settings *settings)
{
	struct bus_trouble *trouble = calloc(1, sizeof(*trouble));

	if (!trouble)
		return NULL;
	SLIST_INSERT_HEAD(&daemon->bus_troubles, trouble, link);
	trouble->bus = strdup(settings->bus);
	trouble->sensor = strdup(settings->name);
	trouble->since_us = reactor_now(daemon->reactor);
	if (trouble->bus && trouble->sensor)
		return trouble;
	end_trouble(daemon, trouble);
	return NULL;
}

static bool is_alone(const struct daemon *daemon, const struct sensor_settings *settings)
{
	for (size_t i = 0; i < daemon->sensor_count; i++) {
		const struct sensor_settings *other = sensor_settings(daemon->sensors[i]);

		if (other != settings && other->bus && strcmp(other->bus, settings->bus) == 0)
			return false;
	}
	return true;
}

static void note_hang(struct daemon *daemon, const struct sensor_settings *settings)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_HANGS,
					   .bus = settings->bus,
					   .error = ETIMEDOUT };
	struct bus_trouble *trouble = find_trouble(daemon, settings->bus);

	if (!trouble)
		trouble = begin_trouble(daemon, settings);
	if (!trouble || trouble->is_told ||
	    (strcmp(trouble->sensor, settings->name) == 0 && !is_alone(daemon, settings)))
		return;
	trouble->is_told = true;
	log_event(LOG_WARNING, &fields,
		  "bus %s hangs: its sensors are offline until it answers; trying again",
		  settings->bus);
}

static void note_answer(struct daemon *daemon, const char *bus)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_ANSWERS, .bus = bus };
	struct bus_trouble *trouble = find_trouble(daemon, bus);

	if (!trouble)
		return;
	if (trouble->is_told)
		log_event(LOG_NOTICE, &fields, "bus %s answers again after %lld s", bus,
			  (long long)((reactor_now(daemon->reactor) - trouble->since_us) /
				      USEC_PER_SEC));
	end_trouble(daemon, trouble);
}

void buses_note(struct device_events *events, const struct sensor_settings *settings, bool hangs)
{
	struct daemon *daemon = container_of(events, struct daemon, events);

	if (hangs)
		note_hang(daemon, settings);
	else
		note_answer(daemon, settings->bus);
}

void buses_done(struct daemon *daemon)
{
	while (!SLIST_EMPTY(&daemon->bus_troubles))
		end_trouble(daemon, SLIST_FIRST(&daemon->bus_troubles));
}
