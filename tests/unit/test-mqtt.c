/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The MQTT layer and a real broker that is slow, late, killed, stopped, locked, or no broker at all. */
#include <poll.h>

#include "fixture.h"
#include "mqtt-fixture.h"

/* --- tests ---------------------------------------------------------------------------------- */

/* protocol 4 and 5 x QoS 0, 1, 2 */
START_TEST(readings_arrive_once_and_in_order)
{
	int next = 0;

	settings.mqtt.protocol = 4 + _i / 3;
	settings.mqtt.qos = _i % 3;
	(void)start_broker("");
	start();
	publish_readings(0, 3, (uint8_t)(_i % 3)); /* before it is connected */
	wait_until(is_connected);
	publish_readings(3, READINGS - 3, (uint8_t)(_i % 3));
	wait_until(all_readings_seen);
	wait_until(is_empty);
	for (size_t i = 0; i < observer.count; i++) {
		if (strcmp(observer.seen[i].topic, "iotd/t/sensor/air") != 0)
			continue;
		ck_assert_int_eq(strtol(observer.seen[i].payload, NULL, 10), next++);
		ck_assert_int_eq(observer.seen[i].qos, _i % 3);
	}
	ck_assert_int_eq(next, READINGS);
	ck_assert_uint_eq(stats.acknowledged, READINGS + 1); /* and T/status */
	ck_assert_uint_eq(stats.in_flight, 0);
	ck_assert_uint_eq(stats.connects, 1);
	ck_assert(stats.connected);
	ck_assert_int_eq(ups, 1);
	ck_assert_int_eq(downs, 0);
}
END_TEST

START_TEST(status_is_first_and_retained)
{
	const struct seen *online;

	(void)start_broker("");
	start();
	publish_state("iotd/t/input/door", "shut");
	publish_readings(0, 1, 1);
	(void)await_message("iotd/t/sensor/air", NULL);
	(void)await_message("iotd/t/input/door", "shut");
	ck_assert_str_eq(observer.seen[0].topic, "iotd/t/status");
	ck_assert_str_eq(observer.seen[0].payload, "online");
	ck_assert_int_eq(observer.seen[0].qos, 1);

	observer_close(); /* a new subscriber gets it: so it was retained */
	observer.count = 0;
	observer_open(brokers[0].port, NULL, NULL);
	online = await_message("iotd/t/status", "online");
	ck_assert(online->retained);
	ck_assert(await_message("iotd/t/input/door", "shut")->retained);
}
END_TEST

START_TEST(stop_flushes_says_offline_and_leaves_no_will)
{
	settings.mqtt.protocol = 4 + _i;
	(void)start_broker("");
	start();
	wait_until(is_connected);
	publish_readings(0, READINGS, 1);
	ck_assert_int_eq(stop_within(5 * USEC_PER_SEC), 0);
	ck_assert(spool_is_empty(spool));
	(void)await_message("iotd/t/status", "offline");
	ck_assert_uint_eq(readings_seen(), READINGS); /* all of them before it */
	ck_assert_uint_eq(stats.acknowledged, READINGS + 2);
	ck_assert(!mqtt_is_connected(mqtt));
	ck_assert_ptr_eq(mqtt_stop(mqtt, 0), stopping);
}
END_TEST

START_TEST(the_will_speaks_when_we_vanish)
{
	(void)start_broker("");
	start();
	(void)await_message("iotd/t/status", "online");
	mqtt = mqtt_free(mqtt);
	(void)await_message("iotd/t/status", "offline");
}
END_TEST

START_TEST(a_broker_that_comes_late_is_found)
{
	int port = free_port();

	settings.mqtt.protocol = 4 + _i;
	use_broker(0, "127.0.0.1", port);
	start();
	wait_until(is_down);
	ck_assert_str_eq(last_why, "connection refused");
	publish_readings(0, 10, 1);
	broker_start(port, "");
	wait_until(is_connected);
	wait_until(is_empty);
	ck_assert_int_eq(downs, 1); /* told when it began, not at each try */
	ck_assert_int_eq(ups, 1);
}
END_TEST

