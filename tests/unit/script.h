/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A script is the data of a task: what it awaits or how long it sleeps, and how it ends. Steps and
 * cleanups leave a trace: a small letter for a step, the capital for the cleanup.
 */
#include <stddef.h>
#include <stdint.h>

#include "reactor-fixture.h"

#include "iotd/task.h"

struct script {
	char letter;
	struct future *future; /* what it awaits, if any */
	int64_t sleep_us;      /* else how long it sleeps; with @future: the time-out, 0 none */
	int result;	       /* what it ends with, unless what it awaited failed */
	void (*act)(struct script *script);   /* in its last step */
	void (*clean)(struct script *script); /* in its cleanup */
	struct task *task, *other;
	int got;       /* what the last step was given */
	int64_t at_us; /* when it ended */
};

void setup(void);
void teardown(void);

int step_first(struct task *task, int result);
int step_last(struct task *task, int result);
void script_ended(struct task *task);

void spawn(struct script *script);
void release(struct script *script);

/* a day, or until nothing is left */
void run_all(void);

/* for @act and @clean */
void act_cancel_other(struct script *script);
void act_drop_other(struct script *script);

struct task *gather(struct script *scripts, size_t count);

struct ticker {
	int64_t due_us, interval_us;
	int ticks;
};

int step_tick(struct task *task, int result);
