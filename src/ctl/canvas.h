/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Dots, and the characters that show them: of braille 2 x 4 dots, of ASCII 1 x 2. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "iotd/base.h"

struct canvas;

/** struct dot - 0, 0 is the upper left one */
struct dot {
	int x, y;
};

/**
 * canvas_new() - an empty one
 * @ret: set on success only; the caller frees it with canvas_free()
 * @columns, @rows: characters, 1 .. 1000
 * Return: 0; -ENOMEM.
 */
int canvas_new(struct canvas **ret, size_t columns, size_t rows, bool is_ascii);

/** canvas_free() - also of NULL. Return: NULL */
struct canvas *canvas_free(struct canvas *canvas);

static inline void canvas_freep(struct canvas **canvas)
{
	*canvas = canvas_free(*canvas);
}

/** canvas_width() - in dots */
int canvas_width(const struct canvas *canvas);

/** canvas_height() - in dots */
int canvas_height(const struct canvas *canvas);

/** canvas_line() - a straight line; both ends are on the canvas */
void canvas_line(struct canvas *canvas, struct dot from, struct dot to);

/** canvas_write() - the characters of one row, without blanks at its end, and no '\n' */
void canvas_write(const struct canvas *canvas, size_t row, FILE *to);
