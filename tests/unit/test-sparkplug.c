/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sparkplug B: payloads to the byte, as they are worked out by hand from the table of fields, and
 * the edge node on a wire that takes notes: what is sent in which order, with which numbers. The
 * reader is a few lines of its own. On the virtual clock.
 */
#include <errno.h>
#include <stdio.h>

#include "fixture.h"

#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/message.h"
#include "iotd/sparkplug.h"
#include "iotd/task.h"
#include "mqtt/sparkplug.h"

#define START_US (100 * USEC_PER_SEC)
#define SENT_MAX 2000

/* --- payloads ------------------------------------------------------------------------------- */

#define NAME_T	 0x0a, 0x01, 't'
#define TIME_5MS 0x18, 0x05
#define IS_1_5	 0x69, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x3f

static const struct {
	struct metric metric;
	bool is_birth;
	size_t length;
	uint8_t bytes[40];
} payloads[] = {
	{ { .name = "t", .unit = "V", .time_us = 5999, .number = 1.5 },
	  false,
	  16,
	  { 0x12, 14, NAME_T, TIME_5MS, IS_1_5 } },
	{ { .name = "t", .unit = "V", .time_us = 5000, .number = 1.5 },
	  true,
	  36,
	  { 0x12, 34,  NAME_T, TIME_5MS, 0x20, 10, 0x4a, 16, 0x0a, 7, 'e', 'n',	  'g',
	    'U',  'n', 'i',    't',	 0x12, 5,  0x08, 12, 0x42, 1, 'V', IS_1_5 } },
	{ { .name = "t", .type = METRIC_SWITCH, .time_us = 5000, .on = true },
	  false,
	  9,
	  { 0x12, 7, NAME_T, TIME_5MS, 0x70, 0x01 } },
	{ { .name = "t", .type = METRIC_SWITCH, .time_us = 5000, .on = false },
	  true,
	  11,
	  { 0x12, 9, NAME_T, TIME_5MS, 0x20, 11, 0x70, 0x00 } },
	{ { .name = "t", .type = METRIC_COUNT, .time_us = 5000, .count = 255 },
	  true,
	  12,
	  { 0x12, 10, NAME_T, TIME_5MS, 0x20, 8, 0x58, 0xff, 0x01 } },
	{ { .name = "t", .type = METRIC_TEXT, .time_us = 5000, .text = "x" },
	  true,
	  12,
	  { 0x12, 10, NAME_T, TIME_5MS, 0x20, 12, 0x7a, 0x01, 'x' } },
	{ { .name = "t", .is_null = true, .time_us = 5000, .number = 1.5 },
	  true,
	  11,
	  { 0x12, 9, NAME_T, TIME_5MS, 0x20, 10, 0x38, 0x01 } },
	{ { .name = "t", .time_us = -5000, .number = 1.5 },
	  false,
	  16,
	  { 0x12, 14, NAME_T, 0x18, 0x00, IS_1_5 } },
};

START_TEST(a_metric_is_written_as_the_specification_has_it)
{
	struct message *message;

	ck_assert_int_eq(sparkplug_payload_new(&message, "topic", &payloads[_i].metric, 1,
					       payloads[_i].is_birth),
			 0);
	ck_assert_str_eq(message->topic, "topic");
	ck_assert_uint_eq(message->length, payloads[_i].length);
	ck_assert_mem_eq(message->payload, payloads[_i].bytes, message->length);
	message_free(message);
}
END_TEST

static const struct {
	struct sparkplug_stamp stamp;
	size_t length;
	uint8_t bytes[40];
} stamps[] = {
	{ { 7000, 3, false }, 20, { 0x12, 14, NAME_T, TIME_5MS, IS_1_5, 0x08, 7, 0x18, 3 } },
	{ { 7000, 0, false }, 20, { 0x12, 14, NAME_T, TIME_5MS, IS_1_5, 0x08, 7, 0x18, 0 } },
	{ { 7000, 255, false },
	  21,
	  { 0x12, 14, NAME_T, TIME_5MS, IS_1_5, 0x08, 7, 0x18, 0xff, 0x01 } },
	{ { 7000, -1, false }, 18, { 0x12, 14, NAME_T, TIME_5MS, IS_1_5, 0x08, 7 } },
	{ { 7000, 3, true },
	  22,
	  { 0x12, 16, NAME_T, TIME_5MS, 0x28, 0x01, IS_1_5, 0x08, 7, 0x18, 3 } },
};

START_TEST(time_and_number_come_when_it_is_sent)
{
	const struct metric metric = { .name = "t", .time_us = 5000, .number = 1.5 };
	struct message *message, *finished;

	ck_assert_int_eq(sparkplug_payload_new(&message, "topic", &metric, 1, false), 0);
	ck_assert_int_eq(sparkplug_payload_finish(&finished, message, &stamps[_i].stamp), 0);
	ck_assert_str_eq(finished->topic, "topic");
	ck_assert_uint_eq(finished->length, stamps[_i].length);
	ck_assert_mem_eq(finished->payload, stamps[_i].bytes, finished->length);
	message_free(finished);
	message_free(message);
}
END_TEST

static const struct {
	size_t length;
	uint8_t bytes[32];
} strangers[] = {
	{ 8, "{\"time\":" },
	{ 3, { 0x80, 0, 0 } }, /* a field 0: protobuf-c reads it, but not what it writes of it */
	{ 10, { 0x12, 5, NAME_T, 0x70, 1, 0xfa, 0x01, 0 } },
	{ 10, { 0x12, 8, NAME_T, 0x8a, 0x01, 2, 0x08, 1 } },
	{ 7, { 0x12, 5, NAME_T, 0x4a, 0 } },
};

