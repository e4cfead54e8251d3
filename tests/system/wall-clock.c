/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wall clock, off by the seconds in the file $WALL_CLOCK: for LD_PRELOAD (test_clock.py).
 *
 * Only what tells the time of day is replaced; timers and waits stay the kernel's, and so does every
 * other clock. libfaketime is no choice: 0.9.10 moves the timers of CLOCK_BOOTTIME too, even if told
 * not to.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_s;

__attribute__((constructor)) static void wall_clock_open(void)
{
	const char *path = getenv("WALL_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		offset_s = page;
	(void)close(fd);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int r = (int)syscall(SYS_clock_gettime, id, now);

	if (r == 0 && offset_s && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		now->tv_sec += *offset_s;
	return r;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec time;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &time);
	*now = (struct timeval){ time.tv_sec, time.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}
