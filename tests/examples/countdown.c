/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One task that counts down, one line a second: asyncio.run(countdown("simple", 4)).
 *
 * The task is the function countdown_step() of countdown.h. It is called for the first time in the
 * reactor's first turn, and again each time that what it returned has come to pass: here, a second.
 */
#include <stdlib.h>

#include "countdown.h"

int main(int argc, char **argv)
{
	cleanup(reactor_freep) struct reactor *reactor = NULL;
	cleanup(task_releasep) struct task *task = NULL;
	struct countdown countdown = { .name = "simple", .left = 4 };
	int r;

	r = example_reactor(&reactor, argc, argv);
	if (r >= 0)
		r = task_spawn(&task, reactor, countdown_step, &countdown, NULL);
	if (r >= 0)
		r = reactor_run(reactor, task);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
