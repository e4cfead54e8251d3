/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look at the text before libconfig gets it, for what it takes badly (tried with 1.5 and 1.7):
 *
 * - strings, also in several pieces: grown by 64 bytes at a time, so long ones are O(n²);
 * - siblings: looking for duplicates is O(n²), 40,000 keys take 10 s;
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
#include <string.h>

#include "scan.h"

#define NUMBER_MAX 400 /* bytes of a number: a double with all its decimals */

struct scan {
	const char *at, *end;
	size_t line;
	struct faults *faults;
	unsigned int keys[SCAN_DEPTH_MAX + 1];	   /* of the group at each depth */
	unsigned int elements[SCAN_DEPTH_MAX + 1]; /* of the list at each depth */
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
	return true;
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
	if (errno == ERANGE || (suffix == 0 && (value > INT32_MAX || value < INT32_MIN)))
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
		return true;
	}
	if (is_word(c)) {
		while (scan->at < scan->end && (is_word(*scan->at) || *scan->at == '-'))
			scan->at++;
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
	if (scan->end - scan->at >= 4 && memcmp(scan->at, "\\x00", 4) == 0)
		fault_line(scan->faults, scan->line, "the string holds a NUL byte (\\x00)");
	return true;
}

void scan_text(const struct text *text, struct faults *faults)
{
	struct scan scan = {
		.at = text->data, .end = text->data + text->length, .line = 1, .faults = faults
	};
	enum lex_state state = LEX_PLAIN;

	while (scan.at < scan.end) {
		enum lex_state before = state;
		const char *from = scan.at;
		size_t length = lex_step(&state, from, scan.end);

		if (before == LEX_STRING && !scan_string(&scan, length))
			return;
		if (before != LEX_PLAIN || state != LEX_PLAIN)
			scan.at += length;
		else if (!scan_plain(&scan))
			return;
		for (; from < scan.at; from++)
			scan.line += *from == '\n';
	}
}
