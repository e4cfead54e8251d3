/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages that come in. The input: two bytes of commands.allow, one that says how the devices
 * answer, then messages with 0x1e between them, each "TOPIC\nRESPONSE TOPIC\nCORRELATION\nPAYLOAD"; a topic
 * that begins with "!" is retained, "~" stands for T.
 *
 * Promises: what is carried out is allowed, named and in range; each command on T/command is
 * answered once, where and with what it asked for, by a JSON object that has its id and says ok; nothing else is.
 */
#include <errno.h>
#include <jansson.h>
#include <syslog.h>

#include "fuzz.h"

#include "iotd/json.h"
#include "iotd/log.h"
#include "iotd/parse.h"
#include "iotd/task.h"
#include "mqtt/commands.h"
#include "mqtt/request.h"

#define PREFIX		"iotd/g"
#define MESSAGES_MAX	64
#define DURATION_MAX_US (100LL * 365 * 86400 * 1000000)

/* struct sent - a message as it was sent */
struct sent {
	char *topic, *response, *correlation, *payload;
	size_t correlation_length, length;
	bool retained;
	struct command *kept; /* not answered yet */
	int executed, replies;
};

static struct sent sent[MESSAGES_MAX];
static size_t sent_count;
static struct sent *current;
static uint8_t mood; /* of the devices */
static struct reactor *reactor;
static struct command_settings settings;
static struct stats stats;

static bool is_command(const struct sent *message)
{
	return strcmp(message->topic, PREFIX "/command") == 0;
}

/* --- the devices ---------------------------------------------------------------------------- */

static bool is_within(int64_t number, int64_t least, int64_t most)
{
	return number >= least && number <= most;
}

static void check_command(const struct command *command)
{
	bool is_named = false;
	int64_t for_min = 0, for_max = 0;

	must(command->kind < COMMAND_KINDS && settings.allow[command->kind]);
	switch (command->kind) {
	case COMMAND_PULSE:
		for_min = 1;
		__attribute__((fallthrough));
	case COMMAND_SET:
		for_max = DURATION_MAX_US;
		__attribute__((fallthrough));
	case COMMAND_READ:
	case COMMAND_TOGGLE:
	case COMMAND_INTERVAL:
	case COMMAND_COUNT:
		is_named = true;
		break;
	case COMMAND_PING:
	case COMMAND_LIST:
	case COMMAND_STATS:
	case COMMAND_RELOAD:
	case COMMAND_KINDS:
		break;
	}
	must(is_named ? parse_name(command->name) : command->name[0] == '\0');
	must(is_within(command->for_us, for_min, for_max));
	if (command->kind == COMMAND_INTERVAL)
		must(is_within(command->interval_us, 1000, DURATION_MAX_US));
	else
		must(command->interval_us == 0);
	must(command->total >= 0 &&
	     command->total <= (command->kind == COMMAND_COUNT ? COUNT_TOTAL_MAX : 0));
}

static void check_set_topic(const struct command *command)
{
	char topic[256];

	must(command->kind == COMMAND_SET || command->kind == COMMAND_TOGGLE);
	(void)snprintf(topic, sizeof(topic), PREFIX "/output/%s/set", command->name);
	must(strcmp(topic, current->topic) == 0);
}

static void answer(struct command *command)
{
	static const struct channel channels[] = { { "temperature", "°C", 2 }, { "x", "", 0 } };
	const struct reading reading = { .name = "air",
					 .count = 2,
					 .values = { { &channels[0], 21.37 },
						     { &channels[1], -1e300 } } };
	const struct state state = { .kind = DEVICE_OUTPUT, .name = "pump", .on = mood & 1 };
	const struct device_info devices[] = {
		{ DEVICE_SENSOR, STATUS_OFFLINE, "air", "bme280", 1000, channels, 2, .state = -1,
		  .fault = "why: °C" },
		{ DEVICE_OUTPUT, STATUS_ONLINE, "pump", .state = 1 },
	};
	struct command_result result = { .devices = devices, .device_count = 2, .interval_us = 1 };

	result.reading = mood & 2 ? &reading : NULL;
	result.state = mood & 1 ? &state : NULL;
	result.stats = mood & 8 ? NULL : &stats;
	result.error = mood & 4 ? -ENODEV : 0;
	result.text = mood & 8 ? "the text of the \"error\": °C" : NULL;
	command->done(command, &result);
}

static void device_execute(struct control *control, struct command *command)
{
	(void)control;
	must(current && !current->retained && current->length <= REQUEST_SIZE_MAX);
	must(current->executed++ == 0);
	check_command(command);
	if (!is_command(current))
		check_set_topic(command);
	if (mood & 16) {
		current->kept = command;
		return;
	}
	answer(command);
}

/* --- the replies ---------------------------------------------------------------------------- */

static const char *expected_topic(const struct sent *message)
{
	return message->response[0] == '\0' || message->response[0] == '$' ? PREFIX "/reply"
									   : message->response;
}

/* a large integer is a number as well. Return: the caller's; NULL: it is no JSON, or has no id */
static json_t *id_of(const struct sent *message)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	json_t *object = json_loadb(message->payload, message->length, flags, NULL), *id;

	if (!object)
		object = json_loadb(message->payload, message->length,
				    flags | JSON_DECODE_INT_AS_REAL, NULL);
	id = json_incref(json_object_get(object, "id"));
	json_decref(object);
	return id;
}

