/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a broker's bytes the library gets to see, however they are cut into pieces. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "iotd/base.h"
#include "mqtt/valve.h"

#define STREAM_MAX (1 << 20)

static uint8_t stream[STREAM_MAX], passed[STREAM_MAX + STREAM_MAX];

/* a variable byte integer at @at of the stream. Return: the end of it */
static size_t add_length(size_t at, size_t length)
{
	do {
		stream[at++] = (uint8_t)(length % 128 | (length >= 128 ? 128 : 0));
		length /= 128;
	} while (length > 0);
	return at;
}

/* a packet of @length bytes, of which @sent come, at @at of the stream. Return: the end of it */
static size_t add_packet(size_t at, uint8_t first, size_t length, size_t sent)
{
	stream[at++] = first;
	at = add_length(at, length);
	for (size_t i = 0; i < sent; i++)
		stream[at++] = (uint8_t)(i * 7);
	return at;
}

/* in pieces of @piece bytes, of MQTT @protocol. Return: how many bytes passed; -EPROTO */
static int pass_all(size_t size, size_t piece, int protocol)
{
	struct valve_frame frame = { .has_properties = protocol == 5 };
	int length = 0, r;

	for (size_t at = 0, n; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		r = valve_pass(&frame, stream + at, n, passed + length);
		if (r < 0)
			return r;
		if ((size_t)r >
		    n + VALVE_HEADER_MAX) /* an assertion a byte takes minutes in valgrind */
			ck_abort_msg("%d bytes of %zu passed", r, n);
		length += r;
	}
	return length;
}

static const size_t pieces[] = { 1, 2, 3, 5, 1000, 8192, STREAM_MAX };

START_TEST(what_is_small_passes_unchanged)
{
	static const size_t lengths[] = { 0, 1, 127, 128, 5000, 16383, 16384, VALVE_PACKET_MAX };
	size_t size = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		size = add_packet(size, 0x32, lengths[i], lengths[i]); /* PUBLISH, QoS 1 */
		size = add_packet(size, 0x40, 2, 2);
		size = add_packet(size, 0xd0, 0, 0);
	}
	for (int protocol = 4; protocol <= 5; protocol++) {
		ck_assert_int_eq(pass_all(size, pieces[_i], protocol), (int)size);
		ck_assert_mem_eq(passed, stream, size);
	}
}
END_TEST

START_TEST(a_large_publish_is_cut_short_and_what_follows_is_whole)
{
	size_t length = VALVE_PACKET_MAX + 100000, size = add_packet(0, 0x30, length, length);
	static const uint8_t header[] = { 0x30, 0x80, 0x80, 0x08 }; /* 131,072 */
	int got;

	size = add_packet(size, 0x40, 2, 2);
	got = pass_all(size, pieces[_i], 4);
	ck_assert_int_eq(got, (int)sizeof(header) + VALVE_PACKET_MAX + 4);
	ck_assert_mem_eq(passed, header, sizeof(header));
	ck_assert_mem_eq(passed + sizeof(header), stream + 4, VALVE_PACKET_MAX);
	ck_assert_mem_eq(passed + got - 4, stream + size - 4, 4);
}
END_TEST

START_TEST(the_largest_publish_of_all_is_cut_short)
{
	size_t size = add_packet(0, 0x33, 268435455, 1000);

	ck_assert_int_eq(pass_all(size, pieces[_i], 4), (int)size - 1);
	ck_assert_uint_eq(passed[3], 0x08); /* three bytes of length instead of four */
}
END_TEST

static const struct {
	uint8_t first;
	size_t length;
} refused[] = {
	{ 0x34, 10 },	     /* a PUBLISH of QoS 2: never asked for */
	{ 0x36, 10 },	     /* of QoS 3 */
	{ 0x20, 209715200 }, /* a CONNACK of 200 MB */
	{ 0x40, 268435455 }, /* a PUBACK */
	{ 0x90, VALVE_PACKET_MAX + 1 },
	{ 0x00, 268435455 },
};

