/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two scales and a canvas. The scale of values begins and ends at a tick, and ticks are 1, 2 or 5 times a
 * power of ten apart; ticks of the time are at round local times. The right end is the next multiple of a
 * dot's time after now, so that the picture moves by whole dots and does not flicker.
 */
#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "canvas.h"

#include "iotd/clock.h"
#include "iotd/model.h"

#define LABEL_SIZE	 352 /* as much as the compiler thinks that a number may have */
#define DIGITS_MAX	 15  /* of a label */
#define ROWS_PER_TICK	 4
#define COLUMNS_PER_TICK 10 /* "13:15:00" and room */

struct scale {
	double low, high, step;
	int ticks; /* at low, low + step, … high; 0: there is nothing to scale */
};

struct plot {
	const struct history *history;
	const struct view *view;
	int64_t begin_us, end_us;
	size_t rows, columns; /* of the canvas */
	struct scale scale;
	struct canvas *canvas;
	int label_width;
	FILE *to;
};

/* --- the scale of values ---------------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten, at least @raw */
static double nice_step(double raw)
{
	double power = pow(10, floor(log10(raw)));
	double factor = raw / power;

	if (factor <= 1)
		return power;
	if (factor <= 2)
		return 2 * power;
	return (factor <= 5 ? 5 : 10) * power;
}

/* low > high: nothing is known */
static struct scale scale_of(double low, double high, size_t rows)
{
	size_t ticks = rows / ROWS_PER_TICK > 0 ? rows / ROWS_PER_TICK : 1;
	double middle = low / 2 + high / 2;
	struct scale scale = { .high = 1 };

	if (low > high)
		return scale;
	if (high - low <= fabs(middle) * 1e-12 || high - low < 1e-300) { /* a line in the middle */
		double margin = fabs(middle) < 1e-290 ? 1 : fabs(middle) / 100;

		low = middle - margin;
		high = middle + margin;
	}
	scale.step = nice_step((high - low) / (double)ticks);
	/* 0.3 / 0.1 is not quite 3 */
	scale.low = floor(low / scale.step + 1e-9) * scale.step;
	scale.high = ceil(high / scale.step - 1e-9) * scale.step;
	scale.ticks = (int)lround((scale.high - scale.low) / scale.step) + 1;
	return scale;
}

static void write_label(char label[static LABEL_SIZE], const struct scale *scale, double value)
{
	double largest = fmax(fabs(scale->low), fabs(scale->high));
	int tens = (int)floor(log10(largest)), step_tens = (int)floor(log10(scale->step) + 1e-9);
	int digits = tens - step_tens + 1;

	if (tens < 7 && step_tens >= -6)
		(void)snprintf(label, LABEL_SIZE, "%.*f", step_tens < 0 ? -step_tens : 0,
			       value_round(value, step_tens < 0 ? -step_tens : 0));
	else
		(void)snprintf(label, LABEL_SIZE, "%.*g", digits < DIGITS_MAX ? digits : DIGITS_MAX,
			       fabs(value) < scale->step / 2 ? 0 : value);
}

/* the label of the tick in a row; "" without one */
static void row_label(char label[static LABEL_SIZE], const struct plot *plot, size_t row)
{
	const struct scale *scale = &plot->scale;
	size_t dots = (size_t)canvas_height(plot->canvas), dots_a_row = dots / plot->rows;

	label[0] = '\0';
	if (plot->view->is_states) {
		if (row == 0 || row == plot->rows - 1)
			(void)snprintf(label, LABEL_SIZE, "%s", row == 0 ? "on" : "off");
		return;
	}
	for (int i = 0; i < scale->ticks; i++) {
		double share = (double)i / (scale->ticks - 1);

		if ((size_t)lround((1 - share) * (double)(dots - 1)) / dots_a_row == row)
			write_label(label, scale, scale->low + i * scale->step);
	}
}

static void find_scale(struct plot *plot)
{
	double low = (double)INFINITY, high = -(double)INFINITY;

	if (plot->view->is_states) {
		plot->scale = (struct scale){ .high = 1, .step = 1, .ticks = 2 };
		return;
	}
	for (size_t i = 0; i < history_count(plot->history); i++) {
		const struct sample *sample = history_at(plot->history, i);

		if (isnan(sample->value) || sample->time_us < plot->begin_us ||
		    sample->time_us > plot->end_us)
			continue;
		low = fmin(low, sample->low);
		high = fmax(high, sample->high);
	}
	plot->scale = scale_of(low, high, plot->rows);
}

