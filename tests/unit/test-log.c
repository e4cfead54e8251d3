/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log, read at the other end of a pipe that stands for stderr. sd_journal_sendv() is replaced
 * by one that keeps the fields, and a test of the journal needs a process of its own, since where
 * the log goes is decided once.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "fixture.h"

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/log.h"

#define STAMP "2026-11-22T13:15:00.123Z " /* as long as each line's */

static int reader = -1, true_stderr = -1;
static char text[1 << 20];

static char journal[4096];
static int journal_result;

int sd_journal_sendv(const struct iovec *fields, int count)
{
	size_t length = strlen(journal);

	for (int i = 0; i < count; i++) {
		ck_assert_uint_lt(length + fields[i].iov_len + 2, sizeof(journal));
		memcpy(journal + length, fields[i].iov_base, fields[i].iov_len);
		length += fields[i].iov_len;
		journal[length++] = '\n';
	}
	return journal_result;
}

static void setup(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	reader = ends[0];
	true_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	ck_assert_int_ge(true_stderr, 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(close(ends[1]), 0);
	log_set_level(LOG_INFO);
}

static void teardown(void)
{
	log_stop();
	ck_assert_int_eq(dup2(true_stderr, STDERR_FILENO), STDERR_FILENO);
	closep(&true_stderr);
	closep(&reader);
}

/* what is in the pipe now, without waiting; returns the number of lines in text[] */
static int read_lines(void)
{
	struct pollfd readable = { .fd = reader, .events = POLLIN };
	size_t length = 0;
	int lines = 0;

	while (poll(&readable, 1, 0) > 0) {
		ssize_t got = read(reader, text + length, sizeof(text) - 1 - length);

		ck_assert_int_gt(got, 0);
		length += (size_t)got;
	}
	text[length] = '\0';
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

/* until @lines have come altogether; more may be there */
static void await_lines(int lines)
{
	size_t length = 0;

	while (lines > 0) {
		ssize_t got = read(reader, text + length, sizeof(text) - 1 - length);

		ck_assert_int_gt(got, 0);
		for (ssize_t i = 0; i < got; i++)
			lines -= text[length + (size_t)i] == '\n';
		length += (size_t)got;
	}
	text[length] = '\0';
}

/* so that the next write to stderr blocks */
static void fill_pipe(void)
{
	static const char block[4096];
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(STDERR_FILENO, block, sizeof(block)) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, flags), 0);
}

static void empty_pipe(int lines)
{
	char block[4096];
	size_t left = 65536;

	while (left > 0) {
		ssize_t got = read(reader, block, left < sizeof(block) ? left : sizeof(block));

		ck_assert_int_gt(got, 0);
		left -= (size_t)got;
	}
	await_lines(lines);
}

/* --- lines ---------------------------------------------------------------------------------- */

START_TEST(line_has_time_level_and_text)
{
	char before[CLOCK_UTC_SIZE];

	clock_format_utc(before, clock_realtime_us());
	errno = ENOTTY;
	log_error("sensor \"%s\" is %d", "air", 42);
	ck_assert_int_eq(errno, ENOTTY);
	log_warning("b");
	log_notice("c");
	log_info("d");
	ck_assert_int_eq(read_lines(), 4);
	ck_assert_int_ge(strncmp(text, before, strlen(before)), 0);
	ck_assert_ptr_nonnull(strstr(text, "Z err: sensor \"air\" is 42\n"));
	ck_assert_ptr_nonnull(strstr(text, "Z warning: b\n"));
	ck_assert_ptr_nonnull(strstr(text, "Z notice: c\n"));
	ck_assert_ptr_nonnull(strstr(text, "Z info: d\n"));
}
END_TEST