START_TEST(what_no_broker_sends_is_refused)
{
	size_t size = add_packet(0, 0x40, 2, 2);

	size = add_packet(size, refused[_i].first, refused[_i].length, 10);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		ck_assert_int_eq(pass_all(size, pieces[i], 4), -EPROTO);
}
END_TEST

/* --- answers -------------------------------------------------------------------------------- */

static struct {
	uint8_t type;
	size_t length;
} answers[16];
static size_t answer_count;

static void note_answer(struct valve_frame *frame)
{
	ck_assert_uint_lt(answer_count, ARRAY_SIZE(answers));
	for (size_t i = 0; i < frame->answer_length; i++)
		ck_assert_uint_eq(frame->answer[i], (uint8_t)(i * 7));
	answers[answer_count].type = frame->answer_type;
	answers[answer_count++].length = frame->answer_length;
}

/* those that say more than yes or no, and CONNACKs; however they are cut into pieces */
START_TEST(answers_that_say_more_are_shown)
{
	static const struct {
		uint8_t first;
		size_t length, shown;
	} packets[] = {
		{ 0x20, 2, 2 },	    { 0x20, 3, 3 }, { 0x40, 2, 0 },	{ 0x40, 4, 0 },
		{ 0x40, 5, 5 },	    { 0x30, 9, 0 }, { 0x90, 4, 0 },	{ 0x90, 20, 20 },
		{ 0xe0, 200, 200 }, { 0xd0, 0, 0 }, { 0xe0, 512, 512 }, { 0xe0, 5000, 512 },
	};
	struct valve_frame frame = { .answered = note_answer };
	size_t size = 0, next = 0, length = 0;
	int r;

	answer_count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
		size = add_packet(size, packets[i].first, packets[i].length, packets[i].length);
	for (size_t at = 0, n; at < size; at += n) {
		n = size - at < pieces[_i] ? size - at : pieces[_i];
		r = valve_pass(&frame, stream + at, n, passed + length);
		ck_assert_int_ge(r, 0);
		length += (size_t)r;
	}
	ck_assert_uint_eq(length, size);
	ck_assert_mem_eq(passed, stream, size);
	for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
		if (packets[i].shown == 0)
			continue;
		ck_assert_uint_eq(answers[next].type, packets[i].first);
		ck_assert_uint_eq(answers[next++].length, packets[i].shown);
	}
	ck_assert_uint_eq(answer_count, next);
}
END_TEST

static uint8_t acknowledged[64];
static size_t acknowledged_size;

static void note_acknowledged(struct valve_frame *frame)
{
	ck_assert_uint_le(acknowledged_size + 1 + frame->answer_length, sizeof(acknowledged));
	acknowledged[acknowledged_size++] = frame->answer_type;
	memcpy(acknowledged + acknowledged_size, frame->answer, frame->answer_length);
	acknowledged_size += frame->answer_length;
}

/* a PUBLISH and a PINGRESP between them are the library's */
START_TEST(what_answers_a_message_is_told_and_does_not_pass)
{
	static const uint8_t in[] = {
		0x40, 2, 4,    1,				       /* PUBACK */
		0x30, 4, 0,    1,    't', 'x', 0x50, 4, 4, 2, 0x10, 0, /* PUBLISH, PUBREC */
		0xd0, 0, 0x70, 0x82, 0,	  4,   3, /* PINGRESP; PUBCOMP, with a length of two bytes */
	};
	static const uint8_t told[] = { 0x40, 4, 1, 0x50, 4, 2, 0x10, 0, 0x70, 4, 3 };
	static const uint8_t left[] = { 0x30, 4, 0, 1, 't', 'x', 0xd0, 0 };
	struct valve_frame frame = { .acknowledged = note_acknowledged };
	int length = 0, r;

	for (size_t at = 0, n; at < sizeof(in); at += n) {
		n = sizeof(in) - at < pieces[_i] ? sizeof(in) - at : pieces[_i];
		r = valve_pass(&frame, in + at, n, passed + length);
		ck_assert_int_ge(r, 0);
		length += r;
	}
	ck_assert_int_eq(length, sizeof(left));
	ck_assert_mem_eq(passed, left, sizeof(left));
	ck_assert_uint_eq(acknowledged_size, sizeof(told));
	ck_assert_mem_eq(acknowledged, told, sizeof(told));
	acknowledged_size = 0;
}
END_TEST

