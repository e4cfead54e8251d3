/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sensors with a fake driver whose outcomes a test programs. On the virtual clock, where a job takes no
 * time; what hangs for real runs on the kernel's clock and hangs on a pipe that the test holds.
 * log_event() is replaced, to count what is logged, and clock_gettime(), to suspend the host.
 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#include "iotd/clock.h"
#include "iotd/device.h"
#include "iotd/log.h"

#define EPOCH_US  123456789012345 /* no round number */
#define SECOND	  USEC_PER_SEC
#define MSEC	  USEC_PER_MSEC
#define HOUR	  (3600 * SECOND)
#define DAY	  (24 * HOUR)
#define TIMES_MAX 4096
#define NONE	  ((double)NAN)
#define FAR	  ((double)INFINITY)

/* --- the fake driver ------------------------------------------------------------------------ */

/* one try: what its calls return. The last one of a program stays */
struct outcome {
	int open, start, collect;
	int64_t wait_us; /* from start() to collect() */
	int agains;	 /* collect() says so often that it still converts, for 10 ms each time */
	double value;	 /* 0: counts up */
};

/* belongs to the worker while a job is out, to the test else */
struct fake {
	struct option_value options[1]; /* found again by them */
	const struct outcome *program;
	size_t length, at;
	int agains, opens, closes, tries, collects;
	int gate;	  /* collect() reads a byte from here first; -1: not */
	bool closed_here; /* on the reactor's thread, where it may block */
	atomic_int hangs;
	int64_t takes_us;	     /* each read, for real */
	int64_t times_us[TIMES_MAX]; /* of the first tries */
};

static struct reactor *reactor;
static pthread_t reactor_thread;

static struct fake *fake_of(const struct source *source)
{
	return container_of((uintptr_t)source->options, struct fake, options);
}

static const struct outcome *outcome_of(const struct fake *fake)
{
	static const struct outcome good;

	if (fake->length == 0)
		return &good;
	return &fake->program[fake->at < fake->length ? fake->at : fake->length - 1];
}

static int fake_result(struct source *source, int error)
{
	if (error == -EIO)
		return source_fail(source, error, "the chip is on fire");
	return error;
}

static void note_try(struct fake *of)
{
	if (of->tries < TIMES_MAX && reactor_is_virtual(reactor)) /* it stands still while we run */
		of->times_us[of->tries] = reactor_now(reactor);
	of->tries++;
}

static int fake_open(struct source *source)
{
	struct fake *fake = fake_of(source);
	int r = outcome_of(fake)->open;

	fake->opens++;
	if (r < 0) {
		note_try(fake);
		fake->at++;
	}
	return fake_result(source, r);
}

static int fake_start(struct source *source, int64_t *wait_us)
{
	struct fake *fake = fake_of(source);
	const struct outcome *outcome = outcome_of(fake);

	note_try(fake);
	fake->agains = outcome->agains;
	*wait_us = outcome->wait_us;
	if (outcome->start < 0)
		fake->at++;
	return fake_result(source, outcome->start);
}

static int fake_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	struct fake *fake = fake_of(source);
	const struct outcome *outcome = outcome_of(fake);
	char byte;

	if (fake->gate >= 0) {
		atomic_store(&fake->hangs, 1);
		ck_assert_int_eq(read(fake->gate, &byte, 1), 1);
		atomic_store(&fake->hangs, 0);
	}
	if (fake->takes_us > 0)
		ck_assert_int_eq(usleep((useconds_t)fake->takes_us), 0);
	if (fake->agains > 0) {
		fake->agains--;
		*wait_us = 10 * MSEC;
		return -EAGAIN;
	}
	fake->at++;
	fake->collects++;
	values[0] = outcome->value != 0 ? outcome->value : fake->collects;
	return fake_result(source, outcome->collect);
}

static void fake_close(struct source *source)
{
	fake_of(source)->closes++;
	fake_of(source)->closed_here |= pthread_equal(pthread_self(), reactor_thread) != 0;
}

static const struct channel fake_channels[] = { { .name = "value", .unit = "V", .digits = 2 } };

static const struct driver fake_driver = {
	.name = "fake",
	.kind = DRIVER_FILE,
	.channels = fake_channels,
	.channel_count = ARRAY_SIZE(fake_channels),
	.open = fake_open,
	.start = fake_start,
	.collect = fake_collect,
	.close = fake_close,
};

/* --- what devices tell ---------------------------------------------------------------------- */

static struct workers *workers;
static struct worker_key *key;
static struct stats stats;
static int64_t slept_us;

