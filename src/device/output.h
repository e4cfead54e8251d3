/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An output's own state, shared by its task (output.c) and what moves it (output-moves.c). */

#include "line.h"

#define ORDERS_MAX	  64 /* commands that wait; of more the earliest are dropped */
/* how long "on" waits for an interlocked output that is just being driven off */
#define INTERLOCK_WAIT_US (1 * USEC_PER_SEC)

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
	bool is_kept; /* an earlier run's line is not taken over yet: nobody knows where it is */
	struct line_times times; /* of that run, or of this one before the line was lost */

	bool want;		/* the intention: where the last command or rule sends it */
	bool target, is_wanted; /* what the line has to be driven to next */
	bool may_be_on;
	bool has_state; /* the line is ours, and state is where it is */
	bool is_unsure; /* it is ours, but did not take the last write: tried again */
	struct state state;
	int64_t back_us; /* armed when the line has been driven; 0: no way back */
	struct reactor_timer back, limit, away;
	int64_t limit_from_us; /* when max_on began to count */
	bool is_away;	       /* on_disconnect is due */
	int64_t give_up_us;    /* when to stop waiting for interlocked outputs */
	bool reverts; /* `target` is a command's: if that fails the output goes back to `state` */
	int64_t reverts_to_us; /* and to this time of `back`, which the command replaced; 0: none */

	struct order orders[ORDERS_MAX]; /* the earliest first */
	size_t order_count;
	bool is_ordered; /* the first of them is being carried out */
	struct future exited;
	bool is_ending; /* on_exit has the last word */

	enum device_status status;
	unsigned int failures;
	int64_t failed_since_us;
	char fault[192];
};

/** output_init_timers() - what they do when they fire */
void output_init_timers(struct output *output);

/** output_note_state() - the line has been driven, or taken over, at @on: tell, and let max_on count */
void output_note_state(struct output *output, bool on);

/** output_remember() - for whoever takes the line over: it goes to @back_on at @back_us; 0: it does not */
void output_remember(struct output *output, int64_t back_us, bool back_on);

/** output_remember_times() - the same, as the timers are now */
void output_remember_times(struct output *output);

/** output_resume_times() - go on counting where `times` were; what fell due meanwhile is done at once */
void output_resume_times(struct output *output);

/** output_aim_again() - a write failed: what the line has to be driven to now */
void output_aim_again(struct output *output);

/** output_is_due_later() - the line got lost in a move: when it is back its times go on as if it had come to an end */
void output_is_due_later(struct output *output);

/** output_begin_order() - the earliest command that waits, unless something is to be done already */
void output_begin_order(struct output *output);

/** output_answer() - the command that is being carried out is over */
void output_answer(struct output *output, int error, const char *fault);

/** output_drop_orders() - all commands that wait by now are over */
void output_drop_orders(struct output *output, int error, const char *fault);

/** output_move_alone() - not by a command, and before all commands; what cannot be done is logged, for nobody waits for an answer */
void output_move_alone(struct output *output, bool on, const char *why);
