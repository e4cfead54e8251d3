/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outputs: their start, commands, failures and end. Interlocks, on_disconnect and what hangs have files of
 * their own.
 */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "output-fixture.h"
#include "test-output.h"

/* --- the start ------------------------------------------------------------------------------ */

static const struct {
	enum output_move initial;
	bool before;
	const char *told, *driven;
} initials[] = {
	{ MOVE_OFF, true, "a:online a:off ", "a- " },
	{ MOVE_ON, false, "a:online a:on ", "a+ " },
	{ MOVE_KEEP, false, "a:online a:off ", "" },
	{ MOVE_KEEP, true, "a:online a:on ", "" },
};

START_TEST(it_begins_as_initial_says)
{
	struct device_info info;
	struct state state;

	pins[0].settings.initial = initials[_i].initial;
	pins[0].line.level = initials[_i].before;
	make(1);
	ck_assert_int_eq(output_state(pins[0].output, &state), -ENODATA);
	output_info(pins[0].output, &info);
	ck_assert_int_eq(info.state, -1);
	ck_assert_int_eq(info.state_us, 0);
	run_for(3600 * SECOND);
	assert_told(initials[_i].told);
	ck_assert_str_eq(driven, initials[_i].driven);
	ck_assert_int_eq(pins[0].sets, 0);
	ck_assert_int_eq(output_state(pins[0].output, &state), 0);
	ck_assert_int_eq(state.on, pins[0].line.level);
	output_info(pins[0].output, &info);
	ck_assert_int_eq(info.state_us, state.time_us);
	ck_assert(output_is_on(pins[0].output) == pins[0].line.level);
	ck_assert(output_may_be_on(pins[0].output) == pins[0].line.level);
}
END_TEST

START_TEST(a_line_that_is_held_by_another_is_tried_again)
{
	static const int64_t distances_ms[] = { 500, 1000, 2000, 4000, 8000, 10000, 10000, 10000 };
	struct answer answer;

	pins[0].line.request_error = -EBUSY;
	make(1);
	run_for(40 * SECOND);
	for (size_t i = 0; i < ARRAY_SIZE(distances_ms) && (int)i + 1 < pins[0].line.requests; i++)
		ck_assert_int_eq(pins[0].line.times_us[i + 1] - pins[0].line.times_us[i],
				 distances_ms[i] * MSEC);
	ck_assert_int_eq(pins[0].line.requests, 8);
	assert_told("a:offline ");
	ck_assert_str_eq(logs, "output a: offline: held by \"somebody\"; trying again\n");
	answer = set(0, true, 0);
	ck_assert_int_eq(answer.error, -ENODEV);
	ck_assert_str_eq(answer.fault, "output \"a\" is offline: held by \"somebody\"");
	ck_assert_int_eq(answer.state, -1);
	pins[0].line.request_error = 0;
	run_for(10 * SECOND);
	assert_told("a:online a:off ");
	ck_assert_ptr_nonnull(
		strstr(logs, "output a: online again after 45.5 s, 8 failed tries\n"));
}
END_TEST

START_TEST(a_command_before_the_line_is_held_is_refused)
{
	struct answer answer = { 0 };

	make(1);
	output_set(pins[0].output, true, 0, on_answer, &answer);
	ck_assert_int_eq(answer.error, -ENODEV);
	ck_assert_str_eq(answer.fault, "output \"a\" is offline: its line is not held yet");
	run_for(SECOND);
	ck_assert(!pins[0].line.level);
}
END_TEST

/* --- commands ------------------------------------------------------------------------------- */

START_TEST(it_obeys_and_tells_each_change_once)
{
	struct answer answer;

	start(1);
	answer = set(0, true, 0);
	ck_assert_int_eq(answer.error, 0);
	ck_assert_int_eq(answer.state, 1);
	assert_told("a:on ");
	answer = set(0, true, 0);
	ck_assert_int_eq(answer.state, 1);
	assert_told("");
	answer = set(0, !output_is_on(pins[0].output), 0);
	ck_assert_int_eq(answer.state, 0);
	assert_told("a:off ");
	output_set(pins[0].output, true, 0, NULL, NULL); /* nobody asks */
	run_for(1);
	assert_told("a:on ");
	ck_assert_str_eq(driven, "a+ a+ a- a+ ");
}
END_TEST

