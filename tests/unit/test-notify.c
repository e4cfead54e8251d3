/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What systemd hears, on a socket of its kind: a datagram a message, a queue that fills up. */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fixture.h"
#include "reactor-fixture.h"
#include "suspend.h"

#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/service.h"
#include "service/socket.h"

#define SECOND USEC_PER_SEC
#define MSEC   USEC_PER_MSEC

static char folder[] = "/tmp/iotd-test-notify-XXXXXX";
static struct sockaddr_un address;
static int fd;
static struct notify *notify;
static bool is_healthy;
static int asked, logged;
static char heard[4096]; /* all messages, '|' behind each */

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	(void)level;
	(void)fields;
	(void)format;
	logged++;
}

static bool healthy(void *data)
{
	ck_assert_ptr_eq(data, &is_healthy);
	asked++;
	return is_healthy;
}

static void set_up_parts(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", folder);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
	ck_assert_int_eq(unsetenv("WATCHDOG_USEC"), 0);
	ck_assert_int_eq(unsetenv("WATCHDOG_PID"), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 2), 0);
	is_healthy = true;
	asked = logged = 0;
}

static void set_up(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	set_up_parts();
}

/* where time goes on only when all is said: nothing is ever late */
static void set_up_virtual(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
	set_up_parts();
}

static void tear_down(void)
{
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	notify = notify_free(notify);
	reactor = reactor_free(reactor);
	(void)close(fd);
	(void)unlink(address.sun_path);
	ck_assert_int_eq(rmdir(folder), 0);
	atomic_store(&slept_us, 0); /* all tests may share one process (CK_FORK=no) */
}

static void start(const char *watchdog_us)
{
	if (watchdog_us)
		ck_assert_int_eq(setenv("WATCHDOG_USEC", watchdog_us, 1), 0);
	ck_assert_int_eq(notify_new(&notify, workers, reactor, healthy, &is_healthy), 0);
}

/* appends what came to the first @length bytes of @heard. Return: how many messages */
static int hear_after(size_t length)
{
	ssize_t size;
	int count = 0;

	while ((size = recv(fd, heard + length, sizeof(heard) - length - 2, 0)) > 0) {
		length += (size_t)size;
		heard[length++] = '|';
		count++;
	}
	heard[length] = '\0';
	return count;
}

/* how many messages came; they are in @heard */
static int hear(void)
{
	return hear_after(0);
}

/* until there are so many */
static void await_messages(int count)
{
	heard[0] = '\0';
	run_until((count -= hear_after(strlen(heard))) <= 0);
}

static void assert_heard(const char *expected)
{
	heard[0] = '\0';
	if (expected[0])
		run_until(hear_after(strlen(heard)) > 0 && strlen(heard) >= strlen(expected));
	else
		run_for(50 * MSEC);
	(void)hear_after(strlen(heard));
	ck_assert_str_eq(heard, expected);
}

static int count_words(const char *word)
{
	int count = 0;

	for (const char *at = heard; (at = strstr(at, word)); at += strlen(word))
		count++;
	return count;
}

START_TEST(a_reload_is_told_from_its_begin_to_its_end)
{
	int64_t before_us = clock_monotonic_us();
	char *end;

	start(NULL);
	notify_reloading(notify); /* before READY=1 there is nothing to reload */
	notify_reloaded(notify);
	assert_heard("");
	notify_ready(notify);
	notify_reloading(notify);
	notify_reloading(notify);
	notify_reloaded(notify);
	await_messages(3);
	ck_assert_ptr_eq(strstr(heard, "READY=1\n|RELOADING=1\nMONOTONIC_USEC="), heard);
	end = strrchr(heard, '=');
	ck_assert_str_eq(end - strlen("READY"), "READY=1\n|");
	ck_assert_int_ge(strtoll(strstr(heard, "USEC=") + 5, NULL, 10), before_us);
}
END_TEST

START_TEST(ready_is_said_once)
{
	start(NULL);
	assert_heard("");
	notify_ready(notify);
	assert_heard("READY=1\n|");
	notify_ready(notify);
	assert_heard("");
}
END_TEST

START_TEST(a_status_is_one_line)
{
	char text[1000];

	start(NULL);
	notify_status(notify,
		      "12 sensors, 1 offline; connected to mqtt://localhost:1883; 0 spooled");
	assert_heard(
		"STATUS=12 sensors, 1 offline; connected to mqtt://localhost:1883; 0 spooled\n|");
	notify_status(notify, "the broker says: no\nSTOPPING=1\n");
	assert_heard("STATUS=the broker says: no STOPPING=1 \n|");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	notify_status(notify, text); /* cut, and still whole */
	await_messages(1);
	ck_assert_int_eq(strncmp(heard, "STATUS=xxx", 10), 0);
	ck_assert_ptr_nonnull(strstr(heard, "xxx\n|"));
}
END_TEST

