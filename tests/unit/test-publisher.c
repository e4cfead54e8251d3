/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The publisher on a wire that only takes notes: what leaves, in which order, how much at a time,
 * and what happens when it is refused or the connection goes. On the virtual clock.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/task.h"
#include "mqtt/publisher.h"
#include "mqtt/states.h"

#define SENT_MAX 200000

/* --- a wire that takes notes ---------------------------------------------------------------- */

struct sent {
	char topic[48], payload[48];
	int mid, qos;
	bool retain;
	size_t correlation_length;
	uint32_t expiry_s;
	const char *content_type;
	const struct wire_properties *extra;
};

static struct {
	struct wire wire;
	struct sent *sent;
	size_t count;
	int bursts;
	bool full, dead;
	size_t full_after;	/* it is full when it took so many; 0: never */
	const char *unsendable; /* a topic */
} line;

static int line_publish(struct wire *wire, const struct wire_message *message, int *ret_mid)
{
	struct sent *sent = &line.sent[line.count];

	ck_assert_ptr_eq(wire, &line.wire);
	if (line.dead)
		return -ENOTCONN;
	if (line.unsendable && strcmp(message->topic, line.unsendable) == 0)
		return -EINVAL;
	ck_assert_uint_lt(line.count, SENT_MAX);
	(void)snprintf(sent->topic, sizeof(sent->topic), "%s", message->topic);
	(void)snprintf(sent->payload, sizeof(sent->payload), "%.*s", (int)message->length,
		       message->length > 0 ? (const char *)message->payload : "");
	sent->qos = message->qos;
	sent->retain = message->retain;
	sent->correlation_length = message->correlation_length;
	sent->expiry_s = message->expiry_s;
	sent->content_type = message->content_type;
	sent->extra = message->extra;
	sent->mid = *ret_mid = (int)(line.count++ % 65535) + 1;
	if (line.full_after > 0 && line.count >= line.full_after)
		line.full = true;
	return 0;
}

static bool line_is_full(struct wire *wire)
{
	(void)wire;
	return line.full;
}

static void line_end(struct wire *wire)
{
	(void)wire;
	line.bursts++;
}

/* --- tools ---------------------------------------------------------------------------------- */

static struct reactor *reactor;
static struct publisher *publisher;
static struct publisher_events events;
static struct spool *spool;
static struct labels *labels;
static struct stats stats;
static int idle_calls;
static const struct wire_limits no_limits = { WIRE_WINDOW, 2, true };

static void count_idle(struct publisher_events *e)
{
	ck_assert_ptr_eq(e, &events);
	ck_assert(publisher_is_idle(publisher));
	idle_calls++;
}

static void setup(void)
{
	static const struct spool_settings settings = { .path = NULL, .max_size = 64 << 20 };
	struct spool_parts spool_parts = { .settings = &settings, .stats = &stats };
	struct publisher_parts parts = { .wire = &line.wire, .stats = &stats, .events = &events };

	memset(&line, 0, sizeof(line));
	line.wire = (struct wire){ line_publish, line_is_full, line_end };
	line.sent = calloc(SENT_MAX, sizeof(*line.sent));
	ck_assert_ptr_nonnull(line.sent);
	stats = (struct stats){ 0 };
	events.idle = count_idle;
	idle_calls = 0;
	ck_assert_int_eq(reactor_new_virtual(&reactor, 0), 0);
	spool_parts.reactor = reactor;
	ck_assert_int_eq(spool_new(&spool, &spool_parts), 0);
	parts.reactor = reactor;
	parts.spool = spool;
	ck_assert_int_eq(labels_new(&labels, "test"), 0);
	parts.labels = labels;
	ck_assert_int_eq(publisher_new(&publisher, &parts), 0);
}

static void teardown(void)
{
	publisher = publisher_free(publisher);
	labels = labels_free(labels);
	spool = spool_free(spool);
	reactor = reactor_free(reactor);
	free(line.sent);
	ck_assert_uint_eq(stats.queued, 0);
}

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

