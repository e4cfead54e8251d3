/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands as they come over MQTT.
 *
 * Two tables say it all: fields[], how a field is read and what its type must be, and takes[],
 * which fields a command has. A command is built whole or refused with the one thing that its
 * sender has to mend; nothing is guessed, because a pump may hang on it.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "iotd/clock.h"
#include "iotd/json.h"
#include "iotd/parse.h"
#include "request.h"

#define INTERVAL_MIN_US USEC_PER_MSEC
#define DURATION_MAX_US (100LL * 365 * 86400 * USEC_PER_SEC) /* as parse_duration() */
#define SHOWN_MAX	64 /* bytes of a stranger's text in a fault */
#define PARSE_FLAGS	((size_t)JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)
#define DURATION_SAMPLE "a duration like \"5s\", or a number of seconds"

enum field_bit {
	FIELD_NAME = 1 << 0,
	FIELD_STATE = 1 << 1,
	FIELD_FOR = 1 << 2,
	FIELD_INTERVAL = 1 << 3,
	FIELD_TOTAL = 1 << 4,
};

static const struct {
	unsigned int required, optional;
	const char *names; /* all of them, for faults */
} takes[COMMAND_KINDS] = {
	[COMMAND_PING] = { 0, 0, "no fields" },
	[COMMAND_LIST] = { 0, 0, "no fields" },
	[COMMAND_STATS] = { 0, 0, "no fields" },
	[COMMAND_READ] = { FIELD_NAME, 0, "name" },
	[COMMAND_SET] = { FIELD_NAME | FIELD_STATE, FIELD_FOR, "name, state, for" },
	[COMMAND_PULSE] = { FIELD_NAME | FIELD_FOR, 0, "name, for" },
	[COMMAND_TOGGLE] = { FIELD_NAME, 0, "name" },
	[COMMAND_INTERVAL] = { FIELD_NAME | FIELD_INTERVAL, 0, "name, interval" },
	[COMMAND_RELOAD] = { 0, 0, "no fields" },
	[COMMAND_COUNT] = { FIELD_NAME | FIELD_TOTAL, 0, "name, total" },
};

/* Return: -EINVAL */
static int printf_like(2, 3) fault_set(struct fault *fault, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return -EINVAL;
}

static int shown(const char *text)
{
	return (int)text_fit(text, SHOWN_MAX);
}

static int name_set(struct command *command, const char *name, struct fault *fault)
{
	if (!parse_name(name))
		return fault_set(
			fault,
			"nothing can be named \"%.*s\": a name is 1 to %d of A-Z a-z 0-9 _ -",
			shown(name), name, NAME_LENGTH);
	(void)snprintf(command->name, sizeof(command->name), "%s", name);
	return 0;
}

/* Return: NULL - no string, or one that holds a NUL and so is none of ours */
static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static int field_name(const json_t *value, struct command *command, struct fault *fault)
{
	const char *name = text_of(value);

	if (!name)
		return fault_set(fault, "\"name\" must be a string");
	return name_set(command, name, fault);
}

static int field_state(const json_t *value, struct command *command, struct fault *fault)
{
	if (json_is_boolean(value)) {
		command->on = json_is_true(value);
		return 0;
	}
	if (json_is_number(value) &&
	    (json_number_value(value) == 0 || json_number_value(value) == 1)) {
		command->on = json_number_value(value) == 1;
		return 0;
	}
	if (json_is_string(value) &&
	    parse_state(json_string_value(value), json_string_length(value), &command->on) == 0)
		return 0;
	return fault_set(fault, "\"state\" must be \"on\" or \"off\"");
}

/* Return: 0; -EINVAL no duration; -ERANGE */
static int duration_from_json(const json_t *value, int64_t *ret_us)
{
	const char *text = text_of(value);
	double us;

	if (text)
		return parse_duration(text, ret_us);
	if (!json_is_number(value))
		return -EINVAL;
	us = round(json_number_value(value) * (double)USEC_PER_SEC);
	if (us < 0)
		return -EINVAL;
	if (us > (double)DURATION_MAX_US)
		return -ERANGE;
	*ret_us = (int64_t)us;
	return 0;
}

static int field_duration(const json_t *value, const char *field, int64_t *ret_us,
			  struct fault *fault)
{
	int r;

	r = duration_from_json(value, ret_us);
	if (r == -ERANGE)
		return fault_set(fault, "\"%s\" is over 100 years", field);
	if (r < 0)
		return fault_set(fault, "\"%s\" must be " DURATION_SAMPLE, field);
	return 0;
}

