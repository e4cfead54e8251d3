/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands from bytes to reply, with a control that does what a test tells it and a publisher that
 * only keeps the last reply. On the virtual clock.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "iotd/clock.h"
#include "iotd/json.h"
#include "iotd/log.h"
#include "iotd/task.h"
#include "mqtt/burst.h"
#include "mqtt/commands.h"

#define NOON_US 1795353300123000LL

static struct reactor *reactor;
static struct commands *commands;
static struct command_settings settings;
static struct commands_events events;
static struct stats stats;

/* --- a control that keeps the last command ---------------------------------------------------- */

static struct {
	struct control control;
	struct command *last; /* NULL: none, or answered */
	struct command copy;  /* of the last one */
	struct command *kept[300];
	int executed;
	bool answers; /* at once, with result */
	struct command_result result;
} device;

static void device_execute(struct control *control, struct command *command)
{
	ck_assert_ptr_eq(control, &device.control);
	device.copy = *command;
	device.kept[device.executed % 300] = command;
	device.executed++;
	if (device.answers)
		command->done(command, &device.result);
}

static int replies;
static char reply_topic[64], reply_text[8192];
static char reply_correlation[16];

static void keep_reply(struct commands_events *e, struct reply *reply)
{
	ck_assert_ptr_eq(e, &events);
	replies++;
	(void)snprintf(reply_topic, sizeof(reply_topic), "%s", reply->topic);
	(void)snprintf(reply_text, sizeof(reply_text), "%s", reply->payload);
	memset(reply_correlation, 0, sizeof(reply_correlation));
	if (reply->correlation)
		memcpy(reply_correlation, reply->correlation, reply->correlation_length);
	reply_free(reply);
}

/* --- tools ---------------------------------------------------------------------------------- */

static void setup(void)
{
	struct commands_parts parts = {
		.settings = &settings,
		.topic = "iotd/g",
		.control = &device.control,
		.events = &events,
		.stats = &stats,
	};

	memset(&device, 0, sizeof(device));
	device.control.execute = device_execute;
	device.answers = true;
	events.reply = keep_reply;
	settings.enabled = true;
	for (int i = 0; i < COMMAND_KINDS; i++)
		settings.allow[i] = i != COMMAND_RELOAD;
	stats = (struct stats){ 0 };
	replies = 0;
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
	parts.reactor = reactor;
	ck_assert_int_eq(commands_new(&commands, &parts), 0);
}

static void teardown(void)
{
	commands = commands_free(commands);
	reactor = reactor_free(reactor);
}

static int end_step(struct task *task, int result)
{
	(void)task;
	return result;
}

static int wait_step(struct task *task, int result)
{
	(void)result;
	return task_sleep(task, *(int64_t *)task_data(task), end_step);
}

static void turn(int64_t us)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, wait_step, &us, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static void receive(const char *topic, const char *payload)
{
	const struct incoming incoming = { .topic = topic,
					   .payload = payload,
					   .length = strlen(payload) };

	commands_receive(commands, &incoming);
	turn(1);
}

/* --- replies -------------------------------------------------------------------------------- */

static const struct channel channels[] = { { "temperature", "°C", 2 }, { "humidity", "%", 1 } };
static const struct reading reading = {
	.name = "air",
	.time_us = NOON_US,
	.count = 2,
	.values = { { &channels[0], 21.37 }, { &channels[1], 40.2 } },
};
static const struct state state = { DEVICE_OUTPUT, "pump", true, NOON_US };
static const double total_before = 2.794;
static const struct stats some_stats = { .started_us = 1000000, .now_us = 3500000 };
static const struct device_info devices[] = {
	{ DEVICE_SENSOR, STATUS_ONLINE, "air", "bme280", 10 * USEC_PER_SEC, channels, 2,
	  .state = -1 },
	{ DEVICE_SENSOR, STATUS_OFFLINE, "cpu", "file", 250000, channels, 1, .state = -1,
	  .fault = "no such file" },
	{ DEVICE_OUTPUT, STATUS_ONLINE, "pump", .state = 1 },
	{ DEVICE_INPUT, STATUS_UNKNOWN, "door", .state = -1 },
};

