/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What moves an output: commands, its timers, the link, the end. All of it only says where it shall be
 * and wakes the task (output.c), which drives it there.
 *
 * Three timers move it on their own, and nothing else does: `back` of a timed command, `limit`
 * (max_on, from the moment it went on; a further "on" does not extend it) and `away`
 * (on_disconnect). The first two are remembered beside the line for whoever takes it over: a pump that
 * was turned on for a minute goes off after that minute, whatever became of iotd meanwhile. A way back is
 * remembered before the line moves, for a kill may come between.
 *
 * Commands are carried out one after the other, each driven, told and answered, however fast they
 * come; what moves it on its own comes first and ends those that wait.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "output.h"

/* --- times --------------------------------------------------------------------------------- */

static void set_limit(struct output *output)
{
	(void)reactor_set_timer(output->parts->reactor, &output->limit,
				output->limit_from_us + output->settings->max_on_us);
}

void output_remember(struct output *output, int64_t back_us, bool back_on)
{
	struct line_times times = {
		.back_us = back_us,
		.limit_from_us = reactor_timer_is_set(&output->limit) ? output->limit_from_us : 0,
		.back_on = back_on,
	};

	line_remember(output->line, &times);
}

void output_remember_times(struct output *output)
{
	output_remember(output, reactor_timer_is_set(&output->back) ? output->back.due_us : 0,
			!output->state.on);
}

void output_resume_times(struct output *output)
{
	struct line_times *times = &output->times;

	if (times->back_us > 0 && times->back_on != output->state.on)
		(void)reactor_set_timer(output->parts->reactor, &output->back, times->back_us);
	if (times->limit_from_us > 0 && reactor_timer_is_set(&output->limit)) {
		output->limit_from_us = times->limit_from_us;
		set_limit(output);
	}
	*times = (struct line_times){ 0 };
}

void output_note_state(struct output *output, bool on)
{
	struct reactor *reactor = output->parts->reactor;
	bool changed = !output->has_state || output->state.on != on;

	output->may_be_on = on;
	if (!on) {
		reactor_stop_timer(&output->limit);
		output->rules->went_off(output->rules, output);
	} else if (changed && output->settings->max_on_us > 0 &&
		   !reactor_timer_is_set(&output->limit)) {
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
	if (output->has_state)
		output_remember_times(output);
	if (before->on_disconnect == settings->on_disconnect &&
	    before->disconnect_after_us == settings->disconnect_after_us)
		return;
	output->is_away = false;
	reactor_stop_timer(&output->away);
}

/* --- commands ------------------------------------------------------------------------------- */

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

void output_answer(struct output *output, int error, const char *fault)
{
	output->is_ordered = false;
	end_order(output, 0, error, fault);
}

void output_drop_orders(struct output *output, int error, const char *fault)
{
	for (size_t left = output->order_count; left > 0 && output->order_count > 0; left--)
		output_answer(output, error, fault);
}

static void aim(struct output *output, bool on)
{
	output->target = on;
	output->is_wanted = true;
	output->give_up_us = reactor_now(output->parts->reactor) + INTERLOCK_WAIT_US;
	reactor_stop_timer(&output->back);
	output->back_us = 0;
	output->reverts = false;
	future_resolve(&output->wake, 0);
}

void output_is_due_later(struct output *output)
{
	struct reactor *reactor = output->parts->reactor;

	if (output->reverts && output->reverts_to_us > 0)
		(void)reactor_set_timer(reactor, &output->back, output->reverts_to_us);
	else if (!output->reverts && output->target != output->state.on)
		(void)reactor_set_timer(reactor, &output->back, reactor_now(reactor));
}

void output_begin_order(struct output *output)
{
	int64_t back_us = reactor_timer_is_set(&output->back) ? output->back.due_us : 0;

	if (output->is_wanted || output->is_ordered || output->order_count == 0)
		return;
	aim(output, output->orders[0].on);
	output->back_us = output->orders[0].for_us;
	output->is_ordered = output->reverts = true;
	output->reverts_to_us = back_us;
}

void output_aim_again(struct output *output)
{
	int64_t back_us = output->reverts_to_us;

	if (output->is_wanted)
		return; /* something came between */
	if (output->reverts) {
		aim(output, output->state.on);
		output->want = output->state.on;
		if (back_us > 0)
			(void)reactor_set_timer(output->parts->reactor, &output->back, back_us);
		output_remember_times(output);
	}
	output->is_wanted = true;
	output->give_up_us = reactor_now(output->parts->reactor) + INTERLOCK_WAIT_US;
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
	output_begin_order(output);
}

/* --- what moves it on its own --------------------------------------------------------------- */

/* not by a command: now, and what was commanded before is over */
static void move(struct output *output, bool on, const char *why)
{
	output_drop_orders(output, -ECANCELED, why);
	output->want = on;
	aim(output, on);
}

void output_move_alone(struct output *output, bool on, const char *why)
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

	output_move_alone(output, !output->state.on, "the time of a command is over");
	if (!output->is_wanted)
		output_remember_times(output); /* refused for good */
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
	if (output->has_state || output->is_unsure)
		output_move_alone(output, output->settings->on_disconnect == MOVE_ON,
				  "the broker has been away for disconnect_after");
}

