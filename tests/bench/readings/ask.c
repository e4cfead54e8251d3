/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a command takes to its reply: bench-ask PORT COUNT
 *
 * Publishes {"command":"ping","id":N} on bench/command, one after the other with 1 to 5 ms between, and
 * waits for the reply with that id on bench/reply. Prints a line of JSON.
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long count, asked, answered;
static int64_t asked_us;
static int32_t *trips;
static int is_ready;

static void must(int is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "bench-ask: %s failed\n", what);
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void on_connect(struct mosquitto *mosquitto, void *data, int rc)
{
	(void)data;
	must(rc == 0, "connecting");
	(void)mosquitto_subscribe(mosquitto, NULL, "bench/reply", 1);
}

static void on_subscribe(struct mosquitto *mosquitto, void *data, int mid, int granted_count,
			 const int *granted)
{
	(void)mosquitto;
	(void)data;
	(void)mid;
	must(granted_count == 1 && granted[0] < 0x80, "subscribing");
	is_ready = 1;
}

static void on_message(struct mosquitto *mosquitto, void *data,
		       const struct mosquitto_message *message)
{
	char id[32];

	(void)mosquitto;
	(void)data;
	(void)snprintf(id, sizeof(id), "\"id\":%ld", asked);
	if (answered == asked ||
	    !memmem(message->payload, (size_t)message->payloadlen, id, strlen(id)))
		return;
	trips[answered++] = (int32_t)(now_us() - asked_us);
}

static void ask(struct mosquitto *mosquitto)
{
	struct timespec pause = { .tv_nsec = (1 + asked * 7919 % 5) * 1000000 };
	char text[64];
	int length;

	(void)nanosleep(&pause, NULL);
	length = snprintf(text, sizeof(text), "{\"command\":\"ping\",\"id\":%ld}", ++asked);
	asked_us = now_us();
	must(mosquitto_publish(mosquitto, NULL, "bench/command", length, text, 1, false) ==
		     MOSQ_ERR_SUCCESS,
	     "publishing");
}

static int compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct mosquitto *mosquitto;

	must(argc == 3, "usage: PORT COUNT:");
	count = strtol(argv[2], NULL, 10);
	trips = calloc((size_t)count, sizeof(*trips));
	mosquitto_lib_init();
	mosquitto = mosquitto_new(NULL, true, NULL);
	must(trips && mosquitto, "memory");
	(void)mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_connect_callback_set(mosquitto, on_connect);
	mosquitto_subscribe_callback_set(mosquitto, on_subscribe);
	mosquitto_message_callback_set(mosquitto, on_message);
	must(mosquitto_connect(mosquitto, "127.0.0.1", atoi(argv[1]), 60) == MOSQ_ERR_SUCCESS,
	     "connecting");
	while (answered < count) {
		if (is_ready && answered == asked)
			ask(mosquitto);
		must(mosquitto_loop(mosquitto, 1000, 1) == MOSQ_ERR_SUCCESS, "the connection");
	}
	qsort(trips, (size_t)count, sizeof(*trips), compare);
	printf("{\"events\":%ld,\"trip_p50_us\":%d,\"trip_p99_us\":%d,\"trip_max_us\":%d}\n", count,
	       trips[count / 2], trips[count * 99 / 100], trips[count - 1]);
}
