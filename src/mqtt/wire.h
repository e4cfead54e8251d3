/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the publisher sees of a connection: link.c is the real one, the unit tests fake it, so that
 * nothing above it knows libmosquitto. On the reactor's thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_WINDOW 64 /* messages handed over and not yet acknowledged, at most */

/** struct wire_limits - what the broker's CONNACK allows */
struct wire_limits {
	size_t window; /* 1 .. WIRE_WINDOW: messages in flight */
	int qos;       /* highest one that it takes */
	bool retain;   /* does it keep retained messages */
};

/** struct wire_properties - MQTT 5 properties that many messages share, as they are on the wire */
struct wire_properties {
	uint8_t *bytes;
	size_t length;
};

/** struct wire_message - one PUBLISH; all pointers stay the caller's and are copied */
struct wire_message {
	const char *topic;
	const void *payload, *correlation; /* correlation data: MQTT 5, NULL for none */
	size_t length, correlation_length;
	uint32_t expiry_s;	  /* MQTT 5, 0: none */
	const char *content_type; /* MQTT 5, of a payload in UTF-8; NULL: none */
	/* MQTT 5; left out if the message is too large with them; NULL: none */
	const struct wire_properties *extra;
	int qos;
	bool retain;
};

/** struct wire - a connection; embedded in its kind */
struct wire {
	/**
	 * write one message or queue it for writing; its end is told as an acknowledgement of *@ret_mid,
	 * not before end(). Return: 0; -ENOTCONN the connection is gone; -EINVAL, -EMSGSIZE this
	 * message can never be sent to this broker
	 */
	int (*publish)(struct wire *wire, const struct wire_message *message, int *ret_mid);
	/** true while the socket takes no more */
	bool (*is_full)(struct wire *wire);
	/** the end of a burst of publish(): sends it, in as few segments as it takes */
	void (*end)(struct wire *wire);
};
