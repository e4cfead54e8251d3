/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One text made of a configuration file and all that it includes, and where each of its lines came from. */

#include <stddef.h>

#define TEXT_SIZE_MAX  (8U << 20)
#define TEXT_DEPTH_MAX 10
#define TEXT_FILES_MAX 1000

struct faults;

/** enum lex_state - where in libconfig's grammar a byte stands, as far as it matters here */
enum lex_state {
	LEX_PLAIN,
	LEX_STRING,
	LEX_LINE_COMMENT,
	LEX_BLOCK_COMMENT
};

/** struct text_segment - lines of the text from @first on came from @file, line @line on */
struct text_segment {
	size_t first;
	const char *file;
	size_t line;
};

struct text {
	char *data; /* NUL-terminated; holds no other NUL */
	size_t length, capacity;
	size_t line; /* the line of the text that comes next, from 1 */
	char **files;
	size_t file_count;
	struct text_segment *segments; /* ascending */
	size_t segment_count, segment_capacity;
};

/** struct place - a line of a file */
struct place {
	const char *file;
	size_t line;
};

/**
 * text_load() - read @file and expand its @include lines; faults are added to @faults
 * Return: 0, also with faults; -ENOMEM.
 */
int text_load(struct text *text, const char *file, struct faults *faults);

/** text_done() - free what it holds */
void text_done(struct text *text);

/** text_place() - where line @line of the text came from */
struct place text_place(const struct text *text, size_t line);

/** lex_step() - take the next token's bytes (1 or 2) and enter the state behind them. Return: how many */
size_t lex_step(enum lex_state *state, const char *at, const char *end);