static const struct {
	const char *request;
	struct command_result result;
	const char *reply;
} answers[] = {
	{ "{\"command\":\"ping\",\"id\":7}",
	  { .stats = &some_stats },
	  "{\"id\":7,\"ok\":true,\"result\":{\"version\":\"" IOTD_VERSION "\",\"uptime\":2.5}}" },
	{ "{\"command\":\"read\",\"name\":\"air\",\"id\":\"x\"}",
	  { .reading = &reading },
	  "{\"id\":\"x\",\"ok\":true,\"result\":{\"time\":\"2026-11-22T13:15:00.123Z\","
	  "\"temperature\":21.37,"
	  "\"humidity\":40.2}}" },
	{ "{\"name\":\"pump\",\"command\":\"set\",\"state\":\"on\"}",
	  { .state = &state },
	  "{\"ok\":true,\"result\":{\"time\":\"2026-11-22T13:15:00.123Z\",\"state\":\"on\"}}" },
	{ "{\"command\":\"interval\",\"name\":\"air\",\"interval\":\"5s\",\"id\":null}",
	  { .interval_us = 5000000 },
	  "{\"id\":null,\"ok\":true,\"result\":{\"name\":\"air\",\"interval\":\"5s\"}}" },
	{ "{\"command\":\"count\",\"name\":\"rain\",\"total\":12}",
	  { 0 },
	  "{\"ok\":true,\"result\":{\"name\":\"rain\",\"total\":12}}" },
	{ "{\"command\":\"count\",\"name\":\"rain\",\"total\":4711.25}",
	  { .total = &total_before },
	  "{\"ok\":true,\"result\":{\"name\":\"rain\",\"total\":4711.25,\"before\":2.794}}" },
	{ "{\"command\":\"read\",\"name\":\"airr\",\"id\":[1,{\"a\":2.5}]}",
	  { .error = -ENOENT, .text = "no sensor named \"airr\"" },
	  "{\"id\":[1,{\"a\":2.5}],\"ok\":false,\"error\":\"no sensor named \\\"airr\\\"\"}" },
	{ "{\"command\":\"toggle\",\"name\":\"pump\",\"id\":1763817300.1234567}",
	  { .error = -EBUSY, .text = "interlocked" },
	  "{\"id\":1763817300.1234567,\"ok\":false,\"error\":\"interlocked\"}" },
	{ "{\"command\":\"set\",\"name\":\"pump\",\"state\":1}", /* a consumer's name that the kernel cut */
	  { .error = -EBUSY, .text = "held by \"caf\xc3\"" },
	  "{\"ok\":false,\"error\":\"held by \\\"caf?\\\"\"}" },
	{ "{\"command\":\"list\",\"id\":\"ä\\u0001\"}",
	  { .devices = devices, .device_count = 4 },
	  "{\"id\":\"ä\\u0001\",\"ok\":true,\"result\":["
	  "{\"name\":\"air\",\"kind\":\"sensor\",\"driver\":\"bme280\",\"interval\":\"10s\","
	  "\"channels\":["
	  "{\"name\":\"temperature\",\"unit\":\"°C\"},{\"name\":\"humidity\",\"unit\":\"%\"}],"
	  "\"status\":\"online\"},"
	  "{\"name\":\"cpu\",\"kind\":\"sensor\",\"driver\":\"file\",\"interval\":\"250ms\","
	  "\"unit\":\"°C\",\"channels\":["
	  "{\"name\":\"temperature\",\"unit\":\"°C\"}],\"status\":\"offline\",\"fault\":\"no such "
	  "file\"},"
	  "{\"name\":\"pump\",\"kind\":\"output\",\"status\":\"online\",\"state\":\"on\"},"
	  "{\"name\":\"door\",\"kind\":\"input\",\"status\":\"unknown\"}]}" },
};

START_TEST(replies_are_exact)
{
	device.result = answers[_i].result;
	receive("iotd/g/command", answers[_i].request);
	ck_assert_int_eq(device.executed, 1);
	ck_assert_int_eq(replies, 1);
	ck_assert_str_eq(reply_topic, "iotd/g/reply");
	ck_assert_str_eq(reply_text, answers[_i].reply);
	ck_assert_uint_eq(stats.commands, device.result.error == 0);
	ck_assert_uint_eq(stats.commands_refused, device.result.error != 0);
}
END_TEST

/* what comes back is the same value */
static const struct {
	const char *request, *id;
} ids[] = {
	{ "{\"id\":1e2,\"command\":\"ping\"}", "100.0" },
	{ "{\"command\":\"ping\",\"id\":1.10}", "1.1" },
	{ "{\"command\":\"ping\",\"id\":1700000000.1234567}", "1700000000.1234567" },
	{ "{\"command\":\"ping\",\"id\":-0.0 }", "-0.0" },
	{ "{\"command\":\"ping\",\"id\":18446744073709551616}", "1.8446744073709552e19" },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":1,\"id\":[18446744073709551616]}",
	  "[1.8446744073709552e19]" },
	{ "{\"command\":\"ping\",\"id\":\"a\\u0000b\"}", "\"a\\u0000b\"" },
	{ "{\"command\":\"ping\",\"id\":\"}, \\\\\\\" {\"}", "\"}, \\\\\\\" {\"" },
	{ " {\n\"id\" : [ 1 ,\t{ \"id\" : \" \" } ]\n, \"command\" : \"ping\" } ",
	  "[1,{\"id\":\" \"}]" },
	{ "{\"\\u0069\\u0064\":2,\"command\":\"ping\"}", "2" },
	{ "{\"command\":\"id\",\"id\":null}", "null" },
};

