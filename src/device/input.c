/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An input: a task that holds its line, and a watcher that publishes each edge with the kernel's own
 * time.
 *
 *	open → (edges …) → lost → wait → open
 *
 * Reading the queue of edges never touches the hardware, so that happens on the reactor; asking for
 * the line and its level may block, so that is the worker's. The kernel's queue drops the oldest
 * edge when it is full: a gap in the sequence numbers is counted, and the level is read anew.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/epoll.h>

#include "input.h"
#include "iotd/clock.h"
#include "iotd/log.h"

/* when none was lost for so long, that is over */
#define LOST_QUIET_US (5 * USEC_PER_SEC)

static int input_open(struct task *task, int result);

static void tell_status(struct input *input, enum device_status status)
{
	struct device_events *events = input->parts->events;

	if (input->status == status)
		return;
	input->status = status;
	events->status(events, DEVICE_INPUT, input->settings->name, status);
}

static void tell_state(struct input *input, bool on, int64_t time_us, int64_t monotonic_us)
{
	input_count_state(input, on, monotonic_us);
	input->state = (struct state){ DEVICE_INPUT, input->settings->name, on, time_us };
	input->has_state = true;
	input->parts->events->state(input->parts->events, &input->state);
}

/* the level was read just now */
static void tell_level(struct input *input)
{
	tell_state(input, input->line->on, clock_realtime_us(),
		   reactor_monotonic(input->parts->reactor));
}

/* --- edges ---------------------------------------------------------------------------------- */

static void input_unwatch(struct input *input)
{
	reactor_remove_io(&input->io);
	input_count_stop(input);
}

void input_lost(struct input *input)
{
	input->is_lost = true;
	input_unwatch(input);
	future_resolve(&input->changed, 0);
}

static void lost_over(struct reactor_timer *timer)
{
	struct input *input = container_of(timer, struct input, lost_over);
	struct log_fields fields = { .name = input->settings->name };
	int64_t age_us = reactor_now(input->parts->reactor) - LOST_QUIET_US - input->lost_since_us;
	char age[32];

	device_format_age(age, sizeof(age), age_us);
	log_event(LOG_NOTICE, &fields,
		  "input %s: no edges are lost any more; %" PRIu64 " were, in %s",
		  input->settings->name, input->lost, age);
	input->lost = 0;
}

static void note_lost(struct input *input, uint32_t lost)
{
	struct log_fields fields = { .name = input->settings->name };
	int64_t now_us = reactor_now(input->parts->reactor);

	if (input->lost == 0) {
		input->lost_since_us = now_us;
		log_event(LOG_WARNING, &fields,
			  "input %s: edges are lost: they come faster than they are read; where "
			  "that is no fault of the line, count = true misses none",
			  input->settings->name);
	}
	input->lost += lost;
	input->parts->stats->edges_lost += lost;
	(void)reactor_set_timer(input->parts->reactor, &input->lost_over, now_us + LOST_QUIET_US);
}

/* true: edges were lost before this one */
static bool check_sequence(struct input *input, const struct gpio_event *event)
{
	uint32_t lost = event->sequence - input->sequence - 1;

	input->sequence = event->sequence;
	if (lost > 0)
		note_lost(input, lost);
	return lost > 0;
}

/* what to add to CLOCK_MONOTONIC; the best of some looks, as one may be interrupted between the clocks */
static int64_t realtime_offset_us(void)
{
	int64_t best_us = INT64_MAX, offset_us = 0;

	for (int look = 0; look < 5 && best_us > 10; look++) {
		int64_t before_us = clock_monotonic_us(), real_us = clock_realtime_us();
		int64_t took_us = clock_monotonic_us() - before_us;

		if (took_us >= best_us)
			continue;
		best_us = took_us;
		offset_us = real_us - before_us - took_us / 2;
	}
	return offset_us;
}

static void tell_edges(struct input *input)
{
	int64_t real_us = realtime_offset_us();
	struct gpio_event events[EVENTS_AT_ONCE];
	int count;

	count = gpio_line_read_events(input->line->held, events, EVENTS_AT_ONCE);
	for (int i = 0; i < count; i++) {
		if (check_sequence(input, &events[i]))
			future_resolve(&input->changed, 0);
		input->parts->stats->edges++;
		tell_state(input, events[i].on, events[i].monotonic_us + real_us,
			   events[i].monotonic_us);
	}
	if (count < 0)
		input_lost(input);
	/* more than that: the descriptor stays ready, and others get their turn first */
}

/* --- the task ------------------------------------------------------------------------------- */

static void input_ready(struct reactor_io *io, uint32_t ready)
{
	struct input *input = container_of(io, struct input, io);

	if (ready & (EPOLLHUP | EPOLLERR))
		input_lost(input);
	else if (input->settings->count)
		input_count_look(input);
	else
		tell_edges(input);
}

