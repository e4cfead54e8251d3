/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens, and when: one timer that goes off at random, and each time picks one of a list.
 *
 * The last life has a calm at its end: nothing fails any more, so all that was kept back must
 * arrive, and all that is shown must be what is.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "days.h"
#include "iotd/spool.h"
#include "iotd/task.h"

#define CALM_US	   (25 * USEC_PER_SEC) /* lines are tried again after 10 s, sensors too */
#define DRAINED_US (60 * USEC_PER_SEC) /* with CALM_US: by then all has arrived */
#define LOOK_US	   (100 * USEC_PER_MSEC + 7)

static struct {
	struct reactor_timer mischief, life_over, disk_back, chip_back[CHIPS], look;
	struct future killed;
	bool is_killed, is_last;
	int64_t calm_us;
	int id; /* of the next command */
	int variant;
} faults;

static int64_t draw_us(int64_t most_us)
{
	return dice_between(&world.dice, 1, most_us);
}

static void set_timer(struct reactor_timer *timer, int64_t wait_us)
{
	if (reactor_set_timer(world.reactor, timer, days_now() + wait_us) < 0)
		days_fail("out of memory");
}

/* --- commands ------------------------------------------------------------------------------- */

static bool is_listening(void)
{
	return broker_is_up() && !world.is_stopping && !world.daemon->reload.is_switching;
}

static void send(const char *text)
{
	(void)broker_send(TOPIC "/command", text, false);
}

static void command_output(void)
{
	static const char *const kinds[] = { "set", "set", "toggle", "pulse", "topic" };
	int output = (int)dice_between(&world.dice, 0, OUTPUTS - 1), id = ++faults.id;
	const char *kind = kinds[dice_between(&world.dice, 0, 4)], *name = output_names[output];
	bool on = dice_chance(&world.dice, 500), is_topic = strcmp(kind, "topic") == 0, ok;
	int64_t for_ms = dice_chance(&world.dice, 500) ? draw_us(8000) : 0;
	char text[256], with[64] = "", topic[64];

	if (for_ms > 0)
		(void)snprintf(with, sizeof(with), ",\"for\":\"%lldms\"", (long long)for_ms);
	if (strcmp(kind, "toggle") == 0) {
		on = !outputs_is_on(output);
		for_ms = 0;
		(void)snprintf(text, sizeof(text),
			       "{\"command\":\"toggle\",\"name\":\"%s\",\"id\":%d}", name, id);
	} else if (strcmp(kind, "pulse") == 0) {
		on = true;
		for_ms = draw_us(8000);
		(void)snprintf(
			text, sizeof(text),
			"{\"command\":\"pulse\",\"name\":\"%s\",\"for\":\"%lldms\",\"id\":%d}",
			name, (long long)for_ms, id);
	} else if (is_topic) {
		(void)snprintf(text, sizeof(text), "{\"state\":\"%s\"%s}", on ? "on" : "off", with);
	} else {
		(void)snprintf(text, sizeof(text),
			       "{\"command\":\"set\",\"name\":\"%s\",\"state\":%s%s,\"id\":%d}",
			       name, on ? "true" : "0", with, id);
	}
	(void)snprintf(topic, sizeof(topic), TOPIC "/output/%s/set", name);
	if (!broker_send(is_topic ? topic : TOPIC "/command", text, false))
		return;
	ok = outputs_set(output, on, for_ms * USEC_PER_MSEC);
	if (!is_topic && !(ok && output == OUTPUT_FAILING))
		broker_expect_reply(id, ok);
}

static void command_read(void)
{
	int sensor = (int)dice_between(&world.dice, 0, SENSORS - 1);
	char text[128];

	hardware_asked(sensor);
	(void)snprintf(text, sizeof(text), "{\"command\":\"read\",\"name\":\"s%d\",\"id\":%d}",
		       sensor, ++faults.id);
	send(text);
}

static void command_interval(void)
{
	int sensor = (int)dice_between(&world.dice, 0, SENSORS - 1);
	int64_t interval_ms = dice_between(&world.dice, world.hours > 0 ? 1000 : 20, 4000);
	char text[128];

	if (faults.variant & 1 && sensor == SENSOR_FREED)
		return;
	hardware_interval(sensor, interval_ms * USEC_PER_MSEC);
	(void)snprintf(text, sizeof(text),
		       "{\"command\":\"interval\",\"name\":\"s%d\",\"interval\":\"%lldms\"}",
		       sensor, (long long)interval_ms);
	send(text);
}

