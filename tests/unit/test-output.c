/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outputs on a fake chip that remembers how it was driven, in which order, and fails as a test wants. A
 * line's descriptor is the reading end of a pipe: closing the other end is the chip's end. On the virtual
 * clock, where driving takes no time; what hangs for real runs on the kernel's clock.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "gpio-fixture.h"
#include "reactor-fixture.h"

#include "iotd/clock.h"
#include "iotd/device.h"
#include "iotd/log.h"

#define SECOND	USEC_PER_SEC
#define MSEC	USEC_PER_MSEC
#define OUTPUTS 3

/* one output of the test and its line; the line's part belongs to the worker while a job is out */
struct pin {
	struct output_settings settings; /* found again by their line */
	struct output *output;
	struct fake_line line;
	char name[8];
	int set_error, sets;
};

static struct worker_key *keys[OUTPUTS];
static struct stats stats;
static struct pin pins[OUTPUTS];
static size_t pin_count;
static bool interlocked;
static char told[1024], driven[1024];				 /* "a:on b:offline ", "a+ b- " */
static pthread_mutex_t driven_mutex = PTHREAD_MUTEX_INITIALIZER; /* each line has its own worker */
static char logs[2048];

/* --- the fake chip -------------------------------------------------------------------------- */

static void drive(struct pin *pin, bool on)
{
	pin->line.level = on;
	(void)pthread_mutex_lock(&driven_mutex);
	text_append(driven, sizeof(driven), "%s%c ", pin->name, on ? '+' : '-');
	(void)pthread_mutex_unlock(&driven_mutex);
}

static int fake_get(struct gpio_line *line, bool *ret_on)
{
	*ret_on = container_of(line, struct fake_line, line)->level;
	return 0;
}

static int fake_set(struct gpio_line *line, bool on)
{
	struct pin *pin = container_of(line, struct pin, line.line);

	pin->sets++;
	fake_line_pass_gate(&pin->line);
	if (pin->set_error)
		return pin->set_error;
	drive(pin, on);
	return 0;
}

static int fake_read_events(struct gpio_line *line, struct gpio_event *events, size_t count)
{
	(void)line;
	(void)events;
	(void)count;
	return 0;
}

static const struct gpio_ops fake_ops = { fake_get, fake_set, fake_read_events, fake_line_free };

static int fake_request(struct gpio_line **ret, const struct gpio_request *request,
			char fault[static 192])
{
	struct pin *pin = container_of((uintptr_t)request->line, struct pin, settings.line);
	int r = fake_line_request(&pin->line);

	ck_assert(request->output);
	if (r < 0) {
		(void)snprintf(fault, 192, "held by \"somebody\"");
		return r;
	}
	if (request->initial != MOVE_KEEP)
		drive(pin, request->initial == MOVE_ON);
	fake_line_take(&pin->line, &fake_ops, ret);
	return 0;
}

static const struct gpio fake_gpio = { fake_request };

/* --- what devices tell ---------------------------------------------------------------------- */

static void on_status(struct device_events *events, enum device_kind kind, const char *name,
		      enum device_status status)
{
	(void)events;
	ck_assert_int_eq(kind, DEVICE_OUTPUT);
	text_append(told, sizeof(told), "%s:%s ", name, device_status_name(status));
}

static void on_state(struct device_events *events, const struct state *state)
{
	(void)events;
	ck_assert_int_eq(state->kind, DEVICE_OUTPUT);
	ck_assert_int_le(llabs(state->time_us - clock_realtime_us()), 60 * SECOND);
	text_append(told, sizeof(told), "%s:%s ", state->name, state->on ? "on" : "off");
}

static struct device_events events = { .status = on_status, .state = on_state };
static struct device_parts parts = { .events = &events, .stats = &stats };

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	size_t length = strlen(logs);
	va_list arguments;

	(void)level;
	(void)fields;
	va_start(arguments, format);
	(void)vsnprintf(logs + length, sizeof(logs) - length, format, arguments);
	va_end(arguments);
	text_append(logs, sizeof(logs), "\n");
}

