/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * reallocarray() and calloc() that can run out of memory, for one .c file of a program. With
 * KEEP_CALLOC calloc() stays what it was: threads of the thread sanitizer call it before they are
 * set up.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static volatile int allocations_left = -1; /* -1: no end */

/* volatile: else gcc makes calloc() out of realloc() and memset(), and that would be ours */
static void *(*volatile system_realloc)(void *, size_t) = realloc;

static inline void *allocate(void *memory, size_t count, size_t size)
{
	if (allocations_left == 0) {
		errno = ENOMEM;
		return NULL;
	}
	if (allocations_left > 0)
		allocations_left--;
	return system_realloc(memory, count * size);
}

void *reallocarray(void *memory, size_t count, size_t size)
{
	return allocate(memory, count, size);
}

#ifndef KEEP_CALLOC
void *calloc(size_t count, size_t size)
{
	void *memory = allocate(NULL, count, size);

	return memory ? memset(memory, 0, count * size) : NULL;
}

/* valgrind has an allocator of its own */
static inline bool allocator_is_ours(void)
{
	void *volatile memory; /* else the compiler knows that a calloc() so small succeeds */

	allocations_left = 0;
	memory = calloc(1, 1);
	allocations_left = -1;
	if (!memory)
		return true;
	free(memory);
	return false;
}
#endif
