/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the examples share: a countdown, one line a second, and the choice of the clock. */

#include <stdio.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/task.h"

struct countdown {
	const char *name;
	int left;
};

/*
 *	async def countdown(name, left):
 *		while left > 0:
 *			print(name, left)
 *			await asyncio.sleep(1)
 *			left -= 1
 *		print("done!")
 */
static inline int countdown_step(struct task *task, int result)
{
	struct countdown *countdown = task_data(task);

	if (result < 0)
		return result;
	if (countdown->left == 0) {
		puts("done!");
		return 0;
	}
	printf("%s %d\n", countdown->name, countdown->left--);
	return task_sleep(task, USEC_PER_SEC, countdown_step);
}

/* --virtual: time jumps to whatever is due next, and the example ends at once */
static inline int example_reactor(struct reactor **ret, int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--virtual") == 0)
		return reactor_new_virtual(ret, 0);
	return reactor_new(ret);
}