START_TEST(level_filters)
{
	static const int levels[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

	if (_i % 2 == 1)
		ck_assert_int_eq(log_start(), 0);
	log_set_level(levels[_i / 2]);
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		log_event(levels[i], NULL, "x");
	log_stop();
	ck_assert_int_eq(read_lines(), _i / 2 + 1);
}
END_TEST

START_TEST(level_has_a_name)
{
	ck_assert_int_eq(log_level_from_name("debug"), LOG_DEBUG);
	ck_assert_int_eq(log_level_from_name("info"), LOG_INFO);
	ck_assert_int_eq(log_level_from_name("notice"), LOG_NOTICE);
	ck_assert_int_eq(log_level_from_name("warning"), LOG_WARNING);
	ck_assert_int_eq(log_level_from_name("err"), LOG_ERR);
	ck_assert_int_eq(log_level_from_name("error"), -EINVAL);
	ck_assert_int_eq(log_level_from_name("INFO"), -EINVAL);
	ck_assert_int_eq(log_level_from_name(""), -EINVAL);
}
END_TEST

START_TEST(message_is_one_line_whatever_it_holds)
{
	log_info("a\nb\tc\033[2Jd\x7f"
		 "e µg/m³ \x01.");
	ck_assert_int_eq(read_lines(), 1);
	ck_assert_str_eq(text + strlen(STAMP), "info: a?b?c?[2Jd?e µg/m³ ?.\n");
}
END_TEST

START_TEST(long_message_is_cut_between_characters)
{
	static const char *const characters[] = { "x", "µ", "℃", "😀" };
	char message[4000] = "";
	const char *character = characters[_i % 4], *body;
	size_t length = 0;

	while (length < 3000) {
		const char *next = length < (size_t)_i / 4 ? "." : character;

		while (*next)
			message[length++] = *next++;
	}
	log_info("%s", message);
	ck_assert_int_eq(read_lines(), 1);
	body = text + strlen(STAMP) + strlen("info: ");
	length = strlen(body) - 1;
	ck_assert_uint_ge(length, 1023 - strlen(character) - 1);
	ck_assert_uint_le(length, 1023);
	ck_assert_int_eq(strncmp(body, message, length), 0);
	ck_assert_uint_eq((length - (size_t)_i / 4) % strlen(character), 0);
}
END_TEST

/* --- the ring ------------------------------------------------------------------------------- */

START_TEST(thread_writes_all_lines_in_order)
{
	const char *at;
	char end[32];

	ck_assert_int_eq(log_start(), 0);
	for (int i = 0; i < 200; i++)
		log_info("line %d.", i);
	log_stop();
	log_info("line 200."); /* directly */
	ck_assert_int_eq(read_lines(), 201);
	at = text;
	for (int i = 0; i <= 200; i++) {
		(void)snprintf(end, sizeof(end), " line %d.\n", i);
		at = strstr(at, end);
		ck_assert_ptr_nonnull(at);
	}
	ck_assert_uint_eq(log_dropped(), 0);
	log_stop();			  /* not started: nothing */
	ck_assert_int_eq(log_start(), 0); /* and it may be started again */
	log_info("again");
	log_stop();
	ck_assert_int_eq(read_lines(), 1);
}
END_TEST

START_TEST(stuck_reader_blocks_nobody_and_losses_are_told)
{
	enum {
		COUNT = 1000
	};
	uint64_t dropped;
	char told[64];
	int64_t start_us, longest_us = 0, took_us;

	ck_assert_int_eq(log_start(), 0);
	fill_pipe();
	for (int i = 0; i < COUNT; i++) {
		start_us = clock_monotonic_us();
		log_info("line %d.", i);
		took_us = clock_monotonic_us() - start_us;
		longest_us = took_us > longest_us ? took_us : longest_us;
	}
	ck_assert_int_lt(longest_us, 5 * USEC_PER_SEC); /* it would wait for ever */
	dropped = log_dropped();
	ck_assert_uint_ge(dropped, COUNT - 256 - 2);
	ck_assert_uint_lt(dropped, COUNT);
	empty_pipe(COUNT - (int)dropped + 1);
	(void)snprintf(told, sizeof(told), "Z warning: log: %d messages dropped", (int)dropped);
	ck_assert_ptr_nonnull(strstr(text, told));
	ck_assert_ptr_nonnull(strstr(text, " line 0.\n"));
	log_info("after");
	await_lines(1);
	ck_assert_str_eq(text + strlen(STAMP), "info: after\n"); /* told once */
	ck_assert_uint_eq(log_dropped(), dropped);
}
END_TEST

START_TEST(stuck_reader_does_not_hold_the_end_up)
{
	int64_t start_us;

	ck_assert_int_eq(log_start(), 0);
	fill_pipe();
	log_info("stuck");
	start_us = clock_monotonic_us();
	log_stop();
	ck_assert_int_ge(clock_monotonic_us() - start_us, 500 * USEC_PER_MSEC);
	ck_assert_int_lt(clock_monotonic_us() - start_us, 5 * USEC_PER_SEC);
	for (int i = 0; i < 1000; i++)
		log_info("nobody hears this"); /* and nobody waits */
	empty_pipe(1);
}
END_TEST

enum {
	THREADS = 4,
	LINES = 500
};

static void *log_many(void *argument)
{
	for (int i = 0; i < LINES; i++)
		log_info("thread %s line %d end", (const char *)argument, i);
	return NULL;
}

static void *read_all(void *argument)
{
	(void)argument;
	await_lines(THREADS * LINES);
	return NULL;
}

START_TEST(lines_of_many_threads_stay_whole)
{
	static const char *const names[THREADS] = { "a", "b", "c", "d" };
	pthread_t threads[THREADS], reading;
	int next[THREADS] = { 0 }, count = 0;

	/* without the ring, so that none is dropped: the callers write */
	ck_assert_int_eq(pthread_create(&reading, NULL, read_all, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, log_many, (void *)(uintptr_t)names[i]),
			0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(pthread_join(reading, NULL), 0);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), count++) {
		const char *name = strstr(line, "info: thread ") + strlen("info: thread ");
		char *end;

		ck_assert_ptr_eq(name, line + strlen(STAMP "info: thread "));
		ck_assert_int_eq(strncmp(name + 1, " line ", 6), 0);
		ck_assert_int_eq(strtol(name + 7, &end, 10), next[*name - 'a']++);
		ck_assert_str_eq(end, " end");
	}
	ck_assert_int_eq(count, (intmax_t)THREADS * LINES);
}
END_TEST

