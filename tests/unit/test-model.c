/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers as they are published, messages, and the names of enumerations. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "iotd/memory.h"
#include "iotd/model.h"

/* --- values --------------------------------------------------------------------------------- */

static const struct {
	double number;
	int digits;
	const char *text;
} numbers[] = {
	{ 21.372, 2, "21.37" },
	{ 40.2, 2, "40.2" },
	{ -3.0, 2, "-3" },
	{ 0.0, 2, "0" },
	{ -0.0, 2, "0" },
	{ -0.0, 0, "0" },
	{ -0.004, 2, "0" },
	{ -0.005, 2, "-0.01" },
	{ 0.5, 0, "1" },
	{ 1.5, 0, "2" },
	{ 2.5, 0, "3" }, /* halves away from zero, not to even */
	{ -2.5, 0, "-3" },
	{ 0.125, 2, "0.13" },
	{ 100.0, 0, "100" },
	{ 1200.0, 3, "1200" },
	{ 0.1, 9, "0.1" },
	{ 1.0 / 3.0, 9, "0.333333333" },
	{ 1e-10, 9, "0" },
	{ 99.999, 2, "100" },
	{ 1013.25, 2, "1013.25" },
	{ 123456789.123456789, 9, "123456789.123456791" }, /* over 2^53: as it is */
	{ 9007199254740993.0, 0, "9007199254740992" },
	{ 1e22, 2, "10000000000000000000000" },
	{ 3.25, -1, "3.25" }, /* no such digits: nine */
	{ -0.0, -1, "0" },
	{ -0.0, 10, "0" },
	{ 0.1, 17, "0.1" },
};

START_TEST(number_is_the_shortest_text_with_so_many_digits)
{
	char buffer[64];

	value_format(buffer, sizeof(buffer), numbers[_i].number, numbers[_i].digits);
	ck_assert_str_eq(buffer, numbers[_i].text);
}
END_TEST

START_TEST(number_that_does_not_fit_is_cut_and_terminated)
{
	char buffer[4];

	value_format(buffer, sizeof(buffer), 12345.5, 1);
	ck_assert_str_eq(buffer, "123");
}
END_TEST

START_TEST(rounding)
{
	ck_assert_double_eq(value_round(21.375, 2), 21.38);
	ck_assert_double_eq(value_round(-21.375, 2), -21.38);
	ck_assert(!signbit(value_round(-0.001, 2)));
	ck_assert_double_eq(value_round(1e300, 9), 1e300);
	ck_assert_double_eq(value_round(12.34, -1), 12.34);
	ck_assert_double_eq(value_round(12.34, 10), 12.34);
	ck_assert_double_nan(value_round((double)NAN, 2));
	ck_assert_double_infinite(value_round((double)INFINITY, 2));
}
END_TEST

/* what a subscriber parses must be what was rounded */
START_TEST(text_reads_back_as_the_rounded_number)
{
	char buffer[64];

	for (int i = -5000; i < 5000; i++) {
		double number = i * 0.0137;

		for (int digits = 0; digits <= 9; digits++) {
			value_format(buffer, sizeof(buffer), number, digits);
			ck_assert_double_eq(strtod(buffer, NULL), value_round(number, digits));
		}
	}
}
END_TEST

/* --- messages ------------------------------------------------------------------------------- */

START_TEST(message_copies_what_it_is_given)
{
	char topic[] = "iotd/air", payload[] = { 'a', '\0', 'b' };
	struct message *message;

	ck_assert_int_eq(message_new(&message, topic, payload, sizeof(payload)), 0);
	topic[0] = payload[0] = 'x';
	ck_assert_str_eq(message->topic, "iotd/air");
	ck_assert_uint_eq(message->length, 3);
	ck_assert_mem_eq(message->payload, "a\0b", 3);
	ck_assert_uint_ge(message_size(message), sizeof(*message) + 9 + 3);
	ck_assert(!message->retain && message->qos == 0 && !message->next && message->id == 0);
	ck_assert_ptr_null(message_free(message));
}
END_TEST

START_TEST(message_may_be_empty)
{
	struct message *message;

	ck_assert_int_eq(message_new(&message, "t", NULL, 0), 0);
	ck_assert_uint_eq(message->length, 0);
	message_freep(&message);
	ck_assert_ptr_null(message);
	message_freep(&message);
}
END_TEST