/* let the reactor turn for @us */
static void turn(int64_t us)
{
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, wait_step, &us, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static struct message *text_message(const char *topic, const char *text, uint8_t qos)
{
	struct message *message;

	ck_assert_int_eq(message_new(&message, topic, text, strlen(text)), 0);
	message->qos = qos;
	return message;
}

static void push(const char *text, uint8_t qos)
{
	publisher_push(publisher, text_message("r", text, qos));
}

static void push_numbers(int first, int count, uint8_t qos)
{
	char text[16];

	for (int i = first; i < first + count; i++) {
		(void)snprintf(text, sizeof(text), "%d", i);
		push(text, qos);
	}
}

static void set_state(const char *topic, const char *text)
{
	struct message *message = text_message(topic, text, 1);

	message->retain = true;
	ck_assert_int_eq(publisher_set_state(publisher, message), 0);
}

static void send_reply(const char *text)
{
	struct reply *reply;

	ck_assert_int_eq(reply_new(&reply, "reply", text, "c1", 2), 0);
	(void)publisher_reply(publisher, reply);
}

static void acknowledge(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		publisher_acknowledged(publisher, line.sent[i].mid, 0, "");
}

static void assert_sent(size_t i, const char *topic, const char *payload)
{
	ck_assert_uint_lt(i, line.count);
	ck_assert_str_eq(line.sent[i].topic, topic);
	ck_assert_str_eq(line.sent[i].payload, payload);
}

/* --- tests ---------------------------------------------------------------------------------- */

START_TEST(nothing_leaves_while_disconnected)
{
	push("a", 1);
	set_state("s", "on");
	send_reply("x");
	turn(1000);
	ck_assert_uint_eq(line.count, 0);
	ck_assert_uint_eq(stats.queued, 1);
	ck_assert_int_eq(idle_calls, 0);
}
END_TEST

START_TEST(what_falls_due_together_is_one_burst)
{
	publisher_up(publisher, &no_limits);
	turn(1);
	line.bursts = 0;
	push_numbers(0, 10, 1);
	ck_assert_uint_eq(line.count, 0); /* not within the call */
	turn(1);
	ck_assert_int_eq(line.bursts, 1);
	ck_assert_uint_eq(line.count, 10);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(strtol(line.sent[i].payload, NULL, 10), i);
}
END_TEST

/* of the 64 that may be in flight 4 are not for readings */
START_TEST(at_most_60_readings_are_in_flight)
{
	push_numbers(0, 200, 1);
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 60);
	ck_assert_uint_eq(stats.in_flight, 60);
	acknowledge(10, 20); /* in any order */
	turn(1);
	ck_assert_uint_eq(line.count, 70);
	acknowledge(0, 10);
	acknowledge(20, 70);
	turn(1);
	ck_assert_uint_eq(line.count, 130);
	acknowledge(70, 130);
	turn(1);
	ck_assert_uint_eq(line.count, 190);
	ck_assert_int_eq(idle_calls, 0);
	acknowledge(130, 190);
	turn(1);
	acknowledge(190, 200);
	turn(1);
	ck_assert_uint_eq(stats.queued, 0);
	ck_assert_uint_eq(stats.acknowledged, 200);
	ck_assert_uint_eq(stats.published, 200);
	ck_assert_int_ge(idle_calls, 1);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(strtol(line.sent[i].payload, NULL, 10), i);
}
END_TEST

/* a broker that acknowledges nothing still gets replies and states, 64 messages in all */
START_TEST(readings_leave_room_for_replies_and_states)
{
	push_numbers(0, 200, 1);
	publisher_up(publisher, &no_limits);
	turn(1);
	set_state("s", "on");
	turn(1);
	for (int i = 0; i < 10; i++)
		send_reply("x");
	turn(1);
	ck_assert_uint_eq(line.count, 64);
	assert_sent(60, "s", "on");
	for (size_t i = 61; i < 64; i++)
		assert_sent(i, "reply", "x");
}
END_TEST

