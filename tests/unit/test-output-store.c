/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outputs whose lines are kept by a store (systemd's) while no process runs: the store is a fake that
 * remembers what it was told; the kept descriptor is one end of a pipe, to see whether it was closed.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "output-fixture.h"
#include "test-output.h"

static struct line_store store;
static bool is_letting_go;
static struct gpio_kept kept[2];     /* of an earlier run; fd -1: none */
static struct line_times remembered; /* of the first */
static bool was_ahead;		     /* a time was remembered before anything moved */
static int other_ends[2];
static char stored[256]; /* "put a place, remove a place, " */

static bool store_take(struct line_store *s, const char *output, struct gpio_kept *ret,
		       struct line_times *times)
{
	int pin = output[0] - 'a';

	ck_assert_ptr_eq(s, &store);
	if (pin >= (int)ARRAY_SIZE(kept) || kept[pin].fd < 0)
		return false;
	*ret = kept[pin];
	*times = pin == 0 ? remembered : (struct line_times){ 0 };
	kept[pin].fd = -1;
	return true;
}

static void store_put(struct line_store *s, const char *output, const struct gpio_line *line)
{
	ck_assert_ptr_eq(s, &store);
	text_append(stored, sizeof(stored), "put %s %s, ", output, line->place);
}

static void store_remember(struct line_store *s, const char *output, const struct line_times *times)
{
	ck_assert_ptr_eq(s, &store);
	if (strcmp(output, "a") != 0)
		return;
	remembered = *times;
	was_ahead |= times->back_us > 0 && driven[0] == '\0';
}

static void store_remove(struct line_store *s, const char *output, const char *place)
{
	ck_assert_ptr_eq(s, &store);
	text_append(stored, sizeof(stored), "remove %s %s, ", output, place);
}

static bool store_is_letting_go(struct line_store *s)
{
	ck_assert_ptr_eq(s, &store);
	return is_letting_go;
}

static void set_up_store(void)
{
	set_up_virtual();
	store = (struct line_store){ store_take, store_put, store_remember, store_remove,
				     store_is_letting_go };
	parts.store = &store;
	stored[0] = '\0';
	remembered = (struct line_times){ 0 };
	is_letting_go = was_ahead = false;
	for (int i = 0; i < (int)ARRAY_SIZE(kept); i++) {
		kept[i].fd = other_ends[i] = -1;
		(void)snprintf(pins[i].place, sizeof(pins[i].place), "chip.%d", i + 1);
	}
}

static void tear_down_store(void)
{
	tear_down();
	parts.store = NULL;
	for (int i = 0; i < (int)ARRAY_SIZE(kept); i++) {
		closep(&kept[i].fd);
		closep(&other_ends[i]);
	}
}

/* an earlier run held the line at @place */
static void keep(int pin, const char *place, bool on)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	kept[pin].fd = ends[0];
	other_ends[pin] = ends[1];
	(void)snprintf(kept[pin].place, sizeof(kept[pin].place), "%s", place);
	pins[pin].line.level = on;
}

static bool kept_is_open(void)
{
	struct pollfd end = { .fd = other_ends[0] };

	return poll(&end, 1, 0) == 0; /* else POLLERR: nobody reads */
}

START_TEST(a_line_that_is_held_is_put_into_the_store)
{
	start(1);
	ck_assert_str_eq(stored, "put a chip.1, ");
	(void)set(0, true, 0);
	ck_assert_str_eq(stored, "put a chip.1, ");
}
END_TEST

START_TEST(a_line_that_is_of_no_use_to_others_is_not)
{
	pins[0].place[0] = '\0';
	start(1);
	ck_assert_str_eq(stored, "");
}
END_TEST

START_TEST(the_end_of_the_process_leaves_the_line_in_the_store)
{
	start(1);
	stored[0] = '\0';
	pin_count = 0;
	pins[0].output = output_free(pins[0].output);
	run_for(SECOND);
	ck_assert_str_eq(stored, "");
	ck_assert_str_eq(driven, "");
}
END_TEST

START_TEST(an_output_that_is_not_wanted_any_more_is_removed)
{
	start(1);
	stored[0] = '\0';
	pin_count = 0;
	output_remove(pins[0].output);
	run_for(SECOND);
	ck_assert_str_eq(stored, "remove a chip.1, ");
	ck_assert_int_eq(pins[0].line.frees, 1);
}
END_TEST

