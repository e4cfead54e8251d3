/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an input with count = true tells instead of its state: the edges since the start, and how fast they come. */

#include "device.h"

enum counter_channel {
	COUNTER_TOTAL,
	COUNTER_RATE,
	COUNTER_CHANNELS
};

struct counter {
	uint64_t edges;
	uint64_t told;	 /* of these, by the reading before */
	int64_t told_us; /* reactor time of that; 0: there was none */
	struct channel channels[COUNTER_CHANNELS];
};

/** counter_init() - nothing was counted yet */
void counter_init(struct counter *counter, const struct input_settings *settings);

/**
 * counter_read() - a reading of total, in the configuration's unit, and rate, a second since the reading before
 * @now_us: reactor time
 *
 * Its channels are those of @counter.
 */
void counter_read(struct counter *counter, const struct input_settings *settings, int64_t now_us,
		  struct reading *ret);