START_TEST(what_is_said_in_one_turn_is_one_or_two_messages_and_nothing_is_lost)
{
	start(NULL);
	notify_ready(notify);
	notify_status(notify, "one");
	notify_status(notify, "two");
	notify_stopping(notify);
	assert_heard("READY=1\n|STOPPING=1\nSTATUS=two\n|");
}
END_TEST

START_TEST(the_watchdog_is_fed_twice_in_its_time)
{
	start("200000");
	run_for(50 * MSEC);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(hear(), 1);
		ck_assert_str_eq(heard, "WATCHDOG=1\n|");
		run_for(100 * MSEC);
	}
	ck_assert_int_eq(logged, 0);
}
END_TEST

START_TEST(the_watchdog_goes_hungry_while_a_task_hangs)
{
	start("100000");
	run_for(60 * MSEC);
	ck_assert_int_eq(hear(), 2);
	is_healthy = false;
	run_for(300 * MSEC);
	ck_assert_int_eq(hear(), 0);
	ck_assert_int_eq(logged, 1);
	is_healthy = true;
	run_for(100 * MSEC);
	ck_assert_int_eq(hear(), 2);
	is_healthy = false;
	run_for(100 * MSEC);
	ck_assert_int_eq(hear(), 0);
	ck_assert_int_eq(logged, 2); /* each time when it begins */
}
END_TEST

/* the kernel's timers know nothing of this sleep, so nothing may wait for one: until it is told or logged */
static void sleep_on(int64_t duration_us)
{
	int64_t give_up_us = clock_monotonic_us() + 20 * SECOND;
	int before = logged;

	atomic_fetch_add(&slept_us, duration_us);
	while (hear() == 0 && logged == before) {
		ck_assert_int_lt(clock_monotonic_us(), give_up_us);
		run_turn();
	}
}

START_TEST(tasks_that_are_late_because_all_was_stopped_are_not_blamed)
{
	start("20000000");
	await_messages(1);
	is_healthy = false;
	sleep_on(3600 * SECOND);
	ck_assert_str_eq(heard, "WATCHDOG=1\n|");
	ck_assert_int_eq(logged, 0);
	sleep_on(11 * SECOND); /* as long as it may take, and a bit */
	ck_assert_str_eq(heard, "");
	ck_assert_int_eq(logged, 1);
}
END_TEST

START_TEST(without_a_watchdog_nobody_is_asked)
{
	start(NULL);
	run_for(200 * MSEC);
	ck_assert_int_eq(asked, 0);
	ck_assert_int_eq(hear(), 0);
}
END_TEST

START_TEST(without_systemd_all_of_it_does_nothing)
{
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	start(NULL);
	notify_ready(notify);
	notify_status(notify, "nobody listens");
	notify_stopping(notify);
	assert_heard("");
}
END_TEST

START_TEST(a_watchdog_of_another_process_is_not_fed)
{
	ck_assert_int_eq(setenv("WATCHDOG_PID", "1", 1), 0);
	start("100000");
	run_for(200 * MSEC);
	ck_assert_int_eq(asked, 0);
}
END_TEST

/* so that the next message has to wait: the queue takes about ten, if a sender may send so much */
static void fill_queue(void)
{
	for (int sender = 0; sender < 8; sender++) {
		struct notify_socket to;

		notify_socket_open(&to);
		for (int i = 0; i < 1000; i++)
			notify_socket_send(&to, "X=1", MSG_DONTWAIT);
		ck_assert_int_eq(close(to.fd), 0);
	}
}

START_TEST(a_deaf_systemd_does_not_hold_up_the_reactor)
{
	int slow = 0;

	fill_queue();
	start("20000");
	for (int i = 0; i < 100; i++) {
		int64_t begun_us = reactor_now(reactor);
		char text[16];

		(void)snprintf(text, sizeof(text), "%d", i);
		notify_status(notify, text);
		run_for(5 * MSEC);
		slow += reactor_now(reactor) - begun_us > 300 * MSEC;
	}
	notify_ready(notify);
	ck_assert_int_lt(slow, 50); /* now and then it is the machine */
	is_healthy = false;
	(void)hear();
	ck_assert_int_le(count_words("STATUS="), 1);
	ck_assert_ptr_null(strstr(heard, "READY=1"));
	run_until(hear() > 0 && strstr(heard, "READY=1")); /* joined to what was held back */
	ck_assert_ptr_nonnull(strstr(heard, "STATUS=99\n"));
}
END_TEST

