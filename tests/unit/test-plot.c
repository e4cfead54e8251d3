/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plots as they are seen, to the character. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "fixture.h"

#include "ctl/plot.h"

#include "iotd/clock.h"

#define START (1764000000LL * USEC_PER_SEC) /* 2025-11-24T16:00:00Z */

static struct history *history;
static struct view view;
static char *text;

static void setup(void)
{
	ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
	tzset();
	ck_assert_int_eq(history_new(&history, 3600 * USEC_PER_SEC, 4096), 0);
	view = (struct view){
		.now_us = START + 60 * USEC_PER_SEC - 1,
		.span_us = 60 * USEC_PER_SEC,
		.hold_us = HISTORY_FOREVER,
	};
}

static void teardown(void)
{
	history = history_free(history);
	free(text);
	text = NULL;
}

static void add(double second, double value)
{
	history_add(history, START + (int64_t)(second * 1e6), value);
}

static const char *plot(size_t width, size_t height)
{
	free(text);
	text = NULL;
	ck_assert_int_eq(plot_draw(&text, history, &view, width, height), 0);
	return text;
}

/* what the samples are like, a second apart from 0 to 60 */
static double saw(int second)
{
	return second % 20;
}

static double constant(int second)
{
	(void)second;
	return 21.5;
}

static double gap(int second)
{
	return second >= 20 && second < 40 ? (double)NAN : 20.2 + second / 100.0;
}

static double zero(int second)
{
	(void)second;
	return 0;
}

static double state(int second)
{
	return second >= 15 && second < 35;
}

static double huge(int second)
{
	return second % 2 ? 1.7e308 : -1.7e308;
}

static double tiny(int second)
{
	return second * 1e-9;
}

static double offset(int second)
{
	return 1013250000 + second / 60.0;
}

static double negative(int second)
{
	return -40 + second / 2.0;
}

static double none(int second)
{
	(void)second;
	return (double)NAN;
}

static double spike(int second)
{
	return second == 30 ? 1000 : 0;
}

