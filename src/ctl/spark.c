/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In ASCII there are no blocks of eight heights: what is higher is darker there, in the old way of
 * pictures on line printers.
 */
#include "spark.h"

#include <math.h>
#include <string.h>

#define LEVELS	8
#define MIDDLE	3
#define HIGHEST (LEVELS - 1)

static const char *const blocks[LEVELS] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
static const char *const shades[LEVELS] = { ".", ":", "-", "=", "+", "*", "#", "@" };

static const char *state_of(const struct stretch *stretch, bool is_ascii)
{
	if (stretch->low != stretch->high)
		return is_ascii ? "+" : blocks[MIDDLE];
	if (stretch->high > 0)
		return is_ascii ? "#" : blocks[HIGHEST];
	return is_ascii ? "_" : blocks[0];
}

static int level_of(double value, double low, double high)
{
	int level;

	if (!(high > low))
		return MIDDLE;
	level = (int)((value - low) / (high - low) * LEVELS);
	return level > HIGHEST ? HIGHEST : level;
}

void spark_write(char buffer[static SPARK_SIZE], const struct history *history,
		 const struct view *view, size_t columns)
{
	struct stretch stretches[SPARK_COLUMNS_MAX];
	int64_t width_us =
		view->span_us / (int64_t)columns > 0 ? view->span_us / (int64_t)columns : 1;
	int64_t begin_us = (view->now_us / width_us + 1 - (int64_t)columns) * width_us;
	double low = (double)INFINITY, high = -(double)INFINITY;
	char *end = buffer;

	for (size_t i = 0; i < columns; i++) {
		int64_t from_us = begin_us + (int64_t)i * width_us;

		stretches[i] = history_between(history, from_us, from_us + width_us, view->hold_us);
		if (!stretches[i].is_known)
			continue;
		low = fmin(low, stretches[i].mean);
		high = fmax(high, stretches[i].mean);
	}
	for (size_t i = 0; i < columns; i++) {
		const struct stretch *stretch = &stretches[i];
		int level = level_of(stretch->mean, low, high);

		if (!stretch->is_known)
			end = stpcpy(end, " ");
		else if (view->is_states)
			end = stpcpy(end, state_of(stretch, view->is_ascii));
		else
			end = stpcpy(end, view->is_ascii ? shades[level] : blocks[level]);
	}
}