START_TEST(an_id_comes_back_as_it_came)
{
	char expected[64];

	device.result = (struct command_result){ .stats = &some_stats, .state = &state };
	receive("iotd/g/command", ids[_i].request);
	ck_assert_int_eq(replies, 1);
	(void)snprintf(expected, sizeof(expected), "{\"id\":%s,\"ok\":", ids[_i].id);
	ck_assert_mem_eq(reply_text, expected, strlen(expected));
}
END_TEST

START_TEST(stats_are_those_of_the_topic)
{
	cleanup(json_decrefp) json_t *reply = NULL;

	device.result = (struct command_result){ .stats = &some_stats };
	receive("iotd/g/command", "{\"command\":\"stats\",\"id\":1}");
	reply = json_loads(reply_text, 0, NULL);
	ck_assert_ptr_nonnull(reply);
	ck_assert_double_eq(
		json_number_value(json_object_get(json_object_get(reply, "result"), "uptime")),
		2.5);
}
END_TEST

START_TEST(a_response_topic_gets_the_reply_with_its_correlation_data)
{
	const char *request = "{\"command\":\"ping\"}";
	struct incoming incoming = {
		.topic = "iotd/g/command",
		.payload = request,
		.length = strlen(request),
		.response_topic = "who/asked",
		.correlation = "\0\1z",
		.correlation_length = 3,
	};

	commands_receive(commands, &incoming);
	turn(1);
	ck_assert_str_eq(reply_topic, "who/asked");
	ck_assert_mem_eq(reply_correlation, "\0\1z\0", 4);
	incoming.payload = "nonsense";
	incoming.length = 8;
	commands_receive(commands, &incoming); /* also the reply of a bad one */
	turn(1);
	ck_assert_int_eq(replies, 2);
	ck_assert_str_eq(reply_topic, "who/asked");
	ck_assert_mem_eq(reply_correlation, "\0\1z\0", 4);
}
END_TEST

START_TEST(a_response_topic_of_the_brokers_own_is_not_used)
{
	const char *request = "{\"command\":\"ping\"}";
	struct incoming incoming = {
		.topic = "iotd/g/command",
		.payload = request,
		.length = strlen(request),
		.response_topic = "$SYS/broker/uptime",
	};

	commands_receive(commands, &incoming);
	turn(1);
	ck_assert_int_eq(replies, 1);
	ck_assert_str_eq(reply_topic, "iotd/g/reply");
}
END_TEST

/* --- what is understood --------------------------------------------------------------------- */

static const struct {
	const char *topic, *payload;
	struct command command;
} understood[] = {
	{ "command", "{\"command\":\"ping\"}", { .kind = COMMAND_PING } },
	{ "command", "{\"command\":\"stats\",\"id\":true}", { .kind = COMMAND_STATS } },
	{ "command",
	  "{\"command\":\"set\",\"name\":\"pump\",\"state\":\"ON\",\"for\":\"5s\"}",
	  { .kind = COMMAND_SET, .name = "pump", .on = true, .for_us = 5000000 } },
	{ "command",
	  "{\"command\":\"set\",\"name\":\"pump\",\"state\":false,\"for\":0.25}",
	  { .kind = COMMAND_SET, .name = "pump", .for_us = 250000 } },
	{ "command",
	  "{\"command\":\"set\",\"name\":\"pump\",\"state\":1}",
	  { .kind = COMMAND_SET, .name = "pump", .on = true } },
	{ "command",
	  "{\"command\":\"pulse\",\"name\":\"pump\",\"for\":\"250ms\"}",
	  { .kind = COMMAND_PULSE, .name = "pump", .for_us = 250000 } },
	{ "command",
	  "{\"command\":\"toggle\",\"name\":\"pump\"}",
	  { .kind = COMMAND_TOGGLE, .name = "pump" } },
	{ "command",
	  "{\"command\":\"interval\",\"name\":\"air\",\"interval\":60}",
	  { .kind = COMMAND_INTERVAL, .name = "air", .interval_us = 60000000 } },
	{ "command",
	  " {\"command\":\"count\",\"name\":\"rain\",\"total\":4711.25} ",
	  { .kind = COMMAND_COUNT, .name = "rain", .total = 4711.25 } },
	{ "output/pump/set", "on", { .kind = COMMAND_SET, .name = "pump", .on = true } },
	{ "output/pump/set", " Off\r\n", { .kind = COMMAND_SET, .name = "pump" } },
	{ "output/pump/set", "TRUE", { .kind = COMMAND_SET, .name = "pump", .on = true } },
	{ "output/pump/set", "0", { .kind = COMMAND_SET, .name = "pump" } },
	{ "output/pump/set", "Toggle", { .kind = COMMAND_TOGGLE, .name = "pump" } },
	{ "output/pump/set", "{\"state\":\"toggle\"}", { .kind = COMMAND_TOGGLE, .name = "pump" } },
	{ "output/pump/set",
	  "{\"state\":\"on\",\"for\":\"5s\"}",
	  { .kind = COMMAND_SET, .name = "pump", .on = true, .for_us = 5000000 } },
};

