/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a format costs: from a reading with three channels to a message, and its end:
 *
 *	bench-formats FORMAT READINGS
 *
 * Each reading has other numbers and another time. Prints a line of JSON: CPU ns a reading, bytes of its payload.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iotd/message.h"

static const struct channel channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
	{ "pressure", "hPa", 2 },
};
static const struct message_origin origin = { .topic = "iotd/greenhouse-1/sensor/air",
					      .device = "greenhouse-1" };
static const struct {
	const char *name;
	enum message_format format;
} formats[] = {
	{ "json", FORMAT_JSON }, { "value", FORMAT_VALUE },   { "senml", FORMAT_SENML },
	{ "cbor", FORMAT_CBOR }, { "influx", FORMAT_INFLUX }, { "sparkplug", FORMAT_SPARKPLUG },
};
static size_t bytes;

static void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "bench-formats: %s failed\n", what);
	exit(1);
}

static void take(void *data, struct message *message)
{
	(void)data;
	bytes += message->length;
	message_free(message);
}

static void write_readings(enum message_format format, long readings)
{
	struct reading reading = { .name = "air", .count = 3 };

	for (long n = 0; n < readings; n++) {
		reading.time_us = 1795353300123456LL + n * 100000;
		reading.values[0] = (struct value){ &channels[0], 20 + (double)(n % 1000) / 100 };
		reading.values[1] = (struct value){ &channels[1], 40 + (double)(n % 900) / 100 };
		reading.values[2] = (struct value){ &channels[2], 1013 + (double)(n % 800) / 100 };
		must(message_from_reading(format, &origin, &reading, take, NULL) == 0,
		     "message_from_reading");
	}
}

static double cpu_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t at = 0;
	long readings;
	double ns;

	must(argc == 3, "usage: FORMAT READINGS:");
	while (at < ARRAY_SIZE(formats) && strcmp(formats[at].name, argv[1]) != 0)
		at++;
	must(at < ARRAY_SIZE(formats), "FORMAT: json, value, senml, cbor, influx or sparkplug:");
	readings = strtol(argv[2], NULL, 10);
	must(readings > 0, "READINGS:");
	ns = cpu_ns();
	write_readings(formats[at].format, readings);
	ns = cpu_ns() - ns;
	printf("{\"peer\":\"%s\",\"workload\":\"formats\",\"events\":%ld,\"cpu_ns\":%.1f,"
	       "\"bytes\":%.1f}\n",
	       argv[1], readings, ns / (double)readings, (double)bytes / (double)readings);
	return 0;
}
