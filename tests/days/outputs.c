/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where each output must be, by SPEC.md alone: what was commanded, max_on, the way back, the broker's
 * absence, interlocks, a line that was lost, a write that failed. Nothing here waits and nothing is driven: an output is where
 * it is wanted at the end of the same instant, since in this world a line is driven in no time.
 */
#include <stdio.h>
#include <string.h>

#include "days.h"

const char *const output_names[OUTPUTS] = { "pump", "valve", "lamp" };

struct rule {
	enum output_move initial, on_exit, on_disconnect;
	int64_t max_on_us, disconnect_after_us; /* 0: no limit */
	bool is_interlocked;			/* pump and valve */
};

static struct rule rules[OUTPUTS];

#define MOVES_MOST 64

/* what an output is to do in this instant and has not done, and how it was before that */
struct move {
	bool on, is_command;
	bool was_on, back_to;
	int64_t limit_us, back_us;
};

static struct wanted {
	bool is_held, on;
	bool is_failing; /* not held, for a write failed: it is tried until it is done */
	struct move moves[MOVES_MOST];
	size_t move_count;
	bool was_held;	  /* in this life */
	bool may_be_on;	  /* where it was when it was lost */
	bool seen[2];	  /* was wanted off, on, in this instant */
	bool is_away;	  /* on_disconnect has been obeyed */
	int64_t limit_us; /* NEVER: not armed; as the next two */
	int64_t back_us, away_us;
	bool back_to;
	int64_t lost_limit_us, lost_back_us; /* go on when the line is back */
} wanted[OUTPUTS];

static const char *const words[] = { [MOVE_KEEP] = "keep", [MOVE_OFF] = "off", [MOVE_ON] = "on" };

/* --- the rules ------------------------------------------------------------------------------ */

static enum output_move draw_move(void)
{
	return (enum output_move)dice_between(&world.dice, MOVE_KEEP, MOVE_ON);
}

void outputs_reset(void)
{
	for (int i = 0; i < OUTPUTS; i++) {
		rules[i] = (struct rule){
			.initial = draw_move(),
			.on_exit = draw_move(),
			.on_disconnect = draw_move(),
			.max_on_us = dice_chance(&world.dice, 500)
					     ? dice_between(&world.dice, 100, 9000) * USEC_PER_MSEC
					     : 0,
			.disconnect_after_us = dice_between(&world.dice, 1, 5000) * USEC_PER_MSEC,
			.is_interlocked = i < 2,
		};
		wanted[i] = (struct wanted){ 0 };
	}
	/* two that exclude each other; beside one that begins on, one that is kept would be on for a moment */
	if (rules[0].initial == MOVE_ON)
		rules[1].initial = MOVE_OFF;
	else if (rules[1].initial == MOVE_ON)
		rules[0].initial = MOVE_OFF;
	if (rules[0].on_exit == MOVE_ON)
		rules[1].on_exit = MOVE_OFF;
	for (int i = 0; i < 2;
	     i++) /* on beside one that is just found on and driven off: either is right */
		if (rules[i].on_disconnect == MOVE_ON)
			rules[i].on_disconnect = MOVE_OFF;
}

void outputs_config(char *text, size_t size)
{
	size_t length = 0;

	for (int i = 0; i < OUTPUTS; i++) {
		const struct rule *rule = &rules[i];

		length += (size_t)snprintf(
			text + length, size - length,
			"%s{ name = \"%s\"; chip = \"chip%d\"; line = %d; initial = \"%s\";"
			" on_exit = \"%s\"; on_disconnect = \"%s\"; disconnect_after = \"%lldms\";"
			" max_on = \"%lldms\";%s }",
			i > 0 ? "," : "", output_names[i], i / 2, i, words[rule->initial],
			words[rule->on_exit], words[rule->on_disconnect],
			(long long)(rule->disconnect_after_us / USEC_PER_MSEC),
			(long long)(rule->max_on_us / USEC_PER_MSEC),
			i == 0 ? " interlock = [ \"valve\" ];" : "");
	}
}

static bool is_on(const struct wanted *w)
{
	return w->is_held ? w->on : w->may_be_on;
}

