/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Finding a chip and a line by libgpiod, and the words for why not.
 *
 * A line that cannot be had is a person's error more often than a machine's. So faults name what
 * there is: the chips, how many lines, the program that holds the line.
 */

#include <dirent.h>
#include <errno.h>
#include <gpiod.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gpio-chip.h"

static void chip_closep(struct gpiod_chip **chip)
{
	gpiod_chip_close(*chip);
}

static void chip_info_freep(struct gpiod_chip_info **info)
{
	gpiod_chip_info_free(*info);
}

static void line_info_freep(struct gpiod_line_info **info)
{
	gpiod_line_info_free(*info);
}

static int printf_like(3, 4)
	gpio_fail(char fault[static FAULT_SIZE], int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(fault, FAULT_SIZE, format, arguments);
	va_end(arguments);
	return error;
}

/* --- Chips ---------------------------------------------------------------------------------- */

/* what keeps us from a chip and may pass: it does not say that there is none; 0: nothing of that kind */
static int chip_obstacle(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return -EACCES;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return -ENOMEM;
	default:
		return 0;
	}
}

/* @path cannot be opened; 0: there is none of that name */
static int chip_refused(const char *path, int error, char fault[static FAULT_SIZE])
{
	int r = chip_obstacle(error);

	if (r == 0)
		return 0;
	return gpio_fail(fault, r, "%s: %s%s", path, strerror(error),
			 r == -EACCES ? " (is the user in the group of that node?)" : "");
}

/* opens chip @node of /dev, appends "gpiochip0 (its label)" to @known, and sets @ret if @label is its label */
static int chip_open_labelled(struct gpiod_chip **ret, const char *node, const char *label,
			      char known[static FAULT_SIZE])
{
	cleanup(chip_closep) struct gpiod_chip *chip = NULL;
	cleanup(chip_info_freep) struct gpiod_chip_info *info = NULL;
	size_t used = strlen(known);
	char path[PATH_MAX], entry[64];
	int error;

	(void)snprintf(path, sizeof(path), "/dev/%s", node);
	chip = gpiod_chip_open(path);
	info = chip ? gpiod_chip_get_info(chip) : NULL;
	error = info ? 0 : errno;
	(void)snprintf(entry, sizeof(entry), "%s%.16s (%.32s)", used > 0 ? ", " : "", node,
		       info ? gpiod_chip_info_get_label(info) : strerror(error));
	if (used + strlen(entry) < FAULT_SIZE) /* a list that does not fit ends early */
		memcpy(known + used, entry, strlen(entry) + 1);
	if (info && strcmp(gpiod_chip_info_get_label(info), label) == 0)
		*ret = take_ptr(chip);
	return chip_obstacle(error);
}

static int chip_node_filter(const struct dirent *entry)
{
	return strncmp(entry->d_name, "gpiochip", strlen("gpiochip")) == 0;
}

/* a label that none of those has that can be asked may be that of one that cannot: then it is not -ENOENT */
static int chip_find_label(struct gpiod_chip **ret, const char *label,
			   char fault[static FAULT_SIZE])
{
	char known[FAULT_SIZE] = "";
	struct gpiod_chip *chip = NULL;
	struct dirent **nodes = NULL;
	int count, r, obstacle = 0;

	count = scandir("/dev", &nodes, chip_node_filter, versionsort);
	r = count < 0 ? chip_refused("/dev", errno, fault) : 0;
	if (r < 0)
		return r;
	for (int i = 0; i < count; i++) {
		r = chip ? 0 : chip_open_labelled(&chip, nodes[i]->d_name, label, known);
		if (obstacle == 0)
			obstacle = r;
		free(nodes[i]);
	}
	free(nodes);
	if (!chip && known[0] == '\0')
		return gpio_fail(fault, -ENOENT, "no GPIO chip \"%s\": this machine has none",
				 label);
	if (!chip)
		return gpio_fail(fault, obstacle < 0 ? obstacle : -ENOENT,
				 "no GPIO chip \"%s\"; there is %s", label, known);
	*ret = chip;
	return 0;
}

