/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PUBLISH byte for byte, as MQTT 5.0, section 3.3, and MQTT 3.1.1, section 3.3, have it. */
#include <errno.h>

#include "fixture.h"
#include "iotd/base.h"
#include "mqtt/packet.h"

#define BYTES(text) text, sizeof(text) - 1

static uint8_t pairs[] = { 0x26, 0, 1, 'a', 0, 1, 'b' };
static const struct wire_properties extra = { pairs, sizeof(pairs) };

/* packets are written behind this, which must stay */
#define GUARD 0x5a

static const struct {
	const char *what;
	struct wire_message message;
	bool is_5;
	const char *bytes;
	size_t size;
} cases[] = {
	{ "MQTT 3.1.1 has no properties",
	  { .topic = "t/a", .payload = "21.5", .length = 4, .extra = &extra, .expiry_s = 9 },
	  false,
	  BYTES("\x30\x09\0\x03t/a21.5") },
	{ "QoS 1 has an identifier",
	  { .topic = "t/a", .payload = "21.5", .length = 4, .qos = 1 },
	  false,
	  BYTES("\x32\x0b\0\x03t/a\x12\x34"
		"21.5") },
	{ "QoS 2, retained, without a payload",
	  { .topic = "t", .qos = 2, .retain = true },
	  false,
	  BYTES("\x35\x05\0\x01t\x12\x34") },
	{ "MQTT 5 without properties says so",
	  { .topic = "t/a", .payload = "x", .length = 1, .qos = 1 },
	  true,
	  BYTES("\x32\x09\0\x03t/a\x12\x34\0x") },
	{ "what messages share",
	  { .topic = "t", .payload = "x", .length = 1, .extra = &extra },
	  true,
	  BYTES("\x30\x0c\0\x01t\x07\x26\0\x01"
		"a\0\x01"
		"bx") },
	{ "an expiry of four bytes",
	  { .topic = "t", .expiry_s = 0x01020304, .retain = true },
	  true,
	  BYTES("\x31\x09\0\x01t\x05\x02\x01\x02\x03\x04") },
	{ "a reply",
	  { .topic = "t",
	    .payload = "{}",
	    .length = 2,
	    .correlation = "c\0d",
	    .correlation_length = 3,
	    .content_type = "a/b",
	    .qos = 1 },
	  true,
	  BYTES("\x32\x16\0\x01t\x12\x34\x0e\x01\x01\x03\0\x03"
		"a/b\x09\0\x03"
		"c\0d{}") },
	{ "all properties in one",
	  { .topic = "t", .extra = &extra, .correlation = "", .expiry_s = 1, .content_type = "a" },
	  true,
	  BYTES("\x30\x19\0\x01t\x15\x26\0\x01"
		"a\0\x01"
		"b\x01\x01\x03\0\x01"
		"a\x02\0\0\0\x01\x09\0\0") },
};

START_TEST(a_publish_is_what_the_standard_has)
{
	struct packet packet;
	uint8_t bytes[64];

	memset(bytes, GUARD, sizeof(bytes));
	ck_assert_int_eq(packet_measure(&packet, &cases[_i].message, cases[_i].is_5, 0), 0);
	ck_assert_msg(packet.size == cases[_i].size, "%s: %zu bytes", cases[_i].what, packet.size);
	packet_write(&packet, 0x1234, bytes);
	ck_assert_mem_eq(bytes, cases[_i].bytes, cases[_i].size);
	for (size_t i = cases[_i].size; i < sizeof(bytes); i++)
		ck_assert_uint_eq(bytes[i], GUARD);
}
END_TEST

static const struct {
	size_t payload; /* with a topic of one byte: of which the body has three */
	size_t size;
	uint8_t header[5];
} lengths[] = {
	{ 124, 2 + 127, { 0x30, 127, 0, 1, 't' } },
	{ 125, 3 + 128, { 0x30, 0x80, 0x01, 0, 1 } },
	{ 16380, 3 + 16383, { 0x30, 0xff, 0x7f, 0, 1 } },
	{ 16381, 4 + 16384, { 0x30, 0x80, 0x80, 0x01, 0 } },
	{ 2097148, 4 + 2097151, { 0x30, 0xff, 0xff, 0x7f, 0 } },
	{ 2097149, 5 + 2097152, { 0x30, 0x80, 0x80, 0x80, 0x01 } },
};

START_TEST(a_length_takes_one_to_four_bytes)
{
	uint8_t *payload = calloc(1, lengths[_i].payload), *bytes = malloc(lengths[_i].size);
	const struct wire_message message = { .topic = "t",
					      .payload = payload,
					      .length = lengths[_i].payload };
	struct packet packet;

	ck_assert(payload && bytes);
	payload[lengths[_i].payload - 1] = 'z';
	ck_assert_int_eq(packet_measure(&packet, &message, false, 0), 0);
	ck_assert_uint_eq(packet.size, lengths[_i].size);
	packet_write(&packet, 0, bytes);
	ck_assert_mem_eq(bytes, lengths[_i].header, 5);
	ck_assert_uint_eq(bytes[lengths[_i].size - 1], 'z');
	free(payload);
	free(bytes);
}
END_TEST

