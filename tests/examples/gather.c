/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two countdowns side by side, and a word when both are done:
 *
 *	async def main():
 *		await asyncio.gather(countdown("A", 4), countdown("B", 3))
 *		print("Everything done!")
 *
 * If one of them failed, the gather would cancel the other and end with the first error.
 */
#include <stdlib.h>

#include "countdown.h"

static int run(struct reactor *reactor)
{
	struct countdown a = { "A", 4 }, b = { "B", 3 };
	cleanup(task_releasep) struct task *task_a = NULL;
	cleanup(task_releasep) struct task *task_b = NULL;
	cleanup(task_releasep) struct task *both = NULL;
	int r;

	r = task_spawn(&task_a, reactor, countdown_step, &a, NULL);
	if (r >= 0)
		r = task_spawn(&task_b, reactor, countdown_step, &b, NULL);
	if (r >= 0)
		r = task_gather(&both, reactor, (struct task *[]){ task_a, task_b }, 2);
	if (r >= 0)
		r = reactor_run(reactor, both);
	if (r >= 0)
		puts("Everything done!");
	return r;
}

int main(int argc, char **argv)
{
	cleanup(reactor_freep) struct reactor *reactor = NULL;
	int r = example_reactor(&reactor, argc, argv);

	if (r >= 0)
		r = run(reactor);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
