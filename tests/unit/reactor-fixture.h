/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The reactor and the workers of a test, ways to turn them, and a trace of what was called. */

#include <stddef.h>
#include <stdint.h>

#include "iotd/clock.h"
#include "iotd/worker.h"

extern struct reactor *reactor;
extern struct workers *workers;

extern char trace[256]; /* a letter a callback */
extern size_t trace_length;

void note(char letter);

/* for a run in which all tests share one process (CK_FORK=no, under valgrind) */
void trace_clear(void);

/* on the virtual clock this takes no time */
void run_for(int64_t duration_us);

/* on the kernel's clock: turns until @condition holds; for what must come, however busy the machine is */
#define run_until(condition)                                                                       \
	do {                                                                                       \
		int64_t give_up_us = clock_monotonic_us() + 20 * USEC_PER_SEC;                     \
		while (!(condition)) {                                                             \
			ck_assert_msg(clock_monotonic_us() < give_up_us, "in vain: " #condition);  \
			run_for(USEC_PER_MSEC);                                                    \
		}                                                                                  \
	} while (0)

/* one turn: what was handed over is with the workers then */
void run_turn(void);
