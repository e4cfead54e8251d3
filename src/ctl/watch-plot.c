/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One channel or line as a plot: all over the screen as it goes on, or printed once at the end. */
#include <errno.h>
#include <string.h>

#include "cells.h"
#include "plot.h"
#include "watch.h"

#include "iotd/clock.h"

#define LATE  3 /* intervals without a word: stale, as in the table */
#define QUIET 2

#define PICTURE_COLUMNS 80
#define PICTURE_ROWS	20

/* the first channel, if none was named. Return: NULL: a reload has taken it away, or its chip has yet to answer */
static const struct row *row_of(const struct watch *watch)
{
	return board_count(watch->board) > 0 ? board_row(watch->board, 0) : NULL;
}

static enum color title_color(const struct watch *watch, const struct device *device,
			      int64_t now_us)
{
	if (watch->why || device->status == STATUS_OFFLINE)
		return COLOR_RED;
	return device_is_late(device, now_us, LATE) ? COLOR_YELLOW : COLOR_BOLD;
}

/* "air.temperature 21.37 °C (20.1 .. 22.9 °C)": the extremes are those of what is shown */
static void write_values(const struct watch *watch, const struct row *row, int64_t now_us, FILE *to)
{
	const struct device_channel *channel = row_channel(row);
	const char *space = channel && channel->unit[0] ? " " : "";
	const char *unit = channel ? channel->unit : "";
	struct stretch all = history_between(row->history, now_us - watch->span_us, now_us + 1, 0);
	char text[TEXT_SIZE];

	(void)fprintf(to, "%s%s%s", row->device->name, channel ? "." : "",
		      channel ? channel->name : "");
	number_text(text, sizeof(text), row->value);
	if (!channel)
		(void)snprintf(text, sizeof(text), "%s",
			       row->value > 0	 ? "on"
			       : row->value == 0 ? "off"
						 : "-");
	(void)fprintf(to, " %s%s%s", text, space, unit);
	if (channel && all.is_known) {
		number_text(text, sizeof(text), all.low);
		(void)fprintf(to, " (%s .. ", text);
		number_text(text, sizeof(text), all.high);
		(void)fprintf(to, "%s%s%s)", text, space, unit);
	}
}

/* "air.temperature 21.37 °C (20.1 .. 22.9 °C); offline: …" */
static int write_title(const struct watch *watch, const struct row *row, const struct pen *pen,
		       size_t columns, int64_t now_us)
{
	cleanup(freep) char *title = NULL;
	const struct device *device = row->device;
	size_t size, wide;
	FILE *to;

	to = open_memstream(&title, &size);
	if (!to)
		return -ENOMEM;
	write_values(watch, row, now_us, to);
	if (watch->why)
		(void)fprintf(to, "; %s", watch->why);
	else if (device->status == STATUS_OFFLINE)
		(void)fprintf(to, "; offline%s%s", device->fault[0] ? ": " : "", device->fault);
	else if (device_is_late(device, now_us, LATE))
		(void)fputs("; stale", to);
	if (fclose(to) != 0)
		return -ENOMEM;
	wide = text_width(title);
	cell_write(pen, title_color(watch, device, now_us), title, wide < columns ? wide : columns,
		   false);
	(void)fputc('\n', pen->to);
	return 0;
}

static int write_plot(const struct watch *watch, const struct row *row, size_t columns, size_t rows,
		      FILE *to)
{
	cleanup(freep) char *text = NULL;
	struct view view = watch_view(watch, row, clock_realtime_us());
	int r;

	r = plot_draw(&text, row->history, &view, columns, rows);
	if (r == -EINVAL)
		(void)fprintf(to, "%zu x %zu is too small for a plot: it needs %d x %d\n", columns,
			      rows + 1, PLOT_WIDTH_MIN, PLOT_HEIGHT_MIN + 1);
	else if (r == 0)
		(void)fputs(text, to);
	return r == -EINVAL ? 0 : r;
}

static int draw(struct watch *watch, int64_t now_us, FILE *to)
{
	struct pen pen = { .to = to, .color = watch->ctl->color, .is_ascii = watch->is_ascii };
	size_t columns = screen_columns(watch->screen), rows = screen_rows(watch->screen);
	const struct row *row = row_of(watch);
	int r;

	if (!row) {
		(void)fprintf(to, "%s is not there\n", watch->ctl->plot);
		return 0;
	}
	if (device_is_late(row->device, now_us, QUIET))
		watch_ask(watch);
	r = write_title(watch, row, &pen, columns, now_us);
	return r < 0 ? r : write_plot(watch, row, columns, rows - 1, to);
}

static int print(struct watch *watch)
{
	struct pen pen = { .to = stdout, .is_ascii = watch->is_ascii };
	size_t columns = watch->ctl->columns > 0 ? watch->ctl->columns : PICTURE_COLUMNS;
	size_t rows = watch->ctl->rows > 0 ? watch->ctl->rows : PICTURE_ROWS;
	const struct row *row = row_of(watch);
	int r;

	if (!row)
		return ctl_fail(watch->ctl, EXIT_FAILURE, "%s is not there", watch->ctl->plot);
	r = write_title(watch, row, &pen, columns, clock_realtime_us());
	if (r == 0)
		r = write_plot(watch, row, columns, rows - 1, stdout);
	return r < 0 ? ctl_no_memory(watch->ctl) : EX_OK;
}

const struct watch_way watch_as_plot = {
	.has_screen = true,
	.draw = draw,
};

const struct watch_way watch_as_picture = {
	.end = print,
};
