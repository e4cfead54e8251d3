/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much address space a thread costs. glibc's defaults are 8 MiB of stack and a heap of its own
 * that reserves 64 MiB: 16 threads are a gigabyte, which ends under RLIMIT_AS or with strict overcommit.
 *
 * The stack: the most that was measured on a thread (stack filled with a pattern, x86-64) is 16 KiB in
 * getaddrinfo() with DNS, 14 KiB in SQLite, 12 KiB in a TLS handshake, 9 KiB in sd_journal_sendv().
 * STACK_SIZE is thirty times that, for the name services of others (nsswitch.conf(5)).
 *
 * One heap: workers allocate rarely, small things come from a cache of each thread, and what one
 * thread frees the next can use. 1, not 2: a second one would reserve 64 MiB again. It keeps what lies
 * below the last thing in use: after a long outage without a disk that is most of 16 MiB (measured).
 *
 * What is large goes back to the kernel when it is freed. glibc would do so only once: then it
 * takes the size for usual, and keeps it (mallopt(3), M_MMAP_THRESHOLD). One message of 16 MiB from
 * a stranger on D-Bus, and iotd would be that much larger from then on.
 */
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>

#include "iotd/memory.h"

#define STACK_SIZE ((size_t)512 * 1024)
#define LARGE_SIZE (1024 * 1024)

void memory_use_little(void)
{
	pthread_attr_t attributes;

	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_SIZE);
	if (MEMORY_IS_SANITIZED || pthread_attr_init(&attributes) != 0)
		return; /* a sanitizer's frames are many times larger */
	if (pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0)
		(void)pthread_setattr_default_np(&attributes);
	(void)pthread_attr_destroy(&attributes);
}

void memory_give_back(void)
{
	(void)malloc_trim(0);
}
