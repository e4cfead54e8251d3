/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Formats senml, cbor and influx: exact bytes, and what their standards ask for. That others can
 * read them is in tests/system/test_formats.py.
 */
#include <check.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cbor-reader.h"
#include "fixture.h"

#include "iotd/json.h"
#include "iotd/message.h"

#define NOON_US 1795353300123456LL /* 2026-11-22T13:15:00.123456Z */
#define NOON	"1795353300.123"

static struct message *message;

static void catch_message(void *data, struct message *caught)
{
	(void)data;
	ck_assert_ptr_null(message); /* one a reading */
	message = caught;
}

static void drop(void)
{
	message_freep(&message);
}

static void assert_bytes(const void *bytes, size_t length)
{
	ck_assert_uint_eq(message->length, length);
	ck_assert_mem_eq(message->payload, bytes, length);
}

static void assert_text(const char *text)
{
	if (message->length != strlen(text) || memcmp(message->payload, text, strlen(text)) != 0)
		ck_abort_msg("not %s but %.*s", text, (int)message->length,
			     (const char *)message->payload);
}

/* --- what is written ------------------------------------------------------------------------ */

static const struct message_origin air = { .topic = "iotd/g/sensor/air", .device = "g" };
static const struct channel climate[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 1 },
	{ "pressure", "hPa", 2 },
};

static void write_reading(enum message_format format, const struct message_origin *origin,
			  const struct reading *reading)
{
	drop();
	ck_assert_int_eq(message_from_reading(format, origin, reading, catch_message, NULL), 0);
	ck_assert_str_eq(message->topic, origin->topic);
}

static void write_climate(enum message_format format, const struct message_origin *origin)
{
	const struct reading reading = { .name = "air",
					 .time_us = NOON_US,
					 .count = 3,
					 .values = { { &climate[0], 21.371 },
						     { &climate[1], 40.2 },
						     { &climate[2], 1013.25 } } };

	write_reading(format, origin, &reading);
}

static void write_one(enum message_format format, const struct channel *channel, double number)
{
	const struct reading reading = {
		.name = "x", .time_us = NOON_US, .count = 1, .values = { { channel, number } }
	};

	write_reading(format, &air, &reading);
}

static void write_state(enum message_format format, const struct message_origin *origin, bool on)
{
	const struct state state = { DEVICE_INPUT, "door", on, NOON_US };

	drop();
	ck_assert_int_eq(message_from_state(format, origin, &state, &message), 0);
	ck_assert_str_eq(message->topic, origin->topic);
}

static json_t *parsed(void)
{
	json_error_t error;
	json_t *pack = json_loadb((const char *)message->payload, message->length,
				  JSON_REJECT_DUPLICATES, &error);

	if (!pack)
		ck_abort_msg("%s in %.*s", error.text, (int)message->length,
			     (const char *)message->payload);
	return pack;
}

/* --- senml ---------------------------------------------------------------------------------- */

/* the shape of RFC 8428, 5.1.2 */
START_TEST(senml_is_a_record_a_channel_with_base_name_and_base_time)
{
	write_climate(FORMAT_SENML, &air);
	assert_text("[{\"bn\":\"iotd/g/sensor/air/\",\"bt\":" NOON
		    ",\"n\":\"temperature\",\"u\":\"Cel\",\"v\":21.37},"
		    "{\"n\":\"humidity\",\"u\":\"%RH\",\"v\":40.2},"
		    "{\"n\":\"pressure\",\"u\":\"Pa\",\"v\":101325}]");
	drop();
}
END_TEST

/* RFC 8428, 5.1.1: the base name alone is the name */
START_TEST(senml_has_a_state_as_a_boolean)
{
	const struct message_origin door = { .topic = "iotd/g/input/door", .device = "g" };

	write_state(FORMAT_SENML, &door, true);
	assert_text("[{\"bn\":\"iotd/g/input/door\",\"bt\":" NOON ",\"vb\":true}]");
	write_state(FORMAT_SENML, &door, false);
	assert_text("[{\"bn\":\"iotd/g/input/door\",\"bt\":" NOON ",\"vb\":false}]");
	drop();
}
END_TEST

