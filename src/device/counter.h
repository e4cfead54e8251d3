/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an input with count or on_time tells: how many edges, and how fast they come; or how long it was on. */

#include "device.h"
#include "pace.h"

enum counter_channel {
	COUNTER_TOTAL,
	COUNTER_RATE,
	COUNTER_FREQUENCY,
	COUNTER_CHANNELS,
	ON_TIME_SINCE_START = 0,
	ON_TIME_TOTAL,
	ON_TIME_CHANNELS
};

struct counter {
	struct count count;
	bool is_known; /* @count has all; else only what came in this run */
	double scale;  /* of count.amount */
	struct pace pace;
	bool is_on; /* of on_time: since @on_us, up to which it is in @count */
	int64_t on_us;
	struct channel channels[COUNTER_CHANNELS];
	double sample[COUNTER_CHANNELS]; /* of the last reading; NAN: it had none */
	int64_t sampled_us;		 /* CLOCK_REALTIME; 0: nothing was read yet */
	size_t channel_count;
};

/** counter_init() - nothing was counted yet, or is not known: see counter_restore() */
void counter_init(struct counter *counter, const struct input_settings *settings);

/** counter_restore() - go on from @count; @is_known: that is all; else only what came in this run */
void counter_restore(struct counter *counter, const struct count *count, bool is_known);

/** counter_edges() - @count more, the last of them at @time_us, CLOCK_MONOTONIC */
void counter_edges(struct counter *counter, uint64_t count, int64_t time_us);

/** counter_break() - the line is lost: what comes next does not tell how long nothing came; and it is not on */
void counter_break(struct counter *counter, int64_t now_us);

/** counter_switch() - from @time_us, CLOCK_MONOTONIC, on it is @on; the time until then counts if it was on before */
void counter_switch(struct counter *counter, bool on, int64_t time_us);

/** counter_total() - in the configuration's unit; on_time: in seconds */
double counter_total(const struct counter *counter);

/** counter_set() - it is @total from now on, and known */
void counter_set(struct counter *counter, double total);

/**
 * counter_read() - a reading, and begin the next interval
 * @now_us: CLOCK_MONOTONIC
 *
 * Without its total while that is not known. Its channels are those of @counter.
 */
void counter_read(struct counter *counter, const struct input_settings *settings, int64_t now_us,
		  struct reading *ret);
