/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a source, with a driver that only counts. */

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "iotd/source.h"

struct counting_state {
	int opened; /* since the state was zeroed */
};

static int opens, closes, open_error, described;

static int counting_describe(const struct option_value *options,
			     struct channel channels[static CHANNELS_MAX])
{
	(void)options;
	for (int i = 0; i < described; i++)
		channels[i] = (struct channel){ .name = "counted" };
	return described;
}

static int counting_open(struct source *source)
{
	struct counting_state *state = source->state;

	opens++;
	ck_assert_int_eq(++state->opened, 1);
	ck_assert_str_eq(source->fault, "");
	return open_error ? source_fail(source, open_error, "no %s", "luck") : 0;
}

static int start_error;

static int counting_start(struct source *source, int64_t *wait_us)
{
	ck_assert_int_eq(source->polls, 0);
	*wait_us = source->readings;
	return start_error;
}

static void counting_close(struct source *source)
{
	(void)source;
	closes++;
}

static const struct driver counting_driver = {
	.name = "counting",
	.describe = counting_describe,
	.state_size = sizeof(struct counting_state),
	.open = counting_open,
	.start = counting_start,
	.close = counting_close,
};

static struct source *source;

static void set_up(void)
{
	opens = closes = open_error = 0;
	described = 1;
	ck_assert_int_eq(source_new(&source, &counting_driver, NULL, NULL), 0);
}

static void tear_down(void)
{
	source = source_free(source);
	ck_assert_int_eq(opens, closes);
}

START_TEST(a_new_source_is_closed_and_knows_its_channels)
{
	ck_assert(!source->is_open);
	ck_assert_uint_eq(source->channel_count, 1);
	ck_assert_str_eq(source->channels[0].name, "counted");
	ck_assert_int_eq(opens, 0);
}
END_TEST

START_TEST(channels_that_only_open_can_tell)
{
	described = 0;
	source = source_free(source);
	ck_assert_int_eq(source_new(&source, &counting_driver, NULL, NULL), 0);
	ck_assert_uint_eq(source->channel_count, 0);
}
END_TEST

START_TEST(options_that_make_no_channels)
{
	struct source *none = NULL;

	described = -EINVAL;
	ck_assert_int_eq(source_new(&none, &counting_driver, NULL, NULL), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

/* the configuration may go while a worker is in the source still */
START_TEST(options_are_copied_with_their_lists)
{
	static const struct driver_option words = { .name = "words", .type = OPTION_STRINGS };
	struct driver listing = counting_driver;
	char text[] = "temp1";
	struct option_value word = { .given = true, .string = text };
	struct option_value value = { .given = true, .list = &word, .count = 1 };
	struct source *copying;

	listing.options = &words;
	listing.option_count = 1;
	ck_assert_int_eq(source_new(&copying, &listing, &value, NULL), 0);
	memset(text, 'x', sizeof(text) - 1);
	memset(&word, 0, sizeof(word));
	ck_assert_uint_eq(copying->options[0].count, 1);
	ck_assert_str_eq(copying->options[0].list[0].string, "temp1");
	source_free(copying);
}
END_TEST

START_TEST(open_and_close_happen_once)
{
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_eq(opens, 1);
	source_close(source);
	source_close(source);
	ck_assert_int_eq(closes, 1);
}
END_TEST

START_TEST(each_open_starts_from_a_zeroed_state)
{
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(source_open(source), 0); /* counting_open() looks */
		source_close(source);
	}
}
END_TEST

START_TEST(a_failed_open_is_undone_and_says_why)
{
	open_error = -EIO;
	ck_assert_int_eq(source_open(source), -EIO);
	ck_assert(!source->is_open);
	ck_assert_int_eq(closes, 1);
	ck_assert_str_eq(source->fault, "no luck");

	open_error = 0;
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_str_eq(source->fault, "");
}
END_TEST

START_TEST(readings_are_counted_since_open)
{
	int64_t wait_us = 0;

	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(source_open(source), 0);
		for (int i = 1; i <= 3; i++) {
			ck_assert_int_eq(source_start(source, &wait_us), 0);
			ck_assert_int_eq(wait_us, i);
			source->polls = 5;
		}
		source_close(source);
	}
	start_error = -EIO;
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_eq(source_start(source, &wait_us), -EIO);
	start_error = 0;
}
END_TEST

START_TEST(nothing_to_start_is_no_failure)
{
	struct driver passive = counting_driver;
	struct source *other;
	int64_t wait_us = 7;

	passive.start = NULL;
	ck_assert_int_eq(source_new(&other, &passive, NULL, NULL), 0);
	ck_assert_int_eq(source_open(other), 0);
	ck_assert_int_eq(source_start(other, &wait_us), 0);
	ck_assert_int_eq(wait_us, 7);
	source_free(other);
}
END_TEST

START_TEST(free_closes)
{
	ck_assert_int_eq(source_open(source), 0);
	source = source_free(source);
	ck_assert_int_eq(closes, 1);
	ck_assert_ptr_null(source_free(NULL));
}
END_TEST

START_TEST(a_long_fault_is_cut)
{
	ck_assert_int_eq(source_fail(source, -EIO, "%300s", "x"), -EIO);
	ck_assert_uint_eq(strlen(source->fault), sizeof(source->fault) - 1);
}
END_TEST

/* the half of one, and the reply that repeats it is no JSON */
START_TEST(a_fault_is_cut_between_characters)
{
	(void)source_fail(source, -EIO, "%189s°°", "");
	ck_assert_uint_eq(strlen(source->fault), sizeof(source->fault) - 1);
	(void)source_fail(source, -EIO, "%190s°°", "");
	ck_assert_uint_eq(strlen(source->fault), sizeof(source->fault) - 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source");
	TCase *tests = tcase_create("source");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_new_source_is_closed_and_knows_its_channels);
	tcase_add_test(tests, channels_that_only_open_can_tell);
	tcase_add_test(tests, options_that_make_no_channels);
	tcase_add_test(tests, options_are_copied_with_their_lists);
	tcase_add_test(tests, open_and_close_happen_once);
	tcase_add_test(tests, each_open_starts_from_a_zeroed_state);
	tcase_add_test(tests, a_failed_open_is_undone_and_says_why);
	tcase_add_test(tests, readings_are_counted_since_open);
	tcase_add_test(tests, nothing_to_start_is_no_failure);
	tcase_add_test(tests, free_closes);
	tcase_add_test(tests, a_long_fault_is_cut);
	tcase_add_test(tests, a_fault_is_cut_between_characters);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
