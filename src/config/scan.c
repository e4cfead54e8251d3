/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look at the text before libconfig gets it, for what it takes badly (tried with 1.5 and 1.7):
 *
 * - strings, also in several pieces: grown by 64 bytes at a time, so long ones are O(n²);
 * - siblings: looking for duplicates is O(n²), 40,000 keys take 10 s; of a duplicate it only tells the
 *   line, and nothing of what else is wrong, so it gets to see another name;
 * - lists: grown by 16 elements at a time, so a million can take minutes;
 * - nesting: its parser and its destructor recurse;
 * - integers over 32 bits: 1.5 wraps them silently;
 * - leading zeros: decimal in 1.5, octal since 1.6;
 * - the escape \x00: cuts the string without a word;
 * - floats over the range of a double: become infinite.
 *
 * This is no parser: in doubt a token is left to libconfig, which knows the grammar.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scan.h"

#define NUMBER_MAX 400 /* bytes of a number: a double with all its decimals */
#define PATH_SIZE  256
#define NAME_SHOWN 40

struct name {
	const char *text;
	size_t length;
	char first; /* of @text, where that of a duplicate is a "*" by now */
};

struct scan {
	char *data;
	const char *at, *end;
	size_t line;
	struct faults *faults;
	unsigned int keys[SCAN_DEPTH_MAX + 1];	   /* of the group at each depth */
	unsigned int elements[SCAN_DEPTH_MAX + 1]; /* of the list at each depth */
	struct name *names; /* keys of the open groups, those of the innermost last */
	size_t starts[SCAN_DEPTH_MAX + 1]; /* where in @names each depth begins */
	size_t name_count, name_capacity;
	struct name word; /* the latest, which may be a key */
	size_t depth;
	size_t values;
	size_t string; /* bytes of the string so far, which may come in pieces: "a" "b" */
};

/* is_word() - bytes of a name or a number; locale-free */
static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '*';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Return: false - the rest cannot be looked at */
static bool scan_bracket(struct scan *scan, char c)
{
	if (!strchr("{[(", c)) {
		scan->name_count = scan->starts[scan->depth];
		scan->depth -= scan->depth > 0;
		return true;
	}
	if (scan->depth == SCAN_DEPTH_MAX) {
		fault_line(scan->faults, scan->line, "brackets are nested more than %d deep",
			   SCAN_DEPTH_MAX);
		return false;
	}
	scan->depth++;
	scan->keys[scan->depth] = scan->elements[scan->depth] = 0;
	scan->starts[scan->depth] = scan->name_count;
	return true;
}

/* as much of @text as there is room for */
static void path_add(char path[static PATH_SIZE], const char *text, size_t length)
{
	size_t used = strlen(path), room = PATH_SIZE - 1 - used;

	if (length > room)
		length = room;
	memcpy(path + used, text, length);
	path[used + length] = '\0';
}

static void path_add_key(char path[static PATH_SIZE], const struct name *key)
{
	if (*path != '\0')
		path_add(path, ".", 1);
	path_add(path, &key->first, 1);
	path_add(path, key->text + 1, (key->length < NAME_SHOWN ? key->length : NAME_SHOWN) - 1);
}

/* scan_duplicate() - a depth that a key led to has that key as the last of the one above */
static void scan_duplicate(struct scan *scan)
{
	char path[PATH_SIZE] = "", index[16];

	for (size_t depth = 1; depth <= scan->depth; depth++) {
		if (scan->starts[depth] > scan->starts[depth - 1]) {
			path_add_key(path, &scan->names[scan->starts[depth] - 1]);
		} else {
			(void)snprintf(index, sizeof(index), "[%u]", scan->elements[depth - 1]);
			path_add(path, index, strlen(index));
		}
	}
	path_add_key(path, &scan->word);
	fault_line(scan->faults, scan->line, "%s: a key that its group has already", path);
	scan->data[scan->word.text - scan->data] = '*';
}

/* scan_key() - behind a key's "=" */
static void scan_key(struct scan *scan)
{
	const struct name *word = &scan->word, *name;

	if (word->length == 0)
		return;
	for (size_t i = scan->starts[scan->depth]; i < scan->name_count; i++) {
		name = &scan->names[i];
		if (name->length == word->length &&
		    memcmp(name->text, word->text, word->length) == 0) {
			scan_duplicate(scan);
			break;
		}
	}
	if (scan->name_count == scan->name_capacity) {
		size_t capacity = scan->name_capacity * 2 + 64;
		struct name *grown = reallocarray(scan->names, capacity, sizeof(*grown));

		if (!grown) {
			fault_memory(scan->faults);
			return;
		}
		scan->names = grown;
		scan->name_capacity = capacity;
	}
	scan->names[scan->name_count++] = *word;
	scan->word.length = 0;
}

