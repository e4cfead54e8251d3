/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written first: a thread for each sensor, and the library's own for the connection. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

static struct client client;

static void *__attribute__((noreturn)) thread_main(void *argument)
{
	size_t i = (size_t)((struct client_file *)argument - client.files);
	int64_t due_us = client_now_us();

	for (;;) {
		struct timespec due = { due_us / 1000000, due_us % 1000000 * 1000 };

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		client_read(&client, i);
		due_us += client.interval_us;
	}
}

int main(int argc, char **argv)
{
	pthread_attr_t attributes;
	pthread_t thread;

	client_begin(&client, argc, argv);
	client_must(mosquitto_loop_start(client.mosquitto) == MOSQ_ERR_SUCCESS,
		    "mosquitto_loop_start");
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, 65536);
	for (size_t i = 0; i < client.count; i++)
		client_must(pthread_create(&thread, &attributes, thread_main, &client.files[i]) ==
				    0,
			    "pthread_create");
	for (;;)
		(void)pause();
}
