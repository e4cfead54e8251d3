/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Edges on a line of gpio-sim, faster than a shell makes them. PULL is its file in sysfs.
 *
 *   gpio-edges burst PULL COUNT HZ   COUNT edges at that pace; says which pace it was
 *   gpio-edges answers PULL COUNT    an edge, then a line on standard input, COUNT times; says how
 *                                    long the lines took to come. Begins when who writes them does
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 10000
#define COLD	  10 /* edges that do not count: everything is cold */
#define COLD_MS	  500

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "gpio-edges: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* up and down in turn; the line has to be down before */
static void edge(int pull, long number)
{
	const char *word = number % 2 == 0 ? "pull-up" : "pull-down";

	if (pwrite(pull, word, strlen(word), 0) < 0)
		die("pull");
}

/* by the clock and not by sleeping; what comes too late is caught up with */
static void burst(int pull, long count, long hz)
{
	int64_t start_ns = now_ns(), took_ns;

	for (long i = 0; i < count; i++) {
		while (now_ns() - start_ns < i * 1000000000 / hz)
			;
		edge(pull, i);
	}
	took_ns = now_ns() - start_ns;
	printf("%ld edges in %.1f ms: %.1f kHz\n", count, (double)took_ns / 1e6,
	       (double)count * 1e6 / (double)took_ns);
}

static int later(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

/* until a whole line has come, which is at most one: the next edge waits for it. False: none came */
static bool await_line(int limit_ms)
{
	struct pollfd ready = { .fd = STDIN_FILENO, .events = POLLIN };
	char text[512];
	ssize_t length;

	do {
		if (poll(&ready, 1, limit_ms) <= 0)
			return false;
		length = read(STDIN_FILENO, text, sizeof(text));
		if (length <= 0)
			die("standard input");
	} while (text[length - 1] != '\n');
	return true;
}

static void answers(int pull, long count)
{
	int64_t *took_ns = calloc((size_t)count, sizeof(*took_ns));
	long number = 0;
	int64_t start_ns;

	if (!took_ns)
		die("memory");
	for (int answered = 0; answered < COLD && number < 100 * COLD;) {
		edge(pull, number++);
		answered += await_line(COLD_MS);
	}
	while (await_line(COLD_MS)) /* what came late */
		;
	for (long i = 0; i < count; i++) {
		start_ns = now_ns();
		edge(pull, number++);
		if (!await_line(ANSWER_MS)) {
			errno = ETIMEDOUT;
			die("no line for an edge");
		}
		took_ns[i] = now_ns() - start_ns;
	}
	if (await_line(COLD_MS)) {
		errno = EPROTO;
		die("more lines than edges");
	}
	qsort(took_ns, (size_t)count, sizeof(*took_ns), later);
	printf("%ld edges: median %.3f ms, p99 %.3f ms, most %.3f ms\n", count,
	       (double)took_ns[count / 2] / 1e6, (double)took_ns[count * 99 / 100] / 1e6,
	       (double)took_ns[count - 1] / 1e6);
	free(took_ns);
}

int main(int argc, char **argv)
{
	int pull = argc > 2 ? open(argv[2], O_WRONLY | O_CLOEXEC) : -1;

	if (argc > 2 && pull < 0)
		die(argv[2]);
	if (argc == 5 && strcmp(argv[1], "burst") == 0)
		burst(pull, atol(argv[3]), atol(argv[4]));
	else if (argc == 4 && strcmp(argv[1], "answers") == 0)
		answers(pull, atol(argv[3]));
	else
		return 64;
	return 0;
}
