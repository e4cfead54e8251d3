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
#define MESSAGE_ID_DISCARDING  "8c3edf9320214a47a13a2db8a2ab6d45"
#define MESSAGE_ID_DISCARDED   "5979bd00b8d5437a9e70ffd34bde68f5"
#define MESSAGE_ID_EXPIRING    "e491f27821424d9b9411af7c3a4ac25c"
#define MESSAGE_ID_EXPIRED     "3f356ce856494b279114b4ad7ad59cc1"

/* KiB that wait in memory while the file cannot be used */
static unsigned long long memory_kib(const struct daemon *daemon)
{
	uint64_t max_size = daemon->settings->spool.max_size;

	return (max_size < SPOOL_MEMORY_MAX ? max_size : SPOOL_MEMORY_MAX) >> 10;
}

static void on_fault(struct spool_events *events, int error, const char *why)
{
	struct daemon *daemon = container_of(events, struct daemon, spool_events);
	struct log_fields fields = { .message_id = MESSAGE_ID_SPOOL_FAULT, .error = error };
	const struct spool_settings *settings = &daemon->settings->spool;
	int64_t now_us = reactor_now(daemon->reactor);

	if (!daemon->spool_fails)
		daemon->spool_failed_us = now_us;
	daemon->spool_fails = error < 0;
	if (error < 0) {
		log_event(LOG_ERR, &fields,
			  "spool: %s cannot be used: %s; readings are kept in memory (up to %llu "
			  "KiB) until it can",
			  settings->path, why, memory_kib(daemon));
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

static void on_discarding(struct spool_events *events, enum spool_bound bound)
{
	const struct daemon *daemon = container_of(events, struct daemon, spool_events);
	const struct log_fields fields = { .message_id = MESSAGE_ID_DISCARDING };
	const struct spool_settings *settings = &daemon->settings->spool;

	if (bound == SPOOL_BOUND_SIZE)
		log_event(LOG_WARNING, &fields,
			  "spool: full: %llu KiB (spool.max_size) of readings wait for the broker; "
			  "the oldest are discarded",
			  (unsigned long long)(settings->max_size >> 10));
	else
		log_event(LOG_WARNING, &fields,
			  "spool: %llu KiB of memory are full and %s cannot be used; the oldest "
			  "readings are discarded",
			  memory_kib(daemon), settings->path);
}

static void on_discarded(struct spool_events *events, uint64_t count, int64_t duration_us)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_DISCARDED };

	(void)events;
	log_event(LOG_WARNING, &fields,
		  "spool: no more readings are discarded; %llu were within %lld s",
		  (unsigned long long)count,
		  (long long)((duration_us + USEC_PER_SEC - 1) / USEC_PER_SEC));
}

static void on_expiring(struct spool_events *events)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_EXPIRING };

	(void)events;
	log_event(LOG_NOTICE, &fields,
		  "spool: readings wait for longer than mqtt.expiry, and are dropped");
}

static void on_expired(struct spool_events *events, uint64_t count, int64_t duration_us)
{
	const struct log_fields fields = { .message_id = MESSAGE_ID_EXPIRED };

	(void)events;
	log_event(LOG_NOTICE, &fields,
		  "spool: no more readings are dropped for mqtt.expiry; %llu were within %lld s",
		  (unsigned long long)count,
		  (long long)((duration_us + USEC_PER_SEC - 1) / USEC_PER_SEC));
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

	daemon->spool_events = (struct spool_events){ on_fault,	    on_aside,	 on_discarding,
						      on_discarded, on_expiring, on_expired };
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
