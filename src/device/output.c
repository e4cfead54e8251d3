/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An output: what it should be, and a task that drives the line there.
 *
 *	open → serve ⇄ drive → (failed) → wait → open
 *
 * Commands, timers and the link only change `want` and wake the task; the line is driven in one place,
 * on the chip's worker, and a state is published when it has been driven, not when it was asked
 * for. Three timers move it on their own, and nothing else does: `back` of a timed command, `limit`
 * (max_on, from the moment it went on; a further "on" does not extend it) and `away`
 * (on_disconnect).
 *
 * Commands are carried out one after the other, each driven, told and answered, however fast they
 * come; what moves it on its own comes first and ends those that wait.
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
#include "line.h"

/* how long "on" waits for an interlocked output that is just being driven off */
#define INTERLOCK_WAIT_US (1 * USEC_PER_SEC)
#define ORDERS_MAX	  64 /* commands that wait; of more the earliest are dropped */

/* a command */
struct order {
	bool on;
	int64_t for_us; /* go back after this; 0: never */
	output_callback done;
	void *data;
};

struct output {
	const struct device_parts *parts;
	const struct output_settings *settings;
	struct output_rules *rules;
	struct line *line;
	struct task *task;
	struct reactor_io io; /* only for the chip's end */
	struct future wake;
	bool is_lost, was_open;

	bool want;		/* the intention: where the last command or rule sends it */
	bool target, is_wanted; /* what the line has to be driven to next */
	bool may_be_on;
	bool has_state; /* the line is ours, and state is where it is */
	struct state state;
	int64_t back_us; /* armed when the line has been driven; 0: no way back */
	struct reactor_timer back, limit, away;
	int64_t limit_from_us; /* when max_on began to count */
	bool is_away;	       /* on_disconnect is due */
	int64_t give_up_us;    /* when to stop waiting for interlocked outputs */

	struct order orders[ORDERS_MAX]; /* the earliest first */
	size_t order_count;
	bool is_ordered; /* the first of them is being carried out */
	struct future exited;

	enum device_status status;
	unsigned int failures;
	int64_t failed_since_us;
	char fault[192];
};

static int output_open(struct task *task, int result);
static int output_serve(struct task *task, int result);

/* --- telling -------------------------------------------------------------------------------- */

static void tell_status(struct output *output, enum device_status status)
{
	struct device_events *events = output->parts->events;

	if (output->status == status)
		return;
	output->status = status;
	events->status(events, DEVICE_OUTPUT, output->settings->name, status);
}

/* the order at @at is over */
static void end_order(struct output *output, size_t at, int error, const char *fault)
{
	struct order order = output->orders[at];

	output->order_count--;
	memmove(&output->orders[at], &output->orders[at + 1],
		(output->order_count - at) * sizeof(order));
	if (order.done)
		order.done(order.data, error, fault, output->has_state ? &output->state : NULL);
}

/* the first one, which was being carried out */
static void answer(struct output *output, int error, const char *fault)
{
	output->is_ordered = false;
	end_order(output, 0, error, fault);
}

/* all that wait by now are over */
static void drop_orders(struct output *output, int error, const char *fault)
{
	for (size_t left = output->order_count; left > 0 && output->order_count > 0; left--)
		answer(output, error, fault);
}

static void set_limit(struct output *output)
{
	(void)reactor_set_timer(output->parts->reactor, &output->limit,
				output->limit_from_us + output->settings->max_on_us);
}

/* the line has been driven, or taken over, at @on */
static void note_state(struct output *output, bool on)
{
	struct reactor *reactor = output->parts->reactor;
	bool changed = !output->has_state || output->state.on != on;

	output->may_be_on = on;
	if (!on) {
		reactor_stop_timer(&output->limit);
		output->rules->went_off(output->rules, output);
	} else if (changed && output->settings->max_on_us > 0) {
		output->limit_from_us = reactor_now(reactor);
		set_limit(output);
	}
	if (!changed)
		return;
	output->state =
		(struct state){ DEVICE_OUTPUT, output->settings->name, on, clock_realtime_us() };
	output->has_state = true;
	output->parts->events->state(output->parts->events, &output->state);
}

/* --- what moves it -------------------------------------------------------------------------- */

static void aim(struct output *output, bool on)
{
	output->target = on;
	output->is_wanted = true;
	output->give_up_us = reactor_now(output->parts->reactor) + INTERLOCK_WAIT_US;
	reactor_stop_timer(&output->back);
	output->back_us = 0;
	future_resolve(&output->wake, 0);
}

