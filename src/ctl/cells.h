/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cells of a table whose columns have a fixed width: what is longer is cut. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "text.h"

/** struct pen - how cells are written */
struct pen {
	FILE *to;
	bool color;    /* colours may be used */
	bool is_ascii; /* what is cut ends in ~, not in … */
};

/**
 * cell_write() - @text in exactly @width columns of the terminal
 * @text: free of control characters
 * @is_right: blanks before it, not behind it
 */
void cell_write(const struct pen *pen, enum color color, const char *text, size_t width,
		bool is_right);
