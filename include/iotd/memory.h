/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* a sanitizer looks at all that is allocated and freed */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMORY_IS_SANITIZED 1
#endif
#endif
#ifndef MEMORY_IS_SANITIZED
#define MEMORY_IS_SANITIZED 0
#endif

/**
 * memory_use_little() - small stacks for threads, one heap for all of them
 *
 * For the whole process, libraries included. Call before the first thread starts. What cannot be set
 * stays as it is: iotd runs with glibc's own sizes too.
 */
void memory_use_little(void);

/** memory_give_back() - to the kernel, what malloc() keeps of what was freed. Any thread; takes milliseconds */
void memory_give_back(void);