static void begin_order(struct output *output)
{
	if (output->is_wanted || output->is_ordered || output->order_count == 0)
		return;
	aim(output, output->orders[0].on);
	output->back_us = output->orders[0].for_us;
	output->is_ordered = true;
}

/* not by a command: now, and what was commanded before is over */
static void move(struct output *output, bool on, const char *why)
{
	drop_orders(output, -ECANCELED, why);
	output->want = on;
	aim(output, on);
}

static bool is_interlocked(struct output *output, bool on, char fault[static 192])
{
	const char *other =
		on ? output->rules->blocked_by(output->rules, output, output_is_on) : NULL;

	if (other)
		(void)snprintf(fault, 192, "interlock: \"%s\" is on, so \"%s\" must stay off",
			       other, output->settings->name);
	return other != NULL;
}

static int refuse(struct output *output, bool on, char fault[static 192])
{
	if (!output->has_state) {
		(void)snprintf(fault, 192, "output \"%s\" is offline: %.100s",
			       output->settings->name,
			       output->fault[0] ? output->fault : "its line is not held yet");
		return -ENODEV;
	}
	return is_interlocked(output, on, fault) ? -EBUSY : 0;
}

void output_set(struct output *output, bool on, int64_t for_us, output_callback done, void *data)
{
	struct order order = { .on = on, .done = done, .data = data };
	bool was_on = output_is_on(output);
	char fault[192];
	int r;

	r = refuse(output, on, fault);
	if (r < 0) {
		if (done)
			done(data, r, fault, output->has_state ? &output->state : NULL);
		return;
	}
	if (for_us > 0 && (on || was_on))
		order.for_us = for_us;
	output->want = on;
	if (output->order_count == ORDERS_MAX) /* the last word counts */
		end_order(output, 1, -ECANCELED, "replaced by later commands");
	output->orders[output->order_count++] = order;
	begin_order(output);
}

/* on its own: what cannot be done is logged, since nobody waits for an answer */
static void move_alone(struct output *output, bool on, const char *why)
{
	struct log_fields fields = { .name = output->settings->name };
	char fault[192];

	if (is_interlocked(output, on, fault)) {
		log_event(LOG_WARNING, &fields, "output %s: not turned on (%s): %s",
			  output->settings->name, why, fault);
		return;
	}
	log_event(LOG_INFO, &fields, "output %s: %s: %s", output->settings->name, on ? "on" : "off",
		  why);
	move(output, on, why);
}

static void back_due(struct reactor_timer *timer)
{
	struct output *output = container_of(timer, struct output, back);

	move_alone(output, !output->state.on, "the time of a command is over");
}

static void limit_due(struct reactor_timer *timer)
{
	struct output *output = container_of(timer, struct output, limit);
	struct log_fields fields = { .message_id = MESSAGE_ID_FORCED_OFF,
				     .name = output->settings->name };

	log_event(LOG_WARNING, &fields, "output %s: forced off: it was on for max_on",
		  output->settings->name);
	move(output, false, "forced off: it was on for max_on");
}

static void away_due(struct reactor_timer *timer)
{
	struct output *output = container_of(timer, struct output, away);

	output->is_away = true;
	if (output->has_state)
		move_alone(output, output->settings->on_disconnect == MOVE_ON,
			   "the broker has been away for disconnect_after");
}

