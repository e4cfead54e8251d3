/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What comes in.
 *
 * The library's callback only copies a message into a bounded queue; a deferred call takes at most
 * BURST of them a turn, so a flood of commands gets its share of each turn and sensors, timers and
 * signals get theirs. What finds the queue full is dropped and counted: a flood is not answered.
 *
 * A command becomes a struct request, which lives until the device layer calls done(), perhaps
 * seconds later and perhaps after commands_free(): then nobody owns it any more (owner is NULL)
 * and it only frees itself. Not more than UNDER_WAY_MAX of them live at a time.
 *
 * Retained messages are ignored: a pump must not start because of last night's command. The
 * session is always a clean one (connection.c), so the broker queues nothing while we are away.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "burst.h"
#include "commands.h"
#include "iotd/json.h"
#include "iotd/log.h"
#include "iotd/message.h"
#include "request.h"

#define QUEUE_MAX	256
#define UNDER_WAY_MAX	256
#define BURST		32
#define RETURN_SIZE_MAX 4096	    /* bytes of response topic and correlation data together */
#define SET_ON_MS	"set_on_ms" /* mqtt-io's */
#define SET_OFF_MS	"set_off_ms"

/* a message that waits for its turn; one allocation */
struct received {
	struct received *next;
	char *topic, *response_topic;
	void *payload, *correlation;
	size_t length, correlation_length; /* length may be more than was kept of the payload */
	bool retained;
};

/* a command that is carried out */
struct request {
	struct command command;
	struct commands *owner;
	struct request *next, *previous;
	struct received *received;
	char *id; /* JSON text; NULL: none */
	bool wants_reply;
};

struct commands {
	struct commands_parts parts;
	char *command_topic, *reply_topic, *set_topics, *on_ms_topics, *off_ms_topics;
	const char *topics[5];
	size_t prefix_length; /* of T */
	struct received *first, **last;
	size_t queued;
	struct request *under_way;
	size_t under_way_count;
	struct reactor_call process;
	struct burst refusals, floods;
};

static void commands_process(struct reactor_call *call);

static struct request *request_free(struct request *request)
{
	free(request->id);
	free(request->received);
	free(request);
	return NULL;
}

static void *append(char **at, const void *data, size_t length)
{
	void *copy = *at;

	if (!data)
		return NULL;
	memcpy(copy, data, length);
	*at += length;
	return copy;
}

static struct received *received_new(const struct incoming *in)
{
	size_t topic_size = strlen(in->topic) + 1;
	size_t response_size = in->response_topic ? strlen(in->response_topic) + 1 : 0;
	size_t kept = in->length > REQUEST_SIZE_MAX ? 0 : in->length;
	struct received *received;
	char *at;

	if (response_size + in->correlation_length > RETURN_SIZE_MAX)
		return NULL;
	received = malloc(sizeof(*received) + topic_size + response_size + kept +
			  in->correlation_length);
	if (!received)
		return NULL;
	at = (char *)(received + 1);
	*received = (struct received){
		.length = in->length,
		.correlation_length = in->correlation_length,
		.retained = in->retained,
	};
	received->topic = append(&at, in->topic, topic_size);
	received->response_topic = append(&at, in->response_topic, response_size);
	received->payload = append(&at, kept > 0 ? in->payload : "", kept);
	received->correlation = append(&at, in->correlation, in->correlation_length);
	return received;
}

/* the copies of T/command and so on; Return: 0; -ENOMEM */
static int commands_make_topics(struct commands *c)
{
	c->command_topic = topic_new(c->parts.topic, "command", NULL, NULL);
	c->reply_topic = topic_new(c->parts.topic, "reply", NULL, NULL);
	c->set_topics = topic_new(c->parts.topic, "output", "+", "set");
	if (!c->command_topic || !c->reply_topic || !c->set_topics)
		return -ENOMEM;
	c->topics[0] = c->command_topic;
	c->topics[1] = c->set_topics;
	c->prefix_length = strlen(c->parts.topic);
	if (!c->parts.is_mqtt_io)
		return 0;
	c->topics[2] = c->on_ms_topics = topic_new(c->parts.topic, "output", "+", SET_ON_MS);
	c->topics[3] = c->off_ms_topics = topic_new(c->parts.topic, "output", "+", SET_OFF_MS);
	return c->on_ms_topics && c->off_ms_topics ? 0 : -ENOMEM;
}