static int field_for(const json_t *value, struct command *command, struct fault *fault)
{
	int r;

	r = field_duration(value, "for", &command->for_us, fault);
	if (r == 0 && command->for_us == 0)
		return fault_set(fault, "\"for\" must be longer than 0");
	return r;
}

static int field_interval(const json_t *value, struct command *command, struct fault *fault)
{
	int r;

	r = field_duration(value, "interval", &command->interval_us, fault);
	if (r == 0 && command->interval_us < INTERVAL_MIN_US)
		return fault_set(fault, "\"interval\" must be at least 1ms");
	return r;
}

static int field_total(const json_t *value, struct command *command, struct fault *fault)
{
	double total = json_is_number(value) ? json_number_value(value) : -1;

	if (!(total >= 0 && total <= COUNT_TOTAL_MAX))
		return fault_set(fault, "\"total\" must be a number, 0 to 1e15");
	command->total = total;
	return 0;
}

static const struct {
	const char *name;
	unsigned int bit;
	int (*parse)(const json_t *value, struct command *command, struct fault *fault);
} fields[] = {
	{ "name", FIELD_NAME, field_name },    { "state", FIELD_STATE, field_state },
	{ "for", FIELD_FOR, field_for },       { "interval", FIELD_INTERVAL, field_interval },
	{ "total", FIELD_TOTAL, field_total },
};

/* Return: the index in fields[] of a field that @allowed holds; -EINVAL, with @fault */
static int field_find(const char *name, unsigned int allowed, const char *what, const char *names,
		      struct fault *fault)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if ((fields[i].bit & allowed) && strcmp(fields[i].name, name) == 0)
			return (int)i;
	return fault_set(fault, "unknown field \"%.*s\" (%s takes %s)", shown(name), name, what,
			 names);
}

static int fields_missing(unsigned int missing, const char *what, struct fault *fault)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].bit & missing)
			return fault_set(fault, "field \"%s\" is missing (%s needs it)",
					 fields[i].name, what);
	return 0;
}

static int command_allowed(enum command_kind kind, const struct command_settings *settings,
			   struct fault *fault)
{
	if (settings->allow[kind])
		return 0;
	(void)fault_set(fault, "command \"%s\" is not allowed here (see commands.allow)",
			command_kind_name(kind));
	return -EPERM;
}

static int request_kind(const json_t *object, struct fault *fault)
{
	const json_t *value = json_object_get(object, "command");
	const char *name = text_of(value);
	int kind;

	if (!value)
		return fault_set(fault, "field \"command\" is missing");
	if (!name)
		return fault_set(fault, "\"command\" must be a string");
	kind = command_kind_from_name(name);
	if (kind < 0)
		return fault_set(fault, "no command is named \"%.*s\"", shown(name), name);
	return kind;
}

static int request_fields(struct command *command, json_t *object, struct fault *fault)
{
	const char *what = command_kind_name(command->kind), *key;
	unsigned int required = takes[command->kind].required, seen = 0;
	json_t *value;
	int i, r;

	json_object_foreach(object, key, value)
	{
		if (strcmp(key, "command") == 0 || strcmp(key, "id") == 0)
			continue;
		i = field_find(key, required | takes[command->kind].optional, what,
			       takes[command->kind].names, fault);
		if (i < 0)
			return i;
		r = fields[i].parse(value, command, fault);
		if (r < 0)
			return r;
		seen |= fields[i].bit;
	}
	return fields_missing(required & ~seen, what, fault);
}

/* Return: 0, with an object of the caller's; -EINVAL, with @fault */
static int object_load(json_t **ret, const void *payload, size_t length, struct fault *fault)
{
	cleanup(json_decrefp) json_t *object = NULL;
	json_error_t error;

	if (length > REQUEST_SIZE_MAX)
		return fault_set(fault, "a command over %d bytes is refused", REQUEST_SIZE_MAX);
	object = json_loadb(payload, length, PARSE_FLAGS, &error);
	/* an id may have more digits than an integer of jansson's */
	if (!object && json_error_code(&error) == json_error_numeric_overflow)
		object = json_loadb(payload, length, PARSE_FLAGS | JSON_DECODE_INT_AS_REAL, &error);
	if (!object) {
		text_mend(error.text); /* it shows what is wrong, up to the middle of a character */
		return fault_set(fault, "not JSON: %.*s (line %d, column %d)", shown(error.text),
				 error.text, error.line, error.column);
	}
	if (!json_is_object(object))
		return fault_set(fault, "a command must be a JSON object");
	*ret = take_ptr(object);
	return 0;
}