/* the sanitizers ask for this at their start; without it they abort where malloc() returns NULL */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

START_TEST(message_too_large_for_memory_is_an_error)
{
	struct message *message = NULL;

	ck_assert_int_eq(message_new(&message, "t", "", (size_t)PTRDIFF_MAX - 1000), -ENOMEM);
	ck_assert_ptr_null(message);
}
END_TEST

/* --- words ---------------------------------------------------------------------------------- */

/* of the smallest and the largest of a size that is kept, and of one that is not */
START_TEST(kept_memory_serves_the_next_message)
{
	static const size_t lengths[] = { 1, 31, 32, 33, 150, 1000 };
	char payload[1000];
	struct message *message, *next;

	memset(payload, 'x', sizeof(payload));
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		ck_assert_int_eq(message_new(&message, "t/a", "1", lengths[i] > 1), 0);
		message_keep_freed(true);
		ck_assert_ptr_null(message_free(message));
		ck_assert_int_eq(message_new(&next, "t/b", payload, lengths[i]), 0);
		ck_assert_str_eq(next->topic, "t/b");
		ck_assert_uint_eq(next->length, lengths[i]);
		ck_assert_mem_eq(next->payload, payload, lengths[i]);
		ck_assert_int_eq(next->row, 0);
		ck_assert_ptr_null(next->next);
		(void)message_free(next);
		message_keep_freed(false);
	}
}
END_TEST

START_TEST(messages_of_one_size_share_memory_once_it_is_kept)
{
	struct message *first, *second, *third;

	message_keep_freed(true);
	ck_assert_int_eq(message_new(&first, "t", "abc", 3), 0);
	(void)message_free(first);
	ck_assert_int_eq(message_new(&second, "t", "defg", 4), 0);
	ck_assert_int_eq(message_new(&third, "t", "hij", 3), 0);
	ck_assert(MEMORY_IS_SANITIZED || second == first);
	ck_assert_ptr_ne(third, second);
	ck_assert_mem_eq(second->payload, "defg", 4);
	(void)message_free(second);
	(void)message_free(third);
	message_keep_freed(false);
}
END_TEST

START_TEST(words)
{
	ck_assert_str_eq(device_kind_name(DEVICE_SENSOR), "sensor");
	ck_assert_str_eq(device_kind_name(DEVICE_INPUT), "input");
	ck_assert_str_eq(device_kind_name(DEVICE_OUTPUT), "output");
	ck_assert_str_eq(device_status_name(STATUS_UNKNOWN), "unknown");
	ck_assert_str_eq(device_status_name(STATUS_ONLINE), "online");
	ck_assert_str_eq(device_status_name(STATUS_OFFLINE), "offline");
}
END_TEST

START_TEST(command_has_one_name)
{
	for (int kind = 0; kind < COMMAND_KINDS; kind++)
		ck_assert_int_eq(command_kind_from_name(command_kind_name((enum command_kind)kind)),
				 kind);
	ck_assert_str_eq(command_kind_name(COMMAND_PULSE), "pulse");
	ck_assert_int_eq(command_kind_from_name("Ping"), -EINVAL);
	ck_assert_int_eq(command_kind_from_name(""), -EINVAL);
	ck_assert_int_eq(command_kind_from_name("pings"), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model");
	TCase *cases = tcase_create("model");

	tcase_add_loop_test(cases, number_is_the_shortest_text_with_so_many_digits, 0,
			    ARRAY_SIZE(numbers));
	tcase_add_test(cases, number_that_does_not_fit_is_cut_and_terminated);
	tcase_add_test(cases, rounding);
	tcase_add_test(cases, text_reads_back_as_the_rounded_number);
	tcase_add_test(cases, message_copies_what_it_is_given);
	tcase_add_test(cases, message_may_be_empty);
	tcase_add_test(cases, message_too_large_for_memory_is_an_error);
	tcase_add_test(cases, kept_memory_serves_the_next_message);
	tcase_add_test(cases, messages_of_one_size_share_memory_once_it_is_kept);
	tcase_add_test(cases, words);
	tcase_add_test(cases, command_has_one_name);
	suite_add_tcase(suite, cases);

	return suite_run(suite);
}
