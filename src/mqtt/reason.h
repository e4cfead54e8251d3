/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an MQTT 5 broker says beside its reason codes: out of its packets, for the library throws it away. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REASON_TOLD_SIZE 160

/** struct reason - the words that came with a reason code */
struct reason {
	int mid; /* of what a PUBACK or SUBACK answers; 0 of a CONNACK or DISCONNECT */
	char told
		[REASON_TOLD_SIZE]; /* to stand behind the code: `: "quota"; it names "b" (see mqtt.broker)` */
};

/**
 * reason_read() - reason string and server reference of a CONNACK, PUBACK, PUBREC, PUBCOMP, SUBACK or DISCONNECT
 * @type: the first byte of the packet
 * @body: @length bytes, perhaps not all of them
 *
 * Return: false: there is neither, and @ret is left alone.
 */
bool reason_read(struct reason *ret, uint8_t type, const uint8_t *body, size_t length);
