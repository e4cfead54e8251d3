/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotctl: what it gives to a terminal. */
#include <errno.h>
#include <locale.h>
#include <math.h>

#include "ctl/text.h"
#include "fixture.h"
#include "iotd/clock.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *raw, *clean, *lines;
} texts[] = {
	{ "plain", "plain", "plain" },
	{ "21 °C, µg/m³", "21 °C, µg/m³", "21 °C, µg/m³" },
	{ "\033[31mred", "?[31mred", "?[31mred" },
	{ "a\nb\tc\rd", "a?b?c?d", "a\nb\tc?d" },
	{ "\x7f", "?", "?" },
	{ "\xc2\x9b"
	  "2J",
	  "?2J", "?2J" }, /* CSI as one character */
	{ "\xc2\xa0", "\xc2\xa0", "\xc2\xa0" },
	{ "\xff\xc2", "??", "??" }, /* no UTF-8, and its half */
	{ "", "", "" },
};

START_TEST(a_terminal_is_given_no_control_characters)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s", texts[_i].raw);
	text_clean(text);
	ck_assert_str_eq(text, texts[_i].clean);
	(void)snprintf(text, sizeof(text), "%s", texts[_i].raw);
	text_clean_lines(text);
	ck_assert_str_eq(text, texts[_i].lines);
}
END_TEST

static const struct {
	const char *text;
	size_t width;
} widths[] = {
	{ "", 0 },     { "abc", 3 },	 { "°C", 2 },	{ "µg/m³", 5 },
	{ "温度", 4 }, { "e\u0301", 1 }, { "\xff", 1 },
};

START_TEST(width_is_columns_and_not_bytes)
{
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	ck_assert_uint_eq(text_width(widths[_i].text), widths[_i].width);
}
END_TEST

static const struct {
	double number;
	const char *text;
} numbers[] = {
	{ 21.37, "21.37" },
	{ 0, "0" },
	{ -0.0, "0" },
	{ 40, "40" },
	{ 123456789012345.0, "123456789012345" },
	{ 1e300, "1e+300" },
	{ -3.5, "-3.5" },
	{ (double)NAN, "-" },
	{ (double)INFINITY, "-" },
	{ 0.0001, "0.0001" },
};

START_TEST(numbers_are_as_short_as_they_can_be)
{
	char text[TEXT_SIZE];

	number_text(text, sizeof(text), numbers[_i].number);
	ck_assert_str_eq(text, numbers[_i].text);
}
END_TEST

static const struct {
	int64_t age_us;
	const char *text;
} ages[] = {
	{ -1, "-" },
	{ 0, "0 s" },
	{ 3999999, "3 s" },
	{ 119 * USEC_PER_SEC, "119 s" },
	{ 120 * USEC_PER_SEC, "2 min" },
	{ 119 * 60 * USEC_PER_SEC, "119 min" },
	{ 120 * 60 * USEC_PER_SEC, "2 h" },
	{ 47 * 3600 * USEC_PER_SEC, "47 h" },
	{ 48 * 3600 * USEC_PER_SEC, "2 d" },
};

START_TEST(ages_have_one_unit)
{
	char text[TEXT_SIZE];

	age_text(text, sizeof(text), ages[_i].age_us);
	ck_assert_str_eq(text, ages[_i].text);
}
END_TEST

static const struct {
	uint64_t lapse_us;
	const char *text;
} lapses[] = {
	{ 0, "0 us" },	       { 870, "870 us" },      { 3400, "3.4 ms" },
	{ 1234567, "1.23 s" }, { 100000000, "100 s" }, { UINT64_MAX, "106751991 d" },
};

START_TEST(lapses_are_as_exact_as_one_reads)
{
	char text[TEXT_SIZE];

	lapse_text(text, sizeof(text), lapses[_i].lapse_us);
	ck_assert_str_eq(text, lapses[_i].text);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
} sizes[] = {
	{ 0, "0 bytes" },	{ 1023, "1023 bytes" },		{ 1536, "1.5 KiB" },
	{ 64 << 20, "64 MiB" }, { UINT64_MAX, "16777216 TiB" },
};

START_TEST(sizes_are_powers_of_1024)
{
	char text[TEXT_SIZE];

	bytes_text(text, sizeof(text), sizes[_i].bytes);
	ck_assert_str_eq(text, sizes[_i].text);
}
END_TEST

static char temperature[] = "temperature", celsius[] = "°C", count[] = "count", none[] = "";