START_TEST(well_formed_commands_are_carried_out)
{
	const struct command *expected = &understood[_i].command;
	char topic[64];

	(void)snprintf(topic, sizeof(topic), "iotd/g/%s", understood[_i].topic);
	receive(topic, understood[_i].payload);
	ck_assert_int_eq(device.executed, 1);
	ck_assert_int_eq(device.copy.kind, expected->kind);
	ck_assert_str_eq(device.copy.name, expected->name);
	ck_assert_int_eq(device.copy.on, expected->on);
	ck_assert_int_eq(device.copy.for_us, expected->for_us);
	ck_assert_int_eq(device.copy.interval_us, expected->interval_us);
	ck_assert_double_eq(device.copy.total, expected->total);
	ck_assert_int_eq(replies, strcmp(understood[_i].topic, "command") == 0);
	ck_assert_uint_eq(stats.commands, 1);
}
END_TEST

/* --- what is refused ------------------------------------------------------------------------ */

static const struct {
	const char *payload, *error; /* error: what the reply's "error" holds */
	const char *id;
} refused[] = {
	{ "", "not JSON", NULL },
	{ "on", "not JSON", NULL },
	{ "{\"command\":\"ping\"", "not JSON", NULL },
	{ "{\"command\":\"ping\"} x", "not JSON", NULL },
	{ "{\"command\":\"ping\",\"command\":\"ping\"}", "duplicate", NULL },
	{ "{\"command\":\"pi\xff\"}", "not JSON", NULL },
	{ "{\"command\":\"ping\\u0000\",\"id\":1}", "\"command\" must be a string", "1" },
	{ "{\"command\":\"read\",\"name\":\"air\\u0000\"}", "\"name\" must be a string", NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":\"on\\u0000\"}",
	  "\"state\" must be \"on\" or \"off\"", NULL },
	{ "{\"command\":\"pulse\",\"name\":\"p\",\"for\":\"1s\\u0000\"}",
	  "\"for\" must be a duration", NULL },
	/* the parser's words end in the middle of a character */
	{ "{\"command\":\"set\",\"name\":\"a\\u0ä\"}", "not JSON: invalid escape", NULL },
	{ "[1]", "must be a JSON object", NULL },
	{ "\"ping\"", "not JSON", NULL },
	{ "{\"id\":7}", "\"command\" is missing", "7" },
	{ "{\"id\":7,\"command\":1}", "\"command\" must be a string", "7" },
	{ "{\"id\":7,\"command\":\"explode\"}", "no command is named \"explode\"", "7" },
	{ "{\"id\":7,\"command\":\"reload\"}",
	  "command \"reload\" is not allowed here (see commands.allow)", "7" },
	{ "{\"id\":7,\"command\":\"ping\",\"nmae\":1}",
	  "unknown field \"nmae\" (ping takes no fields)", "7" },
	{ "{\"command\":\"read\",\"name\":\"a\",\"for\":1}",
	  "unknown field \"for\" (read takes name)", NULL },
	{ "{\"command\":\"read\"}", "field \"name\" is missing (read needs it)", NULL },
	{ "{\"command\":\"read\",\"name\":7}", "\"name\" must be a string", NULL },
	{ "{\"command\":\"read\",\"name\":\"a/b\"}", "nothing can be named \"a/b\"", NULL },
	{ "{\"command\":\"read\",\"name\":\"\"}", "nothing can be named \"\"", NULL },
	{ "{\"command\":\"set\",\"name\":\"p\"}", "field \"state\" is missing (set needs it)",
	  NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":\"up\"}",
	  "\"state\" must be \"on\" or \"off\"", NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":2}", "\"state\" must be \"on\" or \"off\"",
	  NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":\"on\",\"for\":\"soon\"}",
	  "\"for\" must be a duration", NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":\"on\",\"for\":true}",
	  "\"for\" must be a duration", NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":\"on\",\"for\":-1}",
	  "\"for\" must be a duration", NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":\"on\",\"for\":0}",
	  "\"for\" must be longer than 0", NULL },
	{ "{\"command\":\"set\",\"name\":\"p\",\"state\":\"on\",\"for\":1e300}",
	  "\"for\" is over 100 years", NULL },
	{ "{\"command\":\"pulse\",\"name\":\"p\"}", "field \"for\" is missing", NULL },
	{ "{\"command\":\"interval\",\"name\":\"a\",\"interval\":\"500us\"}",
	  "\"interval\" must be at least 1ms", NULL },
	{ "{\"command\":\"count\",\"name\":\"a\",\"total\":-0.5}",
	  "\"total\" must be a number, 0 to 1e15", NULL },
	{ "{\"command\":\"count\",\"name\":\"a\",\"total\":1e16}",
	  "\"total\" must be a number, 0 to 1e15", NULL },
	{ "{\"command\":\"count\",\"name\":\"a\",\"total\":\"12\"}",
	  "\"total\" must be a number, 0 to 1e15", NULL },
};

