/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a task costs, beside asyncio's of the same shape (loops/peer_asyncio.py):
 *
 *	bench-tasks tasks 1 AMOUNT         spawn one that ends at once, and await it
 *	bench-tasks gather COUNT AMOUNT    gather COUNT of them, AMOUNT in all
 *
 * Prints a line of JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iotd/task.h"

static struct reactor *reactor;
static struct task **children, *gathered;
static size_t count;
static long left;

static void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "bench-tasks: %s failed\n", what);
	exit(1);
}

static double clock_ns(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int step_nothing(struct task *task, int result)
{
	(void)task;
	return result;
}

static void spawn_children(void)
{
	for (size_t i = 0; i < count; i++)
		must(task_spawn(&children[i], reactor, step_nothing, NULL, NULL) == 0,
		     "task_spawn");
}

static void release_children(void)
{
	for (size_t i = 0; i < count; i++)
		children[i] = task_release(children[i]);
}

static int step_tasks(struct task *task, int result)
{
	(void)result;
	release_children();
	if (left <= 0)
		return 0;
	left--;
	spawn_children();
	return task_await(task, task_future(children[0]), step_tasks);
}

static int step_gather(struct task *task, int result)
{
	(void)result;
	gathered = task_release(gathered);
	release_children();
	if (left < (long)count)
		return 0;
	left -= (long)count;
	spawn_children();
	must(task_gather(&gathered, reactor, children, count) == 0, "task_gather");
	return task_await(task, task_future(gathered), step_gather);
}

int main(int argc, char **argv)
{
	double cpu_ns, wall_ns;
	struct task *root;
	bool gathers;
	long amount;

	must(argc == 4, "usage: tasks|gather COUNT AMOUNT:");
	gathers = strcmp(argv[1], "gather") == 0;
	count = strtoul(argv[2], NULL, 10);
	left = amount = strtol(argv[3], NULL, 10);
	children = calloc(count, sizeof(struct task *));
	must(children && reactor_new(&reactor) == 0, "reactor_new");
	must(task_spawn(&root, reactor, gathers ? step_gather : step_tasks, NULL, NULL) == 0,
	     "task_spawn");
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	wall_ns = clock_ns(CLOCK_MONOTONIC);
	must(reactor_run(reactor, root) == 0, "reactor_run");
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
	printf("{\"peer\":\"iotd\",\"workload\":\"%s\",\"count\":%zu,\"events\":%ld,"
	       "\"cpu_ns\":%.2f,\"wall_ns\":%.2f}\n",
	       argv[1], count, amount, cpu_ns / (double)amount, wall_ns / (double)amount);
	root = task_release(root);
	reactor_free(reactor);
	free(children);
	return 0;
}