int gpio_chip_find(struct gpiod_chip **ret, const char *name, char fault[static FAULT_SIZE])
{
	char path[PATH_MAX];
	struct gpiod_chip *chip;
	int r;

	(void)snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/dev/", name);
	chip = gpiod_chip_open(path);
	if (!chip) {
		r = chip_refused(path, errno, fault);
		return r < 0 ? r : chip_find_label(ret, name, fault);
	}
	*ret = chip;
	return 0;
}

static int chip_gone(const char *name, char fault[static FAULT_SIZE])
{
	gpio_describe_gone(fault, name);
	return -ENODEV;
}

/* --- Lines of a chip ------------------------------------------------------------------------ */

/* the chip cannot be asked about its lines, which says nothing about them */
static int chip_mute(const char *name, int error, char fault[static FAULT_SIZE])
{
	int r;

	if (error == ENODEV)
		return chip_gone(name, fault);
	r = chip_refused(name, error, fault);
	return r < 0 ? r : gpio_fail(fault, -EIO, "%s: %s", name, strerror(error));
}

int gpio_chip_find_line(unsigned int *ret, struct gpiod_chip *chip,
			const struct line_settings *where, char fault[static FAULT_SIZE])
{
	cleanup(chip_info_freep) struct gpiod_chip_info *info = NULL;
	size_t count;
	int offset;

	if (where->name) {
		offset = gpiod_chip_get_line_offset_from_name(chip, where->name);
		if (offset < 0 && errno != ENOENT)
			return chip_mute(where->chip, errno, fault);
		if (offset < 0)
			return gpio_fail(
				fault, -ENOENT,
				"%s has no line named \"%s\" (gpioinfo shows those it has)",
				where->chip, where->name);
		*ret = (unsigned int)offset;
		return 0;
	}

	info = gpiod_chip_get_info(chip);
	if (!info)
		return chip_mute(where->chip, errno, fault);
	count = gpiod_chip_info_get_num_lines(info);
	if (where->offset >= count)
		return gpio_fail(fault, -ENOENT, "%s has no line %u, it has %zu (from 0)",
				 where->chip, where->offset, count);
	*ret = where->offset;
	return 0;
}

static int line_held(struct gpiod_chip *chip, unsigned int offset, const char *chip_name,
		     char fault[static FAULT_SIZE])
{
	cleanup(line_info_freep) struct gpiod_line_info *info =
		gpiod_chip_get_line_info(chip, offset);
	const char *consumer = info ? gpiod_line_info_get_consumer(info) : NULL;

	if (!consumer)
		return gpio_fail(fault, -EBUSY, "line %u of %s is held by another program", offset,
				 chip_name);
	return gpio_fail(fault, -EBUSY, "line %u of %s is held by \"%s\"", offset, chip_name,
			 consumer);
}

/* what the kernel says to a request (Linux drivers/gpio/gpiolib-cdev.c, linereq_create()) */
int gpio_chip_refuse(struct gpiod_chip *chip, unsigned int offset, const char *chip_name, int error,
		     char fault[static FAULT_SIZE])
{
	switch (error) {
	case EBUSY:
		return line_held(chip, offset, chip_name, fault);
	case ENODEV:
		return chip_gone(chip_name, fault);
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return gpio_fail(fault, -ENOMEM, "line %u of %s: %s", offset, chip_name,
				 strerror(error));
	case EACCES:
	case EPERM:
		return gpio_fail(fault, -EACCES, "line %u of %s: %s", offset, chip_name,
				 strerror(error));
	case ENXIO: /* no interrupt for edges */
		return gpio_fail(fault, -EINVAL, "line %u of %s cannot report edges", offset,
				 chip_name);
	default:
		return gpio_fail(
			fault, -EINVAL,
			"line %u of %s cannot be what is asked (bias, edge, debounce?): %s", offset,
			chip_name, strerror(error));
	}
}
