/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fake driver, what its sensors tell, and the set-up: see the header. log_event() is replaced, to
 * count what is logged.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor-fixture.h"

#include "iotd/log.h"

struct worker_key *key;
struct stats stats;
struct told told;
char name[8] = "probe";
struct sensor_settings settings;
struct channel_settings group;
struct fake fake;
struct sensor *sensor;
struct asked asked;

static pthread_t reactor_thread;

/* --- the fake driver ------------------------------------------------------------------------ */

static struct fake *fake_of(const struct source *source)
{
	return container_of((uintptr_t)source->options, struct fake, options);
}

static const struct outcome *outcome_of(const struct fake *of)
{
	static const struct outcome good;

	if (of->length == 0)
		return &good;
	return &of->program[of->at < of->length ? of->at : of->length - 1];
}

static int fake_result(struct source *source, int error)
{
	if (error == -EIO)
		return source_fail(source, error, "the chip is on fire");
	if (error == SLOW_CHIP)
		return source_fail(source, -ETIMEDOUT, "the chip is slow");
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
	struct fake *of = fake_of(source);
	int r = outcome_of(of)->open;

	of->opens++;
	of->since_open = 0;
	if (of->channel)
		(void)strncpy(source->channels[0].name, of->channel, NAME_LENGTH);
	if (r < 0) {
		note_try(of);
		of->at++;
	}
	return fake_result(source, r);
}

static int fake_start(struct source *source, int64_t *wait_us)
{
	struct fake *of = fake_of(source);
	const struct outcome *outcome = outcome_of(of);

	note_try(of);
	of->agains = outcome->agains;
	*wait_us = outcome->wait_us;
	if (outcome->start < 0)
		of->at++;
	return fake_result(source, outcome->start);
}

/* Return: false: it is on the reactor's thread and leaves it to the worker */
static bool collects_here(struct source *source, struct fake *of)
{
	bool is_here = pthread_equal(pthread_self(), reactor_thread) != 0;

	ck_assert(is_here == source->is_prompt);
	of->here += is_here;
	return !is_here || of->leaves == 0 || of->leaves-- == 0;
}

static int fake_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	struct fake *of = fake_of(source);
	const struct outcome *outcome = outcome_of(of);
	char byte;

	if (!collects_here(source, of))
		return -EAGAIN;
	if (of->is_prompt) {
		ck_assert_uint_eq(source->readings, ++of->since_open);
		note_try(of);
	}
	source->is_prompt = of->is_prompt;
	if (of->gate >= 0) {
		atomic_store(&of->hangs, 1);
		ck_assert_int_eq(read(of->gate, &byte, 1), 1);
		atomic_store(&of->hangs, 0);
	}
	if (of->takes_us > 0)
		ck_assert_int_eq(usleep((useconds_t)of->takes_us), 0);
	if (of->agains > 0) {
		of->agains--;
		*wait_us = 10 * MSEC;
		return -EAGAIN;
	}
	of->at++;
	of->collects++;
	values[0] = outcome->value != 0 ? outcome->value : of->collects;
	return fake_result(source, outcome->collect);
}

static void fake_close(struct source *source)
{
	fake_of(source)->closes++;
	fake_of(source)->closed_here |= pthread_equal(pthread_self(), reactor_thread) != 0;
}

static const struct channel fake_channels[] = { { .name = "value", .unit = "V", .digits = 2 } };

struct driver fake_driver = {
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

static struct future stopped;

static void on_reading(struct device_events *events, const struct sensor_settings *of,
		       const struct reading *reading)
{
	(void)events;
	ck_assert_str_eq(reading->name, of->name);
	told.times_us[told.count++ % TIMES_MAX] = reactor_now(reactor);
	told.value = reading->values[0].number;
	if (told.count == told.stop_at)
		future_resolve(&stopped, 0);
	if (told.act)
		told.act();
}

static void on_status(struct device_events *events, enum device_kind kind, const char *of,
		      enum device_status status)
{
	size_t length = strlen(told.words);

	(void)events;
	(void)of;
	ck_assert_int_eq(kind, DEVICE_SENSOR);
	(void)snprintf(told.words + length, sizeof(told.words) - length, "%s ",
		       device_status_name(status));
	if (told.act)
		told.act();
}

static void on_bus(struct device_events *events, const struct sensor_settings *of, bool hangs)
{
	size_t length = strlen(told.buses);

	(void)events;
	ck_assert_ptr_nonnull(of->bus);
	(void)snprintf(told.buses + length, sizeof(told.buses) - length, "%s ",
		       hangs ? "hangs" : "answers");
}

static struct device_events events = { .reading = on_reading, .status = on_status, .bus = on_bus };
struct device_parts parts = { .events = &events, .stats = &stats };

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	va_list arguments;

	ck_assert_int_le(level, LOG_NOTICE);
	ck_assert_str_eq(fields->name, name);
	va_start(arguments, format);
	(void)vsnprintf(told.log, sizeof(told.log), format, arguments);
	va_end(arguments);
	told.logged++;
}

/* --- tools ---------------------------------------------------------------------------------- */

static void set_up_parts(void)
{
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 4), 0);
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
	fake_driver.kind = DRIVER_FILE;
	fake_driver.limit_us = 0;
	fake_driver.start = fake_start;
	memset(&told, 0, sizeof(told));
	memset(&stats, 0, sizeof(stats));
}

void set_up_virtual(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, EPOCH_US), 0);
	set_up_parts();
}

void set_up_real(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	set_up_parts();
}

void tear_down(void)
{
	sensor = sensor_free(sensor);
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	ck_assert_int_eq(fake.closes, fake.opens); /* every source is closed in the end */
	key = worker_key_free(key);
	reactor = reactor_free(reactor);
}

struct sensor *make(struct fake *of, const struct sensor_settings *with, struct worker_key *on)
{
	struct sensor *made = NULL;
	struct source *source;

	ck_assert_int_eq(source_new(&source, &fake_driver, of->options, NULL), 0);
	ck_assert_int_eq(sensor_new(&made, &parts, with, source, on), 0);
	return made;
}

void start(const struct outcome *program, size_t length)
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

void watch_until(int64_t until_us)
{
	struct task *task;

	future_init(&stopped, reactor, NULL);
	ck_assert_int_eq(task_spawn(&task, reactor, step_wait, &until_us, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
}

void watch_for(int64_t duration_us)
{
	watch_until(reactor_now(reactor) + duration_us);
}

const char *info_fault(void)
{
	struct device_info info;

	sensor_info(sensor, &info);
	return info.fault ? info.fault : "";
}

void on_answer(void *data, int error, const char *fault, const struct reading *reading)
{
	(void)data;
	asked.answers++;
	asked.error = error;
	ck_assert((error == 0) == (reading != NULL));
	ck_assert((error == 0) == (fault == NULL));
	(void)snprintf(asked.fault, sizeof(asked.fault), "%s", fault ? fault : "");
	asked.value = reading ? reading->values[0].number : NONE;
}

void ask(void)
{
	memset(&asked, 0, sizeof(asked));
	ck_assert_int_eq(sensor_read(sensor, on_answer, NULL), 0);
}

void act_free(void)
{
	told.act = NULL;
	sensor = sensor_free(sensor);
}
