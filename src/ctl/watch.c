/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * iotctl watch: a feed fills a board, and one of five ways shows it. Readings come as signals; the list of
 * devices is asked for again when something about them changed, and when one has said nothing for two of its
 * intervals, but never for more than a twentieth of the time that it takes.
 *
 * What is on a screen is drawn a tenth of a second after a reading, so that any number of them costs ten
 * pictures a second, and once a second for the ages.
 */
#include "watch.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "text.h"

#include "iotd/clock.h"
#include "iotd/parse.h"

#define DRAW_US	     (100 * USEC_PER_MSEC)
#define TICK_US	     USEC_PER_SEC
#define ASK_LEAST_US (250 * USEC_PER_MSEC) /* between two lists, after changes */
#define ASK_QUIET_US (2 * USEC_PER_SEC)	   /* and while some are quiet */
#define ASK_SHARE    20
#define MINUTES	     5
#define NOTICE_US    (10 * USEC_PER_MSEC)
#define ACCURACY_US  USEC_PER_MSEC /* without it sd-event takes a quarter of a second */

/* --- The list of devices ------------------------------------------------------------------------ */

static void tell_turned(struct watch *watch, const struct devices *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct device *before = board_device(watch->board, now->list[i].name);

		if (before &&
		    (before->status == STATUS_OFFLINE) != (now->list[i].status == STATUS_OFFLINE))
			watch->way->turned(watch, &now->list[i]);
	}
}

static int take_list(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	cleanup(devices_free) struct devices devices = { 0 };
	struct watch *watch = data;

	(void)error;
	watch->is_asking = false;
	watch->list_took_us = clock_monotonic_us() - watch->asked_us;
	if (sd_bus_message_is_method_error(reply, NULL) || devices_read(&devices, reply) < 0)
		return 0; /* a daemon that is not there is told of otherwise */
	if (watch->way->turned)
		tell_turned(watch, &devices);
	if (board_update(watch->board, &devices, clock_realtime_us()) == 0) {
		watch->is_laid_out = false;
		watch_dirty(watch);
	}
	return 0;
}

static void ask_after(struct watch *watch, int64_t lapse_us)
{
	int64_t now_us = clock_monotonic_us();

	if (lapse_us < ASK_SHARE * watch->list_took_us)
		lapse_us = ASK_SHARE * watch->list_took_us;
	if (watch->is_asking || watch->why || now_us - watch->asked_us < lapse_us)
		return;
	if (feed_ask(watch->feed, NULL, "List", NULL, take_list, watch) < 0)
		return;
	watch->is_asking = true;
	watch->must_ask = false;
	watch->asked_us = now_us;
}

void watch_ask(struct watch *watch)
{
	ask_after(watch, ASK_QUIET_US);
}

/* --- Drawing ------------------------------------------------------------------------------------ */

static void draw(struct watch *watch)
{
	cleanup(freep) char *text = NULL;
	size_t size;
	FILE *to;
	int r;

	watch->is_dirty = false;
	watch->drawn_us = clock_monotonic_us();
	to = open_memstream(&text, &size);
	if (!to)
		return; /* there will be another picture */
	r = watch->way->draw(watch, clock_realtime_us(), to);
	if (fclose(to) == 0 && r == 0)
		(void)screen_show(watch->screen, text);
}

