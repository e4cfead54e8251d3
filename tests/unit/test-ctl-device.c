/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotctl: from the daemon's answers to structs and JSON, also from answers that no iotd gives. */
#include <errno.h>
#include <math.h>

#include "ctl-fixture.h"
#include "ctl/device.h"
#include "ctl/json.h"
#include "fixture.h"

static sd_bus_message *message;

static void set_up(void)
{
	messages_open();
	message = message_new_empty();
}

static void tear_down(void)
{
	sd_bus_message_unref(message);
	messages_close();
}

static void open_list(void)
{
	ck_assert_int_ge(sd_bus_message_open_container(message, 'a', "a{sv}"), 0);
}

/* Return: what became of it */
static struct devices close_list(void)
{
	struct devices devices;

	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
	message_seal(message);
	ck_assert_int_eq(devices_read(&devices, message), 0);
	return devices;
}

#define append(...) ck_assert_int_ge(sd_bus_message_append(message, __VA_ARGS__), 0)

static void assert_json(json_t *value, const char *expected)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15));

	ck_assert_str_eq(text, expected);
	free(text);
	json_decref(value);
}

START_TEST(a_sensor_is_read_with_all_that_is_said_of_it)
{
	struct devices devices;
	const struct device *device;

	open_list();
	append("a{sv}", 11, "name", "s", "air", "kind", "s", "sensor", "status", "s", "online",
	       "driver", "s", "bme280", "interval", "t", (uint64_t)1500000, "channels", "a(ss)", 2,
	       "temperature", "°C", "humidity", "%", "time", "t", (uint64_t)1700000000123456,
	       "values", "a{sv}", 1, "temperature", "d", 21.37, "readings", "t", (uint64_t)12,
	       "errors", "t", (uint64_t)3, "late", "t", (uint64_t)870);
	devices = close_list();
	ck_assert_uint_eq(devices.count, 1);
	device = devices_find(&devices, "air", DEVICE_SENSOR);
	ck_assert_ptr_eq(device, devices.list);
	ck_assert_uint_eq(device->interval_us, 1500000);
	ck_assert_uint_eq(device->channel_count, 2);
	ck_assert_double_eq(device->channels[0].number, 21.37);
	ck_assert(isnan(device->channels[1].number));
	ck_assert_int_eq(device->state, -1);
	assert_json(json_from_devices(&devices),
		    "[{\"name\":\"air\",\"kind\":\"sensor\",\"driver\":\"bme280\",\"interval\":"
		    "\"1500ms\",\"channels\":[{\"name\":\"temperature\",\"unit\":\"°C\"},{"
		    "\"name\":\"humidity\",\"unit\":\"%\"}],\"status\":\"online\",\"values\":{"
		    "\"time\":\"2023-11-14T22:13:20.123Z\",\"temperature\":21.37},\"readings\":12,"
		    "\"errors\":3,\"late\":0.00087,\"busy\":0}]");
	devices_free(&devices);
}
END_TEST

START_TEST(an_output_is_read_with_its_state_and_its_fault)
{
	struct devices devices;

	open_list();
	append("a{sv}", 5, "name", "s", "pump", "kind", "s", "output", "status", "s", "offline",
	       "fault", "s", "the line is \"busy\"", "state", "s", "on");
	devices = close_list();
	ck_assert_int_eq(devices.list[0].kind, DEVICE_OUTPUT);
	ck_assert_int_eq(devices.list[0].status, STATUS_OFFLINE);
	ck_assert_int_eq(devices.list[0].state, 1);
	ck_assert_int_eq((int)device_last_us(&devices.list[0], 5), -1);
	assert_json(
		json_from_device(&devices.list[0]),
		"{\"name\":\"pump\",\"kind\":\"output\",\"status\":\"offline\",\"state\":\"on\","
		"\"fault\":\"the line is \\\"busy\\\"\"}");
	devices_free(&devices);
}
END_TEST

START_TEST(the_order_of_keys_does_not_count)
{
	struct devices devices;
	const struct device_channel *channel;

	open_list();
	append("a{sv}", 3, "values", "a{sv}", 1, "rate", "d", 2.5, "channels", "a(ss)", 2, "total",
	       "m³", "rate", "m³/h", "name", "s", "water");
	devices = close_list();
	ck_assert_uint_eq(devices.list[0].channel_count, 2);
	channel = &devices.list[0].channels[0];
	ck_assert_str_eq(channel->name, "rate");
	ck_assert_str_eq(channel->unit, "m³/h");
	ck_assert_double_eq(channel->number, 2.5);
	devices_free(&devices);
}
END_TEST

