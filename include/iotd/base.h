/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ownership and small conveniences, after systemd's: a local that owns is declared with cleanup()
 * and given away with take_ptr() or take_fd(), so that no error path frees by hand.
 */

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(function)	 __attribute__((cleanup(function)))
#define printf_like(text, first) __attribute__((format(printf, text, first)))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/** container_of() - the struct that @pointer is embedded in as @member */
#define container_of(pointer, type, member)                                                        \
	((type *)(void *)(((char *)(pointer)) - offsetof(type, member)))

/** take_ptr() - the value of an owning pointer variable, which becomes NULL */
#define take_ptr(pointer)                                                                          \
	({                                                                                         \
		__typeof__(pointer) *taken_from = &(pointer);                                      \
		__typeof__(pointer) taken = *taken_from;                                           \
		*taken_from = NULL;                                                                \
		taken;                                                                             \
	})

/** take_fd() - the value of an owning descriptor variable, which becomes -1 */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/** freep() - for cleanup(freep): free what a pointer variable points to */
static inline void freep(void *variable)
{
	free(*(void **)variable);
}

/** closep() - for cleanup(closep): close a descriptor variable unless it is negative */
static inline void closep(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
