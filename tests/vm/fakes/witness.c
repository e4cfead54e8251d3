/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * witness FILE LOG FIRST: counts in FILE, and notes in LOG each number that a reader of FILE has surely
 * seen, with the time: "NUMBER MICROSECONDS". LOG is on a share of the host, so it is what the host
 * knows for certain of a machine whose power it cuts.
 *
 * That FILE was read tells inotify. A read that was under way when the number was written may have
 * returned the one before; so it takes two, one after the other, that are told after the writing.
 */

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 64

static void put(int fd, const char *line)
{
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		err(EXIT_FAILURE, "write");
}

/* in place: the reader keeps its descriptor */
static void put_number(int fd, unsigned long number)
{
	char line[LINE_SIZE];
	int length = snprintf(line, sizeof(line), "%010lu\n", number);

	if (pwrite(fd, line, (size_t)length, 0) != length)
		err(EXIT_FAILURE, "pwrite");
}

/* as many as wait, at least one if it @waits */
static size_t take_events(int notify, int waits)
{
	char buffer[sizeof(struct inotify_event) + NAME_MAX + 1];
	struct pollfd poll_fd = { .fd = notify, .events = POLLIN };
	size_t count = 0;

	while (poll(&poll_fd, 1, waits && count == 0 ? -1 : 0) > 0) {
		if (read(notify, buffer, sizeof(buffer)) < 0)
			err(EXIT_FAILURE, "inotify");
		count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	char line[LINE_SIZE];
	struct timespec now;
	int file, log, notify;

	if (argc != 4)
		errx(EXIT_FAILURE, "usage: witness FILE LOG FIRST");
	file = open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	notify = inotify_init1(IN_CLOEXEC);
	if (file < 0 || log < 0 || notify < 0 || inotify_add_watch(notify, argv[1], IN_ACCESS) < 0)
		err(EXIT_FAILURE, "%s, %s", argv[1], argv[2]);
	for (unsigned long number = strtoul(argv[3], NULL, 10);; number++) {
		put_number(file, number);
		(void)take_events(notify, 0);
		/* equal events that wait are one: so each is taken when it comes */
		(void)take_events(notify, 1);
		(void)take_events(notify, 1);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		(void)snprintf(line, sizeof(line), "%lu %lld\n", number,
			       (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
		put(log, line);
	}
}