/* a block may end within a line: what it ended with stays before the next one */
static void *read_to_the_end(void *argument)
{
	static const char end[] = "THE END\n";
	char block[sizeof(end) + 4096];
	bool *has_ended = argument;
	size_t kept = 0;

	while (!*has_ended) {
		ssize_t got = read(reader, block + kept, 4096);
		size_t length = kept + (size_t)got;

		ck_assert_int_gt(got, 0);
		block[length] = '\0';
		*has_ended = strstr(block, end);
		kept = length < sizeof(end) - 1 ? length : sizeof(end) - 1;
		memmove(block, block + length - kept, kept);
	}
	return NULL;
}

START_TEST(threads_log_while_the_log_stops)
{
	static char name[] = "x";
	pthread_t threads[THREADS], reading;
	bool has_ended = false;

	ck_assert_int_eq(log_start(), 0);
	ck_assert_int_eq(pthread_create(&reading, NULL, read_to_the_end, &has_ended), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_many, name), 0);
	log_stop();
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	log_info("THE END");
	ck_assert_int_eq(pthread_join(reading, NULL), 0);
}
END_TEST

START_TEST(no_thread_to_be_had_is_an_error)
{
	pthread_attr_t attributes;
	size_t size;

	ck_assert_int_eq(pthread_getattr_default_np(&attributes), 0);
	ck_assert_int_eq(pthread_attr_getstacksize(&attributes, &size), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attributes, (size_t)1 << 47), 0);
	ck_assert_int_eq(pthread_setattr_default_np(&attributes), 0);
	ck_assert_int_eq(log_start(), -EAGAIN);
	ck_assert_int_eq(pthread_attr_setstacksize(&attributes, size), 0);
	ck_assert_int_eq(pthread_setattr_default_np(&attributes), 0);
	log_info("still said");
	ck_assert_int_eq(read_lines(), 1);
}
END_TEST

