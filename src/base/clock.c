/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <time.h>

#include "iotd/clock.h"

static int64_t clock_read(clockid_t id)
{
	struct timespec now;

	/* cannot fail: these clocks exist on every kernel, and the pointer is good */
	(void)clock_gettime(id, &now);
	return (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC;
}

int64_t clock_boottime_us(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

int64_t clock_monotonic_us(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

int64_t clock_realtime_us(void)
{
	return clock_read(CLOCK_REALTIME);
}

void clock_format_utc(char buffer[static CLOCK_UTC_SIZE], int64_t realtime_us)
{
	int64_t ms = realtime_us / USEC_PER_MSEC;
	time_t seconds;
	struct tm utc;
	size_t length;

	if (realtime_us % USEC_PER_MSEC < 0)
		ms--; /* cut towards the past, also before 1970 */
	seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
	if (!gmtime_r(&seconds, &utc)) {
		buffer[0] = '\0'; /* a year beyond int: no clock says so */
		return;
	}
	length = strftime(buffer, CLOCK_UTC_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(buffer + length, CLOCK_UTC_SIZE - length, ".%03uZ",
		       (unsigned int)((ms % 1000 + 1000) % 1000));
}
