/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a broker says beside its reason codes, from the bytes of its packets. */
#include "fixture.h"
#include "mqtt/reason.h"

#define TEXT_60	     "012345678901234567890123456789012345678901234567890123456789"
#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static uint8_t body[2048];
static size_t length;

static void set_up(void)
{
	length = 0;
}

static void add(const void *bytes, size_t size)
{
	ck_assert_uint_le(length + size, sizeof(body));
	memcpy(body + length, bytes, size);
	length += size;
}

static void add_byte(size_t byte)
{
	add(&(uint8_t){ (uint8_t)byte }, 1);
}

static void add_text(const char *text)
{
	add_byte(strlen(text) >> 8);
	add_byte(strlen(text) & 0xff);
	add(text, strlen(text));
}

/* of the properties that follow, 16383 bytes at most */
static void add_length(size_t size)
{
	add_byte(size < 128 ? size : (size & 127) | 128);
	if (size >= 128)
		add_byte(size >> 7);
}

static size_t size_of(const char *text)
{
	return text ? 3 + strlen(text) : 0;
}

/* a reason string, and a server reference */
static void add_reason(const char *text, const char *server)
{
	add_length(size_of(text) + size_of(server));
	if (server) {
		add_byte(0x1c);
		add_text(server);
	}
	if (text) {
		add_byte(0x1f);
		add_text(text);
	}
}

static const struct {
	uint8_t type;
	const char *head; /* before the properties */
	size_t head_length;
	int mid;
} packets[] = {
	{ 0x20, "\0\x87", 2, 0 },   { 0x40, "\x12\x34\x87", 3, 0x1234 },
	{ 0x50, "\0\7\x97", 3, 7 }, { 0x70, "\xff\xff\x92", 3, 0xffff },
	{ 0x90, "\0\2", 2, 2 },	    { 0xe0, "\x9c", 1, 0 },
};

START_TEST(each_packet_says_why)
{
	struct reason reason;

	add(packets[_i].head, packets[_i].head_length);
	add_reason("quota", "b.example");
	add_byte(0x87); /* the code of a SUBACK */
	ck_assert(reason_read(&reason, packets[_i].type, body, length));
	ck_assert_int_eq(reason.mid, packets[_i].mid);
	ck_assert_str_eq(reason.told, ": \"quota\"; it names \"b.example\" (see mqtt.broker)");
}
END_TEST

static const struct {
	const char *text, *server, *told; /* NULL: not there */
} tellings[] = {
	{ "out of office", NULL, ": \"out of office\"" },
	{ NULL, "b.example:1884", "; it names \"b.example:1884\" (see mqtt.broker)" },
	{ "", "b", "; it names \"b\" (see mqtt.broker)" },
	{ "two\nlines\x1b[31m", NULL, ": \"two?lines?[31m\"" },
	{ "naïve °C", NULL, ": \"naïve °C\"" },
	{ "no \xff UTF-8", NULL, ": \"no ? UTF-8\"" },
	{ TEXT_60, NULL, ": \"" TEXT_60 "\"" },
	{ TEXT_60 "x", NULL, ": \"" TEXT_60 "\"" },
	{ TEXT_60 TEXT_60 TEXT_60, TEXT_60 TEXT_60,
	  ": \"" TEXT_60 "\"; it names \"" TEXT_60 "\" (see mqtt.broker)" },
	/* never the half of a character */
	{ "°C 67890123456789012345678901234567890123456789012345678°", NULL,
	  ": \"°C 67890123456789012345678901234567890123456789012345678°\"" },
	{ "°C 6789012345678901234567890123456789012345678901234567890°", NULL,
	  ": \"°C 6789012345678901234567890123456789012345678901234567890\"" },
};

START_TEST(what_is_told_is_fit_for_a_log)
{
	struct reason reason;

	add_byte(0x9c);
	add_reason(tellings[_i].text, tellings[_i].server);
	ck_assert(reason_read(&reason, 0xe0, body, length));
	ck_assert_str_eq(reason.told, tellings[_i].told);
}
END_TEST

/* all that a CONNACK may have: MQTT 5.0, section 3.2.2.3 */
START_TEST(other_properties_are_skipped)
{
	static const uint8_t others[] = { 0x11, 0,    0,    0,	  1,	0x21, 0,    2, 0x24,
					  1,	0x25, 0,    0x27, 0,	0,    0,    9, 0x22,
					  0,	3,    0x28, 1,	  0x29, 1,    0x2a, 1, 0x13,
					  0,	60,   0x12, 0,	  1,	'i',  0x1a, 0, 1,
					  'r',	0x15, 0,    1,	  'm',	0x16, 0,    1, 0,
					  0x26, 0,    1,    'k',  0,	1,    'v' };
	struct reason reason;

	add("\0\x87", 2);
	add_length(sizeof(others) + size_of("why"));
	add(others, sizeof(others));
	add_byte(0x1f);
	add_text("why");
	ck_assert(reason_read(&reason, 0x20, body, length));
	ck_assert_str_eq(reason.told, ": \"why\"");
}
END_TEST

START_TEST(who_says_nothing_leaves_all_alone)
{
	static const struct {
		uint8_t type;
		const char *body;
		size_t length;
	} silent[] = {
		{ 0x20, "\0\x87\0", 3 },
		{ 0x20, "\0\1", 2 },
		{ 0x40, "\0\1", 2 },
		{ 0x40, "\0\1\x87", 3 },
		{ 0x90, "\0\1\0\x87", 4 },
		{ 0xe0, "", 0 },
		{ 0xe0, "\x87", 1 },
		{ 0xd0, "\0\0\3\x1f\0\0", 6 },
		{ 0xe0, "\x87\3\x1f\0\0", 5 },
		{ 0xe0, "\x87\x80\x80\x80\x80\1", 6 },
		{ 0xe0, "\x87\4\x7f\0\1x", 6 },
	};
	struct reason reason = { .mid = 4711 };

	ck_assert(!reason_read(&reason, silent[_i].type, (const uint8_t *)silent[_i].body,
			       silent[_i].length));
	ck_assert_int_eq(reason.mid, 4711);
}
END_TEST

/* a packet that is cut off anywhere, or lies about its lengths: the sanitizers look on */
START_TEST(what_is_cut_off_does_no_harm)
{
	struct reason reason;
	uint8_t *exact;

	add("\0\1\x97", 3);
	add_reason("quota", "b.example");
	for (size_t cut = 0; cut <= length; cut++) {
		for (int spoilt = -1; spoilt < (int)cut; spoilt++) {
			exact = malloc(cut > 0 ? cut : 1);
			ck_assert_ptr_nonnull(exact);
			memcpy(exact, body, cut);
			if (spoilt >= 0)
				exact[spoilt] ^= 0xff;
			if (reason_read(&reason, 0x40, exact, cut))
				ck_assert_uint_lt(strlen(reason.told), REASON_TOLD_SIZE);
			free(exact);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reason");
	TCase *tests = tcase_create("reason");

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_loop_test(tests, each_packet_says_why, 0, COUNT(packets));
	tcase_add_loop_test(tests, what_is_told_is_fit_for_a_log, 0, COUNT(tellings));
	tcase_add_test(tests, other_properties_are_skipped);
	tcase_add_loop_test(tests, who_says_nothing_leaves_all_alone, 0, 11);
	tcase_add_test(tests, what_is_cut_off_does_no_harm);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