/* user properties of so many bytes make the length before them a byte longer */
START_TEST(many_properties_have_a_length_of_two_bytes)
{
	uint8_t many[200] = { 0x26 }, bytes[256];
	const struct wire_properties properties = { many, 0 };
	struct wire_properties some = properties;
	const struct wire_message message = { .topic = "t", .extra = &some };
	struct packet packet;

	some.length = 127;
	ck_assert_int_eq(packet_measure(&packet, &message, true, 0), 0);
	ck_assert_uint_eq(packet.size, 3 + 3 + 1 + 127);
	some.length = 128;
	ck_assert_int_eq(packet_measure(&packet, &message, true, 0), 0);
	ck_assert_uint_eq(packet.size, 3 + 3 + 2 + 128);
	packet_write(&packet, 0, bytes);
	ck_assert_mem_eq(bytes, "\x30\x85\x01\0\x01t\x80\x01\x26", 9);
}
END_TEST

static const struct {
	const char *topic;
	int result;
} topics[] = {
	{ "t", 0 },
	{ "iotd/greenhouse-1/sensor/air", 0 },
	{ "/", 0 },
	{ "a b~!\"$%&", 0 },
	{ "büro/wärme", 0 },
	{ "", -EINVAL },
	{ "t/+", -EINVAL },
	{ "#", -EINVAL },
	{ "büro/#", -EINVAL },
	{ "t\nx", -EINVAL },
	{ "t\x7fx", -EINVAL },
	{ "b\xfcro", -EINVAL },
	{ "t/\xed\xa0\x80", -EINVAL }, /* half of a pair: section 1.5.4 */
};

START_TEST(wildcards_and_what_is_no_text_are_no_topic)
{
	const struct wire_message message = { .topic = topics[_i].topic };
	struct packet packet;

	ck_assert_msg(packet_measure(&packet, &message, true, 0) == topics[_i].result, "\"%s\"",
		      topics[_i].topic);
}
END_TEST

START_TEST(a_topic_has_65535_bytes_at_most)
{
	char topic[65537];
	const struct wire_message message = { .topic = topic };
	struct packet packet;

	memset(topic, 't', sizeof(topic));
	topic[65536] = '\0';
	ck_assert_int_eq(packet_measure(&packet, &message, true, 0), -EINVAL);
	topic[65535] = '\0';
	ck_assert_int_eq(packet_measure(&packet, &message, true, 0), 0);
	ck_assert_uint_eq(packet.size, 1 + 3 + 2 + 65535 + 1);
}
END_TEST

START_TEST(what_messages_share_is_left_out_where_there_is_no_room)
{
	const struct wire_message message = { .topic = "t", .extra = &extra, .length = 100 };
	const size_t with = 2 + 3 + 1 + sizeof(pairs) + 100, without = with - sizeof(pairs);
	struct packet packet;

	ck_assert_int_eq(packet_measure(&packet, &message, true, with), 0);
	ck_assert_uint_eq(packet.size, with);
	ck_assert_int_eq(packet_measure(&packet, &message, true, with - 1), 0);
	ck_assert_uint_eq(packet.size, without);
	ck_assert_ptr_null(packet.extra);
	ck_assert_int_eq(packet_measure(&packet, &message, true, without), 0);
	ck_assert_int_eq(packet_measure(&packet, &message, true, without - 1), -EMSGSIZE);
	ck_assert_int_eq(packet_measure(&packet, &message, false, without - 1), 0);
	ck_assert_uint_eq(packet.size, without - 1);
}
END_TEST

START_TEST(what_no_length_can_say_is_too_large)
{
	struct wire_message message = { .topic = "t", .length = 268435455 - 3 };
	struct packet packet;

	ck_assert_int_eq(packet_measure(&packet, &message, false, 0), 0);
	ck_assert_uint_eq(packet.size, 268435455 + 5);
	ck_assert_int_eq(packet_measure(&packet, &message, true, 0), -EMSGSIZE);
	message.length++;
	ck_assert_int_eq(packet_measure(&packet, &message, false, 0), -EMSGSIZE);
	message.length = SIZE_MAX;
	ck_assert_int_eq(packet_measure(&packet, &message, false, 0), -EMSGSIZE);
	message = (struct wire_message){ .topic = "t",
					 .correlation = "",
					 .correlation_length = 65536 };
	ck_assert_int_eq(packet_measure(&packet, &message, true, 0), -EMSGSIZE);
}
END_TEST

START_TEST(a_pubrel_has_four_bytes)
{
	uint8_t bytes[PACKET_PUBREL_SIZE];

	packet_write_pubrel(0xfedc, bytes);
	ck_assert_mem_eq(bytes, "\x62\x02\xfe\xdc", 4);
}
END_TEST

START_TEST(a_user_property_is_measured_before_it_is_written)
{
	uint8_t bytes[16];

	ck_assert_uint_eq(packet_pair("unit", "°C", NULL), 12);
	ck_assert_uint_eq(packet_pair("unit", "°C", bytes), 12);
	ck_assert_mem_eq(bytes, "\x26\0\x04unit\0\x03°C", 12);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("packet");
	TCase *tests = tcase_create("packet");

	tcase_add_loop_test(tests, a_publish_is_what_the_standard_has, 0, (int)ARRAY_SIZE(cases));
	tcase_add_loop_test(tests, a_length_takes_one_to_four_bytes, 0, (int)ARRAY_SIZE(lengths));
	tcase_add_test(tests, many_properties_have_a_length_of_two_bytes);
	tcase_add_loop_test(tests, wildcards_and_what_is_no_text_are_no_topic, 0,
			    (int)ARRAY_SIZE(topics));
	tcase_add_test(tests, a_topic_has_65535_bytes_at_most);
	tcase_add_test(tests, what_messages_share_is_left_out_where_there_is_no_room);
	tcase_add_test(tests, what_no_length_can_say_is_too_large);
	tcase_add_test(tests, a_pubrel_has_four_bytes);
	tcase_add_test(tests, a_user_property_is_measured_before_it_is_written);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