START_TEST(bad_commands_are_named_and_change_nothing)
{
	cleanup(json_decrefp) json_t *reply = NULL;
	cleanup(json_decrefp) json_t *id = NULL;
	const char *error;

	receive("iotd/g/command", refused[_i].payload);
	ck_assert_int_eq(device.executed, 0);
	ck_assert_int_eq(replies, 1);
	reply = json_loads(reply_text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_ptr_nonnull(reply);
	ck_assert(json_is_false(json_object_get(reply, "ok")));
	error = json_string_value(json_object_get(reply, "error"));
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, refused[_i].error), "%s", error);
	if (refused[_i].id)
		id = json_loads(refused[_i].id, JSON_DECODE_ANY, NULL);
	ck_assert(json_equal(json_object_get(reply, "id"), id) ||
		  (!id && !json_object_get(reply, "id")));
	ck_assert_uint_eq(stats.commands_refused, 1);
	ck_assert_uint_eq(stats.commands, 0);
}
END_TEST

static const struct {
	const char *topic, *payload;
} refused_sets[] = {
	{ "iotd/g/output/pump/set", "" },
	{ "iotd/g/output/pump/set", "up" },
	{ "iotd/g/output/pump/set", "onn" },
	{ "iotd/g/output/pump/set", "{\"state\":\"on\",\"fro\":\"5s\"}" },
	{ "iotd/g/output/pump/set", "{\"for\":\"5s\"}" },
	{ "iotd/g/output/pump/set", "{\"state\":\"toggle\",\"for\":\"5s\"}" },
	{ "iotd/g/output/pump/set", "{\"state\":\"on\"" },
	{ "iotd/g/output/pump/set", "{\"state\":\"on\",\"name\":\"valve\"}" },
	{ "iotd/g/output/a b/set", "on" },
	{ "iotd/g/output//set", "on" },
	{ "iotd/g/output/pump/set/x", "on" },
	{ "iotd/g/output/pump/set_on_ms", "500" },
	{ "iotd/g/output/pump", "on" },
	{ "iotd/other/output/pump/set", "on" },
	{ "iotd/g/output/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/"
	  "set",
	  "on" },
};

START_TEST(bad_sets_change_nothing)
{
	receive(refused_sets[_i].topic, refused_sets[_i].payload);
	ck_assert_int_eq(device.executed, 0);
	ck_assert_int_eq(replies, 0);
	ck_assert_uint_eq(stats.commands_refused, 1);
}
END_TEST

/* what is sent, what the device layer says to it, and what it is counted as */
static const struct {
	const char *topic, *payload;
	bool retained;
	int error;
	enum command_refusal refusal;
} refusals[] = {
	{ "iotd/g/command", "", false, 0, REFUSAL_MALFORMED },
	{ "iotd/g/command", "{\"command\":\"dance\"}", false, 0, REFUSAL_MALFORMED },
	{ "iotd/g/command", "{\"command\":\"read\"}", false, 0, REFUSAL_MALFORMED },
	{ "iotd/g/output/pump/set", "up", false, 0, REFUSAL_MALFORMED },
	{ "iotd/g/command", "{\"command\":\"reload\"}", false, 0, REFUSAL_NOT_ALLOWED },
	{ "iotd/g/output/pump/set/x", "on", false, 0, REFUSAL_UNKNOWN },
	{ "iotd/g/output/pump/set", "on", false, -ENOENT, REFUSAL_UNKNOWN },
	{ "iotd/g/command", "{\"command\":\"read\",\"name\":\"air\"}", false, -ENOENT,
	  REFUSAL_FAILED },
	{ "iotd/g/output/pump/set", "on", false, -EBUSY, REFUSAL_FAILED },
	{ "iotd/g/command", "{\"command\":\"read\",\"name\":\"air\"}", false, -EIO,
	  REFUSAL_FAILED },
	{ "iotd/g/command", "{\"command\":\"ping\"}", true, 0, REFUSAL_RETAINED },
};