START_TEST(what_is_missing_or_of_another_type_is_taken_as_not_there)
{
	struct devices devices;
	const struct device *device;

	open_list();
	append("a{sv}", 9, "name", "t", (uint64_t)7, "kind", "s", "boat", "status", "b", 1,
	       "interval", "s", "5s", "channels", "as", 1, "x", "values", "a{sv}", 2, "a", "s",
	       "on", "b", "u", 7, "state", "d", 1.0, "time", "i", 5, "news", "(ss)", "a", "b");
	append("a{sv}", 0);
	devices = close_list();
	ck_assert_uint_eq(devices.count, 2);
	device = &devices.list[0];
	ck_assert_str_eq(device->name, "");
	ck_assert_int_eq(device->kind, DEVICE_SENSOR);
	ck_assert_int_eq(device->status, STATUS_UNKNOWN);
	ck_assert_uint_eq(device->interval_us, 0);
	ck_assert_uint_eq(device->channel_count, 0);
	ck_assert_uint_eq(device->time_us, 0);
	ck_assert_int_eq(device->state, -1);
	devices_free(&devices);
}
END_TEST

START_TEST(control_characters_do_not_get_in)
{
	struct devices devices;

	open_list();
	append("a{sv}", 4, "name", "s", "a\033[2J", "fault", "s",
	       "b\xc2\x9b"
	       "2J",
	       "channels", "a(ss)", 1, "t\n", "\r", "values", "a{sv}", 1, "t\n", "d", 1.0);
	devices = close_list();
	ck_assert_str_eq(devices.list[0].name, "a?[2J");
	ck_assert_str_eq(devices.list[0].fault, "b?2J");
	ck_assert_uint_eq(devices.list[0].channel_count, 1);
	ck_assert_str_eq(devices.list[0].channels[0].name, "t?");
	ck_assert_str_eq(devices.list[0].channels[0].unit, "?");
	devices_free(&devices);
}
END_TEST

START_TEST(what_is_no_number_is_null_or_left_out)
{
	struct devices devices;

	open_list();
	append("a{sv}", 2, "time", "t", (uint64_t)1000000, "values", "a{sv}", 3, "a", "d",
	       (double)NAN, "b", "d", (double)INFINITY, "c", "d", 1e300);
	devices = close_list();
	assert_json(json_from_values(&devices.list[0]),
		    "{\"time\":\"1970-01-01T00:00:01.000Z\",\"c\":1e300}");
	devices_free(&devices);
	assert_json(json_pack("[o]", json_from_number((double)NAN)), "[null]");
}
END_TEST

START_TEST(what_is_no_list_is_refused)
{
	struct devices devices;

	append("s", "nothing");
	message_seal(message);
	ck_assert_int_lt(devices_read(&devices, message), 0);
}
END_TEST

START_TEST(an_answer_without_anything_is_refused)
{
	struct devices devices;
	json_t *object = NULL;

	message_seal(message);
	ck_assert_int_lt(devices_read(&devices, message), 0);
	ck_assert_int_ge(sd_bus_message_rewind(message, true), 0);
	ck_assert_int_lt(json_from_dictionary(&object, message), 0);
	ck_assert_ptr_null(object);
}
END_TEST

START_TEST(devices_of_one_kind_can_be_kept)
{
	struct devices devices;

	open_list();
	append("a{sv}", 2, "name", "s", "air", "kind", "s", "sensor");
	append("a{sv}", 2, "name", "s", "door", "kind", "s", "input");
	append("a{sv}", 2, "name", "s", "soil", "kind", "s", "sensor");
	devices = close_list();
	ck_assert_ptr_null(devices_find(&devices, "door", DEVICE_SENSOR));
	ck_assert_ptr_nonnull(devices_find(&devices, "door", -1));
	devices_keep(&devices, DEVICE_SENSOR);
	ck_assert_uint_eq(devices.count, 2);
	ck_assert_str_eq(devices.list[1].name, "soil");
	devices_free(&devices);
}
END_TEST

