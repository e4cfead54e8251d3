/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The file driver on real files in a folder of its own: what counts as a number, and what is no file. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "fixture.h"

#include "iotd/drivers.h"

#define SOMEBODY 65534

enum {
	PATH,
	CHANNEL,
	UNIT,
	FIELD,
	MATCH
};

static char folder[40], path[64], other[64];
static struct option_value options[5];
static struct source *source;

/* options are not const because the configuration owns them; nobody writes to these */
static char *unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void set_up_in(const char *where)
{
	(void)snprintf(folder, sizeof(folder), "%s/iotd-test-file-XXXXXX", where);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/value", folder);
	(void)snprintf(other, sizeof(other), "%s/other", folder);
	memset(options, 0, sizeof(options));
	options[PATH].string = path;
	options[CHANNEL].string = unconst("value");
	options[UNIT].string = unconst("");
	options[FIELD].integer = 1;
}

static void set_up(void)
{
	set_up_in("/tmp");
}

static void set_up_in_memory(void)
{
	set_up_in("/dev/shm");
}

static void tear_down(void)
{
	source = source_free(source);
	(void)unlink(path);
	(void)rmdir(path);
	(void)unlink(other);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void put(const char *name, const char *text, size_t length)
{
	cleanup(closep) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, length), (ssize_t)length);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

/* one round of the driver; *@ret_value only on success */
static int read_value(double *ret_value)
{
	double values[CHANNELS_MAX] = { 0 };
	int64_t wait_us = 0;
	int r;

	if (!source)
		ck_assert_int_eq(source_new(&source, driver_find("file"), options, NULL), 0);
	r = source_open(source);
	if (r == 0)
		r = source_read_promptly(source, values);
	if (r == -EAGAIN) { /* on a worker, then */
		ck_assert_int_eq(source_start(source, &wait_us), 0);
		r = source->driver->collect(source, values, &wait_us);
	}
	if (r < 0)
		source_close(source);
	else
		*ret_value = values[0];
	return r;
}

static void assert_reads(double expected)
{
	double value = (double)NAN;

	ck_assert_int_eq(read_value(&value), 0);
	ck_assert_double_eq(value, expected);
}

static void assert_fails(int error, const char *words)
{
	double value = (double)NAN;

	ck_assert_int_eq(read_value(&value), error);
	ck_assert_msg(strstr(source->fault, words), "\"%s\" has no \"%s\"", source->fault, words);
	ck_assert_msg(strncmp(source->fault, path, strlen(path)) == 0, "\"%s\" names no path",
		      source->fault);
}

static const struct {
	const char *text;
	double value;
} numbers[] = {
	{ "42", 42 },
	{ "42\n", 42 },
	{ "  \n\t 42\r\n", 42 },
	{ "-7", -7 },
	{ "+7", 7 },
	{ "21.375\n", 21.375 },
	{ ".5", .5 },
	{ "5.", 5 },
	{ "1e3", 1000 },
	{ "-1.5E-2", -0.015 },
	{ "007", 7 },
	{ "12345 kB\n", 12345 },
	{ "0.52 0.58 0.59 1/389 12345\n", 0.52 },
	{ "9007199254740991", 9007199254740991.0 },
	{ "1e-400", 0 },
};

START_TEST(numbers_are_read)
{
	put_text(path, numbers[_i].text);
	assert_reads(numbers[_i].value);
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *words;
} no_numbers[] = {
	{ "", -ENODATA, "is empty" },
	{ " \n\t\n", -ENODATA, "is empty" },
	{ "nan\n", -EBADMSG, "\"nan\" is no number" },
	{ "inf", -EBADMSG, "\"inf\" is no number" },
	{ "-Infinity", -EBADMSG, "no number" },
	{ "0x1f", -EBADMSG, "\"0x1f\" is no number" },
	{ "12abc", -EBADMSG, "\"12abc\" is no number" },
	{ "1,5", -EBADMSG, "\"1,5\" is no number" },
	{ "1.2.3", -EBADMSG, "no number" },
	{ "--1", -EBADMSG, "no number" },
	{ "e5", -EBADMSG, "no number" },
	{ ".", -EBADMSG, "no number" },
	{ "1e", -EBADMSG, "no number" },
	{ "on", -EBADMSG, "\"on\" is no number" },
	{ "\033[2J7", -EBADMSG, "\"?[2J7\" is no number" },
	{ "1e999", -ERANGE, "1e999 is too large" },
	{ "1111111111111111111111111111111111111111111111111111111111111111111111", -EBADMSG,
	  "no number" },
};