static bool is_connected_again(void)
{
	return ups == 2;
}

START_TEST(a_broker_that_dies_and_returns_gets_everything_again)
{
	int port = start_broker("");

	settings.mqtt.protocol = 4 + _i;
	start();
	publish_state("iotd/t/input/door", "shut");
	(void)await_message("iotd/t/input/door", "shut");
	broker_stop(SIGKILL);
	publish_readings(0, READINGS, 1); /* it does not know yet: some of these go into the void */
	publish_state("iotd/t/input/door", "open");
	wait_until(is_down);
	ck_assert_str_ne(last_why, "");
	ck_assert_uint_eq(stats.disconnects, 1);
	ck_assert_uint_eq(stats.in_flight, 0);
	ck_assert(!stats.connected);
	observer_close();
	observer.count = 0;
	broker_start(port, "");
	observer_open(port, NULL, NULL);
	wait_until(is_connected_again);
	wait_until(is_empty);
	(void)await_message("iotd/t/status", "online");
	(void)await_message("iotd/t/input/door", "open");
	ck_assert_ptr_null(find_seen("iotd/t/input/door", "shut"));
	ck_assert_uint_eq(stats.queued, 0);
}
END_TEST

START_TEST(a_polite_broker_says_why_it_goes)
{
	(void)start_broker("");
	start();
	wait_until(is_connected);
	(void)kill(broker_pid, SIGTERM);
	wait_until(is_down);
	ck_assert_msg(strstr(last_why, "shutting down") ||
			      strstr(last_why, "closed the connection"),
		      "%s", last_why);
}
END_TEST

static bool window_is_full(void)
{
	return stats.in_flight >= 60 && stats.queued == READINGS;
}

START_TEST(a_stopped_broker_costs_the_deadline_and_not_more)
{
	int64_t before_us;

	(void)start_broker(
		"max_inflight_messages 100\n"); /* MQTT 5 brokers say it: 20 by default */
	start();
	wait_until(is_connected);
	(void)await_message("iotd/t/status", "online");
	broker_freeze();
	publish_readings(0, READINGS, 1);
	wait_until(window_is_full);
	(void)wait_for(NULL, 50000);
	ck_assert_uint_eq(stats.in_flight, 60); /* 4 places are not for readings */
	ck_assert_uint_eq(stats.queued, READINGS);
	before_us = clock_boottime_us();
	ck_assert_int_eq(stop_within(300000), -ETIMEDOUT); /* else in vain */
	ck_assert_int_ge(clock_boottime_us() - before_us, 300000);
	ck_assert_uint_eq(stats.queued, READINGS); /* kept, for a spool on disk */
}
END_TEST

START_TEST(a_stopped_broker_is_found_out_by_the_keepalive)
{
	settings.mqtt.keepalive_us = 5 * USEC_PER_SEC; /* the least that the library takes */
	(void)start_broker("");
	start();
	wait_until(is_connected);
	broker_freeze();
	wait_until(is_down);
	ck_assert_str_eq(last_why, "no answer to the keepalive ping");
}
END_TEST

START_TEST(an_idle_connection_is_kept_alive)
{
	settings.mqtt.keepalive_us = 5 * USEC_PER_SEC;
	(void)start_broker("");
	start();
	wait_until(is_connected);
	(void)wait_for(is_down, 12 * USEC_PER_SEC); /* the broker would cut us off after 7.5 s */
	ck_assert_int_eq(downs, 0);
	ck_assert(mqtt_is_connected(mqtt));
}
END_TEST

static uint64_t sum_published;

static bool published_stands_still(void)
{
	bool still = stats.published == sum_published && sum_published > 1;

	sum_published = stats.published;
	return still;
}