void output_link_changed(struct output *output, bool connected)
{
	struct reactor *reactor = output->parts->reactor;
	/* those that go off come first: others may wait for them */
	int64_t distance_us = output->settings->disconnect_after_us +
			      (output->settings->on_disconnect == MOVE_ON);

	if (connected) {
		output->is_away = false;
		reactor_stop_timer(&output->away);
		return;
	}
	if (output->settings->on_disconnect == MOVE_KEEP || output->is_ending)
		return;
	/* it counts from the first of many failed tries to connect, and is obeyed once */
	if (!output->is_away && !reactor_timer_is_set(&output->away))
		(void)reactor_set_timer(reactor, &output->away, reactor_now(reactor) + distance_us);
}

void output_obey_interlock(struct output *output)
{
	if (output->has_state && output->want &&
	    output->rules->blocked_by(output->rules, output, output_is_on))
		output_move_alone(output, false, "an interlocked output is on too");
}

/* --- the end -------------------------------------------------------------------------------- */

static void exit_done(void *data, int error, const char *fault, const struct state *state)
{
	struct output *output = data;
	struct log_fields fields = { .name = output->settings->name };

	(void)state;
	if (error < 0)
		log_event(LOG_WARNING, &fields, "output %s: on_exit failed: %s",
			  output->settings->name, fault);
	future_resolve(&output->exited, 0);
}

/* the line stays where it is, and nobody moves it when its time is over */
static void log_left(const struct output *output)
{
	const struct reactor_timer *next =
		reactor_timer_is_set(&output->back) ? &output->back : &output->limit;
	struct log_fields fields = { .name = output->settings->name };
	char age[32];

	if (output->line->stored[0] == '\0' || !reactor_timer_is_set(next))
		return;
	device_format_age(age, sizeof(age), next->due_us - reactor_now(output->parts->reactor));
	log_event(LOG_NOTICE, &fields,
		  "output %s: stays %s; it goes %s in %s, or when iotd runs again if that is later",
		  output->settings->name, output->state.on ? "on" : "off",
		  output->state.on ? "off" : "on", age);
}

struct future *output_exit(struct output *output)
{
	if (!output->has_state)
		return NULL;
	if (output->settings->on_exit == MOVE_KEEP) {
		log_left(output);
		return NULL;
	}
	output->is_ending = true;
	reactor_stop_timer(&output->away);
	future_init(&output->exited, output->parts->reactor, NULL);
	output_set(output, output->settings->on_exit == MOVE_ON, 0, exit_done, output);
	return &output->exited;
}

void output_init_timers(struct output *output)
{
	output->back.fire = back_due;
	output->limit.fire = limit_due;
	output->away.fire = away_due;
}