static bool scan_value(struct scan *scan, char c)
{
	if (++scan->values > SCAN_VALUES_MAX) {
		fault_line(scan->faults, scan->line, "more than %d values", SCAN_VALUES_MAX);
		return false;
	}
	if (c == ',' && ++scan->elements[scan->depth] > SCAN_ELEMENTS_MAX) {
		fault_line(scan->faults, scan->line, "more than %d elements in one list",
			   SCAN_ELEMENTS_MAX);
		return false;
	}
	if (c != ',' && ++scan->keys[scan->depth] > SCAN_KEYS_MAX) {
		fault_line(scan->faults, scan->line, "more than %d keys in one group",
			   SCAN_KEYS_MAX);
		return false;
	}
	if (c != ',')
		scan_key(scan);
	return true;
}

static void scan_integer(struct scan *scan, const char *number, size_t length)
{
	char text[NUMBER_MAX + 1], *end;
	const char *digits = number + (*number == '-' || *number == '+');
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	size_t suffix = 0;
	long long value;

	memcpy(text, number, length);
	text[length] = '\0';
	if (!hex && digits[0] == '0' && is_digit(digits[1])) {
		fault_line(scan->faults, scan->line,
			   "%s: leave out the leading zero (it means octal to some)", text);
		return;
	}
	errno = 0;
	value = strtoll(text, &end, hex ? 16 : 10);
	while (*end == 'L' && suffix < 2) {
		end++;
		suffix++;
	}
	if (*end != '\0')
		return; /* no number; libconfig will tell */
	if (hex && errno != ERANGE && suffix == 0 && value > INT32_MAX)
		fault_line(scan->faults, scan->line, "%s: of over 31 bits: write %sL", text, text);
	else if (errno == ERANGE || (suffix == 0 && (value > INT32_MAX || value < INT32_MIN)))
		fault_line(scan->faults, scan->line,
			   "%s: the number is too large (sizes and durations may be written as "
			   "\"5G\", \"90d\")",
			   text);
}

static void scan_float(struct scan *scan, const char *number, size_t length)
{
	char text[NUMBER_MAX + 1];

	memcpy(text, number, length);
	text[length] = '\0';
	if (!isfinite(strtod(text, NULL)))
		fault_line(scan->faults, scan->line, "%s: the number is too large", text);
}

/* scan_number() - at a digit, a sign or a point */
static void scan_number(struct scan *scan)
{
	const char *start = scan->at, *at = start + 1;
	bool hex = start + 1 < scan->end && strspn(start, "+-") <= 1 &&
		   (start[strspn(start, "+-")] == '0') &&
		   (start[strspn(start, "+-") + 1] == 'x' || start[strspn(start, "+-") + 1] == 'X');
	bool fraction = *start == '.';

	while (at < scan->end && (is_word(*at) || ((*at == '+' || *at == '-') && !hex &&
						   (at[-1] == 'e' || at[-1] == 'E')))) {
		fraction = fraction || (!hex && (*at == '.' || *at == 'e' || *at == 'E'));
		at++;
	}
	scan->at = at;
	if (at - start > NUMBER_MAX)
		fault_line(scan->faults, scan->line, "a number of more than %d digits", NUMBER_MAX);
	else if (fraction)
		scan_float(scan, start, (size_t)(at - start));
	else
		scan_integer(scan, start, (size_t)(at - start));
}

/* Return: false - stop */
static bool scan_plain(struct scan *scan)
{
	char c = *scan->at;

	if (!strchr(" \t\r\n\f\v", c))
		scan->string = 0;
	if (is_digit(c) || c == '+' || c == '-' || c == '.') {
		scan_number(scan);
		scan->word.length = 0;
		return true;
	}
	if (is_word(c)) {
		scan->word.text = scan->at;
		scan->word.first = *scan->at;
		while (scan->at < scan->end && (is_word(*scan->at) || *scan->at == '-'))
			scan->at++;
		scan->word.length = (size_t)(scan->at - scan->word.text);
		return true;
	}
	scan->at++;
	if (strchr("{[()]}", c))
		return scan_bracket(scan, c);
	if (c == '=' || c == ':' || c == ',')
		return scan_value(scan, c);
	return true;
}

/* scan_string() - @length more bytes. Return: false - stop */
static bool scan_string(struct scan *scan, size_t length)
{
	scan->string += length;
	if (scan->string > SCAN_STRING_MAX) {
		fault_line(scan->faults, scan->line, "a string of more than %d bytes",
			   SCAN_STRING_MAX);
		return false;
	}
	if (scan->end - scan->at >= 4 && strncasecmp(scan->at, "\\x00", 4) == 0)
		fault_line(scan->faults, scan->line, "the string holds a NUL byte (\\x00)");
	return true;
}

void scan_text(struct text *text, struct faults *faults)
{
	struct scan scan = { .data = text->data,
			     .at = text->data,
			     .end = text->data + text->length,
			     .line = 1,
			     .faults = faults };
	enum lex_state state = LEX_PLAIN;

	while (scan.at < scan.end && faults->error == 0) {
		enum lex_state before = state;
		const char *from = scan.at;
		size_t length = lex_step(&state, from, scan.end);

		if (before == LEX_STRING && !scan_string(&scan, length))
			break;
		if (before != LEX_PLAIN || state != LEX_PLAIN)
			scan.at += length;
		else if (!scan_plain(&scan))
			break;
		for (; from < scan.at; from++)
			scan.line += *from == '\n';
	}
	faults->cut = scan.at < scan.end;
	free(scan.names);
}