START_TEST(commands_are_carried_out_in_their_order)
{
	struct answer first = { 0 }, second = { 0 };

	start(1);
	output_set(pins[0].output, true, 0, on_answer, &first);
	ck_assert(output_is_on(pins[0].output)); /* by intention */
	output_set(pins[0].output, !output_is_on(pins[0].output), 0, on_answer, &second);
	run_for(1);
	ck_assert_int_eq(first.count, 1);
	ck_assert_int_eq(first.error, 0);
	ck_assert_int_eq(first.state, 1);
	ck_assert_int_eq(second.count, 1);
	ck_assert_int_eq(second.error, 0);
	ck_assert_int_eq(second.state, 0);
	assert_told("a:on a:off ");
}
END_TEST

START_TEST(a_burst_of_commands_is_bounded)
{
	struct answer answers[70] = { 0 };
	int count = (int)ARRAY_SIZE(answers), bound = 64;

	start(1);
	for (int i = 0; i < count; i++)
		output_set(pins[0].output, i % 2 == 0, 0, on_answer, &answers[i]);
	ck_assert_str_eq(answers[1].fault, "replaced by later commands");
	run_for(1);
	for (int i = 0; i < count; i++) { /* the first was under way; the last word counts */
		bool is_dropped = i >= 1 && i <= count - bound;

		ck_assert_int_eq(answers[i].count, 1);
		ck_assert_int_eq(answers[i].error, is_dropped ? -ECANCELED : 0);
		if (!is_dropped)
			ck_assert_int_eq(answers[i].state, i % 2 == 0);
	}
	ck_assert_int_eq(pins[0].sets, bound);
}
END_TEST

/* what is commanded, one character a second: 1 0 on, off; 3 on for 3 s, 4 off for 3 s; _ nothing */
static const struct {
	const char *commands, *states; /* the states in the middle of each second */
	int64_t max_on_us;
	bool begins_on;
} courses[] = {
	{ "1__0__1", "+++---+", 0, false },
	{ "3_____", "+++---", 0, false },
	{ "_3_3____", "-+++++--", 0, false },
	{ "3_1_____", "++++++++", 0, false },
	{ "3_0_____", "++------", 0, false },
	{ "4_____", "------", 0, false }, /* it was off: nothing to go back to */
	{ "1_4_____", "++---+++", 0, false },
	{ "1_4_4____", "++-------", 0, false }, /* by then it was off */
	{ "1_4_0____", "++-------", 0, false },
	{ "1_4_1____", "++--+++++", 0, false },
	{ "1_1_______", "++++------", 4 * SECOND, false }, /* not extended */
	{ "1_1_1_____", "++++++++--", 4 * SECOND,
	  false }, /* commanded in the very moment: off, on */
	{ "1_0_1_______", "++--++++----", 4 * SECOND, false },
	{ "3_______", "++------", 2 * SECOND, false },
	{ "1_3_____", "++++----", 4 * SECOND, false },
	{ "_______", "++++---", 4 * SECOND, true }, /* kept on at the start */
	{ "1_4_________", "++---++++---", 4 * SECOND, false },
};

START_TEST(timed_commands_and_max_on)
{
	const char *commands = courses[_i].commands;
	char states[32] = "";

	pins[0].settings.max_on_us = courses[_i].max_on_us;
	pins[0].settings.initial = courses[_i].begins_on ? MOVE_ON : MOVE_OFF;
	make(1);
	run_for(1);
	for (size_t i = 0; commands[i]; i++) {
		if (commands[i] != '_')
			output_set(pins[0].output, commands[i] == '1' || commands[i] == '3',
				   commands[i] >= '3' ? 3 * SECOND : 0, NULL, NULL);
		run_for(SECOND / 2);
		text_append(states, sizeof(states), "%c", pins[0].line.level ? '+' : '-');
		run_for(SECOND - SECOND / 2);
	}
	ck_assert_str_eq(states, courses[_i].states);
}
END_TEST

START_TEST(the_end_of_max_on_is_logged_and_answers)
{
	struct answer answer;

	pins[0].settings.max_on_us = 10 * SECOND;
	start(1);
	answer = set(0, true, 0);
	ck_assert_int_eq(answer.error, 0);
	run_for(10 * SECOND - 10);
	assert_told("a:on ");
	run_for(10);
	assert_told("a:off ");
	ck_assert_str_eq(logs, "output a: forced off: it was on for max_on\n");
}
END_TEST

/* --- the end -------------------------------------------------------------------------------- */

static const struct {
	enum output_move on_exit;
	bool before, after, moves;
} exits[] = {
	{ MOVE_KEEP, true, true, false }, { MOVE_KEEP, false, false, false },
	{ MOVE_OFF, true, false, true },  { MOVE_OFF, false, false, true },
	{ MOVE_ON, false, true, true },	  { MOVE_ON, true, true, true },
};

