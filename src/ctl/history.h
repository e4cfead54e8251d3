/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The last minutes of one channel or line, in bounded memory: what sparklines and plots are drawn from.
 * Pure: no clock is read and nothing is printed. Not for two threads at one time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/base.h"

#define HISTORY_FOREVER INT64_MAX /* as a time that a sample holds */

struct history;

/**
 * struct sample - one sample, or several that came close together
 * A line's state is 0 (off) or 1 (on).
 */
struct sample {
	int64_t time_us;  /* CLOCK_REALTIME, of the newest of them */
	double value;	  /* the newest; NAN: from here on nothing is known */
	double low, high; /* of them; finite where @value is */
};

/** struct stretch - what a history knows of the time between two moments */
struct stretch {
	bool is_known;
	double low, high; /* with what still held at its beginning */
	double mean;	  /* of the samples in it; of what still held if there are none */
};

/** struct view - what is drawn of a history, and how */
struct view {
	int64_t now_us;	 /* CLOCK_REALTIME: the right end */
	int64_t span_us; /* the width, above 0 */
	int64_t hold_us; /* a sample counts until the next one, but no longer than this */
	bool is_states;	 /* of a line: on and off, and nothing between them */
	bool is_ascii;	 /* no character outside ASCII */
};

/**
 * history_new() - an empty history
 * @ret:      set on success only; the caller frees it with history_free()
 * @span_us:  what is older is forgotten, but for the one sample that still held then; above 0
 * @capacity: that many samples at most, at least 8; it grows up to this as they come
 *
 * What comes within about @span_us / @capacity is kept as one sample, so that @span_us always fits.
 * Return: 0; -ENOMEM.
 */
int history_new(struct history **ret, int64_t span_us, size_t capacity);

/** history_free() - also of NULL. Return: NULL */
struct history *history_free(struct history *history);

static inline void history_freep(struct history **history)
{
	*history = history_free(*history);
}

/**
 * history_add() - one more sample
 * @time_us: CLOCK_REALTIME, 0 .. the year 9999; any other is left out
 * @value:   NAN or infinite: from here on nothing is known
 *
 * A time before the newest sample's means that the clock was set back: what lies after it is forgotten.
 * Without memory to grow the oldest sample goes.
 */
void history_add(struct history *history, int64_t time_us, double value);

/** history_count() - samples in it */
size_t history_count(const struct history *history);

/** history_at() - one of them, 0 is the oldest; valid until the next history_add() */
const struct sample *history_at(const struct history *history, size_t index);

/**
 * history_between() - what is known of @from_us <= t < @to_us
 * @hold_us: the sample before @from_us counts if it is not older than this then
 */
struct stretch history_between(const struct history *history, int64_t from_us, int64_t to_us,
			       int64_t hold_us);
