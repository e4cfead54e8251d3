/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "did you mean": the nearest of the words that are known. */

#include <stddef.h>

#define SUGGEST_LENGTH 64

/** struct suggest - begin with { .word = … } */
struct suggest {
	const char *word;
	const char *best; /* of those offered; not copied */
	size_t distance;
	char text[SUGGEST_LENGTH + 24];
};

/** suggest_offer() - a known word; NULL is fine */
void suggest_offer(struct suggest *suggest, const char *known);

/** suggest_text() - ` (did you mean "KNOWN"?)`, or "" if nothing is near; lives in @suggest */
const char *suggest_text(struct suggest *suggest);