START_TEST(an_acknowledgement_without_an_identifier_is_refused)
{
	static const uint8_t in[] = { 0x40, 1, 4 };
	struct valve_frame frame = { .acknowledged = note_acknowledged };

	ck_assert_int_eq(valve_pass(&frame, in, sizeof(in), passed), -EPROTO);
}
END_TEST

START_TEST(a_length_of_five_bytes_is_refused)
{
	static const uint8_t endless[] = { 0x30, 0xff, 0xff, 0xff, 0xff, 0x01 };

	memcpy(stream, endless, sizeof(endless));
	ck_assert_int_eq(pass_all(sizeof(endless), pieces[_i], 5), -EPROTO);
}
END_TEST

static const struct {
	uint8_t first;
	size_t topic, properties; /* their lengths */
	bool stay;
} cut[] = {
	{ 0x30, 10, 0, true },
	{ 0x32, 10, 100, true },
	{ 0x33, 0, 100000, true },
	{ 0x30, 10, 122865, true },
	{ 0x30, 10, 122866, false }, /* a payload of 8191 bytes would be left */
	{ 0x32, 10, VALVE_PACKET_MAX, false },
	{ 0x30, 0, VALVE_PACKET_MAX + 50000, false },
	{ 0x32, 65535, 60000, false },
	{ 0x33, 65535, 268435455, false },
};

/* a PUBLISH of MQTT 5, at the begin of the stream. Return: its end; @ret_at: of the properties' length */
static size_t add_publish(int i, size_t *ret_at)
{
	size_t length = VALVE_PACKET_MAX + 100000,
	       end = add_packet(0, cut[i].first, length, length);
	size_t body = end - length;

	stream[body] = (uint8_t)(cut[i].topic >> 8);
	stream[body + 1] = (uint8_t)cut[i].topic;
	*ret_at = body + 2 + cut[i].topic + (cut[i].first & 2 ? 2 : 0);
	(void)add_length(*ret_at, cut[i].properties);
	return end;
}

START_TEST(properties_are_never_cut_but_become_payload)
{
	size_t at, size = add_publish(_i, &at), header = 4;
	int got;

	size = add_packet(size, 0x40, 2, 2);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		got = pass_all(size, pieces[i], 5);
		ck_assert_int_eq(got, (int)header + VALVE_PACKET_MAX + 4);
		ck_assert_uint_eq(passed[at], cut[_i].stay ? stream[at] : 0);
		passed[at] = stream[at];
		ck_assert_mem_eq(passed + header, stream + header, VALVE_PACKET_MAX);
		ck_assert_mem_eq(passed + got - 4, stream + size - 4, 4);
	}
}
END_TEST

START_TEST(a_property_length_of_five_bytes_is_refused)
{
	size_t at, size = add_publish(0, &at);

	memset(stream + at, 0xff, 4);
	ck_assert_int_eq(pass_all(size, pieces[_i], 5), -EPROTO);
}
END_TEST

/* --- sockets -------------------------------------------------------------------------------- */

static struct valve valve;
static int broker, library; /* far ends: what the valve lies between */

static void open_valve(void)
{
	int line[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, line),
			 0);
	broker = line[0];
	library = line[1];
	ck_assert_int_eq(valve_open(&valve, library, 5), 0);
}

static void close_valve(void)
{
	valve_close(&valve);
	valve_close(&valve); /* twice is fine */
	if (broker >= 0)
		close(broker);
	close(library);
}

START_TEST(bytes_pass_both_ways)
{
	static const uint8_t pong[] = { 0xd0, 0x00 };
	uint8_t got[16];

	ck_assert_int_eq(valve_fill(&valve), 0); /* nothing there */
	ck_assert_int_eq(write(broker, pong, sizeof(pong)), sizeof(pong));
	ck_assert_int_eq(valve_fill(&valve), 0);
	ck_assert_int_eq(read(library, got, sizeof(got)), sizeof(pong));
	ck_assert_mem_eq(got, pong, sizeof(pong));

	ck_assert_int_eq(valve_drain(&valve), 0);
	ck_assert_int_eq(write(library, "ab", 2), 2);
	ck_assert_int_eq(write(library, "c", 1), 1);
	ck_assert_int_eq(valve_drain(&valve), 0);
	ck_assert_int_eq(read(broker, got, sizeof(got)), 3);
	ck_assert_mem_eq(got, "abc", 3);
}
END_TEST