/* --- the dots --------------------------------------------------------------------------------- */

static struct dot dot_of(const struct plot *plot, int64_t time_us, double value)
{
	int width = canvas_width(plot->canvas), height = canvas_height(plot->canvas);
	int64_t dot_us = (plot->end_us - plot->begin_us) / width;
	double share = (value - plot->scale.low) / (plot->scale.high - plot->scale.low);
	struct dot dot = {
		.x = (int)((time_us - plot->begin_us) / dot_us),
		.y = (int)lround((1 - share) * (height - 1)),
	};

	if (dot.x >= width)
		dot.x = width - 1;
	/* the value at the left end may lie outside what is scaled */
	dot.y = dot.y < 0 ? 0 : dot.y;
	dot.y = dot.y >= height ? height - 1 : dot.y;
	return dot;
}

/* from one sample to the next one that counts */
static void draw_step(struct plot *plot, const struct sample *from, const struct sample *to)
{
	int64_t begin_us = from->time_us > plot->begin_us ? from->time_us : plot->begin_us;
	int64_t end_us = to ? to->time_us : plot->end_us;
	struct dot left = dot_of(plot, begin_us, from->value);
	struct dot right = dot_of(plot, end_us, from->value);

	canvas_line(plot->canvas, left, right);
	if (to && !isnan(to->value))
		canvas_line(plot->canvas, right, dot_of(plot, end_us, to->value));
}

static void draw_slope(struct plot *plot, const struct sample *from, const struct sample *to)
{
	int64_t begin_us = from->time_us;
	double value = from->value;

	if (!to || isnan(to->value) || to->time_us - from->time_us > plot->view->hold_us)
		return;
	if (begin_us < plot->begin_us) {
		value += (to->value - value) * (double)(plot->begin_us - begin_us) /
			 (double)(to->time_us - begin_us);
		begin_us = plot->begin_us;
	}
	canvas_line(plot->canvas, dot_of(plot, begin_us, value),
		    dot_of(plot, to->time_us, to->value));
}

static void draw_samples(struct plot *plot)
{
	size_t count = history_count(plot->history);

	/* one that the clock has yet to reach is not drawn, nor what leads to it */
	while (count > 0 && history_at(plot->history, count - 1)->time_us > plot->end_us)
		count--;
	for (size_t i = 0; i < count; i++) {
		const struct sample *sample = history_at(plot->history, i);
		const struct sample *next = i + 1 < count ? history_at(plot->history, i + 1) : NULL;

		if (isnan(sample->value) || (next && next->time_us < plot->begin_us))
			continue;
		if (sample->time_us >= plot->begin_us)
			canvas_line(plot->canvas, dot_of(plot, sample->time_us, sample->low),
				    dot_of(plot, sample->time_us, sample->high));
		if (plot->view->is_states)
			draw_step(plot, sample, next);
		else
			draw_slope(plot, sample, next);
	}
}

/* --- the axis of times ------------------------------------------------------------------------ */

static int64_t time_step(int64_t span_us, size_t columns)
{
	static const int64_t seconds[] = { 1,	2,   5,	   10,	 15,   30,    60,    120,   300,
					   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400 };
	int64_t ticks = (int64_t)(columns / COLUMNS_PER_TICK);
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(seconds) && seconds[i] * USEC_PER_SEC * ticks < span_us)
		i++;
	return seconds[i] * USEC_PER_SEC;
}

static int64_t zone_us(int64_t time_us)
{
	time_t seconds = (time_t)(time_us / USEC_PER_SEC);
	struct tm local = { 0 };

	(void)localtime_r(&seconds, &local);
	return local.tm_gmtoff * USEC_PER_SEC;
}

static void write_time(char text[static LABEL_SIZE], int64_t time_us, int64_t step_us)
{
	time_t seconds = (time_t)(time_us / USEC_PER_SEC);
	struct tm local = { 0 };

	(void)localtime_r(&seconds, &local);
	if (step_us % (86400 * USEC_PER_SEC) == 0)
		(void)strftime(text, LABEL_SIZE, "%m-%d", &local);
	else if (step_us % (60 * USEC_PER_SEC) == 0)
		(void)strftime(text, LABEL_SIZE, "%H:%M", &local);
	else
		(void)strftime(text, LABEL_SIZE, "%H:%M:%S", &local);
}