START_TEST(what_is_refused_is_counted_by_why)
{
	const struct incoming incoming = { .topic = refusals[_i].topic,
					   .payload = refusals[_i].payload,
					   .length = strlen(refusals[_i].payload),
					   .retained = refusals[_i].retained };

	device.result = (struct command_result){
		.error = refusals[_i].error,
		.text = "no",
		.is_unknown = refusals[_i].refusal == REFUSAL_UNKNOWN,
	};
	commands_receive(commands, &incoming);
	turn(1);
	ck_assert_uint_eq(stats.commands_refused, 1);
	for (enum command_refusal i = 0; i < REFUSAL_KINDS; i++)
		ck_assert_msg(stats.refusals[i] == (i == refusals[_i].refusal), "%s",
			      command_refusal_name(i));
}
END_TEST

START_TEST(a_flood_is_counted_as_dropped)
{
	const struct incoming incoming = { .topic = "iotd/g/output/pump/set",
					   .payload = "on",
					   .length = 2 };

	for (int i = 0; i < 1000; i++)
		commands_receive(commands, &incoming);
	commands_drop(commands);
	ck_assert_uint_eq(stats.refusals[REFUSAL_DROPPED], 1000);
	ck_assert_uint_eq(stats.commands_refused, 1000);
}
END_TEST

START_TEST(set_must_be_allowed_on_its_topic_too)
{
	settings.allow[COMMAND_SET] = false;
	receive("iotd/g/output/pump/set", "on");
	receive("iotd/g/output/pump/set", "{\"state\":\"on\"}");
	ck_assert_int_eq(device.executed, 0);
	receive("iotd/g/output/pump/set", "toggle");
	ck_assert_int_eq(device.executed, 1);
}
END_TEST

START_TEST(over_4096_bytes_is_refused)
{
	static char payload[4200];
	int length = snprintf(payload, sizeof(payload), "{\"command\":\"ping\",\"id\":\"");

	memset(payload + length, 'x', 4096 - (size_t)length - 2);
	memcpy(payload + 4094, "\"}", 3);
	ck_assert_uint_eq(strlen(payload), 4096);
	receive("iotd/g/command", payload);
	ck_assert_int_eq(device.executed, 1);
	memcpy(payload + 4096, " ", 2);
	receive("iotd/g/command", payload);
	ck_assert_int_eq(device.executed, 1);
	ck_assert_str_eq(reply_text,
			 "{\"ok\":false,\"error\":\"a command over 4096 bytes is refused\"}");
	receive("iotd/g/output/pump/set", payload);
	ck_assert_int_eq(device.executed, 1);
}
END_TEST

/* a fault that quotes a stranger is cut, but never within a character: the reply must be JSON */
START_TEST(long_names_are_cut_between_characters)
{
	cleanup(json_decrefp) json_t *reply = NULL;
	char payload[1024], name[512];

	for (size_t i = 0; i < 100; i++)
		memcpy(name + 2 * i + (size_t)_i, "ä", 3);
	memset(name, 'x', (size_t)_i);
	(void)snprintf(payload, sizeof(payload), "{\"command\":\"ping\",\"%s\":1}", name);
	receive("iotd/g/command", payload);
	reply = json_loads(reply_text, 0, NULL);
	ck_assert_ptr_nonnull(reply);
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(reply, "error")), "ää"));
	ck_assert_uint_lt(strlen(reply_text), 200);
}
END_TEST

START_TEST(retained_messages_are_ignored)
{
	struct incoming incoming = {
		.topic = "iotd/g/output/pump/set", .payload = "on", .length = 2, .retained = true
	};

	commands_receive(commands, &incoming);
	incoming.topic = "iotd/g/command";
	commands_receive(commands, &incoming);
	turn(1);
	ck_assert_int_eq(device.executed, 0);
	ck_assert_int_eq(replies, 0);
	ck_assert_uint_eq(stats.commands_refused, 2);
}
END_TEST

/* --- floods and ends ------------------------------------------------------------------------ */

static int turns_seen;

static void count_turn(struct reactor_call *call)
{
	turns_seen++;
	reactor_defer(reactor, call);
}

START_TEST(a_flood_is_taken_32_a_turn_and_256_at_most)
{
	const struct incoming incoming = { .topic = "iotd/g/output/pump/set",
					   .payload = "on",
					   .length = 2 };
	struct reactor_call counter = { .run = count_turn };

	for (int i = 0; i < 1000; i++)
		commands_receive(commands, &incoming);
	ck_assert_uint_eq(stats.commands_refused, 1000 - 256);
	reactor_defer(reactor, &counter);
	turns_seen = 0;
	while (device.executed < 256) {
		int before = device.executed, turns = turns_seen;
		struct task *task;

		ck_assert_int_eq(task_spawn(&task, reactor, end_step, NULL, NULL), 0);
		ck_assert_int_eq(reactor_run(reactor, task), 0);
		task_release(task);
		ck_assert_int_gt(turns_seen, turns);
		ck_assert_int_le(device.executed - before, 32L * (turns_seen - turns));
	}
	reactor_cancel_call(&counter);
	ck_assert_int_ge(turns_seen, 8);
	ck_assert_uint_eq(stats.commands, 256);
}
END_TEST