START_TEST(values_are_told_with_names_and_units)
{
	struct device_channel channels[] = {
		{ .name = temperature, .unit = celsius, .number = 21.37 },
		{ .name = count, .unit = none, .number = 7 },
		{ .name = temperature, .unit = celsius, .number = (double)NAN },
	};
	struct device device = { .channels = channels, .channel_count = 3, .state = -1 };
	char text[TEXT_SIZE];

	values_text(text, sizeof(text), &device);
	ck_assert_str_eq(text, "temperature 21.37 °C, count 7, temperature -");
	device.channels = &channels[2];
	device.channel_count = 1;
	values_text(text, sizeof(text), &device);
	ck_assert_str_eq(text, "-");
	device.channel_count = 0;
	values_text(text, sizeof(text), &device);
	ck_assert_str_eq(text, "-");
	device.state = 0;
	values_text(text, sizeof(text), &device);
	ck_assert_str_eq(text, "off");
	device.state = 1;
	values_text(text, sizeof(text), &device);
	ck_assert_str_eq(text, "on");
}
END_TEST

START_TEST(values_that_have_no_room_end_in_dots)
{
	struct device_channel channels[] = {
		{ .name = temperature, .unit = celsius, .number = 21.37 },
		{ .name = count, .unit = none, .number = 7 },
	};
	struct device device = { .channels = channels, .channel_count = 2, .state = -1 };
	char text[64];

	for (size_t size = sizeof("…"); size < sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		values_text(text, size, &device);
		ck_assert_uint_lt(strlen(text), size);
		if (size < sizeof("temperature 21.37 °C, count 7"))
			ck_assert_ptr_nonnull(strstr(text, "…"));
	}
	ck_assert_str_eq(text, "temperature 21.37 °C, count 7");
}
END_TEST

/* Return: what it printed; the caller frees it */
static char *printed(const struct table *table, int indent, bool color)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(table_print(table, file, indent, color), 0);
	ck_assert_int_eq(fclose(file), 0);
	return text;
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
	struct table table = { .columns = 3 };
	char *text;

	table_add(&table, COLOR_PLAIN, "a");
	table_add(&table, COLOR_PLAIN, "°C");
	table_add(&table, COLOR_PLAIN, "last");
	table_add(&table, COLOR_PLAIN, "long");
	table_add(&table, COLOR_PLAIN, "%");
	table_add(&table, COLOR_PLAIN, "");
	text = printed(&table, 2, false);
	ck_assert_str_eq(text, "  a     °C  last\n  long  %\n");
	free(text);
	table_free(&table);
}
END_TEST

START_TEST(a_column_without_words_is_not_there)
{
	struct table table = { .columns = 3 };
	char *text;

	table_add(&table, COLOR_PLAIN, "a");
	table_add(&table, COLOR_PLAIN, "");
	table_add(&table, COLOR_PLAIN, "c");
	text = printed(&table, 0, false);
	ck_assert_str_eq(text, "a  c\n");
	free(text);
	table_free(&table);
}
END_TEST

START_TEST(colours_are_there_only_when_asked_for)
{
	struct table table = { .columns = 1 };
	char *text;

	table_add(&table, COLOR_RED, "a");
	text = printed(&table, 0, true);
	ck_assert_str_eq(text, "\033[31ma\033[0m\n");
	free(text);
	text = printed(&table, 0, false);
	ck_assert_str_eq(text, "a\n");
	free(text);
	table_free(&table);
}
END_TEST

START_TEST(a_table_that_lost_a_cell_is_not_printed)
{
	struct table table = { .columns = 1, .is_short = true };

	ck_assert_int_eq(table_print(&table, stdout, 0, false), -ENOMEM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl-text");
	TCase *tests = tcase_create("text");

	tcase_add_loop_test(tests, a_terminal_is_given_no_control_characters, 0, COUNT(texts));
	tcase_add_loop_test(tests, width_is_columns_and_not_bytes, 0, COUNT(widths));
	tcase_add_loop_test(tests, numbers_are_as_short_as_they_can_be, 0, COUNT(numbers));
	tcase_add_loop_test(tests, ages_have_one_unit, 0, COUNT(ages));
	tcase_add_loop_test(tests, lapses_are_as_exact_as_one_reads, 0, COUNT(lapses));
	tcase_add_loop_test(tests, sizes_are_powers_of_1024, 0, COUNT(sizes));
	tcase_add_test(tests, values_are_told_with_names_and_units);
	tcase_add_test(tests, values_that_have_no_room_end_in_dots);
	tcase_add_test(tests, columns_are_as_wide_as_their_widest_cell);
	tcase_add_test(tests, a_column_without_words_is_not_there);
	tcase_add_test(tests, colours_are_there_only_when_asked_for);
	tcase_add_test(tests, a_table_that_lost_a_cell_is_not_printed);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