static bool is_blocked(int output)
{
	return rules[output].is_interlocked && is_on(&wanted[1 - output]);
}

static void want(int output, bool on, bool is_command)
{
	struct wanted *w = &wanted[output];

	if (!is_command)
		w->move_count = 0;
	if (w->move_count == MOVES_MOST)
		memmove(w->moves, w->moves + 1, --w->move_count * sizeof(w->moves[0]));
	w->moves[w->move_count++] = (struct move){
		on, is_command, w->on, w->back_to, w->limit_us, w->back_us,
	};
	w->back_us = NEVER;
	w->seen[on] = true;
	if (on && !w->on && rules[output].max_on_us > 0)
		w->limit_us = days_now() + rules[output].max_on_us;
	if (!on)
		w->limit_us = NEVER;
	w->on = on;
}

static void want_alone(int output, bool on)
{
	if (!on || !is_blocked(output))
		want(output, on, false);
}

/* --- what happens --------------------------------------------------------------------------- */

void outputs_life_begins(void)
{
	for (int i = 0; i < OUTPUTS; i++)
		wanted[i] = (struct wanted){
			.limit_us = NEVER,
			.back_us = NEVER,
			.away_us = NEVER,
			.lost_limit_us = NEVER,
			.lost_back_us = NEVER,
		};
}

bool outputs_set(int output, bool on, int64_t for_us)
{
	struct wanted *w = &wanted[output];
	bool was_on = is_on(w);

	if (!w->is_held || (on && is_blocked(output)))
		return false;
	want(output, on, true);
	if (for_us > 0 && (on || was_on)) {
		w->back_us = days_now() + for_us;
		w->back_to = !on;
	}
	return true;
}

bool outputs_is_on(int output)
{
	return is_on(&wanted[output]);
}

bool outputs_is_held(int output)
{
	return wanted[output].is_held;
}

void outputs_link(bool up)
{
	for (int i = 0; i < OUTPUTS; i++) {
		struct wanted *w = &wanted[i];

		if (up) {
			w->is_away = false;
			w->away_us = NEVER;
		} else if (rules[i].on_disconnect != MOVE_KEEP && !w->is_away &&
			   w->away_us == NEVER) {
			w->away_us =
				days_now() + rules[i].disconnect_after_us +
				(rules[i].on_disconnect == MOVE_ON); /* behind those that go off */
		}
	}
}

/* those that go off first, for others may wait for them; after that the broker's absence moves none */
void outputs_exit(void)
{
	static const enum output_move moves[] = { MOVE_OFF, MOVE_ON };

	for (size_t pass = 0; pass < ARRAY_SIZE(moves); pass++)
		for (int i = 0; i < OUTPUTS; i++)
			if (rules[i].on_exit == moves[pass] && wanted[i].is_held) {
				(void)outputs_set(i, moves[pass] == MOVE_ON, 0);
				wanted[i].away_us = NEVER;
				wanted[i].is_away = true;
			}
}

void outputs_lost(int output)
{
	struct wanted *w = &wanted[output];

	if (w->is_held)
		w->may_be_on = w->on;
	if (w->is_held || w->is_failing) {
		w->lost_limit_us = w->limit_us;
		w->lost_back_us = w->back_us;
	}
	if (w->is_failing && w->on != hardware_line_level(output)) { /* due since */
		w->lost_back_us = days_now();
		w->back_to = w->on;
	}
	w->is_held = w->is_failing = false;
	w->limit_us = w->back_us = NEVER;
	w->move_count = 0;
}

static int64_t first_due(const struct wanted *w)
{
	int64_t due_us = w->limit_us < w->back_us ? w->limit_us : w->back_us;

	return due_us < w->away_us ? due_us : w->away_us;
}

static void fire(int output)
{
	struct wanted *w = &wanted[output];
	int64_t due_us = first_due(w);

	if (due_us == w->away_us) {
		w->away_us = NEVER;
		w->is_away = true;
		if (w->is_held || w->is_failing)
			want_alone(output, rules[output].on_disconnect == MOVE_ON);
	} else if (due_us == w->limit_us) {
		want(output, false, false);
	} else {
		w->back_us = NEVER;
		want_alone(output, w->back_to);
	}
}

