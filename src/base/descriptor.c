/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "iotd/base.h"
#include "iotd/descriptor.h"

#define KEPT ((rlim_t)32) /* for what there is one of */

int descriptors_reserve(size_t wanted)
{
	rlim_t enough = wanted + 2 * KEPT;
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur < enough && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = enough < limit.rlim_max ? enough : limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return -errno;
	}
	if (limit.rlim_cur < enough)
		return -EMFILE;
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)enough - 1);
	closep(&fd);
	return 0;
}

bool descriptor_is_scarce(int fd)
{
	struct rlimit limit;

	/* the kernel gives out the lowest number that is free, so a number tells how many are in use */
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	       (rlim_t)fd + KEPT >= limit.rlim_cur;
}
