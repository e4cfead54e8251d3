/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/**
 * memory_use_little() - small stacks for threads, one heap for all of them
 *
 * For the whole process, libraries included. Call before the first thread starts. What cannot be set
 * stays as it is: iotd runs with glibc's own sizes too.
 */
void memory_use_little(void);

/** memory_give_back() - to the kernel, what malloc() keeps of what was freed. Any thread; takes milliseconds */
void memory_give_back(void);
