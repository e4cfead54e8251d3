/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user properties of readings, read back from the bytes of MQTT 5. */
#include <mqtt_protocol.h>
#include <stdio.h>

#include "fixture.h"
#include "mqtt/labels.h"

#define TEXT_SIZE 2048

static const struct channel channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 1 },
	{ "aqi", "", 0 },
};

static struct labels *labels;

static void setup(void)
{
	ck_assert_int_eq(labels_new(&labels, "greenhouse-1"), 0);
}

static void teardown(void)
{
	labels = labels_free(labels);
}

/* a reading of @count channels from the @first'th on */
static void note(const char *topic, bool each_own, size_t first, size_t count)
{
	struct reading reading = { .name = "air", .count = count };

	for (size_t i = 0; i < count; i++)
		reading.values[i] = (struct value){ &channels[first + i], 1.0 };
	labels_note(labels, topic, each_own, &reading);
}

/* a text of MQTT 5.0, section 1.5.4, at @at. Return: the end of it */
static const uint8_t *read_text(const uint8_t *at, const uint8_t *end, char **to)
{
	size_t length = (size_t)at[0] << 8 | at[1];

	ck_assert_uint_le(2 + length, (size_t)(end - at));
	memcpy(*to, at + 2, length);
	*to += length;
	return at + 2 + length;
}

/* "name=value name=value" */
static const char *found(const char *topic)
{
	static char text[TEXT_SIZE];
	const struct wire_properties *properties = labels_find(labels, topic);
	const uint8_t *at = properties ? properties->bytes : NULL;
	const uint8_t *end = properties ? at + properties->length : NULL;
	char *to = text;

	while (at < end) {
		if (to > text)
			*to++ = ' ';
		ck_assert_uint_eq(*at, MQTT_PROP_USER_PROPERTY);
		at = read_text(at + 1, end, &to);
		*to++ = '=';
		at = read_text(at, end, &to);
	}
	*to = '\0';
	return text;
}

START_TEST(one_channel_has_a_unit)
{
	note("t/a", false, 0, 1);
	ck_assert_str_eq(found("t/a"), "device=greenhouse-1 unit=°C");
	ck_assert_ptr_null(labels_find(labels, "t/b"));
}
END_TEST

START_TEST(several_channels_have_a_unit_each)
{
	note("t/a", false, 0, 3);
	ck_assert_str_eq(found("t/a"), "device=greenhouse-1 unit.temperature=°C unit.humidity=%");
}
END_TEST

START_TEST(what_has_no_unit_has_a_device)
{
	note("t/a", false, 2, 1);
	ck_assert_str_eq(found("t/a"), "device=greenhouse-1");
}
END_TEST

START_TEST(channels_of_their_own_topics_have_a_unit)
{
	note("t/a", true, 0, 3);
	ck_assert_str_eq(found("t/a/temperature"), "device=greenhouse-1 unit=°C");
	ck_assert_str_eq(found("t/a/humidity"), "device=greenhouse-1 unit=%");
	ck_assert_str_eq(found("t/a/aqi"), "device=greenhouse-1");
	ck_assert_ptr_null(labels_find(labels, "t/a"));
}
END_TEST

/* a deadband holds the others back */
START_TEST(a_reading_without_some_channels_changes_nothing)
{
	const struct wire_properties *before;

	note("t/a", false, 0, 2);
	before = labels_find(labels, "t/a");
	note("t/a", false, 1, 1);
	note("t/a", false, 0, 1);
	ck_assert_ptr_eq(labels_find(labels, "t/a"), before);
	ck_assert_str_eq(found("t/a"), "device=greenhouse-1 unit.temperature=°C unit.humidity=%");
	note("t/a", false, 2, 1); /* one more: has no unit */
	note("t/b", false, 1, 1);
	note("t/b", false, 0, 1);
	ck_assert_str_eq(found("t/b"), "device=greenhouse-1 unit.humidity=% unit.temperature=°C");
}
END_TEST

/* a sensor that was opened anew: the old ones are gone, and one has another unit */
START_TEST(channels_need_not_outlive_their_reading)
{
	struct channel *one = calloc(1, sizeof(*one));
	struct reading reading = { .name = "air", .count = 1 };

	ck_assert_ptr_nonnull(one);
	*one = (struct channel){ "temperature", "°C", 2 };
	reading.values[0] = (struct value){ one, 1.0 };
	labels_note(labels, "t/a", false, &reading);
	memset(one, 'x', sizeof(*one));
	free(one);
	note("t/a", false, 1, 1);
	ck_assert_str_eq(found("t/a"), "device=greenhouse-1 unit.temperature=°C unit.humidity=%");

	reading.values[0].channel = &(const struct channel){ "temperature", "°F", 2 };
	labels_note(labels, "t/a", false, &reading);
	ck_assert_str_eq(found("t/a"), "device=greenhouse-1 unit.temperature=°F unit.humidity=%");
}
END_TEST

START_TEST(forgotten_ones_can_be_noted_again)
{
	note("t/a", false, 0, 1);
	labels_forget(labels);
	ck_assert_ptr_null(labels_find(labels, "t/a"));
	note("t/a", false, 1, 1);
	ck_assert_str_eq(found("t/a"), "device=greenhouse-1 unit=%");
	labels_forget(labels);
	labels_forget(labels);
	ck_assert_ptr_null(labels_free(NULL));
}
END_TEST

START_TEST(each_topic_of_thousands_is_found)
{
	char topic[32];

	for (int i = 0; i < 10000; i++) {
		(void)snprintf(topic, sizeof(topic), "t/%d", i);
		note(topic, false, (size_t)i % 2, 1);
	}
	for (int i = 9999; i >= 0; i--) {
		(void)snprintf(topic, sizeof(topic), "t/%d", i);
		ck_assert_str_eq(found(topic), i % 2 ? "device=greenhouse-1 unit=%"
						     : "device=greenhouse-1 unit=°C");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("labels");
	TCase *tests = tcase_create("labels");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, one_channel_has_a_unit);
	tcase_add_test(tests, several_channels_have_a_unit_each);
	tcase_add_test(tests, what_has_no_unit_has_a_device);
	tcase_add_test(tests, channels_of_their_own_topics_have_a_unit);
	tcase_add_test(tests, a_reading_without_some_channels_changes_nothing);
	tcase_add_test(tests, channels_need_not_outlive_their_reading);
	tcase_add_test(tests, forgotten_ones_can_be_noted_again);
	tcase_add_test(tests, each_topic_of_thousands_is_found);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
