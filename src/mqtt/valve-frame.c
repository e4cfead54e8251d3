/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The valve's bytes, from the broker: where its packets begin, and what of them is let through (valve.c).
 */
#include <errno.h>
#include <string.h>

#include "iotd/base.h"
#include "valve.h"

#define PACKET_PUBLISH 0x30
#define PACKET_TYPE    0xf0
#define PACKET_CONNACK 0x20
#define PACKET_PUBACK  0x40
#define PACKET_PUBREC  0x50
#define PACKET_PUBCOMP 0x70
#define ID_SIZE	       2    /* of what answers a PUBLISH, at least: MQTT 5.0, section 3.4.2 */
#define SHORT_ANSWER   4    /* bytes of a PUBACK and the like, or a SUBACK, without properties */
#define QOS_1	       0x02 /* of the flags of a PUBLISH */
#define QOS_2	       0x04 /* together with QOS_1 it is malformed */
#define MORE	       0x80 /* of a byte of a length: another one follows */
#define LENGTH_MAX     4    /* bytes of a length */

/* as a variable byte integer, MQTT 5.0, section 1.5.5. Return: how many bytes */
static size_t encode_length(uint8_t *bytes, size_t length)
{
	size_t n = 0;

	do {
		bytes[n] = (uint8_t)(length % MORE);
		length /= MORE;
		bytes[n] |= length > 0 ? MORE : 0;
		n++;
	} while (length > 0);
	return n;
}

static size_t decode_length(const uint8_t *bytes, size_t count)
{
	size_t length = 0;

	while (count > 0)
		length = length * MORE + bytes[--count] % MORE;
	return length;
}

/* Return: 1 the field is complete; 0 not yet; -EPROTO */
static int frame_field_ends(const struct valve_frame *frame)
{
	size_t count = frame->field_length;

	if (frame->part == VALVE_TOPIC_LENGTH)
		return count == 2;
	if (frame->part == VALVE_HEADER)
		count--; /* the type; the rest of it, as the properties' length, is a length */
	if (count == 0)
		return 0;
	if (frame->field[frame->field_length - 1] & MORE)
		return count == LENGTH_MAX ? -EPROTO : 0;
	return 1;
}

/* one with properties, or a CONNACK: that of MQTT 3.1.1 has none */
static bool frame_is_answer(const struct valve_frame *frame, size_t length)
{
	uint8_t type = frame->field[0] & PACKET_TYPE;

	return frame->answered && type != PACKET_PUBLISH &&
	       (length > SHORT_ANSWER || type == PACKET_CONNACK);
}

static bool frame_is_acknowledgement(const struct valve_frame *frame)
{
	uint8_t type = frame->field[0] & PACKET_TYPE;

	return frame->acknowledged &&
	       (type == PACKET_PUBACK || type == PACKET_PUBREC || type == PACKET_PUBCOMP);
}

/* an answer that is too long is shown up to where it fits */
static void frame_show(struct valve_frame *frame, const uint8_t *bytes, size_t size)
{
	size_t room = VALVE_ANSWER_MAX - frame->answer_length;

	size = size < room ? size : room;
	memcpy(frame->answer + frame->answer_length, bytes, size);
	frame->answer_length += size;
	if (frame->passing > 0)
		return;
	frame->tell(frame);
	frame->tell = NULL;
}

/* Return: the length of the header that is let through; -EPROTO */
static int frame_begin(struct valve_frame *frame, uint8_t *passed)
{
	bool is_publish = (frame->field[0] & PACKET_TYPE) == PACKET_PUBLISH;
	size_t length = decode_length(frame->field + 1, frame->field_length - 1);

	frame->passing = length < VALVE_PACKET_MAX ? length : VALVE_PACKET_MAX;
	frame->hiding = length - frame->passing;
	if (is_publish ? frame->field[0] & QOS_2 : frame->hiding > 0)
		return -EPROTO; /* we subscribe at QoS 1 */
	frame->tell = frame_is_answer(frame, length) ? frame->answered : NULL;
	frame->answer_type = frame->field[0];
	frame->answer_length = 0;
	if (frame_is_acknowledgement(frame)) {
		frame->tell = frame->acknowledged;
		return length < ID_SIZE ? -EPROTO : 0;
	}
	memcpy(passed, frame->field, frame->field_length);
	if (frame->hiding == 0)
		return (int)frame->field_length;
	if (frame->has_properties) {
		frame->part = VALVE_TOPIC_LENGTH;
		frame->id_length = frame->field[0] & QOS_1 ? 2 : 0;
		frame->passing = 0;
	}
	return (int)(1 + encode_length(passed + 1, VALVE_PACKET_MAX));
}

/* the longest topic leaves room for what comes behind it */
static int frame_begin_topic(struct valve_frame *frame, uint8_t *passed)
{
	memcpy(passed, frame->field, 2);
	frame->part = VALVE_PROPERTIES_LENGTH;
	frame->passing = ((size_t)frame->field[0] << 8 | frame->field[1]) + frame->id_length;
	frame->behind = VALVE_PACKET_MAX - 2 - frame->passing;
	return 2;
}

/* properties that a cut would go through, or too near to, become a part of the payload */
static int frame_begin_properties(struct valve_frame *frame, uint8_t *passed)
{
	size_t length = decode_length(frame->field, frame->field_length);

	memcpy(passed, frame->field, frame->field_length);
	frame->part = VALVE_HEADER;
	frame->passing = frame->behind - frame->field_length;
	if (length + VALVE_PAYLOAD_MIN > frame->passing)
		passed[0] = 0; /* no properties; the other bytes of their length are payload too */
	return (int)frame->field_length;
}

/* one more byte of a field. Return: how many bytes are let through; -EPROTO */
static int frame_add(struct valve_frame *frame, uint8_t byte, uint8_t *passed)
{
	int r;

	frame->field[frame->field_length++] = byte;
	r = frame_field_ends(frame);
	if (r <= 0)
		return r;
	switch (frame->part) {
	case VALVE_HEADER:
		r = frame_begin(frame, passed);
		break;
	case VALVE_TOPIC_LENGTH:
		r = frame_begin_topic(frame, passed);
		break;
	case VALVE_PROPERTIES_LENGTH:
		r = frame_begin_properties(frame, passed);
		break;
	}
	frame->field_length = 0;
	return r;
}

int valve_pass(struct valve_frame *frame, const uint8_t *bytes, size_t size, uint8_t *passed)
{
	size_t at = 0, length = 0, n;
	bool passes;
	int r;

	while (at < size) {
		if (frame->passing > 0) {
			n = frame->passing < size - at ? frame->passing : size - at;
			passes = !frame->tell || frame->tell != frame->acknowledged;
			frame->passing -= n;
			if (passes)
				memcpy(passed + length, bytes + at, n);
			if (frame->tell)
				frame_show(frame, bytes + at, n);
			length += passes ? n : 0;
		} else if (frame->hiding > 0 && frame->part == VALVE_HEADER) {
			n = frame->hiding < size - at ? frame->hiding : size - at;
			frame->hiding -= n;
		} else {
			n = 1;
			r = frame_add(frame, bytes[at], passed + length);
			if (r < 0)
				return r;
			length += (size_t)r;
		}
		at += n;
	}
	return (int)length;
}