static void command_hostile(void)
{
	static const char *const texts[] = {
		"",
		"{",
		"on",
		"{\"command\":\"set\",\"name\":\"pump\",\"state\":\"on\",\"x\":1}",
		"{\"command\":\"set\",\"name\":\"pump\",\"state\":\"maybe\"}",
		"{\"command\":\"set\",\"name\":\"pump\",\"state\":\"on\",\"for\":\"-5s\"}",
		"{\"command\":\"set\",\"name\":\"s0\",\"state\":\"on\"}",
		"{\"command\":\"count\",\"name\":\"door\",\"total\":1}",
		"{\"command\":\"interval\",\"name\":\"s0\",\"interval\":\"0s\"}",
		"{\"command\":\"pulse\",\"name\":\"pump\"}",
	};
	static const char topic[] = TOPIC "/output/lamp/set";

	if (dice_chance(&world.dice, 200))
		(void)broker_send(topic, outputs_is_on(2) ? "off" : "on", true); /* retained */
	else if (dice_chance(&world.dice, 200))
		(void)broker_send(topic, "{\"state\":\"on\",\"state\":\"off\"}", false);
	else
		send(texts[dice_between(&world.dice, 0, ARRAY_SIZE(texts) - 1)]);
}

/* --- the rest ------------------------------------------------------------------------------- */

static void lose_chip(void)
{
	int chip = (int)dice_between(&world.dice, 0, CHIPS - 1);

	hardware_chip(chip, false);
	set_timer(&faults.chip_back[chip], draw_us(15 * USEC_PER_SEC));
}

static void chip_is_back(struct reactor_timer *timer)
{
	days_step();
	hardware_chip((int)(timer - faults.chip_back), true);
}

static void fail_disk(void)
{
	static const int errors[] = { -ENOSPC, -EROFS, -EIO, -EACCES, -EBUSY };

	atomic_store(&world.disk_error, errors[dice_between(&world.dice, 0, 4)]);
	days_trace("the disk fails");
	set_timer(&faults.disk_back, draw_us(20 * USEC_PER_SEC));
}

static void disk_is_back(struct reactor_timer *timer)
{
	(void)timer;
	days_step();
	days_trace("the disk works");
	atomic_store(&world.disk_error, 0);
}

static void break_connection(void)
{
	broker_break(dice_chance(&world.dice, 500) ? 0 : draw_us(world.distance_us * 20));
}

static void reload(bool is_good)
{
	if (is_good)
		faults.variant = (int)dice_between(&world.dice, 0, 3);
	days_write_config(is_good ? faults.variant : -1);
	days_trace("reload %d", is_good ? faults.variant : -1);
	(void)raise(SIGHUP);
}

static void step_clock(void)
{
	atomic_fetch_add(&world.real_offset_us,
			 dice_between(&world.dice, -86400, 86400) * USEC_PER_SEC);
}

static void do_mischief(void)
{
	int64_t what = dice_between(&world.dice, 0, 999);

	if (what < 590) {
		if (!is_listening())
			return;
		if (what < 400)
			command_output();
		else if (what < 480)
			command_read();
		else if (what < 520)
			command_interval();
		else
			command_hostile();
	} else if (what < 700) {
		hardware_edge();
	} else if (what < 740) {
		lose_chip();
	} else if (what < 840) {
		break_connection();
	} else if (what < 890) {
		broker_break_at((int)dice_between(&world.dice, 1, 200));
	} else if (what < 920) {
		if (world.has_file)
			fail_disk();
	} else if (what < 950) {
		reload(true);
	} else if (what < 970) {
		reload(false);
	} else {
		step_clock();
	}
}

static void check_state(const char *kind, const char *name, bool on)
{
	const char *word = on ? "on" : "off", *payload;
	char topic[64], quoted[16];

	(void)snprintf(topic, sizeof(topic), TOPIC "/%s/%s", kind, name);
	(void)snprintf(quoted, sizeof(quoted), "\"%s\"}", word);
	payload = broker_retained(topic);
	if (world.is_value_format ? strcmp(payload, word) != 0 : !strstr(payload, quoted))
		days_fail("%s is %s, and the broker says \"%s\"", topic, word, payload);
}

/* what was told to a broker that is well is what is */
static void check_told(void)
{
	for (int i = 0; i < OUTPUTS; i++)
		if (broker_is_well() && is_listening() && outputs_is_held(i) &&
		    hardware_line_age(i) > SETTLE_US)
			check_state("output", output_names[i], hardware_line_level(i));
}