void outputs_advance(int64_t now_us)
{
	int next;

	do {
		next = -1;
		for (int i = 0; i < OUTPUTS; i++)
			if (first_due(&wanted[i]) <= now_us &&
			    (next < 0 || first_due(&wanted[i]) < first_due(&wanted[next])))
				next = i;
		if (next >= 0)
			fire(next);
	} while (next >= 0);
}

/* --- what the daemon did -------------------------------------------------------------------- */

void outputs_requested(int output, enum output_move initial, bool level)
{
	const struct rule *rule = &rules[output];
	struct wanted *w = &wanted[output];
	enum output_move expected = rule->initial;

	if (expected == MOVE_ON && ((w->was_held && !w->may_be_on) || is_blocked(output)))
		expected = MOVE_OFF;
	if (w->is_held || initial != expected)
		days_fail("%s: its line was asked for as \"%s\", not as \"%s\"",
			  output_names[output], words[initial], words[expected]);
	w->is_held = w->was_held = true;
	w->on = false;
	want(output, expected == MOVE_KEEP ? level : expected == MOVE_ON, false);
	w->move_count = 0; /* it is there already */
	if (w->limit_us != NEVER && w->lost_limit_us != NEVER)
		w->limit_us = w->lost_limit_us;
	if (w->back_to != w->on)
		w->back_us = w->lost_back_us;
	w->lost_limit_us = w->lost_back_us = NEVER;
	if (w->is_away)
		want_alone(output, rule->on_disconnect == MOVE_ON);
	if (w->on && is_blocked(output))
		want(output, false, false);
}

/* the first of the moves that it may be */
static size_t find_move(const struct wanted *w, bool on)
{
	size_t i = 0;

	while (i < w->move_count && w->moves[i].on != on)
		i++;
	return i;
}

void outputs_written(int output, bool on)
{
	struct wanted *w = &wanted[output];
	size_t done;

	outputs_advance(days_now()); /* what fell due while it was lost */
	done = find_move(w, on) + 1;
	if (w->is_failing ? on != w->on : !w->is_held || !w->seen[on])
		days_fail("%s was driven %s, which nobody told it", output_names[output],
			  on ? "on" : "off");
	if (w->is_failing && on && w->limit_us == NEVER && rules[output].max_on_us > 0)
		w->limit_us = days_now() + rules[output].max_on_us;
	if (w->is_failing)
		w->is_held = true;
	w->is_failing = false;
	if (done > w->move_count)
		done = w->move_count;
	w->move_count -= done;
	memmove(w->moves, w->moves + done, w->move_count * sizeof(w->moves[0]));
}

/* a command that fails is over, as those behind it, and changes nothing; what it does on its own is tried again */
void outputs_failed(int output, bool on)
{
	struct wanted *w = &wanted[output];
	size_t i = find_move(w, on);
	const struct move *move = i < w->move_count ? &w->moves[i] : NULL;
	bool is_over = move && move->is_command && w->moves[w->move_count - 1].is_command;

	if (!w->is_held && !w->is_failing)
		return;
	if (is_over) {
		w->on = move->was_on;
		w->limit_us = move->limit_us;
		w->back_us = move->back_us;
		w->back_to = move->back_to;
	} else if (w->on && !hardware_line_level(output)) {
		w->limit_us = NEVER; /* it counts from when it is on */
	}
	w->may_be_on = on || (w->is_failing ? w->may_be_on : hardware_line_level(output));
	w->move_count = 0;
	w->is_held = false;
	w->is_failing = true;
}

void outputs_judge(void)
{
	outputs_advance(world.instant_us);
	for (int i = 0; i < OUTPUTS; i++) {
		struct wanted *w = &wanted[i];

		if (w->is_held && hardware_line_level(i) != w->on)
			days_fail("%s is %s and must be %s", output_names[i], w->on ? "off" : "on",
				  w->on ? "on" : "off");
		memset(w->seen, 0, sizeof(w->seen));
		w->move_count = 0;
	}
}
