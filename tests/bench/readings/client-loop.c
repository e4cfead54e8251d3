/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The limit: one loop, all sensors due together, one segment for what they say (TCP_CORK). It reads in
 * the loop, so one file that hangs would stop it; what it cannot send is lost with it; and it answers a
 * command, so that round trips can be compared.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "client.h"

static struct client client;

static void cork(int on)
{
	(void)setsockopt(mosquitto_socket(client.mosquitto), IPPROTO_TCP, TCP_CORK, &on,
			 sizeof(on));
}

static void on_connect(struct mosquitto *mosquitto, void *data, int rc)
{
	(void)data;
	client_must(rc == 0, "the connection");
	(void)mosquitto_subscribe(mosquitto, NULL, "bench/command", 1);
}

static void on_message(struct mosquitto *mosquitto, void *data,
		       const struct mosquitto_message *message)
{
	(void)data;
	(void)mosquitto_publish(mosquitto, NULL, "bench/reply", message->payloadlen,
				message->payload, 1, false);
}

static void wait_until(int64_t due_us)
{
	int64_t left_us = due_us - client_now_us();
	struct timespec left = { left_us / 1000000, left_us % 1000000 * 1000 };
	struct pollfd socket = { .fd = mosquitto_socket(client.mosquitto), .events = POLLIN };

	if (mosquitto_want_write(client.mosquitto))
		socket.events |= POLLOUT;
	if (left_us < 0)
		left = (struct timespec){ 0 };
	client_must(ppoll(&socket, 1, &left, NULL) >= 0, "ppoll");
	if (socket.revents & POLLOUT)
		(void)mosquitto_loop_write(client.mosquitto, 1);
	if (socket.revents & POLLIN)
		client_must(mosquitto_loop_read(client.mosquitto, 1) == MOSQ_ERR_SUCCESS,
			    "reading");
}

int main(int argc, char **argv)
{
	int64_t due_us, misc_us;

	client_begin(&client, argc, argv);
	mosquitto_connect_callback_set(client.mosquitto, on_connect);
	mosquitto_message_callback_set(client.mosquitto, on_message);
	due_us = misc_us = client_now_us();
	for (;;) {
		wait_until(due_us);
		if (client_now_us() < due_us)
			continue;
		if (due_us >= misc_us) {
			(void)mosquitto_loop_misc(client.mosquitto);
			misc_us = due_us + 1000000;
		}
		cork(1);
		for (size_t i = 0; i < client.count; i++)
			client_read(&client, i);
		cork(0);
		due_us += client.interval_us;
	}
}