/* --- the journal ---------------------------------------------------------------------------- */

static void set_journal_stream(int inode_offset)
{
	struct stat status;
	char stream[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
		       (uintmax_t)status.st_ino + (uintmax_t)inode_offset);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
}

START_TEST(journal_gets_the_fields)
{
	static const struct log_fields fields = { .message_id = "0123456789abcdef0123456789abcdef",
						  .name = "air",
						  .bus = "/dev/i2c-1",
						  .error = -EIO };

	set_journal_stream(0);
	if (_i == 1)
		ck_assert_int_eq(log_start(), 0);
	log_event(LOG_WARNING, &fields, "sensor is offline\n");
	log_info("plain");
	log_stop();
	ck_assert_int_eq(read_lines(), 0);
	ck_assert_str_eq(journal, "MESSAGE=sensor is offline?\nPRIORITY=4\nSYSLOG_IDENTIFIER=iotd\n"
				  "MESSAGE_ID=0123456789abcdef0123456789abcdef\nIOTD_NAME=air\n"
				  "IOTD_BUS=/dev/i2c-1\nERRNO=5\n"
				  "MESSAGE=plain\nPRIORITY=6\nSYSLOG_IDENTIFIER=iotd\n");
}
END_TEST

START_TEST(journal_that_fails_leaves_stderr)
{
	set_journal_stream(0);
	journal_result = -ENOENT;
	log_info("a");
	ck_assert_int_eq(read_lines(), 1);
}
END_TEST

START_TEST(stderr_that_is_not_the_journal_stays_stderr)
{
	static const char *const streams[] = { "", "1", "1:", "x:y", "8:1234" };

	if (_i == 0)
		set_journal_stream(1); /* inherited from a parent whose stderr it was */
	else
		ck_assert_int_eq(setenv("JOURNAL_STREAM", streams[_i - 1], 1), 0);
	log_info("a");
	ck_assert_int_eq(read_lines(), 1);
	ck_assert_str_eq(journal, "");
}
END_TEST

static TCase *line_cases(void)
{
	TCase *cases = tcase_create("lines");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, line_has_time_level_and_text);
	tcase_add_loop_test(cases, level_filters, 0, 10);
	tcase_add_test(cases, level_has_a_name);
	tcase_add_test(cases, message_is_one_line_whatever_it_holds);
	tcase_add_loop_test(cases, long_message_is_cut_between_characters, 0, 16);
	tcase_add_test(cases, thread_writes_all_lines_in_order);
	tcase_add_test(cases, stuck_reader_blocks_nobody_and_losses_are_told);
	tcase_add_test(cases, lines_of_many_threads_stay_whole);
	tcase_add_test(cases, threads_log_while_the_log_stops);
	tcase_add_test(cases, no_thread_to_be_had_is_an_error);
	return cases;
}

/* each needs a process of its own */
static TCase *own_cases(void)
{
	TCase *cases = tcase_create("processes of their own");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, journal_gets_the_fields, 0, 2);
	tcase_add_test(cases, journal_that_fails_leaves_stderr);
	tcase_add_loop_test(cases, stderr_that_is_not_the_journal_stays_stderr, 0, 6);
	tcase_add_test(cases, stuck_reader_does_not_hold_the_end_up);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("log");

	(void)unsetenv("JOURNAL_STREAM");
	suite_add_tcase(suite, line_cases());
	if (tests_fork())
		suite_add_tcase(suite, own_cases());
	return suite_run(suite);
}
