/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When Home Assistant is told what, on a wire that only takes notes: what is new, what is gone, and
 * all again at its birth. What a message says is in test-discovery.c. On the virtual clock.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "mqtt/discovery.h"

#include "iotd/clock.h"
#include "iotd/task.h"

#define SENT_MAX     4096
#define DEVICE_TOPIC "homeassistant/device/iotd-g/config"
#define ENTITY_TOPIC "homeassistant/sensor/iotd-g/"
#define SECOND	     USEC_PER_SEC

/* --- a wire that takes notes ---------------------------------------------------------------- */

struct sent {
	char *topic, *payload;
	int qos;
	bool retain;
};

static struct {
	struct wire wire;
	struct sent sent[SENT_MAX];
	size_t count;
} line;

static int line_publish(struct wire *wire, const struct wire_message *message, int *ret_mid)
{
	struct sent *sent = &line.sent[line.count];

	ck_assert_ptr_eq(wire, &line.wire);
	ck_assert_uint_lt(line.count, SENT_MAX);
	*sent = (struct sent){
		.topic = strdup(message->topic),
		.payload = strndup(message->length > 0 ? message->payload : "", message->length),
		.qos = message->qos,
		.retain = message->retain,
	};
	*ret_mid = (int)++line.count;
	return 0;
}

static bool line_is_full(struct wire *wire)
{
	(void)wire;
	return false;
}

static void line_end(struct wire *wire)
{
	(void)wire;
}

static void line_forget(void)
{
	while (line.count > 0) {
		line.count--;
		free(line.sent[line.count].topic);
		free(line.sent[line.count].payload);
	}
}

/* --- tools ---------------------------------------------------------------------------------- */

static char device[] = "g", topic[] = "iotd/g", prefix[] = "homeassistant", other_prefix[] = "ha";
static char by_device[] = "device", by_entity[] = "entity";
static char names[4000][8];

static struct reactor *reactor;
static struct publisher *publisher;
static struct publisher_events events;
static struct spool *spool;
static struct stats stats;
static struct settings settings;
static struct discovery *discovery;
static size_t acknowledged;
static struct sensor_settings sensors[4000];
static const struct wire_limits no_limits = { WIRE_WINDOW, 2, true };
static const struct channel climate[] = { { "temperature", "°C", 2 }, { "humidity", "%", 1 } };

static int end_step(struct task *task, int result)
{
	(void)task;
	return result;
}

static int wait_step(struct task *task, int result)
{
	(void)result;
	return task_sleep(task, *(int64_t *)task_data(task), end_step);
}

static void turn(int64_t us)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, wait_step, &us, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

/* let the reactor turn for @us; all that leaves is acknowledged */
static void deliver(int64_t us)
{
	size_t before;

	turn(us);
	do {
		before = line.count;
		while (acknowledged < line.count)
			publisher_acknowledged(publisher, (int)++acknowledged, 0, "");
		turn(0);
	} while (line.count > before);
}

static void make(char *style)
{
	struct discovery_parts parts = { .settings = &settings };

	settings = (struct settings){
		.device = device,
		.mqtt = { .topic = topic,
			  .format = FORMAT_JSON,
			  .qos = 1,
			  .discovery_enabled = true,
			  .discovery_prefix = prefix,
			  .discovery_style = style },
		.stats.interval_us = 60 * SECOND,
	};
	parts.reactor = reactor;
	parts.publisher = publisher;
	ck_assert_int_eq(discovery_new(&discovery, &parts), 0);
	publisher_up(publisher, &no_limits);
}

static void setup(void)
{
	static const struct spool_settings in_memory = { .path = NULL, .max_size = 1 << 20 };
	struct spool_parts spool_parts = { .settings = &in_memory, .stats = &stats };
	struct publisher_parts parts = { .wire = &line.wire, .stats = &stats, .events = &events };

	memset(&line, 0, sizeof(line));
	acknowledged = 0;
	line.wire = (struct wire){ line_publish, line_is_full, line_end };
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
	spool_parts.reactor = parts.reactor = reactor;
	ck_assert_int_eq(spool_new(&spool, &spool_parts), 0);
	parts.spool = spool;
	ck_assert_int_eq(publisher_new(&publisher, &parts), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sensors); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "s%zu", i);
		sensors[i] = (struct sensor_settings){ .name = names[i], .topic = topic };
	}
}

