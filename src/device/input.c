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
 *
 * A counter tells how many edges there were, at multiples of its interval. The kernel numbers them, also
 * those that its queue drops, so the number of the latest is all that counts: the queue is looked
 * at ten times a second, however fast they come, and none is missed.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/epoll.h>

#include "counter.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "line.h"

#define EVENTS_AT_ONCE 16
#define QUEUES_AT_ONCE 64 /* of EVENTS_AT_ONCE: more than the kernel keeps */
/* a counter's look at the queue, at most this often */
#define COUNT_PAUSE_US (100 * USEC_PER_MSEC)
/* when none was lost for so long, that is over */
#define LOST_QUIET_US  (5 * USEC_PER_SEC)

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

	struct counter counter;	    /* if that is what it is */
	struct reactor_timer pause; /* until the queue is looked at again */
	struct reactor_timer due;   /* the next reading */

	enum device_status status;
	unsigned int failures;
	int64_t failed_since_us;
	char fault[192];
	struct state state;
	bool has_state;
};

static int input_open(struct task *task, int result);

static void tell_status(struct input *input, enum device_status status)
{
	struct device_events *events = input->parts->events;

	if (input->status == status)
		return;
	input->status = status;
	events->status(events, DEVICE_INPUT, input->settings->name, status);
}

static void tell_state(struct input *input, bool on, int64_t time_us)
{
	input->state = (struct state){ DEVICE_INPUT, input->settings->name, on, time_us };
	input->has_state = true;
	input->parts->events->state(input->parts->events, &input->state);
}

/* --- edges ---------------------------------------------------------------------------------- */

static void input_unwatch(struct input *input)
{
	reactor_remove_io(&input->io);
	reactor_stop_timer(&input->pause);
	reactor_stop_timer(&input->due);
}

static void input_lost(struct input *input)
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
		tell_state(input, events[i].on, events[i].monotonic_us + real_us);
	}
	if (count < 0)
		input_lost(input);
	/* more than that: the descriptor stays ready, and others get their turn first */
}

/* --- counters ------------------------------------------------------------------------------- */

/* Return: 0; -ENODEV, -EIO: the chip is gone */
static int count_edges(struct input *input)
{
	struct gpio_event events[EVENTS_AT_ONCE];
	uint32_t before = input->sequence;
	int count = EVENTS_AT_ONCE;

	for (int i = 0; i < QUEUES_AT_ONCE && count == EVENTS_AT_ONCE; i++) {
		count = gpio_line_read_events(input->line->held, events, EVENTS_AT_ONCE);
		if (count > 0)
			input->sequence = events[count - 1].sequence;
	}
	input->counter.edges += input->sequence - before;
	input->parts->stats->edges += input->sequence - before;
	return count < 0 ? count : 0;
}

static void count_and_pause(struct input *input)
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

static void read_counter(struct input *input, struct reading *reading)
{
	struct device_events *events = input->parts->events;

	counter_read(&input->counter, input->settings, reactor_now(input->parts->reactor), reading);
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

static void counter_due(struct reactor_timer *timer)
{
	struct input *input = container_of(timer, struct input, due);
	struct reading reading;

	if (count_edges(input) < 0) {
		input_lost(input);
		return;
	}
	read_counter(input, &reading);
	set_due(input);
}

int input_read_counter(struct input *input, struct reading *ret)
{
	if (!input->settings->count)
		return -ENOTSUP;
	if (input->status != STATUS_ONLINE || input->is_lost)
		return -ENODATA;
	if (count_edges(input) < 0) {
		input_lost(input);
		return -ENODATA;
	}
	read_counter(input, ret);
	return 0;
}

/* --- the task ------------------------------------------------------------------------------- */

static void input_ready(struct reactor_io *io, uint32_t ready)
{
	struct input *input = container_of(io, struct input, io);

	if (ready & (EPOLLHUP | EPOLLERR))
		input_lost(input);
	else if (input->settings->count)
		count_and_pause(input);
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
		line_log_offline(DEVICE_INPUT, input->settings->name, error, input->fault);
	}
	tell_status(input, STATUS_OFFLINE);
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
		tell_state(input, input->line->on, clock_realtime_us());
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

static void tell_first(struct input *input)
{
	struct reading reading;

	if (!input->settings->count) {
		tell_state(input, input->line->on, clock_realtime_us());
		return;
	}
	read_counter(input, &reading);
	set_due(input);
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
	tell_first(input);
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
	input->pause.fire = pause_over;
	input->due.fire = counter_due;
	counter_init(&input->counter, settings);
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
		.fault = input->status == STATUS_OFFLINE ? input->fault : NULL,
	};
	if (!input->settings->count)
		return;
	ret->interval_us = input->settings->interval_us;
	ret->channels = input->counter.channels;
	ret->channel_count = COUNTER_CHANNELS;
}

int input_state(const struct input *input, struct state *ret)
{
	if (!input->has_state)
		return -ENODATA;
	*ret = input->state;
	return 0;
}
