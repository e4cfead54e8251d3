/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "text.h"

void table_add(struct table *table, enum color color, const char *text)
{
	struct cell *cells = reallocarray(table->cells, table->count + 1, sizeof(*cells));
	char *copy = strdup(text);

	if (cells)
		table->cells = cells;
	if (!cells || !copy) {
		table->is_short = true;
		free(copy);
		return;
	}
	cells[table->count++] = (struct cell){ .text = copy, .color = color };
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t width, widest = 0;

	for (size_t i = column; i < table->count; i += table->columns) {
		width = text_width(table->cells[i].text);
		if (width > widest)
			widest = width;
	}
	return widest;
}

static void print_cell(const struct cell *cell, size_t width, FILE *file, bool color)
{
	size_t blanks = width > 0 ? width - text_width(cell->text) + 2 : 0;

	(void)fprintf(file, "%s%s%s%*s", color_begin(cell->color, color), cell->text,
		      color_end(cell->color, color), (int)blanks, "");
}

/* a row that ends in empty cells ends before them: no blanks at the end of a line */
static size_t row_end(const struct table *table, size_t row)
{
	size_t end = row + table->columns < table->count ? row + table->columns : table->count;

	while (end > row && table->cells[end - 1].text[0] == '\0')
		end--;
	return end;
}

int table_print(const struct table *table, FILE *file, int indent, bool color)
{
	cleanup(freep) size_t *widths = calloc(table->columns, sizeof(*widths));
	size_t end;

	if (!widths || table->is_short)
		return -ENOMEM;
	for (size_t i = 0; i < table->columns; i++)
		widths[i] = column_width(table, i);
	for (size_t row = 0; row < table->count; row += table->columns) {
		end = row_end(table, row);
		(void)fprintf(file, "%*s", indent, "");
		for (size_t i = row; i < end; i++)
			print_cell(&table->cells[i], i + 1 < end ? widths[i - row] : 0, file,
				   color);
		(void)fputc('\n', file);
	}
	return 0;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->cells);
	*table = (struct table){ 0 };
}
