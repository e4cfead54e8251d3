/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

void client_must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "client: %s failed\n", what);
	exit(1);
}

int64_t client_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void open_files(struct client *client)
{
	struct rlimit limit;
	char path[256];

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	client->files = calloc(client->count, sizeof(*client->files));
	client_must(client->files != NULL, "calloc");
	for (size_t i = 0; i < client->count; i++) {
		struct client_file *file = &client->files[i];

		(void)snprintf(path, sizeof(path), "%s/s%zu", client->folder, i);
		(void)snprintf(file->topic, sizeof(file->topic), "bench/sensor/s%zu", i);
		file->fd = open(path, O_RDONLY | O_CLOEXEC);
		client_must(file->fd >= 0, path);
	}
}

void client_begin(struct client *client, int argc, char **argv)
{
	int rc;

	client_must(argc == 6, "usage: PORT FOLDER COUNT INTERVAL_MS QOS:");
	*client = (struct client){
		.port = atoi(argv[1]),
		.folder = argv[2],
		.count = strtoul(argv[3], NULL, 10),
		.interval_us = strtoll(argv[4], NULL, 10) * 1000,
		.qos = atoi(argv[5]),
	};
	open_files(client);
	mosquitto_lib_init();
	client->mosquitto = mosquitto_new(NULL, true, client);
	client_must(client->mosquitto != NULL, "mosquitto_new");
	(void)mosquitto_int_option(client->mosquitto, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	(void)mosquitto_int_option(client->mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	rc = mosquitto_connect(client->mosquitto, "127.0.0.1", client->port, 60);
	client_must(rc == MOSQ_ERR_SUCCESS, mosquitto_strerror(rc));
}

/* {"time":"2026-11-23T01:02:03.456Z","value":20.5} */
static int format_payload(char payload[PAYLOAD_SIZE], double value)
{
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	return snprintf(payload, PAYLOAD_SIZE,
			"{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"value\":%.6g}",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, now.tv_nsec / 1000000, value);
}

void client_read(const struct client *client, size_t i)
{
	const struct client_file *file = &client->files[i];
	char text[64], payload[PAYLOAD_SIZE];
	ssize_t got = pread(file->fd, text, sizeof(text) - 1, 0);
	int length;

	client_must(got > 0, "pread");
	text[got] = '\0';
	length = format_payload(payload, strtod(text, NULL));
	(void)mosquitto_publish(client->mosquitto, NULL, file->topic, length, payload, client->qos,
				false);
}