/* the name that RFC 8428 has in its own examples can be a topic */
static const struct {
	const char *topic, *name;
} names[] = {
	{ "iotd/greenhouse-1/sensor/air", "iotd/greenhouse-1/sensor/air" },
	{ "urn:dev:ow:10e2073a01080063", "urn:dev:ow:10e2073a01080063" },
	{ "aZ09-:./_", "aZ09-:./_" },
	{ "my house/air", "my:20house/air" },
	{ "a\"b\\c", "a:22b:5cc" },
	{ "büro", "b:c3:bcro" },
	{ "_x", "x_x" },
	{ "-1", "x-1" },
	{ "ü", "x:c3:bc" },
	{ "a&b=c,d", "a:26b:3dc:2cd" },
};

START_TEST(senml_names_have_the_characters_that_they_may)
{
	const struct message_origin origin = { .topic = names[_i].topic, .device = "g" };
	char text[256];

	(void)snprintf(text, sizeof(text), "[{\"bn\":\"%s\",\"bt\":" NOON ",\"vb\":true}]",
		       names[_i].name);
	write_state(FORMAT_SENML, &origin, true);
	assert_text(text);
	drop();
}
END_TEST

START_TEST(senml_takes_a_topic_as_long_as_there_is)
{
	char *topic = malloc(65001);
	const struct message_origin origin = { .topic = topic, .device = "g" };
	cleanup(json_decrefp) json_t *pack = NULL;
	const char *name;

	memset(topic, ' ', 65000);
	topic[65000] = '\0';
	write_climate(FORMAT_SENML, &origin);
	pack = parsed();
	name = json_string_value(json_object_get(json_array_get(pack, 0), "bn"));
	ck_assert_uint_eq(strlen(name), 1 + 3 * 65000 + 1);
	write_climate(FORMAT_CBOR, &origin);
	ck_assert_uint_gt(message->length, 3 * 65000);
	drop();
	free(topic);
}
END_TEST

/* RFC 8428, 4.5.3: below 2^28 a time is relative, above it is since 1970 */
START_TEST(senml_has_no_time_from_a_clock_that_was_not_set)
{
	const struct message_origin door = { .topic = "door", .device = "g" };
	struct state state = { DEVICE_INPUT, "door", true, 268435455999999LL };

	ck_assert_int_eq(message_from_state(FORMAT_SENML, &door, &state, &message), 0);
	assert_text("[{\"bn\":\"door\",\"vb\":true}]");
	drop();
	ck_assert_int_eq(message_from_state(FORMAT_CBOR, &door, &state, &message), 0);
	assert_bytes("\x81\xa2\x21\x64"
		     "door\x04\xf5",
		     10);
	drop();
	state.time_us = 268435456000000LL;
	ck_assert_int_eq(message_from_state(FORMAT_SENML, &door, &state, &message), 0);
	assert_text("[{\"bn\":\"door\",\"bt\":268435456,\"vb\":true}]");
	drop();
	state.time_us = -1;
	ck_assert_int_eq(message_from_state(FORMAT_SENML, &door, &state, &message), 0);
	assert_text("[{\"bn\":\"door\",\"vb\":true}]");
	drop();
}
END_TEST

