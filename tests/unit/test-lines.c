/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lines that systemd cannot be given: what the log says. log_event() is replaced. */

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fixture.h"
#include "reactor-fixture.h"

#include "daemon/lines.h"
#include "iotd/clock.h"
#include "iotd/log.h"

#define MAY_MOVE " may move when iotd is restarted: systemd cannot be given its line: "

static struct worker_key *key;
static struct lines *lines;
static struct line_store *store;
static int listener;
static char logs[512], name[NAME_LENGTH + 1]; /* of the output: IOTD_NAME= */
static int error;			      /* ERRNO= */

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	va_list arguments;

	ck_assert_int_eq(level, LOG_WARNING);
	ck_assert_str_eq(logs, ""); /* one line */
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, the line above */
	(void)vsnprintf(logs, sizeof(logs), format, arguments);
	va_end(arguments);
	ck_assert_ptr_nonnull(fields);
	(void)snprintf(name, sizeof(name), "%s", fields->name);
	error = fields->error;
}

static void set_up(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[64];

	(void)snprintf(path, sizeof(path), "@iotd-test-lines-%d", getpid());
	memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
			 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
	ck_assert_int_eq(unsetenv("LISTEN_FDS"), 0);
	ck_assert_int_eq(setenv("FDSTORE", "2", 1), 0);
	ck_assert_int_eq(reactor_new(&reactor), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 2), 0);
	ck_assert_int_eq(worker_key_new(&key, workers, 0), 0);
	ck_assert_int_eq(lines_new(&lines, reactor, key), 0);
	store = lines_store(lines);
	logs[0] = '\0';
}

static int nothing(struct worker_job *job)
{
	(void)job;
	return 0;
}

static void tear_down(void)
{
	struct worker_job last = { .run = nothing };

	ck_assert_int_eq(worker_run(key, &last),
			 0); /* what was put has been told when it is back */
	run_until(worker_job_is_idle(&last));
	ck_assert_int_eq(workers_free(workers, 20 * USEC_PER_SEC), 0);
	lines = lines_free(lines);
	key = worker_key_free(key);
	reactor = reactor_free(reactor);
	(void)close(listener);
}

static void put(const char *output, int fd)
{
	const struct gpio_line line = { .fd = fd, .place = "gpiochip0.22.active-high.as-is" };

	store->put(store, output, &line);
}

START_TEST(a_line_that_cannot_be_given_away)
{
	put("pump", -1);
	ck_assert_str_eq(logs, "output pump" MAY_MOVE "Bad file descriptor");
	ck_assert_str_eq(name, "pump");
	ck_assert_int_eq(error, -EBADF);
}
END_TEST

START_TEST(lines_that_are_more_than_systemd_keeps)
{
	put("pump", listener); /* and where its times are remembered: that makes two */
	ck_assert_str_eq(logs, "");
	put("valve", listener);
	ck_assert_str_eq(logs, "output valve" MAY_MOVE
			       "FileDescriptorStoreMax= of its unit is too small");
	ck_assert_str_eq(name, "valve");
	ck_assert_int_eq(error, -ENOSPC);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lines");
	TCase *cases = tcase_create("lines");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, a_line_that_cannot_be_given_away);
	tcase_add_test(cases, lines_that_are_more_than_systemd_keeps);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
