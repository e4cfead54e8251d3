/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Values, times and tables for people. Pure but for the printing functions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "device.h"

#define TEXT_SIZE 512 /* of all that is written here; a number has 330 bytes at most */

enum color {
	COLOR_PLAIN,
	COLOR_BOLD,
	COLOR_DIM,
	COLOR_RED,
	COLOR_GREEN,
	COLOR_YELLOW
};

/** color_begin() - the escape sequence, "" if not @is_on; color_end() ends it */
const char *color_begin(enum color color, bool is_on);
const char *color_end(enum color color, bool is_on);

/** text_clean() - a "?" for every control character (C0, DEL, C1) and for what is no UTF-8 */
void text_clean(char *text);

/** text_clean_lines() - the same, but lines and tabs stay */
void text_clean_lines(char *text);

/** text_width() - columns of a terminal that UTF-8 takes: CJK has two a character, combining marks none */
size_t text_width(const char *text);

/** number_text() - "21.37", "1e+300"; "-" for what is no number */
void number_text(char *buffer, size_t size, double number);

/** value_text() - the number with its unit: "21.37 °C", "40"; "-" if it is not known */
void value_text(char *buffer, size_t size, const struct device_channel *channel);

/** values_text() - of all channels: "temperature 21.37 °C, humidity 40.2 %"; "on", "off"; "-": nothing known; of @size TEXT_SIZE or so */
void values_text(char *buffer, size_t size, const struct device *device);

/** age_text() - "3 s", "5 min", "2 h", "3 d": cut, not rounded; "-" if negative */
void age_text(char *buffer, size_t size, int64_t age_us);

/** lapse_text() - a short time as it was measured: "3.4 ms", "870 us", "1.2 s" */
void lapse_text(char *buffer, size_t size, uint64_t lapse_us);

/** bytes_text() - "812 bytes", "1.5 KiB", "64 MiB" */
void bytes_text(char *buffer, size_t size, uint64_t bytes);

/** status_color() - green online, red offline, plain unknown */
enum color status_color(enum device_status status);

/** struct table - cells row by row; begin with { .columns = … }, release with table_free() */
struct table {
	size_t columns;
	struct cell {
		char *text;
		enum color color;
	} * cells;
	size_t count;  /* of cells */
	bool is_short; /* of memory: a cell is missing */
};

/** table_add() - the next cell */
void table_add(struct table *table, enum color color, const char *text);

/**
 * table_print() - all rows, columns side by side with two blanks between them
 * @indent: blanks before each row
 * The last column is not filled up. Return: 0; -ENOMEM: printed nothing, for a cell is missing.
 */
int table_print(const struct table *table, FILE *file, int indent, bool color);

/** table_free() - the cells; for cleanup(), too */
void table_free(struct table *table);