/* "13:15" with its middle under a column of the axis, if there is room left of it and to its right */
static size_t write_tick(const struct plot *plot, const char *text, size_t column, size_t written)
{
	size_t length = strlen(text), begin = column > length / 2 ? column - length / 2 : 0;

	if (begin + length > plot->columns)
		begin = plot->columns - length;
	if (written > 0 && begin <= written)
		return written;
	(void)fprintf(plot->to, "%*s%s", (int)(begin - written), "", text);
	return begin + length;
}

static void write_axis(const struct plot *plot)
{
	const bool ascii = plot->view->is_ascii;
	int64_t span_us = plot->end_us - plot->begin_us,
		step_us = time_step(span_us, plot->columns);
	int64_t zone = zone_us(plot->begin_us);
	int64_t first_us = ((plot->begin_us + zone) / step_us + 1) * step_us - zone,
		at_us = first_us;
	size_t written = 0;
	char text[LABEL_SIZE];

	(void)fprintf(plot->to, "%*s %s", plot->label_width, "", ascii ? "+" : "└");
	for (size_t column = 0; column < plot->columns; column++) {
		int64_t end_us =
			plot->begin_us + span_us * (int64_t)(column + 1) / (int64_t)plot->columns;
		bool is_tick = at_us < end_us;

		if (is_tick)
			at_us += step_us;
		(void)fputs(is_tick ? (ascii ? "+" : "┬") : (ascii ? "-" : "─"), plot->to);
	}
	(void)fprintf(plot->to, "\n%*s  ", plot->label_width, "");
	for (at_us = first_us; at_us < plot->end_us; at_us += step_us) {
		write_time(text, at_us, step_us);
		written = write_tick(
			plot, text,
			(size_t)((at_us - plot->begin_us) * (int64_t)plot->columns / span_us),
			written);
	}
	(void)fputc('\n', plot->to);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void find_label_width(struct plot *plot)
{
	char label[LABEL_SIZE];

	for (size_t row = 0; row < plot->rows; row++) {
		row_label(label, plot, row);
		if ((int)strlen(label) > plot->label_width)
			plot->label_width = (int)strlen(label);
	}
}

/* the span is that of the view, rounded to whole dots */
static int prepare(struct plot *plot, size_t width)
{
	int64_t dot_us;
	int r;

	plot->columns = width - 2 - (size_t)plot->label_width;
	plot->canvas = canvas_free(plot->canvas);
	r = canvas_new(&plot->canvas, plot->columns, plot->rows, plot->view->is_ascii);
	if (r < 0)
		return r;
	dot_us = plot->view->span_us / canvas_width(plot->canvas);
	if (dot_us < 1)
		dot_us = 1;
	plot->end_us = (plot->view->now_us / dot_us + 1) * dot_us;
	plot->begin_us = plot->end_us - dot_us * canvas_width(plot->canvas);
	find_scale(plot);
	return 0;
}

static void write_rows(const struct plot *plot)
{
	const bool ascii = plot->view->is_ascii;
	char label[LABEL_SIZE];

	for (size_t row = 0; row < plot->rows; row++) {
		row_label(label, plot, row);
		(void)fprintf(plot->to, "%*s ", plot->label_width, label);
		if (label[0])
			(void)fputs(ascii ? "+" : "┤", plot->to);
		else
			(void)fputs(ascii ? "|" : "│", plot->to);
		canvas_write(plot->canvas, row, plot->to);
		(void)fputc('\n', plot->to);
	}
}

static int draw(struct plot *plot, size_t width)
{
	int r = prepare(plot, width);

	if (r < 0)
		return r;
	find_label_width(plot);
	r = prepare(plot, width); /* now that it is known how wide the labels are */
	if (r < 0)
		return r;
	draw_samples(plot);
	write_rows(plot);
	write_axis(plot);
	return 0;
}

int plot_draw(char **ret, const struct history *history, const struct view *view, size_t width,
	      size_t height)
{
	struct plot plot = { .history = history, .view = view, .rows = height - 2 };
	cleanup(freep) char *text = NULL;
	size_t size;
	int r;

	if (width < PLOT_WIDTH_MIN || width > PLOT_SIDE_MAX || height < PLOT_HEIGHT_MIN ||
	    height > PLOT_SIDE_MAX)
		return -EINVAL;
	plot.to = open_memstream(&text, &size);
	if (!plot.to)
		return -ENOMEM;
	r = draw(&plot, width);
	canvas_free(plot.canvas);
	if (fclose(plot.to) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		*ret = take_ptr(text);
	return r;
}
