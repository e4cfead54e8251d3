/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the log says of a broker that is away, and of one that throws us out again and again. */
#include <stdarg.h>
#include <stdio.h>

#include "fixture.h"
#include "iotd/clock.h"
#include "iotd/log.h"
#include "mqtt/outage.h"

#define URL "mqtt://b:1883"

static struct outage outage;
static int64_t now_us;
static char last[512];
static unsigned int lines;

/* in place of the log */
void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	va_list arguments;

	(void)fields;
	if (level > LOG_INFO)
		return;
	lines++;
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, the line above */
	(void)vsnprintf(last, sizeof(last), format, arguments);
	va_end(arguments);
}

static void setup(void)
{
	outage = (struct outage){ .under_way = false };
	now_us = 1000 * USEC_PER_SEC;
	lines = 0;
	last[0] = '\0';
}

static void assert_said(unsigned int count, const char *words)
{
	ck_assert_uint_eq(lines, count);
	ck_assert_msg(strstr(last, words), "\"%s\" is not in: %s", words, last);
}

static bool fail_after(int64_t us, const char *why)
{
	now_us += us;
	return outage_failed(&outage, now_us, URL, why);
}

/* connect, and be thrown out after @us */
static void flap(int64_t us, const char *why)
{
	outage_connected(&outage, now_us, URL);
	now_us += us;
	outage_lost(&outage, now_us, now_us - us, URL, why);
}

static void hold(void)
{
	outage_connected(&outage, now_us, URL);
	now_us += OUTAGE_HELD_US;
	outage_held(&outage, now_us, URL);
}

START_TEST(a_good_start_is_one_line)
{
	hold();
	assert_said(1, "connected to " URL);
}
END_TEST

START_TEST(the_first_failure_and_the_recovery_are_told)
{
	ck_assert(fail_after(0, "connection refused"));
	assert_said(1, "cannot connect to " URL ": connection refused");
	for (int i = 0; i < 100; i++)
		ck_assert(!fail_after(USEC_PER_SEC, "connection refused"));
	ck_assert_uint_eq(lines, 1);
	hold();
	assert_said(2, "after 100 s and 102 tries");
}
END_TEST

START_TEST(another_reason_is_told_once_a_minute)
{
	(void)fail_after(0, "connection refused");
	for (int i = 0; i < 59; i++)
		(void)fail_after(USEC_PER_SEC, i % 2 ? "not authorized" : "banned");
	ck_assert_uint_eq(lines, 1);
	(void)fail_after(USEC_PER_SEC, "banned");
	assert_said(2, "still cannot connect to " URL ": banned");
	(void)fail_after(60 * USEC_PER_SEC, "banned");
	ck_assert_uint_eq(lines, 2);
}
END_TEST

START_TEST(a_loss_is_told_with_how_long_it_was_up)
{
	hold();
	now_us += 50 * USEC_PER_SEC;
	outage_lost(&outage, now_us, now_us - 60 * USEC_PER_SEC, URL, "gone");
	assert_said(2, "lost the connection to " URL " after 60 s: gone");
	now_us += USEC_PER_SEC;
	hold();
	assert_said(3, "after 1000 ms and 1 tries");
}
END_TEST

START_TEST(connections_that_do_not_last_are_told_once)
{
	for (int i = 0; i < 1000; i++)
		flap(USEC_PER_MSEC, "session taken over");
	assert_said(4, "do not last: lost after 1 ms: session taken over");
	hold();
	assert_said(5, "holds again, after 10 s, 0 tries and 999 losses");
	flap(20 * USEC_PER_SEC, "gone"); /* a new one */
	assert_said(7, "lost the connection to " URL " after 20 s: gone");
}
END_TEST

START_TEST(failures_between_short_connections_are_not_told)
{
	for (int i = 0; i < 1000; i++) {
		(void)fail_after(USEC_PER_MSEC, "connection refused");
		flap(USEC_PER_MSEC, "gone");
	}
	assert_said(3, "do not last");
	hold();
	assert_said(4, "1000 tries and 1000 losses");
}
END_TEST

START_TEST(another_reason_for_losses_is_told_once_a_minute)
{
	flap(0, "gone");
	flap(0, "gone");
	assert_said(4, "do not last: lost after 0 ms: gone");
	now_us += 61 * USEC_PER_SEC;
	flap(0, "taken over");
	assert_said(5, "still do not last: lost after 0 ms: taken over");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("outage");
	TCase *tests = tcase_create("outage");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, a_good_start_is_one_line);
	tcase_add_test(tests, the_first_failure_and_the_recovery_are_told);
	tcase_add_test(tests, another_reason_is_told_once_a_minute);
	tcase_add_test(tests, a_loss_is_told_with_how_long_it_was_up);
	tcase_add_test(tests, connections_that_do_not_last_are_told_once);
	tcase_add_test(tests, failures_between_short_connections_are_not_told);
	tcase_add_test(tests, another_reason_for_losses_is_told_once_a_minute);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
