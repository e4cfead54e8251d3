/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cells.h"

#include <string.h>

#include "iotd/parse.h"

#define CHARACTER_SIZE 5 /* of UTF-8, with its NUL */

/* as much of it as @width columns hold. Return: how many that are */
static size_t write_cut(const struct pen *pen, const char *text, size_t width)
{
	char character[CHARACTER_SIZE];
	size_t length, columns, written = 0;

	for (; *text != '\0'; text += length) {
		length = text_character(text);
		length = length > 0 ? length : 1;
		memcpy(character, text, length);
		character[length] = '\0';
		columns = text_width(character);
		if (written + columns > width)
			break;
		(void)fputs(character, pen->to);
		written += columns;
	}
	return written;
}

void cell_write(const struct pen *pen, enum color color, const char *text, size_t width,
		bool is_right)
{
	size_t wide = text_width(text), written;
	bool fits = wide <= width;

	if (width == 0)
		return;
	if (is_right && fits)
		(void)fprintf(pen->to, "%*s", (int)(width - wide), "");
	(void)fputs(color_begin(color, pen->color), pen->to);
	written = write_cut(pen, text, fits ? width : width - 1);
	if (!fits) {
		(void)fputs(pen->is_ascii ? "~" : "…", pen->to);
		written++;
	}
	(void)fputs(color_end(color, pen->color), pen->to);
	if (!is_right || !fits)
		(void)fprintf(pen->to, "%*s", (int)(width - written), "");
}
