/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A folder of its own for a spool's file, and a disk under SQLite that can be made to fail. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iotd/base.h"

static char folder[64], spool_path[96];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void make_folder(void)
{
	(void)snprintf(folder, sizeof(folder), "%s/test-spool-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(spool_path, sizeof(spool_path), "%s/spool.db", folder);
}

static void remove_folder(void)
{
	(void)chmod(folder, 0700);
	(void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- a disk that fails: SQLite's own VFS, but for what it writes ----------------------------- */

/* SQLite has different methods for files with and without locks; @methods is what it sees */
struct disk_kind {
	sqlite3_io_methods methods;
	const sqlite3_io_methods *real;
};

static struct {
	atomic_int error; /* SQLITE_FULL, SQLITE_IOERR_WRITE ...; 0: works */
	atomic_int once;  /* the same, for one write */
	atomic_int read_error;
	atomic_uint opened, written, synced;
	sqlite3_vfs *real, vfs;
	struct disk_kind kinds[4];
} disk;

static const sqlite3_io_methods *real_methods(const sqlite3_file *file)
{
	return ((const struct disk_kind *)file->pMethods)->real;
}

static int disk_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
	int error = atomic_load(&disk.error), once = atomic_exchange(&disk.once, 0);

	atomic_fetch_add(&disk.written, 1);
	error = once ? once : error;
	return error ? error : real_methods(file)->xWrite(file, data, size, offset);
}

static int disk_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
	int error = atomic_load(&disk.read_error);

	return error ? error : real_methods(file)->xRead(file, data, size, offset);
}

static int disk_sync(sqlite3_file *file, int flags)
{
	int error = atomic_load(&disk.error);

	atomic_fetch_add(&disk.synced, 1);
	(void)file;
	(void)flags; /* no power cut here: the kernel has it, that is enough */
	return error == SQLITE_IOERR_FSYNC ? error : SQLITE_OK;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	int r = disk.real->xOpen(disk.real, name, file, flags, out);
	struct disk_kind *kind = disk.kinds;

	(void)vfs;
	atomic_fetch_add(&disk.opened, 1);
	if (r != SQLITE_OK || !file->pMethods)
		return r;
	while (kind->real && kind->real != file->pMethods)
		kind++;
	if (!kind->real) {
		kind->methods = *file->pMethods;
		kind->methods.xWrite = disk_write;
		kind->methods.xRead = disk_read;
		kind->methods.xSync = disk_sync;
		kind->real = file->pMethods;
	}
	file->pMethods = &kind->methods;
	return r;
}

static void disk_install(void)
{
	if (disk.real) /* with CK_FORK=no */
		return;
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real;
	disk.vfs.zName = "faulty";
	disk.vfs.xOpen = disk_open;
	ck_assert_int_eq(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

/* --- files ---------------------------------------------------------------------------------- */

static inline size_t read_file(const char *path, char *buffer, size_t size)
{
	cleanup(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	length = read(fd, buffer, size);
	ck_assert_int_ge(length, 0);
	return (size_t)length;
}

static inline void write_file(const char *path, const void *data, size_t size)
{
	cleanup(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
}

static inline int give_away(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return chown(path, 65534, 65534);
}

/* root may write anywhere: be somebody else in this process */
static inline void drop_root(void)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(nftw(folder, give_away, 8, FTW_DEPTH | FTW_PHYS), 0);
	ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
	ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
}
