/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "telling.h"

#include "iotd/clock.h"

#define QUIET_US (60 * USEC_PER_SEC) /* without one whose time is over: it has ended */

const char *telling_words(int error)
{
	switch (error) {
	case -EBUSY:
		return "another process has it open";
	case -EBADMSG:
		return "it is damaged";
	case -ESTALE:
		return "it was moved or deleted";
	case -EMEDIUMTYPE:
		return "it is another program's database";
	case -EPROTONOSUPPORT:
		return "a newer version of iotd made it";
	case -ENODEV:
		return "it is no regular file";
	default:
		return strerror(-error);
	}
}

void telling_fault(struct telling *telling, int error, uint64_t lost)
{
	struct spool_events *events = telling->events;
	char why[160], more[64] = "";

	if ((error < 0) == telling->is_faulty && lost == 0)
		return;
	telling->is_faulty = error < 0;
	if (lost > 0)
		(void)snprintf(more, sizeof(more), "; %" PRIu64 " readings were only there", lost);
	(void)snprintf(why, sizeof(why), "%s%s", telling_words(error), more);
	if (events)
		events->fault(events, error, error < 0 ? why : NULL);
}

void telling_aside(const struct telling *telling, const char *path)
{
	if (telling->events)
		telling->events->aside(telling->events, path);
}

void telling_discarded(struct telling *telling, uint64_t count, enum spool_bound bound,
		       int64_t now_us)
{
	if (!telling->is_discarding) {
		telling->is_discarding = true;
		telling->discarded = 0;
		telling->since_us = now_us;
		if (telling->events)
			telling->events->discarding(telling->events, bound);
	}
	telling->discarded += count;
}

void telling_room(struct telling *telling, int64_t now_us)
{
	if (!telling->is_discarding)
		return;
	telling->is_discarding = false;
	if (telling->events)
		telling->events->discarded(telling->events, telling->discarded,
					   now_us - telling->since_us);
}

void telling_expired(struct telling *telling, uint64_t count, int64_t now_us)
{
	if (!telling->is_expiring) {
		telling->is_expiring = true;
		telling->expired = 0;
		telling->expiring_us = now_us;
		if (telling->events)
			telling->events->expiring(telling->events);
	}
	telling->expired += count;
	telling->expired_us = now_us;
}

static void end_expiring(struct telling *telling, int64_t now_us)
{
	if (!telling->is_expiring)
		return;
	telling->is_expiring = false;
	if (telling->events)
		telling->events->expired(telling->events, telling->expired,
					 now_us - telling->expiring_us);
}

void telling_acknowledged(struct telling *telling, int64_t now_us)
{
	if (now_us - telling->expired_us >= QUIET_US)
		end_expiring(telling, now_us);
}

void telling_end(struct telling *telling, int64_t now_us)
{
	telling_room(telling, now_us);
	end_expiring(telling, now_us);
}
