/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the hand-written clients share, so that they differ only in how they wait: their arguments, and a
 * message as iotd has it. All are called
 *
 *	CLIENT PORT FOLDER COUNT INTERVAL_MS QOS
 *
 * and read the number in FOLDER/s0 to FOLDER/s(COUNT - 1) every INTERVAL_MS, and publish each on
 * bench/sensor/sN, until they are killed.
 */
#include <mosquitto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAYLOAD_SIZE 192

struct client {
	int port, qos;
	const char *folder;
	size_t count;
	int64_t interval_us;
	struct mosquitto *mosquitto;
	struct client_file {
		int fd;
		char topic[64];
	} * files;
};

/* client_begin() - arguments, files, a connection (MQTT 5, NODELAY); ends the program if something is missing */
void client_begin(struct client *client, int argc, char **argv);

/* client_read() - reads file @i and publishes it */
void client_read(const struct client *client, size_t i);

void client_must(bool is_true, const char *what);
int64_t client_now_us(void); /* CLOCK_MONOTONIC */
