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
#include <sys/epoll.h>

#include "iotd/clock.h"
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

static void input_lost(struct input *input)
{
	input->is_lost = true;
	reactor_remove_io(&input->io);
	future_resolve(&input->changed, 0);
}

/* true: edges were lost before this one */
static bool check_sequence(struct input *input, const struct gpio_event *event)
{
	uint32_t lost = event->sequence - input->sequence - 1;

	input->sequence = event->sequence;
	input->parts->stats->edges_lost += lost;
	return lost > 0;
}

static void input_ready(struct reactor_io *io, uint32_t ready)
{
	struct input *input = container_of(io, struct input, io);
	int64_t real_us = clock_realtime_us() - clock_monotonic_us();
	struct gpio_event events[EVENTS_AT_ONCE];
	int count;

	if (ready & (EPOLLHUP | EPOLLERR)) {
		input_lost(input);
		return;
	}
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

/* --- the task ------------------------------------------------------------------------------- */

static int input_failed(struct task *task, int error)
{
	struct input *input = task_data(task);

	reactor_remove_io(&input->io);
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
	tell_state(input, input->line->on, clock_realtime_us());
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
	reactor_remove_io(&input->io);
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
}

int input_state(const struct input *input, struct state *ret)
{
	if (!input->has_state)
		return -ENODATA;
	*ret = input->state;
	return 0;
}
