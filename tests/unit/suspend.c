/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only CLOCK_BOOTTIME goes on while the host sleeps. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "suspend.h"

#include "iotd/clock.h"

atomic_llong slept_us;

int clock_gettime(clockid_t id, struct timespec *now)
{
	long r = syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_BOOTTIME)
		now->tv_sec += atomic_load(&slept_us) / USEC_PER_SEC;
	return (int)r;
}
