/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Optimal string alignment distance (Damerau-Levenshtein without repeated edits): a swap of
 * neighbours counts one, as typing does. A word of up to three letters may be one edit away, up to six two,
 * longer ones three. Case does not count, '-' and '_' are the same. Where nothing is as near, what the word
 * is the beginning of will do: "u16" is meant to be "u16be".
 */
#include <stdio.h>
#include <string.h>

#include "iotd/suggest.h"

static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '-' ? '_' : c;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* distance() - both are at most SUGGEST_LENGTH long */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][SUGGEST_LENGTH + 1];

	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *higher = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t change = fold(a[i - 1]) != fold(b[j - 1]);

			row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + change);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = smaller(row[j], higher[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

void suggest_offer(struct suggest *suggest, const char *known)
{
	size_t length = strnlen(suggest->word, SUGGEST_LENGTH + 1);
	size_t known_length = known ? strlen(known) : 0;
	size_t limit = length <= 3 ? 1 : length <= 6 ? 2 : 3, edits;

	if (length == 0 || length > SUGGEST_LENGTH || known_length == 0 ||
	    known_length > SUGGEST_LENGTH)
		return;
	if (length >= 3 && !suggest->best && known_length > length + limit &&
	    strncasecmp(suggest->word, known, length) == 0) {
		suggest->best = known;
		suggest->distance = limit + 1; /* whatever is nearer wins */
		return;
	}
	if (length > known_length + limit || known_length > length + limit)
		return;
	edits = distance(suggest->word, length, known, known_length);
	if (edits > limit || edits >= length || (suggest->best && edits >= suggest->distance))
		return;
	suggest->best = known;
	suggest->distance = edits;
}

const char *suggest_text(struct suggest *suggest)
{
	suggest->text[0] = '\0';
	if (suggest->best)
		(void)snprintf(suggest->text, sizeof(suggest->text), " (did you mean \"%s\"?)",
			       suggest->best);
	return suggest->text;
}