static const char *blocked_by(struct output_rules *rules, const struct output *output,
			      bool (*is_on)(const struct output *other))
{
	(void)rules;
	for (size_t i = 0; i < 2 && i < pin_count; i++) /* the third one is free */
		if (interlocked && output != pins[2].output && pins[i].output != output &&
		    is_on(pins[i].output))
			return pins[i].name;
	return NULL;
}

static void went_off(struct output_rules *rules, const struct output *output)
{
	(void)rules;
	for (size_t i = 0; i < pin_count; i++)
		if (pins[i].output != output)
			output_wake(pins[i].output);
}

static struct output_rules rules = { blocked_by, went_off };

/* --- tools ---------------------------------------------------------------------------------- */

static void set_up_parts(void)
{
	ck_assert_int_eq(workers_new(&workers, reactor, 4), 0);
	parts.reactor = reactor;
	interlocked = false;
	pin_count = 0;
	told[0] = driven[0] = logs[0] = '\0';
	memset(pins, 0, sizeof(pins));
	for (int i = 0; i < OUTPUTS; i++) {
		struct pin *pin = &pins[i];

		ck_assert_int_eq(worker_key_new(&keys[i], workers, 0), 0);
		*pin = (struct pin){ .name = { (char)('a' + i) }, .line = FAKE_LINE_INIT };
		pin->settings.name = pin->name;
		pin->settings.line.chip = pin->name;
		pin->settings.initial = MOVE_OFF;
		pin->settings.disconnect_after_us = 30 * SECOND;
	}
}

static void set_up_virtual(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, 1000000007), 0);
	set_up_parts();
}

static void set_up_real(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	set_up_parts();
}

static void tear_down(void)
{
	while (pin_count > 0) {
		pin_count--;
		pins[pin_count].output = output_free(pins[pin_count].output);
	}
	ck_assert_int_eq(workers_free(workers, 5 * SECOND), 0);
	for (int i = 0; i < OUTPUTS; i++) {
		fake_line_close(&pins[i].line);
		worker_key_free(keys[i]);
	}
	reactor = reactor_free(reactor);
}

/* builds the first @count outputs */
static void make(size_t count)
{
	for (; pin_count < count; pin_count++)
		ck_assert_int_eq(output_new(&pins[pin_count].output, &parts,
					    &pins[pin_count].settings, &fake_gpio, keys[pin_count],
					    &rules),
				 0);
}

static void start(size_t count)
{
	make(count);
	run_for(1);
	told[0] = driven[0] = '\0';
}

struct answer {
	int count, error;
	char fault[192];
	int state; /* -1: none */
};

static void on_answer(void *data, int error, const char *fault, const struct state *state)
{
	struct answer *answer = data;

	answer->count++;
	answer->error = error;
	ck_assert((error == 0) == (fault == NULL));
	(void)snprintf(answer->fault, sizeof(answer->fault), "%s", fault ? fault : "");
	answer->state = state ? state->on : -1;
}

/* and waits until it is driven */
static struct answer set(int pin, bool on, int64_t for_us)
{
	struct answer answer = { .error = 1 };

	output_set(pins[pin].output, on, for_us, on_answer, &answer);
	run_for(1);
	ck_assert_int_eq(answer.count, 1);
	return answer;
}

static void assert_told(const char *expected)
{
	ck_assert_str_eq(told, expected);
	told[0] = '\0';
}

static int info_state(int pin)
{
	struct device_info info;

	output_info(pins[pin].output, &info);
	return info.state;
}

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
	struct state state;

	pins[0].settings.initial = initials[_i].initial;
	pins[0].line.level = initials[_i].before;
	make(1);
	ck_assert_int_eq(output_state(pins[0].output, &state), -ENODATA);
	ck_assert_int_eq(info_state(0), -1);
	run_for(3600 * SECOND);
	assert_told(initials[_i].told);
	ck_assert_str_eq(driven, initials[_i].driven);
	ck_assert_int_eq(pins[0].sets, 0);
	ck_assert_int_eq(output_state(pins[0].output, &state), 0);
	ck_assert_int_eq(state.on, pins[0].line.level);
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

