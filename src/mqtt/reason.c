/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmosquitto reads the properties of what answers a PUBLISH, and of a DISCONNECT, and frees them before
 * it calls anybody (2.0.21, lib/handle_pubackcomp.c: "we don't do anything with Reason String or User
 * Property at the moment"). So they are read here, from the bytes that pass the valve. Section numbers
 * are those of MQTT 5.0. What is not as it should be ends the reading: the library judges it.
 */
#include <ctype.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <string.h>

#include "iotd/base.h"
#include "iotd/parse.h"
#include "reason.h"

#define PACKET_CONNACK	  0x20
#define PACKET_PUBACK	  0x40
#define PACKET_PUBREC	  0x50
#define PACKET_PUBCOMP	  0x70
#define PACKET_SUBACK	  0x90
#define PACKET_DISCONNECT 0xe0
#define PACKET_TYPE	  0xf0

#define SHOWN_MAX 60 /* bytes of each text */

struct bytes {
	const uint8_t *at;
	size_t left;
};

static bool take(struct bytes *from, size_t size, struct bytes *ret)
{
	if (from->left < size)
		return false;
	*ret = (struct bytes){ from->at, size };
	from->at += size;
	from->left -= size;
	return true;
}

/* two bytes, the greater one first: section 1.5.2 */
static bool take_number(struct bytes *from, size_t *ret)
{
	struct bytes number;

	if (!take(from, 2, &number))
		return false;
	*ret = (size_t)number.at[0] << 8 | number.at[1];
	return true;
}

/* section 1.5.4, or what there is of it; binary data look alike: 1.5.6 */
static bool take_text(struct bytes *from, struct bytes *ret)
{
	size_t length;

	return take_number(from, &length) &&
	       take(from, length < from->left ? length : from->left, ret);
}

/* a variable byte integer, section 1.5.5, and so many bytes, or what there is of them */
static bool take_properties(struct bytes *from, struct bytes *ret)
{
	size_t length = 0;
	struct bytes byte = { .at = NULL };

	for (unsigned int shift = 0; shift < 28; shift += 7) {
		if (!take(from, 1, &byte))
			return false;
		length |= (size_t)(byte.at[0] & 0x7f) << shift;
		if (byte.at[0] < 0x80)
			return take(from, length < from->left ? length : from->left, ret);
	}
	return false;
}

/* the value of a property, section 2.2.2.2, into @ret if it is a text */
static bool take_value(struct bytes *from, uint8_t identifier, struct bytes *ret)
{
	switch (identifier) {
	case MQTT_PROP_MAXIMUM_QOS:
	case MQTT_PROP_RETAIN_AVAILABLE:
	case MQTT_PROP_WILDCARD_SUB_AVAILABLE:
	case MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE:
	case MQTT_PROP_SHARED_SUB_AVAILABLE:
		return take(from, 1, ret);
	case MQTT_PROP_SERVER_KEEP_ALIVE:
	case MQTT_PROP_RECEIVE_MAXIMUM:
	case MQTT_PROP_TOPIC_ALIAS_MAXIMUM:
		return take(from, 2, ret);
	case MQTT_PROP_SESSION_EXPIRY_INTERVAL:
	case MQTT_PROP_MAXIMUM_PACKET_SIZE:
		return take(from, 4, ret);
	case MQTT_PROP_USER_PROPERTY:
		if (!take_text(from, ret))
			return false;
		return take_text(from, ret);
	case MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER:
	case MQTT_PROP_AUTHENTICATION_METHOD:
	case MQTT_PROP_AUTHENTICATION_DATA:
	case MQTT_PROP_RESPONSE_INFORMATION:
	case MQTT_PROP_SERVER_REFERENCE:
	case MQTT_PROP_REASON_STRING:
		return take_text(from, ret);
	default:
		return false;
	}
}

/* adds @before, and @text in quotes, fit for a log */
static void tell(char told[static REASON_TOLD_SIZE], const char *before, struct bytes text)
{
	char shown[SHOWN_MAX + 4]; /* a character that is cut at its end is beyond what is shown */
	size_t length = strlen(told);

	if (text.left >= sizeof(shown))
		text.left = sizeof(shown) - 1;
	memcpy(shown, text.at, text.left);
	shown[text.left] = '\0';
	text_mend(shown);
	shown[text_fit(shown, SHOWN_MAX)] = '\0';
	for (char *c = shown; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	(void)snprintf(told + length, REASON_TOLD_SIZE - length, "%s\"%s\"", before, shown);
}

/* to where the properties begin: sections 3.2.2, 3.4.2, 3.9.2, 3.14.2 */
static bool skip_to_properties(struct bytes *body, uint8_t type, int *ret_mid)
{
	struct bytes code;
	size_t mid = 0;
	bool good = false;

	switch (type & PACKET_TYPE) {
	case PACKET_CONNACK:
		good = take(body, 2, &code);
		break;
	case PACKET_PUBACK:
	case PACKET_PUBREC:
	case PACKET_PUBCOMP:
		good = take_number(body, &mid) && take(body, 1, &code);
		break;
	case PACKET_SUBACK:
		good = take_number(body, &mid);
		break;
	case PACKET_DISCONNECT:
		good = take(body, 1, &code);
		break;
	default:
		break;
	}
	*ret_mid = (int)mid;
	return good;
}

bool reason_read(struct reason *ret, uint8_t type, const uint8_t *body, size_t length)
{
	struct bytes left = { body, length }, properties, identifier, value;
	struct bytes text = { .left = 0 }, server = { .left = 0 };
	struct reason reason = { .mid = 0 };

	if (!skip_to_properties(&left, type, &reason.mid) || !take_properties(&left, &properties))
		return false;
	while (take(&properties, 1, &identifier) &&
	       take_value(&properties, identifier.at[0], &value)) {
		if (identifier.at[0] == MQTT_PROP_REASON_STRING)
			text = value;
		else if (identifier.at[0] == MQTT_PROP_SERVER_REFERENCE)
			server = value;
	}
	if (text.left > 0)
		tell(reason.told, ": ", text);
	if (server.left > 0) {
		tell(reason.told, "; it names ", server);
		(void)strncat(reason.told, " (see mqtt.broker)",
			      sizeof(reason.told) - strlen(reason.told) - 1);
	}
	if (reason.told[0] == '\0')
		return false;
	*ret = reason;
	return true;
}