static void setup_by_device(void)
{
	setup();
	make(by_device);
}

static void setup_by_entity(void)
{
	setup();
	make(by_entity);
}

static void teardown(void)
{
	discovery = discovery_free(discovery);
	publisher = publisher_free(publisher);
	spool = spool_free(spool);
	reactor = reactor_free(reactor);
	line_forget();
}

static void announce(size_t sensor, size_t channels)
{
	const struct discovery_device of = {
		.info = { .kind = DEVICE_SENSOR,
			  .name = names[sensor],
			  .interval_us = SECOND,
			  .channels = climate,
			  .channel_count = channels },
		.sensor = &sensors[sensor],
	};

	discovery_announce(discovery, &of);
}

static bool receive_message(const char *where, const char *payload, bool retained)
{
	struct incoming incoming = {
		.topic = where,
		.payload = payload,
		.length = strlen(payload),
		.retained = retained,
	};

	return discovery_receive(discovery, &incoming);
}

static bool receive(const char *where, const char *payload)
{
	return receive_message(where, payload, false);
}

static size_t count_of(const char *where)
{
	size_t count = 0;

	for (size_t i = 0; i < line.count; i++)
		count += strcmp(line.sent[i].topic, where) == 0;
	return count;
}

static const struct sent *last_of(const char *where)
{
	for (size_t i = line.count; i > 0; i--)
		if (strcmp(line.sent[i - 1].topic, where) == 0)
			return &line.sent[i - 1];
	ck_abort_msg("nothing was sent on %s", where);
	return NULL;
}

/* how many keys component @id has in the last message of the device; 0: it is not there */
static size_t keys_of(const char *id)
{
	cleanup(json_decrefp) json_t *object = json_loads(last_of(DEVICE_TOPIC)->payload, 0, NULL);

	ck_assert_ptr_nonnull(object);
	return json_object_size(json_object_get(json_object_get(object, "cmps"), id));
}

/* --- by device ------------------------------------------------------------------------------ */

START_TEST(what_comes_together_is_one_retained_message)
{
	announce(0, 2);
	announce(1, 1);
	deliver(SECOND / 2);
	ck_assert_uint_eq(line.count, 0);
	announce(2, 1);
	deliver(SECOND);
	ck_assert_uint_eq(line.count, 1);
	ck_assert(line.sent[0].retain && line.sent[0].qos == 1);
	ck_assert_uint_gt(keys_of("sensor_s0_humidity"), 1);
	ck_assert_uint_gt(keys_of("sensor_s1_temperature"), 1);
	ck_assert_uint_gt(keys_of("sensor_s2_temperature"), 1);
	ck_assert_uint_gt(keys_of("stats_uptime"), 1);
}
END_TEST

START_TEST(what_is_known_is_not_told_again)
{
	announce(0, 2);
	deliver(2 * SECOND);
	announce(0, 2);
	deliver(10 * SECOND);
	ck_assert_uint_eq(line.count, 1);
}
END_TEST

START_TEST(a_channel_that_is_gone_keeps_its_platform_alone)
{
	announce(0, 2);
	deliver(2 * SECOND);
	announce(0, 1);
	deliver(2 * SECOND);
	ck_assert_uint_eq(line.count, 2);
	ck_assert_uint_eq(keys_of("sensor_s0_humidity"), 1);
	ck_assert_uint_gt(keys_of("sensor_s0_temperature"), 1);
}
END_TEST