START_TEST(a_late_one_must_be_a_payload_of_ours)
{
	const struct sparkplug_stamp stamp = { .is_late = true };
	struct message *message, *finished = NULL;

	ck_assert_int_eq(message_new(&message, "topic", strangers[_i].bytes, strangers[_i].length),
			 0);
	ck_assert_int_eq(sparkplug_payload_finish(&finished, message, &stamp), -EBADMSG);
	ck_assert_ptr_null(finished);
	message_free(message);
}
END_TEST

START_TEST(as_many_metrics_as_a_device_has_at_most)
{
	struct metric metrics[SPARKPLUG_METRICS_MAX];
	struct message *message;

	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		metrics[i] = (struct metric){ .name = "t", .time_us = 5000, .number = 1.5 };
	ck_assert_int_eq(
		sparkplug_payload_new(&message, "topic", metrics, ARRAY_SIZE(metrics), false), 0);
	ck_assert_uint_eq(message->length, 16 * ARRAY_SIZE(metrics));
	message_free(message);
}
END_TEST

static struct metric seen_metric;
static char seen_text[16];
static int seen_metrics;

static void see(void *data, const struct metric *metric)
{
	ck_assert_ptr_null(data);
	seen_metrics++;
	seen_metric = *metric;
	(void)snprintf(seen_text, sizeof(seen_text), "%s", metric->name);
}

static const struct {
	size_t length;
	uint8_t bytes[32];
	int error, count;
	struct metric metric; /* the last one */
} arrivals[] = {
	{ 0, { 0 }, 0, 0, { 0 } },
	{ 4, "none", -EBADMSG, 0, { 0 } },
	{ 3, { 0x12, 0x7f, 0x0a }, -EBADMSG, 0, { 0 } },
	{ 9,
	  { 0x12, 7, NAME_T, TIME_5MS, 0x70, 1 },
	  0,
	  1,
	  { .type = METRIC_SWITCH, .on = true, .time_us = 5000 } },
	{ 7, { 0x12, 5, NAME_T, 0x70, 0 }, 0, 1, { .type = METRIC_SWITCH } },
	{ 16, { 0x12, 14, NAME_T, TIME_5MS, IS_1_5 }, 0, 1, { .time_us = 5000, .number = 1.5 } },
	{ 7, { 0x12, 5, NAME_T, 0x58, 9 }, 0, 1, { .type = METRIC_COUNT, .count = 9 } },
	/* int_value, dataset_value, a name alone: nothing that is obeyed */
	{ 7, { 0x12, 5, NAME_T, 0x50, 1 }, 0, 1, { .is_null = true } },
	{ 10, { 0x12, 8, NAME_T, 0x8a, 0x01, 2, 0x08, 1 }, 0, 1, { .is_null = true } },
	{ 5, { 0x12, 3, NAME_T }, 0, 1, { .is_null = true } },
	{ 9,
	  { 0x12, 7, NAME_T, 0x38, 1, 0x70, 1 },
	  0,
	  1,
	  { .type = METRIC_SWITCH, .on = true, .is_null = true } },
	/* no name; two metrics; a field that nobody knows */
	{ 4, { 0x12, 2, 0x70, 1 }, 0, 0, { 0 } },
	{ 12,
	  { 0x12, 3, NAME_T, 0x12, 5, NAME_T, 0x70, 1 },
	  0,
	  2,
	  { .type = METRIC_SWITCH, .on = true } },
	{ 10,
	  { 0x12, 5, NAME_T, 0x70, 1, 0xfa, 0x01, 0 },
	  0,
	  1,
	  { .type = METRIC_SWITCH, .on = true } },
};

START_TEST(what_comes_in_is_read_or_refused)
{
	const struct metric *wanted = &arrivals[_i].metric;

	seen_metrics = 0;
	ck_assert_int_eq(
		sparkplug_payload_parse(arrivals[_i].bytes, arrivals[_i].length, see, NULL),
		arrivals[_i].error);
	ck_assert_int_eq(seen_metrics, arrivals[_i].count);
	if (seen_metrics == 0)
		return;
	ck_assert_str_eq(seen_text, "t");
	ck_assert_int_eq(seen_metric.is_null, wanted->is_null);
	ck_assert_int_eq(seen_metric.type, wanted->type);
	ck_assert_int_eq(seen_metric.time_us, wanted->time_us);
	ck_assert_uint_eq(seen_metric.count, wanted->count); /* all bits of the union */
}
END_TEST

START_TEST(of_several_switches_the_last_counts)
{
	const struct metric metrics[] = {
		{ .name = "state", .type = METRIC_SWITCH, .on = true },
		{ .name = "other", .type = METRIC_SWITCH, .on = true },
		{ .name = "state", .type = METRIC_SWITCH, .on = false },
		{ .name = "state", .type = METRIC_COUNT, .count = 1 },
		{ .name = "state", .type = METRIC_SWITCH, .is_null = true },
	};
	struct message *message;
	bool on = true;

	ck_assert_int_eq(
		sparkplug_payload_new(&message, "topic", metrics, ARRAY_SIZE(metrics), false), 0);
	ck_assert_int_eq(sparkplug_payload_switch(message->payload, message->length, "state", &on),
			 0);
	ck_assert(!on);
	ck_assert_int_eq(sparkplug_payload_switch(message->payload, message->length, "stat", &on),
			 -ENOENT);
	ck_assert_int_eq(sparkplug_payload_switch("none", 4, "state", &on), -EBADMSG);
	message_free(message);
}
END_TEST

