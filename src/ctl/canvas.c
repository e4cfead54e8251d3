/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "canvas.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

struct canvas {
	size_t columns, rows;
	bool is_ascii;
	uint8_t cells[]; /* their dots, as bits of a character of braille */
};

/* Unicode 15, U+2800: dots 1 2 3 7 are the left column from above, 4 5 6 8 the right one */
static const uint8_t braille[4][2] = {
	{ 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 }
};

int canvas_new(struct canvas **ret, size_t columns, size_t rows, bool is_ascii)
{
	struct canvas *canvas = calloc(1, sizeof(*canvas) + columns * rows);

	if (!canvas)
		return -ENOMEM;
	canvas->columns = columns;
	canvas->rows = rows;
	canvas->is_ascii = is_ascii;
	*ret = canvas;
	return 0;
}

struct canvas *canvas_free(struct canvas *canvas)
{
	free(canvas);
	return NULL;
}

int canvas_width(const struct canvas *canvas)
{
	return (int)canvas->columns * (canvas->is_ascii ? 1 : 2);
}

int canvas_height(const struct canvas *canvas)
{
	return (int)canvas->rows * (canvas->is_ascii ? 2 : 4);
}

static void set(struct canvas *canvas, struct dot dot)
{
	size_t x = (size_t)dot.x, y = (size_t)dot.y;

	if (canvas->is_ascii)
		canvas->cells[y / 2 * canvas->columns + x] |= braille[y % 2][0];
	else
		canvas->cells[y / 4 * canvas->columns + x / 2] |= braille[y % 4][x % 2];
}

/* Bresenham's, for all directions */
void canvas_line(struct canvas *canvas, struct dot from, struct dot to)
{
	int dx = abs(to.x - from.x), dy = -abs(to.y - from.y);
	int step_x = from.x < to.x ? 1 : -1, step_y = from.y < to.y ? 1 : -1;
	int error = dx + dy;

	for (;;) {
		int twice = 2 * error;

		set(canvas, from);
		if (from.x == to.x && from.y == to.y)
			return;
		if (twice >= dy) {
			error += dy;
			from.x += step_x;
		}
		if (twice <= dx) {
			error += dx;
			from.y += step_y;
		}
	}
}

static void write_cell(uint8_t cell, bool is_ascii, FILE *to)
{
	static const char ascii[4] = " '.:"; /* by the bits of the upper and the lower dot */

	if (cell == 0)
		(void)fputc(' ', to);
	else if (is_ascii)
		(void)fputc(ascii[cell], to);
	else /* U+2800 + cell in UTF-8 */
		(void)fprintf(to, "\xe2%c%c", 0xa0 + (cell >> 6), 0x80 + (cell & 0x3f));
}

void canvas_write(const struct canvas *canvas, size_t row, FILE *to)
{
	const uint8_t *cells = &canvas->cells[row * canvas->columns];
	size_t count = canvas->columns;

	while (count > 0 && cells[count - 1] == 0)
		count--;
	for (size_t i = 0; i < count; i++)
		write_cell(cells[i], canvas->is_ascii, to);
}