START_TEST(on_exit_is_driven)
{
	struct future *driven_there;

	pins[0].settings.on_exit = exits[_i].on_exit;
	start(1);
	(void)set(0, exits[_i].before, 0);
	driven_there = output_exit(pins[0].output);
	ck_assert((driven_there != NULL) == exits[_i].moves);
	run_for(1);
	ck_assert(!driven_there || future_result(driven_there) == 0);
	ck_assert(pins[0].line.level == exits[_i].after);
}
END_TEST

START_TEST(on_exit_has_the_last_word)
{
	struct future *exited;

	pins[0].settings.on_exit = MOVE_OFF;
	pins[0].settings.on_disconnect = MOVE_ON;
	pins[0].settings.disconnect_after_us = SECOND;
	start(1);
	if (_i == 0)
		output_link_changed(pins[0].output, false);
	exited = output_exit(pins[0].output);
	output_link_changed(pins[0].output, false);
	run_for(10 * SECOND);
	ck_assert_int_eq(future_result(exited), 0);
	ck_assert(!pins[0].line.level);
	ck_assert_ptr_null(strchr(driven, '+'));
}
END_TEST

START_TEST(on_exit_that_fails_is_logged_and_does_not_hold_up)
{
	struct future *driven_there;

	interlocked = true;
	pins[1].settings.on_exit = MOVE_ON;
	pins[0].settings.on_exit = MOVE_OFF;
	start(2);
	(void)set(0, true, 0);
	driven_there = output_exit(pins[1].output); /* the other one is on */
	ck_assert_int_eq(future_result(driven_there), 0);
	pins[0].set_error = -EIO;
	driven_there = output_exit(pins[0].output);
	run_for(1);
	ck_assert_int_eq(future_result(driven_there), 0);
	ck_assert_ptr_nonnull(strstr(logs, "output b: on_exit failed: interlock"));
	ck_assert_ptr_nonnull(strstr(logs, "output a: on_exit failed: Input/output error"));
	ck_assert_ptr_null(output_exit(pins[0].output)); /* offline */
}
END_TEST

START_TEST(it_answers_when_it_is_freed)
{
	struct answer answer = { 0 };

	start(1);
	output_set(pins[0].output, true, 0, on_answer, &answer);
	pin_count = 0;
	pins[0].output = output_free(pins[0].output);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_eq(answer.error, -ECANCELED);
	run_for(10 * SECOND);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_eq(pins[0].line.frees, 1);
	ck_assert_str_eq(driven, "");
	ck_assert_ptr_null(output_free(NULL));
}
END_TEST

START_TEST(it_may_be_freed_at_any_state)
{
	if (_i == 1)
		pins[0].line.request_error = -EBUSY;
	pins[0].settings.max_on_us = pins[0].settings.disconnect_after_us = SECOND;
	pins[0].settings.on_disconnect = MOVE_OFF;
	make(1);
	if (_i >= 1)
		run_for(1); /* offline, or serving */
	if (_i == 2)
		(void)set(0, true, 500 * MSEC); /* with all timers set */
	if (_i == 3)
		pins[0].set_error = -EIO;
	if (_i == 3)
		ck_assert_int_eq(set(0, true, 0).error, -EIO);
	pin_count = 0;
	pins[0].output = output_free(pins[0].output);
	told[0] = '\0';
	run_for(10 * SECOND);
	assert_told("");
	ck_assert_int_eq(pins[0].line.frees, _i >= 2);
}
END_TEST

/* --- failures ------------------------------------------------------------------------------- */

START_TEST(a_line_that_cannot_be_driven_is_offline_and_comes_back)
{
	struct answer answer;

	start(1);
	pins[0].set_error = -EIO;
	answer = set(0, true, SECOND);
	ck_assert_int_eq(answer.error, -EIO);
	ck_assert_str_eq(answer.fault, "Input/output error");
	assert_told("a:offline ");
	ck_assert(output_is_on(pins[0].output)); /* nobody knows */
	run_for(10 * SECOND);
	ck_assert_int_ge(pins[0].sets, 3); /* it is tried again */
	ck_assert_str_eq(told, "");
	pins[0].set_error = 0;
	run_for(10 * SECOND);
	assert_told("a:online a:off ");
	ck_assert_str_eq(driven, "a- "); /* back to where it was; the command is over */
	ck_assert_int_eq(pins[0].line.requests, 1);
	ck_assert_int_eq(pins[0].line.frees, 0);
	ck_assert(!output_is_on(pins[0].output));
	ck_assert_int_eq(set(0, true, 0).error, 0);
}
END_TEST

