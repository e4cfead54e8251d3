/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A line of a fake chip that fails and hangs as a test wants. Its descriptor is the reading end of a
 * pipe: closing the other end is the chip's end.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/base.h"
#include "iotd/bus.h"

/* the worker's while a job is out */
struct fake_line {
	struct gpio_line line;
	int ends[2]; /* of the pipe; -1: none */
	bool level;
	int request_error;
	atomic_int requests, takes, frees; /* counted by workers */
	int64_t times_us[32];		   /* of requests */
	int gate;			   /* the next job reads a byte from here first; -1: not */
	atomic_int hangs;
};

#define FAKE_LINE_INIT                                                                             \
	{                                                                                          \
		.ends = { -1, -1 }, .gate = -1                                                     \
	}

/* asserts that the line was given back each time, and closes the pipe */
void fake_line_close(struct fake_line *fake);

/* counts a request; what it returns, unless it is 0: then take the line */
int fake_line_request(struct fake_line *fake);

/* gives it out; @ops ends with fake_line_free() */
void fake_line_take(struct fake_line *fake, const struct gpio_ops *ops, struct gpio_line **ret);
void fake_line_free(struct gpio_line *line);

/* waits, once, while the test holds @gate */
void fake_line_pass_gate(struct fake_line *fake);

void fake_line_end_chip(struct fake_line *fake);

/* appends to what was told or logged before; fails if it does not fit */
void text_append(char *text, size_t size, const char *format, ...) printf_like(3, 4);