/* --- a reader ------------------------------------------------------------------------------- */

struct sent {
	char topic[80];
	uint8_t payload[512];
	size_t length;
	uint32_t expiry_s;
	int mid, qos;
	bool retain;
};

/* what a payload says of itself; -1: nothing */
struct told {
	int64_t time, seq;
	int metrics, late, nulls;
	int64_t bd_seq; /* the last long_value */
	double number;	/* the last double_value */
	int on;		/* the last boolean_value */
	char names[128];
};

static uint64_t read_varint(const uint8_t **at, const uint8_t *end)
{
	uint64_t number = 0;

	for (int shift = 0; shift < 64; shift += 7) {
		ck_assert(*at < end);
		number |= (uint64_t)(**at & 0x7f) << shift;
		if (!(*(*at)++ & 0x80))
			return number;
	}
	ck_abort_msg("a varint without an end");
}

static void read_metric(struct told *told, const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		uint64_t tag = read_varint(&at, end), number = 0;

		if ((tag & 7) == 1) {
			memcpy(&told->number, at, sizeof(told->number));
			at += sizeof(told->number);
			continue;
		}
		number = read_varint(&at, end);
		if (tag == 0x0a) {
			size_t length = strlen(told->names);

			ck_assert_uint_lt(length + number + 1, sizeof(told->names));
			memcpy(told->names + length, at, number);
			memcpy(told->names + length + number, " ", 2);
		}
		if ((tag & 7) == 2)
			at += number;
		told->late += tag == 0x28 && number;
		told->nulls += tag == 0x38 && number;
		if (tag == 0x58)
			told->bd_seq = (int64_t)number;
		if (tag == 0x70)
			told->on = (int)number;
	}
	ck_assert_ptr_eq(at, end);
}

static struct told read_payload(const void *payload, size_t length)
{
	struct told told = { .time = -1, .seq = -1, .bd_seq = -1, .on = -1 };
	const uint8_t *at = payload, *end = at + length;

	while (at < end) {
		uint64_t tag = read_varint(&at, end), number = read_varint(&at, end);

		if (tag == 0x12) {
			told.metrics++;
			read_metric(&told, at, at + number);
			at += number;
		}
		if (tag == 0x08)
			told.time = (int64_t)number;
		if (tag == 0x18)
			told.seq = (int64_t)number;
	}
	ck_assert_ptr_eq(at, end);
	return told;
}

/* --- a wire that takes notes ---------------------------------------------------------------- */

static struct {
	struct wire wire;
	struct sent *sent;
	size_t count, full_after; /* full_after: it takes no more then; 0: never */
	const char *unsendable;	  /* a topic */
} line;

static struct reactor *reactor;
static struct publisher *publisher;
static struct sparkplug *node;
static struct sparkplug_events events;
static struct spool *spool;
static struct stats stats;
static struct sensor_settings sensors[3];
static struct output_settings outputs[1];
static struct settings settings;
static char commands[4][96];
static int command_count;
static const struct wire_limits no_limits = { WIRE_WINDOW, 2, true };

static int line_publish(struct wire *wire, const struct wire_message *message, int *ret_mid)
{
	struct sent *sent = &line.sent[line.count];

	ck_assert_ptr_eq(wire, &line.wire);
	if (line.unsendable && strcmp(message->topic, line.unsendable) == 0)
		return -EMSGSIZE;
	ck_assert_uint_lt(line.count, SENT_MAX);
	ck_assert_uint_le(message->length, sizeof(sent->payload));
	(void)snprintf(sent->topic, sizeof(sent->topic), "%s", message->topic);
	memcpy(sent->payload, message->payload, message->length);
	sent->length = message->length;
	sent->qos = message->qos;
	sent->retain = message->retain;
	sent->expiry_s = message->expiry_s;
	sent->mid = *ret_mid = (int)++line.count;
	return 0;
}

static bool line_is_full(struct wire *wire)
{
	(void)wire;
	return line.full_after > 0 && line.count >= line.full_after;
}

static void line_end(struct wire *wire)
{
	(void)wire;
}

static void wake(struct sparkplug_events *e)
{
	ck_assert_ptr_eq(e, &events);
	publisher_wake(publisher);
}

static void take_command(struct sparkplug_events *e, const struct incoming *in)
{
	ck_assert_ptr_eq(e, &events);
	ck_assert_int_lt(command_count, (int)ARRAY_SIZE(commands));
	(void)snprintf(commands[command_count++], sizeof(commands[0]), "%s %s%s", in->topic,
		       in->length == 2 ? "on" : "off", in->retained ? " retained" : "");
	ck_assert_mem_eq(in->payload, in->length == 2 ? "on" : "off", in->length);
}

/* --- tools ---------------------------------------------------------------------------------- */

