/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Chips that come and go, as files in a folder of the test's own. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fixture.h"

#include "iotd/bus.h"

static char folder[32], node[64], other[64];
static int watch = -1;

static void set_up(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/iotd-test-watch-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(node, sizeof(node), "%s/gpiochip7", folder);
	(void)snprintf(other, sizeof(other), "%s/loop7", folder);
	watch = gpio_watch_open(folder);
	ck_assert_int_ge(watch, 0);
}

static void tear_down(void)
{
	closep(&watch);
	(void)unlink(node);
	(void)unlink(other);
	(void)rmdir(folder);
}

static void make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	closep(&fd);
}

/* something waits, and this is what it is about */
static void assert_read(int expected)
{
	struct pollfd ready = { .fd = watch, .events = POLLIN };

	ck_assert_int_eq(poll(&ready, 1, 0), 1);
	ck_assert_int_eq(gpio_watch_read(watch), expected);
	ck_assert_int_eq(poll(&ready, 1, 0), 0);
}

START_TEST(a_chip_that_comes_is_given_away_and_goes)
{
	make(node);
	assert_read(1);
	ck_assert_int_eq(chmod(node, 0660), 0); /* udev */
	assert_read(1);
	ck_assert_int_eq(unlink(node), 0);
	assert_read(1);
}
END_TEST

START_TEST(others_are_not_its_business)
{
	make(other);
	ck_assert_int_eq(chmod(other, 0660), 0);
	ck_assert_int_eq(unlink(other), 0);
	assert_read(0);
}
END_TEST

START_TEST(a_chip_among_others)
{
	make(other);
	make(node);
	ck_assert_int_eq(unlink(other), 0);
	assert_read(1);
}
END_TEST

START_TEST(a_look_changes_nothing)
{
	int fd;

	make(node);
	assert_read(1);
	fd = open(node, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	closep(&fd);
	ck_assert_int_eq(gpio_watch_read(watch), 0);
}
END_TEST

START_TEST(what_cannot_be_watched)
{
	ck_assert_int_eq(gpio_watch_open("/nowhere"), -ENOENT);
	make(other);
	ck_assert_int_eq(gpio_watch_open(other), -ENOTDIR);
	ck_assert_int_eq(gpio_watch_read(-1), -EBADF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gpio-watch");
	TCase *cases = tcase_create("watch");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, a_chip_that_comes_is_given_away_and_goes);
	tcase_add_test(cases, others_are_not_its_business);
	tcase_add_test(cases, a_chip_among_others);
	tcase_add_test(cases, a_look_changes_nothing);
	tcase_add_test(cases, what_cannot_be_watched);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
