/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Channels: the files of a device that are values, and those of them that a sensor wants. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "sysfs.h"

void sysfs_channels_done(struct sysfs_channels *channels)
{
	free(channels->all);
	*channels = (struct sysfs_channels){ 0 };
}

void sysfs_file_beside(char ret[static FILE_NAME_LENGTH + 1], const char *file, const char *end)
{
	const char *own_end = strrchr(file, '_');

	sysfs_copy(ret, FILE_NAME_LENGTH + 1, file,
		   own_end ? (size_t)(own_end - file) : strlen(file));
	sysfs_append(ret, FILE_NAME_LENGTH + 1, end);
}

/* --- what a device has ---------------------------------------------------------------------- */

static struct sysfs_channel *find_channel(const struct sysfs_channels *channels, const char *name)
{
	for (size_t i = 0; i < channels->count; i++)
		if (strcmp(channels->all[i].channel.name, name) == 0)
			return &channels->all[i];
	return NULL;
}

static int add_channel(struct sysfs_channels *channels, const struct sysfs_channel *found)
{
	struct sysfs_channel *known = find_channel(channels, found->channel.name);

	if (known) {
		if (found->rank < known->rank)
			*known = *found;
		return 0;
	}
	known = reallocarray(channels->all, channels->count + 1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	channels->all = known;
	channels->all[channels->count++] = *found;
	return 0;
}

static int compare_channels(const void *a, const void *b)
{
	const struct sysfs_channel *one = a, *other = b;

	if (one->order != other->order)
		return one->order < other->order ? -1 : 1;
	return strverscmp(one->channel.name, other->channel.name);
}

static void read_label(struct source *source, const char *folder, struct sysfs_channel *channel)
{
	char name[FILE_NAME_LENGTH + 1];

	sysfs_file_beside(name, channel->file, "_label");
	sysfs_line(source, folder, name, channel->label, sizeof(channel->label));
}

static void closedirp(DIR **stream)
{
	if (*stream)
		(void)closedir(*stream);
}

int sysfs_channels_find(struct source *source, const char *folder, sysfs_parse *parse,
			struct sysfs_channels *ret)
{
	cleanup(closedirp) DIR *stream = opendir(folder);
	struct sysfs_channel found;
	const struct dirent *entry;
	int r = 0;

	if (!stream)
		return textfile_fail(source, folder, errno);
	while (r == 0 && (entry = readdir(stream))) {
		found = (struct sysfs_channel){ 0 };
		if (!parse(entry->d_name, &found))
			continue;
		found.is_denied = faccessat(dirfd(stream), entry->d_name, R_OK, AT_EACCESS) < 0 &&
				  errno == EACCES;
		r = add_channel(ret, &found);
	}
	if (r < 0 || ret->count == 0)
		return r;
	qsort(ret->all, ret->count, sizeof(*ret->all), compare_channels);
	for (size_t i = 0; i < ret->count; i++)
		read_label(source, folder, &ret->all[i]);
	return 0;
}

/* --- what a sensor wants -------------------------------------------------------------------- */

static const struct sysfs_channel *find_wanted(const struct sysfs_channels *channels,
					       const char *wanted)
{
	const struct sysfs_channel *found = find_channel(channels, wanted);

	for (size_t i = 0; !found && i < channels->count; i++)
		if (strcmp(channels->all[i].label, wanted) == 0)
			found = &channels->all[i];
	return found;
}

/* "temp1 (CPU), temp2, fan1" */
static int fail_missing(struct source *source, const char *folder, const char *wanted,
			const struct sysfs_channels *channels)
{
	char list[sizeof(source->fault)] = "";

	for (size_t i = 0; i < channels->count; i++) {
		const struct sysfs_channel *one = &channels->all[i];

		sysfs_append(list, sizeof(list), i > 0 ? ", " : "");
		sysfs_append(list, sizeof(list), one->channel.name);
		if (!one->label[0])
			continue;
		sysfs_append(list, sizeof(list), " (");
		sysfs_append(list, sizeof(list), one->label);
		sysfs_append(list, sizeof(list), ")");
	}
	return source_fail(source, -ENODEV, "%s has no channel %s; it has: %s", folder, wanted,
			   list);
}

static int keep_wanted(struct source *source, const char *folder, const struct option_value *wanted,
		       struct sysfs_channels *channels)
{
	struct sysfs_channels kept = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < wanted->count; i++) {
		const char *name = wanted->list[i].string;
		const struct sysfs_channel *found = find_wanted(channels, name);

		if (!found)
			r = fail_missing(source, folder, name, channels);
		else if (find_channel(&kept, found->channel.name))
			r = source_fail(source, -EINVAL,
					"%s: %s is channel %s, which is named, too", folder, name,
					found->channel.name);
		else
			r = add_channel(&kept, found);
	}
	if (r < 0) {
		sysfs_channels_done(&kept);
		return r;
	}
	sysfs_channels_done(channels);
	*channels = kept;
	return 0;
}

static void drop_denied(struct sysfs_channels *channels)
{
	size_t kept = 0;

	for (size_t i = 0; i < channels->count; i++)
		if (!channels->all[i].is_denied)
			channels->all[kept++] = channels->all[i];
	channels->count = kept;
}

int sysfs_channels_choose(struct source *source, const char *folder,
			  const struct option_value *wanted, struct sysfs_channels *channels)
{
	int r;

	if (channels->count == 0)
		return source_fail(source, -ENODEV, "%s has no channel", folder);
	if (wanted->count == 0)
		drop_denied(channels);
	r = wanted->count > 0 ? keep_wanted(source, folder, wanted, channels) : 0;
	if (r < 0)
		return r;
	if (channels->count == 0)
		return source_fail(source, -EACCES, "%s has no channel that may be read", folder);
	if (channels->count > CHANNELS_MAX)
		return source_fail(source, -E2BIG,
				   "%s has %zu channels, and a sensor %d at most: name some in "
				   "channels",
				   folder, channels->count, CHANNELS_MAX);
	for (size_t i = 0; i < channels->count; i++)
		source->channels[i] = channels->all[i].channel;
	source->channel_count = channels->count;
	return 0;
}

int sysfs_channels_collect(struct source *source, const struct option_value *wanted,
			   sysfs_read *read, double values[static CHANNELS_MAX])
{
	size_t good = 0;
	int r;

	for (size_t i = 0; i < source->channel_count; i++) {
		values[i] = (double)NAN;
		r = read(source, i, &values[i]);
		if (r < 0 && (r != -ENODATA || wanted->count > 0))
			return r;
		good += r == 0;
	}
	if (good == 0)
		return -ENODATA; /* with the words for the last */
	source->fault[0] = '\0';
	return 0;
}
