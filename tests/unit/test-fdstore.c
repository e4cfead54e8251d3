/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Descriptors that systemd keeps, on a socket of its kind: what came with a message is looked at and
 * closed.
 */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "reactor-fixture.h"

#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/service.h"

#define SECOND	 USEC_PER_SEC
#define MSEC	 USEC_PER_MSEC
#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

static char folder[] = "/tmp/iotd-test-fdstore-XXXXXX";
static struct sockaddr_un address;
static int listener;
static struct worker_key *key;
static struct fdstore *store;
static char heard
	[4096];	   /* all messages, '|' behind each, '+' before those that came with a descriptor */
static ino_t came; /* the last descriptor's */
static char logs[512];

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	size_t length = strlen(logs);
	va_list arguments;

	ck_assert_int_eq(level, LOG_WARNING);
	ck_assert_int_lt(fields->error, 0);
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, the line above */
	(void)vsnprintf(logs + length, sizeof(logs) - length, format, arguments);
	va_end(arguments);
}

static void set_up(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", folder);
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
	ck_assert_int_eq(unsetenv("LISTEN_FDS"), 0);
	ck_assert_int_eq(unsetenv("FDSTORE"), 0);
	ck_assert_int_eq(reactor_new(&reactor), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 2), 0);
	heard[0] = logs[0] = '\0';
}

