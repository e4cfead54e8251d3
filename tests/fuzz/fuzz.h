/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What all fuzz targets share. A target is a function that gets bytes and stops the program if a
 * promise is broken: by must(), or by a sanitizer. Built by clang with -Dfuzz=true it is a libFuzzer program;
 * else replay.c runs it on files, so that every build replays the corpus.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** the target; always returns 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT: libFuzzer's own name */

/** must() - a promise; where it is broken, the program ends and libFuzzer keeps the input */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__,           \
				      #condition);                                                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/** struct input - bytes that are taken from the front; behind their end there are zeros */
struct input {
	const uint8_t *data;
	size_t left;
};

static inline uint8_t input_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->data++;
}

/** input_bytes() - fills @buffer */
static inline void input_bytes(struct input *input, void *buffer, size_t size)
{
	size_t length = size < input->left ? size : input->left;

	memset(buffer, 0, size);
	if (length > 0)
		memcpy(buffer, input->data, length);
	input->data += length;
	input->left -= length;
}

/** input_number() - 0 .. @limit - 1 */
static inline uint64_t input_number(struct input *input, uint64_t limit)
{
	uint64_t number = 0;

	input_bytes(input, &number, limit <= 256 ? 1 : limit <= 65536 ? 2 : 8);
	must(limit > 0);
	return number % limit;
}

/** input_double() - any 64 bits: infinite and NAN too */
static inline double input_double(struct input *input)
{
	double number;

	input_bytes(input, &number, sizeof(number));
	return number;
}

/** input_until() - the bytes before @mark, which is skipped, as a text; all that is left if there is none. Caller frees */
char *input_until(struct input *input, uint8_t mark, size_t *ret_length);

/** text_is_clean() - UTF-8 without control characters */
bool text_is_clean(const char *text);

/** text_is_utf8() */
bool text_is_utf8(const char *text, size_t length);

/** folder_enter() - once: the program runs in a folder of its own in memory, gone when it ends */
void folder_enter(void);

/** file_put() - write a file of the folder */
void file_put(const char *name, const void *data, size_t length);

/** file_get() - all of it; NULL: there is none. Caller frees */
uint8_t *file_get(const char *name, size_t *ret_length);