START_TEST(a_later_command_replaces_an_earlier_one)
{
	struct answer first = { 0 }, second = { 0 };

	start(1);
	output_set(pins[0].output, true, 0, on_answer, &first);
	ck_assert(output_is_on(pins[0].output)); /* by intention: toggle twice is nothing */
	output_set(pins[0].output, !output_is_on(pins[0].output), 0, on_answer, &second);
	ck_assert_int_eq(first.error, -ECANCELED);
	run_for(1);
	ck_assert_int_eq(first.count, 1);
	ck_assert_int_eq(second.count, 1);
	ck_assert_int_eq(second.error, 0);
	ck_assert_int_eq(second.state, 0);
	assert_told("");
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
	pins[0].set_error = 0;
	run_for(10 * SECOND);
	assert_told("a:online a:off ");
	ck_assert_str_eq(driven, "a- "); /* by "initial"; the command is over */
	ck_assert_int_eq(pins[0].line.requests, 2);
	ck_assert_int_eq(pins[0].line.frees, 1);
	ck_assert(!output_is_on(pins[0].output));
}
END_TEST

static const struct {
	enum output_move initial;
	bool on;
	const char *driven, *told;
} losses[] = {
	{ MOVE_OFF, true, "a- ", "a:offline a:online a:off " },
	{ MOVE_OFF, false, "a- ", "a:offline a:online a:off " },
	{ MOVE_KEEP, true, "", "a:offline a:online a:on " },
	{ MOVE_ON, true, "a+ ", "a:offline a:online a:on " },
	{ MOVE_ON, false, "a- ",
	  "a:offline a:online a:off " }, /* "initial" does not undo a command */
};

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
	assert_told(losses[_i].told); /* what was timed is forgotten with the line */
	ck_assert_str_eq(driven, losses[_i].driven);
	ck_assert_ptr_nonnull(strstr(logs, "output a: offline: No such device; trying again\n"
					   "output a: online again after 0.5 s, 1 failed tries\n"));
	ck_assert_int_eq(set(0, true, 0).error, 0);
}
END_TEST

/* --- what hangs, on the kernel's clock ------------------------------------------------------ */

START_TEST(an_output_that_does_not_come_off_blocks_for_a_second)
{
	struct answer off = { 0 }, on = { 0 };
	int64_t begun_us;
	int gate[2];

	interlocked = true;
	make(3);
	run_for(20 * MSEC);
	output_set(pins[0].output, true, 0, NULL, NULL);
	run_for(20 * MSEC);
	ck_assert_int_eq(pipe(gate), 0);
	pins[0].line.gate = gate[0];
	driven[0] = '\0';
	begun_us = reactor_now(reactor);
	output_set(pins[0].output, false, 0, on_answer, &off);
	output_set(pins[1].output, true, 0, on_answer, &on);
	for (int i = 0; i < 8; i++) {
		output_set(pins[2].output, i % 2 == 0, 0, NULL,
			   NULL); /* others wake it for nothing */
		run_for(100 * MSEC);
	}
	ck_assert_int_eq(on.count, 0);
	while (on.count == 0)
		run_for(10 * MSEC);
	ck_assert_int_ge(reactor_now(reactor) - begun_us, SECOND);
	ck_assert_int_le(reactor_now(reactor) - begun_us, 1500 * MSEC);
	ck_assert_int_eq(on.error, -EBUSY);
	ck_assert_str_eq(on.fault, "interlock: the other output did not go off");
	ck_assert(!output_is_on(pins[1].output));
	ck_assert_int_eq(off.count, 0);
	while (off.count == 0)
		run_for(10 * MSEC);
	ck_assert_int_eq(off.error, -ETIMEDOUT);
	ck_assert_str_eq(off.fault, "no answer within 3 s: a hangs");
	ck_assert_int_eq(atomic_load(&pins[0].line.hangs), 1);
	output_set(pins[1].output, true, 0, on_answer, &on);
	ck_assert_int_eq(on.error, -EBUSY); /* it may be on still */
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	run_for(50 * MSEC);
	ck_assert_int_eq(info_state(0), 0); /* back at once, when the chip answers */
	output_set(pins[1].output, true, 0, on_answer, &on);
	run_for(50 * MSEC);
	ck_assert_int_eq(on.error, 0);
	ck_assert_ptr_null(strstr(driven, "b+ a-"));
	(void)close(gate[0]);
	(void)close(gate[1]);
}
END_TEST

