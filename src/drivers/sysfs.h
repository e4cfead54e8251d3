/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the drivers of kernel sources share: attributes that stay open (sysfs-attribute.c), devices by
 * name (sysfs-device.c), and the channels that a device has and a sensor wants (sysfs-channel.c). All of it
 * on a worker; failures have words in source->fault.
 *
 * Below /sys the number in a device's folder changes from boot to boot and when a module is loaded
 * again. So a device is found by name each time its source is opened, and a source is opened anew after
 * each failure: an attribute of a device that is gone says ENODEV.
 */

#include "textfile.h"

/** sysfs_root() - "/sys", or what the environment has in IOTD_SYSFS: tests build a tree of their own */
const char *sysfs_root(void);

/** sysfs_copy() - the first @length bytes of @text, cut where they are too long */
void sysfs_copy(char *ret, size_t size, const char *text, size_t length);

/** sysfs_append() - @more behind @text, which has room for @size bytes; cut where it is too long */
void sysfs_append(char *text, size_t size, const char *more);

/* --- attributes ----------------------------------------------------------------------------- */

/** struct attribute - a file of a device that stays open; all zero: not open */
struct attribute {
	char *path;
	int fd; /* counts only with a path */
};

/** attribute_open() - @folder/@name; attribute_close() it in any case. Return: 0; an errno of textfile_open(); -ENOMEM */
int attribute_open(struct source *source, struct attribute *attribute, const char *folder,
		   const char *name);

/** attribute_open_if_any() - the same; one that is not there is no failure, and not open. Return: as attribute_open() */
int attribute_open_if_any(struct source *source, struct attribute *attribute, const char *folder,
			  const char *name);

/** attribute_is_open() */
bool attribute_is_open(const struct attribute *attribute);

/** attribute_read() - what it says now. Return: the length of @text, which ends with a NUL; an errno of pread() */
int attribute_read(struct source *source, const struct attribute *attribute,
		   char text[static TEXTFILE_SIZE + 1]);

/**
 * attribute_number() - the number that its first word is
 * Return: 0; -ENODATA it is empty; -EBADMSG no number; -ERANGE too large; an errno of pread().
 */
int attribute_number(struct source *source, const struct attribute *attribute, double *ret);

/** attribute_close() - not open: nothing */
void attribute_close(struct attribute *attribute);

/** sysfs_line() - the first line of @folder/@file, for people; "" if there is none or it cannot be read */
void sysfs_line(struct source *source, const char *folder, const char *file, char *ret,
		size_t size);

/* --- devices -------------------------------------------------------------------------------- */

/** struct sysfs_kind - where devices of one kind are, and what says their names */
struct sysfs_kind {
	const char *what;    /* for people: "hwmon chip" */
	const char *folder;  /* below the root of sysfs: "class/hwmon" */
	const char *pattern; /* of a device's folder, glob(7): "hwmon[0-9]*" */
	const char *names
		[2]; /* attributes that say what a device is called; NULL: only its folder does */
};

/**
 * sysfs_find() - the folder of one device
 * @wanted: its name; its folder's name ("hwmon3"); NAME@PARENT, where PARENT is the device that it belongs to
 *          ("nvme@0000:01:00.0", "lm75@1-0048"); or the path of its folder or of a folder above it
 * @ret: set on success only; the caller frees it
 * Return: 0; -ENODEV there is none, with those that there are; -ENOTUNIQ several; -ENOMEM.
 */
int sysfs_find(struct source *source, const struct sysfs_kind *kind, const char *wanted,
	       char **ret);

/* --- channels ------------------------------------------------------------------------------- */

#define FILE_NAME_LENGTH 255 /* NAME_MAX, limits.h */

/** struct sysfs_channel - one that a device has */
struct sysfs_channel {
	struct channel channel;		 /* as it is published */
	char file[FILE_NAME_LENGTH + 1]; /* where its value is: "temp1_input" */
	char label[FILE_NAME_LENGTH +
		   1];	/* what it measures, if the kernel knows: "CPU"; else "" */
	double factor;	/* number of the file x factor = channel's unit */
	int order;	/* kinds of lower order come first, then names as numbers count */
	int rank;	/* of files for the same channel, the lowest is taken */
	bool is_denied; /* only others may read it: the energy of some processors */
};

/** struct sysfs_channels - those that a device has; all zero: none; sysfs_channels_done() */
struct sysfs_channels {
	struct sysfs_channel *all;
	size_t count;
};

/** sysfs_parse - what a driver knows of a file by its name: true, with all of *@ret but the label, if it is a channel's */
typedef bool sysfs_parse(const char *file, struct sysfs_channel *ret);

/** sysfs_file_beside() - @file of a channel with another end: ("temp1_input", "_label") → "temp1_label" */
void sysfs_file_beside(char ret[static FILE_NAME_LENGTH + 1], const char *file, const char *end);

/** sysfs_channels_find() - those of the device at @folder, each once, in order. Return: 0; an errno of opendir(); -ENOMEM */
int sysfs_channels_find(struct source *source, const char *folder, sysfs_parse *parse,
			struct sysfs_channels *ret);

/**
 * sysfs_channels_choose() - leave those that the sensor wants, in its order, and make them the source's
 * @wanted: the option `channels`, names or labels; empty: all that may be read
 * Return: 0; -ENODEV there is none, or one of @wanted is not there; -E2BIG more than CHANNELS_MAX; -ENOMEM.
 */
int sysfs_channels_choose(struct source *source, const char *folder,
			  const struct option_value *wanted, struct sysfs_channels *channels);

/** sysfs_channels_done() - free them */
void sysfs_channels_done(struct sysfs_channels *channels);

/** sysfs_read - the value of channel @i now. Return: 0; -ENODATA it has none, with words; another errno */
typedef int sysfs_read(struct source *source, size_t i, double *ret);

/**
 * sysfs_channels_collect() - the values of all channels of the source
 *
 * A channel without a value is left out among all, and fails the reading where @wanted names it.
 * Return: 0; -ENODATA; another errno of @read.
 */
int sysfs_channels_collect(struct source *source, const struct option_value *wanted,
			   sysfs_read *read, double values[static CHANNELS_MAX]);