static struct {
	int count;
	int64_t times_us[TIMES_MAX];
	double value;	 /* the last */
	char words[256]; /* of statuses and logs: "offline " "online " */
	char log[512];
	int logged;
	int stop_at; /* ends the run when so many readings came */
	void (*act)(void);
} told;

static struct future stopped;

static void on_reading(struct device_events *events, const struct sensor_settings *settings,
		       const struct reading *reading)
{
	(void)events;
	ck_assert_str_eq(reading->name, settings->name);
	told.times_us[told.count++ % TIMES_MAX] = reactor_now(reactor);
	told.value = reading->values[0].number;
	if (told.count == told.stop_at)
		future_resolve(&stopped, 0);
	if (told.act)
		told.act();
}

static void on_status(struct device_events *events, enum device_kind kind, const char *name,
		      enum device_status status)
{
	size_t length = strlen(told.words);

	(void)events;
	(void)name;
	ck_assert_int_eq(kind, DEVICE_SENSOR);
	(void)snprintf(told.words + length, sizeof(told.words) - length, "%s ",
		       device_status_name(status));
	if (told.act)
		told.act();
}

static struct device_events events = { .reading = on_reading, .status = on_status };
static struct device_parts parts = { .events = &events, .stats = &stats };

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	va_list arguments;

	ck_assert_int_le(level, LOG_NOTICE);
	ck_assert_ptr_nonnull(fields->message_id);
	va_start(arguments, format);
	(void)vsnprintf(told.log, sizeof(told.log), format, arguments);
	va_end(arguments);
	told.logged++;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	long r = syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_BOOTTIME)
		now->tv_sec += __atomic_load_n(&slept_us, __ATOMIC_RELAXED) / USEC_PER_SEC;
	return (int)r;
}

/* --- tools ---------------------------------------------------------------------------------- */

static char name[] = "probe";
static struct sensor_settings settings;
static struct channel_settings group;
static struct fake fake;
static struct sensor *sensor;

static void set_up_parts(void)
{
	ck_assert_int_eq(workers_new(&workers, reactor, 4), 0);
	ck_assert_int_eq(worker_key_new(&key, workers, 0), 0);
	parts.reactor = reactor;
	reactor_thread = pthread_self();
	parts.epoch_us = reactor_now(reactor);
	settings = (struct sensor_settings){
		.name = name, .interval_us = SECOND, .channels = &group, .channel_count = 1
	};
	group = (struct channel_settings){
		.name = "value", .scale = 1, .digits = -1, .min = -FAR, .max = FAR
	};
	fake = (struct fake){ .gate = -1 };
	memset(&told, 0, sizeof(told));
	memset(&stats, 0, sizeof(stats));
}

static void set_up_virtual(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, EPOCH_US), 0);
	set_up_parts();
}

static void set_up_real(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	set_up_parts();
}

static void tear_down(void)
{
	sensor = sensor_free(sensor);
	ck_assert_int_eq(workers_free(workers, 5 * SECOND), 0);
	ck_assert_int_eq(fake.closes, fake.opens); /* every source is closed in the end */
	key = worker_key_free(key);
	reactor = reactor_free(reactor);
}

static struct sensor *make(struct fake *of, const struct sensor_settings *with,
			   struct worker_key *on)
{
	struct sensor *made = NULL;
	struct source *source;

	ck_assert_int_eq(source_new(&source, &fake_driver, of->options, NULL), 0);
	ck_assert_int_eq(sensor_new(&made, &parts, with, source, on), 0);
	return made;
}

static void start(const struct outcome *program, size_t length)
{
	fake.program = program;
	fake.length = length;
	sensor = make(&fake, &settings, key);
}

static int step_end(struct task *task, int result)
{
	(void)task;
	(void)result;
	return 0;
}

static int step_wait(struct task *task, int result)
{
	const int64_t *until_us = task_data(task);

	(void)result;
	return task_await_for(task, &stopped, *until_us - reactor_now(reactor), step_end);
}

