/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the ways of iotctl watch share: watch.c has the feed and the board, the others show them. */

#include <systemd/sd-event.h>

#include "board.h"
#include "ctl.h"
#include "feed.h"
#include "screen.h"

struct watch;

/** struct watch_way - how it is shown. NULL functions are not called; times are CLOCK_REALTIME */
struct watch_way {
	bool has_screen;
	/* a reading of it has come */
	void (*read)(struct watch *watch, const struct device *device);
	/* it is offline now, or no longer */
	void (*turned)(struct watch *watch, const struct device *device);
	/* the daemon went away, or (NULL) is back */
	void (*said)(struct watch *watch, const char *why);
	/* draw. Return: 0; -ENOMEM */
	int (*draw)(struct watch *watch, int64_t now_us, FILE *to);
	void (*key)(struct watch *watch, enum key key);
	/* when it is over. Return: EX_OK; another exit code, said */
	int (*end)(struct watch *watch);
};

extern const struct watch_way watch_as_table;	/* on a screen */
extern const struct watch_way watch_as_lines;	/* a line a value */
extern const struct watch_way watch_as_json;	/* a line a reading */
extern const struct watch_way watch_as_plot;	/* on a screen */
extern const struct watch_way watch_as_picture; /* a plot at the end */

/** struct watch - one run of it */
struct watch {
	struct ctl *ctl;
	const struct watch_way *way;
	struct feed_user user;
	struct screen_user screen_user;
	struct board_filter filter;
	struct board *board;
	struct feed *feed;
	struct screen *screen; /* NULL: none */
	sd_event *event;
	sd_event_source *ticks;
	bool is_ascii;
	int64_t span_us;
	const char *why;      /* the daemon is gone; NULL: it is here */
	int64_t drawn_us;     /* CLOCK_MONOTONIC */
	bool is_dirty;	      /* and will be drawn soon */
	int64_t asked_us;     /* when List was, CLOCK_MONOTONIC */
	int64_t list_took_us; /* the last answer */
	bool is_asking;	      /* List is under way */
	bool must_ask;	      /* for devices have changed */
	uint64_t readings;    /* so far */
	size_t top;	      /* the first row on the screen */
	bool is_sorted;	      /* what is in trouble first */
	bool is_laid_out;     /* the widths are those of the board */
	size_t name_width, channel_width, unit_width;
};

/** watch_view() - how a row's history is drawn, @now_us CLOCK_REALTIME */
struct view watch_view(const struct watch *watch, const struct row *row, int64_t now_us);

/** watch_dirty() - draw soon */
void watch_dirty(struct watch *watch);

/**
 * watch_ask() - the daemon's list anew, if the last one is old enough for what this costs
 * For a device that has said nothing for long: what a deadband or a window holds back is in the list.
 */
void watch_ask(struct watch *watch);
