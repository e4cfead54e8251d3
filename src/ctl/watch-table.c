/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The live table. Only the rows that are on the screen are written, but columns are as wide as the widest cell
 * of all rows, so that nothing jumps when one scrolls.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "cells.h"
#include "spark.h"
#include "watch.h"

#define NAME_MAX_WIDTH	  24
#define CHANNEL_MAX_WIDTH 20
#define UNIT_MAX_WIDTH	  8
#define VALUE_WIDTH	  12
#define AGE_WIDTH	  7
#define STATUS_WIDTH	  7
#define SPARK_MIN	  5
#define SPARK_MAX	  60
#define GAP		  2
#define LATE		  3 /* intervals without a word: stale */
#define QUIET		  2 /* the daemon is asked */
#define FRAME		  2 /* lines above the rows */
#define FOOT_ROWS	  6 /* a screen as high as this has a line below them, too */

struct layout {
	size_t name, channel, unit; /* widths */
	size_t rest;		    /* behind the status; 0: too little for a sparkline */
	size_t rows;		    /* on the screen */
	bool has_foot;
};

static size_t wider(size_t width, const char *text, size_t most)
{
	size_t wide = text_width(text);

	wide = wide < most ? wide : most;
	return wide > width ? wide : width;
}

/* once for each list of devices: there may be ten thousand */
static void measure(struct watch *watch)
{
	watch->name_width = strlen("NAME");
	watch->channel_width = strlen("CHANNEL");
	watch->unit_width = strlen("UNIT");
	for (size_t i = 0; i < board_count(watch->board); i++) {
		const struct row *row = board_row(watch->board, i);
		const struct device_channel *channel = row_channel(row);

		watch->name_width = wider(watch->name_width, row->device->name, NAME_MAX_WIDTH);
		if (!channel)
			continue;
		watch->channel_width =
			wider(watch->channel_width, channel->name, CHANNEL_MAX_WIDTH);
		watch->unit_width = wider(watch->unit_width, channel->unit, UNIT_MAX_WIDTH);
	}
	watch->is_laid_out = true;
}

static struct layout lay_out(struct watch *watch)
{
	size_t columns = screen_columns(watch->screen), rows = screen_rows(watch->screen), used;
	struct layout layout;

	if (!watch->is_laid_out)
		measure(watch);
	layout = (struct layout){
		.name = watch->name_width,
		.channel = watch->channel_width,
		.unit = watch->unit_width,
	};
	used = layout.name + layout.channel + VALUE_WIDTH + layout.unit + AGE_WIDTH + STATUS_WIDTH +
	       (size_t)6 * GAP - 1; /* the unit is one blank behind the value */
	layout.rest = columns > used + SPARK_MIN ? columns - used : 0;
	layout.has_foot = rows >= FOOT_ROWS;
	layout.rows = rows > FRAME ? rows - FRAME : 0;
	if (layout.has_foot)
		layout.rows--;
	return layout;
}

/* --- One row ------------------------------------------------------------------------------------ */

static enum color row_color(const struct device *device, bool is_late)
{
	if (device->status == STATUS_OFFLINE)
		return COLOR_RED;
	return is_late ? COLOR_YELLOW : COLOR_PLAIN;
}

static void write_value(const struct pen *pen, const struct row *row, enum color color)
{
	char text[TEXT_SIZE];

	if (row_channel(row) || isnan(row->value))
		number_text(text, sizeof(text), row->value);
	else
		(void)snprintf(text, sizeof(text), "%s", row->value > 0 ? "on" : "off");
	if (!row_channel(row) && row->value > 0 && color == COLOR_PLAIN)
		color = COLOR_GREEN;
	cell_write(pen, color, text, VALUE_WIDTH, true);
}

