/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * File descriptors, which are limited (RLIMIT_NOFILE, getrlimit(2)). What comes in any number,
 * such as the files of sensors, must leave some for what there is one of: the broker, the log, the
 * resolver.
 */

#include <stdbool.h>
#include <stddef.h>

/**
 * descriptors_reserve() - make room for @wanted descriptors and those kept for others
 *
 * Raises the soft limit as far as the hard one lets it: the default of 1024 is there for select(),
 * which nobody here calls. And the kernel's table grows to its size at once: growing it later,
 * while threads run, waits for all processors each time. Call before threads start.
 * Return: 0; -EMFILE the limit is too low for that: some will not be had; another errno of getrlimit().
 */
int descriptors_reserve(size_t wanted);

/** descriptor_is_scarce() - true if @fd is one of the last, which are kept for others: close it. Any thread */
bool descriptor_is_scarce(int fd);
