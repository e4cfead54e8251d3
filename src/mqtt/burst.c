/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first event of a burst is logged with its text, the others as a number: after QUIET_US
 * without one (the burst is over), and each SUMMARY_US as long as it goes on.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "burst.h"
#include "iotd/clock.h"
#include "iotd/log.h"

#define QUIET_US   (5 * USEC_PER_SEC)
#define SUMMARY_US (60 * USEC_PER_SEC)
#define LINE_SIZE  512

static void burst_summarise(struct burst *burst, int64_t now_us)
{
	if (burst->more > 0)
		log_event(burst->level, NULL, "%" PRIu64 " more %s in %lld s", burst->more,
			  burst->what, (now_us - burst->told_us + USEC_PER_SEC - 1) / USEC_PER_SEC);
	burst->more = 0;
	burst->told_us = now_us;
}

static void burst_arm(struct burst *burst)
{
	int64_t quiet_us = burst->last_us + QUIET_US, summary_us = burst->told_us + SUMMARY_US;

	if (reactor_set_timer(burst->reactor, &burst->timer,
			      quiet_us < summary_us ? quiet_us : summary_us) < 0)
		burst->active =
			false; /* out of memory: better a line too many than none for ever */
}

static void burst_due(struct reactor_timer *timer)
{
	struct burst *burst = container_of(timer, struct burst, timer);
	int64_t now_us = reactor_now(burst->reactor);
	bool quiet = now_us - burst->last_us >= QUIET_US;

	if (quiet || now_us - burst->told_us >= SUMMARY_US)
		burst_summarise(burst, now_us);
	burst->active = !quiet;
	if (burst->active)
		burst_arm(burst);
}

void burst_init(struct burst *burst, struct reactor *reactor, int level, const char *what)
{
	*burst = (struct burst){
		.reactor = reactor,
		.timer.fire = burst_due,
		.level = level,
		.what = what,
	};
}

static void burst_begin(struct burst *burst, const char *text)
{
	char line[LINE_SIZE];

	(void)snprintf(line, sizeof(line), "%s", text);
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	log_event(burst->level, NULL, "%s", line);
	burst->active = true;
	burst->told_us = burst->last_us;
	burst_arm(burst);
}

void burst_note(struct burst *burst, uint64_t count, const char *text)
{
	burst->last_us = reactor_now(burst->reactor);
	if (burst->active) {
		burst->more += count;
		return;
	}
	burst->more = count - 1;
	burst_begin(burst, text);
}

void burst_stop(struct burst *burst)
{
	if (!burst->reactor)
		return;
	reactor_stop_timer(&burst->timer);
	burst_summarise(burst, reactor_now(burst->reactor));
	burst->active = false;
}