/* also if the broker takes only a few at a time; of a single place all have their turn */
START_TEST(readings_leave_a_place_of_a_small_window)
{
	const struct wire_limits limits = { .window = (size_t)_i, .qos = 1, .retain = true };
	const size_t readings = _i == 1 ? 1 : (size_t)_i - 1;

	push_numbers(0, 200, 1);
	publisher_up(publisher, &limits);
	turn(1);
	ck_assert_uint_eq(line.count, readings);
	set_state("s", "on");
	turn(1);
	ck_assert_uint_eq(line.count, limits.window);
	if (limits.window > 1)
		assert_sent(readings, "s", "on");
}
END_TEST

START_TEST(the_brokers_limits_are_respected)
{
	const struct wire_limits limits = { .window = 3, .qos = 1, .retain = false };

	push_numbers(0, 5, 2);
	set_state("s", "on");
	set_state("t", "on"); /* in the place that is not for readings */
	publisher_up(publisher, &limits);
	turn(1);
	ck_assert_uint_eq(line.count, 3);
	assert_sent(0, "s", "on");
	ck_assert(!line.sent[0].retain);
	ck_assert_int_eq(line.sent[1].qos, 1);
}
END_TEST

START_TEST(a_full_socket_stops_the_burst)
{
	publisher_up(publisher, &no_limits);
	line.full_after = 5;
	push_numbers(0, 20, 0);
	turn(1);
	ck_assert_uint_eq(line.count, 5);
	turn(1000000);
	ck_assert_uint_eq(line.count, 5);
	line.full_after = 0;
	line.full = false;
	publisher_writable(publisher);
	turn(1);
	ck_assert_uint_eq(line.count, 20);
}
END_TEST

START_TEST(a_new_connection_says_status_first_then_all_again_in_order)
{
	set_state("status", "online");
	push("old", 1);
	set_state("in", "1");
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 3);
	assert_sent(0, "status", "online");
	acknowledge(0, 2); /* one of these is the reading */
	publisher_down(publisher);
	set_state("in", "2");
	set_state("in", "3"); /* only the latest counts */
	turn(1);
	ck_assert_uint_eq(line.count, 3);
	line.count = 0;
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 2);
	assert_sent(0, "status", "online");
	assert_sent(1, "in", "3");
	ck_assert(line.sent[1].retain);
}
END_TEST

START_TEST(readings_in_flight_come_again_before_newer_ones)
{
	push_numbers(0, 3, 1);
	publisher_up(publisher, &no_limits);
	turn(1);
	acknowledge(1, 2);
	publisher_down(publisher);
	push_numbers(3, 1, 1);
	line.count = 0;
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 3);
	assert_sent(0, "r", "0");
	assert_sent(1, "r", "2");
	assert_sent(2, "r", "3");
	acknowledge(0, 3);
	ck_assert_uint_eq(stats.acknowledged, 4);
}
END_TEST

/* to a thirty-second: see iotd/histogram.h */
START_TEST(latency_is_from_the_hand_over_to_the_acknowledgement)
{
	publisher_up(publisher, &no_limits);
	turn(1);
	push("a", 1);
	push("b", 2);
	turn(1);
	turn(5000);
	acknowledge(0, 1);
	ck_assert_uint_eq(stats.ack.count, 1);
	ck_assert_int_ge(histogram_quantile(&stats.ack, 1000), 4850);
	ck_assert_int_le(histogram_quantile(&stats.ack, 1000), 5150);
	turn(95000);
	publisher_acknowledged(publisher, line.sent[1].mid, 0x97,
			       ""); /* a broker that says no, too */
	ck_assert_uint_eq(stats.ack.count, 2);
	ck_assert_int_ge(histogram_quantile(&stats.ack, 1000), 97000);
	ck_assert_int_le(histogram_quantile(&stats.ack, 500), 5150);
}
END_TEST