static const struct {
	struct channel channel;
	double number;
	const char *text; /* behind the name */
} units[] = {
	{ { "t", "°C", 2 }, -3.5, "\"u\":\"Cel\",\"v\":-3.5" },
	{ { "t", "K", 2 }, 273.15, "\"u\":\"K\",\"v\":273.15" },
	{ { "humidity", "%", 1 }, 40.2, "\"u\":\"%RH\",\"v\":40.2" },
	{ { "humidity1", "%", 3 }, 40.25, "\"u\":\"%RH\",\"v\":40.25" },
	{ { "a0", "%", 0 }, 47, "\"u\":\"/\",\"v\":0.47" },
	{ { "a0", "%", 1 }, 47.5, "\"u\":\"/\",\"v\":0.475" },
	{ { "p", "hPa", 2 }, 1013.25, "\"u\":\"Pa\",\"v\":101325" },
	{ { "p", "hPa", 1 }, 1013.25, "\"u\":\"Pa\",\"v\":101330" },
	{ { "p", "hPa", 4 }, 1013.2525, "\"u\":\"Pa\",\"v\":101325.25" },
	{ { "lux", "lx", 1 }, 0.1 + 0.2, "\"u\":\"lx\",\"v\":0.3" },
	{ { "co2", "ppm", 0 }, 417, "\"u\":\"/\",\"v\":0.000417" },
	{ { "tvoc", "ppb", 0 }, 1, "\"u\":\"/\",\"v\":0.000000001" },
	{ { "tvoc", "ppb", 1 }, 102.5, "\"u\":\"/\",\"v\":1.025e-07" },
	{ { "u", "V", 3 }, 3.3, "\"u\":\"V\",\"v\":3.3" },
	{ { "i", "mA", 1 }, 12.5, "\"u\":\"A\",\"v\":0.0125" },
	{ { "p", "W", 0 }, 60, "\"u\":\"W\",\"v\":60" },
	{ { "r", "Ω", 0 }, 4700, "\"u\":\"Ohm\",\"v\":4700" },
	{ { "d", "mm", 0 }, 120, "\"u\":\"m\",\"v\":0.12" },
	{ { "rate", "mm/s", 6 }, 0.2794, "\"u\":\"m/s\",\"v\":0.0002794" },
	{ { "e", "kWh", 3 }, 1.5, "\"u\":\"J\",\"v\":5400000" },
	{ { "pm", "µg/m³", 3 }, 12.5, "\"u\":\"kg/m3\",\"v\":1.25e-08" },
	{ { "fan", "rpm", 0 }, 900, "\"u\":\"1/min\",\"v\":900" },
	{ { "w", "furlong", 2 }, 1.25, "\"v\":1.25" },
	{ { "w", "", 2 }, 1.25, "\"v\":1.25" },
	{ { "w", "", 0 }, 9007199254740992.0, "\"v\":9007199254740992" },
	{ { "w", "", 2 }, 1e300, "\"v\":1e+300" },
	{ { "w", "", 2 }, -DBL_MAX, "\"v\":-1.7976931348623157e+308" },
	{ { "p", "hPa", 2 }, 1e307, "\"v\":1e+307" }, /* in Pa it would be infinite */
	{ { "w", "", 2 }, -0.001, "\"v\":0" },
};

START_TEST(senml_has_the_units_of_the_registry_and_no_others)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		       "[{\"bn\":\"iotd/g/sensor/air/\",\"bt\":" NOON ",\"n\":\"%s\",%s}]",
		       units[_i].channel.name, units[_i].text);
	write_one(FORMAT_SENML, &units[_i].channel, units[_i].number);
	assert_text(text);
	drop();
}
END_TEST

static char humidity_class[] = "humidity", moisture_class[] = "moisture";
static char battery_class[] = "battery";
static const struct {
	const char *channel;
	char *class;
	const char *said;
} classes[] = {
	{ "a0", humidity_class, "\"u\":\"%RH\",\"v\":50" },
	{ "a0", battery_class, "\"u\":\"%EL\",\"v\":50" },
	{ "a0", moisture_class, "\"u\":\"/\",\"v\":0.5" },
	{ "a0", NULL, "\"u\":\"/\",\"v\":0.5" },
	{ "humidity", moisture_class, "\"u\":\"/\",\"v\":0.5" },
	{ "humidity", NULL, "\"u\":\"%RH\",\"v\":50" },
	{ "relative", NULL, "\"u\":\"/\",\"v\":0.5" },
};

START_TEST(what_a_percentage_is_of_depends_on_the_class)
{
	struct channel_settings settings[2] = {
		{ .name = "other", .device_class = humidity_class },
		{ .device_class = classes[_i].class },
	};
	const struct message_origin origin = { "t", "g", settings, 2 };
	struct channel channel = { .unit = "%", .digits = 1 };
	const struct reading reading = {
		.name = "x", .time_us = NOON_US, .count = 1, .values = { { &channel, 50 } }
	};
	char text[256];

	(void)snprintf(settings[1].name, sizeof(settings[1].name), "%s", classes[_i].channel);
	(void)snprintf(channel.name, sizeof(channel.name), "%s", classes[_i].channel);
	(void)snprintf(text, sizeof(text), "[{\"bn\":\"t/\",\"bt\":" NOON ",\"n\":\"%s\",%s}]",
		       classes[_i].channel, classes[_i].said);
	write_reading(FORMAT_SENML, &origin, &reading);
	assert_text(text);
	drop();
}
END_TEST