static void write_history(const struct watch *watch, const struct pen *pen, const struct row *row,
			  size_t width, int64_t now_us)
{
	struct view view = watch_view(watch, row, now_us);
	char spark[SPARK_SIZE];

	if (width == 0)
		return;
	if (row->device->status == STATUS_OFFLINE && row->device->fault[0] != '\0') {
		cell_write(pen, COLOR_RED, row->device->fault, width, false);
		return;
	}
	spark_write(spark, row->history, &view, width < SPARK_MAX ? width : SPARK_MAX);
	(void)fputs(spark, pen->to);
}

static void write_row(struct watch *watch, const struct pen *pen, const struct layout *layout,
		      const struct row *row, int64_t now_us)
{
	const struct device *device = row->device;
	const struct device_channel *channel = row_channel(row);
	bool is_late = device_is_late(device, now_us, LATE);
	enum color color = row_color(device, is_late);
	enum color status = color == COLOR_PLAIN ? status_color(device->status) : color;
	char age[TEXT_SIZE];

	if (device_is_late(device, now_us, QUIET))
		watch_ask(watch);
	age_text(age, sizeof(age), device_last_us(device, now_us));
	cell_write(pen, color, device->name, layout->name + GAP, false);
	cell_write(pen, color, channel ? channel->name : "", layout->channel + GAP, false);
	write_value(pen, row, color);
	(void)fputc(' ', pen->to);
	cell_write(pen, color, channel ? channel->unit : "", layout->unit, false);
	cell_write(pen, color, age, AGE_WIDTH + GAP, true);
	(void)fprintf(pen->to, "%*s", GAP, "");
	cell_write(pen, status, is_late ? "stale" : device_status_name(device->status),
		   STATUS_WIDTH + GAP, false);
	write_history(watch, pen, row, layout->rest, now_us);
	(void)fputc('\n', pen->to);
}

/* --- What is around them ------------------------------------------------------------------------ */

static void write_head(const struct watch *watch, const struct pen *pen)
{
	const struct devices *devices = board_devices(watch->board);
	char text[TEXT_SIZE];
	size_t offline = 0;

	for (size_t i = 0; i < devices->count; i++)
		offline += devices->list[i].status == STATUS_OFFLINE;
	if (watch->why)
		(void)snprintf(text, sizeof(text), "%s; waiting for it", watch->why);
	else
		(void)snprintf(text, sizeof(text), "iotd%s%s: %zu %s, %zu offline",
			       watch->ctl->instance ? "@" : "",
			       watch->ctl->instance ? watch->ctl->instance : "", devices->count,
			       devices->count == 1 ? "device" : "devices", offline);
	cell_write(pen, watch->why || offline > 0 ? COLOR_RED : COLOR_PLAIN, text,
		   screen_columns(watch->screen), false);
	(void)fputc('\n', pen->to);
}

static void write_headings(const struct watch *watch, const struct pen *pen,
			   const struct layout *layout)
{
	char history[TEXT_SIZE];

	(void)snprintf(history, sizeof(history), "%lld MIN",
		       (long long)(watch->span_us / (60LL * 1000 * 1000)));
	cell_write(pen, COLOR_BOLD, "NAME", layout->name + GAP, false);
	cell_write(pen, COLOR_BOLD, "CHANNEL", layout->channel + GAP, false);
	cell_write(pen, COLOR_BOLD, "VALUE", VALUE_WIDTH, true);
	(void)fputc(' ', pen->to);
	cell_write(pen, COLOR_BOLD, "UNIT", layout->unit, false);
	cell_write(pen, COLOR_BOLD, "AGE", AGE_WIDTH + GAP, true);
	(void)fprintf(pen->to, "%*s", GAP, "");
	cell_write(pen, COLOR_BOLD, "STATUS", STATUS_WIDTH + GAP, false);
	cell_write(pen, COLOR_BOLD, history, layout->rest, false);
	(void)fputc('\n', pen->to);
}

