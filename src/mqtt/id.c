/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An id comes back as it came, so its own text is kept: through a parser 1e2 became 100.0, and an
 * integer over 64 bits could not pass at all. The text has been parsed before, so it is sound and
 * only strings need care: brackets in them are none.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "id.h"
#include "iotd/base.h"

struct text {
	const char *at, *end;
};

static void skip_blanks(struct text *text)
{
	while (text->at < text->end && isspace((unsigned char)*text->at))
		text->at++;
}

/* string_end() - behind the string that begins at @text->at */
static const char *string_end(const struct text *text)
{
	const char *at = text->at + 1;

	while (at < text->end && *at != '"')
		at += *at == '\\' ? 2 : 1;
	return at + 1;
}

/* take_value() - passes a value, and copies it to @to; Return: bytes copied */
static size_t take_value(struct text *text, char *to)
{
	const char *start = to, *from;
	unsigned int depth = 0;

	while (text->at < text->end) {
		from = text->at;
		if (depth == 0 && (*from == ',' || *from == '}'))
			break;
		text->at = *from == '"' ? string_end(text) : from + 1;
		depth += *from == '{' || *from == '[';
		depth -= *from == '}' || *from == ']';
		if (isspace((unsigned char)*from))
			continue;
		memcpy(to, from, (size_t)(text->at - from));
		to += text->at - from;
	}
	return (size_t)(to - start);
}

/* is_id() - "id", in whatever spelling JSON has for it: "\u0069d" */
static bool is_id(const char *key, size_t length)
{
	static const char *const letters[] = { "id", "\\u0069", "\\u0064" };

	for (size_t i = 0; i < 2; i++) {
		if (length > 0 && *key == letters[0][i]) {
			key++;
			length--;
		} else if (length >= 6 && strncmp(key, letters[i + 1], 6) == 0) {
			key += 6;
			length -= 6;
		} else {
			return false;
		}
	}
	return length == 0;
}

char *id_copy(const char *object, size_t length)
{
	cleanup(freep) char *value = malloc(length + 1);
	struct text text = { object, object + length };
	const char *key;
	size_t size = 0;
	bool found = false;

	if (!value)
		return NULL;
	skip_blanks(&text);
	while (text.at < text.end && !found) {
		text.at++; /* { or , */
		skip_blanks(&text);
		key = text.at;
		text.at = string_end(&text);
		found = is_id(key + 1, (size_t)(text.at - key) - 2);
		skip_blanks(&text);
		text.at++; /* : */
		size = take_value(&text, value);
	}
	value[size] = '\0';
	return take_ptr(value);
}
