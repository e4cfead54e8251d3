/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spool's joint: what goes wrong with its file is logged when it begins and when it ends. */
#include <stdio.h>
#include <string.h>

#include "daemon.h"

#include "iotd/clock.h"
#include "iotd/log.h"

/* the journal's catalog explains these (iotd.catalog) */
#define MESSAGE_ID_SPOOL_FAULT "b3faf9cfe194475388cfa647b8c1c269"
#define MESSAGE_ID_SPOOL_WORKS "6857d9121d994afaa3a279b231a47c0c"
#define MESSAGE_ID_SPOOL_ASIDE "b6f4c9355b3d4eb690f304dde476b516"

static void on_fault(struct spool_events *events, int error, const char *why)
{
	struct daemon *daemon = container_of(events, struct daemon, spool_events);
	struct log_fields fields = { .message_id = MESSAGE_ID_SPOOL_FAULT, .error = error };
	const struct spool_settings *settings = &daemon->settings->spool;
	uint64_t memory =
		settings->max_size < SPOOL_MEMORY_MAX ? settings->max_size : SPOOL_MEMORY_MAX;
	int64_t now_us = reactor_now(daemon->reactor);

	daemon->spool_fails = error < 0;
	if (error < 0) {
		daemon->spool_failed_us = now_us;
		log_event(LOG_ERR, &fields,
			  "spool: %s cannot be used: %s; readings are kept in memory (up to %llu "
			  "KiB) "
			  "until it can",
			  settings->path, why, (unsigned long long)(memory >> 10));
		return;
	}
	fields.message_id = MESSAGE_ID_SPOOL_WORKS;
	log_event(LOG_NOTICE, &fields, "spool: %s works again after %lld s", settings->path,
		  (long long)((now_us - daemon->spool_failed_us) / USEC_PER_SEC));
}

static void on_aside(struct spool_events *events, const char *path)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_SPOOL_ASIDE };

	(void)events;
	log_event(LOG_ERR, &fields, "spool: damaged file put aside as %s; a new one is made", path);
}

int spooling_new(struct daemon *daemon)
{
	const struct spool_parts parts = {
		.reactor = daemon->reactor,
		.workers = daemon->workers,
		.settings = &daemon->settings->spool,
		.events = &daemon->spool_events,
		.stats = &daemon->stats,
	};

	daemon->spool_events = (struct spool_events){ on_fault, on_aside };
	return spool_new(&daemon->spool, &parts);
}

void spooling_log_end(const struct daemon *daemon, bool is_stored)
{
	unsigned long long queued = daemon->stats.queued;

	if (queued == 0)
		log_info("stopped");
	else if (is_stored && !daemon->spool_fails)
		log_info("stopped; %llu readings wait in %s", queued, daemon->settings->spool.path);
	else
		log_warning("stopped; %llu messages were not acknowledged in time", queued);
}