static void write_foot(const struct watch *watch, const struct pen *pen, size_t shown)
{
	size_t count = board_count(watch->board);
	char text[TEXT_SIZE];

	(void)snprintf(text, sizeof(text), "%zu-%zu of %zu   q quit   j k scroll   s %s",
		       count > 0 ? watch->top + 1 : 0, watch->top + shown, count,
		       watch->is_sorted ? "as configured" : "trouble first");
	cell_write(pen, COLOR_DIM, text, screen_columns(watch->screen), false);
}

/* --- The order ---------------------------------------------------------------------------------- */

enum rank {
	RANK_OFFLINE,
	RANK_LATE,
	RANK_UNKNOWN,
	RANK_WELL,
	RANKS
};

static enum rank rank_of(const struct device *device, int64_t now_us)
{
	if (device->status == STATUS_OFFLINE)
		return RANK_OFFLINE;
	if (device_is_late(device, now_us, LATE))
		return RANK_LATE;
	return device->status == STATUS_UNKNOWN ? RANK_UNKNOWN : RANK_WELL;
}

/* indexes of rows, in trouble first, else in the daemon's order: a counting sort. Return: NULL: out of memory */
static size_t *sort_rows(const struct watch *watch, int64_t now_us)
{
	size_t count = board_count(watch->board), starts[RANKS + 1] = { 0 };
	size_t *order = calloc(count + 1, sizeof(*order));

	for (size_t i = 0; order && i < count; i++)
		starts[rank_of(board_row(watch->board, i)->device, now_us) + 1]++;
	for (size_t i = 1; i < RANKS; i++)
		starts[i] += starts[i - 1];
	for (size_t i = 0; order && i < count; i++)
		order[starts[rank_of(board_row(watch->board, i)->device, now_us)]++] = i;
	return order;
}

/* --- The whole ---------------------------------------------------------------------------------- */

static void stay_inside(struct watch *watch, size_t rows)
{
	size_t count = board_count(watch->board), last = count > rows ? count - rows : 0;

	if (watch->top > last)
		watch->top = last;
}

static int draw(struct watch *watch, int64_t now_us, FILE *to)
{
	struct pen pen = { .to = to, .color = watch->ctl->color, .is_ascii = watch->is_ascii };
	struct layout layout = lay_out(watch);
	cleanup(freep) size_t *order = watch->is_sorted ? sort_rows(watch, now_us) : NULL;
	size_t shown = 0, index;

	if (watch->is_sorted && !order)
		return -ENOMEM;
	stay_inside(watch, layout.rows);
	write_head(watch, &pen);
	write_headings(watch, &pen, &layout);
	for (; shown < layout.rows && watch->top + shown < board_count(watch->board); shown++) {
		index = order ? order[watch->top + shown] : watch->top + shown;
		write_row(watch, &pen, &layout, board_row(watch->board, index), now_us);
	}
	for (size_t i = shown; i < layout.rows; i++)
		(void)fputc('\n', to);
	if (layout.has_foot)
		write_foot(watch, &pen, shown);
	return 0;
}

static void take_key(struct watch *watch, enum key key)
{
	size_t page = lay_out(watch).rows;

	switch (key) {
	case KEY_UP:
		watch->top -= watch->top > 0;
		break;
	case KEY_DOWN:
		watch->top++;
		break;
	case KEY_PAGE_UP:
		watch->top -= watch->top < page ? watch->top : page;
		break;
	case KEY_PAGE_DOWN:
		watch->top += page;
		break;
	case KEY_HOME:
		watch->top = 0;
		break;
	case KEY_END:
		watch->top = board_count(watch->board);
		break;
	case KEY_SORT:
		watch->is_sorted = !watch->is_sorted;
		watch->top = 0;
		break;
	case KEY_NONE:
	case KEY_QUIT:
	case KEY_REDRAW:
		break;
	}
}

const struct watch_way watch_as_table = {
	.has_screen = true,
	.draw = draw,
	.key = take_key,
};