static void run_until(int64_t until_us)
{
	struct task *task;

	future_init(&stopped, reactor, NULL);
	ck_assert_int_eq(task_spawn(&task, reactor, step_wait, &until_us, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

static void run_for(int64_t duration_us)
{
	run_until(reactor_now(reactor) + duration_us);
}

static const char *info_fault(void)
{
	struct device_info info;

	sensor_info(sensor, &info);
	return info.fault ? info.fault : "";
}

static struct {
	int answers, error;
	double value;
	char fault[192];
} asked;

static void on_answer(void *data, int error, const char *fault, const struct reading *reading)
{
	(void)data;
	asked.answers++;
	asked.error = error;
	ck_assert((error == 0) == (reading != NULL));
	ck_assert((error == 0) == (fault == NULL));
	(void)snprintf(asked.fault, sizeof(asked.fault), "%s", fault ? fault : "");
	asked.value = reading ? reading->values[0].number : NONE;
}

static void ask(void)
{
	memset(&asked, 0, sizeof(asked));
	ck_assert_int_eq(sensor_read(sensor, on_answer, NULL), 0);
}

/* --- schedule ------------------------------------------------------------------------------- */

static const struct {
	int64_t interval_us, begin_us, end_us; /* since the epoch */
	int reads;
} schedules[] = {
	{ 10 * SECOND, 0, DAY, 8640 }, /* a day: the read of its last moment belongs to the next */
	{ 10 * SECOND, 1, DAY, 8640 },
	{ 7 * SECOND, 3 * SECOND, HOUR, 515 },
	{ 100 * MSEC, 50001, 60 * SECOND, 600 },
	{ 333 * MSEC, 12345678, 120 * SECOND, 324 },
	{ DAY, 5, DAY * 30, 30 },
};

START_TEST(due_times_are_multiples_of_the_interval_since_the_epoch)
{
	int64_t interval_us = schedules[_i].interval_us;
	const struct outcome slow = { .wait_us = 20 * MSEC };

	settings.interval_us = interval_us;
	run_until(EPOCH_US + schedules[_i].begin_us);
	start(_i % 2 ? &slow : NULL, _i % 2 ? 1 : 0);
	run_until(EPOCH_US + schedules[_i].end_us - 1);
	ck_assert_int_eq(fake.tries, schedules[_i].reads);
	ck_assert_int_eq(fake.times_us[0], EPOCH_US + schedules[_i].begin_us); /* at once */
	for (int i = 1; i < fake.tries && i < TIMES_MAX; i++)
		ck_assert_int_eq((fake.times_us[i] - EPOCH_US) % interval_us, 0);
	ck_assert_int_eq(stats.late_max_us, 0);
	ck_assert_uint_eq(stats.reads_missed, 0);
	ck_assert_int_eq(told.count, (int)stats.readings);
}
END_TEST

START_TEST(sensors_of_one_interval_fall_due_together)
{
	enum {
		COUNT = 100
	};
	static struct fake fakes[COUNT];
	struct sensor *sensors[COUNT];
	int at = COUNT;

	settings.interval_us = 100 * MSEC;
	for (int i = 0; i < COUNT; i++) {
		run_for(777); /* they come into being one after the other */
		fakes[i] = (struct fake){ .gate = -1 };
		sensors[i] = make(&fakes[i], &settings, key);
	}
	run_until(EPOCH_US + 4 * SECOND - 1);
	ck_assert_uint_eq((uint64_t)told.count, 40UL * COUNT);
	for (; at < told.count; at++)
		ck_assert_int_eq(told.times_us[at], EPOCH_US + MSEC * 100 * (at / COUNT));
	for (int i = 0; i < COUNT; i++)
		sensor_free(sensors[i]);
}
END_TEST

START_TEST(a_read_that_takes_longer_than_the_interval_is_counted)
{
	static const struct outcome slow[] = { { .wait_us = 3500 * MSEC }, { .wait_us = 0 } };

	start(slow, 2);
	run_for(6 * SECOND + 1);
	/* at 0; 1, 2 and 3 pass while it is read; 4, 5, 6 */
	ck_assert_int_eq(fake.tries, 4);
	ck_assert_int_eq(fake.times_us[1], EPOCH_US + 4 * SECOND);
	ck_assert_uint_eq(stats.reads_missed, 3);
}
END_TEST

START_TEST(the_interval_can_be_changed)
{
	struct device_info info;

	settings.interval_us = 10 * SECOND;
	start(NULL, 0);
	run_for(12500 * MSEC);
	ck_assert_int_eq(fake.tries, 2);
	sensor_set_interval(sensor, 2 * SECOND); /* from now on: at 12.5, 14, 16, 18, 20 */
	sensor_info(sensor, &info);
	ck_assert_int_eq(info.interval_us, 2 * SECOND);
	run_until(EPOCH_US + 20 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 7);
	ck_assert_int_eq(fake.times_us[2], EPOCH_US + 12500 * MSEC);
	ck_assert_int_eq(fake.times_us[3], EPOCH_US + 14 * SECOND);
	sensor_set_interval(sensor, 60 * SECOND);
	run_until(EPOCH_US + 120 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 10);
	ck_assert_int_eq(fake.times_us[9], EPOCH_US + 120 * SECOND);
}
END_TEST

START_TEST(the_interval_can_be_changed_while_it_converts)
{
	static const struct outcome slow = { .wait_us = 500 * MSEC };

	settings.interval_us = 60 * SECOND;
	start(&slow, 1);
	run_for(100 * MSEC);
	sensor_set_interval(sensor, SECOND);
	run_until(EPOCH_US + 3 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(fake.times_us[i], EPOCH_US + i * SECOND);
}
END_TEST

/* --- conversions ---------------------------------------------------------------------------- */

START_TEST(the_bus_serves_others_while_a_chip_converts)
{
	static const struct outcome slow = { .wait_us = 50 * MSEC, .agains = 3 };
	struct fake other = { .gate = -1 };
	struct sensor *second;

	start(&slow, 1);
	second = make(&other, &settings, key);
	run_for(SECOND - 1);
	ck_assert_int_eq(told.count, 2);
	ck_assert_int_eq(told.times_us[0], EPOCH_US); /* the other one, on the same bus */
	ck_assert_int_eq(told.times_us[1], EPOCH_US + 80 * MSEC);
	sensor_free(second);
}
END_TEST

START_TEST(a_chip_that_converts_for_ever_is_offline)
{
	static const struct outcome stuck = { .wait_us = 1000, .agains = 1000 };

	start(&stuck, 1);
	run_for(SECOND - 1);
	ck_assert_int_eq(told.count, 0);
	ck_assert_str_eq(told.words, "offline ");
	ck_assert_ptr_nonnull(strstr(info_fault(), "still converting"));
}
END_TEST

START_TEST(a_lost_arbitration_is_no_conversion)
{
	static const struct outcome busy = { .collect = -EAGAIN };

	start(&busy, 1);
	run_for(SECOND - 1);
	ck_assert_int_eq(fake.tries, 1);
	ck_assert_int_eq(fake.collects, 1);
	ck_assert_str_eq(told.words, "offline ");
}
END_TEST

/* --- failures ------------------------------------------------------------------------------- */

static const struct {
	int retries;
	struct outcome program[4];
	const char *words;
	int tries, opens;
} tries[] = {
	{ 0, { { .value = 1 } }, "online ", 1, 1 },
	{ 2, { { .collect = -EIO }, { .start = -EIO }, { .value = 1 } }, "online ", 3, 3 },
	{ 2, { { .open = -EIO }, { .open = -EIO }, { .value = 1 } }, "online ", 3, 3 },
	{ 2, { { .collect = -EIO }, { .collect = -EIO }, { .collect = -EIO } }, "offline ", 3, 3 },
	{ 0, { { .collect = -EIO }, { .value = 1 } }, "offline ", 1, 1 },
};

START_TEST(a_failed_read_is_tried_again_soon)
{
	settings.retries = tries[_i].retries;
	start(tries[_i].program, 4);
	run_for(20 * MSEC);
	ck_assert_str_eq(told.words, tries[_i].words);
	ck_assert_int_eq(fake.tries, tries[_i].tries);
	ck_assert_int_eq(fake.opens, tries[_i].opens); /* closed and opened in between */
	ck_assert_int_eq(told.logged, strcmp(tries[_i].words, "offline ") == 0);
	ck_assert_uint_eq(stats.read_errors, strcmp(tries[_i].words, "offline ") == 0);
}
END_TEST

static const struct {
	int64_t interval_us, distances_us[12];
} distances[] = {
	{ SECOND,
	  { SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND, 10 * SECOND } },
	{ 3 * SECOND, { 3 * SECOND, 6 * SECOND, 9 * SECOND, 9 * SECOND } },
	{ 60 * SECOND, { 60 * SECOND, 60 * SECOND, 60 * SECOND } },
	{ 100 * MSEC,
	  { 100 * MSEC, 200 * MSEC, 400 * MSEC, 800 * MSEC, 1600 * MSEC, 3200 * MSEC, 6400 * MSEC,
	    10 * SECOND, 10 * SECOND } },
};

START_TEST(tries_come_with_doubling_distance)
{
	static const struct outcome dead = { .open = -ENXIO };

	settings.interval_us = distances[_i].interval_us;
	start(&dead, 1);
	run_for(DAY);
	ck_assert_int_eq(fake.times_us[0], EPOCH_US);
	for (int i = 0; distances[_i].distances_us[i] > 0; i++)
		ck_assert_int_eq(fake.times_us[i + 1] - fake.times_us[i],
				 distances[_i].distances_us[i]);
	ck_assert_str_eq(told.words, "offline ");
	ck_assert_int_eq(told.logged, 1);
	ck_assert_ptr_nonnull(strstr(told.log, "sensor probe: offline: No such device or address"));
	ck_assert_uint_eq(stats.read_errors, (uint64_t)fake.tries);
	ck_assert_int_eq(told.count, 0);
	ck_assert_uint_eq(stats.reads_missed, 0);
}
END_TEST

START_TEST(what_comes_back_is_online_again)
{
	static const struct outcome program[] = {
		{ .value = 1 },	   { .collect = -EIO }, { .open = -EIO },
		{ .start = -EIO }, { .value = 2 },
	};

	start(program, 5);
	run_for(20 * SECOND);
	/* good at 0, fails at 1, 2, 4, back at 8, then each second */
	ck_assert_str_eq(told.words, "online offline online ");
	ck_assert_int_eq(told.logged, 2);
	ck_assert_str_eq(told.log, "sensor probe: online again after 7.0 s, 3 failed reads");
	ck_assert_int_eq(told.times_us[1], EPOCH_US + 8 * SECOND);
	ck_assert_int_eq(told.times_us[2], EPOCH_US + 9 * SECOND);
	ck_assert_int_eq(fake.opens, 4);
	ck_assert_uint_eq(stats.read_errors, 3);
	ck_assert_str_eq(info_fault(), "");
}
END_TEST

START_TEST(words_of_the_driver_are_told)
{
	static const struct outcome dead = { .collect = -EIO };

	start(&dead, 1);
	run_for(1);
	ck_assert_str_eq(info_fault(), "the chip is on fire");
	ck_assert_str_eq(told.log, "sensor probe: offline: the chip is on fire; trying again");
}
END_TEST

static const struct {
	int error;
	const char *fault;
} bus_faults[] = {
	{ -ENOENT, "i2c-7, address 0x76: there is no such adapter" },
	{ -ENXIO, "i2c-7, address 0x76: no chip answers" },
	{ -ETIMEDOUT, "i2c-7, address 0x76: the bus hangs" },
	{ -EBUSY, "i2c-7, address 0x76: a kernel driver owns the address" },
	{ -EACCES, "i2c-7, address 0x76: permission denied; is iotd's user in the group i2c?" },
	{ -EPROTO, "i2c-7, address 0x76: Protocol error" },
	{ -EIO, "the chip is on fire" }, /* the driver's words go first */
};

START_TEST(a_fault_of_a_bus_is_told_in_its_words)
{
	const struct outcome dead = { .collect = bus_faults[_i].error };
	char bus[] = "i2c-7";

	settings.bus = bus;
	settings.address = 0x76;
	start(&dead, 1);
	run_for(1);
	ck_assert_str_eq(info_fault(), bus_faults[_i].fault);
	sensor = sensor_free(sensor);
}
END_TEST

START_TEST(a_value_out_of_range_is_a_failed_reading)
{
	static const struct outcome program[] = { { .value = 20 },
						  { .value = 4711 },
						  { .value = 21 } };

	group.max = 85;
	start(program, 3);
	run_for(SECOND + 1);
	ck_assert_int_eq(told.count, 1);
	ck_assert_str_eq(told.words, "online offline ");
	ck_assert_str_eq(info_fault(), "value 4711 V is outside -inf .. 85");
	run_for(SECOND);
	ck_assert_int_eq(told.count, 2);
	ck_assert_str_eq(told.words, "online offline online ");
}
END_TEST

START_TEST(no_number_is_a_failed_reading)
{
	static const struct outcome program = { .value = NONE };

	start(&program, 1);
	run_for(1);
	ck_assert_int_eq(told.count, 0);
	ck_assert_str_eq(info_fault(), "no channel has a value");
}
END_TEST

/* --- read on command ------------------------------------------------------------------------ */

START_TEST(a_command_reads_besides_the_schedule)
{
	group.deadband = 1000;
	group.max_age_us = DAY;
	start(NULL, 0);
	run_for(2500 * MSEC);
	ck_assert_int_eq(told.count, 1); /* 2 and 3 are within the deadband */
	ask();
	ck_assert_int_eq(sensor_read(sensor, on_answer, NULL), -EBUSY);
	ck_assert_int_eq(asked.answers, 0);
	run_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, 0);
	ck_assert_double_eq(asked.value, 4);
	ck_assert_int_eq(told.count, 2); /* it is published too */
	run_until(EPOCH_US + 4 * SECOND + 1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(fake.times_us[4], EPOCH_US + 3 * SECOND); /* the schedule stays */
	ck_assert_int_eq(fake.tries, 6);
	ck_assert_int_eq(stats.late_max_us, 0);
}
END_TEST

START_TEST(a_command_before_the_first_turn_is_answered)
{
	start(NULL, 0);
	ask();
	run_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_double_eq(asked.value, 1);
	ck_assert_int_eq(fake.tries, 1);
}
END_TEST

START_TEST(the_read_under_way_answers_a_command)
{
	static const struct outcome slow = { .wait_us = 100 * MSEC };

	start(&slow, 1);
	run_for(50 * MSEC);
	ask();
	run_for(51 * MSEC);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_double_eq(asked.value, 1);
	run_until(EPOCH_US + SECOND - 1);
	ck_assert_int_eq(fake.tries, 1);
}
END_TEST

START_TEST(a_failing_sensor_answers_why)
{
	static const struct outcome dead = { .collect = -EIO };

	start(&dead, 1);
	ask();
	run_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -EIO);
	ck_assert_str_eq(asked.fault, "the chip is on fire");
	run_for(10 * SECOND);
	ck_assert_int_eq(asked.answers, 1);
	ask(); /* it is read at once, back-off or not */
	run_for(1);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -EIO);
	ck_assert_int_eq(told.logged, 1);
}
END_TEST

START_TEST(a_command_that_succeeds_ends_the_back_off)
{
	static const struct outcome program[] = { { .open = -EIO },
						  { .open = -EIO },
						  { .open = -EIO },
						  { .open = -EIO },
						  { .value = 7 } };

	start(program, 5);
	run_for(8500 * MSEC); /* failed at 0, 1, 3, 7; the next try would be at 15 */
	ck_assert_int_eq(fake.tries, 4);
	ask();
	run_for(1);
	ck_assert_int_eq(asked.error, 0);
	run_until(EPOCH_US + 10 * SECOND + 1);
	ck_assert_int_eq(fake.tries, 7); /* at 8.5, 9, 10 */
	ck_assert_int_eq(fake.times_us[5], EPOCH_US + 9 * SECOND);
}
END_TEST

START_TEST(a_sensor_that_is_freed_answers)
{
	start(NULL, 0);
	run_for(500 * MSEC);
	ask();
	sensor = sensor_free(sensor);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -ECANCELED);
	run_for(10 * SECOND);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(told.count, 1);
	ck_assert_int_eq(fake.closes, 1);
}
END_TEST

/* --- the end at every state ----------------------------------------------------------------- */

static const struct {
	struct outcome outcome;
	int64_t run_us; /* -1: not at all */
} ends[] = {
	{ { .value = 1 }, -1 },		     /* before its first turn */
	{ { .value = 1 }, 0 },		     /* perhaps on its way to the worker */
	{ { .value = 1 }, 500 * MSEC },	     /* waiting */
	{ { .wait_us = 100 * MSEC }, MSEC }, /* converting */
	{ { .wait_us = MSEC, .agains = 5 }, 5 * MSEC },
	{ { .open = -EIO }, 500 * MSEC },    /* offline, never opened */
	{ { .collect = -EIO }, 500 * MSEC }, /* offline, open still */
};

START_TEST(it_may_be_freed_at_any_state)
{
	int before;

	start(&ends[_i].outcome, 1);
	if (ends[_i].run_us >= 0)
		run_for(ends[_i].run_us);
	sensor = sensor_free(sensor);
	before = told.count;
	run_for(10 * SECOND);
	ck_assert_int_eq(told.count, before);
	ck_assert_int_eq(fake.opens, fake.closes); /* without the pool's end */
	ck_assert(!fake.closed_here);
	ck_assert_ptr_null(sensor_free(NULL));
}
END_TEST

START_TEST(it_may_be_freed_with_the_pool_next)
{
	start(&ends[_i].outcome, 1);
	if (ends[_i].run_us >= 0)
		run_for(ends[_i].run_us);
}
END_TEST

static void act_free(void)
{
	told.act = NULL;
	sensor = sensor_free(sensor);
}

START_TEST(it_may_be_freed_by_what_it_tells)
{
	static const struct outcome dead = { .collect = -EIO };

	start(&dead, _i == 1 ? 1 : 0);
	if (_i == 2)
		run_for(500 * MSEC); /* frees it in the second reading, not in the first status */
	told.act = act_free;
	run_for(10 * SECOND);
	ck_assert_ptr_null(sensor);
	ck_assert_int_eq(fake.opens, fake.closes);
}
END_TEST

/* --- what hangs, on the kernel's clock ------------------------------------------------------ */

struct hang {
	int ends[2];
};

static struct hang hang_begin(struct fake *of)
{
	struct hang hang;

	ck_assert_int_eq(pipe(hang.ends), 0);
	of->gate = hang.ends[0];
	return hang;
}

/* every read goes through from now on */
static void hang_end(struct hang *hang)
{
	static const char bytes[1000];

	ck_assert_int_eq(write(hang->ends[1], bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
}

static void hang_close(struct hang *hang)
{
	(void)close(hang->ends[0]);
	(void)close(hang->ends[1]);
}

START_TEST(a_hanging_source_is_offline_and_delays_nobody)
{
	struct sensor_settings often = settings;
	struct fake other = { .gate = -1 };
	struct worker_key *other_key;
	struct hang hang = hang_begin(&fake);
	struct sensor *second;

	often.interval_us = 20 * MSEC;
	settings.interval_us = 200 * MSEC;
	ck_assert_int_eq(worker_key_new(&other_key, workers, 0), 0);
	start(NULL, 0);
	ask();
	second = make(&other, &often, other_key);
	run_for(2900 * MSEC);
	ck_assert_str_eq(told.words, "online "); /* of the other one */
	run_for(300 * MSEC);
	ck_assert_int_gt(told.count, 100);
	ck_assert_str_eq(told.words, "online offline ");
	ck_assert_str_eq(info_fault(), "no answer within 3 s: its source hangs");
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -ETIMEDOUT);
	ck_assert_int_eq(sensor_deadline(sensor), INT64_MAX);
	ask(); /* while it hangs */
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_int_eq(asked.error, -ETIMEDOUT);
	sensor_set_interval(sensor, 50 * MSEC);
	ck_assert_int_eq(atomic_load(&fake.hangs), 1);
	hang_end(&hang);
	run_for(300 * MSEC);
	ck_assert_str_eq(told.words, "online offline online ");
	ck_assert_int_ge(fake.collects, 3);
	ck_assert_int_eq(told.logged, 2);
	sensor_free(second);
	sensor = sensor_free(sensor);
	run_for(50 * MSEC);
	worker_key_free(other_key);
	hang_close(&hang);
}
END_TEST

START_TEST(a_hanging_sensor_may_be_freed)
{
	struct hang hang = hang_begin(&fake);

	start(NULL, 0);
	run_for(_i == 0 ? 50 * MSEC : 3100 * MSEC); /* before and after it was given up */
	ck_assert_int_eq(atomic_load(&fake.hangs), 1);
	sensor = sensor_free(sensor);
	run_for(20 * MSEC);
	hang_end(&hang);
	run_for(50 * MSEC);
	ck_assert_int_eq(told.count, 0);
	ck_assert_int_eq(fake.closes, 1);
	ck_assert(!fake.closed_here);
	hang_close(&hang);
}
END_TEST

START_TEST(a_hanging_file_does_not_hold_up_the_others)
{
	enum {
		COUNT = 10
	};
	static struct fake fakes[COUNT];
	struct hang hang = hang_begin(&fake);
	struct worker_key *files;
	struct sensor *sensors[COUNT];

	settings.interval_us = 50 * MSEC;
	ck_assert_int_eq(worker_key_new(&files, workers, 20 * MSEC), 0);
	sensor = make(&fake, &settings, files);
	for (int i = 0; i < COUNT; i++) {
		fakes[i] = (struct fake){ .gate = -1 };
		sensors[i] = make(&fakes[i], &settings, files);
	}
	run_for(500 * MSEC);
	ck_assert_int_eq(fake.collects, 0);
	for (int i = 0; i < COUNT; i++) {
		sensors[i] = sensor_free(sensors[i]);
		ck_assert_int_ge(fakes[i].collects, 5);
	}
	hang_end(&hang);
	run_for(200 * MSEC);
	ck_assert_int_ge(fake.collects, 2);
	sensor = sensor_free(sensor);
	run_for(50 * MSEC);
	worker_key_free(files);
	hang_close(&hang);
}
END_TEST

START_TEST(a_source_that_is_slow_time_and_again_makes_nobody_wait)
{
	const int64_t interval_us = 500 * MSEC;
	struct fake other = { .gate = -1 };
	struct sensor *second;

	fake.takes_us = 250 * MSEC;
	settings.interval_us = interval_us;
	start(NULL, 0);
	second = make(&other, &settings, key); /* behind it in the same queue */
	run_until(parts.epoch_us + 5 * interval_us - 100 * MSEC);
	ck_assert_int_eq(told.count, 10);
	for (int i = 0; i < 10; i += 2) {
		int64_t first_us = (told.times_us[i] - parts.epoch_us) % interval_us;

		if (i < 2 * 3) /* three times the other one had to wait */
			ck_assert_int_ge(first_us, 250 * MSEC);
		else
			ck_assert_int_lt(first_us, 150 * MSEC);
	}
	sensor_free(second);
	sensor = sensor_free(sensor);
	run_for(300 * MSEC);
}
END_TEST

static void act_suspend(void)
{
	if (told.count == 2)
		__atomic_store_n(&slept_us, HOUR * 8, __ATOMIC_RELAXED);
}

START_TEST(a_suspended_host_catches_up_once)
{
	int64_t interval_us = 50 * MSEC;

	settings.interval_us = interval_us;
	told.act = act_suspend;
	told.stop_at = 3;
	start(NULL, 0);
	run_for(HOUR * 9);
	ck_assert_int_eq(told.count, 3);
	ck_assert_int_ge(told.times_us[2], parts.epoch_us + HOUR * 8);
	ck_assert_int_eq(fake.tries, 3);
	ck_assert_uint_ge(stats.reads_missed, 8 * 3600 * 20 - 20);
	ck_assert_uint_le(stats.reads_missed, 8 * 3600 * 20 + 200);
	ck_assert_int_gt(sensor_deadline(sensor), told.times_us[2]); /* and on its grid as before */
	ck_assert_int_le(sensor_deadline(sensor), told.times_us[2] + interval_us);
	ck_assert_int_eq((sensor_deadline(sensor) - parts.epoch_us) % interval_us, 0);
	__atomic_store_n(&slept_us, 0, __ATOMIC_RELAXED);
}
END_TEST

/* -------------------------------------------------------------------------------------------- */

static TCase *schedule_cases(void)
{
	TCase *cases = tcase_create("schedule");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, due_times_are_multiples_of_the_interval_since_the_epoch, 0,
			    (int)ARRAY_SIZE(schedules));
	tcase_add_test(cases, sensors_of_one_interval_fall_due_together);
	tcase_add_test(cases, a_read_that_takes_longer_than_the_interval_is_counted);
	tcase_add_test(cases, the_interval_can_be_changed);
	tcase_add_test(cases, the_interval_can_be_changed_while_it_converts);
	tcase_add_test(cases, the_bus_serves_others_while_a_chip_converts);
	tcase_add_test(cases, a_chip_that_converts_for_ever_is_offline);
	tcase_add_test(cases, a_lost_arbitration_is_no_conversion);
	return cases;
}

static TCase *failure_cases(void)
{
	TCase *cases = tcase_create("failures");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, a_failed_read_is_tried_again_soon, 0, (int)ARRAY_SIZE(tries));
	tcase_add_loop_test(cases, tries_come_with_doubling_distance, 0,
			    (int)ARRAY_SIZE(distances));
	tcase_add_test(cases, what_comes_back_is_online_again);
	tcase_add_test(cases, words_of_the_driver_are_told);
	tcase_add_loop_test(cases, a_fault_of_a_bus_is_told_in_its_words, 0,
			    (int)ARRAY_SIZE(bus_faults));
	tcase_add_test(cases, a_value_out_of_range_is_a_failed_reading);
	tcase_add_test(cases, no_number_is_a_failed_reading);
	return cases;
}

