/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library believes what a packet's header says: it allocates up to 256 MB for five bytes, reads
 * on as long as the broker sends fast enough, copies the payload once more, and keeps each PUBLISH
 * of QoS 2 until the broker releases it. It has no limit for any of that (2.0.21, lib/packet_mosq.c:
 * "FIXME - client case for incoming message received from broker too large"), and to announce a
 * maximum packet size stops only a broker that is honest.
 *
 * So the library never sees the socket: when it is connected, one end of a socket pair takes the
 * socket's number, and all bytes come through here.
 *
 *	broker  <- outer ->  valve  <- inner ->  library
 *
 * From the broker: a little at a time, so that no broker holds the reactor, and read to its end by the
 * library before more is taken. The lengths of the packets are followed. A PUBLISH that is too large is
 * cut short, by a smaller length in its header, and the rest is swallowed: what is left is still far over
 * what a command may have, so it gets its error reply, and nobody who may publish to us can cut our line
 * with a large message. Its properties (MQTT 5) stay if they are whole and a payload that is too large
 * remains behind them; else their length becomes 0 and their bytes payload, for the library takes half a
 * property for the end of MQTT. What no broker sends unless it is hostile or broken ends the connection.
 *
 * To the broker: what the library wrote in a burst leaves in one send().
 *
 * A copy each way costs less than what it saves (a burst is one send on a TCP socket, and the library's
 * three reads a packet are on the pair). Rejected: MSG_PEEK before the library reads (how much it
 * consumes is not known), RLIMIT_DATA (hits everybody else too).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iotd/base.h"
#include "valve.h"

#define PACKET_PUBLISH 0x30
#define PACKET_TYPE    0xf0
#define QOS_1	       0x02 /* of the flags of a PUBLISH */
#define QOS_2	       0x04 /* together with QOS_1 it is malformed */
#define MORE	       0x80 /* of a byte of a length: another one follows */
#define LENGTH_MAX     4    /* bytes of a length */

/* --- the stream ----------------------------------------------------------------------------- */

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

/* Return: the length of the header that is let through; -EPROTO */
static int frame_begin(struct valve_frame *frame, uint8_t *passed)
{
	bool is_publish = (frame->field[0] & PACKET_TYPE) == PACKET_PUBLISH;
	size_t length = decode_length(frame->field + 1, frame->field_length - 1);

	frame->passing = length < VALVE_PACKET_MAX ? length : VALVE_PACKET_MAX;
	frame->hiding = length - frame->passing;
	if (is_publish ? frame->field[0] & QOS_2 : frame->hiding > 0)
		return -EPROTO; /* we subscribe at QoS 1 */
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
	int r;

	while (at < size) {
		if (frame->passing > 0) {
			n = frame->passing < size - at ? frame->passing : size - at;
			memcpy(passed + length, bytes + at, n);
			frame->passing -= n;
			length += n;
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

/* --- the sockets ---------------------------------------------------------------------------- */

void valve_init(struct valve *valve)
{
	*valve = (struct valve){ .outer = -1, .inner = -1 };
}

int valve_open(struct valve *valve, int fd, int protocol)
{
	cleanup(closep) int outer = fcntl(fd, F_DUPFD_CLOEXEC, 0), inner = -1, theirs = -1;
	int pair[2];

	if (outer < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	inner = pair[0];
	theirs = pair[1];
	if (dup3(theirs, fd, O_CLOEXEC) < 0)
		return -errno;
	valve_init(valve);
	valve->frame.has_properties = protocol == 5;
	valve->outer = take_fd(&outer);
	valve->inner = take_fd(&inner);
	return 0;
}

void valve_close(struct valve *valve)
{
	if (valve->inner >= 0)
		close(valve->inner);
	if (valve->outer >= 0)
		close(valve->outer);
	valve->inner = valve->outer = -1;
}

int valve_fill(struct valve *valve)
{
	uint8_t in[VALVE_IN_SIZE], passed[VALVE_IN_SIZE + VALVE_HEADER_MAX];
	ssize_t n;
	int length;

	n = recv(valve->outer, in, sizeof(in), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		valve->ended = true;
		return n < 0 ? -errno : 0;
	}
	length = valve_pass(&valve->frame, in, (size_t)n, passed);
	if (length < 0)
		return length;
	/* the pair is empty, and takes far more than this */
	n = send(valve->inner, passed, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return n == length ? 0 : -ENOBUFS;
}

int valve_drain(struct valve *valve)
{
	ssize_t n;

	for (;;) {
		if (valve->out_start == valve->out_end) {
			n = recv(valve->inner, valve->out, sizeof(valve->out), MSG_DONTWAIT);
			if (n <= 0)
				return 0;
			valve->out_start = 0;
			valve->out_end = (size_t)n;
		}
		n = send(valve->outer, valve->out + valve->out_start,
			 valve->out_end - valve->out_start, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 1;
		/* what a broken socket does not take is lost: why it broke is read from it */
		valve->out_start = n < 0 ? valve->out_end : valve->out_start + (size_t)n;
	}
}