START_TEST(a_systemd_that_is_gone_is_no_error)
{
	(void)unlink(address.sun_path);
	start("20000");
	notify_ready(notify);
	run_until(asked >= 5);
}
END_TEST

START_TEST(the_watchdog_is_fed_without_a_descriptor_to_be_had)
{
	struct rlimit before, none;
	int count = 0;

	start("100000");
	await_messages(2);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	run_until((count += hear()) >= 4);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_ptr_eq(strstr(heard, "WATCHDOG=1\n"), heard);
}
END_TEST

START_TEST(a_name_that_is_no_file)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char text[64];
	int length = snprintf(text, sizeof(text), "@iotd-test-notify-%d", (int)getpid());

	memcpy(name.sun_path + 1, text + 1, (size_t)length - 1);
	(void)close(fd);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&name,
			      (socklen_t)(sizeof(sa_family_t) + (size_t)length)),
			 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", text, 1), 0);
	start(NULL);
	notify_ready(notify);
	assert_heard("READY=1\n|");
}
END_TEST

START_TEST(a_slow_start_asks_for_more_time)
{
	struct starting *starting = starting_new("reading a\nfile");
	const char *at = heard;

	await_messages(2);
	starting_free(starting);
	(void)hear_after(strlen(heard)); /* if that was late */
	for (int i = 1; *at; i++) {
		char expected[128];

		(void)snprintf(expected, sizeof(expected),
			       "EXTEND_TIMEOUT_USEC=10000000\nSTATUS=reading a file, for %d s\n|",
			       i);
		ck_assert_int_eq(strncmp(at, expected, strlen(expected)), 0);
		at += strlen(expected);
	}
	run_for(1100 * MSEC);
	assert_heard("");
}
END_TEST

START_TEST(a_quick_start_says_nothing)
{
	ck_assert_ptr_null(starting_free(starting_new("reading")));
	assert_heard("");
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	ck_assert_ptr_null(starting_new("reading"));
	ck_assert_ptr_null(starting_free(NULL));
}
END_TEST

START_TEST(a_deaf_systemd_does_not_hold_up_the_start)
{
	struct starting *starting;

	fill_queue();
	starting = starting_new("reading");
	run_for(1100 * MSEC);
	starting_free(starting); /* would wait for ever: it is we who do not read */
	ck_assert_int_gt(hear(), 5);
	ck_assert_ptr_null(strstr(heard, "EXTEND"));
}
END_TEST

START_TEST(it_may_be_freed_with_something_to_say)
{
	start("20000");
	notify_ready(notify);
	if (_i == 1)
		run_for(50 * MSEC);
	notify_stopping(notify);
	ck_assert_ptr_null(notify_free(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notify");
	TCase *cases = tcase_create("notify"), *watchdog = tcase_create("watchdog");

	tcase_add_checked_fixture(watchdog, set_up_virtual, tear_down);
	tcase_add_test(watchdog, the_watchdog_is_fed_twice_in_its_time);
	tcase_add_test(watchdog, the_watchdog_goes_hungry_while_a_task_hangs);
	suite_add_tcase(suite, watchdog);
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_set_timeout(cases, 30);
	tcase_add_test(cases, ready_is_said_once);
	tcase_add_test(cases, a_reload_is_told_from_its_begin_to_its_end);
	tcase_add_test(cases, a_status_is_one_line);
	tcase_add_test(cases, what_is_said_in_one_turn_is_one_or_two_messages_and_nothing_is_lost);
	tcase_add_test(cases, tasks_that_are_late_because_all_was_stopped_are_not_blamed);
	tcase_add_test(cases, without_a_watchdog_nobody_is_asked);
	tcase_add_test(cases, without_systemd_all_of_it_does_nothing);
	tcase_add_test(cases, a_watchdog_of_another_process_is_not_fed);
	tcase_add_test(cases, a_deaf_systemd_does_not_hold_up_the_reactor);
	tcase_add_test(cases, a_systemd_that_is_gone_is_no_error);
	tcase_add_test(cases, the_watchdog_is_fed_without_a_descriptor_to_be_had);
	tcase_add_test(cases, a_name_that_is_no_file);
	tcase_add_test(cases, a_slow_start_asks_for_more_time);
	tcase_add_test(cases, a_quick_start_says_nothing);
	tcase_add_test(cases, a_deaf_systemd_does_not_hold_up_the_start);
	tcase_add_loop_test(cases, it_may_be_freed_with_something_to_say, 0, 2);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