static void configure(void)
{
	static char air[] = "air", tank[] = "tank", spare[] = "spare", pump[] = "pump";
	static char topic[] = "plant/hall/7", device[] = "box";

	sensors[0] = (struct sensor_settings){ .name = air, .enabled = true };
	sensors[1] = (struct sensor_settings){ .name = tank, .enabled = true };
	sensors[2] = (struct sensor_settings){ .name = spare, .enabled = false };
	outputs[0] = (struct output_settings){ .name = pump, .enabled = true };
	settings = (struct settings){
		.device = device,
		.mqtt = { .topic = topic, .format = FORMAT_SPARKPLUG },
		.sensors = sensors,
		.sensor_count = ARRAY_SIZE(sensors),
		.outputs = outputs,
		.output_count = ARRAY_SIZE(outputs),
	};
}

static void setup(void)
{
	static const struct spool_settings spool_settings = { .path = NULL, .max_size = 64 << 20 };
	struct spool_parts spool_parts = { .settings = &spool_settings, .stats = &stats };
	struct sparkplug_parts parts = { .settings = &settings,
					 .events = &events,
					 .stats = &stats };
	struct publisher_parts publisher_parts = { .wire = &line.wire, .stats = &stats };

	memset(&line, 0, sizeof(line));
	line.wire = (struct wire){ line_publish, line_is_full, line_end };
	line.sent = calloc(SENT_MAX, sizeof(*line.sent));
	ck_assert_ptr_nonnull(line.sent);
	stats = (struct stats){ 0 };
	command_count = 0;
	events = (struct sparkplug_events){ wake, take_command };
	log_set_level(LOG_ERR);
	configure();
	ck_assert_int_eq(reactor_new_virtual(&reactor, START_US), 0);
	spool_parts.reactor = parts.reactor = publisher_parts.reactor = reactor;
	ck_assert_int_eq(spool_new(&spool, &spool_parts), 0);
	ck_assert_int_eq(sparkplug_new(&node, &parts), 0);
	publisher_parts.spool = spool;
	publisher_parts.session = sparkplug_session(node);
	ck_assert_int_eq(publisher_new(&publisher, &publisher_parts), 0);
}

static void teardown(void)
{
	publisher = publisher_free(publisher);
	node = sparkplug_free(node);
	spool = spool_free(spool);
	reactor = reactor_free(reactor);
	free(line.sent);
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

/* let the reactor turn for @us */
static void turn(int64_t us)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, wait_step, &us, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

/* all that was sent is written; what that lets go is sent and written too */
static void settle(void)
{
	size_t done = 0;

	turn(1000);
	while (done < line.count) {
		while (done < line.count)
			publisher_acknowledged(publisher, line.sent[done++].mid, 0, "");
		turn(1000);
	}
}

static void go_up(void)
{
	sparkplug_begin(node);
	publisher_up(publisher, &no_limits);
	settle();
}

static void go_down(void)
{
	publisher_down(publisher);
	sparkplug_pause(node);
	line.count = 0;
}

static void catch_message(void *data, struct message *message)
{
	*(struct message **)data = message;
}

static const struct channel temperature = { "temperature", "°C", 2 };
static const struct channel humidity = { "humidity", "%", 1 };

/* as the daemon does: what it is born with, and the message */
static void tell(const char *name, const struct channel *channel, double number)
{
	const struct reading reading = {
		.name = name,
		.time_us = 1795353300123000LL,
		.count = 1,
		.values = { { channel, number } },
	};
	char *topic = sparkplug_topic_new("plant/hall/7", "DDATA", "box", name);
	const struct message_origin origin = { .topic = topic };
	struct message *message;

	sparkplug_note_reading(node, &reading);
	ck_assert_int_eq(
		message_from_reading(FORMAT_SPARKPLUG, &origin, &reading, catch_message, &message),
		0);
	message->qos = 1;
	message->retain = true;
	message->queued_us = reactor_now(reactor);
	publisher_push(publisher, message);
	free(topic);
}

static void tell_state(const char *name, bool on)
{
	const struct state state = { DEVICE_OUTPUT, name, on, 1795353300123000LL };
	char *topic = sparkplug_topic_new("plant/hall/7", "DDATA", "box", name);
	const struct message_origin origin = { .topic = topic };
	struct message *message;

	sparkplug_note_state(node, &state);
	ck_assert_int_eq(message_from_state(FORMAT_SPARKPLUG, &origin, &state, &message), 0);
	publisher_push(publisher, message);
	free(topic);
}

static void push_foreign(const char *topic)
{
	struct message *message;

	ck_assert_int_eq(message_new(&message, topic, "{}", 2), 0);
	message->qos = 1;
	publisher_push(publisher, message);
}

/* all that was sent since @from: verbs and devices, as "NBIRTH DBIRTH/air" */
static const char *script_from(size_t from)
{
	static char text[4096];
	char verb[16], device[32];

	text[0] = '\0';
	for (size_t i = from; i < line.count; i++) {
		device[0] = '\0';
		ck_assert_int_ge(
			sscanf(line.sent[i].topic, "spBv1.0/plant/%15[^/]/box/%31s", verb, device),
			1);
		(void)sprintf(text + strlen(text), "%s%s%s%s", i > from ? " " : "", verb,
			      device[0] ? "/" : "", device);
	}
	return text;
}

static struct told told_at(size_t i)
{
	ck_assert_uint_lt(i, line.count);
	return read_payload(line.sent[i].payload, line.sent[i].length);
}

/* of all but NDEATH: numbers without a gap from 0, the time, QoS 0, not retained */
static void assert_numbered(void)
{
	int64_t next = 0;

	for (size_t i = 0; i < line.count; i++) {
		struct told told = told_at(i);

		if (strstr(line.sent[i].topic, "/NBIRTH/"))
			next = 0;
		ck_assert_int_eq(told.seq, next);
		ck_assert_int_gt(told.time, 1600000000000LL);
		ck_assert_int_eq(line.sent[i].qos, 0);
		ck_assert(!line.sent[i].retain);
		next = (next + 1) % 256;
	}
}

/* --- tests ---------------------------------------------------------------------------------- */

START_TEST(topics_have_group_node_and_device)
{
	char *topic = sparkplug_topic_new("plant/hall/7", "DDATA", "box", "air");

	ck_assert_str_eq(topic, "spBv1.0/plant/DDATA/box/air");
	free(topic);
	topic = sparkplug_topic_new("plant", "NBIRTH", "box", NULL);
	ck_assert_str_eq(topic, "spBv1.0/plant/NBIRTH/box");
	free(topic);
	ck_assert_str_eq(sparkplug_node_commands(node), "spBv1.0/plant/NCMD/box");
	ck_assert_str_eq(sparkplug_device_commands(node), "spBv1.0/plant/DCMD/box/+");
}
END_TEST

START_TEST(a_session_begins_with_births)
{
	struct told told;

	tell("air", &temperature, 21.371);
	tell("tank", &temperature, 4);
	tell_state("pump", true);
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DBIRTH/tank DBIRTH/pump DDATA/air "
					 "DDATA/tank DDATA/pump");
	assert_numbered();
	told = told_at(0);
	ck_assert_str_eq(told.names, "bdSeq Node Control/Rebirth Properties/Version ");
	ck_assert_int_eq(told.bd_seq, 0);
	ck_assert_int_eq(told.on, 0);
	told = told_at(1);
	ck_assert_str_eq(told.names, "temperature ");
	ck_assert_double_eq(told.number, 21.37);
	ck_assert_int_eq(told.late, 0);
	ck_assert_int_eq(told_at(3).on, 1);
}
END_TEST

