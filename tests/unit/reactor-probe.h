/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A probe is one of each source of the reactor: it leaves its letter in the trace and does something.
 */
#include <stdint.h>

#include "reactor-fixture.h"
#include "suspend.h"

#include "iotd/clock.h"
#include "iotd/reactor.h"

#define HOUR_US (3600 * USEC_PER_SEC)

struct probe {
	struct reactor_timer timer;
	struct reactor_call call;
	struct reactor_io io;
	struct reactor_signal signal;
	struct reactor_post post;
	char letter;
	void (*act)(struct probe *probe);
	struct probe *other;
	int count, fd;
	uint32_t events;
	int64_t at_us;
};

void setup_virtual(void);
void setup_real(void);
void teardown(void);

/* until finish(), or until nothing is left, which is -EDEADLK */
int run(void);
void finish(int result);
void run_until_idle(void);

/* a task that waits for finish() */
int run_root(struct task **ret);

/* @act may be NULL */
struct probe probe_make(char letter, void (*act)(struct probe *probe));

void set(struct probe *probe, int64_t due_us);

/* a descriptor that is ready to be read */
void watch(struct probe *probe);
void unwatch(struct probe *probe);

void act_finish(struct probe *probe);
void act_free(struct probe *probe);

/* puts into @events how often the other one was called, and ends watching */
void act_note_calls(struct probe *probe);
