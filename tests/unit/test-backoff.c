/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long the link waits between two tries: the bounds, in numbers and not by the clock. */
#include "fixture.h"
#include "iotd/base.h"
#include "iotd/clock.h"
#include "mqtt/backoff.h"

#define MIN_US (100 * USEC_PER_MSEC)
#define MAX_US (400 * USEC_PER_MSEC)
#define ROUNDS 1000

static int64_t least_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

START_TEST(no_wait_is_below_the_least_or_above_the_ceiling)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct backoff backoff = { 0 };

		for (int try = 1; try <= 30; try++) {
			int64_t delay_us = backoff_next(&backoff, MIN_US, MAX_US);

			ck_assert_int_ge(delay_us, MIN_US);
			ck_assert_int_le(delay_us, least_of(try * 2 * MIN_US, MAX_US));
		}
	}
}
END_TEST

START_TEST(the_ceiling_doubles_up_to_the_most)
{
	int64_t longest_us[] = { 0, 0, 0, 0, 0 };

	for (int i = 0; i < ROUNDS; i++) {
		struct backoff backoff = { 0 };

		for (size_t try = 0; try < ARRAY_SIZE(longest_us); try++) {
			int64_t delay_us = backoff_next(&backoff, MIN_US, 32 * MIN_US);

			ck_assert_int_le(delay_us, MIN_US << (try + 1));
			if (delay_us > longest_us[try])
				longest_us[try] = delay_us;
		}
	}
	/* that a thousand are all in the lower half happens once in 2^1000 */
	for (size_t try = 0; try < ARRAY_SIZE(longest_us); try++)
		ck_assert_int_gt(longest_us[try], MIN_US << try);
}
END_TEST

START_TEST(a_connection_that_lasted_begins_at_the_bottom_again)
{
	struct backoff backoff = { 0 };

	for (int i = 0; i < ROUNDS; i++) {
		for (int try = 0; try < 5; try++)
			(void)backoff_next(&backoff, MIN_US, 1000 * MIN_US);
		backoff_reset(&backoff);
		ck_assert_int_le(backoff_next(&backoff, MIN_US, 1000 * MIN_US), 2 * MIN_US);
		backoff_reset(&backoff);
	}
}
END_TEST

START_TEST(one_that_was_failing_for_weeks_still_waits_the_most)
{
	struct backoff backoff = { 0 };

	for (int try = 0; try < 100000; try++) {
		int64_t delay_us = backoff_next(&backoff, MIN_US, MAX_US);

		ck_assert(delay_us >= MIN_US && delay_us <= MAX_US);
	}
}
END_TEST

START_TEST(least_and_most_may_be_the_same)
{
	struct backoff backoff = { 0 };

	for (int try = 0; try < 30; try++)
		ck_assert_int_eq(backoff_next(&backoff, MIN_US, MIN_US), MIN_US);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backoff");
	TCase *tests = tcase_create("backoff");

	tcase_add_test(tests, no_wait_is_below_the_least_or_above_the_ceiling);
	tcase_add_test(tests, the_ceiling_doubles_up_to_the_most);
	tcase_add_test(tests, a_connection_that_lasted_begins_at_the_bottom_again);
	tcase_add_test(tests, one_that_was_failing_for_weeks_still_waits_the_most);
	tcase_add_test(tests, least_and_most_may_be_the_same);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
