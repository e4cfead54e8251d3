/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A history in one line of text. A pure function. */

#include "history.h"

#define SPARK_COLUMNS_MAX 120
#define SPARK_SIZE	  (3 * SPARK_COLUMNS_MAX + 1) /* of UTF-8, with its NUL */

/**
 * spark_write() - a column of blocks for each part of the view, from ▁ (the lowest) to █ (the highest)
 * @columns: 1 .. SPARK_COLUMNS_MAX, and so many characters are written
 *
 * A column shows the mean of its samples, or what still held; nothing known is a blank, and a value that never
 * moves is a line in the middle. Of a line's states on is █, off ▁, and both within one column ▄
 * (in ASCII # and _ and +).
 * Columns begin at multiples of their width, so that what is drawn stands still until it moves by one.
 */
void spark_write(char buffer[static SPARK_SIZE], const struct history *history,
		 const struct view *view, size_t columns);
