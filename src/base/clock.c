/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <string.h>
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

/* the best of some looks, as one may be interrupted between the clocks */
int64_t clock_slept_us(void)
{
	int64_t slept_us = 0;

	for (int look = 0; look < 3; look++) {
		int64_t boottime_us = clock_boottime_us();
		int64_t at_least_us = boottime_us - clock_monotonic_us();

		if (at_least_us > slept_us)
			slept_us = at_least_us;
	}
	return slept_us;
}

int64_t clock_realtime_us(void)
{
	return clock_read(CLOCK_REALTIME);
}

/* the second that was written last: a thousand sensors read in one */
static _Thread_local struct {
	time_t seconds;
	char text[CLOCK_UTC_SIZE];
	size_t length; /* 0: none yet */
} latest;

static bool format_second(time_t seconds)
{
	struct tm utc;

	if (latest.length > 0 && latest.seconds == seconds)
		return true;
	latest.length = 0;
	if (!gmtime_r(&seconds, &utc))
		return false; /* a year beyond int: no clock says so */
	latest.seconds = seconds;
	latest.length = strftime(latest.text, CLOCK_UTC_SIZE - sizeof(".000Z") + 1,
				 "%Y-%m-%dT%H:%M:%S", &utc);
	return latest.length > 0;
}

void clock_format_utc(char buffer[static CLOCK_UTC_SIZE], int64_t realtime_us)
{
	int64_t ms = realtime_us / USEC_PER_MSEC - (realtime_us % USEC_PER_MSEC < 0);
	int64_t seconds =
		ms / 1000 - (ms % 1000 < 0); /* both cut towards the past, also before 1970 */
	char *end;

	buffer[0] = '\0';
	if (!format_second((time_t)seconds))
		return;
	memcpy(buffer, latest.text, latest.length);
	ms -= seconds * 1000;
	end = buffer + latest.length;
	*end++ = '.';
	*end++ = (char)('0' + ms / 100);
	*end++ = (char)('0' + ms / 10 % 10);
	*end++ = (char)('0' + ms % 10);
	*end++ = 'Z';
	*end = '\0';
}
