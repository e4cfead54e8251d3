/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The calls on a held line, handed to whatever stands behind it: gpio.c (the kernel) or the
 * emulation of src/sim.
 */

#include <stdio.h>
#include <string.h>

#include "iotd/bus.h"

struct gpio_line *gpio_line_free(struct gpio_line *line)
{
	if (line)
		line->ops->free(line);
	return NULL;
}

int gpio_line_get(struct gpio_line *line, bool *ret_on)
{
	return line->ops->get(line, ret_on);
}

int gpio_line_set(struct gpio_line *line, bool on)
{
	return line->ops->set(line, on);
}

int gpio_line_read_events(struct gpio_line *line, struct gpio_event *events, size_t count)
{
	return line->ops->read_events(line, events, count);
}

/* a number belongs to the next chip that is plugged in, whichever that is */
void gpio_describe_gone(char fault[static 192], const char *chip)
{
	const char *slash = strrchr(chip, '/'), *node = slash ? slash + 1 : chip;
	bool is_numbered = strncmp(node, "gpiochip", strlen("gpiochip")) == 0;

	(void)snprintf(fault, 192, "%.64s is gone (unplugged?)%s", chip,
		       is_numbered ? "; if it comes back with another number, name it by its label"
				   : "");
}
