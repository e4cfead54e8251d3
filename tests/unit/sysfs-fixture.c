/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sysfs-fixture.h"

#include "iotd/drivers.h"

#define PATH_SIZE 512

static char root[64];
static const struct driver *driver;
static struct option_value options[2], wanted[CHANNELS_MAX];
static double values[CHANNELS_MAX];

struct source *source;

/* options are not const because the configuration owns them; nobody writes to these */
static char *unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

void sysfs_set_up(void)
{
	(void)snprintf(root, sizeof(root), "/tmp/iotd-test-sysfs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chmod(root, 0755), 0);
	ck_assert_int_eq(setenv("IOTD_SYSFS", root, 1), 0);
	memset(options, 0, sizeof(options));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static void remove_tree(const char *path)
{
	ck_assert_int_eq(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void sysfs_tear_down(void)
{
	source = source_free(source);
	remove_tree(root);
}

/* --- the tree ------------------------------------------------------------------------------- */

const char *path_of(const char *path)
{
	static char whole[PATH_SIZE];

	(void)snprintf(whole, sizeof(whole), "%s/%s", root, path);
	return whole;
}

static void make_folders(const char *path)
{
	char above[PATH_SIZE];

	(void)snprintf(above, sizeof(above), "%s", path_of(path));
	for (char *slash = strchr(above + strlen(root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ck_assert(mkdir(above, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
}

void put(const char *path, const char *text)
{
	cleanup(closep) int fd = -1;

	make_folders(path);
	fd = open(path_of(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

void put_link(const char *path, const char *target)
{
	make_folders(path);
	ck_assert_int_eq(symlink(target, path_of(path)), 0);
}

void take_away(const char *path)
{
	remove_tree(path_of(path));
}

void move(const char *from, const char *to)
{
	char before[PATH_SIZE];

	make_folders(to);
	(void)snprintf(before, sizeof(before), "%s", path_of(from));
	ck_assert_int_eq(rename(before, path_of(to)), 0);
}

/* --- the source ----------------------------------------------------------------------------- */

void configure(const char *name, const char *device)
{
	source = source_free(source);
	driver = driver_find(name);
	ck_assert_ptr_nonnull(driver);
	ck_assert_str_eq(driver->options[0].name, "device");
	ck_assert_str_eq(driver->options[1].name, "channels");
	memset(options, 0, sizeof(options));
	options[0] = (struct option_value){ .given = true, .string = unconst(device) };
	options[1].list = wanted;
}

void want(const char *channel)
{
	wanted[options[1].count++] = (struct option_value){ .string = unconst(channel) };
	options[1].given = true;
}

int read_source(void)
{
	int64_t wait_us = 0;
	int r;

	if (!source)
		ck_assert_int_eq(source_new(&source, driver, options, NULL), 0);
	source->fault[0] = '\0';
	r = source_open(source);
	if (r == 0)
		r = driver->collect(source, values, &wait_us);
	if (r < 0)
		source_close(source);
	return r;
}

void assert_reads(void)
{
	int r = read_source();

	ck_assert_msg(r == 0, "%d: %s", r, source->fault);
	ck_assert_str_eq(source->fault, "");
}

static size_t channel_at(const char *name)
{
	for (size_t i = 0; i < source->channel_count; i++)
		if (strcmp(source->channels[i].name, name) == 0)
			return i;
	ck_abort_msg("there is no %s among %s", name, channel_names());
	return 0;
}

double value_of(const char *channel)
{
	return values[channel_at(channel)];
}

void assert_value(const char *channel, double value, const char *unit)
{
	size_t at = channel_at(channel);

	ck_assert_double_eq_tol(values[at], value, fabs(value) * 1e-12 + 1e-300);
	ck_assert_str_eq(source->channels[at].unit, unit);
}

const char *channel_names(void)
{
	static char names[CHANNELS_MAX * (NAME_LENGTH + 1)];
	size_t used = 0;

	names[0] = '\0';
	for (size_t i = 0; i < source->channel_count; i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
					 i > 0 ? " " : "", source->channels[i].name);
	return names;
}

void assert_fails(int error, const char *words)
{
	int r = read_source();

	ck_assert_msg(r == error, "%d, not %d: %s", r, error, source->fault);
	ck_assert_msg(strstr(source->fault, words), "\"%s\" has no \"%s\"", source->fault, words);
}