/* in as few digits as bring the same value back: 0.1, and not 0.10000000000000001 */
static char *id_text(const json_t *id)
{
	for (size_t digits = 15;; digits++) {
		cleanup(freep) char *text = json_dumps(id, (size_t)JSON_COMPACT | JSON_ENCODE_ANY |
								   JSON_REAL_PRECISION(digits));
		cleanup(json_decrefp) json_t *again = NULL;

		if (!text)
			return NULL;
		again = json_loads(text, (size_t)JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		if (digits == 17 || json_equal(id, again))
			return take_ptr(text);
	}
}

int request_parse(struct command *ret, char **ret_id, const struct command_settings *settings,
		  const void *payload, size_t length, struct fault *fault)
{
	cleanup(json_decrefp) json_t *object = NULL;
	struct command command = *ret;
	int r;

	*ret_id = NULL;
	r = object_load(&object, payload, length, fault);
	if (r < 0)
		return r;
	if (json_object_get(object, "id")) {
		*ret_id = id_text(json_object_get(object, "id"));
		if (!*ret_id)
			return fault_set(fault, "out of memory");
	}
	r = request_kind(object, fault);
	if (r < 0)
		return r;
	command.kind = (enum command_kind)r;
	r = command_allowed(command.kind, settings, fault);
	if (r < 0)
		return r;
	r = request_fields(&command, object, fault);
	if (r < 0)
		return r;
	*ret = command;
	return 0;
}

/* `on`, `off`, `toggle` …, with blanks and line ends round it. Return: 0; -EINVAL */
static int set_word(struct command *command, const char *text, size_t length)
{
	static const char toggle[] = "toggle";

	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	command->kind = COMMAND_SET;
	if (length == strlen(toggle) && strncasecmp(text, toggle, length) == 0) {
		command->kind = COMMAND_TOGGLE;
		return 0;
	}
	return parse_state(text, length, &command->on);
}

static int set_object(struct command *command, json_t *object, struct fault *fault)
{
	const char *word = text_of(json_object_get(object, "state")), *key;
	unsigned int seen = 0;
	json_t *value;
	int i, r;

	if (word && strcasecmp(word, "toggle") == 0 && json_object_size(object) == 1) {
		command->kind = COMMAND_TOGGLE;
		return 0;
	}
	command->kind = COMMAND_SET;
	json_object_foreach(object, key, value)
	{
		i = field_find(key, FIELD_STATE | FIELD_FOR, "it", "state, for", fault);
		if (i < 0)
			return i;
		r = fields[i].parse(value, command, fault);
		if (r < 0)
			return r;
		seen |= fields[i].bit;
	}
	return fields_missing(FIELD_STATE & ~seen, "set", fault);
}

static bool is_object(const char *text, size_t length)
{
	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	return length > 0 && *text == '{';
}

int request_parse_set(struct command *ret, const struct command_settings *settings,
		      const char *name, const void *payload, size_t length, struct fault *fault)
{
	cleanup(json_decrefp) json_t *object = NULL;
	struct command command = *ret;
	int r;

	r = name_set(&command, name, fault);
	if (r < 0)
		return r;
	if (is_object(payload, length)) {
		r = object_load(&object, payload, length, fault);
		if (r == 0)
			r = set_object(&command, object, fault);
	} else {
		r = set_word(&command, payload, length);
		if (r < 0)
			(void)fault_set(fault, "the state must be on, off or toggle, or "
					       "{\"state\":\"on\",\"for\":\"5s\"}");
	}
	if (r < 0)
		return r;
	r = command_allowed(command.kind, settings, fault);
	if (r < 0)
		return r;
	*ret = command;
	return 0;
}

/* Return: 0; -EINVAL */
static int milliseconds_parse(const char *text, size_t length, int64_t *ret_us)
{
	char copy[64], *end;
	double us;

	if (length == 0 || length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	us = strtod(copy, &end) * (double)USEC_PER_MSEC;
	while (isspace((unsigned char)*end))
		end++;
	if (end == copy || end != copy + length || !isfinite(us) || us < 1 ||
	    us > (double)DURATION_MAX_US)
		return -EINVAL;
	*ret_us = (int64_t)us;
	return 0;
}

int request_parse_ms(struct command *ret, const struct command_settings *settings, const char *name,
		     const void *payload, size_t length, struct fault *fault)
{
	struct command command = *ret;
	int r;

	command.kind = COMMAND_SET;
	r = name_set(&command, name, fault);
	if (r < 0)
		return r;
	if (milliseconds_parse(payload, length, &command.for_us) < 0)
		return fault_set(fault, "it must be a number of milliseconds, like 500");
	r = command_allowed(command.kind, settings, fault);
	if (r < 0)
		return r;
	*ret = command;
	return 0;
}
