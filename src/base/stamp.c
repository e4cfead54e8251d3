/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "iotd/base.h"
#include "iotd/stamp.h"

#define NSEC_PER_SEC 1000000000LL

int file_stamp_read(struct file_stamp *ret, const char *path)
{
	cleanup(closep) int fd = -1;
	struct stat status;

	*ret = (struct file_stamp){ 0 };
	if (stat(path, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode)) /* to open a device can have it do something */
		return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	/* stat() says nothing of the right to read */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	*ret = (struct file_stamp){
		.device = status.st_dev,
		.inode = status.st_ino,
		.size = status.st_size,
		.written_ns = status.st_mtim.tv_sec * NSEC_PER_SEC + status.st_mtim.tv_nsec,
	};
	return 0;
}

bool file_stamps_equal(const struct file_stamp *a, const struct file_stamp *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (a[i].device != b[i].device || a[i].inode != b[i].inode ||
		    a[i].size != b[i].size || a[i].written_ns != b[i].written_ns)
			return false;
	return true;
}