static void mischief_due(struct reactor_timer *timer)
{
	days_step();
	if (world.is_calm || world.is_stopping)
		return;
	check_told();
	do_mischief();
	set_timer(timer, draw_us(2 * world.distance_us));
}

/* --- the end -------------------------------------------------------------------------------- */

static void be_calm(void)
{
	days_trace("calm");
	world.is_calm = true;
	faults.calm_us = days_now();
	atomic_store(&world.disk_error, 0);
	for (int i = 0; i < CHIPS; i++)
		hardware_chip(i, true);
	broker_break_at(0);
	days_write_config(faults.variant);
	if (!broker_is_well())
		broker_break(0);
	set_timer(&faults.look, LOOK_US);
}

static void stop(void)
{
	world.is_stopping = true;
	for (int i = 0; i < SENSORS; i++)
		readings_excuse(i); /* what is just being read goes no further */
	outputs_exit();
	(void)raise(SIGTERM);
}

static void check_shown(void)
{
	for (int i = 0; i < OUTPUTS; i++) {
		if (!outputs_is_held(i))
			days_fail("%s is still offline", output_names[i]);
		check_state("output", output_names[i], hardware_line_level(i));
	}
	check_state("input", "door", hardware_input_level());
	if (strcmp(broker_retained(TOPIC "/status"), "online") != 0)
		days_fail("status is %s", broker_retained(TOPIC "/status"));
	for (int i = 0; i < SENSORS; i++) {
		const char *word = "online";
		char topic[64];

		if (i == SENSOR_FREED && (faults.variant & 1))
			continue; /* the broker may have been away when it was to be told */
		(void)snprintf(topic, sizeof(topic), TOPIC "/sensor/s%d/status", i);
		if (strcmp(broker_retained(topic), word) != 0)
			days_fail("%s is \"%s\", not \"%s\"", topic, broker_retained(topic), word);
	}
}

/* all has arrived, but for what is just on its way; and what is shown is what is */
static void look(struct reactor_timer *timer)
{
	uint64_t waiting = world.daemon->stats.queued - world.daemon->stats.in_flight;
	int64_t calm_us = days_now() - faults.calm_us;

	days_step();
	if (calm_us < CALM_US || (waiting > 0 && calm_us < CALM_US + DRAINED_US)) {
		set_timer(timer, LOOK_US);
		return;
	}
	if (waiting > 0)
		days_fail("%lu readings have not arrived after all has been well for %lld s",
			  waiting, (long long)(calm_us / USEC_PER_SEC));
	check_shown();
	stop();
}

static void life_is_over(struct reactor_timer *timer)
{
	(void)timer;
	days_step();
	days_trace("life %d ends: %s", world.life, faults.is_killed ? "killed" : "stopped");
	if (faults.is_last)
		be_calm();
	else if (faults.is_killed)
		future_resolve(&faults.killed, 0);
	else
		stop();
}

static int was_killed(struct task *task, int result)
{
	(void)task;
	return result;
}

static int await_kill(struct task *task, int result)
{
	(void)result;
	return task_await(task, &faults.killed, was_killed);
}

int faults_await_kill(struct task **ret)
{
	return task_spawn(ret, world.reactor, await_kill, NULL, NULL);
}

int faults_variant(void)
{
	return faults.variant;
}

bool faults_is_killed(void)
{
	return faults.is_killed;
}

void faults_life_begins(int64_t life_us, bool is_killed, bool is_last)
{
	int variant = faults.variant, id = faults.id;

	memset(&faults, 0, sizeof(faults)); /* the reactor of the timers is gone */
	faults.variant = variant;
	faults.id = id;
	faults.is_killed = is_killed;
	faults.is_last = is_last;
	faults.mischief.fire = mischief_due;
	faults.life_over.fire = life_is_over;
	faults.disk_back.fire = disk_is_back;
	for (int i = 0; i < CHIPS; i++)
		faults.chip_back[i].fire = chip_is_back;
	faults.look.fire = look;
	future_init(&faults.killed, world.reactor, NULL);
	set_timer(&faults.mischief, draw_us(2 * world.distance_us));
	set_timer(&faults.life_over, life_us);
	if (atomic_load(&world.disk_error) != 0)
		set_timer(&faults.disk_back, draw_us(10 * USEC_PER_SEC));
}

void faults_reset(void)
{
	memset(&faults, 0, sizeof(faults));
}