/* "initial" is for a start, not for a write that failed once: a command that fails changes nothing */
START_TEST(a_failed_write_leaves_the_output_where_it_was)
{
	bool on = _i & 1;

	pins[0].settings.initial = _i & 2 ? MOVE_ON : MOVE_OFF;
	start(1);
	ck_assert_int_eq(set(0, on, 0).error, 0);
	told[0] = driven[0] = '\0';
	pins[0].set_error = -EIO;
	ck_assert_int_eq(set(0, _i & 4 ? on : !on, 0).error, -EIO);
	pins[0].set_error = 0;
	run_for(10 * SECOND);
	ck_assert_str_eq(driven, on ? "a+ " : "a- ");
	assert_told(on ? "a:offline a:online a:on " : "a:offline a:online a:off ");
	ck_assert_int_eq(pins[0].line.requests, 1);
	ck_assert_int_eq(set(0, !on, 0).error, 0);
}
END_TEST

/* nor the times of an earlier command, and max_on */
START_TEST(a_failed_write_leaves_the_times_as_they_were)
{
	pins[0].settings.max_on_us = _i == 0 ? 0 : 20 * SECOND;
	start(1);
	ck_assert_int_eq(set(0, true, _i == 0 ? 20 * SECOND : 0).error, 0);
	run_for(5 * SECOND);
	pins[0].set_error = -EIO;
	ck_assert_int_eq(set(0, true, _i == 0 ? 60 * SECOND : 0).error, -EIO);
	pins[0].set_error = 0;
	run_for(14 * SECOND);
	assert_told("a:on a:offline a:online a:on ");
	run_for(1 * SECOND);
	assert_told("a:off ");
}
END_TEST

/* what it does on its own is done at last: first it fails when it is due, then it falls due meanwhile */
START_TEST(a_failed_write_does_not_stop_what_is_due)
{
	pins[0].settings.max_on_us = _i & 1 ? 0 : 20 * SECOND;
	start(1);
	ck_assert_int_eq(set(0, true, _i & 1 ? 20 * SECOND : 0).error, 0);
	run_for(15 * SECOND);
	pins[0].set_error = -EIO;
	if (_i & 2)
		ck_assert_int_eq(set(0, true, 0).error, -EIO);
	driven[0] = '\0';
	run_for(60 * SECOND);
	ck_assert_str_eq(driven, "");
	pins[0].set_error = 0;
	run_for(10 * SECOND);
	ck_assert_str_eq(driven, "a- ");
	assert_told("a:on a:offline a:online a:off ");
}
END_TEST

/* what the kernel says of a chip that is gone, also when a write is the first to meet it */
START_TEST(a_write_to_a_chip_that_is_gone_has_the_line_asked_for_anew)
{
	start(1);
	ck_assert_int_eq(set(0, true, 0).error, 0);
	pins[0].set_error = -ENODEV;
	ck_assert_int_eq(set(0, true, 0).error, -ENODEV);
	pins[0].set_error = 0;
	driven[0] = '\0';
	run_for(10 * SECOND);
	ck_assert_str_eq(driven, "a- ");
	ck_assert_int_eq(pins[0].line.requests, 2);
	ck_assert_int_eq(pins[0].line.frees, 1);
}
END_TEST

static const struct {
	enum output_move initial;
	bool on;
	const char *driven, *told;
} losses[] = {
	{ MOVE_OFF, true, "a- ", "a:offline a:online a:off " },
	{ MOVE_OFF, false, "a- ", "a:offline a:online a:off " },
	{ MOVE_KEEP, true, "a- ", "a:offline a:online a:on a:off " }, /* its time goes on */
	{ MOVE_ON, true, "a+ a- ", "a:offline a:online a:on a:off " },
	/* "initial" does not undo a command */
	{ MOVE_ON, false, "a- a+ ", "a:offline a:online a:off a:on " },
};

/* the end of its time, and of max_on, meets a chip that is gone: it comes as soon as the chip is back */
START_TEST(what_falls_due_while_the_line_is_lost_is_done_when_it_is_back)
{
	bool is_lost_by_then = _i & 2;

	pins[0].settings.initial = MOVE_KEEP;
	pins[0].settings.max_on_us = _i & 1 ? 20 * SECOND : 0;
	start(1);
	ck_assert_int_eq(set(0, true, _i & 1 ? 0 : 20 * SECOND).error, 0);
	pins[0].line.request_error = -ENOENT;
	run_for((is_lost_by_then ? 10 : 19) * SECOND);
	pins[0].set_error = -ENODEV;
	if (is_lost_by_then)
		ck_assert_int_eq(set(0, true, 0).error, -ENODEV);
	driven[0] = '\0';
	run_for(60 * SECOND);
	ck_assert_str_eq(driven, "");
	pins[0].set_error = pins[0].line.request_error = 0;
	run_for(10 * SECOND);
	ck_assert_str_eq(driven, "a- ");
	ck_assert_int_eq(info_state(0), 0);
}
END_TEST