START_TEST(a_little_is_let_in_at_a_time)
{
	size_t size = 0;
	ssize_t n;

	while (size < 4 * (size_t)VALVE_IN_SIZE)
		size = add_packet(size, 0x40, 2, 2);
	n = write(broker, stream, size);
	ck_assert_int_eq(n, (ssize_t)size);
	ck_assert_int_eq(valve_fill(&valve), 0);
	ck_assert_int_eq(read(library, passed, sizeof(passed)), VALVE_IN_SIZE);
}
END_TEST

START_TEST(the_end_of_the_line_comes_after_what_was_sent)
{
	static const uint8_t pong[] = { 0xd0, 0x00 };
	uint8_t got[16];

	ck_assert_int_eq(write(broker, pong, sizeof(pong)), sizeof(pong));
	ck_assert_int_eq(shutdown(broker, SHUT_WR), 0);
	ck_assert_int_eq(valve_fill(&valve), 0);
	ck_assert(!valve.ended);
	ck_assert_int_eq(valve_fill(&valve), 0);
	ck_assert(valve.ended);
	ck_assert_int_eq(read(library, got, sizeof(got)), sizeof(pong));
}
END_TEST

START_TEST(a_full_socket_is_told_and_nothing_is_lost)
{
	size_t sent = 0, received = 0;
	ssize_t n;

	do {
		n = write(library, stream, 1000);
		ck_assert_int_eq(n, 1000);
		sent += (size_t)n;
	} while (valve_drain(&valve) == 0);
	ck_assert_int_eq(valve_drain(&valve), 1);
	while (received < sent) {
		n = read(broker, passed, sizeof(passed));
		ck_assert_int_gt(n, 0);
		received += (size_t)n;
		(void)valve_drain(&valve);
	}
	ck_assert_uint_eq(received, sent);
	ck_assert_int_eq(valve_drain(&valve), 0);
}
END_TEST

static void put(const char *text)
{
	uint8_t *at = valve_put(&valve, strlen(text));

	ck_assert_ptr_nonnull(at);
	memcpy(at, text, strlen(text));
}

START_TEST(what_is_put_leaves_behind_what_the_library_wrote)
{
	uint8_t got[16];

	ck_assert_int_eq(write(library, "ab", 2), 2);
	put("cd");
	put("e");
	ck_assert_uint_eq(valve_waiting(&valve), 5);
	ck_assert_int_eq(write(library, "fg", 2), 2);
	put("h"); /* the library's next packet has not been looked at, and follows */
	ck_assert_int_eq(valve_drain(&valve), 0);
	ck_assert_uint_eq(valve_waiting(&valve), 0);
	ck_assert_int_eq(read(broker, got, sizeof(got)), 8);
	ck_assert_mem_eq(got, "abcdehfg", 8);

	ck_assert_int_eq(write(library, "ij", 2), 2);
	put("k");
	ck_assert_int_eq(valve_drain(&valve), 0);
	ck_assert_int_eq(read(broker, got, sizeof(got)), 3);
	ck_assert_mem_eq(got, "ijk", 3);
}
END_TEST

/* as much as the library's end of the pair takes, and more than the room that is there at first */
START_TEST(what_is_put_never_falls_into_a_packet_of_the_library)
{
	size_t sent = 0, received = 0;
	ssize_t n;

	for (size_t i = 0; i < sizeof(stream); i++)
		stream[i] = 'l';
	while ((n = send(library, stream, 1000, MSG_DONTWAIT)) > 0)
		sent += (size_t)n;
	ck_assert_uint_gt(sent, 2 * VALVE_OUT_SIZE);
	put("p");
	while (received < sent + 1) {
		(void)valve_drain(&valve);
		n = read(broker, passed + received, sizeof(passed) - received);
		ck_assert_int_gt(n, 0);
		received += (size_t)n;
	}
	ck_assert_uint_eq(received, sent + 1);
	ck_assert_ptr_eq(memchr(passed, 'p', received), passed + sent);
}
END_TEST

