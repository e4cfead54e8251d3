/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ring of samples, in the order of their times. It starts small and doubles, for most sensors are slow
 * and a table may have ten thousand of them.
 *
 * Time is cut into slots, about as many as the capacity, and samples of one slot are kept as one, with their lowest and
 * highest value: a sensor that is read every millisecond costs no more than any other, and its spikes are
 * still seen. Rejected: a slot an element, by index. It needs the whole memory at once, and a time in it is
 * no longer that of a sample.
 */
#include "history.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define FIRST_SIZE  8
#define TIME_MAX_US (253402300799LL * 1000 * 1000) /* the end of 9999 */
#define VALUE_MAX   1e300			   /* so that the difference of two is finite */

struct history {
	int64_t span_us, slot_us;
	size_t capacity, size; /* may have, has room for */
	size_t first, count;
	struct sample *samples;
};

int history_new(struct history **ret, int64_t span_us, size_t capacity)
{
	cleanup(history_freep) struct history *history = calloc(1, sizeof(*history));

	if (!history)
		return -ENOMEM;
	history->span_us = span_us;
	/* besides whole slots the span has two that are cut, and before it is the sample that held */
	history->slot_us = span_us / (int64_t)(capacity - 2) + 1;
	history->capacity = capacity;
	history->size = capacity < FIRST_SIZE ? capacity : FIRST_SIZE;
	history->samples = calloc(history->size, sizeof(*history->samples));
	if (!history->samples)
		return -ENOMEM;
	*ret = take_ptr(history);
	return 0;
}

struct history *history_free(struct history *history)
{
	if (history)
		free(history->samples);
	free(history);
	return NULL;
}

static struct sample *at(const struct history *history, size_t index)
{
	assert(history->size > 0);
	return &history->samples[(history->first + index) % history->size];
}

/* of one that is not empty */
static struct sample *newest(const struct history *history)
{
	return at(history, history->count - 1);
}

static void drop_oldest(struct history *history)
{
	assert(history->size > 0);
	history->first = (history->first + 1) % history->size;
	history->count--;
}

/* room for one more: by growing, else by forgetting */
static void make_room(struct history *history)
{
	size_t size = 2 * history->size < history->capacity ? 2 * history->size : history->capacity;
	struct sample *larger;

	if (history->count < history->size)
		return;
	larger = size > history->size ? calloc(size, sizeof(*larger)) : NULL;
	if (!larger) {
		drop_oldest(history);
		return;
	}
	for (size_t i = 0; i < history->count; i++)
		larger[i] = *at(history, i);
	free(history->samples);
	history->samples = larger;
	history->size = size;
	history->first = 0;
}

/* what is too old, but for the sample that still held when the span begins */
static void forget(struct history *history, int64_t now_us)
{
	while (history->count > 1 && at(history, 1)->time_us <= now_us - history->span_us)
		drop_oldest(history);
}

/* Is it of the same slot as the newest? Then there is one sample for both. */
static bool merge(const struct history *history, int64_t time_us, double value)
{
	struct sample *last;

	if (history->count == 0)
		return false;
	last = newest(history);
	if (isnan(last->value) != isnan(value))
		return false;
	if (isnan(value)) /* it is not known any longer already */
		return true;
	if (last->time_us / history->slot_us != time_us / history->slot_us)
		return false;
	last->time_us = time_us;
	last->value = value;
	last->low = fmin(last->low, value);
	last->high = fmax(last->high, value);
	return true;
}

void history_add(struct history *history, int64_t time_us, double value)
{
	if (time_us < 0 || time_us > TIME_MAX_US)
		return;
	value = isfinite(value) ? fmax(-VALUE_MAX, fmin(VALUE_MAX, value)) : (double)NAN;
	while (history->count > 0 && newest(history)->time_us > time_us)
		history->count--;
	if (merge(history, time_us, value))
		return;
	make_room(history);
	history->count++;
	*newest(history) = (struct sample){
		.time_us = time_us,
		.value = value,
		.low = value,
		.high = value,
	};
	forget(history, time_us);
}

size_t history_count(const struct history *history)
{
	return history->count;
}

const struct sample *history_at(const struct history *history, size_t index)
{
	return at(history, index);
}

/* the first sample that is not before @time_us; count: there is none */
static size_t index_of(const struct history *history, int64_t time_us)
{
	size_t low = 0, high = history->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (at(history, middle)->time_us < time_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void widen(struct stretch *stretch, const struct sample *sample)
{
	stretch->low = stretch->is_known ? fmin(stretch->low, sample->low) : sample->low;
	stretch->high = stretch->is_known ? fmax(stretch->high, sample->high) : sample->high;
	stretch->is_known = true;
}

struct stretch history_between(const struct history *history, int64_t from_us, int64_t to_us,
			       int64_t hold_us)
{
	struct stretch stretch = { 0 };
	size_t i = index_of(history, from_us), count = 0;
	double mean = 0;

	if (i > 0 && (i == history->count || at(history, i)->time_us > from_us) &&
	    !isnan(at(history, i - 1)->value) && from_us - at(history, i - 1)->time_us <= hold_us) {
		struct sample held = *at(history, i - 1);

		held.low = held.high = held.value;
		widen(&stretch, &held);
		stretch.mean = held.value;
	}
	for (; i < history->count && at(history, i)->time_us < to_us; i++) {
		if (isnan(at(history, i)->value))
			continue;
		widen(&stretch, at(history, i));
		count++;
		mean += (at(history, i)->value - mean) / (double)count;
	}
	if (count > 0)
		stretch.mean = mean;
	return stretch;
}
