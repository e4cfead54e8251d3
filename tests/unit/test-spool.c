/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spool: order, what is in flight, and what goes when it is full. Messages are named by a letter. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "iotd/spool.h"

static struct stats stats;
static struct spool *spool;
static size_t one_size; /* of a message with one letter */

static struct message *letter_message(char letter)
{
	struct message *message;

	ck_assert_int_eq(message_new(&message, "t", &letter, 1), 0);
	return message;
}

static void open_spool(uint64_t max_size)
{
	const struct spool_settings settings = { .path = NULL, .max_size = max_size };

	stats = (struct stats){ 0 };
	ck_assert_int_eq(spool_new(&spool, &settings, &stats), 0);
}

static void setup(void)
{
	struct message *message = letter_message('x');

	one_size = message_size(message);
	message_free(message);
	open_spool(1000000);
}

static void teardown(void)
{
	spool = spool_free(spool);
	ck_assert_uint_eq(stats.queued, 0);
	ck_assert_uint_eq(stats.in_flight, 0);
}

static void push_letters(const char *letters)
{
	for (; *letters; letters++)
		ck_assert_int_eq(spool_push(spool, letter_message(*letters)), 0);
}

/* Return: the id; what comes next must be @letter, 0: nothing */
static uint64_t expect_next(char letter)
{
	struct message *message = spool_next(spool);

	if (letter == '\0') {
		ck_assert_ptr_null(message);
		return 0;
	}
	ck_assert_ptr_nonnull(message);
	ck_assert_int_eq(message->payload[0], letter);
	return message->id;
}

START_TEST(oldest_first)
{
	push_letters("abc");
	ck_assert_uint_eq(stats.queued, 3);
	expect_next('a');
	expect_next('b');
	ck_assert_uint_eq(stats.in_flight, 2);
	push_letters("d");
	expect_next('c');
	expect_next('d');
	expect_next('\0');
	push_letters("e");
	expect_next('e');
}
END_TEST

START_TEST(done_in_any_order_forgets)
{
	uint64_t a, b, c;

	push_letters("abcd");
	a = expect_next('a');
	b = expect_next('b');
	c = expect_next('c');
	spool_done(spool, b);
	spool_done(spool, b); /* a second time: nothing */
	spool_done(spool, 12345);
	ck_assert_uint_eq(stats.queued, 3);
	ck_assert_uint_eq(stats.in_flight, 2);
	spool_done(spool, c);
	spool_done(spool, a);
	expect_next('d');
	ck_assert(!spool_is_empty(spool));
	ck_assert_uint_eq(stats.queued, 1);
}
END_TEST

START_TEST(what_waits_cannot_be_done)
{
	uint64_t a;

	push_letters("ab");
	a = expect_next('a');
	spool_done(spool, a + 1); /* b, which is not in flight */
	expect_next('b');
	spool_done(spool, a);
	spool_done(spool, a + 1);
	ck_assert(spool_is_empty(spool));
}
END_TEST

START_TEST(rewind_gives_the_rest_again_in_order)
{
	uint64_t b;

	push_letters("abcd");
	expect_next('a');
	b = expect_next('b');
	expect_next('c');
	spool_done(spool, b);
	spool_rewind(spool);
	ck_assert_uint_eq(stats.in_flight, 0);
	ck_assert_uint_eq(stats.queued, 3);
	expect_next('a');
	expect_next('c');
	expect_next('d');
	expect_next('\0');
}
END_TEST

START_TEST(full_discards_the_oldest_that_waits)
{
	spool_free(spool);
	open_spool(3 * one_size);
	push_letters("abc");
	expect_next('a');
	ck_assert_int_eq(spool_push(spool, letter_message('d')), 1); /* b goes, a is in flight */
	ck_assert_uint_eq(stats.discarded, 1);
	ck_assert_uint_eq(stats.queued, 3);
	expect_next('c');
	expect_next('d');
	ck_assert_int_eq(spool_push(spool, letter_message('e')), 1); /* all else flies: itself */
	expect_next('\0');
	spool_rewind(spool);
	expect_next('a');
	expect_next('c');
	expect_next('d');
	ck_assert_uint_eq(stats.discarded, 2);
}
END_TEST

START_TEST(a_large_one_pushes_out_many)
{
	struct message *large;
	char payload[64] = { 'L' };

	spool_free(spool);
	open_spool(3 * one_size);
	push_letters("abc");
	ck_assert_int_eq(message_new(&large, "t", payload, sizeof(payload)), 0);
	ck_assert_uint_lt(message_size(large), 2 * one_size);
	ck_assert_int_eq(spool_push(spool, large), 2);
	ck_assert_uint_eq(stats.discarded, 2);
	expect_next('c');
	expect_next('L');
}
END_TEST

START_TEST(a_message_larger_than_everything_is_not_kept)
{
	spool_free(spool);
	open_spool(one_size - 1);
	ck_assert_int_eq(spool_push(spool, letter_message('a')), 1);
	ck_assert(spool_is_empty(spool));
	expect_next('\0');
	spool_rewind(spool);
	expect_next('\0');
}
END_TEST

START_TEST(a_hundred_thousand_are_not_slow)
{
	struct message *message;

	spool_free(spool);
	open_spool(UINT64_MAX);
	for (int i = 0; i < 100000; i++)
		push_letters("x");
	for (int i = 0; i < 100000; i++) {
		message = spool_next(spool);
		ck_assert_ptr_nonnull(message);
		spool_done(spool, message->id);
	}
	ck_assert(spool_is_empty(spool));
}
END_TEST

START_TEST(free_takes_null_and_what_is_left)
{
	ck_assert_ptr_null(spool_free(NULL));
	push_letters("abc");
	expect_next('a');
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spool");
	TCase *tests = tcase_create("spool");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, oldest_first);
	tcase_add_test(tests, done_in_any_order_forgets);
	tcase_add_test(tests, what_waits_cannot_be_done);
	tcase_add_test(tests, rewind_gives_the_rest_again_in_order);
	tcase_add_test(tests, full_discards_the_oldest_that_waits);
	tcase_add_test(tests, a_large_one_pushes_out_many);
	tcase_add_test(tests, a_message_larger_than_everything_is_not_kept);
	tcase_add_test(tests, a_hundred_thousand_are_not_slow);
	tcase_add_test(tests, free_takes_null_and_what_is_left);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
