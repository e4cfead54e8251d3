/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why something with the broker failed, in words that a person finds in an MQTT book or in a
 * search. Texts begin in lower case, for they stand behind a colon.
 */
#include <ctype.h>
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <string.h>

#include "iotd/base.h"
#include "iotd/clock.h"
#include "words.h"

#define UPPER_CASE "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* "User" -> "user", but "DNS" and "QoS" stay */
static void make_small(char *word, size_t length)
{
	if (length > 0 && strcspn(word + 1, UPPER_CASE) >= length - 1)
		word[0] = (char)tolower((unsigned char)word[0]);
}

/* "Bad User Name" -> "bad user name"; a final stop goes */
static void make_phrase(char *text)
{
	size_t length = strlen(text), word;

	for (char *at = text; *at; at += word + (at[word] == ' ')) {
		word = strcspn(at, " ");
		make_small(at, word);
	}
	if (length > 0 && text[length - 1] == '.')
		text[length - 1] = '\0';
}

/* MQTT 3.1.1, table 3.1: return codes of CONNACK. MQTT 5 never sends these numbers as errors */
static const char *const return_codes[] = {
	[CONNACK_REFUSED_PROTOCOL_VERSION] = "it does not speak this version (see mqtt.protocol)",
	[CONNACK_REFUSED_IDENTIFIER_REJECTED] = "client identifier rejected",
	[CONNACK_REFUSED_SERVER_UNAVAILABLE] = "server unavailable",
	[CONNACK_REFUSED_BAD_USERNAME_PASSWORD] = "bad user name or password",
	[CONNACK_REFUSED_NOT_AUTHORIZED] = "not authorized",
};

void reason_words(char buffer[static REASON_SIZE], int reason)
{
	const char *text;

	if (reason > 0 && reason < (int)ARRAY_SIZE(return_codes))
		text = return_codes[reason];
	else if (reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION)
		text = return_codes[CONNACK_REFUSED_PROTOCOL_VERSION];
	else
		text = mosquitto_reason_string(reason);
	(void)snprintf(buffer, REASON_SIZE - 8, "%s", text);
	make_phrase(buffer);
	(void)snprintf(buffer + strlen(buffer), 8, " (0x%02x)", (unsigned int)reason & 0xff);
}

void error_words(char *buffer, size_t size, int error)
{
	(void)snprintf(buffer, size, "%s", strerror(error < 0 ? -error : error));
	make_phrase(buffer);
}

void library_words(char *buffer, size_t size, int code, int error)
{
	char reason[REASON_SIZE];

	if (code == MOSQ_ERR_ERRNO) {
		error_words(buffer, size, error);
	} else if (code == MOSQ_ERR_CONN_LOST) {
		(void)snprintf(buffer, size, "the broker closed the connection");
	} else if (code == MOSQ_ERR_PROTOCOL || code == MOSQ_ERR_MALFORMED_PACKET) {
		(void)snprintf(buffer, size, "what came from the broker is not valid MQTT");
	} else if (code == MOSQ_ERR_KEEPALIVE) {
		(void)snprintf(buffer, size, "no answer to the keepalive ping");
	} else if (code >= MQTT_RC_UNSPECIFIED) {
		reason_words(reason, code);
		(void)snprintf(buffer, size, "the broker said: %s%s", reason,
			       code == MQTT_RC_SESSION_TAKEN_OVER
				       ? ", by another client with our mqtt.client_id"
				       : "");
	} else {
		(void)snprintf(buffer, size, "%s", mosquitto_strerror(code));
		make_phrase(buffer);
	}
}

void elapsed_words(char *buffer, size_t size, int64_t duration_us)
{
	long long seconds = duration_us / USEC_PER_SEC;

	if (seconds < 2)
		(void)snprintf(buffer, size, "%lld ms", duration_us / USEC_PER_MSEC);
	else if (seconds < 120)
		(void)snprintf(buffer, size, "%lld s", seconds);
	else if (seconds < 7200)
		(void)snprintf(buffer, size, "%lld min", seconds / 60);
	else
		(void)snprintf(buffer, size, "%lld h", seconds / 3600);
}
