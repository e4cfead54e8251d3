/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Times are int64_t microseconds, and every name that holds one ends in _us. Schedules use
 * CLOCK_BOOTTIME (it counts while the host sleeps and never steps), payloads CLOCK_REALTIME.
 */

#include <stddef.h>
#include <stdint.h>

#define USEC_PER_MSEC 1000LL
#define USEC_PER_SEC  1000000LL
#define NSEC_PER_USEC 1000LL

/* "2026-11-22T13:15:00.123Z" and its NUL, with room for years that nobody will see */
#define CLOCK_UTC_SIZE 40

/** clock_boottime_us() - microseconds since boot, suspends included; from any thread */
int64_t clock_boottime_us(void);

/**
 * clock_monotonic_us() - microseconds since boot without suspends: the kernel's clock of GPIO edges
 */
int64_t clock_monotonic_us(void);

/** clock_slept_us() - what the host spent in suspend since boot, to some microseconds; from any thread */
int64_t clock_slept_us(void);

/** clock_realtime_us() - microseconds since 1970-01-01 UTC; steps when somebody sets the clock */
int64_t clock_realtime_us(void);

/**
 * clock_format_utc() - "2026-11-22T13:15:00.123Z": RFC 3339 in UTC, cut to milliseconds
 * @buffer: takes the text and its NUL
 * @realtime_us: microseconds since 1970
 */
void clock_format_utc(char buffer[static CLOCK_UTC_SIZE], int64_t realtime_us);
