/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An input's own state, shared by input.c and input-count.c. */

#include "counter.h"
#include "line.h"

#define EVENTS_AT_ONCE 16

struct input {
	const struct device_parts *parts;
	const struct input_settings *settings;
	struct line *line;
	struct task *task;
	struct reactor_io io;
	struct future changed; /* the line is lost, or its level must be read anew */
	bool is_lost;
	uint32_t sequence;     /* of the last edge */
	uint32_t reread_after; /* @sequence when the level began to be read anew */

	uint64_t lost; /* edges, since that began */
	int64_t lost_since_us;
	struct reactor_timer lost_over;

	struct counter counter;	    /* of count or on_time */
	bool has_told;		    /* a reading, since the line was taken */
	struct reactor_timer pause; /* until the queue is looked at again */
	struct reactor_timer due;   /* the next reading */

	enum device_status status;
	unsigned int failures;
	int64_t failed_since_us;
	char fault[192];
	struct state state;
	bool has_state;
};

/** input_lost() - the chip is gone */
void input_lost(struct input *input);

/* --- input-count.c: what is counted --------------------------------------------------------- */

/** input_count_new() - nothing yet */
void input_count_new(struct input *input);

/** input_count_first() - the line was taken, and its state told: the first reading, and when the next is due */
void input_count_first(struct input *input);

/** input_count_look() - edges wait in the queue of a counter: count them, and pause */
void input_count_look(struct input *input);

/** input_count_state() - from @monotonic_us on it is @on; where nothing counts that: nothing */
void input_count_state(struct input *input, bool on, int64_t monotonic_us);

/** input_count_stop() - the line is lost, or let go */
void input_count_stop(struct input *input);
