/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmosquitto locks nine times for a PUBLISH, allocates twice, looks at each byte of the topic three
 * times and writes the packet by itself. Here a burst of them goes into one buffer (valve.h). All else
 * that is MQTT is the library's.
 */
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <string.h>

#include "iotd/base.h"
#include "packet.h"

#define RETAIN	    0x01
#define QOS_SHIFT   1
#define PUBREL_BITS 0x02       /* section 3.6.1 */
#define MORE	    0x80       /* of a byte of a length: another one follows */
#define LENGTH_MAX  268435455  /* section 1.5.5 */
#define TEXT_MAX    UINT16_MAX /* section 1.5.4 */

/* --- measuring ------------------------------------------------------------------------------ */

/* of a variable byte integer, section 1.5.5 */
static size_t length_size(size_t length)
{
	size_t size = 1;

	while (length >>= 7)
		size++;
	return size;
}

/* bytes of a topic, but for the letters, digits and signs that nearly all consist of */
enum {
	BYTE_WILDCARD = 1, /* section 4.7.1 */
	BYTE_STRANGE = 2   /* of UTF-8 beyond ASCII, or a control character: section 1.5.4 */
};

static const uint8_t byte_kinds[UINT8_MAX + 1] = {
	[1 ... ' ' - 1] = BYTE_STRANGE,
	['#'] = BYTE_WILDCARD,
	['+'] = BYTE_WILDCARD,
	['~' + 1 ... UINT8_MAX] = BYTE_STRANGE,
};

/* Return: its length; 0: nothing may be published to it */
static size_t topic_length(const char *topic)
{
	const uint8_t *at = (const uint8_t *)topic;
	size_t length = 0;
	uint8_t kinds = 0;

	while (at[length] != '\0')
		kinds |= byte_kinds[at[length++]];
	if (length > TEXT_MAX || kinds & BYTE_WILDCARD)
		return 0;
	if (kinds & BYTE_STRANGE && mosquitto_validate_utf8(topic, (int)length) != MOSQ_ERR_SUCCESS)
		return 0;
	return length;
}

/* those that stand before @message->extra included */
static size_t own_properties(const struct wire_message *message)
{
	size_t length = 0;

	if (message->content_type)
		length += 1 + 1 + 1 + 2 + strlen(message->content_type);
	if (message->expiry_s > 0)
		length += 1 + 4;
	if (message->correlation)
		length += 1 + 2 + message->correlation_length;
	return length;
}

static void measure(struct packet *packet, const struct wire_properties *extra)
{
	const struct wire_message *message = packet->message;

	packet->extra = extra;
	packet->body_length =
		2 + packet->topic_length + (message->qos > 0 ? 2 : 0) + message->length;
	if (packet->is_5) {
		packet->properties_length = own_properties(message) + (extra ? extra->length : 0);
		packet->body_length +=
			length_size(packet->properties_length) + packet->properties_length;
	}
	packet->size = 1 + length_size(packet->body_length) + packet->body_length;
}

int packet_measure(struct packet *ret, const struct wire_message *message, bool is_5, size_t most)
{
	size_t length = topic_length(message->topic);

	if (length == 0)
		return -EINVAL;
	if (message->length > LENGTH_MAX || message->correlation_length > UINT16_MAX)
		return -EMSGSIZE;
	*ret = (struct packet){ .message = message, .is_5 = is_5, .topic_length = length };
	measure(ret, is_5 ? message->extra : NULL);
	if (ret->extra && most > 0 && ret->size > most)
		measure(ret, NULL);
	return ret->body_length > LENGTH_MAX || (most > 0 && ret->size > most) ? -EMSGSIZE : 0;
}

/* --- writing; each returns where the next one goes ------------------------------------------- */

static uint8_t *put_number(uint8_t *at, size_t number)
{
	*at++ = (uint8_t)(number >> 8);
	*at++ = (uint8_t)number;
	return at;
}

static uint8_t *put_length(uint8_t *at, size_t length)
{
	for (; length >= MORE; length >>= 7)
		*at++ = (uint8_t)(length | MORE);
	*at++ = (uint8_t)length;
	return at;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t length)
{
	if (length > 0)
		memcpy(at, bytes, length);
	return at + length;
}

static uint8_t *put_text(uint8_t *at, const void *text, size_t length)
{
	return put_bytes(put_number(at, length), text, length);
}

static uint8_t *put_properties(const struct packet *packet, uint8_t *at)
{
	const struct wire_message *message = packet->message;

	at = put_length(at, packet->properties_length);
	if (packet->extra)
		at = put_bytes(at, packet->extra->bytes, packet->extra->length);
	if (message->content_type) {
		*at++ = MQTT_PROP_PAYLOAD_FORMAT_INDICATOR;
		*at++ = 1; /* UTF-8 */
		*at++ = MQTT_PROP_CONTENT_TYPE;
		at = put_text(at, message->content_type, strlen(message->content_type));
	}
	if (message->expiry_s > 0) {
		*at++ = MQTT_PROP_MESSAGE_EXPIRY_INTERVAL;
		at = put_number(put_number(at, message->expiry_s >> 16),
				message->expiry_s & 0xffff);
	}
	if (message->correlation) {
		*at++ = MQTT_PROP_CORRELATION_DATA;
		at = put_text(at, message->correlation, message->correlation_length);
	}
	return at;
}

void packet_write(const struct packet *packet, uint16_t id, uint8_t *at)
{
	const struct wire_message *message = packet->message;

	*at++ = (uint8_t)(CMD_PUBLISH | (unsigned int)message->qos << QOS_SHIFT |
			  (message->retain ? RETAIN : 0));
	at = put_length(at, packet->body_length);
	at = put_text(at, message->topic, packet->topic_length);
	if (message->qos > 0)
		at = put_number(at, id);
	if (packet->is_5)
		at = put_properties(packet, at);
	(void)put_bytes(at, message->payload, message->length);
}

void packet_write_pubrel(uint16_t id, uint8_t at[static PACKET_PUBREL_SIZE])
{
	at[0] = CMD_PUBREL | PUBREL_BITS;
	at[1] = 2;
	(void)put_number(at + 2, id);
}

size_t packet_pair(const char *name, const char *value, uint8_t *at)
{
	size_t name_length = strlen(name), value_length = strlen(value);

	if (at) {
		*at++ = MQTT_PROP_USER_PROPERTY;
		at = put_text(at, name, name_length);
		(void)put_text(at, value, value_length);
	}
	return 1 + 2 + name_length + 2 + value_length;
}