START_TEST(a_line_that_is_lost_comes_back)
{
	int ends[2];

	pins[0].settings.initial = losses[_i].initial;
	ck_assert_int_eq(pipe(pins[0].line.ends), 0);
	start(1);
	ck_assert_int_eq(set(0, losses[_i].on, 2 * SECOND).error, 0);
	told[0] = driven[0] = '\0';
	ck_assert_int_eq(pipe(ends), 0);
	(void)close(pins[0].line.ends[1]);
	run_for(1);
	assert_told("a:offline ");
	(void)close(pins[0].line.ends[0]);
	memcpy(pins[0].line.ends, ends, sizeof(ends));
	(void)strcpy(told, "a:offline ");
	run_for(10 * SECOND);
	assert_told(losses[_i].told);
	ck_assert_str_eq(driven, losses[_i].driven);
	ck_assert_ptr_nonnull(strstr(logs,
				     "output a: offline: a is gone (unplugged?); trying again\n"
				     "output a: online again after 0.5 s, 1 failed tries\n"));
	ck_assert_int_eq(set(0, true, 0).error, 0);
}
END_TEST

START_TEST(a_line_is_taken_as_soon_as_chips_come)
{
	pins[0].line.request_error = -ENOENT;
	start(1);
	run_for(20 * SECOND); /* the next try would be in 5.5 s */
	told[0] = '\0';
	pins[0].line.request_error = 0;
	output_chips_changed(pins[0].output);
	run_for(1);
	assert_told("a:online a:off ");
	output_chips_changed(pins[0].output); /* another chip's business */
	run_for(60 * SECOND);
	ck_assert_int_eq(pins[0].line.takes, 1);
}
END_TEST

static TCase *command_cases(void)
{
	TCase *cases = tcase_create("commands");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_loop_test(cases, it_begins_as_initial_says, 0, (int)ARRAY_SIZE(initials));
	tcase_add_test(cases, a_line_that_is_held_by_another_is_tried_again);
	tcase_add_test(cases, a_command_before_the_line_is_held_is_refused);
	tcase_add_test(cases, it_obeys_and_tells_each_change_once);
	tcase_add_test(cases, commands_are_carried_out_in_their_order);
	tcase_add_test(cases, a_burst_of_commands_is_bounded);
	tcase_add_loop_test(cases, timed_commands_and_max_on, 0, (int)ARRAY_SIZE(courses));
	tcase_add_test(cases, the_end_of_max_on_is_logged_and_answers);
	return cases;
}

static TCase *end_cases(void)
{
	TCase *cases = tcase_create("end and failures");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_loop_test(cases, on_exit_is_driven, 0, (int)ARRAY_SIZE(exits));
	tcase_add_loop_test(cases, on_exit_has_the_last_word, 0, 2);
	tcase_add_test(cases, on_exit_that_fails_is_logged_and_does_not_hold_up);
	tcase_add_test(cases, it_answers_when_it_is_freed);
	tcase_add_loop_test(cases, it_may_be_freed_at_any_state, 0, 4);
	tcase_add_test(cases, a_line_that_cannot_be_driven_is_offline_and_comes_back);
	tcase_add_loop_test(cases, a_failed_write_leaves_the_output_where_it_was, 0, 8);
	tcase_add_loop_test(cases, a_failed_write_leaves_the_times_as_they_were, 0, 2);
	tcase_add_loop_test(cases, a_failed_write_does_not_stop_what_is_due, 0, 4);
	tcase_add_test(cases, a_write_to_a_chip_that_is_gone_has_the_line_asked_for_anew);
	tcase_add_loop_test(cases, what_falls_due_while_the_line_is_lost_is_done_when_it_is_back, 0,
			    4);
	tcase_add_test(cases, a_line_is_taken_as_soon_as_chips_come);
	tcase_add_loop_test(cases, a_line_that_is_lost_comes_back, 0, (int)ARRAY_SIZE(losses));
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("output");

	suite_add_tcase(suite, command_cases());
	suite_add_tcase(suite, rule_cases());
	suite_add_tcase(suite, end_cases());
	suite_add_tcase(suite, hang_cases());
	suite_add_tcase(suite, store_cases());
	return suite_run(suite);
}
