/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory pressure, by a FIFO: the kernel's own files need a host that is short of memory. */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "reactor-fixture.h"

#include "iotd/clock.h"
#include "iotd/service.h"

static char folder[] = "/tmp/iotd-test-pressure-XXXXXX";
static char path[64];
static struct pressure *pressure;
static int relieved;

static void relieve(void)
{
	relieved++;
}

static void set_up(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/memory.pressure", folder);
	ck_assert_int_eq(setenv("MEMORY_PRESSURE_WATCH", path, 1), 0);
	ck_assert_int_eq(unsetenv("MEMORY_PRESSURE_WRITE"), 0);
	ck_assert_int_eq(reactor_new(&reactor), 0);
	relieved = 0;
}

static void tear_down(void)
{
	pressure = pressure_free(pressure);
	reactor = reactor_free(reactor);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void press(void)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "pressed", 7), 7);
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(each_pressure_is_relieved_once)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(pressure_new(&pressure, reactor, relieve), 0);
	ck_assert_ptr_nonnull(pressure);
	run_for(20 * USEC_PER_MSEC);
	ck_assert_int_eq(relieved, 0);
	for (int i = 1; i <= 3; i++) {
		press();
		run_until(relieved >= i);
		run_for(20 * USEC_PER_MSEC);
		ck_assert_int_eq(relieved, i);
	}
}
END_TEST

START_TEST(the_kernel_is_told_what_pressure_is)
{
	char text[64] = "";
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setenv("MEMORY_PRESSURE_WRITE", "c29tZSAyMDAwMDAgMjAwMDAwMAA=", 1), 0);
	ck_assert_int_eq(pressure_new(&pressure, reactor, relieve), 0);
	ck_assert_ptr_null(pressure); /* a plain file has no urgent data */
	ck_assert_int_eq(read(fd, text, sizeof(text)), 20);
	ck_assert_str_eq(text, "some 200000 2000000");
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static const char *const nothing[] = { NULL, "/dev/null", "/nonexistent/memory.pressure",
				       "/dev/zero" };

START_TEST(what_cannot_be_watched_is_no_failure)
{
	if (nothing[_i])
		ck_assert_int_eq(setenv("MEMORY_PRESSURE_WATCH", nothing[_i], 1), 0);
	else
		ck_assert_int_eq(unsetenv("MEMORY_PRESSURE_WATCH"), 0);
	ck_assert_int_eq(pressure_new(&pressure, reactor, relieve), 0);
	ck_assert_ptr_null(pressure);
	ck_assert_ptr_null(pressure_free(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pressure");
	TCase *cases = tcase_create("pressure");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, each_pressure_is_relieved_once);
	tcase_add_test(cases, the_kernel_is_told_what_pressure_is);
	tcase_add_loop_test(cases, what_cannot_be_watched_is_no_failure, 0, ARRAY_SIZE(nothing));
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
