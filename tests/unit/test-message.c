/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readings, states and counters as bytes: exactly what SPEC §3 promises. */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "iotd/clock.h"
#include "iotd/json.h"
#include "iotd/message.h"

#define NOON_US 1795353300123456LL /* 2026-11-22T13:15:00.123456Z */

static const struct message_origin air = { .topic = "t/sensor/air", .device = "g" };
static struct message *caught[CHANNELS_MAX];
static size_t caught_count;

static void catch_message(void *data, struct message *message)
{
	(void)data;
	caught[caught_count++] = message;
}

static void drop_caught(void)
{
	while (caught_count > 0)
		message_free(caught[--caught_count]);
}

static void assert_payload(const struct message *message, const char *text)
{
	ck_assert_uint_eq(message->length, strlen(text));
	ck_assert_mem_eq(message->payload, text, strlen(text));
}

static const struct channel climate[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 1 },
	{ "pressure", "hPa", 2 },
};

static struct reading climate_reading(void)
{
	return (struct reading){
		.name = "air",
		.time_us = NOON_US,
		.count = 3,
		.values = { { &climate[0], 21.371 },
			    { &climate[1], 40.2 },
			    { &climate[2], 1013.25 } },
	};
}

START_TEST(a_reading_is_one_object_in_the_channels_order)
{
	struct reading reading = climate_reading();

	ck_assert_int_eq(message_from_reading(FORMAT_JSON, &air, &reading, catch_message, NULL), 0);
	ck_assert_uint_eq(caught_count, 1);
	ck_assert_str_eq(caught[0]->topic, "t/sensor/air");
	assert_payload(caught[0], "{\"time\":\"2026-11-22T13:15:00.123Z\",\"temperature\":21.37,"
				  "\"humidity\":40.2,\"pressure\":1013.25}");
	drop_caught();
}
END_TEST

static const struct {
	double number;
	int digits;
	const char *text;
} numbers[] = {
	{ 21.37, 2, "21.37" },
	{ 21.37, 1, "21.4" },
	{ 0.1 + 0.2, 9, "0.3" },
	{ 21.0, 2, "21" },
	{ 20.999, 2, "21" },
	{ -0.001, 2, "0" },
	{ -0.5, 0, "-1" },
	{ -17.25, 2, "-17.25" },
	{ 1013.123456789, 9, "1013.123456789" },
	{ 4294967296.0, 0, "4294967296" },
	{ 9007199254740992.0, 0, "9007199254740992" },
	{ 1e300, 2, "1e300" },
	{ 0.000001, 6, "1e-6" },
};

/* 1e-06 and 1e-6 are one number: compare what a JSON reader sees, and that it is short */
START_TEST(numbers_are_rounded_and_short)
{
	cleanup(json_decrefp) json_t *number =
		json_from_number(numbers[_i].number, numbers[_i].digits);
	cleanup(json_decrefp) json_t *expected =
		json_loads(numbers[_i].text, JSON_DECODE_ANY, NULL);
	char *text = json_dumps(number, JSON_TEXT | JSON_ENCODE_ANY);

	ck_assert_ptr_nonnull(expected);
	ck_assert_double_eq(json_number_value(number), json_number_value(expected));
	ck_assert_uint_le(strlen(text), strlen(numbers[_i].text) + 1);
	if (!strchr(numbers[_i].text, 'e'))
		ck_assert_str_eq(text, numbers[_i].text);
	free(text);
}
END_TEST

static double any_number(uint64_t *state)
{
	double number;

	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	number = (double)(int64_t)*state;
	for (uint64_t tenths = *state % 37; tenths > 0; tenths--)
		number /= 10;
	return number;
}

/* what is written by hand is what jansson writes of the same object, but that it never says 1e-5 for 0.00001 */
START_TEST(a_reading_is_as_jansson_would_write_it)
{
	struct channel channels[3] = { { .name = "a" }, { .name = "B_-9" }, { .name = "c" } };
	struct reading reading = { .name = "x", .time_us = NOON_US, .count = 3 };
	uint64_t state = 88172645463325252U;

	for (int round = 0; round < 20000; round++) {
		cleanup(json_decrefp) json_t *object = NULL, *expected = NULL, *got = NULL;
		cleanup(freep) char *text = NULL;
		bool is_tiny = false;

		for (size_t i = 0; i < 3; i++) {
			channels[i].digits = (int)(state % 10);
			reading.values[i] = (struct value){ &channels[i], any_number(&state) };
			is_tiny = is_tiny || fabs(reading.values[i].number) < 1e-4;
		}
		reading.time_us += (int64_t)(state % 3000000);
		object = json_from_reading(&reading);
		text = json_dumps(object, JSON_TEXT);
		expected = json_loads(text, 0, NULL);
		(void)message_from_reading(FORMAT_JSON, &air, &reading, catch_message, NULL);
		got = json_loadb((const char *)caught[0]->payload, caught[0]->length, 0, NULL);
		if (!json_equal(got, expected) ||
		    (!is_tiny && (strlen(text) != caught[0]->length ||
				  memcmp(text, caught[0]->payload, caught[0]->length) != 0)))
			ck_abort_msg("%s is written %.*s", text, (int)caught[0]->length,
				     (const char *)caught[0]->payload);
		drop_caught();
	}
}
END_TEST