START_TEST(it_is_not_idle_before_the_births_are_sent)
{
	sparkplug_begin(node);
	publisher_up(publisher, &no_limits);
	ck_assert(!publisher_is_idle(publisher));
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH");
	ck_assert(publisher_is_idle(publisher));
}
END_TEST

START_TEST(a_reading_from_before_the_session_is_historical)
{
	tell("air", &temperature, 20);
	turn(1000);
	go_up();
	tell("air", &temperature, 21);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air DDATA/air");
	ck_assert_int_eq(told_at(2).late, 1);
	ck_assert_double_eq(told_at(2).number, 20);
	ck_assert_int_eq(told_at(3).late, 0);
	ck_assert_double_eq(told_at(3).number, 21);
}
END_TEST

START_TEST(numbers_go_to_255_and_begin_at_0_again)
{
	go_up();
	for (int i = 0; i < 600; i++) {
		tell("air", &temperature, i);
		if (i % 50 == 49)
			settle();
	}
	ck_assert_uint_eq(line.count, 602);
	ck_assert_int_eq(told_at(256).seq, 0);
	assert_numbered();
}
END_TEST

START_TEST(a_message_that_cannot_be_sent_has_no_number)
{
	struct message *state;

	go_up();
	tell("air", &temperature, 1);
	tell("tank", &temperature, 1);
	settle();
	line.unsendable = "spBv1.0/plant/DDATA/box/air";
	tell("air", &temperature, 2);
	settle();
	ck_assert_uint_eq(stats.refused, 1);
	push_foreign("iotd/t/sensor/air");
	ck_assert_int_eq(message_new(&state, "iotd/t/stats", "{}", 2), 0);
	ck_assert_int_eq(publisher_set_state(publisher, state), 0);
	settle();
	ck_assert_uint_eq(line.count, 7);
	line.count = 5;
	tell("tank", &temperature, 2);
	settle();
	ck_assert_str_eq(script_from(3), "DBIRTH/tank DDATA/tank DDATA/tank");
	assert_numbered();
}
END_TEST

START_TEST(each_connection_is_a_session_with_the_next_bdseq)
{
	struct told told;

	for (int i = 0; i < 300; i++) {
		const struct message *death = sparkplug_will(node, i > 0);

		told = read_payload(death->payload, death->length);
		ck_assert_str_eq(death->topic, "spBv1.0/plant/NDEATH/box");
		ck_assert_int_eq(death->qos, 1);
		ck_assert(!death->retain);
		ck_assert_int_eq(told.seq, -1);
		ck_assert_str_eq(told.names, "bdSeq ");
		ck_assert_int_eq(told.bd_seq, i % 256);
		go_up();
		ck_assert_str_eq(script_from(0), "NBIRTH");
		ck_assert_int_eq(told_at(0).seq, 0);
		ck_assert_int_eq(told_at(0).bd_seq, i % 256);
		go_down();
	}
}
END_TEST

START_TEST(an_attempt_that_reached_nobody_does_not_use_a_bdseq)
{
	const struct message *death = sparkplug_will(node, false);

	ck_assert_int_eq(read_payload(death->payload, death->length).bd_seq, 0);
	death = sparkplug_will(node, false);
	ck_assert_int_eq(read_payload(death->payload, death->length).bd_seq, 0);
	death = sparkplug_will(node, true);
	ck_assert_int_eq(read_payload(death->payload, death->length).bd_seq, 1);
}
END_TEST

