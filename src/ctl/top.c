/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * iotctl top: every interval the daemon is asked for its devices and counters, and the differences are shown:
 * on a screen, or as a table or a line of JSON. CPU by sensor would cost the daemon two system calls a
 * reading; it counts how long a worker was at a read, waiting included, which costs nothing.
 */
#include "top.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "json.h"

#include "iotd/clock.h"

#define INTERVAL_US (2 * USEC_PER_SEC)
#define ACCURACY_US USEC_PER_MSEC
#define PARTS	    3 /* of a round: List, Stats, the Manager's properties */

/* --- Rounds ------------------------------------------------------------------------------------- */

static void end_with(struct top *top, int status)
{
	top->status = status;
	(void)sd_event_exit(top->event, 0);
}

static void print_table(struct top *top)
{
	uint64_t tables = top->ctl->count > 0 ? top->ctl->count : 1;
	int r = top_print(top);

	if (r != EX_OK || ++top->tables >= tables)
		end_with(top, r);
}

/* the last part is there */
static void finish_round(struct top *top)
{
	top->next.time_us = clock_monotonic_us();
	round_free(&top->before);
	top->before = top->now;
	top->now = top->next;
	top->next = (struct round){ 0 };
	if (top->screen)
		top_draw(top);
	else if (top->before.time_us > 0)
		print_table(top);
}

static int take_part(struct top *top, sd_bus_message *reply, int r)
{
	if (sd_bus_message_is_method_error(reply, NULL) || r < 0)
		top->is_strange = true;
	if (top->missing == 0 || --top->missing > 0)
		return 0;
	if (!top->is_strange)
		finish_round(top);
	else if (!top->screen)
		end_with(top, ctl_fail(top->ctl, EX_UNAVAILABLE, "iotd does not answer"));
	return 0;
}

static int take_list(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct top *top = data;

	(void)error;
	devices_free(&top->next.devices);
	return take_part(top, reply, devices_read(&top->next.devices, reply));
}

static int take_stats(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct top *top = data;

	(void)error;
	json_decref(top->next.stats);
	top->next.stats = NULL;
	return take_part(top, reply, json_from_dictionary(&top->next.stats, reply));
}

static int take_manager(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct top *top = data;

	(void)error;
	json_decref(top->next.manager);
	top->next.manager = NULL;
	return take_part(top, reply, json_from_dictionary(&top->next.manager, reply));
}

static void begin_round(struct top *top)
{
	if (top->missing > 0 || top->why)
		return;
	round_free(&top->next);
	top->is_strange = false;
	if (feed_ask(top->feed, NULL, "List", NULL, take_list, top) == 0)
		top->missing++;
	if (feed_ask(top->feed, NULL, "Stats", NULL, take_stats, top) == 0)
		top->missing++;
	if (feed_ask(top->feed, "org.freedesktop.DBus.Properties", "GetAll", BUS_INTERFACE,
		     take_manager, top) == 0)
		top->missing++;
	top->is_strange = top->missing < PARTS;
}

static int tick(sd_event_source *source, uint64_t now_us, void *data)
{
	struct top *top = data;
	int64_t interval_us = top->ctl->interval_us > 0 ? top->ctl->interval_us : INTERVAL_US;

	(void)now_us;
	begin_round(top);
	(void)sd_event_source_set_time_relative(source, (uint64_t)interval_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* --- What happens ------------------------------------------------------------------------------- */

static void take_here(struct feed_user *user)
{
	struct top *top = container_of(user, struct top, user);

	top->why = NULL;
	top->missing = 0;
	round_free(&top->now); /* another process: nothing to compare with */
	begin_round(top);
}

static void take_gone(struct feed_user *user, const char *why)
{
	struct top *top = container_of(user, struct top, user);

	top->why = why;
	top->missing = 0;
	if (top->screen)
		top_draw(top);
	else
		end_with(top, ctl_fail(top->ctl, EX_UNAVAILABLE, "%s", why));
}

static void redraw(struct screen_user *user)
{
	struct top *top = container_of(user, struct top, screen_user);

	top_draw(top);
}

static void take_key(struct screen_user *user, enum key key)
{
	struct top *top = container_of(user, struct top, screen_user);
	size_t page =
		screen_rows(top->screen) > TOP_FRAME ? screen_rows(top->screen) - TOP_FRAME : 1;

	switch (key) {
	case KEY_UP:
		top->first -= top->first > 0;
		break;
	case KEY_DOWN:
		top->first++;
		break;
	case KEY_PAGE_UP:
		top->first -= top->first < page ? top->first : page;
		break;
	case KEY_PAGE_DOWN:
		top->first += page;
		break;
	case KEY_HOME:
		top->first = 0;
		break;
	case KEY_END:
		top->first = top->now.devices.count;
		break;
	case KEY_SORT:
		top->by_late = !top->by_late;
		break;
	case KEY_NONE:
	case KEY_QUIT:
	case KEY_REDRAW:
		break;
	}
	top_draw(top);
}

/* --- The verb ----------------------------------------------------------------------------------- */

/* a daemon that is not there is said as other verbs say it */
static int is_there(struct ctl *ctl)
{
	cleanup(bus_call_free) struct bus_call stats = { .method = "Stats" };

	return bus_ask(ctl, &stats, NULL);
}

static int run(struct top *top)
{
	int r = sd_event_new(&top->event);

	if (r >= 0)
		r = feed_run(top->feed, top->event);
	if (r >= 0)
		r = sd_event_add_time_relative(top->event, &top->ticks, CLOCK_MONOTONIC, 0,
					       ACCURACY_US, tick, top);
	if (r >= 0 && screen_is_possible() && !top->ctl->json && top->ctl->count == 0)
		r = screen_new(&top->screen, top->event, &top->screen_user);
	if (r >= 0)
		r = sd_event_loop(top->event);
	top->screen = screen_free(top->screen);
	if (r < 0)
		return ctl_fail(top->ctl, EX_OSERR, "cannot go on: %s", strerror(-r));
	return top->status;
}

static void top_close(struct top *top)
{
	screen_free(top->screen);
	sd_event_source_disable_unref(top->ticks);
	feed_free(top->feed);
	sd_event_unref(top->event);
	round_free(&top->before);
	round_free(&top->now);
	round_free(&top->next);
}

int verb_top(struct ctl *ctl, int argc, char **argv)
{
	cleanup(top_close) struct top top = {
		.ctl = ctl,
		.user = { .here = take_here, .gone = take_gone },
		.screen_user = { take_key, redraw },
	};
	int r;

	(void)argc;
	(void)argv;
	r = feed_new(&top.feed, ctl, &top.user, NULL, 0);
	if (r == EX_OK)
		r = is_there(ctl);
	return r == EX_OK ? run(&top) : r;
}