START_TEST(a_device_that_is_gone_is_removed_until_it_is_back)
{
	announce(0, 2);
	announce(1, 2);
	deliver(2 * SECOND);
	discovery_withdraw(discovery, "s0");
	discovery_withdraw(discovery, "nobody");
	deliver(2 * SECOND);
	ck_assert_uint_eq(keys_of("sensor_s0_humidity"), 1);
	ck_assert_uint_eq(keys_of("sensor_s0_temperature"), 1);
	ck_assert_uint_gt(keys_of("sensor_s1_humidity"), 1);
	announce(0, 2);
	deliver(2 * SECOND);
	ck_assert_uint_gt(keys_of("sensor_s0_humidity"), 1);
	ck_assert_uint_eq(line.count, 3);
}
END_TEST

START_TEST(who_is_gone_is_not_remembered_without_bound)
{
	for (size_t i = 0; i < 1300; i++) {
		announce(i, 1);
		discovery_withdraw(discovery, names[i]);
	}
	deliver(2 * SECOND);
	ck_assert_uint_eq(keys_of("sensor_s0_temperature"), 0);
	ck_assert_uint_eq(keys_of("sensor_s1299_temperature"), 1);
	ck_assert_uint_gt(keys_of("stats_uptime"), 1);
}
END_TEST

START_TEST(who_comes_and_goes_is_remembered_once)
{
	static const char old[] = "{\"cmps\":{\"sensor_s9_x\":{\"p\":\"sensor\",\"name\":\"x\"}}}";

	announce(0, 1);
	discovery_withdraw(discovery, "s0");
	for (int i = 0; i < 1100; i++) {
		announce(1, 1);
		discovery_withdraw(discovery, "s1");
		ck_assert(receive_message(DEVICE_TOPIC, old, true));
	}
	deliver(2 * SECOND);
	ck_assert_uint_eq(keys_of("sensor_s0_temperature"), 1);
	ck_assert_uint_eq(keys_of("sensor_s1_temperature"), 1);
	ck_assert_uint_eq(keys_of("sensor_s9_x"), 1);
}
END_TEST

START_TEST(a_message_that_is_too_large_is_not_sent)
{
	for (size_t i = 0; i < 4000; i++)
		announce(i, 1);
	deliver(2 * SECOND);
	ck_assert_uint_eq(line.count, 0);
	for (size_t i = 1; i < 4000; i++)
		discovery_withdraw(discovery, names[i]);
	deliver(2 * SECOND);
	ck_assert_uint_eq(line.count, 1);
	ck_assert_uint_gt(keys_of("sensor_s0_temperature"), 1);
}
END_TEST

/* --- by entity ------------------------------------------------------------------------------ */

START_TEST(each_component_is_a_message_and_leaves_at_once)
{
	announce(0, 2);
	deliver(0);
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "sensor_s0_temperature/config"), 1);
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "sensor_s0_humidity/config"), 1);
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "stats_uptime/config"), 1);
	ck_assert(last_of(ENTITY_TOPIC "sensor_s0_humidity/config")->retain);
	announce(0, 2);
	deliver(2 * SECOND);
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "sensor_s0_temperature/config"), 1);
	ck_assert_uint_eq(count_of(DEVICE_TOPIC), 0);
}
END_TEST

START_TEST(an_entity_that_is_gone_is_cleared)
{
	announce(0, 2);
	announce(1, 1);
	deliver(0);
	announce(0, 1);
	discovery_withdraw(discovery, "s1");
	deliver(0);
	ck_assert_str_eq(last_of(ENTITY_TOPIC "sensor_s0_humidity/config")->payload, "");
	ck_assert_str_eq(last_of(ENTITY_TOPIC "sensor_s1_temperature/config")->payload, "");
	ck_assert(last_of(ENTITY_TOPIC "sensor_s1_temperature/config")->retain);
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "sensor_s0_temperature/config"), 1);
}
END_TEST

/* --- both: 0 by device, 1 by entity --------------------------------------------------------- */

static void make_either(int entity)
{
	setup();
	make(entity ? by_entity : by_device);
	announce(0, 2);
	deliver(2 * SECOND);
}

static const char *const told_on[] = { DEVICE_TOPIC, ENTITY_TOPIC "sensor_s0_humidity/config" };