int commands_new(struct commands **ret, const struct commands_parts *parts)
{
	cleanup(commands_freep) struct commands *c = NULL;
	int r;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->parts = *parts;
	c->process.run = commands_process;
	c->last = &c->first;
	burst_init(&c->refusals, parts->reactor, LOG_NOTICE, "commands were refused");
	burst_init(&c->floods, parts->reactor, LOG_WARNING,
		   "commands were dropped or not answered");
	r = commands_make_topics(c);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

static struct received *commands_pop(struct commands *c)
{
	struct received *received = c->first;

	if (!received)
		return NULL;
	c->first = received->next;
	if (!c->first)
		c->last = &c->first;
	c->queued--;
	return received;
}

struct commands *commands_free(struct commands *commands)
{
	struct received *received;

	if (!commands)
		return NULL;
	reactor_cancel_call(&commands->process);
	while ((received = commands_pop(commands)))
		free(received);
	for (struct request *r = commands->under_way; r; r = r->next)
		r->owner = NULL;
	burst_stop(&commands->refusals);
	burst_stop(&commands->floods);
	free(commands->command_topic);
	free(commands->reply_topic);
	free(commands->set_topics);
	free(commands->on_ms_topics);
	free(commands->off_ms_topics);
	free(commands);
	return NULL;
}

void commands_update(struct commands *commands, const struct command_settings *settings,
		     const char *topic)
{
	commands->parts.settings = settings;
	commands->parts.topic = topic;
}

const char *const *commands_topics(const struct commands *commands)
{
	return commands->topics;
}

void commands_receive(struct commands *commands, const struct incoming *incoming)
{
	struct received *received = NULL;

	if (commands->queued < QUEUE_MAX)
		received = received_new(incoming);
	if (!received) {
		stats_refuse(commands->parts.stats, REFUSAL_DROPPED);
		burst_note(&commands->floods, 1,
			   "commands arrive faster than they can be carried out, are too large, or "
			   "memory is short: some are dropped");
		return;
	}
	received->next = NULL;
	*commands->last = received;
	commands->last = &received->next;
	commands->queued++;
	reactor_defer(commands->parts.reactor, &commands->process);
}

void commands_drop(struct commands *commands)
{
	struct received *received;

	while ((received = commands_pop(commands))) {
		stats_refuse(commands->parts.stats, REFUSAL_DROPPED);
		free(received);
	}
}

/* sends @text, which may be NULL, where @received wants it */
static void commands_reply(struct commands *c, const struct received *received, const char *text)
{
	const char *topic = c->reply_topic;
	struct reply *reply;

	/* not into $SYS and its like: brokers end the connection of who publishes there */
	if (received->response_topic && received->response_topic[0] != '\0' &&
	    received->response_topic[0] != '$')
		topic = received->response_topic;
	if (!text || reply_new(&reply, topic, text, received->correlation,
			       received->correlation_length) < 0) {
		burst_note(&c->floods, 1, "out of memory: a command is not answered");
		return;
	}
	c->parts.events->reply(c->parts.events, reply);
}

static void commands_refused(struct commands *c, const struct received *received,
			     enum command_refusal refusal, const char *why)
{
	char text[512];

	stats_refuse(c->parts.stats, refusal);
	(void)snprintf(text, sizeof(text), "a command on \"%s\" is refused: %s", received->topic,
		       why);
	burst_note(&c->refusals, 1, text);
}

static void commands_unlink(struct commands *c, struct request *request)
{
	if (request->previous)
		request->previous->next = request->next;
	else
		c->under_way = request->next;
	if (request->next)
		request->next->previous = request->previous;
	c->under_way_count--;
}

static void request_done(struct command *command, const struct command_result *result)
{
	struct request *request = container_of(command, struct request, command);
	struct commands *c = request->owner;
	cleanup(freep) char *text = NULL;

	if (c) {
		commands_unlink(c, request);
		if (result->error < 0)
			commands_refused(c, request->received,
					 result->is_unknown ? REFUSAL_UNKNOWN : REFUSAL_FAILED,
					 result->text ? result->text : strerror(-result->error));
		else
			c->parts.stats->commands++;
		if (request->wants_reply) {
			text = answer_new(request->id, command, result);
			commands_reply(c, request->received, text);
		}
	}
	request_free(request);
}

/* the NAME of T/output/NAME/LEAF, copied. Return: LEAF; NULL: another topic, or no name */
static const char *output_topic_leaf(const struct commands *c, const char *topic,
				     char name[static NAME_LENGTH + 1])
{
	static const char kind[] = "/output/";
	const char *at = topic + c->prefix_length;
	size_t length;

	if (strncmp(topic, c->parts.topic, c->prefix_length) != 0 ||
	    strncmp(at, kind, strlen(kind)) != 0)
		return NULL;
	at += strlen(kind);
	length = strcspn(at, "/");
	if (length > NAME_LENGTH || at[length] != '/')
		return NULL;
	memcpy(name, at, length);
	name[length] = '\0';
	return at + length + 1;
}

/* Return: 0; negative: refused, with @fault */
static int request_read_output(struct commands *c, struct request *request, struct fault *fault)
{
	const struct received *received = request->received;
	char name[NAME_LENGTH + 1];
	const char *leaf = output_topic_leaf(c, received->topic, name);

	if (leaf && strcmp(leaf, "set") == 0)
		return request_parse_set(&request->command, c->parts.settings, name,
					 received->payload, received->length, fault);
	if (leaf && c->parts.is_mqtt_io &&
	    (strcmp(leaf, SET_ON_MS) == 0 || strcmp(leaf, SET_OFF_MS) == 0)) {
		request->command.on = strcmp(leaf, SET_ON_MS) == 0;
		return request_parse_ms(&request->command, c->parts.settings, name,
					received->payload, received->length, fault);
	}
	(void)snprintf(fault->text, sizeof(fault->text), "no output can have this topic");
	return -ENOENT;
}

/* Return: 0; negative: refused, with @fault */
static int request_read(struct commands *c, struct request *request, struct fault *fault)
{
	const struct received *received = request->received;

	request->wants_reply = strcmp(received->topic, c->command_topic) == 0;
	if (received->length > REQUEST_SIZE_MAX) {
		(void)snprintf(fault->text, sizeof(fault->text),
			       "a command over %d bytes is refused", REQUEST_SIZE_MAX);
		return -EMSGSIZE;
	}
	if (request->wants_reply)
		return request_parse(&request->command, &request->id, c->parts.settings,
				     received->payload, received->length, fault);
	return request_read_output(c, request, fault);
}

static void commands_execute(struct commands *c, struct request *request)
{
	request->owner = c;
	request->command.done = request_done;
	request->next = c->under_way;
	if (request->next)
		request->next->previous = request;
	c->under_way = request;
	c->under_way_count++;
	c->parts.control->execute(c->parts.control, &request->command);
}

/* of what is refused before it is begun */
static enum command_refusal refusal_of(int error)
{
	switch (-error) {
	case EPERM:
		return REFUSAL_NOT_ALLOWED;
	case ENOENT:
		return REFUSAL_UNKNOWN;
	case EBUSY:
		return REFUSAL_DROPPED;
	default:
		return REFUSAL_MALFORMED;
	}
}

/* takes @received over */
static void commands_begin(struct commands *c, struct received *received)
{
	struct request *request = calloc(1, sizeof(*request));
	cleanup(freep) char *text = NULL;
	struct fault fault = { "" };
	int r;

	if (!request) {
		commands_refused(c, received, REFUSAL_DROPPED, "out of memory");
		free(received);
		return;
	}
	request->received = received;
	r = request_read(c, request, &fault);
	if (r == 0 && c->under_way_count >= UNDER_WAY_MAX) {
		(void)snprintf(fault.text, sizeof(fault.text), "too many commands are under way");
		r = -EBUSY;
	}
	if (r == 0) {
		commands_execute(c, request); /* which may have freed it by now */
		return;
	}
	commands_refused(c, received, refusal_of(r), fault.text);
	if (request->wants_reply) {
		text = answer_new_fault(request->id, fault.text);
		commands_reply(c, received, text);
	}
	request_free(request);
}

static void commands_process(struct reactor_call *call)
{
	struct commands *c = container_of(call, struct commands, process);
	struct received *received;

	for (int i = 0; i < BURST && (received = commands_pop(c)); i++) {
		if (!received->retained) {
			commands_begin(c, received);
			continue;
		}
		commands_refused(c, received, REFUSAL_RETAINED,
				 "it is retained, so it may be an old one");
		free(received);
	}
	if (c->first)
		reactor_defer(c->parts.reactor, &c->process);
}
