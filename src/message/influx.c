/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "influx": a line of InfluxDB's line protocol, without a line end:
 *
 *	air,device=greenhouse-1 temperature=21.37,humidity=40.2 1795353300123456000
 *	door,device=greenhouse-1 state=true 1795353300123456000
 *
 * Measurement and field keys are our own names (parse_name()), which have nothing to escape. The
 * device may hold anything but control characters; in a tag's value a comma, an equals sign and
 * a blank get a backslash. A backslash itself has none, so a tag cannot end with one: those at
 * the end are left out, as Telegraf does.
 *
 * Every number is a float, also one that happens to be integral: the type of a field is that of its first
 * point for ever, and a point of another one is refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "number.h"

#define TIME_SIZE  25 /* " -9223372036854775808000" and its NUL */
#define FIELD_SIZE (NAME_LENGTH + NUMBER_SIZE + 2)

static char *write_tag(char *at, const char *device)
{
	size_t length = strlen(device);

	while (length > 0 && device[length - 1] == '\\')
		length--;
	if (length == 0)
		return at; /* a tag without a value is none */
	at = stpcpy(at, ",device=");
	for (size_t i = 0; i < length; i++) {
		if (strchr(",= ", device[i]))
			*at++ = '\\';
		*at++ = device[i];
	}
	return at;
}

/* a line with room for @size bytes of fields, which come at *@ret_fields. NULL: out of memory */
static char *line_new(const struct message_origin *origin, const char *name, size_t size,
		      char **ret_fields)
{
	char *line = malloc(strlen(name) + sizeof(",device= ") + 2 * strlen(origin->device) + size +
			    TIME_SIZE);

	if (line)
		*ret_fields = stpcpy(write_tag(stpcpy(line, name), origin->device), " ");
	return line;
}

/* nanoseconds, which is what InfluxDB and Telegraf expect if nothing else is said */
static char *write_time(char *at, int64_t time_us)
{
	return at + snprintf(at, TIME_SIZE, " %" PRId64 "000", time_us);
}

static int influx_reading(const struct message_origin *origin, const struct reading *reading,
			  message_sink sink, void *data)
{
	char *at = NULL;
	cleanup(freep) char *line =
		line_new(origin, reading->name, reading->count * FIELD_SIZE, &at);
	struct message *message;
	int r;

	if (!line)
		return -ENOMEM;
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];

		if (i > 0)
			*at++ = ',';
		at = stpcpy(stpcpy(at, value->channel->name), "=");
		at += number_write(at, value->number, value->channel->digits);
	}
	at = write_time(at, reading->time_us);
	r = message_new(&message, origin->topic, line, (size_t)(at - line));
	if (r == 0)
		sink(data, message);
	return r;
}

static int influx_state(const struct message_origin *origin, const struct state *state,
			struct message **ret)
{
	char *at = NULL;
	cleanup(freep) char *line = line_new(origin, state->name, sizeof("state=false"), &at);

	if (!line)
		return -ENOMEM;
	at = stpcpy(at, state->on ? "state=true" : "state=false");
	at = write_time(at, state->time_us);
	return message_new(ret, origin->topic, line, (size_t)(at - line));
}

const struct message_format_ops message_format_influx = {
	.reading = influx_reading,
	.state = influx_state,
};