START_TEST(at_qos_0_nobody_answers_so_there_is_no_latency)
{
	publisher_up(publisher, &no_limits);
	turn(1);
	push("a", 0);
	turn(5000);
	acknowledge(0, 1);
	ck_assert_uint_eq(stats.acknowledged, 1);
	ck_assert_uint_eq(stats.ack.count, 0);
}
END_TEST

START_TEST(an_old_acknowledgement_means_nothing)
{
	push("a", 1);
	publisher_up(publisher, &no_limits);
	turn(1);
	publisher_acknowledged(publisher, 4711, 0, "");
	publisher_down(publisher);
	publisher_acknowledged(publisher, line.sent[0].mid, 0, "");
	ck_assert_uint_eq(stats.queued, 1);
	ck_assert_uint_eq(stats.acknowledged, 0);
}
END_TEST

START_TEST(a_state_that_changes_in_flight_is_sent_once_more)
{
	publisher_up(publisher, &no_limits);
	set_state("s", "1");
	turn(1);
	set_state("s", "2");
	set_state("s", "3");
	turn(1);
	ck_assert_uint_eq(line.count,
			  1); /* one at a time a topic: they must not overtake each other */
	acknowledge(0, 1);
	turn(1);
	ck_assert_uint_eq(line.count, 2);
	assert_sent(1, "s", "3");
	acknowledge(1, 2);
	turn(1);
	ck_assert_uint_eq(line.count, 2);
	ck_assert(publisher_is_idle(publisher));
}
END_TEST

/* T/status: its `offline` is not to wait behind all that is cleared at the end */
START_TEST(the_first_topic_of_all_overtakes_the_others)
{
	const struct wire_limits limits = { .window = 4, .qos = 1, .retain = true };
	char topic[16];

	set_state("status", "online");
	publisher_up(publisher, &limits);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(topic, sizeof(topic), "s%d", i);
		set_state(topic, "on");
	}
	turn(1);
	ck_assert_uint_eq(line.count, 4);
	ck_assert(publisher_has_sent_state(publisher, "status"));
	ck_assert(!publisher_has_sent_state(publisher, "s10"));
	ck_assert(!publisher_has_sent_state(publisher, "nothing"));
	set_state("status", "offline"); /* `online` is in flight */
	turn(1);
	ck_assert_uint_eq(line.count, 4);
	ck_assert(!publisher_has_sent_state(publisher, "status"));
	acknowledge(0, 1);
	turn(1);
	assert_sent(4, "status", "offline");
	ck_assert(publisher_has_sent_state(publisher, "status"));
	acknowledge(1, 5);
	set_state("status", "gone"); /* nothing of it is in flight */
	ck_assert(!publisher_has_sent_state(publisher, "status"));
	turn(1);
	assert_sent(5, "status", "gone");
	assert_sent(6, "s3", "on");
	publisher_down(publisher);
	ck_assert(!publisher_has_sent_state(publisher, "status"));
}
END_TEST

START_TEST(a_forgotten_state_is_not_sent_again)
{
	set_state("a", "1");
	set_state("b", "1");
	set_state("c", "1");
	publisher_forget_state(publisher, "a", false); /* waits */
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 2);
	publisher_forget_state(publisher, "b", false); /* in flight */
	publisher_forget_state(publisher, "nothing", true);
	publisher_down(publisher);
	line.count = 0;
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 1);
	assert_sent(0, "c", "1");
	acknowledge(0, 1);
	publisher_forget_state(publisher, "c", false); /* at rest */
	set_state("a", "2");
	turn(1);
	assert_sent(1, "a", "2");
}
END_TEST