START_TEST(what_is_no_number_is_refused)
{
	put_text(path, no_numbers[_i].text);
	assert_fails(no_numbers[_i].error, no_numbers[_i].words);
}
END_TEST

START_TEST(a_nul_byte_ends_no_number)
{
	put(path, "12\0003\n", 5);
	assert_fails(-EBADMSG, "no number");
}
END_TEST

static const char meminfo[] = "MemTotal:       16316412 kB\nMemFree:         1234567 kB\n"
			      "MemAvailable:    9876543 kB\n  eth0: 11 22 33\ncpu  1 2 3 4";

static const struct {
	const char *match;
	int64_t field;
	double value;
	int error;
	const char *words;
} picks[] = {
	{ "MemAvailable:", 1, 9876543, 0, NULL },
	{ "Mem", 2, 16316412, 0, NULL }, /* the first line that matches, words behind "Mem" */
	{ "MemFree:", 2, 0, -EBADMSG, "\"kB\" is no number" },
	{ "eth0:", 3, 33, 0, NULL },
	{ "cpu ", 4, 4, 0, NULL },
	{ "cpu ", 5, 0, -EBADMSG, "has no word 5" },
	{ "MemTotal:", 3, 0, -EBADMSG, "has no word 3" },
	{ "SwapFree:", 1, 0, -EBADMSG, "no line begins with \"SwapFree:\"" },
	{ NULL, 2, 16316412, 0, NULL },
	{ NULL, 5, 1234567, 0, NULL },
	{ NULL, 100, 0, -EBADMSG, "has no word 100" },
};

START_TEST(field_and_match_pick_a_word)
{
	put_text(path, meminfo);
	options[FIELD].integer = picks[_i].field;
	options[MATCH].string = unconst(picks[_i].match);
	if (picks[_i].error)
		assert_fails(picks[_i].error, picks[_i].words);
	else
		assert_reads(picks[_i].value);
}
END_TEST

START_TEST(a_long_match_is_repeated_up_to_a_whole_character)
{
	put_text(path, meminfo);
	options[MATCH].string = unconst("123456789 123456789 123456789 12345678 ää");
	assert_fails(-EBADMSG, "begins with \"123456789 123456789 123456789 12345678 \"");
}
END_TEST

/* @piece without its NUL over a part of @text */
static void lay(char *text, const char *piece)
{
	while (*piece)
		*text++ = *piece++;
}

START_TEST(only_the_first_4_kib_count)
{
	char text[5000];

	memset(text, ' ', sizeof(text));
	lay(text + 4092, "1234");
	put(path, text, sizeof(text)); /* ends at the limit: it might go on */
	assert_fails(-EBADMSG, "first 4096 bytes");

	memset(text, ' ', sizeof(text));
	lay(text + 4090, "123456789");
	put(path, text, sizeof(text));
	assert_fails(-EBADMSG, "first 4096 bytes");

	lay(text, "17 ");
	put(path, text, sizeof(text));
	assert_reads(17);
}
END_TEST

START_TEST(a_huge_file_costs_nothing)
{
	put_text(path, "5 ");
	ck_assert_int_eq(truncate(path, 1LL << 30), 0);
	assert_reads(5);
}
END_TEST