/* many times, for the moment is random */
START_TEST(a_birth_is_answered_once_after_1_to_5_seconds)
{
	make_either(_i);
	ck_assert_str_eq(discovery_topic_of_birth(discovery), "homeassistant/status");
	for (size_t births = 1; births <= 50; births++) {
		ck_assert(receive("homeassistant/status", "online"));
		ck_assert(receive("homeassistant/status", "online"));
		deliver(SECOND - 1);
		ck_assert_uint_eq(count_of(told_on[_i]), births);
		deliver(4 * SECOND + 2);
		ck_assert_uint_eq(count_of(told_on[_i]), births + 1);
		ck_assert_str_ne(last_of(told_on[_i])->payload, "");
		deliver(60 * SECOND);
		ck_assert_uint_eq(count_of(told_on[_i]), births + 1);
	}
	teardown();
}
END_TEST

/* Home Assistant may have been born between the two */
START_TEST(what_is_in_flight_at_a_birth_is_told_once_more)
{
	make_either(_i);
	publisher_down(publisher);
	publisher_up(publisher, &no_limits);
	acknowledged = line.count;
	turn(0);
	ck_assert_uint_eq(count_of(told_on[_i]), 2);
	ck_assert(receive("homeassistant/status", "online"));
	turn(6 * SECOND);
	ck_assert_uint_eq(count_of(told_on[_i]), 2);
	deliver(0);
	ck_assert_uint_eq(count_of(told_on[_i]), 3);
	teardown();
}
END_TEST

START_TEST(what_is_no_birth_is_not_answered)
{
	make_either(_i);
	ck_assert(receive("homeassistant/status", "offline"));
	ck_assert(receive("homeassistant/status", "online!"));
	ck_assert(receive("homeassistant/status", ""));
	ck_assert(!receive("homeassistant/statu", "online"));
	ck_assert(!receive("iotd/g/command", "online"));
	deliver(60 * SECOND);
	ck_assert_uint_eq(count_of(told_on[_i]), 1);
	teardown();
}
END_TEST

START_TEST(a_new_connection_is_told_all)
{
	make_either(_i);
	publisher_down(publisher);
	publisher_up(publisher, &no_limits);
	deliver(0);
	ck_assert_uint_eq(count_of(told_on[_i]), 2);
	teardown();
}
END_TEST

START_TEST(other_topics_are_left_empty)
{
	struct settings next;

	make_either(_i);
	next = settings;
	next.mqtt.discovery_prefix = other_prefix;
	ck_assert(receive("homeassistant/status", "online"));
	if (_i == 0)
		announce(1, 1); /* waits */
	discovery_retire(discovery, &next);
	deliver(6 * SECOND);
	ck_assert_str_eq(last_of(told_on[_i])->payload, "");
	ck_assert(last_of(told_on[_i])->retain);
	publisher_down(publisher);
	publisher_up(publisher, &no_limits);
	deliver(0);
	ck_assert_uint_eq(count_of(told_on[_i]), 2);
	teardown();
}
END_TEST

START_TEST(who_keeps_the_topics_keeps_the_messages)
{
	struct settings same;

	make_either(_i);
	same = settings;
	discovery_retire(discovery, &same);
	deliver(2 * SECOND);
	ck_assert_uint_eq(count_of(told_on[_i]), 1);
	teardown();
}
END_TEST

START_TEST(what_was_just_removed_is_told_before_the_end)
{
	struct settings same;

	make_either(0);
	same = settings;
	discovery_withdraw(discovery, "s0");
	discovery_retire(discovery, &same);
	deliver(0);
	ck_assert_uint_eq(keys_of("sensor_s0_humidity"), 1);
	teardown();
}
END_TEST

START_TEST(an_interval_of_the_statistics_that_changed_is_told)
{
	struct settings next;

	make_either(1);
	next = settings;
	next.stats.interval_us = 3600 * SECOND;
	discovery_update(discovery, &next);
	deliver(0);
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "stats_uptime/config"), 2);
	ck_assert_ptr_nonnull(
		strstr(last_of(ENTITY_TOPIC "stats_uptime/config")->payload, "\"exp_aft\":10800"));
	ck_assert_uint_eq(count_of(told_on[1]), 1);
	teardown();
}
END_TEST