START_TEST(a_kept_line_does_not_move)
{
	bool on = _i;

	keep(0, "chip.1", on);
	pins[0].settings.initial = on ? MOVE_OFF : MOVE_ON;
	make(1);
	run_for(SECOND);
	assert_told(on ? "a:online a:on " : "a:online a:off ");
	ck_assert_str_eq(driven, "");
	ck_assert_str_eq(stored, ""); /* it is there already */
	ck_assert_int_eq(info_state(0), on);
	ck_assert_int_eq(set(0, !on, 0).error, 0);
	ck_assert_int_eq(pins[0].line.level, !on);
}
END_TEST

START_TEST(a_kept_line_that_is_another_is_let_go_and_asked_for_anew)
{
	keep(0, "chip.2", true);
	make(1);
	run_for(1);
	ck_assert(!kept_is_open());
	assert_told("a:online a:off ");
	ck_assert_str_eq(stored, "remove a chip.2, put a chip.1, ");
	ck_assert_str_eq(logs, ""); /* no failure */
}
END_TEST

START_TEST(a_line_that_the_store_lets_go_of_is_no_failure)
{
	pins[0].line.request_error = -EBUSY;
	is_letting_go = true;
	make(1);
	run_for(500 * MSEC);
	ck_assert_int_eq(pins[0].line.requests, 25);
	assert_told("");
	pins[0].line.request_error = 0;
	run_for(20 * MSEC);
	assert_told("a:online a:off ");
	ck_assert_str_eq(logs, "");
}
END_TEST

START_TEST(a_line_that_it_does_not_let_go_of_is)
{
	pins[0].line.request_error = -EBUSY;
	is_letting_go = true;
	make(1);
	run_for(500 * MSEC);
	is_letting_go = false;
	run_for(20 * MSEC);
	assert_told("a:offline ");
	is_letting_go = true;
	pins[0].line.request_error = -EIO;
	run_for(500 * MSEC);
	ck_assert_int_eq(pins[0].line.requests, 27); /* nothing but -EBUSY */
}
END_TEST

START_TEST(a_line_that_a_write_fails_on_stays_in_the_store)
{
	start(1);
	stored[0] = '\0';
	pins[0].set_error = -EIO;
	ck_assert_int_eq(set(0, true, 0).error, -EIO);
	pins[0].set_error = 0;
	run_for(SECOND);
	ck_assert_str_eq(stored, "");
}
END_TEST

START_TEST(a_line_that_is_lost_is_let_go_and_put_again)
{
	start(1);
	stored[0] = '\0';
	pins[0].set_error = -ENODEV;
	ck_assert_int_eq(set(0, true, 0).error, -ENODEV);
	ck_assert_str_eq(stored, "remove a chip.1, ");
	pins[0].set_error = 0;
	run_for(SECOND);
	ck_assert_str_eq(stored, "remove a chip.1, put a chip.1, ");
}
END_TEST

START_TEST(a_kept_line_that_nobody_asked_for_is_closed)
{
	keep(0, "chip.1", true);
	make(1);
	pin_count = 0;
	pins[0].output = output_free(pins[0].output); /* before its first turn */
	run_for(SECOND);
	ck_assert(!kept_is_open());
	ck_assert_str_eq(stored, "");
}
END_TEST

static const struct {
	int error;
	bool is_kept; /* its descriptor, for the next try */
} obstacles[] = {
	{ -EACCES, true },  { -ENOMEM, true },	{ -EIO, true },
	{ -ENOENT, false }, { -ENODEV, false }, { -EINVAL, false },
};

START_TEST(what_may_pass_does_not_cost_the_line)
{
	bool survives = obstacles[_i].is_kept;

	keep(0, "chip.1", true);
	pins[0].line.request_error = obstacles[_i].error;
	make(1);
	run_for(1);
	assert_told("a:offline ");
	ck_assert(kept_is_open() == survives);
	ck_assert_str_eq(stored, survives ? "" : "remove a chip.1, ");
	pins[0].line.request_error = 0;
	run_for(SECOND);
	assert_told(survives ? "a:online a:on " : "a:online a:off ");
	ck_assert_str_eq(driven, survives ? "" : "a- ");
}
END_TEST