START_TEST(room_for_a_large_packet_is_given_back)
{
	size_t size = 2 * (size_t)VALVE_OUT_KEPT, received = 0;
	uint8_t *at = valve_put(&valve, size);
	ssize_t n;

	ck_assert_ptr_nonnull(at);
	memset(at, 'x', size);
	while (valve_drain(&valve) > 0 || received < size) {
		n = read(broker, passed, sizeof(passed));
		ck_assert_int_gt(n, 0);
		received += (size_t)n;
	}
	ck_assert_uint_eq(received, size);
	ck_assert_uint_eq(valve.out_size, VALVE_OUT_SIZE);
	put("y");
	ck_assert_int_eq(valve_drain(&valve), 0);
	ck_assert_int_eq(read(broker, passed, 16), 1);
}
END_TEST

START_TEST(a_broken_socket_takes_all_and_is_told_by_reading)
{
	ck_assert_int_eq(write(library, stream, 1000), 1000);
	close(broker);
	broker = -1;
	ck_assert_int_eq(valve_drain(&valve), 0);
	ck_assert_int_eq(write(library, stream, 1000), 1000);
	ck_assert_int_eq(valve_drain(&valve), 0);
	(void)valve_fill(&valve);
	ck_assert(valve.ended);
}
END_TEST

START_TEST(a_closed_valve_is_the_librarys_end)
{
	ck_assert_int_eq(fcntl(library, F_GETFD), FD_CLOEXEC);
	valve_close(&valve);
	ck_assert_int_eq(read(library, passed, 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("valve");
	TCase *bytes = tcase_create("bytes"), *sockets = tcase_create("sockets");
	int count = (int)ARRAY_SIZE(pieces);

	for (size_t i = 0; i < sizeof(stream); i++)
		stream[i] = (uint8_t)i;
	tcase_add_loop_test(bytes, what_is_small_passes_unchanged, 0, count);
	tcase_add_loop_test(bytes, a_large_publish_is_cut_short_and_what_follows_is_whole, 0,
			    count);
	tcase_add_loop_test(bytes, the_largest_publish_of_all_is_cut_short, 0, count);
	tcase_add_loop_test(bytes, what_no_broker_sends_is_refused, 0, (int)ARRAY_SIZE(refused));
	tcase_add_loop_test(bytes, a_length_of_five_bytes_is_refused, 0, count);
	tcase_add_loop_test(bytes, answers_that_say_more_are_shown, 0, count);
	tcase_add_loop_test(bytes, what_answers_a_message_is_told_and_does_not_pass, 0, count);
	tcase_add_test(bytes, an_acknowledgement_without_an_identifier_is_refused);
	tcase_add_loop_test(bytes, properties_are_never_cut_but_become_payload, 0,
			    (int)ARRAY_SIZE(cut));
	tcase_add_loop_test(bytes, a_property_length_of_five_bytes_is_refused, 0, count);
	suite_add_tcase(suite, bytes);
	tcase_add_checked_fixture(sockets, open_valve, close_valve);
	tcase_add_test(sockets, bytes_pass_both_ways);
	tcase_add_test(sockets, a_little_is_let_in_at_a_time);
	tcase_add_test(sockets, the_end_of_the_line_comes_after_what_was_sent);
	tcase_add_test(sockets, a_full_socket_is_told_and_nothing_is_lost);
	tcase_add_test(sockets, what_is_put_leaves_behind_what_the_library_wrote);
	tcase_add_test(sockets, what_is_put_never_falls_into_a_packet_of_the_library);
	tcase_add_test(sockets, room_for_a_large_packet_is_given_back);
	tcase_add_test(sockets, a_broken_socket_takes_all_and_is_told_by_reading);
	tcase_add_test(sockets, a_closed_valve_is_the_librarys_end);
	suite_add_tcase(suite, sockets);
	return suite_run(suite);
}
