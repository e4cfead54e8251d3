/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The valve between the broker's socket and the library: bounds what the broker can make the
 * library hold. Plain bytes of MQTT on the library's side, and TLS on the other if there is a session; of
 * whoever owns the connection, one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls.h"

#define VALVE_PACKET_MAX  131072 /* of a packet's body so much is let in: any topic, and a command */
#define VALVE_PAYLOAD_MIN 8192	 /* so much is left of a payload that is cut: no command has it */
#define VALVE_HEADER_MAX  5	 /* MQTT 5.0, section 2.1: the type, and 1 to 4 bytes of length */
#define VALVE_IN_SIZE	  8192	 /* taken in at a time */
#define VALVE_OUT_SIZE	  16384
#define VALVE_OUT_KEPT	  131072 /* so much room at most is kept for the next burst */
#define VALVE_ANSWER_MAX  512	 /* of an answer's body so much is shown */

/** enum valve_part - of a packet, what is looked at */
enum valve_part {
	VALVE_HEADER,
	VALVE_TOPIC_LENGTH, /* this and the next one: of a PUBLISH that is cut and has properties */
	VALVE_PROPERTIES_LENGTH
};

/** struct valve_frame - where in a packet the stream from the broker is */
struct valve_frame {
	bool has_properties;  /* MQTT 5: a PUBLISH has them */
	enum valve_part part; /* the next one, behind what is passing */
	uint8_t field[VALVE_HEADER_MAX];
	size_t field_length; /* bytes of that part so far */
	size_t id_length;    /* of the packet identifier behind the topic */
	size_t behind;	     /* bytes of the body to let through behind the topic */
	size_t passing,
		hiding; /* bytes still to come: to let through, then, behind all parts, to swallow */
	/** NULL, or called with an answer that says more than yes or no, when it has come and not yet passed */
	void (*answered)(struct valve_frame *frame);
	/**
	 * NULL: they pass. Else called with a PUBACK, PUBREC or PUBCOMP, which does not: it answers a
	 * packet of valve_put(). Its body has two bytes at least
	 */
	void (*acknowledged)(struct valve_frame *frame);
	void (*tell)(
		struct valve_frame *frame); /* of these two, of the packet that comes; NULL: none */
	uint8_t answer_type;		    /* its first byte */
	uint8_t answer[VALVE_ANSWER_MAX];
	size_t answer_length;
};

/** struct valve - embedded */
struct valve {
	int outer, inner; /* the broker's socket; our end of the pair. -1: closed */
	struct tls *tls;  /* over @outer; put in before a byte goes through. NULL: in the clear */
	bool ended; /* nothing more comes from the broker: its end, or an error of the socket */
	struct valve_frame frame;
	uint8_t *out; /* what is to be sent */
	size_t out_start, out_end, out_size;
	bool is_taken; /* all that the library wrote is in @out, which ends with a packet */
};

/** valve_init() - closed */
void valve_init(struct valve *valve);

/**
 * valve_open() - step in between: @fd becomes our end of a pair, the valve keeps the socket
 * @fd: a connected stream socket of the library, non-blocking
 * @protocol: of MQTT, 4 or 5
 *
 * Return: 0; -EMFILE, -ENFILE, -ENOMEM.
 */
int valve_open(struct valve *valve, int fd, int protocol);

/** valve_close() - closes the socket, and the library finds its end closed. Closed already is fine */
void valve_close(struct valve *valve);

/**
 * valve_fill() - let in what the broker sent: VALVE_IN_SIZE at most, all of which the library must then read
 *
 * Return: 0, also if nothing came, and at the end; -EPROTO it may not send that; -ECONNABORTED TLS failed; another errno
 * of the socket.
 */
int valve_fill(struct valve *valve);

/**
 * valve_put() - room for a packet of our own behind what the library wrote, which must have written all that it
 * wants to; valve_drain() sends it
 *
 * Return: @size bytes, to be filled before the next call; NULL: out of memory.
 */
uint8_t *valve_put(struct valve *valve, size_t size);

/** valve_waiting() - bytes of what was put or taken from the library and is not sent */
size_t valve_waiting(const struct valve *valve);

/** valve_has_more() - valve_fill() has more to let in, of which poll() does not know: a TLS record's rest */
bool valve_has_more(const struct valve *valve);

/**
 * valve_drain() - send what was put, and what the library wrote
 *
 * Return: 1 the socket takes no more for now; 0 all is sent, or the connection is broken, which valve_fill() will say.
 */
int valve_drain(struct valve *valve);

/**
 * valve_pass() - the bytes of a stream as the library may see them
 * @bytes: @size of them; @passed: room for @size + VALVE_HEADER_MAX
 *
 * A PUBLISH over VALVE_PACKET_MAX is cut short there; properties that leave less than VALVE_PAYLOAD_MIN for its payload
 * become a part of it. Return: how many bytes are in @passed; -EPROTO another packet of that size, a length that is none,
 * or a PUBLISH of a QoS that was never subscribed to.
 */
int valve_pass(struct valve_frame *frame, const uint8_t *bytes, size_t size, uint8_t *passed);
