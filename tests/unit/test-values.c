/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pieces of D-Bus messages, written and read back. */
#include <string.h>
#include <sys/socket.h>

#include "fixture.h"
#include "service/dbus.h"

static const struct channel channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 1 },
};

static sd_bus *bus;
static sd_bus_message *message;
static int sockets[2];

/* a bus that nobody answers on: a message needs one */
static void setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	ck_assert_int_ge(sd_bus_new(&bus), 0);
	ck_assert_int_ge(sd_bus_set_fd(bus, sockets[0], sockets[0]), 0);
	ck_assert_int_ge(sd_bus_start(bus), 0);
	ck_assert_int_ge(sd_bus_message_new_signal(bus, &message, "/x", "x.y", "Z"), 0);
}

static void teardown(void)
{
	message = sd_bus_message_unref(message);
	bus = sd_bus_close_unref(bus); /* with sockets[0] */
	(void)close(sockets[1]);
}

static void read_back(void)
{
	ck_assert_int_ge(sd_bus_message_seal(message, 1, 0), 0);
	ck_assert_int_ge(sd_bus_message_rewind(message, 1), 0);
}

/* enters the value of the next entry, which is @key's */
static void enter_entry(const char *key, const char *type)
{
	const char *name, *contents;

	ck_assert_int_gt(sd_bus_message_enter_container(message, 'e', "sv"), 0);
	ck_assert_int_gt(sd_bus_message_read(message, "s", &name), 0);
	ck_assert_str_eq(name, key);
	ck_assert_int_gt(sd_bus_message_peek_type(message, NULL, &contents), 0);
	ck_assert_str_eq(contents, type);
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'v', type), 0);
}

static void leave_entry(void)
{
	ck_assert_int_gt(sd_bus_message_exit_container(message), 0);
	ck_assert_int_gt(sd_bus_message_exit_container(message), 0);
}

static void expect_text(const char *key, const char *text)
{
	const char *value;

	enter_entry(key, "s");
	ck_assert_int_gt(sd_bus_message_read(message, "s", &value), 0);
	ck_assert_str_eq(value, text);
	leave_entry();
}

static void expect_real(const char *key, double real)
{
	double value;

	enter_entry(key, "d");
	ck_assert_int_gt(sd_bus_message_read(message, "d", &value), 0);
	ck_assert_double_eq(value, real);
	leave_entry();
}

static const struct {
	const char *given, *told;
} texts[] = {
	{ "", "" },
	{ NULL, "" },
	{ "µg/m³", "µg/m³" },
	{ "/tmp/\xff/air", "/tmp/?/air" },
	{ "cut \xc2", "cut ?" },
};

START_TEST(text_is_utf8)
{
	const char *told;

	ck_assert_int_ge(values_text(message, texts[_i].given), 0);
	read_back();
	ck_assert_int_gt(sd_bus_message_read(message, "s", &told), 0);
	ck_assert_str_eq(told, texts[_i].told);
}
END_TEST

START_TEST(reading_has_its_channels_in_their_order)
{
	const struct value values[] = { { &channels[0], 21.37 }, { &channels[1], -0.5 } };

	ck_assert_int_ge(values_reading(message, values, 2), 0);
	read_back();
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "{sv}"), 0);
	expect_real("temperature", 21.37);
	expect_real("humidity", -0.5);
	ck_assert_int_gt(sd_bus_message_at_end(message, 0), 0);
}
END_TEST

START_TEST(state_is_a_word)
{
	ck_assert_int_ge(values_state(message, _i == 1), 0);
	read_back();
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "{sv}"), 0);
	expect_text("state", _i == 1 ? "on" : "off");
	ck_assert_int_gt(sd_bus_message_at_end(message, 0), 0);
}
END_TEST

START_TEST(channels_have_units)
{
	const char *name, *unit;

	ck_assert_int_ge(values_channels(message, channels, 2), 0);
	read_back();
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "(ss)"), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_gt(sd_bus_message_read(message, "(ss)", &name, &unit), 0);
		ck_assert_str_eq(name, channels[i].name);
		ck_assert_str_eq(unit, channels[i].unit);
	}
	ck_assert_int_gt(sd_bus_message_at_end(message, 0), 0);
}
END_TEST

START_TEST(sample_is_rounded_and_leaves_out_what_has_no_value)
{
	static const double sample[] = { 21.3749, (double)NAN };
	static const struct channel rounded[] = { { .name = "temperature", .digits = 2 },
						  { .name = "humidity", .digits = 1 } };
	const struct device_info info = {
		.channels = rounded, .channel_count = 2, .sample = sample, .sampled_us = 7
	};

	ck_assert_int_ge(values_sample(message, &info), 0);
	read_back();
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "{sv}"), 0);
	expect_real("temperature", 21.37);
	ck_assert_int_gt(sd_bus_message_at_end(message, 0), 0);
}
END_TEST