START_TEST(not_more_than_256_are_under_way)
{
	device.answers = false;
	for (int i = 0; i < 260; i++)
		receive("iotd/g/command", "{\"command\":\"read\",\"name\":\"air\"}");
	ck_assert_int_eq(device.executed, 256);
	ck_assert_int_eq(replies, 4);
	ck_assert_ptr_nonnull(strstr(reply_text, "too many commands are under way"));
	for (int i = 0; i < 256; i++)
		device.kept[i]->done(device.kept[i], &device.result);
	ck_assert_int_eq(replies, 260);
	receive("iotd/g/command", "{\"command\":\"read\",\"name\":\"air\"}");
	ck_assert_int_eq(device.executed, 257);
	device.kept[256]->done(device.kept[256], &device.result);
}
END_TEST

START_TEST(a_command_may_end_after_everything_else)
{
	device.answers = false;
	receive("iotd/g/command", "{\"command\":\"read\",\"name\":\"air\",\"id\":1}");
	receive("iotd/g/command", "{\"command\":\"read\",\"name\":\"air\",\"id\":2}");
	commands = commands_free(commands);
	device.kept[1]->done(device.kept[1], &device.result);
	device.kept[0]->done(device.kept[0], &device.result);
	ck_assert_int_eq(replies, 0);
}
END_TEST

START_TEST(dropped_commands_are_counted)
{
	const struct incoming incoming = { .topic = "iotd/g/output/pump/set",
					   .payload = "on",
					   .length = 2 };

	commands_receive(commands, &incoming);
	commands_receive(commands, &incoming);
	commands_drop(commands);
	turn(1);
	ck_assert_int_eq(device.executed, 0);
	ck_assert_uint_eq(stats.commands_refused, 2);
}
END_TEST

START_TEST(a_burst_is_one_line_and_a_number)
{
	struct burst burst;

	burst_init(&burst, reactor, LOG_DEBUG, "things happened");
	for (int i = 0; i < 3; i++)
		burst_note(&burst, 1, "a thing\nhappened");
	ck_assert(burst.active);
	ck_assert_uint_eq(burst.more, 2);
	turn(4 * USEC_PER_SEC);
	burst_note(&burst, 5, "again");
	turn(4 * USEC_PER_SEC);
	ck_assert(burst.active); /* it was quiet for 4 s only */
	ck_assert_uint_eq(burst.more, 7);
	turn(2 * USEC_PER_SEC);
	ck_assert(!burst.active);
	ck_assert_uint_eq(burst.more, 0);

	for (int i = 0; i < 59; i++) { /* one that does not end is summed up each minute */
		burst_note(&burst, 1, "on and on");
		turn(USEC_PER_SEC);
	}
	ck_assert_uint_eq(burst.more, 58);
	burst_note(&burst, 1, "on and on");
	turn(2 * USEC_PER_SEC);
	ck_assert(burst.active);
	ck_assert_uint_eq(burst.more, 0);
	burst_stop(&burst);
	turn(100 * USEC_PER_SEC);
}
END_TEST

/* --- mqtt-io's topics ----------------------------------------------------------------------- */

static void setup_mqtt_io(void)
{
	struct commands_parts parts = {
		.settings = &settings,
		.topic = "iotd/g",
		.is_mqtt_io = true,
		.control = &device.control,
		.events = &events,
		.stats = &stats,
	};

	setup();
	commands = commands_free(commands);
	parts.reactor = reactor;
	ck_assert_int_eq(commands_new(&commands, &parts), 0);
}

static const struct {
	const char *topic, *payload;
	bool on;
	int64_t for_us; /* -1: refused */
} timed[] = {
	{ "iotd/g/output/pump/set", "ON", true, 0 },
	{ "iotd/g/output/pump/set", "OFF", false, 0 },
	{ "iotd/g/output/pump/set_on_ms", "500", true, 500000 },
	{ "iotd/g/output/pump/set_on_ms", "0.5", true, 500 },
	{ "iotd/g/output/pump/set_off_ms", " 1.5e3\n", false, 1500000 },
	{ "iotd/g/output/pump/set_on_ms", "", true, -1 },
	{ "iotd/g/output/pump/set_on_ms", "ON", true, -1 },
	{ "iotd/g/output/pump/set_on_ms", "500 ms", true, -1 },
	{ "iotd/g/output/pump/set_on_ms", "0", true, -1 },
	{ "iotd/g/output/pump/set_on_ms", "-5", true, -1 },
	{ "iotd/g/output/pump/set_on_ms", "nan", true, -1 },
	{ "iotd/g/output/pump/set_on_ms", "1e300", true, -1 },
	{ "iotd/g/output/a b/set_on_ms", "500", true, -1 },
	{ "iotd/g/output/pump/set_ms", "500", true, -1 },
};