/* clang-format off: as they are seen */
static const struct {
	double (*value)(int second);
	size_t width, height;
	bool is_states, is_ascii;
	const char *text;
} plots[] = {
	{ saw, 40, 8, false, false,
	  "20 ┤          ⡠⡆          ⡠⡆          ⡠⠂\n"
	  "   │        ⡠⠊ ⡇        ⡠⠊ ⡇        ⡠⠊\n"
	  "   │      ⡔⠊   ⡇      ⡔⠊   ⡇      ⡔⠊\n"
	  "   │   ⢀⡠⠊     ⢸   ⢀⡠⠊     ⢸   ⢀⡠⠊\n"
	  "   │  ⡔⠁       ⢸  ⡔⠁       ⢸  ⡔⠁\n"
	  " 0 ┤⡔⠊         ⢸⠔⠊         ⢸⠔⠊\n"
	  "   └─────────────────┬─────────────────┬\n"
	  "                 16:00:30       16:01:00\n" },
	{ saw, 40, 8, false, true,
	  "20 +          .           .           .\n"
	  "   |       .:':        .:':        .:'\n"
	  "   |     .''  :      .''  :      .''\n"
	  "   |   .:'     :   .:'     :   .:'\n"
	  "   | .'        : .'        : .'\n"
	  " 0 +'          :'          :'\n"
	  "   +-----------------+-----------------+\n"
	  "                 16:00:30       16:01:00\n" },
	{ constant, 40, 7, false, false,
	  "22.0 ┤\n"
	  "     │\n"
	  "21.5 ┤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠄\n"
	  "     │\n"
	  "21.0 ┤\n"
	  "     └────────────────┬────────────────┬\n"
	  "                  16:00:30      16:01:00\n" },
	{ gap, 40, 10, false, false,
	  "21.0 ┤\n"
	  "     │                               ⣀⣀⡀\n"
	  "     │                        ⣀⣀⠤⠤⠒⠊⠉\n"
	  "     │                      ⠉⠉\n"
	  "20.5 ┤         ⢀⣀\n"
	  "     │  ⢀⣀⠤⠔⠒⠊⠉⠁\n"
	  "     │⠋⠉⠁\n"
	  "20.0 ┤\n"
	  "     └────────────────┬────────────────┬\n"
	  "                  16:00:30      16:01:00\n" },
	{ zero, 40, 6, false, false,
	  " 2 ┤\n"
	  "   │\n"
	  " 0 ┤⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠁\n"
	  "-2 ┤\n"
	  "   └─────────────────┬─────────────────┬\n"
	  "                 16:00:30       16:01:00\n" },
	{ state, 40, 6, true, false,
	  " on ┤        ⡏⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⢹\n"
	  "    │        ⡇          ⢸\n"
	  "    │        ⡇          ⢸\n"
	  "off ┤⣀⣀⣀⣀⣀⣀⣀⣀⡇          ⢸⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀\n"
	  "    └─────────────────┬────────────────┬\n"
	  "                  16:00:30      16:01:00\n" },
	{ state, 40, 6, true, true,
	  " on +        :''''''''''':\n"
	  "    |        :           :\n"
	  "    |        :           :\n"
	  "off +........:           :..............\n"
	  "    +-----------------+----------------+\n"
	  "                  16:00:30      16:01:00\n" },
	{ huge, 40, 6, false, false,
	  " 2e+300 ┤\n"
	  "        │⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⣼⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢠⠃\n"
	  "      0 ┤⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⢸⠃⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡇⡟\n"
	  "-2e+300 ┤\n"
	  "        └───────────────┬──────────────┬\n"
	  "                    16:00:30    16:01:00\n" },
	{ tiny, 40, 10, false, false,
	  "1e-07 ┤\n"
	  "      │\n"
	  "      │\n"
	  "      │                           ⣀⣀⠤⠤⠒⠂\n"
	  "5e-08 ┤                    ⢀⣀⠤⠔⠒⠊⠉\n"
	  "      │             ⣀⣀⠤⠔⠒⠉⠉⠁\n"
	  "      │      ⣀⡠⠤⠔⠒⠉⠉\n"
	  "    0 ┤⡠⠤⠒⠒⠊⠉\n"
	  "      └────────────────┬───────────────┬\n"
	  "                   16:00:30     16:01:00\n" },
	{ offset, 44, 10, false, false,
	  "  1013250001 ┤                           ⣀⠤⠒\n"
	  "             │                       ⣀⠤⠒⠉\n"
	  "             │                   ⣀⠤⠒⠉\n"
	  "             │               ⢀⠤⠒⠉\n"
	  "1013250000.5 ┤           ⢀⡠⠔⠊⠁\n"
	  "             │       ⢀⡠⠔⠊⠁\n"
	  "             │   ⢀⡠⠔⠊⠁\n"
	  "  1013250000 ┤⡠⠔⠊⠁\n"
	  "             └───────────────┬──────────────\n"
	  "                         16:00:30\n" },
	{ negative, 40, 10, false, false,
	  "  0 ┤\n"
	  "    │\n"
	  "    │                             ⣀⠤⠤⠒⠊\n"
	  "    │                       ⣀⡠⠤⠒⠉⠉\n"
	  "-20 ┤                ⢀⣀⡠⠔⠒⠊⠉\n"
	  "    │           ⣀⠤⠤⠒⠊⠁\n"
	  "    │     ⣀⠤⠤⠒⠉⠉\n"
	  "-40 ┤⡠⠔⠒⠊⠉\n"
	  "    └─────────────────┬────────────────┬\n"
	  "                  16:00:30      16:01:00\n" },
	{ none, 40, 6, false, false,
	  " │\n"
	  " │\n"
	  " │\n"
	  " │\n"
	  " └──────────────────┬──────────────────┬\n"
	  "                16:00:30        16:01:00\n" },
	{ none, 40, 6, true, false,
	  " on ┤\n"
	  "    │\n"
	  "    │\n"
	  "off ┤\n"
	  "    └─────────────────┬────────────────┬\n"
	  "                  16:00:30      16:01:00\n" },
	{ spike, 40, 9, false, true,
	  "1000 +                :\n"
	  "     |                :\n"
	  "     |                :\n"
	  "     |                :.\n"
	  "     |                ::\n"
	  "     |                ::\n"
	  "   0 +................::................\n"
	  "     +----------------+----------------+\n"
	  "                  16:00:30      16:01:00\n" },
};
/* clang-format on */