static int input_failed(struct task *task, int error)
{
	struct input *input = task_data(task);

	input_unwatch(input);
	line_describe(input->line, error, input->fault);
	input->has_state = false;
	if (input->failures++ == 0) {
		input->failed_since_us = reactor_now(input->parts->reactor);
		line_log_offline(input->parts, DEVICE_INPUT, input->settings->name, error,
				 input->fault);
	}
	tell_status(input, STATUS_OFFLINE);
	device_tell_fault(input->parts->events, DEVICE_INPUT, input->settings->name);
	return line_await_retry(input->line, task, input_open);
}

static int input_changed(struct task *task, int result);

static int input_watch(struct task *task)
{
	struct input *input = task_data(task);

	return task_await(task, &input->changed,
			  input_changed); /* done already if it changed meanwhile */
}

static int input_reread(struct task *task, int result)
{
	struct input *input = task_data(task);

	if (result < 0)
		return input_failed(task, result);
	/* an edge that came meanwhile knows better */
	if (input->sequence == input->reread_after && input->line->on != input->state.on)
		tell_level(input);
	return input_watch(task);
}

static int input_changed(struct task *task, int result)
{
	struct input *input = task_data(task);

	if (input->is_lost)
		return input_failed(task, -ENODEV);
	future_init(&input->changed, input->parts->reactor, NULL);
	input->reread_after = input->sequence;
	result = line_run(input->line, LINE_GET, false);
	if (result < 0)
		return input_failed(task, result);
	return task_await_for(task, &input->line->job.future, LINE_TIMEOUT_US, input_reread);
}

static int input_opened(struct task *task, int result)
{
	struct input *input = task_data(task);

	if (line_comes_free(input->line, result)) /* it was an output's */
		return task_sleep(task, LINE_SOON_US, input_open);
	if (result < 0)
		return input_failed(task, result);
	input->is_lost = false;
	input->sequence = 0;
	future_init(&input->changed, input->parts->reactor, NULL);
	result = reactor_add_io(input->parts->reactor, &input->io, input->line->held->fd, EPOLLIN);
	if (result < 0)
		return input_failed(task, result);
	if (input->failures > 0)
		line_log_online(DEVICE_INPUT, input->settings->name,
				reactor_now(input->parts->reactor) - input->failed_since_us,
				input->failures);
	input->failures = input->line->failures = 0;
	tell_status(input, STATUS_ONLINE);
	if (!input->settings->count)
		tell_level(input);
	input_count_first(input);
	return input_watch(task);
}

static int input_open(struct task *task, int result)
{
	struct input *input = task_data(task);

	result = line_run(input->line, LINE_OPEN, false);
	if (result < 0)
		return input_failed(task, result);
	return task_await_for(task, &input->line->job.future, LINE_TIMEOUT_US, input_opened);
}

/* --- life ----------------------------------------------------------------------------------- */

int input_new(struct input **ret, const struct device_parts *parts,
	      const struct input_settings *settings, const struct gpio *gpio,
	      struct worker_key *key)
{
	struct gpio_request request = {
		.line = &settings->line,
		.edge = settings->edge,
		.debounce_us = settings->debounce_us,
	};
	struct input *input = calloc(1, sizeof(*input));
	int r;

	if (!input)
		return -ENOMEM;
	input->parts = parts;
	input->settings = settings;
	input->io.ready = input_ready;
	input->lost_over.fire = lost_over;
	input_count_new(input);
	future_init(&input->changed, parts->reactor, NULL);
	r = line_new(&input->line, parts, gpio, key, &request, settings->name);
	if (r == 0)
		r = task_spawn(&input->task, parts->reactor, input_open, input, NULL);
	if (r < 0) {
		line_free(input->line);
		free(input);
		return r;
	}
	*ret = input;
	return 0;
}

struct input *input_free(struct input *input)
{
	if (!input)
		return NULL;
	task_cancel(input->task);
	task_release(input->task);
	input_unwatch(input);
	reactor_stop_timer(&input->lost_over);
	line_free(input->line);
	free(input);
	return NULL;
}

void input_chips_changed(struct input *input)
{
	/* asks the kernel anew: it may not have told that the chip is gone */
	(void)reactor_modify_io(&input->io, EPOLLIN);
	line_hasten(input->line);
}

void input_update(struct input *input, const struct input_settings *settings)
{
	input->settings = settings;
	input->state.name = settings->name;
}

const struct input_settings *input_settings(const struct input *input)
{
	return input->settings;
}

void input_info(const struct input *input, struct device_info *ret)
{
	*ret = (struct device_info){
		.kind = DEVICE_INPUT,
		.status = input->status,
		.name = input->settings->name,
		.state = input->has_state ? input->state.on : -1,
		.state_us = input->has_state ? input->state.time_us : 0,
		.fault = input->status == STATUS_OFFLINE ? input->fault : NULL,
	};
	if (input->counter.channel_count == 0)
		return;
	ret->interval_us = input->settings->interval_us;
	ret->channels = input->counter.channels;
	ret->channel_count = input->counter.channel_count;
	ret->sampled_us = input->counter.sampled_us;
	ret->sample = input->counter.sampled_us > 0 ? input->counter.sample : NULL;
}

int input_state(const struct input *input, struct state *ret)
{
	if (!input->has_state)
		return -ENODATA;
	*ret = input->state;
	return 0;
}