static double any_number(uint64_t *state)
{
	double number;

	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	number = (double)(int64_t)*state;
	for (uint64_t tenths = *state % 37; tenths > 0; tenths--)
		number /= 10;
	return number;
}

/* a number like those of channels: up to 15 digits, or anything */
static double channel_number(uint64_t *state)
{
	double number = any_number(state);

	return *state & 1 ? number : round(number * 100) / 100;
}

/* and the numbers of the two are the same to the last bit (RFC 8428, 6) */
START_TEST(cbor_and_senml_say_the_same)
{
	static const char *const some_units[] = { "°C", "%", "hPa", "ppb", "mm", "", "kWh", "ppm" };
	struct channel channel = { .name = "B_-9" };
	uint64_t state = 88172645463325252U;

	for (int round = 0; round < 5000; round++) {
		cleanup(json_decrefp) json_t *pack = NULL, *other = NULL;
		double number = channel_number(&state);

		channel.digits = (int)(state % 10);
		(void)snprintf(channel.unit, sizeof(channel.unit), "%s", some_units[state % 8]);
		write_one(FORMAT_SENML, &channel, number);
		pack = parsed();
		write_one(FORMAT_CBOR, &channel, number);
		other = json_from_cbor(message->payload, message->length);
		if (!senml_equal(pack, other))
			ck_abort_msg("%.17g %s with %d digits: senml and cbor differ", number,
				     channel.unit, channel.digits);
	}
	drop();
}
END_TEST

/* keys in their order, no blanks, nothing escaped that need not be, no key twice */
START_TEST(senml_is_as_jansson_would_write_it)
{
	struct channel channel = { .name = "B_-9", .unit = "°C" };
	uint64_t state = 88172645463325252U;

	for (int round = 0; round < 500; round++) {
		cleanup(json_decrefp) json_t *pack = NULL;
		cleanup(freep) char *text = NULL;

		channel.digits = (int)(state % 4);
		write_one(FORMAT_SENML, &channel, (double)(any_number(&state) > 0) + 0.125);
		pack = parsed();
		text = json_dumps(pack, JSON_TEXT);
		assert_text(text);
	}
	drop();
}
END_TEST

/* --- cbor ----------------------------------------------------------------------------------- */

START_TEST(cbor_is_the_pack_with_integers_for_keys)
{
	static const char bytes[] =
		"\x83\xa5\x21\x72"
		"iotd/g/sensor/air/\x22\xfb\x41\xda\xc0\xba\xb5\x07\xdf\x3b\x00\x6b"
		"temperature\x01\x63"
		"Cel\x02\xfb\x40\x35\x5e\xb8\x51\xeb\x85\x1f\xa3\x00\x68"
		"humidity\x01\x63"
		"%RH\x02\xfb\x40\x44\x19\x99\x99\x99\x99\x9a\xa3\x00\x68"
		"pressure\x01\x62"
		"Pa\x02\x1a\x00\x01\x8b\xcd";

	write_climate(FORMAT_CBOR, &air);
	assert_bytes(bytes, sizeof(bytes) - 1);
	drop();
}
END_TEST

START_TEST(cbor_has_a_state_as_a_boolean)
{
	static const char on[] = "\x81\xa3\x21\x64"
				 "door\x22\xfb\x41\xda\xc0\xba\xb5\x07\xdf\x3b\x04\xf5";
	static const char off[] = "\x81\xa3\x21\x64"
				  "door\x22\xfb\x41\xda\xc0\xba\xb5\x07\xdf\x3b\x04\xf4";
	const struct message_origin door = { .topic = "door", .device = "g" };

	write_state(FORMAT_CBOR, &door, true);
	assert_bytes(on, sizeof(on) - 1);
	write_state(FORMAT_CBOR, &door, false);
	assert_bytes(off, sizeof(off) - 1);
	drop();
}
END_TEST

