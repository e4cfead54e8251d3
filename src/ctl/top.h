/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of iotctl top share: top.c asks, top-show.c shows. */

#include <systemd/sd-event.h>

#include "costs.h"
#include "ctl.h"
#include "feed.h"
#include "screen.h"

#define TOP_FRAME 3 /* lines that are no sensor's: two above, one below */

/** struct top - one run of it */
struct top {
	struct ctl *ctl;
	struct feed_user user;
	struct screen_user screen_user;
	struct feed *feed;
	struct screen *screen; /* NULL: none */
	sd_event *event;
	sd_event_source *ticks;
	struct round before, now, next;
	unsigned int missing; /* parts of the next round */
	bool is_strange;      /* one was no answer */
	bool by_late;
	size_t first; /* row on the screen */
	uint64_t tables;
	const char *why; /* the daemon is gone; NULL: it is here */
	int status;
};

/** top_draw() - the picture on its screen */
void top_draw(struct top *top);

/** top_print() - a table, or a line of JSON, on stdout. Return: EX_OK; another exit code, said */
int top_print(struct top *top);