static bool receive(const char *topic, const char *name, enum metric_type type, bool on,
		    bool retained)
{
	const struct metric metric = { .name = name, .type = type, .on = on };
	struct message *message;
	struct incoming in = { .topic = topic, .retained = retained };
	bool taken;

	ck_assert_int_eq(sparkplug_payload_new(&message, topic, &metric, 1, false), 0);
	in.payload = message->payload;
	in.length = message->length;
	taken = sparkplug_receive(node, &in);
	message_free(message);
	return taken;
}

/* as the link does when it looks for an earlier broker */
START_TEST(a_connection_tried_beside_ours_has_a_bdseq_of_its_own)
{
	const struct message *will;
	struct message *death;

	(void)sparkplug_will(node, false);
	go_up();
	will = sparkplug_will(node, true);
	ck_assert_int_eq(read_payload(will->payload, will->length).bd_seq, 1);
	turn(2 * USEC_PER_SEC);
	ck_assert(receive("spBv1.0/plant/NCMD/box", SPARKPLUG_REBIRTH, METRIC_SWITCH, true, false));
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH NBIRTH");
	ck_assert_int_eq(told_at(1).bd_seq, 0);
	go_down();
	go_up(); /* with that one */
	ck_assert_int_eq(told_at(0).bd_seq, 1);
	(void)sparkplug_will(node, true);
	ck_assert_int_eq(sparkplug_end(node, &death), 0);
	ck_assert_int_eq(read_payload(death->payload, death->length).bd_seq, 1);
	ck_assert_int_eq(death->qos, 1);
	ck_assert(!death->retain);
	message_free(death);
}
END_TEST

START_TEST(what_was_not_written_is_sent_in_the_next_session)
{
	go_up();
	tell("air", &temperature, 1);
	turn(1000); /* handed over, and not written */
	go_down();
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air");
	ck_assert_int_eq(told_at(2).late, 1);
	ck_assert(spool_is_empty(spool));
}
END_TEST

START_TEST(a_reading_expires_and_a_birth_does_not)
{
	const struct reading reading = { .name = "air",
					 .count = 1,
					 .values = { { &temperature, 1 } } };
	const struct message_origin origin = { .topic = "spBv1.0/plant/DDATA/box/air" };
	struct message *message;

	go_up();
	sparkplug_note_reading(node, &reading);
	ck_assert_int_eq(
		message_from_reading(FORMAT_SPARKPLUG, &origin, &reading, catch_message, &message),
		0);
	message->expires_us = reactor_now(reactor) + 60 * USEC_PER_SEC;
	publisher_push(publisher, message);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air");
	ck_assert_uint_eq(line.sent[1].expiry_s, 0);
	ck_assert_uint_eq(line.sent[2].expiry_s, 60);
}
END_TEST

START_TEST(a_sensor_that_fails_dies_and_is_born_again)
{
	tell("air", &temperature, 1);
	go_up();
	sparkplug_note_status(node, "air", STATUS_OFFLINE);
	settle();
	sparkplug_note_status(node, "air", STATUS_OFFLINE);
	settle();
	tell("tank", &temperature, 1);
	sparkplug_note_status(node, "air", STATUS_ONLINE);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air DDEATH/air DBIRTH/air "
					 "DBIRTH/tank DDATA/tank");
	ck_assert_int_eq(told_at(3).metrics, 0);
	assert_numbered();
}
END_TEST

START_TEST(a_death_that_was_not_told_is_none)
{
	tell("air", &temperature, 1);
	go_up();
	sparkplug_note_status(node, "air", STATUS_OFFLINE);
	sparkplug_note_status(node, "air", STATUS_ONLINE);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air");
}
END_TEST

START_TEST(a_reading_that_waits_for_a_birth_is_sent_once)
{
	tell("air", &temperature, 1);
	line.full_after = 2;
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air");
	go_down();
	line.full_after = 0;
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air");
}
END_TEST

START_TEST(who_is_offline_is_not_born_with_the_session)
{
	tell("air", &temperature, 1);
	go_up();
	sparkplug_note_status(node, "air", STATUS_OFFLINE);
	settle();
	go_down();
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH");
}
END_TEST

START_TEST(a_death_goes_behind_the_readings_from_before)
{
	go_up();
	line.full_after = 4;
	for (int i = 0; i < 5; i++)
		tell("air", &temperature, i);
	sparkplug_note_status(node, "air", STATUS_OFFLINE);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air DDATA/air");
	line.full_after = 0;
	publisher_writable(publisher);
	settle();
	ck_assert_str_eq(script_from(4), "DDATA/air DDATA/air DDATA/air DDEATH/air");
	assert_numbered();
}
END_TEST

START_TEST(old_readings_of_a_dead_sensor_have_it_born_for_them)
{
	tell("air", &temperature, 1);
	sparkplug_note_status(node, "air", STATUS_OFFLINE);
	tell("tank", &temperature, 1);
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/tank DBIRTH/air DDATA/air DDATA/tank "
					 "DDEATH/air");
	assert_numbered();
}
END_TEST

START_TEST(old_readings_of_what_is_not_configured_any_more_have_it_born)
{
	static const struct metric metric = { .name = "level", .time_us = 5000, .number = 3 };
	struct message *message;
	struct told told;

	ck_assert_int_eq(
		sparkplug_payload_new(&message, "spBv1.0/plant/DDATA/box/gone", &metric, 1, false),
		0);
	publisher_push(publisher, message);
	turn(1000);
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/gone DDATA/gone DDEATH/gone");
	told = told_at(1);
	ck_assert_str_eq(told.names, "level ");
	ck_assert_int_eq(told.nulls, 1);
	told = told_at(2);
	ck_assert_int_eq(told.late, 1);
	ck_assert_double_eq(told.number, 3);
	assert_numbered();
}
END_TEST