static const struct {
	double number;
	int digits;
	const char *bytes;
	size_t length;
} cbor_numbers[] = {
	{ 0, 2, "\x00", 1 },
	{ -0.001, 2, "\x00", 1 },
	{ 23, 0, "\x17", 1 },
	{ 24, 2, "\x18\x18", 2 },
	{ -1, 2, "\x20", 1 },
	{ -500, 0, "\x39\x01\xf3", 3 },
	{ 4294967296.0, 0, "\x1b\x00\x00\x00\x01\x00\x00\x00\x00", 9 },
	{ 9007199254740992.0, 0, "\x1b\x00\x20\x00\x00\x00\x00\x00\x00", 9 },
	{ 21.5, 2, "\xfa\x41\xac\x00\x00", 5 },
	{ -0.25, 2, "\xfa\xbe\x80\x00\x00", 5 },
	{ 21.37, 2, "\xfb\x40\x35\x5e\xb8\x51\xeb\x85\x1f", 9 },
	{ 21.371, 2, "\xfb\x40\x35\x5e\xb8\x51\xeb\x85\x1f", 9 },
	{ 1e300, 2, "\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c", 9 },
	{ -1e300, 2, "\xfb\xfe\x37\xe4\x3c\x88\x00\x75\x9c", 9 },
};

START_TEST(cbor_has_the_shortest_of_integer_single_and_double)
{
	const struct channel channel = { .name = "w", .digits = cbor_numbers[_i].digits };
	size_t length = cbor_numbers[_i].length;

	write_one(FORMAT_CBOR, &channel, cbor_numbers[_i].number);
	ck_assert_uint_gt(message->length, length);
	ck_assert_mem_eq(message->payload + message->length - length, cbor_numbers[_i].bytes,
			 length);
	ck_assert_uint_eq(message->payload[message->length - length - 1], 2); /* the label */
	drop();
}
END_TEST

/* --- influx --------------------------------------------------------------------------------- */

START_TEST(influx_is_a_line_with_a_tag_fields_and_nanoseconds)
{
	write_climate(FORMAT_INFLUX, &air);
	assert_text("air,device=g temperature=21.37,humidity=40.2,pressure=1013.25 "
		    "1795353300123456000");
	drop();
}
END_TEST

START_TEST(influx_has_a_state_as_a_boolean_field)
{
	write_state(FORMAT_INFLUX, &air, true);
	assert_text("door,device=g state=true 1795353300123456000");
	write_state(FORMAT_INFLUX, &air, false);
	assert_text("door,device=g state=false 1795353300123456000");
	drop();
}
END_TEST

static const struct {
	const char *device, *line;
} devices[] = {
	{ "greenhouse-1", "door,device=greenhouse-1 state=true" },
	{ "my house", "door,device=my\\ house state=true" },
	{ "a,b=c", "door,device=a\\,b\\=c state=true" },
	{ "\"quoted\"", "door,device=\"quoted\" state=true" },
	{ "büro", "door,device=büro state=true" },
	{ "#1", "door,device=#1 state=true" },
	{ "C:\\a", "door,device=C:\\a state=true" },
	{ "C:\\", "door,device=C: state=true" },
	{ "a\\\\", "door,device=a state=true" },
	{ "\\", "door state=true" },
	{ " ", "door,device=\\  state=true" },
};

START_TEST(influx_escapes_the_device)
{
	const struct message_origin origin = { .topic = "t", .device = devices[_i].device };
	char text[128];

	(void)snprintf(text, sizeof(text), "%s 1795353300123456000", devices[_i].line);
	write_state(FORMAT_INFLUX, &origin, true);
	assert_text(text);
	drop();
}
END_TEST

/* never with an "i" behind it: the type of a field is that of its first point */
static const struct {
	double number;
	int digits;
	const char *text;
} floats[] = {
	{ 21.37, 2, "21.37" },
	{ 21, 2, "21" },
	{ -3, 0, "-3" },
	{ -0.001, 2, "0" },
	{ 1013.123456789, 9, "1013.123456789" },
	{ 9007199254740992.0, 0, "9007199254740992" },
	{ 1e300, 2, "1e+300" },
	{ -1.5e-7, 9, "-0.00000015" },
	{ DBL_MAX, 0, "1.7976931348623157e+308" },
};

