/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "cbor": the pack of format "senml" in the representation of RFC 8428, section 6: an array
 * of maps with integers for keys, all of definite length. Half of the bytes, the same numbers to
 * the last bit: integers where they are, else the shorter of a single and a double that
 * is the same number (RFC 8949, 4.1, but for halves).
 *
 * Of libcbor only the encoders of single items are used; they write into a buffer of ours that is
 * large enough for all there is. Its tree of items would allocate each of them.
 */
#include <assert.h>
#include <cbor.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "format.h"
#include "number.h"
#include "senml.h"

#define INTEGER_MAX 9007199254740992.0 /* 2^53: above, doubles are no longer exact integers */

/* without texts: up to eight items, each with a head or a number of 9 bytes */
#define HEAD_SIZE   72
#define RECORD_SIZE (72 + NAME_LENGTH + SENML_UNIT_LENGTH)

/* RFC 8428, table 4 */
enum label {
	LABEL_BASE_TIME = -3,
	LABEL_BASE_NAME = -2,
	LABEL_NAME = 0,
	LABEL_UNIT = 1,
	LABEL_VALUE = 2,
	LABEL_BOOLEAN = 4,
};

/* struct pack - what is written so far, in a buffer that never is too small */
struct pack {
	unsigned char *start, *at, *end;
};

static size_t room(const struct pack *pack)
{
	return (size_t)(pack->end - pack->at);
}

static void put(struct pack *pack, size_t written)
{
	assert(written > 0);
	pack->at += written;
}

static void put_integer(struct pack *pack, int64_t number)
{
	if (number >= 0)
		put(pack, cbor_encode_uint((uint64_t)number, pack->at, room(pack)));
	else
		put(pack, cbor_encode_negint((uint64_t)(-1 - number), pack->at, room(pack)));
}

static void put_label(struct pack *pack, enum label label)
{
	put_integer(pack, label);
}

static void put_text(struct pack *pack, const char *text)
{
	size_t length = strlen(text);

	put(pack, cbor_encode_string_start(length, pack->at, room(pack)));
	assert(length <= room(pack));
	memcpy(pack->at, text, length);
	pack->at += length;
}

static void put_number(struct pack *pack, double number, int digits)
{
	double written = number_as_written(number, digits);

	if (fabs(written) <= INTEGER_MAX && nearbyint(written) == written)
		put_integer(pack, (int64_t)written);
	else if (fabs(written) <= (double)FLT_MAX && (double)(float)written == written)
		put(pack, cbor_encode_single((float)written, pack->at, room(pack)));
	else
		put(pack, cbor_encode_double(written, pack->at, room(pack)));
}

/* Return: 0; -ENOMEM */
static int pack_new(struct pack *pack, size_t size)
{
	pack->start = pack->at = malloc(size);
	pack->end = pack->start ? pack->start + size : NULL;
	return pack->start ? 0 : -ENOMEM;
}

static void pack_done(struct pack *pack)
{
	free(pack->start);
}

/* the array, and the first map up to its value's own keys, of which there are @keys */
static void put_head(struct pack *pack, size_t records, const char *name, int64_t time_us,
		     size_t keys)
{
	double seconds;
	bool has_time = senml_time(time_us, &seconds);

	put(pack, cbor_encode_array_start(records, pack->at, room(pack)));
	put(pack, cbor_encode_map_start(keys + (has_time ? 2 : 1), pack->at, room(pack)));
	put_label(pack, LABEL_BASE_NAME);
	put_text(pack, name);
	if (!has_time)
		return;
	put_label(pack, LABEL_BASE_TIME);
	put_number(pack, seconds, SENML_TIME_DIGITS);
}

static size_t key_count(const struct senml_value *said)
{
	return said->unit ? 3 : 2;
}

static void put_value(struct pack *pack, const struct channel *channel,
		      const struct senml_value *said)
{
	put_label(pack, LABEL_NAME);
	put_text(pack, channel->name);
	if (said->unit) {
		put_label(pack, LABEL_UNIT);
		put_text(pack, said->unit);
	}
	put_label(pack, LABEL_VALUE);
	put_number(pack, said->number, said->digits);
}

static int cbor_reading(const struct message_origin *origin, const struct reading *reading,
			message_sink sink, void *data)
{
	cleanup(freep) char *name = senml_name_new(origin->topic, true);
	cleanup(pack_done) struct pack pack = { 0 };
	struct message *message;
	int r;

	r = name ? pack_new(&pack, HEAD_SIZE + strlen(name) + reading->count * RECORD_SIZE)
		 : -ENOMEM;
	if (r < 0)
		return r;
	for (size_t i = 0; i < reading->count; i++) {
		const struct senml_value said = senml_value(origin, &reading->values[i]);

		if (i == 0)
			put_head(&pack, reading->count, name, reading->time_us, key_count(&said));
		else
			put(&pack, cbor_encode_map_start(key_count(&said), pack.at, room(&pack)));
		put_value(&pack, reading->values[i].channel, &said);
	}
	r = message_new(&message, origin->topic, pack.start, (size_t)(pack.at - pack.start));
	if (r == 0)
		sink(data, message);
	return r;
}

static int cbor_state(const struct message_origin *origin, const struct state *state,
		      struct message **ret)
{
	cleanup(freep) char *name = senml_name_new(origin->topic, false);
	cleanup(pack_done) struct pack pack = { 0 };
	int r;

	r = name ? pack_new(&pack, HEAD_SIZE + strlen(name)) : -ENOMEM;
	if (r < 0)
		return r;
	put_head(&pack, 1, name, state->time_us, 1);
	put_label(&pack, LABEL_BOOLEAN);
	put(&pack, cbor_encode_bool(state->on, pack.at, room(&pack)));
	return message_new(ret, origin->topic, pack.start, (size_t)(pack.at - pack.start));
}

const struct message_format_ops message_format_cbor = {
	.reading = cbor_reading,
	.state = cbor_state,
};
