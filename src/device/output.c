/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An output: what it should be, and a task that drives the line there.
 *
 *	open → serve ⇄ drive → (failed) → wait → serve, or open if the line is gone
 *
 * Commands, timers and the link only change `want` and wake the task (output-moves.c); the line is
 * driven in one place, on the chip's worker, and a state is published when it has been driven, not
 * when it was asked for.
 *
 * A write that fails does not cost the line: it stays held. A command that failed so is over, and the output is
 * driven back to where it was; what it does on its own (the end of a time, max_on) is tried until it is done.
 *
 * Where there is a store (systemd's) it keeps the line, and an earlier run's line is taken over as it
 * is, whatever "initial" says. It is let go if it is not the one that the configuration wants, or fails,
 * or its chip is gone; what may pass (no memory, no access to the chip) does not cost it.
 *
 * Interlocks are looked at twice. A command is refused while another output is on by intention; then,
 * before the line is driven on, the task waits until the others have really been driven off, so "off"
 * to one and "on" to the next may come in one breath. An output that vanished while it was on counts
 * as on: nobody knows.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "output.h"

static int output_open(struct task *task, int result);
static int output_serve(struct task *task, int result);
static int output_driven(struct task *task, int result);
static int output_came_back(struct task *task, int result);

/* --- telling -------------------------------------------------------------------------------- */

static void tell_status(struct output *output, enum device_status status)
{
	struct device_events *events = output->parts->events;

	if (output->status == status)
		return;
	output->status = status;
	events->status(events, DEVICE_OUTPUT, output->settings->name, status);
}

bool output_is_on(const struct output *output)
{
	return output->has_state ? output->want : output->may_be_on;
}

bool output_may_be_on(const struct output *output)
{
	return output->may_be_on;
}

void output_wake(struct output *output)
{
	if (output->is_wanted)
		future_resolve(&output->wake, 0);
}

/* --- the task ------------------------------------------------------------------------------- */

static void output_end_state(struct output *output)
{
	reactor_remove_io(&output->io);
	reactor_stop_timer(&output->back);
	reactor_stop_timer(&output->limit);
	output->has_state = output->is_unsure = output->is_wanted = false;
}

/* what keeps us from taking a line over: the host is short of something, or the chip's bus disturbed */
static bool may_pass(const struct output *output, int error)
{
	static const int passing[] = { -EACCES, -ENOMEM, -EAGAIN, -EIO, -ETIMEDOUT };

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (error == passing[i])
			return true;
	return line_is_idle(output->line) && output->line->is_adopted && error != -ENODEV;
}

/* for the time when it is back */
static void output_hold_times(struct output *output)
{
	bool goes_back = reactor_timer_is_set(&output->back);
	bool is_limited = reactor_timer_is_set(&output->limit);

	if (goes_back || is_limited) /* else what was held before holds on */
		output->times = (struct line_times){
			.back_us = goes_back ? output->back.due_us : 0,
			.limit_from_us = is_limited ? output->limit_from_us : 0,
			.back_on = !output->state.on,
		};
}

static void output_forget(struct output *output)
{
	line_forget(output->line);
	output->is_kept = false;
	if (output->was_open)
		return;
	output->may_be_on = false; /* an earlier run's line is gone */
	output->times = (struct line_times){ 0 };
}

static void output_is_offline(struct output *output, int error)
{
	output_drop_orders(output, error, output->fault);
	if (output->failures++ == 0) {
		output->failed_since_us = reactor_now(output->parts->reactor);
		line_log_offline(output->parts, DEVICE_OUTPUT, output->settings->name, error,
				 output->fault);
	}
	tell_status(output, STATUS_OFFLINE);
	device_tell_fault(output->parts->events, DEVICE_OUTPUT, output->settings->name);
}

static void output_is_online(struct output *output)
{
	if (output->failures > 0)
		line_log_online(DEVICE_OUTPUT, output->settings->name,
				reactor_now(output->parts->reactor) - output->failed_since_us,
				output->failures);
	output->failures = output->line->failures = 0;
	output->fault[0] = '\0';
	tell_status(output, STATUS_ONLINE);
}

/* the line is not to be had, or gone */
static int output_failed(struct task *task, int error)
{
	struct output *output = task_data(task);

	line_describe(output->line, error, output->fault);
	output_hold_times(output);
	output_end_state(output);
	if (!output->is_kept || !may_pass(output, error))
		output_forget(output);
	output_is_offline(output, error);
	return line_await_retry(output->line, task, output_open);
}

/* the line is ours, and did not take a write, or not yet */
static int output_write_failed(struct task *task, int error)
{
	struct output *output = task_data(task);

	if (error == -ENODEV || output->is_lost) {
		output_is_due_later(output);
		return output_failed(task, -ENODEV);
	}
	line_describe(output->line, error, output->fault);
	output->has_state = false;
	output->is_unsure = true;
	output_is_offline(output, error);
	if (!line_is_idle(output->line))
		return task_await(task, &output->line->back, output_came_back);
	output_aim_again(output);
	return line_await_retry(output->line, task, output_serve);
}

/* a write that hung is over; it may have moved the line after all */
static int output_came_back(struct task *task, int result)
{
	struct output *output = task_data(task);

	result = output->line->job.result;
	if (result >= 0 || result == -ENODEV || output->is_lost)
		return output_driven(task, result);
	output_aim_again(output);
	return output_serve(task, 0);
}

static int output_driven(struct task *task, int result)
{
	struct output *output = task_data(task);
	struct reactor *reactor = output->parts->reactor;

	if (result < 0)
		return output_write_failed(task, result);
	output->is_unsure = false;
	output_is_online(output);
	output_note_state(output, output->line->on);
	if (output->is_wanted)
		return output_serve(task, 0); /* something came between */
	if (output->back_us > 0)
		(void)reactor_set_timer(reactor, &output->back,
					reactor_now(reactor) + output->back_us);
	output->back_us = 0;
	output_remember_times(output);
	if (output->is_ordered)
		output_answer(output, 0, NULL);
	output_begin_order(output);
	return output_serve(task, 0);
}

/* another output is still being driven off; -ETIMEDOUT: it does not come off */
static int output_await_others(struct task *task, int result)
{
	struct output *output = task_data(task);
	struct log_fields fields = { .name = output->settings->name };

	if (result != -ETIMEDOUT)
		return output_serve(task, 0);
	if (output->is_unsure) { /* a write failed: there is nobody to answer, and no end of trying */
		output->give_up_us = reactor_now(output->parts->reactor) + INTERLOCK_WAIT_US;
		return output_serve(task, 0);
	}
	output->is_wanted = false;
	output->back_us = 0;
	if (!output->is_ordered)
		log_event(LOG_WARNING, &fields,
			  "output %s: not turned on: an interlocked output did not go off",
			  output->settings->name);
	else
		output_answer(output, -EBUSY, "interlock: the other output did not go off");
	if (output->order_count == 0)
		output->want = output->state.on;
	output_remember_times(output);
	output_begin_order(output);
	return output_serve(task, 0);
}

static int output_serve(struct task *task, int result)
{
	struct output *output = task_data(task);
	bool on;

	(void)result;
	if (output->is_lost && output->is_wanted)
		return output_write_failed(task, -ENODEV);
	if (output->is_lost)
		return output_failed(task, -ENODEV);
	future_init(&output->wake, output->parts->reactor, NULL);
	if (!output->is_wanted)
		return task_await(task, &output->wake, output_serve);
	if (output->target && output->rules->blocked_by(output->rules, output, output_may_be_on))
		return task_await_for(task, &output->wake,
				      output->give_up_us - reactor_now(output->parts->reactor),
				      output_await_others);
	on = output->target;
	output->is_wanted = false;
	output->may_be_on |= on;
	if (output->back_us > 0) /* before it moves, so that whoever takes it over moves it back */
		output_remember(output, reactor_now(output->parts->reactor) + output->back_us, !on);
	result = line_run(output->line, LINE_SET, on);
	if (result < 0)
		return output_write_failed(task, result);
	return task_await_for(task, &output->line->job.future, LINE_TIMEOUT_US, output_driven);
}

static void output_ready(struct reactor_io *io, uint32_t events)
{
	struct output *output = container_of(io, struct output, io);

	(void)events; /* errors and hang-ups only: nothing else was asked for */
	output->is_lost = true;
	reactor_remove_io(io);
	future_resolve(&output->wake, 0);
}

static bool is_found_on(const struct output *other)
{
	return other->may_be_on && !other->is_kept; /* else it looks at us when it is found */
}

static int output_opened(struct task *task, int result)
{
	struct output *output = task_data(task);

	if (result == -ESTALE) {
		output_forget(output);
		return output_open(task, 0);
	}
	if (line_comes_free(output->line, result))
		return task_sleep(task, LINE_SOON_US, output_open);
	if (result < 0)
		return output_failed(task, result);
	if (output->line->held->fd >= 0)
		result = reactor_add_io(output->parts->reactor, &output->io, output->line->held->fd,
					0);
	if (result < 0)
		return output_failed(task, result);
	output->is_kept = output->is_lost = false;
	line_keep(output->line);
	output->was_open = true;
	output_is_online(output);
	output->want = output->line->on;
	output_note_state(output, output->line->on);
	output_resume_times(output);
	output_remember_times(output);
	if (output->is_away)
		output_move_alone(output, output->settings->on_disconnect == MOVE_ON,
				  "the broker is away");
	if (output->want && output->rules->blocked_by(output->rules, output, is_found_on))
		output_move_alone(output, false,
				  "an interlocked output is on too"); /* so "keep" found it */
	return output_serve(task, 0);
}

/* "initial" must not break an interlock; a line that comes back stays off if it was off */
static enum output_move initial_move(struct output *output)
{
	enum output_move initial = output->settings->initial;

	if (initial != MOVE_ON)
		return initial;
	if (output->was_open && !output->may_be_on)
		return MOVE_OFF;
	return output->rules->blocked_by(output->rules, output, output_may_be_on) ? MOVE_OFF
										  : MOVE_ON;
}

static int output_open(struct task *task, int result)
{
	struct output *output = task_data(task);

	output->line->request.initial = initial_move(output);
	output->may_be_on |= output->line->request.initial == MOVE_ON;
	result = line_run(output->line, LINE_OPEN, false);
	if (result < 0)
		return output_failed(task, result);
	return task_await_for(task, &output->line->job.future, LINE_TIMEOUT_US, output_opened);
}

/* --- life ----------------------------------------------------------------------------------- */

int output_new(struct output **ret, const struct device_parts *parts,
	       const struct output_settings *settings, const struct gpio *gpio,
	       struct worker_key *key, struct output_rules *rules)
{
	struct gpio_request request = {
		.line = &settings->line,
		.output = true,
		.initial = settings->initial,
	};
	struct output *output = calloc(1, sizeof(*output));
	int r;

	if (!output)
		return -ENOMEM;
	output->parts = parts;
	output->settings = settings;
	output->rules = rules;
	output->io.ready = output_ready;
	output_init_timers(output);
	future_init(&output->wake, parts->reactor, NULL);
	future_init(&output->exited, parts->reactor, NULL);
	r = line_new(&output->line, parts, gpio, key, &request, settings->name);
	if (r == 0)
		r = task_spawn(&output->task, parts->reactor, output_open, output, NULL);
	if (r < 0) {
		line_free(output->line);
		free(output);
		return r;
	}
	output->is_kept = output->may_be_on = line_find_kept(output->line, &output->times);
	output_link_changed(output, false);
	*ret = output;
	return 0;
}

struct output *output_free(struct output *output)
{
	if (!output)
		return NULL;
	output_drop_orders(output, -ECANCELED, "the output is being stopped");
	task_cancel(output->task);
	task_release(output->task);
	output_end_state(output);
	reactor_stop_timer(&output->away);
	line_free(output->line);
	free(output);
	return NULL;
}

void output_remove(struct output *output)
{
	line_forget(output->line);
	output_free(output);
}

void output_chips_changed(struct output *output)
{
	/* asks the kernel anew: it may not have told that the chip is gone */
	(void)reactor_modify_io(&output->io, 0);
	line_hasten(output->line);
}

const struct output_settings *output_settings(const struct output *output)
{
	return output->settings;
}

void output_info(const struct output *output, struct device_info *ret)
{
	*ret = (struct device_info){
		.kind = DEVICE_OUTPUT,
		.status = output->status,
		.name = output->settings->name,
		.state = output->has_state ? output->state.on : -1,
		.state_us = output->has_state ? output->state.time_us : 0,
		.fault = output->status == STATUS_OFFLINE ? output->fault : NULL,
	};
}

int output_state(const struct output *output, struct state *ret)
{
	if (!output->has_state)
		return -ENODATA;
	*ret = output->state;
	return 0;
}
