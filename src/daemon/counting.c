/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What inputs count outlives the daemon: between the inputs, which count, and the counts, which are kept. What goes
 * wrong with their file is logged when it begins and when it ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"

#include "iotd/clock.h"
#include "iotd/log.h"

/* the journal's catalog explains these (iotd.catalog) */
#define MESSAGE_ID_COUNTS_FAULT "442a5a7e519941a6982dee495ad37832"
#define MESSAGE_ID_COUNTS_WORKS "aa0f9a1281be4fc8a79c5d3dce97bea3"
#define MESSAGE_ID_COUNTS_ASIDE "9ac3ae9b23774a1a93eff106c5c14228"

static void on_fault(struct counts_events *events, int error, const char *why)
{
	struct daemon *daemon = container_of(events, struct daemon, counts_events);
	struct log_fields fields = { .message_id = MESSAGE_ID_COUNTS_FAULT, .error = error };
	int64_t now_us = reactor_now(daemon->reactor);

	if (error < 0) {
		daemon->counts_failed_us = now_us;
		log_event(LOG_ERR, &fields, "counts: %s cannot be %s: %s; counters go on, %s",
			  daemon->counts_path, counts_is_known(daemon->counts) ? "written" : "read",
			  why,
			  counts_is_known(daemon->counts)
				  ? "but what they count is lost if iotd ends before it can"
				  : "but their totals are not known until it can");
		return;
	}
	fields.message_id = MESSAGE_ID_COUNTS_WORKS;
	log_event(LOG_NOTICE, &fields, "counts: %s works again after %lld s", daemon->counts_path,
		  (long long)((now_us - daemon->counts_failed_us) / USEC_PER_SEC));
}

static void on_aside(struct counts_events *events, const char *path)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_COUNTS_ASIDE };

	(void)events;
	log_event(
		LOG_ERR, &fields,
		"counts: damaged file put aside as %s; a new one is made, and totals that are not "
		"known begin at 0",
		path);
}

static void on_known(struct counts_events *events)
{
	struct daemon *daemon = container_of(events, struct daemon, counts_events);

	for (size_t i = 0; i < daemon->input_count; i++)
		(void)counting_restore(daemon, daemon->inputs[i]);
}

static void on_collect(struct counts_events *events)
{
	struct daemon *daemon = container_of(events, struct daemon, counts_events);

	for (size_t i = 0; i < daemon->input_count; i++)
		counting_keep(daemon, daemon->inputs[i]);
}

void counting_keep(struct daemon *daemon, struct input *input)
{
	struct count count;
	bool is_whole;

	if (input_count(input, &count, &is_whole) == 0)
		counts_put(daemon->counts, input_settings(input)->name, &count, is_whole);
}

int counting_restore(struct daemon *daemon, struct input *input)
{
	const struct input_settings *settings = input_settings(input);
	enum count_kind kind = settings->count ? COUNT_EDGES : COUNT_ON_TIME;
	struct count count;
	int r;

	if (!settings->count && !settings->on_time)
		return 0;
	r = counts_get(daemon->counts, settings->name, kind, &count);
	if (r < 0 && r != -EAGAIN)
		return r;
	input_restore(input, &count, r == 0);
	return 0;
}

void counting_changed(struct device_events *events)
{
	counts_changed(container_of(events, struct daemon, events)->counts, false);
}

void counting_set(struct daemon *daemon, struct input *input)
{
	counting_keep(daemon, input);
	counts_changed(daemon->counts, true);
}

/* an emulated meter's edges are none of the real one's */
int counting_new(struct daemon *daemon, bool simulate)
{
	const struct counts_parts parts = {
		.reactor = daemon->reactor,
		.workers = daemon->workers,
		.path = daemon->counts_path,
		.events = &daemon->counts_events,
	};

	daemon->counts_events = (struct counts_events){ on_fault, on_aside, on_known, on_collect };
	(void)snprintf(daemon->counts_path, sizeof(daemon->counts_path), "%s/%s",
		       daemon->settings->state_directory,
		       simulate ? "counts-simulated.db" : "counts.db");
	return counts_new(&daemon->counts, &parts);
}