START_TEST(qos_0_waits_for_a_slow_broker_in_our_queue_and_not_in_the_librarys)
{
	static char payload[20000];
	struct message *message;

	(void)start_broker("");
	start();
	wait_until(is_connected);
	(void)await_message("iotd/t/status", "online");
	broker_freeze();
	memset(payload, 'x', sizeof(payload));
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(message_new(&message, "iotd/t/big", payload, sizeof(payload)), 0);
		mqtt_publish(mqtt, message);
	}
	wait_until(published_stands_still);
	ck_assert_uint_gt(stats.queued, 500); /* 40 MB do not fit into socket buffers */
	ck_assert_uint_le(stats.in_flight, 64);
	(void)kill(broker_pid, SIGCONT);
	wait_until(is_empty);
	ck_assert_uint_eq(stats.acknowledged, 2001);
}
END_TEST

static bool is_executed(void)
{
	return executed > 0;
}

START_TEST(commands_are_answered)
{
	const struct seen *reply;

	settings.mqtt.protocol = 4 + _i;
	(void)start_broker("");
	start();
	wait_until(is_connected);
	(void)await_message("iotd/t/status", "online");
	observer_publish("iotd/t/command",
			 "{\"command\":\"set\",\"name\":\"pump\",\"state\":\"on\",\"id\":1}", false,
			 NULL);
	reply = await_message("iotd/t/reply", NULL);
	ck_assert_str_eq(reply->payload, "{\"id\":1,\"ok\":true,\"result\":{\"time\":\"2026-11-"
					 "22T13:15:00.123Z\",\"state\":\"on\"}}");
	ck_assert(!reply->retained);
	ck_assert_str_eq(last_command.name, "pump");

	if (settings.mqtt.protocol == 5) {
		observer_publish("iotd/t/command", "{\"command\":\"explode\"}", false,
				 "answers/here");
		reply = await_message("answers/here", NULL);
		ck_assert_str_eq(
			reply->payload,
			"{\"ok\":false,\"error\":\"no command is named \\\"explode\\\"\"}");
		ck_assert_str_eq(reply->correlation, "c17");
	}
	executed = 0;
	observer_publish("iotd/t/output/valve/set", "toggle", false, NULL);
	wait_until(is_executed);
	ck_assert_int_eq(last_command.kind, COMMAND_TOGGLE);
	ck_assert_str_eq(last_command.name, "valve");
}
END_TEST

START_TEST(retained_commands_are_ignored)
{
	settings.mqtt.protocol = 4 + _i;
	(void)start_broker("");
	observer_publish("iotd/t/output/pump/set", "on", true, NULL);
	observer_publish("iotd/t/command", "{\"command\":\"ping\"}", true, NULL);
	(void)await_message("iotd/t/command", NULL);
	start();
	(void)await_message("iotd/t/status", "online");
	observer_publish("iotd/t/output/valve/set", "on", false, NULL); /* comes behind them */
	wait_until(is_executed);
	ck_assert_int_eq(executed, 1);
	ck_assert_str_eq(last_command.name, "valve");
	/* MQTT 5 can ask the broker not to send them at all */
	ck_assert_uint_eq(stats.commands_refused, settings.mqtt.protocol == 4 ? 2 : 0);
}
END_TEST

START_TEST(commands_can_be_switched_off)
{
	settings.commands.enabled = false;
	(void)start_broker("");
	start();
	(void)await_message("iotd/t/status", "online");
	observer_publish("iotd/t/output/valve/set", "on", false, NULL);
	publish_readings(0, 1, 1);
	(void)await_message("iotd/t/sensor/air", NULL);
	ck_assert_int_eq(executed, 0);
}
END_TEST

