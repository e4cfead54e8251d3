/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What else moves an output or forbids it: interlocks, and the loss of the broker. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "output-fixture.h"
#include "test-output.h"

/* --- interlocks ----------------------------------------------------------------------------- */

START_TEST(an_interlocked_output_is_refused)
{
	struct answer answer;

	interlocked = true;
	start(2);
	ck_assert_int_eq(set(0, true, 0).error, 0);
	answer = set(1, true, 5 * SECOND);
	ck_assert_int_eq(answer.error, -EBUSY);
	ck_assert_str_eq(answer.fault, "interlock: \"a\" is on, so \"b\" must stay off");
	ck_assert_int_eq(answer.state, 0);
	run_for(10 * SECOND);
	ck_assert_str_eq(driven, "a+ ");
	ck_assert_int_eq(set(1, false, 0).error, 0); /* off is never refused */
	ck_assert_int_eq(set(0, true, 0).error, 0);  /* nor is what is on already */
}
END_TEST

START_TEST(off_and_on_in_one_breath_never_meet)
{
	struct answer off = { 0 }, on = { 0 }, back = { 0 };

	interlocked = true;
	start(2);
	(void)set(0, true, 0);
	driven[0] = '\0';
	output_set(pins[0].output, false, 0, on_answer, &off);
	output_set(pins[1].output, true, 0, on_answer, &on);
	output_set(pins[0].output, true, 0, on_answer, &back);
	ck_assert_int_eq(back.error, -EBUSY); /* the other one is on by intention */
	run_for(1);
	ck_assert_int_eq(off.count, 1);
	ck_assert_int_eq(off.error, 0);
	ck_assert_int_eq(on.count, 1);
	ck_assert_int_eq(on.error, 0);
	ck_assert_str_eq(driven, "a- b+ ");
}
END_TEST

START_TEST(going_back_on_respects_the_interlock)
{
	interlocked = true;
	start(2);
	(void)set(0, true, 0);
	(void)set(0, false, 3 * SECOND);
	ck_assert_int_eq(set(1, true, 0).error, 0);
	run_for(10 * SECOND);
	ck_assert_str_eq(driven, "a+ a- b+ ");
	ck_assert_ptr_nonnull(strstr(logs,
				     "output a: not turned on (the time of a command is over): "
				     "interlock: \"b\" is on"));
}
END_TEST

START_TEST(what_vanished_while_it_was_on_counts_as_on)
{
	struct answer answer;

	interlocked = true;
	ck_assert_int_eq(pipe(pins[0].line.ends), 0);
	start(2);
	(void)set(0, true, 0);
	pins[0].line.request_error = -ENODEV;
	fake_line_end_chip(&pins[0].line);
	run_for(SECOND);
	ck_assert_int_eq(info_state(0), -1);
	answer = set(1, true, 0);
	ck_assert_int_eq(answer.error, -EBUSY);
	ck_assert_str_eq(answer.fault, "interlock: \"a\" is on, so \"b\" must stay off");
}
END_TEST

START_TEST(two_that_are_found_on_do_not_stay_on)
{
	interlocked = true;
	for (int i = 0; i < 2; i++) {
		pins[i].settings.initial = MOVE_KEEP;
		pins[i].line.level = true;
	}
	make(2);
	run_for(SECOND);
	ck_assert(pins[0].line.level != pins[1].line.level);
	ck_assert_ptr_nonnull(strstr(logs, "an interlocked output is on too"));
}
END_TEST

START_TEST(initial_respects_the_interlock)
{
	interlocked = true;
	pins[1].settings.initial = MOVE_ON;
	pins[1].line.request_error = -ENODEV;
	start(2);
	ck_assert_int_eq(set(0, true, 0).error, 0);
	pins[1].line.request_error = 0;
	run_for(SECOND);
	ck_assert_str_eq(driven, "a+ b- ");
}
END_TEST

/* --- the link ------------------------------------------------------------------------------- */

