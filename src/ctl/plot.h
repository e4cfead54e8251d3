/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A history as a plot with axes, in lines of text. A pure function, but for the time zone. */

#include "history.h"

#define PLOT_WIDTH_MIN	40
#define PLOT_HEIGHT_MIN 6
#define PLOT_SIDE_MAX	1000 /* of width and height */

/**
 * plot_draw() - the plot, drawn of dots in characters of braille, 2 x 4 in each (in ASCII: 1 x 2)
 * @ret:    set on success only: @height lines, each with its '\n' and without blanks at its end; the caller
 *          frees it
 * @width:  in columns, PLOT_WIDTH_MIN .. PLOT_SIDE_MAX
 * @height: in lines, PLOT_HEIGHT_MIN .. PLOT_SIDE_MAX; the last two are the axis of times (local ones)
 *
 * Samples are joined by straight lines, unless hold_us passed between them; states by steps, of which the
 * last one reaches to the right end.
 * Return: 0; -EINVAL no such size; -ENOMEM.
 */
int plot_draw(char **ret, const struct history *history, const struct view *view, size_t width,
	      size_t height);