START_TEST(a_file_that_is_rewritten_is_read_anew)
{
	put_text(path, "1");
	assert_reads(1);
	put_text(path, "22");
	assert_reads(22);
}
END_TEST

START_TEST(a_file_that_is_replaced_is_read_anew)
{
	put_text(path, "1");
	assert_reads(1);
	put_text(other, "2");
	ck_assert_int_eq(rename(other, path), 0);
	assert_reads(2);
	ck_assert(source->is_open);
}
END_TEST

/* whatever way a path leads elsewhere, the next reading knows */
START_TEST(of_two_that_read_a_file_each_knows_that_it_was_replaced)
{
	struct source *first;

	put_text(path, "1");
	assert_reads(1);
	first = take_ptr(source);
	assert_reads(1);
	put_text(other, "2");
	ck_assert_int_eq(rename(other, path), 0);
	assert_reads(2);
	source = source_free(source);
	source = first;
	assert_reads(2);
}
END_TEST

START_TEST(a_folder_that_is_replaced_is_read_anew)
{
	char inside[96], away[96];

	ck_assert_int_eq(mkdir(other, 0700), 0);
	(void)snprintf(inside, sizeof(inside), "%s/value", other);
	(void)snprintf(away, sizeof(away), "%s-away", other);
	put_text(inside, "1");
	options[PATH].string = inside;
	assert_reads(1);
	assert_reads(1);
	ck_assert_int_eq(rename(other, away), 0);
	ck_assert_int_eq(mkdir(other, 0700), 0);
	put_text(inside, "2");
	assert_reads(2);
	ck_assert_int_eq(unlink(inside), 0);
	ck_assert_int_eq(rename(away, other), 0);
	assert_reads(1);
	ck_assert_int_eq(unlink(inside), 0);
	ck_assert_int_eq(rmdir(other), 0);
}
END_TEST

START_TEST(a_link_that_is_turned_is_read_anew)
{
	char turned[96];

	(void)snprintf(turned, sizeof(turned), "%s-link", other);
	put_text(path, "1");
	put_text(other, "2");
	ck_assert_int_eq(symlink(path, turned), 0);
	options[PATH].string = turned;
	assert_reads(1);
	assert_reads(1);
	ck_assert_int_eq(unlink(turned), 0);
	ck_assert_int_eq(symlink(other, turned), 0);
	assert_reads(2);
	ck_assert_int_eq(unlink(turned), 0);
}
END_TEST

START_TEST(a_file_that_is_gone_comes_back)
{
	put_text(path, "1");
	assert_reads(1);
	ck_assert_int_eq(unlink(path), 0);
	assert_fails(-ENOENT, "No such file or directory");
	assert_fails(-ENOENT, "No such file or directory");
	put_text(path, "3");
	assert_reads(3);
}
END_TEST

START_TEST(a_file_that_becomes_a_fifo_is_refused)
{
	put_text(path, "1");
	assert_reads(1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_fails(-EINVAL, "is no regular file"); /* and does not hang */
}
END_TEST

START_TEST(a_folder_and_a_device_are_refused)
{
	ck_assert_int_eq(mkdir(path, 0700), 0);
	assert_fails(-EISDIR, "Is a directory");
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(symlink("/dev/zero", path), 0);
	assert_fails(-EINVAL, "is no regular file");
}
END_TEST

START_TEST(a_file_that_may_not_be_read)
{
	if (geteuid() == 0)
		return; /* root may */
	put_text(path, "1");
	ck_assert_int_eq(chmod(path, 0), 0);
	assert_fails(-EACCES, "Permission denied");
}
END_TEST

START_TEST(reading_leaves_the_time_of_access)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat status;

	put_text(path, "1");
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_reads(1);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(status.st_atim.tv_sec, 1000);
}
END_TEST