START_TEST(clearing_sends_one_empty_retained_message)
{
	publisher_up(publisher, &no_limits);
	set_state("s", "1");
	turn(1);
	publisher_forget_state(publisher, "s", true); /* while it is in flight */
	acknowledge(0, 1);
	turn(1);
	ck_assert_uint_eq(line.count, 2);
	assert_sent(1, "s", "");
	ck_assert(line.sent[1].retain);
	publisher_down(publisher); /* not acknowledged: must be said again */
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 3);
	assert_sent(2, "s", "");
	acknowledge(2, 3);
	publisher_down(publisher);
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 3);
}
END_TEST

START_TEST(a_cleared_state_may_come_back)
{
	publisher_up(publisher, &no_limits);
	set_state("s", "1");
	publisher_forget_state(publisher, "s", true);
	set_state("s", "2");
	turn(1);
	assert_sent(0, "s", "2");
	acknowledge(0, 1);
	publisher_down(publisher);
	publisher_up(publisher, &no_limits);
	turn(1);
	assert_sent(1, "s", "2");
}
END_TEST

START_TEST(a_refusal_is_counted_and_dropped)
{
	publisher_up(publisher, &no_limits);
	push_numbers(0, 3, 1);
	set_state("s", "1");
	turn(1);
	publisher_acknowledged(publisher, line.sent[0].mid, 0x87, ": \"no\"");
	publisher_acknowledged(publisher, line.sent[1].mid, 0x87, "");
	/* nobody listens: not an error */
	publisher_acknowledged(publisher, line.sent[2].mid, 0x10, "");
	turn(1);
	ck_assert_uint_eq(line.count, 4);
	ck_assert_uint_eq(stats.refused, 2);
	ck_assert_uint_eq(stats.acknowledged, 1);
	ck_assert_uint_eq(stats.queued, 1);
}
END_TEST

START_TEST(what_can_never_be_sent_is_dropped)
{
	line.unsendable = "bad";
	publisher_push(publisher, text_message("bad", "1", 1));
	push("good", 1);
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 1);
	assert_sent(0, "r", "good");
	ck_assert_uint_eq(stats.refused, 1);
	ck_assert_uint_eq(stats.queued, 1);
}
END_TEST

START_TEST(many_that_can_never_be_sent_do_not_take_one_long_turn)
{
	line.unsendable = "bad";
	for (int i = 0; i < 1000; i++)
		publisher_push(publisher, text_message("bad", "1", 1));
	push("good", 1);
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_int_ge(line.bursts, 1000 / 64);
	ck_assert_uint_eq(stats.refused, 1000);
	ck_assert_uint_eq(line.count, 1);
}
END_TEST

START_TEST(nothing_is_lost_when_the_wire_dies_in_a_burst)
{
	push_numbers(0, 3, 1);
	set_state("s", "1");
	publisher_up(publisher, &no_limits);
	line.dead = true;
	turn(1);
	publisher_down(publisher);
	line.dead = false;
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 4);
	assert_sent(0, "s", "1");
	assert_sent(1, "r", "0");
	ck_assert_uint_eq(stats.published, 4);
}
END_TEST

/* whatever floods, each of the three kinds gets every third place */
START_TEST(the_three_kinds_take_turns)
{
	size_t replies = 0, states = 0, readings = 0;
	char topic[16];

	publisher_up(publisher, &no_limits);
	turn(1);
	for (int i = 0; i < 100; i++) {
		send_reply("x");
		(void)snprintf(topic, sizeof(topic), "s%d", i);
		set_state(topic, "1");
	}
	push_numbers(0, 100, 1);
	turn(1);
	ck_assert_uint_eq(line.count, 64);
	for (size_t i = 0; i < line.count; i++) {
		replies += strcmp(line.sent[i].topic, "reply") == 0;
		states += line.sent[i].topic[0] == 's';
		readings += strcmp(line.sent[i].topic, "r") == 0;
	}
	ck_assert_uint_ge(replies, 21);
	ck_assert_uint_ge(states, 21);
	ck_assert_uint_ge(readings, 20); /* the last places are not for readings */
}
END_TEST