START_TEST(an_output_that_hangs_may_be_freed)
{
	struct answer answer = { 0 };
	int gate[2];

	make(1);
	run_for(20 * MSEC);
	ck_assert_int_eq(pipe(gate), 0);
	pins[0].line.gate = gate[0];
	output_set(pins[0].output, true, 0, on_answer, &answer);
	run_for(20 * MSEC);
	ck_assert_int_eq(atomic_load(&pins[0].line.hangs), 1);
	pin_count = 0;
	pins[0].output = output_free(pins[0].output);
	ck_assert_int_eq(answer.error, -ECANCELED);
	run_for(20 * MSEC);
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	run_for(50 * MSEC);
	ck_assert_int_eq(pins[0].line.frees, 1);
	(void)close(gate[0]);
	(void)close(gate[1]);
}
END_TEST

/* -------------------------------------------------------------------------------------------- */

static TCase *command_cases(void)
{
	TCase *cases = tcase_create("commands");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_loop_test(cases, it_begins_as_initial_says, 0, (int)ARRAY_SIZE(initials));
	tcase_add_test(cases, a_line_that_is_held_by_another_is_tried_again);
	tcase_add_test(cases, a_command_before_the_line_is_held_is_refused);
	tcase_add_test(cases, it_obeys_and_tells_each_change_once);
	tcase_add_test(cases, a_later_command_replaces_an_earlier_one);
	tcase_add_loop_test(cases, timed_commands_and_max_on, 0, (int)ARRAY_SIZE(courses));
	tcase_add_test(cases, the_end_of_max_on_is_logged_and_answers);
	return cases;
}

static TCase *rule_cases(void)
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
	tcase_add_test(cases, a_line_that_comes_while_the_broker_is_away_obeys_on_disconnect);
	return cases;
}

static TCase *end_cases(void)
{
	TCase *cases = tcase_create("end and failures");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_loop_test(cases, on_exit_is_driven, 0, (int)ARRAY_SIZE(exits));
	tcase_add_test(cases, on_exit_that_fails_is_logged_and_does_not_hold_up);
	tcase_add_test(cases, it_answers_when_it_is_freed);
	tcase_add_loop_test(cases, it_may_be_freed_at_any_state, 0, 4);
	tcase_add_test(cases, a_line_that_cannot_be_driven_is_offline_and_comes_back);
	tcase_add_loop_test(cases, a_line_that_is_lost_comes_back, 0, (int)ARRAY_SIZE(losses));
	return cases;
}

static TCase *hang_cases(void)
{
	TCase *cases = tcase_create("hangs");

	tcase_add_checked_fixture(cases, set_up_real, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, an_output_that_does_not_come_off_blocks_for_a_second);
	tcase_add_test(cases, an_output_that_hangs_may_be_freed);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("output");

	suite_add_tcase(suite, command_cases());
	suite_add_tcase(suite, rule_cases());
	suite_add_tcase(suite, end_cases());
	suite_add_tcase(suite, hang_cases());
	return suite_run(suite);
}