START_TEST(a_state_has_its_time)
{
	const struct message_origin door = { .topic = "t/input/door", .device = "g" };
	const struct state state = { DEVICE_INPUT, "door", true, NOON_US };
	struct message *message;

	ck_assert_int_eq(message_from_state(FORMAT_JSON, &door, &state, &message), 0);
	ck_assert_str_eq(message->topic, "t/input/door");
	assert_payload(message, "{\"time\":\"2026-11-22T13:15:00.123Z\",\"state\":\"on\"}");
	message_free(message);
}
END_TEST

START_TEST(format_value_is_a_topic_a_channel)
{
	const struct message_origin pump = { .topic = "t/output/pump", .device = "g" };
	const struct state state = { DEVICE_OUTPUT, "pump", false, NOON_US };
	struct reading reading = climate_reading();
	struct message *message;

	ck_assert_int_eq(message_from_reading(FORMAT_VALUE, &air, &reading, catch_message, NULL),
			 0);
	ck_assert_uint_eq(caught_count, 3);
	ck_assert_str_eq(caught[0]->topic, "t/sensor/air/temperature");
	assert_payload(caught[0], "21.37");
	ck_assert_str_eq(caught[2]->topic, "t/sensor/air/pressure");
	assert_payload(caught[2], "1013.25");
	drop_caught();

	ck_assert_int_eq(message_from_state(FORMAT_VALUE, &pump, &state, &message), 0);
	assert_payload(message, "off");
	message_free(message);
}
END_TEST

START_TEST(stats_are_flat_and_in_seconds)
{
	struct stats stats = {
		.started_us = 1000000,
		.now_us = 61500000,
		.readings = 7,
		.late_max_us = 1500,
		.expired = 5,
		.commands_refused = 3,
		.connected = true,
		.sensors = 4,
		.spool_bytes = 5ULL << 32,
		.memory_bytes = 3 << 20,
		.cpu_us = 2250000,
	};
	cleanup(json_decrefp) json_t *object = NULL;
	struct message *message;
	int64_t before_us = clock_realtime_us();
	char earliest[CLOCK_UTC_SIZE];

	clock_format_utc(earliest, before_us);
	for (int64_t i = 1; i <= 100; i++)
		histogram_add(&stats.late, 0, i <= 98 ? 10 : 30);
	ck_assert_int_eq(message_from_stats("t/stats", &stats, &message), 0);
	ck_assert_str_eq(message->topic, "t/stats");
	object = json_loadb((const char *)message->payload, message->length, JSON_REJECT_DUPLICATES,
			    NULL);
	ck_assert_ptr_nonnull(object);
	ck_assert_uint_eq(json_object_size(object), 33);
	ck_assert_str_ge(json_string_value(json_object_get(object, "time")), earliest);
	ck_assert_double_eq(json_number_value(json_object_get(object, "uptime")), 60.5);
	ck_assert_double_eq(json_number_value(json_object_get(object, "late_max")), 0.0015);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "readings")), 7);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "expired")), 5);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "commands_refused")), 3);
	ck_assert(json_is_true(json_object_get(object, "connected")));
	ck_assert_double_eq(json_number_value(json_object_get(object, "late_p50")), 0.00001);
	ck_assert_double_eq(json_number_value(json_object_get(object, "late_p99")), 0.00003);
	ck_assert(json_is_null(json_object_get(object, "ack_p50")));
	ck_assert(json_is_null(json_object_get(object, "ack_p99")));
	ck_assert_int_eq(json_integer_value(json_object_get(object, "sensors")), 4);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "spool_bytes")), 5LL << 32);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "rss")), 3 << 20);
	ck_assert_double_eq(json_number_value(json_object_get(object, "cpu")), 2.25);
	message_free(message);
}
END_TEST

static const struct {
	const char *prefix, *kind, *name, *leaf, *topic;
} topics[] = {
	{ "iotd/g", "sensor", "air", NULL, "iotd/g/sensor/air" },
	{ "iotd/g", "sensor", "air", "status", "iotd/g/sensor/air/status" },
	{ "iotd/g", "output", "+", "set", "iotd/g/output/+/set" },
	{ "iotd/g", "status", NULL, NULL, "iotd/g/status" },
	{ "iotd/g", NULL, "stats", NULL, "iotd/g/stats" },
	{ "", "command", NULL, NULL, "/command" },
};

START_TEST(topics_are_joined)
{
	char *topic =
		topic_new(topics[_i].prefix, topics[_i].kind, topics[_i].name, topics[_i].leaf);

	ck_assert_str_eq(topic, topics[_i].topic);
	free(topic);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("message");
	TCase *tests = tcase_create("message");

	tcase_add_test(tests, a_reading_is_one_object_in_the_channels_order);
	tcase_add_test(tests, a_reading_is_as_jansson_would_write_it);
	tcase_add_loop_test(tests, numbers_are_rounded_and_short, 0, (int)ARRAY_SIZE(numbers));
	tcase_add_test(tests, a_state_has_its_time);
	tcase_add_test(tests, format_value_is_a_topic_a_channel);
	tcase_add_test(tests, stats_are_flat_and_in_seconds);
	tcase_add_loop_test(tests, topics_are_joined, 0, (int)ARRAY_SIZE(topics));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
