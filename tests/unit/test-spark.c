/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sparklines as they are seen, to the character. */
#include <math.h>

#include "fixture.h"

#include "ctl/spark.h"

#include "iotd/clock.h"

#define GAP   (-99.0) /* nothing known from here on, in the tables */
#define START (1000 * USEC_PER_SEC)

/* Samples of the seconds 0, 1, 2 …, in 8 columns of a second, of which the last one is under way. */
static const struct {
	const char *text;
	double values[8];
	size_t count;
	bool is_states, is_ascii;
	int64_t hold_us;
} rows[] = {
	{ "▁▂▃▄▅▆▇█", { 0, 1, 2, 3, 4, 5, 6, 7 }, 8, false, false, 0 },
	{ "█▇▆▅▄▃▂▁", { 70, 60, 50, 40, 30, 20, 10, 0 }, 8, false, false, 0 },
	{ ".:-=+*#@", { 0, 1, 2, 3, 4, 5, 6, 7 }, 8, false, true, 0 },
	{ "▁█▁█▁█▁█", { -5, 5, -5, 5, -5, 5, -5, 5 }, 8, false, false, 0 },
	{ "▄▄▄▄▄▄▄▄", { 21, 21, 21, 21, 21, 21, 21, 21 }, 8, false, false, 0 },
	{ "▄▄▄▄▄▄▄▄", { 0, 0, 0, 0, 0, 0, 0, 0 }, 8, false, false, 0 },
	{ "▁█      ", { 1, 2 }, 2, false, false, 0 },
	{ "▁███    ", { 1, 2 }, 2, false, false, 2 * USEC_PER_SEC },
	{ "▁███████", { 1, 2 }, 2, false, false, HISTORY_FOREVER },
	{ "▁█  ▁▁▁▁", { 1, 2, GAP, GAP, 1 }, 5, false, false, HISTORY_FOREVER },
	{ "▄       ", { 1e300 }, 1, false, false, 0 },
	{ "▁█      ", { -1e300, 1e300 }, 2, false, false, 0 },
	{ "        ", { GAP }, 1, false, false, HISTORY_FOREVER },
	{ "▁█▁▁▁▁▁▁", { 0, 1, 0 }, 3, true, false, HISTORY_FOREVER },
	{ "_#______", { 0, 1, 0 }, 3, true, true, HISTORY_FOREVER },
	{ "████████", { 1 }, 1, true, false, HISTORY_FOREVER },
	{ "▁▁▁▁▁▁▁▁", { 0 }, 1, true, false, HISTORY_FOREVER },
	{ "█▁  █▁▁▁", { 1, 0, GAP, GAP, 1, 0 }, 6, true, false, HISTORY_FOREVER },
};

static struct history *history;

static void setup(void)
{
	ck_assert_int_eq(history_new(&history, 120 * USEC_PER_SEC, 1024), 0);
}

static void teardown(void)
{
	history = history_free(history);
}

static struct view view_at(double second, int64_t span_us)
{
	return (struct view){
		.now_us = START + (int64_t)(second * 1e6),
		.span_us = span_us,
		.hold_us = HISTORY_FOREVER,
	};
}

static const char *spark(const struct view *view, size_t columns)
{
	static char buffer[SPARK_SIZE];

	memset(buffer, '!', sizeof(buffer));
	spark_write(buffer, history, view, columns);
	return buffer;
}

START_TEST(looks_as_the_table_says)
{
	struct history *own = NULL;
	char buffer[SPARK_SIZE];
	struct view view = {
		.now_us = START + 7300000,
		.span_us = 8 * USEC_PER_SEC,
		.hold_us = rows[_i].hold_us,
		.is_states = rows[_i].is_states,
		.is_ascii = rows[_i].is_ascii,
	};

	ck_assert_int_eq(history_new(&own, 8 * USEC_PER_SEC, 64), 0);
	for (size_t i = 0; i < rows[_i].count; i++)
		history_add(own, START + (int64_t)i * USEC_PER_SEC,
			    rows[_i].values[i] == GAP ? (double)NAN : rows[_i].values[i]);
	spark_write(buffer, own, &view, 8);
	history_free(own);
	ck_assert_str_eq(buffer, rows[_i].text);
}
END_TEST