/* --- what an earlier run told --------------------------------------------------------------- */

static void configure(size_t sensor_count)
{
	for (size_t i = 0; i < sensor_count; i++)
		sensors[i].enabled = true;
	settings.sensors = sensors;
	settings.sensor_count = sensor_count;
}

static const char earlier[] = "{\"cmps\":{"
			      "\"sensor_s0_temperature\":{\"p\":\"sensor\",\"name\":\"x\"},"
			      "\"sensor_s0_pressure\":{\"p\":\"sensor\",\"name\":\"x\"},"
			      "\"sensor_s9_x\":{\"p\":\"sensor\",\"name\":\"x\"},"
			      "\"sensor_s8_x\":{\"p\":\"sensor\"},"
			      "\"stats_age\":{\"p\":\"sensor\",\"name\":\"x\"},"
			      "\"strange\":{\"p\":\"sensor\",\"name\":\"x\"}}}";

START_TEST(by_device_what_nobody_has_any_more_is_removed)
{
	configure(2);
	ck_assert_str_eq(discovery_own_topics(discovery), DEVICE_TOPIC);
	ck_assert(receive_message(DEVICE_TOPIC, earlier, true));
	deliver(2 * SECOND);
	ck_assert_uint_eq(keys_of("sensor_s9_x"), 1);
	ck_assert_uint_eq(keys_of("stats_age"), 1);
	ck_assert_uint_eq(keys_of("sensor_s8_x"), 0); /* it was gone already */
	ck_assert_uint_eq(keys_of("strange"), 0);
	ck_assert_uint_eq(keys_of("sensor_s0_pressure"), 0); /* s0 may have it */
	announce(0, 2);
	deliver(2 * SECOND);
	ck_assert_uint_eq(keys_of("sensor_s0_pressure"), 1);
	ck_assert_uint_gt(keys_of("sensor_s0_temperature"), 1);
}
END_TEST

START_TEST(by_device_what_is_told_stays)
{
	configure(1);
	announce(0, 2);
	deliver(2 * SECOND);
	ck_assert(receive_message(DEVICE_TOPIC, line.sent[0].payload, true));
	deliver(2 * SECOND);
	ck_assert_uint_eq(line.count, 1);
}
END_TEST

START_TEST(by_device_what_is_no_json_is_ignored)
{
	ck_assert(receive_message(DEVICE_TOPIC, "{\"cmps\":{\"sensor_s9_x\":{\"p\":", true));
	ck_assert(receive_message(DEVICE_TOPIC, "[]", true));
	ck_assert(receive_message(DEVICE_TOPIC, "{\"cmps\":7}", true));
	deliver(2 * SECOND);
	ck_assert_uint_eq(keys_of("sensor_s9_x"), 0);
}
END_TEST

START_TEST(by_entity_what_nobody_has_any_more_is_removed)
{
	configure(1);
	ck_assert_str_eq(discovery_own_topics(discovery), "homeassistant/+/iotd-g/+/config");
	ck_assert(receive_message(ENTITY_TOPIC "sensor_s9_x/config", "{}", true));
	ck_assert(receive_message("homeassistant/switch/iotd-g/switch_s0/config", "{}", true));
	ck_assert(receive_message(ENTITY_TOPIC "sensor_s0_temperature/config", "{}", true));
	ck_assert(receive_message(ENTITY_TOPIC "strange/config", "{}", true));
	deliver(0);
	ck_assert_str_eq(last_of(ENTITY_TOPIC "sensor_s9_x/config")->payload, "");
	ck_assert_uint_eq(count_of("homeassistant/switch/iotd-g/switch_s0/config"), 0);
	announce(0, 2);
	deliver(0);
	ck_assert_str_eq(last_of("homeassistant/switch/iotd-g/switch_s0/config")->payload, "");
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "sensor_s0_temperature/config"), 1);
	ck_assert_str_ne(last_of(ENTITY_TOPIC "sensor_s0_temperature/config")->payload, "");
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "strange/config"), 0);
}
END_TEST