static TCase *command_cases(void)
{
	TCase *cases = tcase_create("commands");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_test(cases, a_command_reads_besides_the_schedule);
	tcase_add_test(cases, a_command_before_the_first_turn_is_answered);
	tcase_add_test(cases, the_read_under_way_answers_a_command);
	tcase_add_test(cases, a_failing_sensor_answers_why);
	tcase_add_test(cases, a_command_that_succeeds_ends_the_back_off);
	tcase_add_test(cases, a_sensor_that_is_freed_answers);
	tcase_add_loop_test(cases, it_may_be_freed_at_any_state, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(cases, it_may_be_freed_with_the_pool_next, 0, (int)ARRAY_SIZE(ends));
	tcase_add_loop_test(cases, it_may_be_freed_by_what_it_tells, 0, 3);
	return cases;
}

static TCase *hang_cases(void)
{
	TCase *cases = tcase_create("hangs");

	tcase_add_checked_fixture(cases, set_up_real, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, a_hanging_source_is_offline_and_delays_nobody);
	tcase_add_loop_test(cases, a_hanging_sensor_may_be_freed, 0, 2);
	tcase_add_test(cases, a_hanging_file_does_not_hold_up_the_others);
	tcase_add_test(cases, a_source_that_is_slow_time_and_again_makes_nobody_wait);
	tcase_add_test(cases, a_suspended_host_catches_up_once);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("sensor");

	suite_add_tcase(suite, schedule_cases());
	suite_add_tcase(suite, failure_cases());
	suite_add_tcase(suite, command_cases());
	suite_add_tcase(suite, hang_cases());
	return suite_run(suite);
}