START_TEST(looks_as_the_table_says)
{
	for (int i = 0; i < 60; i++)
		add(i, plots[_i].value(i));
	view.is_states = plots[_i].is_states;
	view.is_ascii = plots[_i].is_ascii;
	ck_assert_str_eq(plot(plots[_i].width, plots[_i].height), plots[_i].text);
}
END_TEST

/* --- axes ------------------------------------------------------------------------------------- */

/* the last line of the plot of an hour, a day … */
static const char *times(int64_t span_s, const char *zone)
{
	const char *end = NULL;

	ck_assert_int_eq(setenv("TZ", zone, 1), 0);
	tzset();
	view.span_us = span_s * USEC_PER_SEC;
	view.now_us = START + 30 * USEC_PER_SEC;
	end = plot(64, 10);
	for (int i = 0; i < 9; i++)
		end = strchr(end, '\n') + 1;
	return end + strspn(end, " ");
}

START_TEST(times_are_round_and_local)
{
	ck_assert_str_eq(times(10, "UTC"),
			 "16:00:22    16:00:24    16:00:26     16:00:28 16:00:30\n");
	ck_assert_str_eq(times(300, "UTC"),
			 "15:56        15:57       15:58       15:59        16:00\n");
	ck_assert_str_eq(times(3600, "UTC"),
			 "15:10     15:20      15:30     15:40     15:50    16:00\n");
	ck_assert_str_eq(times(86400, "UTC"),
			 "18:00          00:00           06:00          12:00\n");
	ck_assert_str_eq(times(7 * 86400, "UTC"),
			 "11-18    11-19    11-20    11-21    11-22    11-23   11-24\n");
	ck_assert_str_eq(times(86400, "XYZ-5:30"),
			 "00:00          06:00           12:00          18:00\n");
}
END_TEST

START_TEST(every_line_fits_whatever_the_size_and_the_values)
{
	static double (*const kinds[])(int) = { saw, huge, tiny, offset, gap, none, spike };
	const size_t sizes[] = { 6, 7, 11, 33, 100 };

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		teardown();
		setup();
		for (int i = 0; i < 60; i++)
			add(i, kinds[k](i));
		for (size_t s = 0; s < 2 * sizeof(sizes) / sizeof(sizes[0]); s++) {
			size_t width = 34 + sizes[s / 2], lines = 0;

			view.is_ascii = true; /* so that a byte is a column */
			for (const char *at = plot(width, sizes[s / 2]); *at; lines++) {
				size_t length = strcspn(at, "\n");

				ck_assert_uint_le(length, width);
				ck_assert(length == 0 || at[length - 1] != ' ');
				at += length + 1;
			}
			ck_assert_uint_eq(lines, sizes[s / 2]);
		}
	}
}
END_TEST

START_TEST(joins_samples_only_as_long_as_one_holds)
{
	char before[1000];

	view.hold_us = 10 * USEC_PER_SEC;
	add(10, 0);
	add(20, 0);
	add(50, 1);
	ck_assert_uint_lt(strlen(plot(40, 6)), sizeof(before));
	memcpy(before, text, strlen(text) + 1);
	view.hold_us = 9 * USEC_PER_SEC;
	ck_assert_str_ne(plot(40, 6), before);
	view.hold_us = 30 * USEC_PER_SEC;
	ck_assert_str_ne(plot(40, 6), before);
}
END_TEST