START_TEST(what_an_old_reading_does_not_say_comes_with_a_live_one)
{
	static const struct metric metric = { .name = "temperature", .time_us = 5000, .number = 3 };
	struct message *message;

	ck_assert_int_eq(
		sparkplug_payload_new(&message, "spBv1.0/plant/DDATA/box/air", &metric, 1, false),
		0);
	publisher_push(publisher, message);
	go_up();
	tell("air", &temperature, 4);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air DBIRTH/air DDATA/air");
	ck_assert_int_eq(told_at(1).nulls, 1);
	ck_assert_int_eq(told_at(3).nulls, 0);
	ck_assert_ptr_nonnull(memmem(line.sent[3].payload, line.sent[3].length, "°C", 3));
}
END_TEST

START_TEST(readings_of_another_format_or_node_leave_as_they_are)
{
	static const char *const topics[] = { "iotd/t/sensor/air", "spBv1.0/plant/DDATA/other/air",
					      "spBv1.0/plant/DDATA/box/",
					      "spBv1.0/plant/DDATA/box/a/b" };

	go_up();
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		push_foreign(topics[i]);
	settle();
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
		ck_assert_str_eq(line.sent[1 + i].topic, topics[i]);
		ck_assert_uint_eq(line.sent[1 + i].length, 2);
		ck_assert_int_eq(line.sent[1 + i].qos, 1);
	}
	tell("air", &temperature, 1);
	settle();
	ck_assert_int_eq(told_at(line.count - 1).seq, 2);
}
END_TEST

START_TEST(a_metric_that_shows_up_later_has_the_device_born_again)
{
	go_up();
	tell("air", &temperature, 1);
	settle();
	tell("air", &humidity, 40);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air DBIRTH/air DDATA/air");
	ck_assert_str_eq(told_at(3).names, "temperature humidity ");
	assert_numbered();
}
END_TEST

START_TEST(what_a_reload_removed_dies)
{
	tell("air", &temperature, 1);
	tell("tank", &temperature, 1);
	go_up();
	sensors[0].enabled = false;
	sensors[2].enabled = true;
	sparkplug_update(node, &settings);
	settle();
	ck_assert_str_eq(script_from(5), "DDEATH/air");
	go_down();
	go_up();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/tank");
}
END_TEST

/* --- commands ------------------------------------------------------------------------------- */

START_TEST(a_rebirth_is_the_same_session_from_the_start)
{
	tell("air", &temperature, 1);
	(void)sparkplug_will(node, false);
	(void)sparkplug_will(node, true);
	go_up();
	turn(2 * USEC_PER_SEC);
	ck_assert(receive("spBv1.0/plant/NCMD/box", SPARKPLUG_REBIRTH, METRIC_SWITCH, true, false));
	turn(1000);
	tell("air", &temperature, 2);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air NBIRTH DBIRTH/air DDATA/air");
	ck_assert_int_eq(told_at(3).bd_seq, 1);
	ck_assert_double_eq(told_at(4).number, 1);
	ck_assert_int_eq(told_at(5).late, 0);
	assert_numbered();
}
END_TEST

START_TEST(rebirths_keep_their_distance)
{
	go_up();
	for (int i = 0; i < 300; i++) {
		ck_assert(receive("spBv1.0/plant/NCMD/box", SPARKPLUG_REBIRTH, METRIC_SWITCH, true,
				  false));
		turn(10000);
	}
	ck_assert_uint_ge(line.count, 3);
	ck_assert_uint_le(line.count, 5); /* the first, and one a second for 3 s */
}
END_TEST

static const struct {
	const char *topic, *name;
	enum metric_type type;
	bool on, retained, taken;
	const char *command; /* NULL: none */
	uint64_t refused;
} host_commands[] = {
	{ "spBv1.0/plant/DCMD/box/pump", "state", METRIC_SWITCH, true, false, true,
	  "plant/hall/7/output/pump/set on", 0 },
	{ "spBv1.0/plant/DCMD/box/pump", "state", METRIC_SWITCH, false, false, true,
	  "plant/hall/7/output/pump/set off", 0 },
	{ "spBv1.0/plant/DCMD/box/pump", "state", METRIC_SWITCH, true, true, true,
	  "plant/hall/7/output/pump/set on retained", 0 }, /* which commands.c refuses */
	{ "spBv1.0/plant/DCMD/box/pump", "state", METRIC_COUNT, true, false, true, NULL, 1 },
	{ "spBv1.0/plant/DCMD/box/pump", "stat", METRIC_SWITCH, true, false, true, NULL, 1 },
	{ "spBv1.0/plant/NCMD/box", SPARKPLUG_REBIRTH, METRIC_SWITCH, true, true, true, NULL, 1 },
	{ "spBv1.0/plant/NCMD/box", SPARKPLUG_REBIRTH, METRIC_SWITCH, false, false, true, NULL, 0 },
	{ "spBv1.0/plant/NCMD/box", "Node Control/Reboot", METRIC_SWITCH, true, false, true, NULL,
	  1 },
	{ "spBv1.0/plant/NCMD/boxes", SPARKPLUG_REBIRTH, METRIC_SWITCH, true, false, false, NULL,
	  0 },
	{ "plant/hall/7/output/pump/set", "state", METRIC_SWITCH, true, false, false, NULL, 0 },
};