static void check_answer(const char *payload)
{
	json_t *reply = json_loads(payload, JSON_ALLOW_NUL, NULL), *id = NULL;
	bool ok;

	must(json_is_object(reply) && json_is_boolean(json_object_get(reply, "ok")));
	ok = json_is_true(json_object_get(reply, "ok"));
	must(ok == (json_object_get(reply, "result") != NULL));
	must(ok ? current->executed == 1 : json_is_string(json_object_get(reply, "error")));
	if (current->length <= REQUEST_SIZE_MAX)
		id = id_of(current);
	must(id ? json_equal(id, json_object_get(reply, "id")) : !json_object_get(reply, "id"));
	json_decref(id);
	json_decref(reply);
}

static void take_reply(struct commands_events *events, struct reply *reply)
{
	(void)events;
	must(current && is_command(current) && !current->retained && current->replies++ == 0);
	must(strcmp(reply->topic, expected_topic(current)) == 0);
	must(reply->length == strlen(reply->payload));
	must(reply->correlation_length == current->correlation_length);
	must(reply->correlation_length == 0 ||
	     memcmp(reply->correlation, current->correlation, reply->correlation_length) == 0);
	check_answer(reply->payload);
	reply_free(reply);
}

/* --- the messages --------------------------------------------------------------------------- */

static int step_end(struct task *task, int result)
{
	(void)task;
	return result;
}

static int step_sleep(struct task *task, int result)
{
	(void)result;
	return task_sleep(task, 1000, step_end);
}

static void turn(void)
{
	struct task *task;

	must(task_spawn(&task, reactor, step_sleep, NULL, NULL) == 0);
	must(reactor_run(reactor, task) == 0);
	task_release(task);
}

/* a text, with T for a "~" at its begin. Caller frees */
static char *topic_of(struct input *input)
{
	char *text = input_until(input, '\n', NULL), *topic;

	if (text[0] != '~')
		return text;
	must(asprintf(&topic, PREFIX "%s", text + 1) >= 0);
	free(text);
	return topic;
}

static void read_message(struct sent *message, struct input *input)
{
	*message = (struct sent){ .retained = input->left > 0 && *input->data == '!' };
	if (message->retained)
		(void)input_byte(input);
	message->topic = topic_of(input);
	message->response = topic_of(input);
	message->correlation = input_until(input, '\n', &message->correlation_length);
	message->payload = input_until(input, 0x1e, &message->length);
}

static void send(struct commands *commands, struct sent *message)
{
	const struct incoming incoming = {
		.topic = message->topic,
		.payload = message->length > 0 ? message->payload : NULL,
		.length = message->length,
		.retained = message->retained,
		.response_topic = message->response[0] ? message->response : NULL,
		.correlation = message->correlation_length > 0 ? message->correlation : NULL,
		.correlation_length = message->correlation_length,
	};
	uint64_t before = stats.commands + stats.commands_refused;

	current = message;
	commands_receive(commands, &incoming);
	turn();
	current = NULL;
	if (message->kept)
		return;
	must(stats.commands + stats.commands_refused == before + 1);
	if (strlen(message->response) + 1 + message->correlation_length <= 4096)
		must(message->replies == (is_command(message) && !message->retained));
}

/* all once more, and the connection breaks before their turn */
static void send_in_vain(struct commands *commands)
{
	uint64_t refused = stats.commands_refused;

	for (size_t i = 0; i < sent_count; i++) {
		const struct incoming incoming = { .topic = sent[i].topic,
						   .payload = sent[i].payload,
						   .length = sent[i].length };

		commands_receive(commands, &incoming);
	}
	commands_drop(commands);
	turn();
	must(stats.commands_refused == refused + sent_count);
}

/* what was kept is answered late, every second one too late for a reply */
static void answer_late(struct commands *commands)
{
	for (size_t i = 0; i < sent_count; i += 2) {
		current = &sent[i];
		if (current->kept)
			answer(take_ptr(current->kept));
		must(current->replies <= 1);
	}
	current = NULL;
	commands_free(commands);
	for (size_t i = 0; i < sent_count; i++)
		if (sent[i].kept)
			answer(take_ptr(sent[i].kept));
}

static void prepare(struct input *input)
{
	unsigned int allow = (unsigned int)input_number(input, 65536);

	if (!reactor)
		must(reactor_new_virtual(&reactor, 0) == 0);
	log_set_level(LOG_ERR);
	settings.enabled = true;
	for (int i = 0; i < COMMAND_KINDS; i++)
		settings.allow[i] = !(allow & (1U << i));
	stats = (struct stats){ .now_us = 12345678 };
	mood = input_byte(input);
	sent_count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct control control = { .execute = device_execute };
	static struct commands_events events = { .reply = take_reply };
	struct input input = { data, size };
	struct commands_parts parts = { .settings = &settings,
					.topic = PREFIX,
					.control = &control,
					.events = &events,
					.stats = &stats };
	struct commands *commands;

	prepare(&input);
	parts.reactor = reactor;
	must(commands_new(&commands, &parts) == 0);
	while (input.left > 0 && sent_count < MESSAGES_MAX) {
		read_message(&sent[sent_count], &input);
		send(commands, &sent[sent_count++]);
		mood ^= (uint8_t)(sent_count * 5);
	}
	commands_update(commands, &settings, PREFIX);
	must(strcmp(commands_topics(commands)[0], PREFIX "/command") == 0);
	send_in_vain(commands);
	answer_late(commands);
	for (size_t i = 0; i < sent_count; i++) {
		free(sent[i].topic);
		free(sent[i].response);
		free(sent[i].correlation);
		free(sent[i].payload);
	}
	return 0;
}
