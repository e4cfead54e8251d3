/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was pressed, out of the bytes that a terminal sends for it. A pure function. */

#include <stddef.h>

enum key {
	KEY_NONE, /* one that means nothing here */
	KEY_QUIT,
	KEY_UP,
	KEY_DOWN,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_SORT,
	KEY_REDRAW
};

/**
 * key_decode() - the first key of some bytes
 * @ret: always set
 * @bytes, @length: at least 1
 *
 * A sequence is taken to arrive whole. Return: how many bytes it has, 1 .. @length
 */
size_t key_decode(enum key *ret, const char *bytes, size_t length);