static void tear_down(void)
{
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	store = fdstore_free(store);
	key = worker_key_free(key);
	reactor = reactor_free(reactor);
	(void)close(listener);
	(void)unlink(address.sun_path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void start(void)
{
	ck_assert_int_eq(worker_key_new(&key, workers, 0), 0);
	ck_assert_int_eq(fdstore_new(&store, key), 0);
}

static ino_t inode(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

/* one message into @heard. Return: false if there is none */
static bool hear(void)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char text[1024];
	struct iovec part = { text, sizeof(text) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(listener, &message, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header;
	size_t length = strlen(heard);
	int fd = -1;

	if (size < 0)
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	if (fd >= 0)
		came = inode(fd);
	if (fd >= 0)
		heard[length++] = '+';
	ck_assert_uint_lt(length + (size_t)size + 2, sizeof(heard));
	memcpy(heard + length, text, (size_t)size);
	length += (size_t)size;
	heard[length++] = '|';
	heard[length] = '\0';
	closep(&fd);
	return true;
}

static void assert_heard(const char *expected)
{
	int64_t until_us = clock_monotonic_us() + 20 * SECOND;

	do {
		run_for(MSEC);
		while (hear())
			;
	} while (strlen(heard) < strlen(expected) && clock_monotonic_us() < until_us);
	run_for(10 * MSEC);
	while (hear())
		;
	ck_assert_str_eq(heard, expected);
	heard[0] = '\0';
}

static bool is_any(const void *data, const char *name)
{
	return !data || strcmp(data, name) == 0;
}

START_TEST(what_is_put_is_sent_with_its_name)
{
	int ends[2];

	start();
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(fdstore_put(store, "pump@gpiochip0.22", ends[0]), 0);
	assert_heard("+FDSTORE=1\nFDNAME=pump@gpiochip0.22\nFDPOLL=0|");
	ck_assert_uint_eq(came, inode(ends[0])); /* and ours is still open */
	(void)close(ends[0]);
	(void)close(ends[1]);
}
END_TEST

START_TEST(what_is_asked_for_is_told_in_its_order)
{
	start();
	ck_assert_int_eq(fdstore_put(store, "a", listener), 0);
	fdstore_remove(store, "a");
	ck_assert_int_eq(fdstore_put(store, "b", listener), 0);
	assert_heard("+FDSTORE=1\nFDNAME=a\nFDPOLL=0|FDSTOREREMOVE=1\nFDNAME=a|"
		     "+FDSTORE=1\nFDNAME=b\nFDPOLL=0|");
}
END_TEST

static int nothing(struct worker_job *job)
{
	(void)job;
	return 0;
}

/* while nobody is at the socket; it was tried when this returns */
static void lose(const char *put, const char *removed)
{
	struct worker_job last = { .run = nothing };
	char aside[sizeof(address.sun_path) + 8];

	(void)snprintf(aside, sizeof(aside), "%s.aside", address.sun_path);
	ck_assert_int_eq(rename(address.sun_path, aside), 0);
	if (put)
		ck_assert_int_eq(fdstore_put(store, put, listener), 0);
	if (removed)
		fdstore_remove(store, removed);
	ck_assert_int_eq(worker_run(key, &last), 0);
	run_until(worker_job_is_idle(&last));
	ck_assert_int_eq(rename(aside, address.sun_path), 0);
}

#define LOST_PUT                                                                                   \
	"systemd could not be told to keep a@1: No such file or directory; outputs may move when " \
	"iotd is restarted"

static const struct {
	const char *put, *removed, *logs;
} losses[] = {
	{ "a@1", NULL, LOST_PUT },
	{ "a@1", "b@2", LOST_PUT }, /* the first of them */
	{ NULL, "b@2",
	  "systemd could not be told to let go of b@2: No such file or directory; it stays in use "
	  "until iotd is restarted" },
};

START_TEST(what_does_not_arrive_is_logged_once)
{
	start();
	for (int i = 0; i < 2; i++) {
		lose(losses[_i].put, losses[_i].removed);
		ck_assert_str_eq(logs, losses[_i].logs);
		ck_assert_int_eq(fdstore_put(store, "c", listener), 0);
		assert_heard("+FDSTORE=1\nFDNAME=c\nFDPOLL=0|");
		ck_assert_str_eq(logs, losses[_i].logs);
		logs[0] = '\0'; /* the next time it is news */
	}
}
END_TEST

START_TEST(what_systemd_will_not_keep_is_told_to_the_caller)
{
	ck_assert_int_eq(setenv("FDSTORE", "2", 1), 0);
	start();
	ck_assert_int_eq(fdstore_put(store, "a", listener), 0);
	ck_assert_int_eq(fdstore_put(store, "b", listener), 0);
	ck_assert_int_eq(fdstore_put(store, "c", listener), -ENOSPC);
	fdstore_remove(store, "c");
	fdstore_remove(store, "a");
	ck_assert_int_eq(fdstore_put(store, "d", listener), 0);
	assert_heard("+FDSTORE=1\nFDNAME=a\nFDPOLL=0|+FDSTORE=1\nFDNAME=b\nFDPOLL=0|"
		     "+FDSTORE=1\nFDNAME=c\nFDPOLL=0|FDSTOREREMOVE=1\nFDNAME=c|"
		     "FDSTOREREMOVE=1\nFDNAME=a|+FDSTORE=1\nFDNAME=d\nFDPOLL=0|");
}
END_TEST

START_TEST(without_a_service_manager_nothing_is_kept)
{
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	start();
	ck_assert_int_eq(fdstore_put(store, "a", listener), 0);
	fdstore_remove(store, "a");
	assert_heard("");
}
END_TEST

/* --- what comes from an earlier run ----------------------------------------------------------- */

#define HANDED_OVER 3

/* in a child of its own: the numbers from FIRST_FD on are in use here. Its exit code is the line that failed */
#define child_assert(condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(__LINE__ % 250 + 1);                                                 \
	} while (0)

/* as systemd does before exec() */
static void hand_over(const char *names)
{
	char pid[32];

	child_assert(workers_free(workers, 0) == 0);
	reactor_free(reactor);
	for (int i = 0; i < HANDED_OVER; i++)
		child_assert(dup2(STDIN_FILENO, FIRST_FD + i) == FIRST_FD + i);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	child_assert(setenv("LISTEN_PID", pid, 1) == 0);
	child_assert(setenv("LISTEN_FDS", "3", 1) == 0);
	child_assert(setenv("LISTEN_FDNAMES", names, 1) == 0);
	child_assert(reactor_new(&reactor) == 0);
	child_assert(workers_new(&workers, reactor, "work", 2) == 0);
	child_assert(worker_key_new(&key, workers, 0) == 0);
	child_assert(fdstore_new(&store, key) == 0);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static _Noreturn void take_in_child(void)
{
	char name[FDSTORE_NAME_SIZE], valve[] = "valve@2", none[] = "none";

	hand_over("pump@1:valve@2:stored");
	child_assert(!getenv("LISTEN_FDS")); /* not for what we may start */
	child_assert(fdstore_take(store, is_any, none, name) == -1);
	child_assert(fdstore_take(store, is_any, valve, name) == FIRST_FD + 1);
	child_assert(strcmp(name, "valve@2") == 0);
	child_assert(fcntl(FIRST_FD + 1, F_GETFD) == FD_CLOEXEC);
	child_assert(fdstore_take(store, is_any, valve, name) == -1);
	child_assert(is_open(FIRST_FD) && is_open(FIRST_FD + 2));
	child_assert(workers_free(workers, 20 * SECOND) == 0);
	store = fdstore_free(store);
	worker_key_free(key);
	child_assert(!is_open(FIRST_FD) && is_open(FIRST_FD + 1) && !is_open(FIRST_FD + 2));
	reactor_free(reactor);
	_exit(0);
}

static _Noreturn void fill_in_child(void)
{
	child_assert(setenv("FDSTORE", "4", 1) == 0);
	hand_over("pump@1:valve@2:stored");
	child_assert(fdstore_put(store, "lamp@3", STDIN_FILENO) == 0);
	child_assert(fdstore_put(store, "door@4", STDIN_FILENO) == -ENOSPC);
	fdstore_remove(store, "door@4");
	fdstore_remove(store, "stored");
	child_assert(fdstore_put(store, "door@4", STDIN_FILENO) == 0);
	child_assert(workers_free(workers, 20 * SECOND) == 0);
	store = fdstore_free(store);
	worker_key_free(key);
	reactor_free(reactor);
	_exit(0);
}

static void assert_child(void (*run)(void))
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0)
		run();
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "line %d, modulo 250",
		      WEXITSTATUS(status) - 1);
}

START_TEST(what_was_kept_is_found_by_its_name)
{
	assert_child(take_in_child);
}
END_TEST

START_TEST(what_was_kept_counts)
{
	assert_child(fill_in_child);
}
END_TEST

START_TEST(free_takes_null)
{
	ck_assert_ptr_null(fdstore_free(NULL));
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("fdstore");
	TCase *cases = tcase_create("fdstore");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, what_is_put_is_sent_with_its_name);
	tcase_add_test(cases, what_is_asked_for_is_told_in_its_order);
	tcase_add_loop_test(cases, what_does_not_arrive_is_logged_once, 0, (int)ARRAY_SIZE(losses));
	tcase_add_test(cases, what_systemd_will_not_keep_is_told_to_the_caller);
	tcase_add_test(cases, without_a_service_manager_nothing_is_kept);
	tcase_add_test(cases, what_was_kept_is_found_by_its_name);
	tcase_add_test(cases, what_was_kept_counts);
	tcase_add_test(cases, free_takes_null);
	suite_add_tcase(suite, cases);
	return suite;
}

int main(void)
{
	return suite_run(suite());
}
