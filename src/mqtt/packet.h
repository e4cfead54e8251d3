/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The packets of a message on its way out, which iotd writes itself: what libmosquitto does for a
 * PUBLISH is as much work as all the rest of a reading. Sections are those of MQTT 5.0. Pure, any thread.
 */

#include "wire.h"

#define PACKET_PUBREL_SIZE 4

/** struct packet - a PUBLISH, section 3.3, measured; @message stays the caller's */
struct packet {
	const struct wire_message *message;
	const struct wire_properties *extra; /* NULL: none, or there is no room for them */
	bool is_5;
	size_t topic_length, properties_length;
	size_t body_length; /* what stands behind the length in its header */
	size_t size;	    /* bytes of all of it */
};

/**
 * packet_measure() - how large it is; @message->extra is left out if it is too large with that
 * @is_5: MQTT 5, else MQTT 3.1.1, which has no properties
 * @most: bytes that the broker takes; 0: no limit but the protocol's
 *
 * Return: 0; -EINVAL nothing may be published to such a topic; -EMSGSIZE it is too large.
 */
int packet_measure(struct packet *ret, const struct wire_message *message, bool is_5, size_t most);

/** packet_write() - @packet->size bytes at @at; @id of the packet from 1 on, not looked at with QoS 0 */
void packet_write(const struct packet *packet, uint16_t id, uint8_t *at);

/** packet_write_pubrel() - section 3.6: the answer to a PUBREC */
void packet_write_pubrel(uint16_t id, uint8_t at[static PACKET_PUBREL_SIZE]);

/** packet_pair() - a user property, section 2.2.2.2, at @at if that is not NULL. Return: its bytes */
size_t packet_pair(const char *name, const char *value, uint8_t *at);