START_TEST(there_may_be_no_sample_yet)
{
	const struct device_info info = { .channels = channels, .channel_count = 2 };

	ck_assert_int_ge(values_sample(message, &info), 0);
	read_back();
	ck_assert_int_eq(sd_bus_message_enter_container(message, 'a', "{sv}"), 1);
	ck_assert_int_gt(sd_bus_message_at_end(message, 0), 0);
}
END_TEST

START_TEST(line_that_is_offline_has_a_fault_and_no_state)
{
	const struct device_info info = {
		.kind = DEVICE_OUTPUT,
		.status = STATUS_OFFLINE,
		.name = "pump",
		.state = -1,
		.fault = "no GPIO chip",
	};

	ck_assert_int_ge(values_device(message, &info), 0);
	read_back();
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "{sv}"), 0);
	expect_text("name", "pump");
	expect_text("kind", "output");
	expect_text("status", "offline");
	expect_text("fault", "no GPIO chip");
	ck_assert_int_gt(sd_bus_message_at_end(message, 0), 0);
}
END_TEST

static bool next_is(const char *wanted, const char **type)
{
	const char *name;

	ck_assert_int_gt(sd_bus_message_enter_container(message, 'e', "sv"), 0);
	ck_assert_int_gt(sd_bus_message_read(message, "s", &name), 0);
	ck_assert_int_gt(sd_bus_message_peek_type(message, NULL, type), 0);
	ck_assert_int_gt(sd_bus_message_skip(message, "v"), 0);
	ck_assert_int_gt(sd_bus_message_exit_container(message), 0);
	return strcmp(name, wanted) == 0;
}

/* Return: "": there is none */
static const char *type_of(const char *wanted)
{
	const char *type;

	read_back();
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "{sv}"), 0);
	while (sd_bus_message_at_end(message, 0) == 0)
		if (next_is(wanted, &type))
			return type;
	return "";
}

static const struct {
	const char *key, *type;
} members[] = {
	{ "time", "s" },     { "connected", "b" }, { "readings", "t" },
	{ "late_max", "d" }, { "late_p50", "" },   { "signals_dropped", "t" },
};

START_TEST(statistics_have_types_and_leave_out_what_was_not_measured)
{
	const struct stats stats = { .late_max_us = 1500 };

	ck_assert_int_ge(values_stats(message, &stats, 3), 0);
	ck_assert_str_eq(type_of(members[_i].key), members[_i].type);
}
END_TEST

START_TEST(dropped_signals_are_told)
{
	const struct stats stats = { 0 };
	uint64_t count = 0;

	ck_assert_int_ge(values_stats(message, &stats, 3), 0);
	read_back();
	ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "{sv}"), 0);
	while (sd_bus_message_at_end(message, 0) == 0) {
		const char *name;

		ck_assert_int_gt(sd_bus_message_enter_container(message, 'e', "sv"), 0);
		ck_assert_int_gt(sd_bus_message_read(message, "s", &name), 0);
		if (strcmp(name, "signals_dropped") == 0)
			ck_assert_int_gt(sd_bus_message_read(message, "v", "t", &count), 0);
		else
			ck_assert_int_gt(sd_bus_message_skip(message, "v"), 0);
		ck_assert_int_gt(sd_bus_message_exit_container(message), 0);
	}
	ck_assert_uint_eq(count, 3);
}
END_TEST

static const struct {
	const char *instance, *name;
} names[] = {
	{ NULL, "org.iotd1" },
	{ "attic", "org.iotd1.attic" },
	{ "my-attic", "org.iotd1.my_2dattic" },
	{ "2nd", "org.iotd1._32nd" },
	{ "a.b", "org.iotd1.a_2eb" },
};

START_TEST(name_of_an_instance_is_escaped)
{
	cleanup(freep) char *name = dbus_name_new(names[_i].instance);

	ck_assert_str_eq(name, names[_i].name);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("values");
	TCase *pieces = tcase_create("pieces"), *words = tcase_create("words");

	tcase_add_checked_fixture(pieces, setup, teardown);
	tcase_add_loop_test(pieces, text_is_utf8, 0, ARRAY_SIZE(texts));
	tcase_add_test(pieces, reading_has_its_channels_in_their_order);
	tcase_add_loop_test(pieces, state_is_a_word, 0, 2);
	tcase_add_test(pieces, channels_have_units);
	tcase_add_test(pieces, sample_is_rounded_and_leaves_out_what_has_no_value);
	tcase_add_test(pieces, there_may_be_no_sample_yet);
	tcase_add_test(pieces, line_that_is_offline_has_a_fault_and_no_state);
	tcase_add_loop_test(pieces, statistics_have_types_and_leave_out_what_was_not_measured, 0,
			    ARRAY_SIZE(members));
	tcase_add_test(pieces, dropped_signals_are_told);
	tcase_add_loop_test(words, name_of_an_instance_is_escaped, 0, ARRAY_SIZE(names));
	suite_add_tcase(suite, pieces);
	suite_add_tcase(suite, words);
	return suite_run(suite);
}
