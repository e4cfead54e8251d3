/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chips that hang, on the kernel's clock. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "output-fixture.h"
#include "test-output.h"

/* --- what hangs, on the kernel's clock ------------------------------------------------------ */

static struct answer off, on;
static int64_t answered_us; /* the second one */
static bool was_first;	    /* the other still waits for its line then */

static void on_second_answer(void *data, int error, const char *fault, const struct state *state)
{
	answered_us = reactor_now(reactor);
	was_first = off.count == 0;
	on_answer(data, error, fault, state);
}

START_TEST(an_output_that_does_not_come_off_blocks_for_a_second)
{
	int64_t begun_us;
	int gate[2];

	off = on = (struct answer){ 0 };
	interlocked = true;
	make(3);
	run_until(info_state(0) == 0 && info_state(1) == 0 && info_state(2) == 0);
	output_set(pins[0].output, true, 0, NULL, NULL);
	run_until(info_state(0) == 1);
	ck_assert_int_eq(pipe(gate), 0);
	pins[0].line.gate = gate[0];
	driven[0] = '\0';
	begun_us = reactor_now(reactor);
	output_set(pins[0].output, false, 0, on_answer, &off);
	output_set(pins[1].output, true, 0, on_second_answer, &on);
	for (int i = 0; i < 5; i++) {
		output_set(pins[2].output, i % 2 == 0, 0, NULL,
			   NULL); /* others wake it for nothing */
		run_for(100 * MSEC);
	}
	run_until(on.count == 1);
	ck_assert_int_ge(answered_us - begun_us, SECOND);
	ck_assert(was_first); /* which takes 3 s */
	ck_assert_int_eq(on.error, -EBUSY);
	ck_assert_str_eq(on.fault, "interlock: the other output did not go off");
	ck_assert(!output_is_on(pins[1].output));
	run_until(off.count == 1);
	ck_assert_int_eq(off.error, -ETIMEDOUT);
	ck_assert_str_eq(off.fault, "no answer within 3 s: a hangs");
	ck_assert_int_eq(atomic_load(&pins[0].line.hangs), 1);
	output_set(pins[1].output, true, 0, on_answer, &on);
	ck_assert_int_eq(on.error, -EBUSY); /* it may be on still */
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	run_until(info_state(0) == 0); /* back when the chip answers */
	on.count = 0;
	output_set(pins[1].output, true, 0, on_answer, &on);
	run_until(on.count == 1);
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
	run_until(info_state(0) == 0);
	ck_assert_int_eq(pipe(gate), 0);
	pins[0].line.gate = gate[0];
	output_set(pins[0].output, true, 0, on_answer, &answer);
	run_until(atomic_load(&pins[0].line.hangs) == 1);
	pin_count = 0;
	pins[0].output = output_free(pins[0].output);
	ck_assert_int_eq(answer.error, -ECANCELED);
	run_for(20 * MSEC);
	ck_assert_int_eq(pins[0].line.frees, 0);
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	run_until(pins[0].line.frees == 1);
	(void)close(gate[0]);
	(void)close(gate[1]);
}
END_TEST

TCase *hang_cases(void)
{
	TCase *cases = tcase_create("hangs");

	tcase_add_checked_fixture(cases, set_up_real, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, an_output_that_does_not_come_off_blocks_for_a_second);
	tcase_add_test(cases, an_output_that_hangs_may_be_freed);
	return cases;
}