static int tick(sd_event_source *source, uint64_t now_us, void *data)
{
	struct watch *watch = data;
	int64_t next_us = TICK_US;

	(void)now_us;
	if (watch->must_ask)
		ask_after(watch, ASK_LEAST_US);
	if (watch->screen)
		draw(watch);
	if (watch->must_ask)
		next_us = ASK_LEAST_US;
	(void)sd_event_source_set_time_relative(source, (uint64_t)next_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void tick_in(struct watch *watch, int64_t lapse_us)
{
	(void)sd_event_source_set_time_relative(watch->ticks,
						lapse_us > 0 ? (uint64_t)lapse_us : 0);
	(void)sd_event_source_set_enabled(watch->ticks, SD_EVENT_ONESHOT);
}

void watch_dirty(struct watch *watch)
{
	if (watch->is_dirty || !watch->screen)
		return;
	watch->is_dirty = true;
	tick_in(watch, DRAW_US - (clock_monotonic_us() - watch->drawn_us));
}

static void redraw(struct screen_user *user)
{
	struct watch *watch = container_of(user, struct watch, screen_user);

	draw(watch);
}

static void take_key(struct screen_user *user, enum key key)
{
	struct watch *watch = container_of(user, struct watch, screen_user);

	if (!watch->way->key)
		return;
	watch->way->key(watch, key);
	draw(watch);
}

/* --- The feed ----------------------------------------------------------------------------------- */

static void take_here(struct feed_user *user)
{
	struct watch *watch = container_of(user, struct watch, user);
	bool was_gone = watch->why;

	watch->why = NULL;
	watch->asked_us = 0;
	watch->is_asking = false;
	ask_after(watch, 0);
	if (was_gone && watch->way->said)
		watch->way->said(watch, NULL);
	watch_dirty(watch);
}

static void take_gone(struct feed_user *user, const char *why)
{
	struct watch *watch = container_of(user, struct watch, user);

	watch->why = why;
	watch->is_asking = false;
	board_interrupt(watch->board, clock_realtime_us());
	if (watch->way->said)
		watch->way->said(watch, why);
	watch_dirty(watch);
}

static void take_changed(struct feed_user *user)
{
	struct watch *watch = container_of(user, struct watch, user);

	if (watch->must_ask)
		return;
	watch->must_ask = true;
	tick_in(watch, NOTICE_US); /* others come with it */
}

static void take_reading(struct feed_user *user, const char *name, sd_bus_message *message)
{
	struct watch *watch = container_of(user, struct watch, user);
	const struct device *device = board_read(watch->board, name, message);

	if (!device)
		return;
	watch->readings++;
	if (watch->way->read)
		watch->way->read(watch, device);
	watch_dirty(watch);
	if (watch->ctl->count > 0 && watch->readings >= watch->ctl->count)
		(void)sd_event_exit(watch->event, 0);
}

/* --- What the ways share ------------------------------------------------------------------------ */

struct view watch_view(const struct watch *watch, const struct row *row, int64_t now_us)
{
	uint64_t interval_us = row->device->interval_us;
	int64_t hold_us = HISTORY_FOREVER;

	if (interval_us > 0 && interval_us < INT64_MAX / 8)
		hold_us = 3 * (int64_t)interval_us +
			  2 * (ASK_QUIET_US + ASK_SHARE * watch->list_took_us);
	return (struct view){
		.now_us = now_us,
		.span_us = watch->span_us,
		.hold_us = hold_us,
		.is_states = !row_channel(row),
		.is_ascii = watch->is_ascii,
	};
}

/* --- The verb ----------------------------------------------------------------------------------- */

static bool is_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool is = locale && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;

	if (locale)
		freelocale(locale);
	return is;
}

static const struct watch_way *way_of(const struct ctl *ctl)
{
	if (ctl->plot)
		return screen_is_possible() ? &watch_as_plot : &watch_as_picture;
	if (ctl->json)
		return &watch_as_json;
	return screen_is_possible() ? &watch_as_table : &watch_as_lines;
}

/* a picture shows what it was there for, if nothing else was asked for */
static int64_t span_of(const struct ctl *ctl)
{
	if (ctl->minutes == 0 && way_of(ctl) == &watch_as_picture &&
	    ctl->seconds_us >= USEC_PER_SEC)
		return ctl->seconds_us;
	return (ctl->minutes > 0 ? ctl->minutes : MINUTES) * 60 * USEC_PER_SEC;
}

/* Return: EX_OK; EX_USAGE, said */
static int check_options(const struct ctl *ctl, const struct watch_way *way, int argc)
{
	if (!ctl->plot)
		return EX_OK;
	if (argc > 0)
		return ctl_fail(ctl, EX_USAGE, "--plot NAME takes no other names");
	if (ctl->json)
		return ctl_fail(ctl, EX_USAGE, "a plot is no JSON: leave --plot or --json out");
	if (way == &watch_as_picture && !(ctl->given & (OPTION_SECONDS | OPTION_COUNT)))
		return ctl_fail(ctl, EX_USAGE,
				"this is no terminal: a plot is printed when it ends, so add "
				"--seconds or --count");
	return EX_OK;
}

static void free_names(char ***names)
{
	for (char **name = *names; name && *name; name++)
		free(*name);
	free(*names);
}

/* the devices' names of NAME and NAME.CHANNEL, NULL behind them. Return: EX_OK; another code, said */
static int device_names(struct ctl *ctl, const struct board_filter *filter, char ***ret)
{
	cleanup(free_names) char **names = calloc(filter->count + 1, sizeof(*names));
	int r;

	for (size_t i = 0; names && i < filter->count; i++) {
		names[i] = strndup(filter->names[i], strcspn(filter->names[i], "."));
		if (!names[i])
			return ctl_no_memory(ctl);
		r = ask_name_is_good(ctl, names[i]);
		if (r != EX_OK)
			return r;
	}
	if (!names)
		return ctl_no_memory(ctl);
	*ret = take_ptr(names);
	return EX_OK;
}

static int first_list(struct watch *watch)
{
	cleanup(bus_call_free) struct bus_call list = { 0 };
	cleanup(devices_free) struct devices devices = { 0 };
	const char *lacking;
	int r;

	r = ask_devices(watch->ctl, &list, &devices);
	if (r != EX_OK)
		return r;
	if (board_new(&watch->board, &watch->filter, watch->span_us) < 0 ||
	    board_update(watch->board, &devices, clock_realtime_us()) < 0)
		return ctl_no_memory(watch->ctl);
	lacking = board_lacks(watch->board);
	if (lacking)
		return ctl_fail(watch->ctl, EXIT_FAILURE,
				"there is no \"%s\": iotctl list shows what there is", lacking);
	return EX_OK;
}

static int on_end(sd_event_source *source, uint64_t now_us, void *data)
{
	struct watch *watch = data;

	(void)source;
	(void)now_us;
	return sd_event_exit(watch->event, 0);
}

/* Return: 0; an errno */
static int begin(struct watch *watch)
{
	int64_t seconds_us = watch->ctl->seconds_us;
	int r;

	r = feed_run(watch->feed, watch->event);
	if (r >= 0)
		r = sd_event_add_time_relative(watch->event, &watch->ticks, CLOCK_MONOTONIC, 0,
					       ACCURACY_US, tick, watch);
	if (r >= 0 && seconds_us > 0)
		r = sd_event_add_time_relative(watch->event, NULL, CLOCK_MONOTONIC,
					       (uint64_t)seconds_us, ACCURACY_US, on_end, watch);
	if (r >= 0 && watch->way->has_screen)
		r = screen_new(&watch->screen, watch->event, &watch->screen_user);
	return r;
}

static int run(struct watch *watch)
{
	int r;

	r = first_list(watch);
	if (r != EX_OK)
		return r;
	r = sd_event_new(&watch->event);
	if (r >= 0)
		r = begin(watch);
	if (r >= 0)
		r = sd_event_loop(watch->event);
	watch->screen = screen_free(watch->screen);
	if (r < 0)
		return ctl_fail(watch->ctl, EX_OSERR, "cannot go on: %s", strerror(-r));
	return watch->way->end ? watch->way->end(watch) : EX_OK;
}

static void watch_close(struct watch *watch)
{
	screen_free(watch->screen);
	sd_event_source_disable_unref(watch->ticks);
	feed_free(watch->feed);
	board_free(watch->board);
	sd_event_unref(watch->event);
}

int verb_watch(struct ctl *ctl, int argc, char **argv)
{
	cleanup(freep) char *only = ctl->plot ? strdup(ctl->plot) : NULL;
	char *plot[] = { only };
	cleanup(free_names) char **names = NULL;
	cleanup(watch_close) struct watch watch = {
		.ctl = ctl,
		.way = way_of(ctl),
		.user = { take_here, take_gone, take_changed, take_reading },
		.screen_user = { take_key, redraw },
		.filter = { argv, (size_t)argc },
		.is_ascii = !is_utf8(),
		.span_us = span_of(ctl),
	};
	int r = check_options(ctl, watch.way, argc);

	if (r != EX_OK)
		return r;
	if (ctl->plot && !only)
		return ctl_no_memory(ctl);
	if (ctl->plot)
		watch.filter = (struct board_filter){ plot, 1 };
	r = device_names(ctl, &watch.filter, &names);
	if (r == EX_OK)
		r = feed_new(&watch.feed, ctl, &watch.user, names, watch.filter.count);
	return r == EX_OK ? run(&watch) : r;
}
