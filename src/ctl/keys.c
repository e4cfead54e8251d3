/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "keys.h"

#include <string.h>

#include "iotd/base.h"

#define ESCAPE '\033'

static const struct {
	const char *bytes;
	enum key key;
} keys[] = {
	{ "q", KEY_QUIT },
	{ "Q", KEY_QUIT },
	{ "k", KEY_UP },
	{ "j", KEY_DOWN },
	{ "\033[A", KEY_UP },
	{ "\033[B", KEY_DOWN },
	{ "\033OA", KEY_UP }, /* in application mode */
	{ "\033OB", KEY_DOWN },
	{ "b", KEY_PAGE_UP },
	{ " ", KEY_PAGE_DOWN },
	{ "\033[5~", KEY_PAGE_UP },
	{ "\033[6~", KEY_PAGE_DOWN },
	{ "g", KEY_HOME },
	{ "G", KEY_END },
	{ "\033[H", KEY_HOME },
	{ "\033[F", KEY_END },
	{ "\033[1~", KEY_HOME },
	{ "\033[4~", KEY_END },
	{ "\033OH", KEY_HOME },
	{ "\033OF", KEY_END },
	{ "s", KEY_SORT },
	{ "\014", KEY_REDRAW }, /* ^L */
};

/* of the sequence that ESC begins: ECMA-48 5.4, parameters and intermediates up to a final byte */
static size_t sequence_length(const char *bytes, size_t length)
{
	size_t end = 2;

	if (length < 2 || (bytes[1] != '[' && bytes[1] != 'O'))
		return 1;
	while (end < length && bytes[end] >= 0x20 && bytes[end] < 0x40)
		end++;
	return end < length ? end + 1 : length;
}

size_t key_decode(enum key *ret, const char *bytes, size_t length)
{
	size_t taken = bytes[0] == ESCAPE ? sequence_length(bytes, length) : 1;

	*ret = KEY_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].bytes) == taken && memcmp(keys[i].bytes, bytes, taken) == 0)
			*ret = keys[i].key;
	return taken;
}
