/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an input counts, and tells at multiples of its interval: edges (count), or how long it was on (on_time).
 *
 * The kernel numbers the edges, also those that its queue drops, so the number of the latest is all
 * that counts: a counter's queue is looked at ten times a second, however fast they come, and none is missed. Nothing
 * is allocated on the way. What was counted outlives the process where the daemon keeps it: it is told of
 * each change, and asks for the count when it writes. Until it has told what earlier runs counted, a
 * reading has no total, and the first one waits for it.
 *
 * Edges have the time of CLOCK_MONOTONIC, which stands still while the host sleeps. So does what is counted here:
 * what nobody watches does not count.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "input.h"
#include "iotd/clock.h"

#define QUEUES_AT_ONCE 64 /* of EVENTS_AT_ONCE: more than the kernel keeps */
/* a counter's look at the queue, at most this often */
#define COUNT_PAUSE_US (100 * USEC_PER_MSEC)

static bool is_counting(const struct input *input)
{
	return input->counter.channel_count > 0;
}

/* by the clock of edges */
static int64_t this_turn_us(const struct input *input)
{
	return reactor_monotonic(input->parts->reactor);
}

static void tell_counted(const struct input *input)
{
	struct device_events *events = input->parts->events;

	if (events->counted)
		events->counted(events);
}

/* --- edges ---------------------------------------------------------------------------------- */

static void count_events(struct input *input, const struct gpio_event *events, int count)
{
	const struct gpio_event *first = &events[0], *last = &events[count - 1];
	uint32_t before = input->sequence;

	counter_edges(&input->counter, first->sequence - before, first->monotonic_us);
	if (count > 1)
		counter_edges(&input->counter, last->sequence - first->sequence,
			      last->monotonic_us);
	input->sequence = last->sequence;
	input->parts->stats->edges += last->sequence - before;
}

/* Return: 0; -ENODEV, -EIO: the chip is gone */
static int count_edges(struct input *input)
{
	struct gpio_event events[EVENTS_AT_ONCE];
	uint32_t before = input->sequence;
	int count = EVENTS_AT_ONCE;

	for (int i = 0; i < QUEUES_AT_ONCE && count == EVENTS_AT_ONCE; i++) {
		count = gpio_line_read_events(input->line->held, events, EVENTS_AT_ONCE);
		if (count > 0)
			count_events(input, events, count);
	}
	if (input->sequence != before)
		tell_counted(input);
	return count < 0 ? count : 0;
}

void input_count_look(struct input *input)
{
	struct reactor *reactor = input->parts->reactor;

	if (count_edges(input) < 0) {
		input_lost(input);
		return;
	}
	(void)reactor_modify_io(&input->io, 0);
	(void)reactor_set_timer(reactor, &input->pause, reactor_now(reactor) + COUNT_PAUSE_US);
}

static void pause_over(struct reactor_timer *timer)
{
	struct input *input = container_of(timer, struct input, pause);

	(void)reactor_modify_io(&input->io, EPOLLIN);
}

/* --- on_time -------------------------------------------------------------------------------- */

void input_count_state(struct input *input, bool on, int64_t monotonic_us)
{
	if (!input->settings->on_time)
		return;
	counter_switch(&input->counter, on, monotonic_us);
	tell_counted(input);
}

/* --- readings ------------------------------------------------------------------------------- */

static void read_counter(struct input *input, struct reading *reading)
{
	struct device_events *events = input->parts->events;

	counter_read(&input->counter, input->settings, this_turn_us(input), reading);
	input->has_told = true;
	input->parts->stats->readings++;
	events->count(events, input->settings, reading);
}

static void set_due(struct input *input)
{
	int64_t now_us = reactor_now(input->parts->reactor), epoch_us = input->parts->epoch_us;
	int64_t interval_us = input->settings->interval_us;
	int64_t due_us = epoch_us + ((now_us - epoch_us) / interval_us + 1) * interval_us;

	(void)reactor_set_timer(input->parts->reactor, &input->due, due_us);
}

static bool is_watching(const struct input *input)
{
	return input->status == STATUS_ONLINE && !input->is_lost;
}

/* what waits in the queue is counted first. Return: 0; -ENODATA the line is lost, or not there */
static int tell_reading(struct input *input, struct reading *reading)
{
	if (!is_watching(input))
		return -ENODATA;
	if (input->settings->count && count_edges(input) < 0) {
		input_lost(input);
		return -ENODATA;
	}
	read_counter(input, reading);
	return 0;
}

static void reading_due(struct reactor_timer *timer)
{
	struct input *input = container_of(timer, struct input, due);
	struct reading reading;

	if (tell_reading(input, &reading) == 0)
		set_due(input);
}

int input_read_counter(struct input *input, struct reading *ret)
{
	return input->settings->count ? tell_reading(input, ret) : -ENOTSUP;
}

void input_count_first(struct input *input)
{
	struct reading reading;

	if (!is_counting(input))
		return;
	if (input->counter.is_known)
		read_counter(input, &reading);
	set_due(input);
}

/* --- what is kept --------------------------------------------------------------------------- */

int input_count(struct input *input, struct count *ret, bool *ret_is_whole)
{
	if (!is_counting(input))
		return -ENOTSUP;
	if (input->settings->count && is_watching(input) && count_edges(input) < 0)
		input_lost(input);
	counter_switch(&input->counter, input->counter.is_on, this_turn_us(input));
	if (input->counter.is_on)
		tell_counted(input);
	*ret = input->counter.count;
	*ret_is_whole = input->counter.is_known;
	return 0;
}

void input_restore(struct input *input, const struct count *count, bool is_whole)
{
	struct reading reading;

	counter_restore(&input->counter, count, is_whole);
	if (is_whole && is_watching(input) && !input->has_told)
		(void)tell_reading(input, &reading);
}

int input_set_total(struct input *input, double total, double *ret_before)
{
	struct reading reading;
	struct count count;
	bool is_known;

	if (!(total >= 0 && total <= COUNT_TOTAL_MAX))
		return -ERANGE;
	if (input_count(input, &count, &is_known) < 0) /* up to now it is of the old total */
		return -ENOTSUP;
	*ret_before = counter_total(&input->counter);
	counter_set(&input->counter, total);
	(void)tell_reading(input, &reading);
	return is_known ? 0 : -ENODATA;
}

/* --- life ----------------------------------------------------------------------------------- */

void input_count_stop(struct input *input)
{
	reactor_stop_timer(&input->pause);
	reactor_stop_timer(&input->due);
	counter_break(&input->counter, this_turn_us(input));
	input->has_told = false;
}

void input_count_new(struct input *input)
{
	input->pause.fire = pause_over;
	input->due.fire = reading_due;
	counter_init(&input->counter, input->settings);
	input->counter.is_known = !input->parts->events->counted; /* nobody keeps it */
}