START_TEST(a_file_of_somebody_else_is_read)
{
	if (geteuid() != 0)
		return; /* only root can be somebody else */
	put_text(path, "1");
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(seteuid(SOMEBODY), 0);
	assert_reads(1);
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* a broker that is to be connected to must find one when thousands of files have been opened */
START_TEST(the_last_descriptors_are_left_to_others)
{
	struct rlimit before, few;
	double value;

	put_text(path, "1");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 34; /* 32 are kept, 0 to 2 are in use */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_fails(-EMFILE, "Too many open files");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(read_value(&value), 0);
}
END_TEST

START_TEST(procfs_is_readable)
{
	double value = (double)NAN;

	options[PATH].string = unconst("/proc/meminfo");
	options[MATCH].string = unconst("MemTotal:");
	ck_assert_int_eq(read_value(&value), 0);
	ck_assert_double_gt(value, 1000);
}
END_TEST

START_TEST(numbers_do_not_depend_on_the_locale)
{
	static const char *const commas[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C.UTF-8" };

	for (size_t i = 0; i < ARRAY_SIZE(commas) && !setlocale(LC_NUMERIC, commas[i]); i++)
		;
	put_text(path, "2.5");
	assert_reads(2.5);
	(void)setlocale(LC_NUMERIC, "C");
}
END_TEST

START_TEST(the_channel_comes_from_the_options)
{
	options[CHANNEL].string = unconst("load");
	options[UNIT].string = unconst("µg/m³");
	ck_assert_int_eq(source_new(&source, driver_find("file"), options, NULL), 0);
	ck_assert_uint_eq(source->channel_count, 1);
	ck_assert_str_eq(source->channels[0].name, "load");
	ck_assert_str_eq(source->channels[0].unit, "µg/m³");
}
END_TEST

static const struct {
	const char *channel, *unit;
} bad_channels[] = { { "", "" }, { "a b", "" }, { "a/b", "" }, { "value", "0123456789abcdef" } };

START_TEST(a_bad_channel_makes_no_source)
{
	options[CHANNEL].string = unconst(bad_channels[_i].channel);
	options[UNIT].string = unconst(bad_channels[_i].unit);
	ck_assert_int_eq(source_new(&source, driver_find("file"), options, NULL), -EINVAL);
	ck_assert_ptr_null(source);
}
END_TEST

/* --- in memory ------------------------------------------------------------------------------ */

static int read_at_once(double *ret_value)
{
	double values[CHANNELS_MAX] = { 0 };
	int r = source_read_promptly(source, values);

	*ret_value = values[0];
	return r;
}

static void assert_reads_at_once(double expected)
{
	double value;

	ck_assert_int_eq(read_at_once(&value), 0);
	ck_assert_double_eq(value, expected);
}

static void assert_must_wait(void)
{
	double value;

	ck_assert_int_eq(read_at_once(&value), -EAGAIN);
}

static void begin_at_once(const char *text)
{
	put_text(path, text);
	assert_reads(strtod(text, NULL));
}

START_TEST(what_lies_in_memory_is_there_at_once)
{
	begin_at_once("1");
	for (int number = 2; number < 10; number++) {
		char text[8];

		(void)snprintf(text, sizeof(text), "%d", number);
		put_text(path, text);
		assert_reads_at_once(number);
	}
}
END_TEST

START_TEST(what_was_replaced_is_a_workers_to_look_at)
{
	double value = 0;

	begin_at_once("1");
	put_text(other, "2");
	ck_assert_int_eq(rename(other, path), 0);
	assert_must_wait();
	assert_must_wait(); /* until it was looked at */
	ck_assert_int_eq(read_value(&value), 0);
	ck_assert_double_eq(value, 2);
	assert_reads(2);
	assert_reads_at_once(2);
}
END_TEST

START_TEST(what_is_gone_is_a_workers_to_look_at)
{
	begin_at_once("1");
	ck_assert_int_eq(unlink(path), 0);
	assert_must_wait();
	assert_fails(-ENOENT, "No such file or directory");
	put_text(path, "3");
	assert_reads(3);
}
END_TEST

START_TEST(what_is_no_number_is_known_at_once)
{
	double value;

	begin_at_once("1");
	put_text(path, "one");
	ck_assert_int_eq(read_at_once(&value), -EBADMSG);
	ck_assert(strstr(source->fault, "\"one\" is no number"));
	source_close(source);
	assert_must_wait();
	assert_fails(-EBADMSG, "\"one\" is no number");
}
END_TEST

/* its folders may lie anywhere, and a link be turned without a word */
START_TEST(behind_a_link_nothing_is_there_at_once)
{
	ck_assert_int_eq(symlink(path, other), 0);
	options[PATH].string = other;
	put_text(path, "1");
	assert_reads(1);
	assert_reads(1);
	assert_must_wait();
}
END_TEST

START_TEST(what_the_kernel_makes_up_is_never_there_at_once)
{
	double value;

	options[PATH].string = unconst("/proc/loadavg");
	ck_assert_int_eq(read_value(&value), 0);
	ck_assert_int_eq(read_value(&value), 0);
	assert_must_wait();
}
END_TEST

static void add_followed(TCase *tests)
{
	tcase_add_test(tests, a_file_that_is_rewritten_is_read_anew);
	tcase_add_test(tests, a_file_that_is_replaced_is_read_anew);
	tcase_add_test(tests, of_two_that_read_a_file_each_knows_that_it_was_replaced);
	tcase_add_test(tests, a_folder_that_is_replaced_is_read_anew);
	tcase_add_test(tests, a_link_that_is_turned_is_read_anew);
	tcase_add_test(tests, a_file_that_is_gone_comes_back);
	tcase_add_test(tests, a_file_that_becomes_a_fifo_is_refused);
}

static TCase *memory_cases(void)
{
	TCase *tests = tcase_create("memory");

	tcase_add_checked_fixture(tests, set_up_in_memory, tear_down);
	add_followed(tests);
	tcase_add_test(tests, what_lies_in_memory_is_there_at_once);
	tcase_add_test(tests, what_was_replaced_is_a_workers_to_look_at);
	tcase_add_test(tests, what_is_gone_is_a_workers_to_look_at);
	tcase_add_test(tests, what_is_no_number_is_known_at_once);
	tcase_add_test(tests, behind_a_link_nothing_is_there_at_once);
	tcase_add_test(tests, what_the_kernel_makes_up_is_never_there_at_once);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *tests = tcase_create("file");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, numbers_are_read, 0, (int)ARRAY_SIZE(numbers));
	tcase_add_loop_test(tests, what_is_no_number_is_refused, 0, (int)ARRAY_SIZE(no_numbers));
	tcase_add_test(tests, a_nul_byte_ends_no_number);
	tcase_add_loop_test(tests, field_and_match_pick_a_word, 0, (int)ARRAY_SIZE(picks));
	tcase_add_test(tests, a_long_match_is_repeated_up_to_a_whole_character);
	tcase_add_test(tests, only_the_first_4_kib_count);
	tcase_add_test(tests, a_huge_file_costs_nothing);
	add_followed(tests);
	tcase_add_test(tests, a_folder_and_a_device_are_refused);
	tcase_add_test(tests, a_file_that_may_not_be_read);
	tcase_add_test(tests, reading_leaves_the_time_of_access);
	tcase_add_test(tests, a_file_of_somebody_else_is_read);
	tcase_add_test(tests, the_last_descriptors_are_left_to_others);
	tcase_add_test(tests, procfs_is_readable);
	tcase_add_test(tests, numbers_do_not_depend_on_the_locale);
	tcase_add_test(tests, the_channel_comes_from_the_options);
	tcase_add_loop_test(tests, a_bad_channel_makes_no_source, 0, (int)ARRAY_SIZE(bad_channels));
	suite_add_tcase(suite, tests);
	suite_add_tcase(suite, memory_cases());
	return suite_run(suite);
}
