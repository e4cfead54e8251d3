/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reading mqtt-io's file: a mapping, its keys as C types, and the lines that tell what has no counterpart in iotd.
 * What is wrong with a value is told, and then it counts as not given.
 */

#include <stdbool.h>
#include <stddef.h>

#include "iotd/base.h"
#include "tree.h"

#define ITEM_PATH_SIZE 96

/** struct item - a mapping of the file; node NULL: it is not there, and has no keys */
struct item {
	const yaml_node_t *node;
	char path[ITEM_PATH_SIZE]; /* "digital_inputs[0]"; "" of the file itself */
};

/** struct line - one that is told */
struct line {
	size_t number;
	char *text;
};

/** struct reader - the file, and what is told of it */
struct reader {
	struct tree tree;
	const char *file;
	struct line *lines;
	size_t line_count;
	int error; /* -ENOMEM: not all is told */
};

void reader_done(struct reader *reader);

/** reader_sort() - the lines by their numbers; those of the same line in the order in which they were told */
void reader_sort(struct reader *reader);

/** struct key - a key that mqtt-io has */
struct key {
	const char *name;  /* NULL ends a table */
	const char *words; /* what to do instead; NULL: it is mapped, or nothing has to be */
};

/** tell() - "FILE:LINE: PATH.KEY: words", at @key's value, or at the item if it has none. Twice the same: told once */
void tell(struct reader *reader, const struct item *item, const char *key, const char *format, ...)
	printf_like(4, 5);

/** tell_keys() - each key of @item that has words in @keys, or is not in it */
void tell_keys(struct reader *reader, const struct item *item, const struct key *keys);

/** item_has() - the key is there, and not null */
bool item_has(struct reader *reader, const struct item *item, const char *key);

/** item_text() - NULL: not given */
const char *item_text(struct reader *reader, const struct item *item, const char *key);

/** item_is() - a boolean in YAML 1.1's words: yes, true, on …; @preset: not given */
bool item_is(struct reader *reader, const struct item *item, const char *key, bool preset);

/** item_integer() - decimal, 0x… or 0… (octal), @minimum .. @maximum. Return: false - not given */
bool item_integer(struct reader *reader, const struct item *item, const char *key, long minimum,
		  long maximum, long *ret);

/** item_number() - finite. Return: false - not given */
bool item_number(struct reader *reader, const struct item *item, const char *key, double *ret);

/** item_child() - the mapping at @key; its node is NULL if there is none */
struct item item_child(struct reader *reader, const struct item *item, const char *key);

/** item_count() - elements of the list at @key of the file itself */
size_t item_count(struct reader *reader, const char *key);

/** item_at() - the @index-th, below item_count() */
struct item item_at(struct reader *reader, const char *key, size_t index);