START_TEST(what_is_said_right_now_is_our_own)
{
	configure(1);
	ck_assert(receive_message(ENTITY_TOPIC "sensor_s9_x/config", "{}", false));
	ck_assert(receive_message(ENTITY_TOPIC "sensor_s9_x/config", "", true));
	ck_assert(!receive_message("homeassistant/sensor/iotd-h/sensor_s9_x/config", "{}", true));
	deliver(0);
	ck_assert_uint_eq(count_of(ENTITY_TOPIC "sensor_s9_x/config"), 0);
}
END_TEST

START_TEST(a_sensor_that_was_never_there_is_removed_with_its_settings)
{
	configure(1);
	ck_assert(receive_message(ENTITY_TOPIC "sensor_s0_x/config", "{}", true));
	discovery_withdraw(discovery, "s0");
	deliver(0);
	ck_assert_str_eq(last_of(ENTITY_TOPIC "sensor_s0_x/config")->payload, "");
}
END_TEST

START_TEST(a_disabled_sensor_is_none)
{
	configure(1);
	sensors[0].enabled = false;
	ck_assert(receive_message(ENTITY_TOPIC "sensor_s0_x/config", "{}", true));
	deliver(0);
	ck_assert_str_eq(last_of(ENTITY_TOPIC "sensor_s0_x/config")->payload, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("discovery-told");
	TCase *device_tests = tcase_create("by device"), *entity_tests = tcase_create("by entity");
	TCase *both = tcase_create("both");

	tcase_add_checked_fixture(device_tests, setup_by_device, teardown);
	tcase_add_test(device_tests, what_comes_together_is_one_retained_message);
	tcase_add_test(device_tests, what_is_known_is_not_told_again);
	tcase_add_test(device_tests, a_channel_that_is_gone_keeps_its_platform_alone);
	tcase_add_test(device_tests, a_device_that_is_gone_is_removed_until_it_is_back);
	tcase_add_test(device_tests, who_is_gone_is_not_remembered_without_bound);
	tcase_add_test(device_tests, who_comes_and_goes_is_remembered_once);
	tcase_add_test(device_tests, a_message_that_is_too_large_is_not_sent);
	tcase_add_test(device_tests, by_device_what_nobody_has_any_more_is_removed);
	tcase_add_test(device_tests, by_device_what_is_told_stays);
	tcase_add_test(device_tests, by_device_what_is_no_json_is_ignored);
	tcase_add_checked_fixture(entity_tests, setup_by_entity, teardown);
	tcase_add_test(entity_tests, each_component_is_a_message_and_leaves_at_once);
	tcase_add_test(entity_tests, an_entity_that_is_gone_is_cleared);
	tcase_add_test(entity_tests, by_entity_what_nobody_has_any_more_is_removed);
	tcase_add_test(entity_tests, what_is_said_right_now_is_our_own);
	tcase_add_test(entity_tests, a_sensor_that_was_never_there_is_removed_with_its_settings);
	tcase_add_test(entity_tests, a_disabled_sensor_is_none);
	tcase_add_loop_test(both, a_birth_is_answered_once_after_1_to_5_seconds, 0, 2);
	tcase_add_loop_test(both, what_is_in_flight_at_a_birth_is_told_once_more, 0, 2);
	tcase_add_loop_test(both, what_is_no_birth_is_not_answered, 0, 2);
	tcase_add_loop_test(both, a_new_connection_is_told_all, 0, 2);
	tcase_add_loop_test(both, other_topics_are_left_empty, 0, 2);
	tcase_add_loop_test(both, who_keeps_the_topics_keeps_the_messages, 0, 2);
	tcase_add_test(both, what_was_just_removed_is_told_before_the_end);
	tcase_add_test(both, an_interval_of_the_statistics_that_changed_is_told);
	suite_add_tcase(suite, device_tests);
	suite_add_tcase(suite, entity_tests);
	suite_add_tcase(suite, both);
	return suite_run(suite);
}