START_TEST(replies_are_bounded_and_die_with_the_connection)
{
	struct reply *reply;
	int r = 0;

	publisher_up(publisher, &no_limits);
	turn(1);
	for (int i = 0; i < 1000 && r == 0; i++) {
		ck_assert_int_eq(reply_new(&reply, "reply", "x", NULL, 0), 0);
		r = publisher_reply(publisher, reply);
	}
	ck_assert_int_eq(r, -ENOBUFS);
	ck_assert_uint_eq(stats.refused, 1);
	publisher_down(publisher);
	ck_assert_int_eq(reply_new(&reply, "reply", "x", NULL, 0), 0);
	ck_assert_int_eq(publisher_reply(publisher, reply), -ENOTCONN);
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 0);
}
END_TEST

START_TEST(a_reply_has_its_correlation_data)
{
	publisher_up(publisher, &no_limits);
	turn(1);
	send_reply("{}");
	turn(1);
	assert_sent(0, "reply", "{}");
	ck_assert_int_eq(line.sent[0].qos, 1);
	ck_assert(!line.sent[0].retain);
	ck_assert_uint_eq(line.sent[0].correlation_length, 2);
	ck_assert_str_eq(line.sent[0].content_type, "application/json");
}
END_TEST

static void push_until(const char *text, int64_t expires_us)
{
	struct message *message = text_message("r", text, 1);

	message->expires_us = expires_us;
	publisher_push(publisher, message);
}

/* MQTT counts in seconds: rounded up, and never 0, which is none to some brokers */
START_TEST(what_is_left_of_the_expiry_is_sent)
{
	int64_t now_us = reactor_now(reactor);

	push_until("gone", now_us + USEC_PER_SEC);
	push_until("1", now_us + 2 * USEC_PER_SEC + 1);
	push_until("2", now_us + 3 * USEC_PER_SEC);
	push_until("3", now_us + 3 * USEC_PER_SEC + 1);
	push_until("never", 0);
	push_until("far", INT64_MAX);
	set_state("s", "on");
	turn(2 * USEC_PER_SEC);
	publisher_up(publisher, &no_limits);
	turn(0);
	ck_assert_uint_eq(line.count, 6);
	assert_sent(0, "s", "on");
	ck_assert_uint_eq(line.sent[0].expiry_s, 0);
	assert_sent(1, "r", "1");
	ck_assert_uint_eq(line.sent[1].expiry_s, 1);
	assert_sent(2, "r", "2");
	ck_assert_uint_eq(line.sent[2].expiry_s, 1);
	assert_sent(3, "r", "3");
	ck_assert_uint_eq(line.sent[3].expiry_s, 2);
	ck_assert_uint_eq(line.sent[4].expiry_s, 0);
	ck_assert_uint_eq(line.sent[5].expiry_s, UINT32_MAX);
	ck_assert_uint_eq(stats.expired, 1);
	ck_assert_uint_eq(stats.published, 6);
}
END_TEST

START_TEST(readings_carry_the_properties_of_their_topic)
{
	static const struct channel channel = { "t", "K", 0 };
	const struct reading reading = { "r", 0, 1, { { &channel, 1 } } };

	labels_note(labels, "r", false, &reading);
	push("1", 1);
	publisher_push(publisher, text_message("q", "2", 1));
	set_state("r", "on");
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 3);
	ck_assert_ptr_null(line.sent[0].extra); /* a state */
	assert_sent(1, "r", "1");
	ck_assert_ptr_nonnull(line.sent[1].extra);
	ck_assert_ptr_eq(line.sent[1].extra, labels_find(labels, "r"));
	ck_assert_ptr_null(line.sent[2].extra);
}
END_TEST

