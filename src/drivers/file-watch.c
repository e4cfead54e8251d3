/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One inotify instance for the process, for a user has 128 of them; with it the first watched file
 * opens and the last closes it. Watched are the file, for what is renamed over it or unlinks it, and
 * the folders above, which can be renamed themselves. No map leads from a watch to its file: any
 * change lets each file be looked at once, as each reading would without all this.
 *
 * A hundred files that are read in one burst share one question to the kernel. A watch is not taken
 * away with its file: it costs as little as the inode that it is in, two files may share it, and to
 * remove it would be a change itself, at each try to read a file that fails.
 */

#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include "file-watch.h"

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/descriptor.h"

#define FRESH_US  (1 * USEC_PER_MSEC)
#define TRUST_US  (60 * USEC_PER_SEC)
#define ASKED_MAX 16 /* reads of 4 KiB: the reactor asks, too */

/* the same on <linux/magic.h> of any age */
#define XFS_MAGIC 0x58465342

static struct {
	pthread_mutex_t lock; /* files are read on several threads */
	int fd;
	size_t users;
	atomic_uint_fast64_t changes;
	atomic_int_fast64_t asked_us; /* both change with the lock, @changes first */
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* the file system's magic number, statfs(2); 0: unknown */
static unsigned int kind_of(int fd)
{
	struct statfs about;

	return fstatfs(fd, &about) < 0 ? 0 : (unsigned int)about.f_type;
}

static bool is_memory(unsigned int kind)
{
	return kind == TMPFS_MAGIC || kind == RAMFS_MAGIC;
}

/* file systems whose files change by this kernel's calls alone */
static bool is_local(unsigned int kind)
{
	static const unsigned int kinds[] = {
		BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC,	  F2FS_SUPER_MAGIC,
		MSDOS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, XFS_MAGIC,
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kind == kinds[i])
			return true;
	return is_memory(kind);
}

static bool is_straight(const char *path)
{
	cleanup(freep) char *real = realpath(path, NULL);

	return real && strcmp(real, path) == 0;
}

/* with the lock; @path is straight, so each of its folders is one */
static bool watch_path(const char *path)
{
	cleanup(freep) char *folder = strdup(path);
	char *slash;

	if (!folder || inotify_add_watch(shared.fd, path, IN_ATTRIB | IN_MOVE_SELF) < 0)
		return false;
	while ((slash = strrchr(folder, '/')) && slash != folder) {
		*slash = '\0';
		if (inotify_add_watch(shared.fd, folder, IN_MOVE_SELF) < 0)
			return false;
	}
	return true;
}

/* with the lock */
static bool share(void)
{
	cleanup(closep) int fd = -1;

	if (shared.users == 0) {
		fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (fd < 0 || descriptor_is_scarce(fd))
			return false;
		shared.fd = take_fd(&fd);
	}
	shared.users++;
	return true;
}

/* with the lock */
static void unshare_one(void)
{
	if (--shared.users > 0)
		return;
	closep(&shared.fd);
	shared.fd = -1;
}

/* that a watch ended with its file says nothing new: who had it open heard of it before */
static bool is_change(const char *events, size_t length)
{
	const struct inotify_event *event;

	for (size_t at = 0; at < length; at += sizeof(*event) + event->len) {
		event = (const void *)(events + at);
		if (event->mask != IN_IGNORED)
			return true;
	}
	return false;
}

/* with the lock */
static void ask(int64_t now_us)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t got = 1;

	for (int i = 0; i < ASKED_MAX && got > 0; i++) {
		got = read(shared.fd, events, sizeof(events));
		shared.changes += got > 0 && is_change(events, (size_t)got);
	}
	shared.changes += got > 0; /* a storm: who knows what else there is */
	shared.asked_us = now_us;
}

void file_watch_begin(struct file_watch *watch, const char *path, int fd)
{
	unsigned int kind = kind_of(fd);

	*watch = (struct file_watch){ 0 };
	if (!is_local(kind) || !is_straight(path))
		return;
	(void)pthread_mutex_lock(&shared.lock);
	if (share()) {
		watch->is_on = watch_path(path);
		watch->is_memory = watch->is_on && is_memory(kind);
		if (!watch->is_on)
			unshare_one();
	}
	(void)pthread_mutex_unlock(&shared.lock);
}

void file_watch_end(struct file_watch *watch)
{
	if (!watch->is_on)
		return;
	watch->is_on = false;
	(void)pthread_mutex_lock(&shared.lock);
	unshare_one();
	(void)pthread_mutex_unlock(&shared.lock);
}

bool file_watch_is_quiet(struct file_watch *watch)
{
	int64_t now_us, asked_us;
	uint64_t changes;
	bool is_quiet;

	if (!watch->is_on)
		return false;
	now_us = clock_monotonic_us();
	asked_us = shared.asked_us;
	if (now_us > asked_us + FRESH_US || watch->asked_us == asked_us) {
		if (pthread_mutex_trylock(&shared.lock) != 0)
			return false; /* held where a path is looked up, which may take its time */
		ask(now_us);
		(void)pthread_mutex_unlock(&shared.lock);
		asked_us = now_us;
	}
	changes = shared.changes; /* read last: at least what was known at @asked_us */
	is_quiet = watch->changes == changes && watch->told_us != 0 &&
		   now_us < watch->told_us + TRUST_US;
	watch->asked_us = asked_us;
	watch->changes = changes;
	if (!is_quiet)
		watch->told_us = now_us;
	return is_quiet;
}

void file_watch_doubt(struct file_watch *watch)
{
	watch->told_us = 0;
}
