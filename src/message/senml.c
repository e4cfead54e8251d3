/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "senml": a pack of RFC 8428 in JSON, a record a channel:
 *
 *	[{"bn":"iotd/g/sensor/air/","bt":1795353300.123,"n":"temperature","u":"Cel","v":21.37},
 *	 {"n":"humidity","u":"%RH","v":40.2}]
 *	[{"bn":"iotd/g/input/door","bt":1795353300.123,"vb":true}]
 *
 * So the name of a value is the topic that format "value" has for it.
 *
 * The text is put together here, as in json.c and for the same reason: names have nothing to
 * escape once senml_name_new() has been over them, and units neither. It must be what jansson would
 * write: tests/unit/test-formats.c.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "format.h"
#include "iotd/clock.h"
#include "number.h"
#include "senml.h"

#define ABSOLUTE_MS (268435456LL * 1000) /* 2^28 s */
#define HEAD_SIZE   (64 + NUMBER_SIZE)	 /* "bn", "bt" and "vb", without the base name */
#define RECORD_SIZE (64 + NAME_LENGTH + SENML_UNIT_LENGTH + NUMBER_SIZE)

/*
 * RFC 8428, 4.5.1: letters, digits and these signs, the first a letter or a digit. Two topics
 * must not become one name: what cannot be said is ":" and its two hexadecimal digits.
 */
static char *write_name(char *at, const char *topic)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *byte = (const unsigned char *)topic;

	if (!isalnum(*byte))
		*at++ = 'x';
	for (; *byte != '\0'; byte++) {
		if (isalnum(*byte) || strchr("-:./_", *byte)) {
			*at++ = (char)*byte;
			continue;
		}
		*at++ = ':';
		*at++ = digits[*byte >> 4];
		*at++ = digits[*byte & 15];
	}
	return at;
}

char *senml_name_new(const char *topic, bool is_base)
{
	char *name = malloc(1 + 3 * strlen(topic) + 2), *at;

	if (!name)
		return NULL;
	at = write_name(name, topic);
	if (is_base)
		*at++ = '/';
	*at = '\0';
	return name;
}

bool senml_time(int64_t time_us, double *ret)
{
	int64_t ms = time_us / USEC_PER_MSEC;

	if (ms < ABSOLUTE_MS)
		return false;
	*ret = (double)ms / 1000;
	return true;
}

/* the pack's beginning, up to where a value's own keys come */
static char *write_head(char *at, const char *name, int64_t time_us)
{
	double seconds;

	at = stpcpy(stpcpy(stpcpy(at, "[{\"bn\":\""), name), "\",");
	if (!senml_time(time_us, &seconds))
		return at;
	at = stpcpy(at, "\"bt\":");
	at += number_write(at, seconds, SENML_TIME_DIGITS);
	return stpcpy(at, ",");
}

static char *write_value(char *at, const struct message_origin *origin, const struct value *value)
{
	const struct senml_value said = senml_value(origin, value);

	at = stpcpy(stpcpy(stpcpy(at, "\"n\":\""), value->channel->name), "\",");
	if (said.unit)
		at = stpcpy(stpcpy(stpcpy(at, "\"u\":\""), said.unit), "\",");
	at = stpcpy(at, "\"v\":");
	return at + number_write(at, said.number, said.digits);
}

static int senml_reading(const struct message_origin *origin, const struct reading *reading,
			 message_sink sink, void *data)
{
	cleanup(freep) char *name = senml_name_new(origin->topic, true), *text = NULL;
	struct message *message;
	char *at;
	int r;

	if (!name)
		return -ENOMEM;
	text = malloc(strlen(name) + HEAD_SIZE + reading->count * RECORD_SIZE);
	if (!text)
		return -ENOMEM;
	at = write_head(text, name, reading->time_us);
	for (size_t i = 0; i < reading->count; i++) {
		if (i > 0)
			at = stpcpy(at, "},{");
		at = write_value(at, origin, &reading->values[i]);
	}
	at = stpcpy(at, "}]");
	r = message_new(&message, origin->topic, text, (size_t)(at - text));
	if (r == 0)
		sink(data, message);
	return r;
}

static int senml_state(const struct message_origin *origin, const struct state *state,
		       struct message **ret)
{
	cleanup(freep) char *name = senml_name_new(origin->topic, false), *text = NULL;
	char *at;

	if (!name)
		return -ENOMEM;
	text = malloc(strlen(name) + HEAD_SIZE);
	if (!text)
		return -ENOMEM;
	at = write_head(text, name, state->time_us);
	at = stpcpy(at, state->on ? "\"vb\":true}]" : "\"vb\":false}]");
	return message_new(ret, origin->topic, text, (size_t)(at - text));
}

const struct message_format_ops message_format_senml = {
	.reading = senml_reading,
	.state = senml_state,
};