START_TEST(held_readings_stay_and_do_not_count_as_busy)
{
	push("a", 1);
	publisher_hold_readings(publisher);
	set_state("status", "offline");
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 1);
	assert_sent(0, "status", "offline");
	ck_assert(!publisher_is_idle(publisher));
	acknowledge(0, 1);
	turn(1);
	ck_assert_int_eq(idle_calls, 1);
	ck_assert_uint_eq(stats.queued, 1);
}
END_TEST

START_TEST(a_hundred_thousand_states_are_not_quadratic)
{
	char topic[32];
	size_t done = 0;

	for (int i = 0; i < 100000; i++) {
		(void)snprintf(topic, sizeof(topic), "iotd/x/input/line-%d", i);
		set_state(topic, "off");
	}
	for (int i = 99999; i >= 0; i -= 2) {
		(void)snprintf(topic, sizeof(topic), "iotd/x/input/line-%d", i);
		set_state(topic, "on");
	}
	publisher_up(publisher, &no_limits);
	while (done < 100000) {
		turn(1);
		ck_assert_uint_gt(line.count, done);
		acknowledge(done, line.count);
		done = line.count;
	}
	assert_sent(99999, "iotd/x/input/line-99999", "on");
	assert_sent(99998, "iotd/x/input/line-99998", "off");
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(topic, sizeof(topic), "iotd/x/input/line-%d", i);
		publisher_forget_state(publisher, topic, false);
	}
	publisher_down(publisher);
	publisher_up(publisher, &no_limits);
	turn(1);
	ck_assert_uint_eq(line.count, 100000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("publisher");
	TCase *tests = tcase_create("publisher");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, nothing_leaves_while_disconnected);
	tcase_add_test(tests, what_falls_due_together_is_one_burst);
	tcase_add_test(tests, at_most_60_readings_are_in_flight);
	tcase_add_test(tests, readings_leave_room_for_replies_and_states);
	tcase_add_loop_test(tests, readings_leave_a_place_of_a_small_window, 1, 17);
	tcase_add_test(tests, the_brokers_limits_are_respected);
	tcase_add_test(tests, a_full_socket_stops_the_burst);
	tcase_add_test(tests, a_new_connection_says_status_first_then_all_again_in_order);
	tcase_add_test(tests, readings_in_flight_come_again_before_newer_ones);
	tcase_add_test(tests, an_old_acknowledgement_means_nothing);
	tcase_add_test(tests, a_state_that_changes_in_flight_is_sent_once_more);
	tcase_add_test(tests, the_first_topic_of_all_overtakes_the_others);
	tcase_add_test(tests, a_forgotten_state_is_not_sent_again);
	tcase_add_test(tests, clearing_sends_one_empty_retained_message);
	tcase_add_test(tests, a_cleared_state_may_come_back);
	tcase_add_test(tests, a_refusal_is_counted_and_dropped);
	tcase_add_test(tests, what_can_never_be_sent_is_dropped);
	tcase_add_test(tests, many_that_can_never_be_sent_do_not_take_one_long_turn);
	tcase_add_test(tests, nothing_is_lost_when_the_wire_dies_in_a_burst);
	tcase_add_test(tests, the_three_kinds_take_turns);
	tcase_add_test(tests, latency_is_from_the_hand_over_to_the_acknowledgement);
	tcase_add_test(tests, at_qos_0_nobody_answers_so_there_is_no_latency);
	tcase_add_test(tests, replies_are_bounded_and_die_with_the_connection);
	tcase_add_test(tests, a_reply_has_its_correlation_data);
	tcase_add_test(tests, what_is_left_of_the_expiry_is_sent);
	tcase_add_test(tests, readings_carry_the_properties_of_their_topic);
	tcase_add_test(tests, held_readings_stay_and_do_not_count_as_busy);
	tcase_add_test(tests, a_hundred_thousand_states_are_not_quadratic);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
