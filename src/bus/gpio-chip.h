/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which chip and which line the words of the configuration mean, and why a line cannot be had. */

#include "iotd/bus.h"

#define FAULT_SIZE 192 /* of struct gpio's request() */

struct gpiod_chip;

/**
 * gpio_chip_find() - open the chip called @name: "gpiochip0", "/dev/gpiochip0", or a label
 * Return: 0; -ENOENT; -EACCES, -ENOMEM also if no label fits and one could not be read; @fault says more.
 */
int gpio_chip_find(struct gpiod_chip **ret, const char *name, char fault[static FAULT_SIZE]);

/**
 * gpio_chip_find_line() - the offset of a line
 * Return: 0; -ENOENT; -ENODEV; -EACCES, -ENOMEM, -EIO the chip cannot be asked; @fault says more.
 */
int gpio_chip_find_line(unsigned int *ret, struct gpiod_chip *chip,
			const struct line_settings *where, char fault[static FAULT_SIZE]);

/**
 * gpio_chip_refuse() - what it means that the kernel refused a line
 * @error: errno of the request, positive
 * Return: -EBUSY, -ENODEV, -ENOMEM, -EACCES or -EINVAL; @fault says more.
 */
int gpio_chip_refuse(struct gpiod_chip *chip, unsigned int offset, const char *chip_name, int error,
		     char fault[static FAULT_SIZE]);
