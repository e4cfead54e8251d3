/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Outputs on a fake chip that remembers how it was driven, in which order, and fails as a test wants. On
 * the virtual clock driving takes no time; what hangs for real runs on the kernel's clock.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpio-fixture.h"
#include "reactor-fixture.h"

#include "iotd/clock.h"
#include "iotd/device.h"

#define SECOND	USEC_PER_SEC
#define MSEC	USEC_PER_MSEC
#define OUTPUTS 3

/* one output of the test and its line; the line's part belongs to the worker while a job is out */
struct pin {
	struct output_settings settings; /* found again by their line */
	struct output *output;
	struct fake_line line;
	char name[8], place[GPIO_PLACE_SIZE];
	int set_error, get_error, sets;
};

extern struct pin pins[OUTPUTS];
extern size_t pin_count;
extern struct device_parts parts;
extern bool interlocked;	      /* the first two */
extern char told[1024], driven[1024]; /* "a:on b:offline ", "a+ b- " */
extern char logs[2048];

void set_up_virtual(void);
void set_up_real(void);
void tear_down(void);

/* builds the first @count outputs */
void make(size_t count);
void start(size_t count);

struct answer {
	int count, error;
	char fault[192];
	int state; /* -1: none */
};

void on_answer(void *data, int error, const char *fault, const struct state *state);

/* and waits until it is driven */
struct answer set(int pin, bool on, int64_t for_us);

void assert_told(const char *expected);
int info_state(int pin);