START_TEST(a_wrong_password_is_named_and_a_right_one_is_read_from_its_file)
{
	static char user[] = "green", wrong[] = "wrong";
	char command[256], more[256], file[128];
	int port;

	(void)snprintf(command, sizeof(command),
		       "mosquitto_passwd -b -c %s/passwd green house 2>/dev/null", directory);
	ck_assert_int_eq(system(command), 0);
	(void)snprintf(more, sizeof(more), "password_file %s/passwd\nallow_anonymous false\n",
		       directory);
	port = start_broker(more);
	settings.mqtt.protocol = 4 + _i;
	settings.mqtt.username = user;
	settings.mqtt.password = wrong;
	start();
	wait_until(is_down);
	ck_assert_str_eq(last_why, _i == 0 ? "the broker refuses us: not authorized (0x05)"
					   : "the broker refuses us: not authorized (0x87)");
	write_file("password", "house\n");
	path_of(file, sizeof(file), "password");
	settings.mqtt.password = NULL;
	settings.mqtt.password_file = file;
	wait_until(is_connected);
	observer_open(port, "green", "house");
	(void)await_message("iotd/t/status", "online");
}
END_TEST

START_TEST(a_credential_of_systemd_is_a_password)
{
	static char user[] = "green";
	char command[256], more[256], path[128];

	(void)snprintf(command, sizeof(command),
		       "mosquitto_passwd -b -c %s/passwd green house 2>/dev/null", directory);
	ck_assert_int_eq(system(command), 0);
	(void)snprintf(more, sizeof(more), "password_file %s/passwd\nallow_anonymous false\n",
		       directory);
	(void)start_broker(more);
	settings.mqtt.username = user;
	write_file("mqtt-password", "house");
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
	start();
	wait_until(is_connected);
	path_of(path, sizeof(path), "mqtt-password");
	(void)unlink(path);
}
END_TEST

START_TEST(a_password_file_that_is_missing_is_named)
{
	static char file[] = "/nonexistent/password";

	(void)start_broker("");
	settings.mqtt.password_file = file;
	start();
	wait_until(is_down);
	ck_assert_str_eq(last_why, "cannot read the password from \"/nonexistent/password\": No "
				   "such file or directory");
}
END_TEST

START_TEST(a_refused_message_is_dropped_and_the_next_one_goes)
{
	char more[256];

	write_file("acl", "topic readwrite iotd/t/#\ntopic deny iotd/t/sensor/air\ntopic read #\n");
	(void)snprintf(more, sizeof(more), "acl_file %s/acl\n", directory);
	(void)start_broker(more);
	start();
	publish_readings(0, 5, 1);
	wait_until(is_empty);
	ck_assert_uint_eq(stats.refused, 5);
	ck_assert_uint_eq(readings_seen(), 0);
	(void)await_message("iotd/t/status", "online");
}
END_TEST

START_TEST(the_brokers_receive_maximum_is_respected)
{
	(void)start_broker("max_inflight_messages 2\n");
	start();
	publish_readings(0, READINGS, 1);
	wait_until(is_empty);
	ck_assert_uint_eq(stats.acknowledged, READINGS + 1);
}
END_TEST

/*
 * If our TCP acknowledges late, the last PUBACKs of each burst come 40 ms late: each takes that long, where
 * on a busy machine only some do.
 */
START_TEST(a_broker_with_nagle_is_not_slow)
{
	int64_t before_us;
	int quick = 0;

	(void)start_broker("max_inflight_messages 100\n");
	observer_close();
	start();
	wait_until(is_connected);
	for (int i = 0; i < 50; i++) {
		before_us = clock_boottime_us();
		publish_readings(0, 100, 1);
		wait_until(is_empty);
		quick += clock_boottime_us() - before_us < 35000;
	}
	ck_assert_int_gt(quick, 10);
}
END_TEST

START_TEST(a_name_that_cannot_be_resolved_is_named)
{
	use_broker(0, "no such name", 1883);
	start();
	wait_until(is_down);
	ck_assert_msg(strncmp(last_why, "cannot resolve \"no such name\": ", 31) == 0, "%s",
		      last_why);
}
END_TEST