/* an expander that says no, once or for a while: where the line is will be known when it answers */
START_TEST(a_kept_line_that_cannot_be_read_does_not_move)
{
	static const int errors[] = { -EIO, -ENXIO, -EREMOTEIO, -ETIMEDOUT };

	keep(0, "chip.1", true);
	remembered = (struct line_times){ .back_us = reactor_now(reactor) + 60 * SECOND };
	pins[0].get_error = errors[_i];
	make(1);
	run_for(10 * SECOND);
	assert_told("a:offline ");
	ck_assert_str_eq(stored, "");
	ck_assert_int_eq(pins[0].line.requests, 1);
	ck_assert_int_eq(pins[0].line.frees, 0);
	pins[0].get_error = 0;
	run_for(10 * SECOND);
	assert_told("a:online a:on ");
	ck_assert_str_eq(driven, "");
	run_for(60 * SECOND);
	assert_told("a:off "); /* and its time goes on */
}
END_TEST

START_TEST(a_kept_line_whose_chip_is_gone_is_asked_for_anew)
{
	keep(0, "chip.1", true);
	pins[0].get_error = -ENODEV;
	make(1);
	run_for(1);
	assert_told("a:offline ");
	ck_assert_str_eq(stored, "remove a chip.1, ");
	pins[0].get_error = 0;
	run_for(SECOND);
	assert_told("a:online a:off ");
}
END_TEST

/* --- interlocks ----------------------------------------------------------------------------- */

START_TEST(what_was_kept_may_be_on_until_it_is_found)
{
	interlocked = true;
	keep(0, "chip.1", _i);
	pins[1].settings.initial = MOVE_ON;
	make(2);
	run_for(1);
	ck_assert_str_eq(driven, "b- "); /* though "initial" would have it on: nobody knew yet */
	ck_assert(pins[0].line.level == _i);
}
END_TEST

START_TEST(two_that_were_kept_and_exclude_each_other_are_not_both_moved)
{
	interlocked = true;
	keep(0, "chip.1", true);
	keep(1, "chip.2", true);
	make(2);
	run_for(1);
	ck_assert_uint_eq(strlen(driven), strlen("b- "));
	ck_assert(pins[0].line.level != pins[1].line.level);
}
END_TEST

/* --- times ---------------------------------------------------------------------------------- */

START_TEST(what_was_kept_on_stays_on_beside_one_that_was_kept_off)
{
	interlocked = true;
	keep(0, "chip.1", _i == 0);
	keep(1, "chip.2", _i == 1);
	make(2);
	run_for(1);
	ck_assert_str_eq(driven, "");
}
END_TEST

START_TEST(the_time_of_a_command_is_remembered_before_it_moves)
{
	start(1);
	(void)set(0, true, 5 * SECOND);
	ck_assert_str_eq(driven, "a+ ");
	ck_assert(was_ahead);
	ck_assert(remembered.back_us > 0 && !remembered.back_on);
}
END_TEST

START_TEST(times_are_remembered_until_they_are_over)
{
	int64_t now_us;

	pins[0].settings.max_on_us = 60 * SECOND;
	start(1);
	ck_assert_int_eq(remembered.back_us + remembered.limit_from_us, 0);
	now_us = reactor_now(reactor);
	(void)set(0, true, 5 * SECOND);
	ck_assert_int_eq(remembered.back_us - now_us, 5 * SECOND);
	ck_assert_int_eq(remembered.limit_from_us, now_us);
	ck_assert(!remembered.back_on);
	run_for(5 * SECOND);
	ck_assert(!pins[0].line.level);
	ck_assert_int_eq(remembered.back_us + remembered.limit_from_us, 0);
	(void)set(0, true, 5 * SECOND);
	(void)set(0, true, 0); /* for good */
	ck_assert_int_eq(remembered.back_us, 0);
}
END_TEST

START_TEST(a_way_back_that_is_barred_is_forgotten)
{
	interlocked = true;
	start(2);
	(void)set(0, true, 0);
	(void)set(0, false, 5 * SECOND); /* and on again */
	ck_assert(remembered.back_us > 0 && remembered.back_on);
	(void)set(1, true, 0);
	run_for(6 * SECOND);
	ck_assert(!pins[0].line.level);
	ck_assert_int_eq(remembered.back_us, 0);
}
END_TEST