START_TEST(a_new_reading_takes_the_place_of_the_old_one)
{
	struct devices devices = { .list = calloc(1, sizeof(*devices.list)), .count = 1 };
	struct device *device = devices.list;

	append("t", (uint64_t)5);
	append("a{sv}", 2, "a", "d", 1.0, "b", "d", 2.0);
	append("t", (uint64_t)6);
	append("a{sv}", 1, "b", "d", 3.0);
	append("t", (uint64_t)7);
	append("a{sv}", 1, "state", "s", "off");
	message_seal(message);
	ck_assert_int_eq(device_read_values(device, message), 0);
	device_forget_values(device);
	ck_assert_int_eq(device_read_values(device, message), 0);
	ck_assert_uint_eq(device->time_us, 6);
	ck_assert(isnan(device->channels[0].number));
	ck_assert_double_eq(device->channels[1].number, 3.0);
	ck_assert_int_eq(device_read_values(device, message), 0);
	ck_assert_int_eq(device->state, 0);
	ck_assert_int_lt(device_read_values(device, message), 0); /* there is no more */
	devices_free(&devices);
}
END_TEST

START_TEST(a_dictionary_becomes_an_object)
{
	json_t *object;

	append("a{sv}", 7, "a", "t", (uint64_t)7, "b", "x", (int64_t)-7, "c", "d", 0.25, "d", "b",
	       1, "e", "s", "x", "f", "a{sv}", 1, "g", "t", (uint64_t)1, "h", "as", 0);
	message_seal(message);
	ck_assert_int_eq(json_from_dictionary(&object, message), 0);
	ck_assert_uint_eq(json_count(object, "a"), 7);
	ck_assert_uint_eq(json_count(object, "b"), 0);
	ck_assert_uint_eq(json_count(object, "e"), 0);
	assert_json(object, "{\"a\":7,\"b\":-7,\"c\":0.25,\"d\":true,\"e\":\"x\",\"f\":{\"g\":1}}");
}
END_TEST

START_TEST(a_dictionary_without_end_is_refused)
{
	json_t *object = NULL;
	int depth;

	for (depth = 0; depth < 12; depth++) {
		ck_assert_int_ge(sd_bus_message_open_container(message, 'a', "{sv}"), 0);
		ck_assert_int_ge(sd_bus_message_open_container(message, 'e', "sv"), 0);
		append("s", "k");
		ck_assert_int_ge(sd_bus_message_open_container(message, 'v', "a{sv}"), 0);
	}
	append("a{sv}", 0);
	while (depth-- > 0)
		for (int i = 0; i < 3; i++)
			ck_assert_int_ge(sd_bus_message_close_container(message), 0);
	message_seal(message);
	ck_assert_int_eq(json_from_dictionary(&object, message), -EBADMSG);
	ck_assert_ptr_null(object);
}
END_TEST

START_TEST(an_age_is_never_negative_when_the_clock_was_set_back)
{
	struct device device = { .time_us = 1000 };

	ck_assert_int_eq((int)device_last_us(&device, 1500), 500);
	ck_assert_int_eq((int)device_last_us(&device, 10), 0);
	device.time_us = UINT64_MAX;
	ck_assert_int_eq((int)device_last_us(&device, 10), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl-device");
	TCase *tests = tcase_create("device");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_sensor_is_read_with_all_that_is_said_of_it);
	tcase_add_test(tests, an_output_is_read_with_its_state_and_its_fault);
	tcase_add_test(tests, the_order_of_keys_does_not_count);
	tcase_add_test(tests, what_is_missing_or_of_another_type_is_taken_as_not_there);
	tcase_add_test(tests, control_characters_do_not_get_in);
	tcase_add_test(tests, what_is_no_number_is_null_or_left_out);
	tcase_add_test(tests, what_is_no_list_is_refused);
	tcase_add_test(tests, an_answer_without_anything_is_refused);
	tcase_add_test(tests, devices_of_one_kind_can_be_kept);
	tcase_add_test(tests, a_new_reading_takes_the_place_of_the_old_one);
	tcase_add_test(tests, a_dictionary_becomes_an_object);
	tcase_add_test(tests, a_dictionary_without_end_is_refused);
	tcase_add_test(tests, an_age_is_never_negative_when_the_clock_was_set_back);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