START_TEST(all_addresses_of_a_name_are_tried)
{
	int port = free_port();

	broker_start(port, "");
	use_broker(0, "two.test", port);
	start();
	wait_until(is_connected);
	ck_assert_int_eq(downs, 0);
}
END_TEST

/* it hangs until we say so: whoever waited for it would do so for ever */
START_TEST(a_resolver_that_hangs_holds_up_nothing)
{
	use_broker(0, "slow.test", 1883);
	start();
	ck_assert(!wait_for(is_down, 100000));
	if (_i == 0) {
		(void)sem_post(&resolver_hangs);
		wait_until(is_down);
		ck_assert_str_eq(
			last_why,
			"cannot resolve \"slow.test\": Temporary failure in name resolution");
	}
	(void)wait_for(NULL, 200000);		/* it hangs, again or still */
	(void)stop_within(3600 * USEC_PER_SEC); /* it does not wait for that either */
	mqtt = mqtt_free(mqtt);
	(void)sem_post(&resolver_hangs); /* so that workers_free() need not wait for it */
}
END_TEST

START_TEST(the_next_broker_of_the_list_is_tried_at_once)
{
	int port = free_port();

	broker_start(port, "");
	use_broker(0, "127.0.0.1", free_port());
	use_broker(1, "127.0.0.1", port);
	settings.mqtt.reconnect_min_us = settings.mqtt.reconnect_max_us = 100 * USEC_PER_SEC;
	start();
	wait_until(is_connected);
}
END_TEST

START_TEST(a_unix_socket_is_a_broker_too)
{
	char path[128];

	broker_start(0, "");
	path_of(path, sizeof(path), "socket");
	use_broker(0, path, 0);
	start();
	publish_readings(0, READINGS, 1);
	wait_until(is_connected);
	wait_until(is_empty);
	ck_assert_int_eq(stop_within(5 * USEC_PER_SEC), 0);
}
END_TEST

/* --- a server that accepts and never answers --------------------------------------------------- */

START_TEST(silence_is_named_after_10_s)
{
	int port, fd = listen_on_loopback(&port);

	use_broker(0, "127.0.0.1", port);
	start();
	wait_until(is_down);
	ck_assert_str_eq(last_why, "no answer in 10 s: something listens there, but says nothing");
	(void)close(fd);
}
END_TEST

START_TEST(a_stop_does_not_wait_for_a_connect_that_hangs)
{
	int port, fd = listen_on_loopback(&port);

	use_broker(0, "127.0.0.1", port);
	start();
	publish_readings(0, 1, 1);
	(void)wait_for(NULL, 20000L * _i); /* before it began, and while it hangs */
	ck_assert_int_eq(stop_within(3600 * USEC_PER_SEC), -ETIMEDOUT); /* it is not waited for */
	mqtt = mqtt_free(mqtt);
	ck_assert_int_eq(workers_free(workers, 20 * USEC_PER_SEC), 0);
	workers = NULL;
	(void)close(fd);
}
END_TEST

static int listening;

static bool is_called(void)
{
	struct pollfd call = { .fd = listening, .events = POLLIN };

	return poll(&call, 1, 0) > 0;
}

START_TEST(a_server_that_hangs_up_is_named)
{
	int port, fd = listen_on_loopback(&port), client;

	listening = fd;
	use_broker(0, "127.0.0.1", port);
	start();
	wait_until(is_called);
	client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	(void)close(client);
	wait_until(is_down);
	ck_assert_str_ne(last_why, "");
	(void)close(fd);
}
END_TEST

/* a socket at @path that is connected to, and says nothing */
static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

/* we are freed, or the broker that we have dies, while the first of the list does not answer */
START_TEST(looking_for_home_can_end_at_any_moment)
{
	char path[108];
	int port = free_port();

	broker_start(port, "");
	path_of(path, sizeof(path), "home");
	use_broker(0, path, 0);
	use_broker(1, "127.0.0.1", port);
	start();
	wait_until(is_connected);
	listening = listen_at(path);
	wait_until(is_called);
	if (_i == 0) {
		broker_stop(SIGKILL);
		wait_until(is_down);
	}
	mqtt = mqtt_free(mqtt);
	(void)wait_for(NULL, 200000);
	(void)close(listening);
}
END_TEST