/* one character a second: d link down (again), u up, 1 0 commanded, _ nothing; disconnect_after is 3 s */
static const struct {
	enum output_move on_disconnect;
	const char *course, *states;
	int64_t max_on_us;
} links[] = {
	{ MOVE_OFF, "u1______", "-+++++++", 0 },
	{ MOVE_OFF, "u1d_____", "-++++---", 0 },
	{ MOVE_OFF, "u1d_u___d_____", "-++++++++++---", 0 }, /* back in time */
	{ MOVE_OFF, "u1d____u__", "-++++-----", 0 },	     /* stays off when the broker is back */
	{ MOVE_OFF, "u1dddddddd", "-++++-----", 0 }, /* a failed try does not start it anew */
	{ MOVE_OFF, "1______", "+++----", 0 },	     /* from the start */
	{ MOVE_OFF, "_u1____", "--+++++", 0 },
	{ MOVE_KEEP, "u1d_______", "-+++++++++", 0 },
	{ MOVE_ON, "u_d____", "-----++", 0 },
	{ MOVE_ON, "udddddddddddd", "----++-------", 2 * SECOND }, /* once, and max_on holds */
	{ MOVE_OFF, "u1d___1___", "-++++-++++", 0 }, /* somebody else may turn it on again */
};

START_TEST(on_disconnect_moves_it)
{
	const char *course = links[_i].course;
	char states[32] = "";

	pins[0].settings.on_disconnect = links[_i].on_disconnect;
	pins[0].settings.disconnect_after_us = 3 * SECOND;
	pins[0].settings.max_on_us = links[_i].max_on_us;
	make(1);
	run_for(1);
	for (size_t i = 0; course[i]; i++) {
		if (course[i] == 'u' || course[i] == 'd')
			output_link_changed(pins[0].output, course[i] == 'u');
		else if (course[i] != '_')
			output_set(pins[0].output, course[i] == '1', 0, NULL, NULL);
		run_for(SECOND / 2);
		text_append(states, sizeof(states), "%c", pins[0].line.level ? '+' : '-');
		run_for(SECOND - SECOND / 2);
	}
	ck_assert_str_eq(states, links[_i].states);
}
END_TEST

START_TEST(a_line_that_comes_while_the_broker_is_away_obeys_on_disconnect)
{
	pins[0].settings.on_disconnect = MOVE_OFF;
	pins[0].settings.initial = MOVE_KEEP;
	pins[0].line.level = true;
	pins[0].line.request_error = -ENOENT;
	make(1);
	run_for(60 * SECOND);
	pins[0].line.request_error = 0;
	run_for(20 * SECOND);
	ck_assert_str_eq(driven, "a- ");
	assert_told("a:offline a:online a:on a:off ");
}
END_TEST

/* whichever comes first in the list */
START_TEST(a_change_over_when_the_broker_goes)
{
	int on = _i, off = !_i;

	interlocked = true;
	for (int i = 0; i < 2; i++) {
		pins[i].settings.on_disconnect = i == on ? MOVE_ON : MOVE_OFF;
		pins[i].settings.disconnect_after_us = 3 * SECOND;
	}
	start(2);
	output_link_changed(pins[0].output, true);
	output_link_changed(pins[1].output, true);
	ck_assert_int_eq(set(off, true, 0).error, 0);
	output_link_changed(pins[0].output, false);
	output_link_changed(pins[1].output, false);
	run_for(10 * SECOND);
	ck_assert(pins[on].line.level);
	ck_assert(!pins[off].line.level);
}
END_TEST

/* a line that "initial" is just turning on counts as on */
START_TEST(one_that_is_being_taken_on_blocks_the_other)
{
	interlocked = true;
	pins[0].settings.initial = MOVE_ON;
	pins[0].line.request_error = -ENOENT;
	start(2);
	pins[0].line.request_error = 0;
	output_chips_changed(pins[0].output);
	run_for(0); /* its request is under way, or done */
	ck_assert_int_eq(set(1, true, 0).error, -EBUSY);
	run_for(SECOND);
	ck_assert(pins[0].line.level);
	ck_assert(!pins[1].line.level);
	ck_assert_ptr_null(strstr(driven, "b+"));
}
END_TEST

TCase *rule_cases(void)
{
	TCase *cases = tcase_create("rules");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_test(cases, an_interlocked_output_is_refused);
	tcase_add_test(cases, off_and_on_in_one_breath_never_meet);
	tcase_add_test(cases, going_back_on_respects_the_interlock);
	tcase_add_test(cases, what_vanished_while_it_was_on_counts_as_on);
	tcase_add_test(cases, two_that_are_found_on_do_not_stay_on);
	tcase_add_test(cases, initial_respects_the_interlock);
	tcase_add_loop_test(cases, on_disconnect_moves_it, 0, (int)ARRAY_SIZE(links));
	tcase_add_loop_test(cases, a_change_over_when_the_broker_goes, 0, 2);
	tcase_add_test(cases, one_that_is_being_taken_on_blocks_the_other);
	tcase_add_test(cases, a_line_that_comes_while_the_broker_is_away_obeys_on_disconnect);
	return cases;
}