START_TEST(is_blank_of_an_empty_history)
{
	struct view view = view_at(0, 8 * USEC_PER_SEC);

	ck_assert_str_eq(spark(&view, 8), "        ");
}
END_TEST

START_TEST(is_by_time_and_not_by_sample)
{
	struct view view = view_at(79, 80 * USEC_PER_SEC);

	view.hold_us = 0;
	for (int i = 0; i < 10; i++) /* ten in the first column, one in the fourth */
		history_add(history, START + i * USEC_PER_SEC, i);
	history_add(history, START + 35 * USEC_PER_SEC, 100);
	ck_assert_str_eq(spark(&view, 8), "▁  █    ");
}
END_TEST

START_TEST(a_column_is_the_mean_of_its_samples)
{
	struct view view = view_at(79, 80 * USEC_PER_SEC);

	for (int i = 0; i < 80; i++)
		history_add(history, START + i * USEC_PER_SEC,
			    floor(i / 10.0) + (i % 2 ? 50 : -50));
	ck_assert_str_eq(spark(&view, 8), "▁▂▃▄▅▆▇█");
}
END_TEST

START_TEST(stands_still_while_no_column_passes_and_then_moves_by_one)
{
	static const double columns[] = { 5, 0, 9, 3, 7, 8, 2, 4 };
	struct view view = view_at(70, 80 * USEC_PER_SEC);
	char before[SPARK_SIZE];

	for (int i = 0; i <= 70; i++)
		history_add(history, START + i * USEC_PER_SEC, columns[i / 10]);
	memcpy(before, spark(&view, 8), sizeof(before));
	for (int tenth = 701; tenth < 800; tenth++) {
		view = view_at(tenth / 10.0, 80 * USEC_PER_SEC);
		ck_assert_str_eq(spark(&view, 8), before);
	}
	view = view_at(80, 80 * USEC_PER_SEC);
	ck_assert_int_eq(strncmp(spark(&view, 8), before + strlen("▁"), 7 * strlen("▁")), 0);
}
END_TEST

START_TEST(a_pulse_within_a_column_is_seen)
{
	struct view view = view_at(79, 80 * USEC_PER_SEC);

	view.is_states = true;
	history_add(history, START, 0);
	history_add(history, START + 32 * USEC_PER_SEC, 1);
	history_add(history, START + 34 * USEC_PER_SEC, 0);
	ck_assert_str_eq(spark(&view, 8), "▁▁▁▄▁▁▁▁");
	view.is_ascii = true;
	ck_assert_str_eq(spark(&view, 8), "___+____");
}
END_TEST

START_TEST(fills_its_buffer_and_no_more)
{
	struct view view = view_at(SPARK_COLUMNS_MAX, SPARK_COLUMNS_MAX * USEC_PER_SEC);

	history_add(history, START, 1);
	ck_assert_uint_eq(strlen(spark(&view, SPARK_COLUMNS_MAX)), SPARK_SIZE - 1);
	view.span_us = 1;
	ck_assert_uint_eq(strlen(spark(&view, SPARK_COLUMNS_MAX)), SPARK_SIZE - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spark");
	TCase *tests = tcase_create("spark");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, looks_as_the_table_says, 0,
			    (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tests, is_blank_of_an_empty_history);
	tcase_add_test(tests, is_by_time_and_not_by_sample);
	tcase_add_test(tests, a_column_is_the_mean_of_its_samples);
	tcase_add_test(tests, stands_still_while_no_column_passes_and_then_moves_by_one);
	tcase_add_test(tests, a_pulse_within_a_column_is_seen);
	tcase_add_test(tests, fills_its_buffer_and_no_more);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