START_TEST(a_line_that_begins_before_the_plot_enters_it_at_its_height)
{
	view.is_ascii = true;
	add(-30, 0); /* half of the way to 10 at second 0 */
	add(30, 10);
	add(55, 0);
	ck_assert_str_eq(plot(40, 8), "10 +            ....''..\n"
				      "   |      ...'''        '.\n"
				      "   |..''''                ''.\n"
				      "   |                         '..\n"
				      "   |                            '.\n"
				      " 0 +                              ''.\n"
				      "   +-----------------+-----------------+\n"
				      "                 16:00:30       16:01:00\n");
}
END_TEST

START_TEST(a_state_from_before_the_plot_reaches_to_its_right_end)
{
	view.is_states = true;
	view.is_ascii = true;
	add(-1000, 1);
	ck_assert_str_eq(plot(40, 6), " on +'''''''''''''''''''''''''''''''''''\n"
				      "    |\n"
				      "    |\n"
				      "off +\n"
				      "    +-----------------+----------------+\n"
				      "                  16:00:30      16:01:00\n");
}
END_TEST

START_TEST(what_the_clock_has_yet_to_reach_is_not_drawn)
{
	char before[1000];

	view.is_ascii = true;
	add(10, 1);
	add(20, 1);
	ck_assert_uint_lt(strlen(plot(40, 6)), sizeof(before));
	memcpy(before, text, strlen(text) + 1);
	add(1000, 100000);
	ck_assert_str_eq(plot(40, 6), before);
}
END_TEST

/* 0.3 / 0.1 is a little less than 3 for a computer, 1.1 / 0.1 a little more than 11 */
START_TEST(a_scale_ends_where_the_values_do_if_those_are_round)
{
	add(10, 0.3);
	add(20, 1.1);
	plot(60, 42);
	ck_assert_int_eq(strncmp(text, "1.1 ┤", strlen("1.1 ┤")), 0);
	ck_assert_ptr_nonnull(strstr(text, "\n0.3 ┤"));
	ck_assert_ptr_null(strstr(text, "0.2 ┤"));
}
END_TEST

START_TEST(sizes_that_cannot_be_are_refused)
{
	char *none_made = NULL;

	ck_assert_int_eq(plot_draw(&none_made, history, &view, PLOT_WIDTH_MIN - 1, 20), -EINVAL);
	ck_assert_int_eq(plot_draw(&none_made, history, &view, 80, PLOT_HEIGHT_MIN - 1), -EINVAL);
	ck_assert_int_eq(plot_draw(&none_made, history, &view, PLOT_SIDE_MAX + 1, 20), -EINVAL);
	ck_assert_int_eq(plot_draw(&none_made, history, &view, 80, PLOT_SIDE_MAX + 1), -EINVAL);
	ck_assert_ptr_null(none_made);
	ck_assert_uint_gt(strlen(plot(PLOT_SIDE_MAX, PLOT_SIDE_MAX)), 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plot");
	TCase *tests = tcase_create("plot");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, looks_as_the_table_says, 0,
			    (int)(sizeof(plots) / sizeof(plots[0])));
	tcase_add_test(tests, times_are_round_and_local);
	tcase_add_test(tests, every_line_fits_whatever_the_size_and_the_values);
	tcase_add_test(tests, joins_samples_only_as_long_as_one_holds);
	tcase_add_test(tests, a_line_that_begins_before_the_plot_enters_it_at_its_height);
	tcase_add_test(tests, a_state_from_before_the_plot_reaches_to_its_right_end);
	tcase_add_test(tests, what_the_clock_has_yet_to_reach_is_not_drawn);
	tcase_add_test(tests, a_scale_ends_where_the_values_do_if_those_are_round);
	tcase_add_test(tests, sizes_that_cannot_be_are_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
