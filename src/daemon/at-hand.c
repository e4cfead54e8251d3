/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon on D-Bus: what it is asked (struct dbus_joint), answered from what is there anyway. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"

static void facts(struct dbus_joint *joint, struct dbus_facts *ret)
{
	struct daemon *daemon = container_of(joint, struct daemon, dbus_joint);

	*ret = (struct dbus_facts){
		.version = IOTD_VERSION,
		.device = daemon->settings->device,
		.broker = daemon->broker,
		.broker_fault = mqtt_is_connected(daemon->mqtt) ? "" : daemon->link_fault,
		.config_file = daemon->config_file,
		.connected = mqtt_is_connected(daemon->mqtt),
		.spooled = daemon->stats.queued - daemon->stats.in_flight,
	};
}

static bool device_at(struct dbus_joint *joint, size_t index, struct device_info *ret)
{
	const struct daemon *daemon = container_of(joint, struct daemon, dbus_joint);

	if (index < daemon->sensor_count) {
		sensor_info(daemon->sensors[index], ret);
		return true;
	}
	index -= daemon->sensor_count;
	if (index < daemon->input_count) {
		input_info(daemon->inputs[index], ret);
		return true;
	}
	index -= daemon->input_count;
	if (index < daemon->output_count) {
		output_info(daemon->outputs[index], ret);
		return true;
	}
	return false;
}

/* --- Spool ---------------------------------------------------------------------------------- */

struct asked_page {
	struct spool_page page;
	struct dbus_spool_query *query;
	struct dbus_message messages[SPOOL_PAGE_MAX];
};

static void page_done(struct spool_page *page, const struct spool_paged *paged)
{
	struct asked_page *asked = container_of(page, struct asked_page, page);

	for (size_t i = 0; i < paged->count; i++) {
		const struct spool_entry *entry = &paged->entries[i];

		asked->messages[i] = (struct dbus_message){
			.id = entry->id,
			.time_us = entry->time_us,
			.topic = entry->message->topic,
			.payload = entry->message->payload,
			.length = entry->message->length,
		};
	}
	asked->query->done(asked->query, paged->error, paged->text, asked->messages, paged->count,
			   paged->next);
	free(asked);
}

static void ask_spool(struct dbus_joint *joint, struct dbus_spool_query *query)
{
	struct daemon *daemon = container_of(joint, struct daemon, dbus_joint);
	struct asked_page *asked = malloc(sizeof(*asked));

	if (!asked) {
		query->done(query, -ENOMEM, "out of memory", NULL, 0, 0);
		return;
	}
	asked->page = (struct spool_page){ .after = query->after,
					   .limit = query->limit,
					   .done = page_done };
	asked->query = query;
	spool_page(daemon->spool, &asked->page);
}

/* --- Scan ----------------------------------------------------------------------------------- */

struct asked_scan {
	struct scan_wish wish;
	struct dbus_scan_query *query;
};

static void scan_done(struct scan_wish *wish, int error, const char *text, const char *found)
{
	struct asked_scan *asked = container_of(wish, struct asked_scan, wish);

	asked->query->done(asked->query, error, text, found);
	free(asked);
}

static void ask_scan(struct dbus_joint *joint, struct dbus_scan_query *query)
{
	struct daemon *daemon = container_of(joint, struct daemon, dbus_joint);
	struct asked_scan *asked = malloc(sizeof(*asked));

	if (!asked) {
		query->done(query, -ENOMEM, "out of memory", NULL);
		return;
	}
	asked->wish = (struct scan_wish){ .bus = query->bus, .done = scan_done };
	asked->query = query;
	scanning_ask(daemon->scanning, &asked->wish);
}

/* --- life ----------------------------------------------------------------------------------- */

/* that of the working directory is of no use to who calls us. NULL: out of memory */
static char *path_new(const char *file)
{
	char *path = *file == '/' ? NULL : realpath(file, NULL);

	return path ? path : strdup(file);
}

int at_hand_new(struct daemon *daemon, const char *instance)
{
	const struct dbus_parts parts = {
		.reactor = daemon->reactor,
		.control = &daemon->control,
		.joint = &daemon->dbus_joint,
		.stats = &daemon->stats,
		.instance = instance,
	};

	daemon->config_file = path_new(daemon->settings->file);
	if (!daemon->config_file)
		return -ENOMEM;
	daemon->dbus_joint = (struct dbus_joint){
		.facts = facts, .device = device_at, .spool = ask_spool, .scan = ask_scan
	};
	return dbus_new(&daemon->dbus, &parts);
}

void at_hand_stop(struct daemon *daemon)
{
	daemon->dbus = dbus_free(daemon->dbus);
	free(daemon->config_file);
}