START_TEST(outputs_take_milliseconds_as_mqtt_io_does)
{
	receive(timed[_i].topic, timed[_i].payload);
	ck_assert_int_eq(device.executed, timed[_i].for_us >= 0);
	ck_assert_int_eq(replies, 0);
	ck_assert_uint_eq(stats.commands_refused, timed[_i].for_us < 0);
	if (timed[_i].for_us < 0)
		return;
	ck_assert_int_eq(device.copy.kind, COMMAND_SET);
	ck_assert_str_eq(device.copy.name, "pump");
	ck_assert_int_eq(device.copy.on, timed[_i].on);
	ck_assert_int_eq(device.copy.for_us, timed[_i].for_us);
}
END_TEST

START_TEST(set_must_be_allowed_for_milliseconds_too)
{
	settings.allow[COMMAND_SET] = false;
	receive("iotd/g/output/pump/set_on_ms", "500");
	ck_assert_int_eq(device.executed, 0);
	ck_assert_uint_eq(stats.commands_refused, 1);
}
END_TEST

START_TEST(topics_of_mqtt_io_to_subscribe_to)
{
	const char *const *topics = commands_topics(commands);

	ck_assert_str_eq(topics[1], "iotd/g/output/+/set");
	ck_assert_str_eq(topics[2], "iotd/g/output/+/set_on_ms");
	ck_assert_str_eq(topics[3], "iotd/g/output/+/set_off_ms");
	ck_assert_ptr_null(topics[4]);
}
END_TEST

START_TEST(topics_to_subscribe_to)
{
	const char *const *topics = commands_topics(commands);

	ck_assert_str_eq(topics[0], "iotd/g/command");
	ck_assert_str_eq(topics[1], "iotd/g/output/+/set");
	ck_assert_ptr_null(topics[2]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("commands");
	TCase *tests = tcase_create("commands"), *mqtt_io = tcase_create("mqtt-io");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, replies_are_exact, 0, (int)ARRAY_SIZE(answers));
	tcase_add_loop_test(tests, an_id_comes_back_as_it_came, 0, ARRAY_SIZE(ids));
	tcase_add_test(tests, stats_are_those_of_the_topic);
	tcase_add_test(tests, a_response_topic_gets_the_reply_with_its_correlation_data);
	tcase_add_test(tests, a_response_topic_of_the_brokers_own_is_not_used);
	tcase_add_loop_test(tests, well_formed_commands_are_carried_out, 0,
			    (int)ARRAY_SIZE(understood));
	tcase_add_loop_test(tests, bad_commands_are_named_and_change_nothing, 0,
			    (int)ARRAY_SIZE(refused));
	tcase_add_loop_test(tests, bad_sets_change_nothing, 0, (int)ARRAY_SIZE(refused_sets));
	tcase_add_loop_test(tests, what_is_refused_is_counted_by_why, 0, (int)ARRAY_SIZE(refusals));
	tcase_add_test(tests, a_flood_is_counted_as_dropped);
	tcase_add_test(tests, set_must_be_allowed_on_its_topic_too);
	tcase_add_test(tests, over_4096_bytes_is_refused);
	tcase_add_loop_test(tests, long_names_are_cut_between_characters, 0, 3);
	tcase_add_test(tests, retained_messages_are_ignored);
	tcase_add_test(tests, a_flood_is_taken_32_a_turn_and_256_at_most);
	tcase_add_test(tests, not_more_than_256_are_under_way);
	tcase_add_test(tests, a_command_may_end_after_everything_else);
	tcase_add_test(tests, dropped_commands_are_counted);
	tcase_add_test(tests, a_burst_is_one_line_and_a_number);
	tcase_add_test(tests, topics_to_subscribe_to);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(mqtt_io, setup_mqtt_io, teardown);
	tcase_add_loop_test(mqtt_io, outputs_take_milliseconds_as_mqtt_io_does, 0,
			    (int)ARRAY_SIZE(timed));
	tcase_add_test(mqtt_io, set_must_be_allowed_for_milliseconds_too);
	tcase_add_test(mqtt_io, topics_of_mqtt_io_to_subscribe_to);
	suite_add_tcase(suite, mqtt_io);
	return suite_run(suite);
}
