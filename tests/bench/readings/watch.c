/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reader of all that is published: bench-watch PORT COUNT INTERVAL_MS SECONDS
 *
 * Waits until each of COUNT sensors was heard once, at most 10 s, then for SECONDS; says "first" with the
 * first message, "begin" and "end" with that time, and then a line of JSON:
 *
 *	messages   that arrived in it
 *	sensors    that were heard
 *	jitter     of arrivals: how far the distance of two of a sensor is from its interval
 *	drift      of the times in the messages against the interval
 *	missed     intervals without a reading, by those times
 */
#include <ctype.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_UP_US 10000000

static struct watched {
	int64_t arrived_us;	   /* the last one; 0: none */
	int64_t first_ms, last_ms; /* times in its messages */
	int64_t messages;
} * sensors;

static size_t count, heard, jitter_count, jitter_most;
static int64_t interval_us, begin_us, end_us, started_us, missed, messages;
static int32_t *jitters;

static void must(int is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "bench-watch: %s failed\n", what);
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void say(const char *word)
{
	printf("%s\n", word);
	(void)fflush(stdout);
}

/* the N of the level that ends with sN */
static struct watched *find(const char *topic)
{
	for (const char *s = strchr(topic, 's'); s; s = strchr(s + 1, 's')) {
		char *end;
		size_t i;

		if (!isdigit((unsigned char)s[1]))
			continue;
		i = strtoul(s + 1, &end, 10);
		if ((*end == '\0' || *end == '/') && i < count)
			return &sensors[i];
	}
	return NULL;
}

/* of the day, for {"time":"2026-11-23T01:02:03.456Z"...; -1: another format */
static int64_t time_in(const char *payload, int length)
{
	static const char begin[] = "{\"time\":\"";
	const char *t = payload + sizeof(begin) - 1 + 11;
	int hour, minute, second, ms;

	if (length < 33 || strncmp(payload, begin, sizeof(begin) - 1) != 0 ||
	    sscanf(t, "%2d:%2d:%2d.%3dZ", &hour, &minute, &second, &ms) != 4)
		return -1;
	return ((hour * 60 + minute) * 60 + second) * INT64_C(1000) + ms;
}

static void note(struct watched *sensor, const struct mosquitto_message *message, int64_t at_us)
{
	int64_t ms = time_in(message->payload, message->payloadlen);

	messages++;
	if (sensor->messages++ > 0 && jitter_count < jitter_most)
		jitters[jitter_count++] = (int32_t)llabs(at_us - sensor->arrived_us - interval_us);
	if (sensor->messages == 1)
		sensor->first_ms = ms;
	else if (ms >= 0)
		missed += (ms - sensor->last_ms + interval_us / 2000) / (interval_us / 1000) - 1;
	sensor->last_ms = ms;
}

static void on_message(struct mosquitto *mosquitto, void *data,
		       const struct mosquitto_message *message)
{
	struct watched *sensor = find(message->topic);
	int64_t at_us = now_us();

	(void)mosquitto;
	(void)data;
	if (!sensor)
		return;
	if (heard == 0)
		say("first");
	heard += sensor->arrived_us == 0;
	if (begin_us > 0 && at_us < end_us)
		note(sensor, message, at_us);
	sensor->arrived_us = at_us;
}

static void on_subscribe(struct mosquitto *mosquitto, void *data, int mid, int granted_count,
			 const int *granted)
{
	(void)mosquitto;
	(void)data;
	(void)mid;
	must(granted_count == 1 && granted[0] < 0x80, "subscribing");
	say("ready");
}

static void on_connect(struct mosquitto *mosquitto, void *data, int rc)
{
	(void)data;
	must(rc == 0, "connecting");
	(void)mosquitto_subscribe(mosquitto, NULL, "bench/sensor/#", 0);
}

static int compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static double drift_ppm(void)
{
	double sum = 0;
	size_t measured = 0;

	for (size_t i = 0; i < count; i++) {
		const struct watched *sensor = &sensors[i];
		double span_ms = (double)(sensor->last_ms - sensor->first_ms);
		double steps = (double)(int64_t)(span_ms * 1000 / (double)interval_us + 0.5);

		if (sensor->first_ms < 0 || steps < 2)
			continue;
		sum += (span_ms * 1000 / steps - (double)interval_us) / (double)interval_us * 1e6;
		measured++;
	}
	return measured > 0 ? sum / (double)measured : 0;
}

static void report(void)
{
	qsort(jitters, jitter_count, sizeof(*jitters), compare);
	printf("{\"messages\":%lld,\"sensors\":%zu,\"jitter_p50_us\":%d,\"jitter_p99_us\":%d,"
	       "\"drift_ppm\":%.1f,\"missed\":%lld}\n",
	       (long long)messages, heard, jitter_count ? jitters[jitter_count / 2] : -1,
	       jitter_count ? jitters[jitter_count * 99 / 100] : -1, drift_ppm(),
	       (long long)missed);
}

int main(int argc, char **argv)
{
	struct mosquitto *mosquitto;
	int64_t span_us;

	must(argc == 5, "usage: PORT COUNT INTERVAL_MS SECONDS:");
	count = strtoul(argv[2], NULL, 10);
	interval_us = strtoll(argv[3], NULL, 10) * 1000;
	span_us = strtoll(argv[4], NULL, 10) * 1000000;
	jitter_most = count * (size_t)(span_us / interval_us + 2);
	sensors = calloc(count, sizeof(*sensors));
	jitters = calloc(jitter_most, sizeof(*jitters));
	must(sensors && jitters, "calloc");
	mosquitto_lib_init();
	mosquitto = mosquitto_new(NULL, true, NULL);
	must(mosquitto != NULL, "mosquitto_new");
	mosquitto_connect_callback_set(mosquitto, on_connect);
	mosquitto_subscribe_callback_set(mosquitto, on_subscribe);
	mosquitto_message_callback_set(mosquitto, on_message);
	must(mosquitto_connect(mosquitto, "127.0.0.1", atoi(argv[1]), 60) == MOSQ_ERR_SUCCESS,
	     "connecting");
	while (end_us == 0 || now_us() < end_us) {
		must(mosquitto_loop(mosquitto, 20, 1) == MOSQ_ERR_SUCCESS, "the connection");
		if (started_us == 0 && heard > 0)
			started_us = now_us();
		if (begin_us == 0 && started_us > 0 &&
		    (heard == count || now_us() > started_us + WARM_UP_US)) {
			say("begin");
			begin_us = now_us();
			end_us = begin_us + span_us;
		}
	}
	say("end");
	report();
}