START_TEST(free_at_any_moment)
{
	(void)start_broker("");
	start();
	(void)wait_for(NULL, 200L * _i);
	publish_readings(0, 100, 1);
	publish_state("iotd/t/input/door", "shut");
	(void)wait_for(NULL, 200);
	mqtt = mqtt_free(mqtt);
	ck_assert_ptr_null(mqtt_free(NULL));
	if (_i % 2)
		(void)wait_for(NULL, 1000);
}
END_TEST

/* the answer is there in the turn in which we stop: its handle must not be lost */
START_TEST(reconnecting_for_long_leaks_nothing)
{
	int port = start_broker("");

	observer_close();
	start();
	for (int i = 0; i < 5; i++) {
		ups = downs = 0;
		wait_until(is_connected);
		broker_stop(SIGKILL);
		wait_until(is_down);
		broker_start(port, "");
	}
	ck_assert_uint_ge(stats.connects, 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mqtt");
	TCase *tests = tcase_create("mqtt");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, readings_arrive_once_and_in_order, 0, 6);
	tcase_add_test(tests, status_is_first_and_retained);
	tcase_add_loop_test(tests, stop_flushes_says_offline_and_leaves_no_will, 0, 2);
	tcase_add_test(tests, the_will_speaks_when_we_vanish);
	tcase_add_loop_test(tests, a_broker_that_comes_late_is_found, 0, 2);
	tcase_add_loop_test(tests, a_broker_that_dies_and_returns_gets_everything_again, 0, 2);
	tcase_add_test(tests, a_polite_broker_says_why_it_goes);
	tcase_add_test(tests, a_stopped_broker_costs_the_deadline_and_not_more);
	tcase_add_test(tests, a_stopped_broker_is_found_out_by_the_keepalive);
	tcase_add_test(tests, an_idle_connection_is_kept_alive);
	tcase_add_test(tests, qos_0_waits_for_a_slow_broker_in_our_queue_and_not_in_the_librarys);
	tcase_add_loop_test(tests, commands_are_answered, 0, 2);
	tcase_add_loop_test(tests, retained_commands_are_ignored, 0, 2);
	tcase_add_test(tests, commands_can_be_switched_off);
	tcase_add_loop_test(tests, a_wrong_password_is_named_and_a_right_one_is_read_from_its_file,
			    0, 2);
	tcase_add_test(tests, a_credential_of_systemd_is_a_password);
	tcase_add_test(tests, a_password_file_that_is_missing_is_named);
	tcase_add_test(tests, a_refused_message_is_dropped_and_the_next_one_goes);
	tcase_add_test(tests, the_brokers_receive_maximum_is_respected);
	tcase_add_test(tests, a_broker_with_nagle_is_not_slow);
	tcase_add_test(tests, a_name_that_cannot_be_resolved_is_named);
	tcase_add_test(tests, all_addresses_of_a_name_are_tried);
	tcase_add_loop_test(tests, a_resolver_that_hangs_holds_up_nothing, 0, 2);
	tcase_add_test(tests, the_next_broker_of_the_list_is_tried_at_once);
	tcase_add_test(tests, a_unix_socket_is_a_broker_too);
	tcase_add_test(tests, silence_is_named_after_10_s);
	tcase_add_loop_test(tests, a_stop_does_not_wait_for_a_connect_that_hangs, 0, 3);
	tcase_add_test(tests, a_server_that_hangs_up_is_named);
	tcase_add_loop_test(tests, looking_for_home_can_end_at_any_moment, 0, 2);
	tcase_add_loop_test(tests, free_at_any_moment, 0, 16);
	tcase_add_test(tests, reconnecting_for_long_leaks_nothing);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