START_TEST(influx_numbers_are_floats_and_short)
{
	const struct channel channel = { .name = "v", .digits = floats[_i].digits };
	char text[128];

	(void)snprintf(text, sizeof(text), "x,device=g v=%s 1795353300123456000", floats[_i].text);
	write_one(FORMAT_INFLUX, &channel, floats[_i].number);
	assert_text(text);
	drop();
}
END_TEST

static const struct {
	int64_t time_us;
	const char *text;
} times[] = {
	{ 1, "x v=1 1000" },
	{ 0, "x v=1 0000" },
	{ -1500, "x v=1 -1500000" },
	{ INT64_MAX, "x v=1 9223372036854775807000" },
	{ INT64_MIN, "x v=1 -9223372036854775808000" },
};

START_TEST(influx_times_do_not_overflow)
{
	const struct message_origin origin = { .topic = "t", .device = "" };
	const struct channel channel = { .name = "v" };
	const struct reading reading = {
		.name = "x", .time_us = times[_i].time_us, .count = 1, .values = { { &channel, 1 } }
	};

	write_reading(FORMAT_INFLUX, &origin, &reading);
	assert_text(times[_i].text);
	drop();
}
END_TEST

/* --- all ------------------------------------------------------------------------------------ */

static const enum message_format formats[] = { FORMAT_SENML, FORMAT_CBOR, FORMAT_INFLUX };

/* as many channels as there may be, with names and units as long as they may be */
START_TEST(the_largest_reading_fits)
{
	static struct channel channels[CHANNELS_MAX];
	struct reading reading = { .name = "x", .time_us = NOON_US, .count = CHANNELS_MAX };

	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		memset(channels[i].name, 'a', NAME_LENGTH);
		channels[i].digits = 9;
		(void)snprintf(channels[i].unit, sizeof(channels[i].unit), "kWh/s");
		reading.values[i] = (struct value){ &channels[i], -1.2345678901234567e-300 };
		if (i % 2)
			reading.values[i].number = -1.2345678901234567e300;
	}
	write_reading(formats[_i], &air, &reading);
	ck_assert_uint_gt(message->length, (size_t)CHANNELS_MAX * NAME_LENGTH);
	drop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("formats");
	TCase *tests = tcase_create("formats");

	tcase_add_test(tests, senml_is_a_record_a_channel_with_base_name_and_base_time);
	tcase_add_test(tests, senml_has_a_state_as_a_boolean);
	tcase_add_loop_test(tests, senml_names_have_the_characters_that_they_may, 0,
			    (int)ARRAY_SIZE(names));
	tcase_add_test(tests, senml_takes_a_topic_as_long_as_there_is);
	tcase_add_test(tests, senml_has_no_time_from_a_clock_that_was_not_set);
	tcase_add_loop_test(tests, senml_has_the_units_of_the_registry_and_no_others, 0,
			    (int)ARRAY_SIZE(units));
	tcase_add_loop_test(tests, what_a_percentage_is_of_depends_on_the_class, 0,
			    (int)ARRAY_SIZE(classes));
	tcase_add_test(tests, cbor_and_senml_say_the_same);
	tcase_add_test(tests, senml_is_as_jansson_would_write_it);
	tcase_add_test(tests, cbor_is_the_pack_with_integers_for_keys);
	tcase_add_test(tests, cbor_has_a_state_as_a_boolean);
	tcase_add_loop_test(tests, cbor_has_the_shortest_of_integer_single_and_double, 0,
			    (int)ARRAY_SIZE(cbor_numbers));
	tcase_add_test(tests, influx_is_a_line_with_a_tag_fields_and_nanoseconds);
	tcase_add_test(tests, influx_has_a_state_as_a_boolean_field);
	tcase_add_loop_test(tests, influx_escapes_the_device, 0, (int)ARRAY_SIZE(devices));
	tcase_add_loop_test(tests, influx_numbers_are_floats_and_short, 0, (int)ARRAY_SIZE(floats));
	tcase_add_loop_test(tests, influx_times_do_not_overflow, 0, (int)ARRAY_SIZE(times));
	tcase_add_loop_test(tests, the_largest_reading_fits, 0, (int)ARRAY_SIZE(formats));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
