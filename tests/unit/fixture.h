/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the main() of every test program needs. */

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* whether each test has a process of its own; not so under valgrind, with CK_FORK=no */
static inline bool tests_fork(void)
{
	const char *fork = getenv("CK_FORK");

	return !fork || strcmp(fork, "no") != 0;
}

/* runs it and frees it; what main() returns */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
