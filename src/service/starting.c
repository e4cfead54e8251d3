/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that sleeps until the start is over, and each second that it is not asks systemd for more time.
 *
 * Before there is a reactor the configuration is read, and that may take long: its file system is away
 * for a while, or it is a very long one on a slow board. TimeoutStartSec= would end iotd, and the
 * next one would get no further. It does not ask for ever: what has hung for minutes is better seen as
 * a failed unit than as one that starts.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iotd/service.h"
#include "socket.h"

#define ASK_EVERY_S 1
#define ASK_FOR_S   10
#define ASKS_MAX    300

struct starting {
	struct notify_socket socket;
	char *doing;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool is_over;
};

static void ask(const struct starting *starting, int asks)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "EXTEND_TIMEOUT_USEC=%d000000\nSTATUS=%.400s, for %d s\n", ASK_FOR_S,
		       starting->doing, asks * ASK_EVERY_S);
	notify_socket_send(&starting->socket, text, MSG_DONTWAIT);
}

static void *ask_thread(void *data)
{
	struct starting *starting = data;
	struct timespec due;

	(void)clock_gettime(CLOCK_MONOTONIC, &due);
	(void)pthread_mutex_lock(&starting->mutex);
	for (int asks = 1; asks <= ASKS_MAX && !starting->is_over; asks++) {
		int r = 0;

		due.tv_sec += ASK_EVERY_S;
		while (!starting->is_over && r != ETIMEDOUT)
			r = pthread_cond_timedwait(&starting->changed, &starting->mutex, &due);
		if (!starting->is_over)
			ask(starting, asks);
	}
	(void)pthread_mutex_unlock(&starting->mutex);
	return NULL;
}

static void starting_destroy(struct starting *starting)
{
	closep(&starting->socket.fd);
	(void)pthread_cond_destroy(&starting->changed);
	(void)pthread_mutex_destroy(&starting->mutex);
	free(starting->doing);
	free(starting);
}

struct starting *starting_new(const char *doing)
{
	struct starting *starting;
	pthread_condattr_t attributes;

	if (!getenv("NOTIFY_SOCKET"))
		return NULL;
	starting = calloc(1, sizeof(*starting));
	if (!starting)
		return NULL;
	notify_socket_open(&starting->socket);
	(void)pthread_mutex_init(&starting->mutex, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&starting->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	starting->doing = strdup(doing);
	for (char *c = starting->doing; c && *c; c++)
		if (*c == '\n') /* a further line would be a message of its own */
			*c = ' ';
	if (starting->doing && pthread_create(&starting->thread, NULL, ask_thread, starting) == 0)
		return starting;
	starting_destroy(starting);
	return NULL;
}

struct starting *starting_free(struct starting *starting)
{
	if (!starting)
		return NULL;
	(void)pthread_mutex_lock(&starting->mutex);
	starting->is_over = true;
	(void)pthread_cond_signal(&starting->changed);
	(void)pthread_mutex_unlock(&starting->mutex);
	(void)pthread_join(starting->thread, NULL);
	starting_destroy(starting);
	return NULL;
}