void output_link_changed(struct output *output, bool connected)
{
	struct reactor *reactor = output->parts->reactor;

	if (connected) {
		output->is_away = false;
		reactor_stop_timer(&output->away);
		return;
	}
	if (output->settings->on_disconnect == MOVE_KEEP)
		return;
	/* it counts from the first of many failed tries to connect, and is obeyed once */
	if (!output->is_away && !reactor_timer_is_set(&output->away))
		(void)reactor_set_timer(reactor, &output->away,
					reactor_now(reactor) +
						output->settings->disconnect_after_us);
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

static void exit_done(void *data, int error, const char *fault, const struct state *state)
{
	struct output *output = data;

	(void)state;
	if (error < 0)
		log_warning("output %s: on_exit failed: %s", output->settings->name, fault);
	future_resolve(&output->exited, 0);
}

struct future *output_exit(struct output *output)
{
	if (output->settings->on_exit == MOVE_KEEP || !output->has_state)
		return NULL;
	future_init(&output->exited, output->parts->reactor, NULL);
	output_set(output, output->settings->on_exit == MOVE_ON, 0, exit_done, output);
	return &output->exited;
}

/* --- the task ------------------------------------------------------------------------------- */

static void output_end_state(struct output *output)
{
	reactor_remove_io(&output->io);
	reactor_stop_timer(&output->back);
	reactor_stop_timer(&output->limit);
	output->has_state = output->is_wanted = false;
}

static int output_failed(struct task *task, int error)
{
	struct output *output = task_data(task);

	line_describe(output->line, error, output->fault);
	output_end_state(output);
	drop_orders(output, error, output->fault);
	if (output->failures++ == 0) {
		output->failed_since_us = reactor_now(output->parts->reactor);
		line_log_offline(DEVICE_OUTPUT, output->settings->name, error, output->fault);
	}
	tell_status(output, STATUS_OFFLINE);
	if (!line_is_idle(output->line))
		return task_await(task, &output->line->back, output_open);
	return task_sleep(task, line_retry_us(output->failures), output_open);
}

static int output_driven(struct task *task, int result)
{
	struct output *output = task_data(task);
	struct reactor *reactor = output->parts->reactor;

	if (result < 0)
		return output_failed(task, result);
	note_state(output, output->line->on);
	if (output->is_wanted)
		return output_serve(task, 0); /* something came between */
	if (output->back_us > 0)
		(void)reactor_set_timer(reactor, &output->back,
					reactor_now(reactor) + output->back_us);
	output->back_us = 0;
	if (output->is_ordered)
		answer(output, 0, NULL);
	begin_order(output);
	return output_serve(task, 0);
}

/* another output is still being driven off; -ETIMEDOUT: it does not come off */
static int output_await_others(struct task *task, int result)
{
	struct output *output = task_data(task);

	if (result != -ETIMEDOUT)
		return output_serve(task, 0);
	output->is_wanted = false;
	output->back_us = 0;
	if (!output->is_ordered)
		log_warning("output %s: not turned on: an interlocked output did not go off",
			    output->settings->name);
	else
		answer(output, -EBUSY, "interlock: the other output did not go off");
	if (output->order_count == 0)
		output->want = output->state.on;
	begin_order(output);
	return output_serve(task, 0);
}

static int output_serve(struct task *task, int result)
{
	struct output *output = task_data(task);
	bool on;

	(void)result;
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
	result = line_run(output->line, LINE_SET, on);
	if (result < 0)
		return output_failed(task, result);
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

static int output_opened(struct task *task, int result)
{
	struct output *output = task_data(task);

	if (result < 0)
		return output_failed(task, result);
	output->is_lost = false;
	if (output->line->held->fd >= 0)
		result = reactor_add_io(output->parts->reactor, &output->io, output->line->held->fd,
					0);
	if (result < 0)
		return output_failed(task, result);
	if (output->failures > 0)
		line_log_online(DEVICE_OUTPUT, output->settings->name,
				reactor_now(output->parts->reactor) - output->failed_since_us,
				output->failures);
	output->failures = 0;
	output->fault[0] = '\0';
	output->was_open = true;
	tell_status(output, STATUS_ONLINE);
	output->want = output->line->on;
	note_state(output, output->line->on);
	if (output->is_away)
		move_alone(output, output->settings->on_disconnect == MOVE_ON,
			   "the broker is away");
	if (output->want && output->rules->blocked_by(output->rules, output, output_may_be_on))
		move_alone(output, false,
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
	output->back.fire = back_due;
	output->limit.fire = limit_due;
	output->away.fire = away_due;
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
	output_link_changed(output, false);
	*ret = output;
	return 0;
}

struct output *output_free(struct output *output)
{
	if (!output)
		return NULL;
	drop_orders(output, -ECANCELED, "the output is being stopped");
	task_cancel(output->task);
	task_release(output->task);
	output_end_state(output);
	reactor_stop_timer(&output->away);
	line_free(output->line);
	free(output);
	return NULL;
}

static void update_limit(struct output *output, int64_t before_us)
{
	int64_t max_on_us = output->settings->max_on_us;

	if (max_on_us == before_us)
		return;
	reactor_stop_timer(&output->limit);
	if (max_on_us == 0 || !output->has_state || !output->state.on)
		return;
	if (before_us == 0)
		output->limit_from_us = reactor_now(output->parts->reactor);
	set_limit(output);
}

void output_update(struct output *output, const struct output_settings *settings)
{
	const struct output_settings *before = output->settings;

	output->settings = settings;
	output->state.name = settings->name;
	update_limit(output, before->max_on_us);
	if (before->on_disconnect == settings->on_disconnect &&
	    before->disconnect_after_us == settings->disconnect_after_us)
		return;
	output->is_away = false;
	reactor_stop_timer(&output->away);
}

void output_obey_interlock(struct output *output)
{
	if (output->has_state && output->want &&
	    output->rules->blocked_by(output->rules, output, output_is_on))
		move_alone(output, false, "an interlocked output is on too");
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