static const struct {
	bool on, back_on;
	int64_t back_s, limit_from_s, max_on_s; /* the first two from now; 0: none */
	const char *driven;			/* in the next 9.5 s */
	int64_t moved_s;
} resumed[] = {
	{ true, false, 4, 0, 0, "a- ", 4 },
	{ false, true, 4, 0, 0, "a+ ", 4 },
	{ true, false, -100, 0, 0, "a- ", 0 }, /* it was over while nobody was there */
	{ true, true, 4, 0, 0, "", 0 },	       /* it is there already */
	{ true, false, 0, 0, 0, "", 0 },
	{ true, false, 0, -5, 8, "a- ", 3 },
	{ true, false, 0, -50, 8, "a- ", 0 },
	{ true, false, 0, 0, 8, "a- ", 8 }, /* max_on is new */
	{ true, false, 4, -1, 8, "a- ", 4 },
	{ false, false, 0, -5, 8, "", 0 },
};

START_TEST(times_go_on)
{
	int64_t now_us = reactor_now(reactor), moved_us = resumed[_i].moved_s * SECOND;

	keep(0, "chip.1", resumed[_i].on);
	pins[0].settings.max_on_us = resumed[_i].max_on_s * SECOND;
	remembered.back_on = resumed[_i].back_on;
	if (resumed[_i].back_s != 0)
		remembered.back_us = now_us + resumed[_i].back_s * SECOND;
	if (resumed[_i].limit_from_s != 0)
		remembered.limit_from_us = now_us + resumed[_i].limit_from_s * SECOND;
	make(1);
	if (moved_us > 0) {
		run_for(moved_us - 10);
		ck_assert_str_eq(driven, "");
	}
	run_for(20);
	ck_assert_str_eq(driven, resumed[_i].driven);
	run_for(9 * SECOND + SECOND / 2 - moved_us);
	ck_assert_str_eq(driven, resumed[_i].driven);
	ck_assert_int_eq(remembered.back_us, 0);
}
END_TEST

START_TEST(what_is_left_to_do_is_told_at_the_end)
{
	start(1);
	ck_assert_ptr_null(output_exit(pins[0].output));
	(void)set(0, true, 5 * SECOND);
	logs[0] = '\0';
	ck_assert_ptr_null(output_exit(pins[0].output));
	ck_assert_str_eq(logs,
			 "output a: stays on; it goes off in 4.9 s, or when iotd runs again if "
			 "that is later\n");
}
END_TEST

TCase *store_cases(void)
{
	TCase *cases = tcase_create("store");

	tcase_add_checked_fixture(cases, set_up_store, tear_down_store);
	tcase_add_test(cases, a_line_that_is_held_is_put_into_the_store);
	tcase_add_test(cases, a_line_that_is_of_no_use_to_others_is_not);
	tcase_add_test(cases, the_end_of_the_process_leaves_the_line_in_the_store);
	tcase_add_test(cases, an_output_that_is_not_wanted_any_more_is_removed);
	tcase_add_loop_test(cases, a_kept_line_does_not_move, 0, 2);
	tcase_add_test(cases, a_kept_line_that_is_another_is_let_go_and_asked_for_anew);
	tcase_add_test(cases, a_line_that_the_store_lets_go_of_is_no_failure);
	tcase_add_test(cases, a_line_that_it_does_not_let_go_of_is);
	tcase_add_test(cases, a_line_that_a_write_fails_on_stays_in_the_store);
	tcase_add_test(cases, a_line_that_is_lost_is_let_go_and_put_again);
	tcase_add_test(cases, a_kept_line_that_nobody_asked_for_is_closed);
	tcase_add_loop_test(cases, what_may_pass_does_not_cost_the_line, 0,
			    (int)ARRAY_SIZE(obstacles));
	tcase_add_loop_test(cases, a_kept_line_that_cannot_be_read_does_not_move, 0, 4);
	tcase_add_test(cases, a_kept_line_whose_chip_is_gone_is_asked_for_anew);
	tcase_add_loop_test(cases, what_was_kept_may_be_on_until_it_is_found, 0, 2);
	tcase_add_test(cases, two_that_were_kept_and_exclude_each_other_are_not_both_moved);
	tcase_add_loop_test(cases, what_was_kept_on_stays_on_beside_one_that_was_kept_off, 0, 2);
	tcase_add_test(cases, the_time_of_a_command_is_remembered_before_it_moves);
	tcase_add_test(cases, times_are_remembered_until_they_are_over);
	tcase_add_test(cases, a_way_back_that_is_barred_is_forgotten);
	tcase_add_loop_test(cases, times_go_on, 0, (int)ARRAY_SIZE(resumed));
	tcase_add_test(cases, what_is_left_to_do_is_told_at_the_end);
	return cases;
}