START_TEST(a_host_command_is_obeyed_or_refused)
{
	go_up();
	turn(2 * USEC_PER_SEC);
	ck_assert_int_eq(receive(host_commands[_i].topic, host_commands[_i].name,
				 host_commands[_i].type, host_commands[_i].on,
				 host_commands[_i].retained),
			 host_commands[_i].taken);
	settle();
	ck_assert_uint_eq(line.count, 1); /* no rebirth */
	ck_assert_int_eq(command_count, host_commands[_i].command ? 1 : 0);
	if (host_commands[_i].command)
		ck_assert_str_eq(commands[0], host_commands[_i].command);
	ck_assert_uint_eq(stats.commands_refused, host_commands[_i].refused);
	if (host_commands[_i].retained)
		ck_assert_uint_eq(stats.refusals[REFUSAL_RETAINED], host_commands[_i].refused);
}
END_TEST

START_TEST(a_command_that_is_no_payload_is_refused)
{
	const struct incoming in = { .topic = "spBv1.0/plant/DCMD/box/pump",
				     .payload = "on",
				     .length = 2 };

	ck_assert(sparkplug_receive(node, &in));
	ck_assert_int_eq(command_count, 0);
	ck_assert_uint_eq(stats.commands_refused, 1);
	ck_assert_uint_eq(stats.refusals[REFUSAL_MALFORMED], 1);
}
END_TEST

START_TEST(nothing_is_said_after_the_end)
{
	struct message *death;

	tell("air", &temperature, 1);
	go_up();
	ck_assert_int_eq(sparkplug_end(node, &death), 0);
	message_free(death);
	publisher_hold_readings(publisher);
	tell("air", &humidity, 1);
	sparkplug_note_status(node, "air", STATUS_OFFLINE);
	tell("tank", &temperature, 1);
	sparkplug_note_status(node, "tank", STATUS_ONLINE);
	settle();
	ck_assert_str_eq(script_from(0), "NBIRTH DBIRTH/air DDATA/air");
	ck_assert(publisher_is_idle(publisher));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sparkplug");
	TCase *bytes = tcase_create("payloads"), *tests = tcase_create("node");

	tcase_add_loop_test(bytes, a_metric_is_written_as_the_specification_has_it, 0,
			    (int)ARRAY_SIZE(payloads));
	tcase_add_loop_test(bytes, time_and_number_come_when_it_is_sent, 0,
			    (int)ARRAY_SIZE(stamps));
	tcase_add_loop_test(bytes, a_late_one_must_be_a_payload_of_ours, 0,
			    (int)ARRAY_SIZE(strangers));
	tcase_add_test(bytes, as_many_metrics_as_a_device_has_at_most);
	tcase_add_loop_test(bytes, what_comes_in_is_read_or_refused, 0, (int)ARRAY_SIZE(arrivals));
	tcase_add_test(bytes, of_several_switches_the_last_counts);
	suite_add_tcase(suite, bytes);

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, topics_have_group_node_and_device);
	tcase_add_test(tests, a_session_begins_with_births);
	tcase_add_test(tests, it_is_not_idle_before_the_births_are_sent);
	tcase_add_test(tests, a_reading_from_before_the_session_is_historical);
	tcase_add_test(tests, numbers_go_to_255_and_begin_at_0_again);
	tcase_add_test(tests, a_message_that_cannot_be_sent_has_no_number);
	tcase_add_test(tests, each_connection_is_a_session_with_the_next_bdseq);
	tcase_add_test(tests, an_attempt_that_reached_nobody_does_not_use_a_bdseq);
	tcase_add_test(tests, a_connection_tried_beside_ours_has_a_bdseq_of_its_own);
	tcase_add_test(tests, what_was_not_written_is_sent_in_the_next_session);
	tcase_add_test(tests, a_reading_expires_and_a_birth_does_not);
	tcase_add_test(tests, a_sensor_that_fails_dies_and_is_born_again);
	tcase_add_test(tests, a_death_that_was_not_told_is_none);
	tcase_add_test(tests, a_reading_that_waits_for_a_birth_is_sent_once);
	tcase_add_test(tests, who_is_offline_is_not_born_with_the_session);
	tcase_add_test(tests, a_death_goes_behind_the_readings_from_before);
	tcase_add_test(tests, old_readings_of_a_dead_sensor_have_it_born_for_them);
	tcase_add_test(tests, old_readings_of_what_is_not_configured_any_more_have_it_born);
	tcase_add_test(tests, what_an_old_reading_does_not_say_comes_with_a_live_one);
	tcase_add_test(tests, readings_of_another_format_or_node_leave_as_they_are);
	tcase_add_test(tests, a_metric_that_shows_up_later_has_the_device_born_again);
	tcase_add_test(tests, what_a_reload_removed_dies);
	tcase_add_test(tests, a_rebirth_is_the_same_session_from_the_start);
	tcase_add_test(tests, rebirths_keep_their_distance);
	tcase_add_loop_test(tests, a_host_command_is_obeyed_or_refused, 0,
			    (int)ARRAY_SIZE(host_commands));
	tcase_add_test(tests, a_command_that_is_no_payload_is_refused);
	tcase_add_test(tests, nothing_is_said_after_the_end);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
