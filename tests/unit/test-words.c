/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reasons of a broker in words. */
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "fixture.h"
#include "mqtt/words.h"

static const struct {
	int reason;
	const char *words;
} reasons[] = {
	{ 1, "it does not speak this version (see mqtt.protocol) (0x01)" },
	{ 5, "not authorized (0x05)" },
	{ 0x84, "it does not speak this version (see mqtt.protocol) (0x84)" },
	{ 0x87, "not authorized (0x87)" },
	{ 0x8e, "session taken over (0x8e)" },
	{ 0x9b, "QoS not supported (0x9b)" },
	{ 0x9c, "use another server (0x9c)" },
	{ 0x9d, "server moved (0x9d)" },
};

START_TEST(a_reason_has_words_and_its_number)
{
	char words[REASON_SIZE];

	reason_words(words, reasons[_i].reason);
	ck_assert_str_eq(words, reasons[_i].words);
}
END_TEST

static const struct {
	int code, error;
	const char *words;
} codes[] = {
	{ MOSQ_ERR_ERRNO, ECONNREFUSED, "connection refused" },
	{ MOSQ_ERR_CONN_LOST, 0, "the broker closed the connection" },
	{ MQTT_RC_SERVER_SHUTTING_DOWN, 0, "the broker said: server shutting down (0x8b)" },
	{ MQTT_RC_SESSION_TAKEN_OVER, 0,
	  "the broker said: session taken over (0x8e), by another client with our mqtt.client_id" },
};

START_TEST(a_code_of_the_library_has_words)
{
	char words[128];

	library_words(words, sizeof(words), codes[_i].code, codes[_i].error);
	ck_assert_str_eq(words, codes[_i].words);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *suite = suite_create("words");
	TCase *tests = tcase_create("words");

	tcase_add_loop_test(tests, a_reason_has_words_and_its_number, 0, COUNT(reasons));
	tcase_add_loop_test(tests, a_code_of_the_library_has_words, 0, COUNT(codes));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
