/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inputs on a fake line: a byte in its pipe is an edge that waits. On the virtual clock; what hangs for
 * real runs on the kernel's clock.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "gpio-fixture.h"
#include "reactor-fixture.h"

#include "iotd/clock.h"
#include "iotd/device.h"
#include "iotd/log.h"

#define SECOND	  USEC_PER_SEC
#define MSEC	  USEC_PER_MSEC
#define EDGES_MAX 128
#define GONE                                                                                       \
	"gpiochip9 is gone (unplugged?); if it comes back with another number, name it by its "    \
	"label"

enum during {
	NOTHING,
	EDGE,
	GAP,
	END
}; /* what happens while the level is read */

static struct worker_key *key;
static struct stats stats;
static char name[] = "door", chip[] = "gpiochip9";
static struct input_settings settings;
static struct input *input;

/* the worker's while a job is out, but for what a byte in the pipe announces */
static struct {
	struct fake_line line;
	int get_error, events_error;
	int gets;
	enum during during;
	struct gpio_event edges[EDGES_MAX];
	size_t put, taken;
	uint32_t sequence;
} fake;

static pthread_mutex_t edges_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct {
	char words[512]; /* "online on off offline " */
	int states;
	int64_t time_us;
	int readings;
	double since_start, total;
	char logs[1024];
} told;

/* --- the fake line -------------------------------------------------------------------------- */

static void put_edge(bool on, int64_t monotonic_us)
{
	(void)pthread_mutex_lock(&edges_mutex);
	ck_assert_uint_lt(fake.put, EDGES_MAX);
	fake.line.level = on;
	fake.edges[fake.put++] = (struct gpio_event){ .on = on,
						      .monotonic_us = monotonic_us,
						      .sequence = ++fake.sequence };
	ck_assert_int_eq(write(fake.line.ends[1], "", 1), 1);
	(void)pthread_mutex_unlock(&edges_mutex);
}

static int fake_get(struct gpio_line *line, bool *ret_on)
{
	enum during during = fake.during;

	(void)line;
	fake.gets++;
	*ret_on = fake.line.level;
	fake.during = NOTHING;
	if (during == GAP)
		fake.sequence += 5;
	if (during == EDGE || during == GAP)
		put_edge(!fake.line.level, clock_monotonic_us());
	if (during == END)
		fake_line_end_chip(&fake.line);
	fake_line_pass_gate(&fake.line);
	return fake.get_error;
}

static int fake_set(struct gpio_line *line, bool on)
{
	(void)line;
	(void)on;
	return -EPERM;
}

static int fake_read_events(struct gpio_line *line, struct gpio_event *events, size_t count)
{
	size_t taken = 0;
	char byte;

	(void)line;
	if (fake.events_error)
		return fake.events_error;
	(void)pthread_mutex_lock(&edges_mutex);
	while (taken < count && fake.taken < fake.put) {
		ck_assert_int_eq(read(fake.line.ends[0], &byte, 1), 1);
		events[taken++] = fake.edges[fake.taken++];
	}
	(void)pthread_mutex_unlock(&edges_mutex);
	return (int)taken;
}

static const struct gpio_ops fake_ops = { fake_get, fake_set, fake_read_events, fake_line_free };

static int fake_request(struct gpio_line **ret, const struct gpio_request *request,
			char fault[static 192])
{
	int r;

	ck_assert_str_eq(request->line->chip, settings.line.chip);
	ck_assert(!request->output);
	ck_assert_int_eq(request->edge, settings.edge);
	ck_assert_int_eq(request->debounce_us, settings.debounce_us);
	ck_assert_str_eq(request->consumer, "iotd:door");
	r = fake_line_request(&fake.line);
	if (r < 0) {
		if (r == -EBUSY)
			(void)snprintf(fault, 192, "line 17 is held by \"gpiomon\"");
		return r;
	}
	if (fake.line.ends[1] < 0) { /* the chip is back */
		closep(&fake.line.ends[0]);
		ck_assert_int_eq(pipe(fake.line.ends), 0);
	}
	fake.sequence = 0;
	fake_line_take(&fake.line, &fake_ops, ret);
	return 0;
}

static const struct gpio fake_gpio = { fake_request };

/* --- what devices tell ---------------------------------------------------------------------- */

static void on_status(struct device_events *events, enum device_kind kind, const char *of,
		      enum device_status status)
{
	(void)events;
	ck_assert_int_eq(kind, DEVICE_INPUT);
	ck_assert_str_eq(of, name);
	text_append(told.words, sizeof(told.words), "%s ", device_status_name(status));
}

static void on_state(struct device_events *events, const struct state *state)
{
	(void)events;
	ck_assert_int_eq(state->kind, DEVICE_INPUT);
	ck_assert_str_eq(state->name, name);
	text_append(told.words, sizeof(told.words), "%s ", state->on ? "on" : "off");
	told.states++;
	told.time_us = state->time_us;
}

static void on_count(struct device_events *events, const struct input_settings *of,
		     const struct reading *reading)
{
	(void)events;
	ck_assert_ptr_eq(of, &settings);
	ck_assert_str_eq(reading->values[0].channel->name, "since_start");
	ck_assert_str_eq(reading->values[0].channel->unit, "s");
	told.readings++;
	told.since_start = reading->values[0].number;
	told.total = -1;
	if (reading->count == 1)
		return;
	ck_assert_str_eq(reading->values[1].channel->name, "total");
	told.total = reading->values[1].number;
}

static void on_counted(struct device_events *events)
{
	(void)events;
}

static struct device_events events = { .count = on_count, .status = on_status, .state = on_state };
static struct device_parts parts = { .events = &events, .stats = &stats };

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	size_t length = strlen(told.logs);
	va_list arguments;

	(void)level;
	ck_assert_str_eq(fields->name, name);
	va_start(arguments, format);
	(void)vsnprintf(told.logs + length, sizeof(told.logs) - length, format, arguments);
	va_end(arguments);
	text_append(told.logs, sizeof(told.logs), "| ");
}

/* --- tools ---------------------------------------------------------------------------------- */

static void set_up_parts(void)
{
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 4), 0);
	ck_assert_int_eq(worker_key_new(&key, workers, 0), 0);
	parts.reactor = reactor;
	events.counted = NULL;
	memset(&told, 0, sizeof(told));
	memset(&stats, 0, sizeof(stats));
	memset(&fake, 0, sizeof(fake));
	fake.line = (struct fake_line)FAKE_LINE_INIT;
	ck_assert_int_eq(pipe(fake.line.ends), 0);
	settings = (struct input_settings){
		.name = name, .line.chip = chip, .edge = EDGE_FALLING, .debounce_us = 20 * MSEC
	};
}

static void set_up_virtual(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, 1000000007), 0);
	set_up_parts();
}

static void set_up_real(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	set_up_parts();
}

static void tear_down(void)
{
	input = input_free(input);
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	key = worker_key_free(key);
	reactor = reactor_free(reactor);
	fake_line_close(&fake.line);
}

static void make(void)
{
	ck_assert_int_eq(input_new(&input, &parts, &settings, &fake_gpio, key), 0);
}

static void start(void)
{
	make();
	run_for(1);
	told.words[0] = '\0';
	told.states = 0;
}

static void assert_told(const char *words)
{
	ck_assert_str_eq(told.words, words);
	told.words[0] = '\0';
}

static const char *info_fault(void)
{
	struct device_info info;

	input_info(input, &info);
	ck_assert_int_eq(info.kind, DEVICE_INPUT);
	ck_assert((info.status == STATUS_OFFLINE) == (info.fault != NULL));
	return info.fault ? info.fault : "";
}

static int64_t now_us(void)
{
	return clock_monotonic_us();
}

/* --- edges ---------------------------------------------------------------------------------- */

START_TEST(it_tells_its_state_at_the_start)
{
	int64_t before_us = clock_realtime_us();
	struct state state;

	fake.line.level = _i;
	make();
	ck_assert_int_eq(input_state(input, &state), -ENODATA);
	run_for(3600 * SECOND);
	assert_told(_i ? "online on " : "online off ");
	ck_assert_int_eq(input_state(input, &state), 0);
	ck_assert_int_eq(state.on, _i);
	ck_assert_str_eq(state.name, name);
	ck_assert_int_ge(state.time_us, before_us);
	ck_assert_int_le(state.time_us, clock_realtime_us());
	ck_assert_str_eq(info_fault(), "");
}
END_TEST

/* that long ago, give or take a second and what it took us since */
static void assert_told_time(int64_t ago_us, int64_t since_us)
{
	int64_t now_us = clock_realtime_us();

	ck_assert_int_le(llabs(told.time_us + ago_us - now_us), now_us - since_us + SECOND);
}

START_TEST(an_edge_has_the_kernels_time)
{
	int64_t since_us;

	start();
	since_us = clock_realtime_us();
	put_edge(true, now_us() - 50 * SECOND);
	run_for(1);
	assert_told("on ");
	assert_told_time(50 * SECOND, since_us);
	since_us = clock_realtime_us();
	put_edge(false, now_us() - 30 * SECOND);
	run_for(1);
	assert_told("off ");
	assert_told_time(30 * SECOND, since_us);
	ck_assert_uint_eq(stats.edges, 2);
	ck_assert_uint_eq(stats.edges_lost, 0);
}
END_TEST

START_TEST(what_is_known_of_it_has_the_time_of_its_state)
{
	struct device_info info;

	start();
	put_edge(true, now_us() - 5 * SECOND);
	run_for(1);
	input_info(input, &info);
	ck_assert_int_eq(info.state, true);
	ck_assert_int_eq(info.state_us, told.time_us);
	fake.line.request_error = -ENOENT;
	fake_line_end_chip(&fake.line);
	run_for(1);
	input_info(input, &info);
	ck_assert_int_eq(info.state, -1);
	ck_assert_int_eq(info.state_us, 0);
}
END_TEST

START_TEST(a_burst_is_told_whole_and_in_order)
{
	start();
	for (int i = 0; i < 50; i++)
		put_edge(i % 2 == 0, now_us());
	run_for(1);
	ck_assert_int_eq(told.states, 50);
	ck_assert_int_eq(strncmp(told.words, "on off on off on ", 17), 0);
	ck_assert_uint_eq(stats.edges, 50);
	ck_assert_int_eq(fake.gets, 1); /* none lost, so the level is not asked again */
}
END_TEST

START_TEST(each_edge_of_one_direction_is_told)
{
	start();
	for (int i = 0; i < 3; i++)
		put_edge(true, now_us());
	run_for(1);
	assert_told("on on on ");
}
END_TEST

/* after a gap: the level that is read, and what happens meanwhile */
static const struct {
	bool level;
	enum during during;
	const char *told;
	uint64_t lost;
	int gets;
} gaps[] = {
	{ true, NOTHING, "on ", 7, 2 },		      /* the edge knew it */
	{ false, NOTHING, "on off ", 7, 2 },	      /* the last edge was lost */
	{ true, EDGE, "on off ", 7, 2 },	      /* what was read before the edge is old */
	{ false, GAP, "on on ", 12, 3 },	      /* lost again: read again */
	{ true, END, "on offline online on ", 7, 3 }, /* lost for good while it is read */
};

START_TEST(lost_edges_are_counted_and_the_level_is_read_anew)
{
	start();
	fake.sequence += 7;
	put_edge(true, now_us());
	fake.line.level = gaps[_i].level;
	fake.during = gaps[_i].during;
	run_for(600 * MSEC);
	assert_told(gaps[_i].told);
	ck_assert_uint_eq(stats.edges_lost, gaps[_i].lost);
	ck_assert_int_eq(fake.gets, gaps[_i].gets);
	put_edge(!fake.line.level, now_us()); /* it still watches */
	run_for(1);
	assert_told(fake.line.level ? "on " : "off ");
	ck_assert_uint_eq(stats.edges_lost, gaps[_i].lost);
}
END_TEST

START_TEST(a_loss_is_logged_when_it_begins_and_when_it_ends)
{
	start();
	for (int i = 1; i <= 3; i++) {
		fake.sequence += 7;
		put_edge(i % 2 == 0, now_us());
		run_for(4 * SECOND);
	}
	ck_assert_uint_eq(stats.edges, 3);
	ck_assert_uint_eq(stats.edges_lost, 21);
	ck_assert_str_eq(told.logs,
			 "input door: edges are lost: they come faster than they are read; where "
			 "that is no fault of the line, count = true misses none| ");
	told.logs[0] = '\0';
	run_for(60 * SECOND);
	ck_assert_str_eq(told.logs, "input door: no edges are lost any more; 21 were, in 8.0 s| ");
	fake.sequence++;
	put_edge(true, now_us());
	run_for(1);
	ck_assert_ptr_nonnull(strstr(told.logs, "edges are lost:"));
}
END_TEST

/* --- on_time -------------------------------------------------------------------------------- */

/* the line is taken, and its level known, a microsecond before this returns */
static void start_on_time(bool on)
{
	settings.edge = EDGE_BOTH;
	settings.on_time = true;
	settings.interval_us = 60 * SECOND;
	fake.line.level = on;
	make();
	run_for(1);
}

static void assert_on_time(double seconds)
{
	struct count count;
	bool is_whole;

	ck_assert_int_eq(input_count(input, &count, &is_whole), 0);
	ck_assert_int_eq(count.kind, COUNT_ON_TIME);
	ck_assert_double_eq_tol((double)count.run / 1e6, seconds, 1e-9);
}

START_TEST(on_time_is_from_edge_to_edge)
{
	start_on_time(false);
	ck_assert_int_eq(told.readings, 1);
	run_for(10 * SECOND);
	put_edge(true, reactor_monotonic(reactor) - 300 * MSEC); /* it is read a little later */
	run_for(5 * SECOND);
	put_edge(false, reactor_monotonic(reactor) - 100 * MSEC);
	run_for(SECOND);
	assert_on_time(5.2);
	run_for(60 * SECOND);
	ck_assert_double_eq_tol(told.since_start, 5.2, 1e-9);
	ck_assert_double_eq_tol(told.total, 5.2, 1e-9);
}
END_TEST

START_TEST(a_line_that_is_on_at_the_start_counts_from_there)
{
	start_on_time(true);
	run_for(90 * SECOND - 1);
	assert_on_time(90);
	run_for(3600 * SECOND - 90 * SECOND);
	ck_assert_int_eq(told.readings, 61);
	ck_assert_double_eq_tol(told.total, 3560 - 7e-6,
				1e-9);		    /* readings are on a grid of their own */
	put_edge(true, reactor_monotonic(reactor)); /* the same once more: nothing new */
	run_for(SECOND);
	put_edge(false, reactor_monotonic(reactor));
	run_for(60 * SECOND);
	assert_on_time(3601);
}
END_TEST

START_TEST(on_time_stops_when_the_chip_is_gone)
{
	struct count count;
	bool is_whole;

	start_on_time(true);
	run_for(10 * SECOND - 1);
	fake.line.request_error = -ENOENT;
	fake_line_end_chip(&fake.line);
	run_for(100 * SECOND);
	assert_on_time(10);
	fake.line.request_error = 0;
	run_for(10 * SECOND); /* it is back within that, and on */
	ck_assert_int_eq(input_count(input, &count, &is_whole), 0);
	ck_assert_uint_ge(count.run, 10 * SECOND);
	ck_assert_uint_le(count.run, 20 * SECOND);
	run_for(60 * SECOND);
	assert_on_time(60 + (double)count.run / 1e6);
}
END_TEST

START_TEST(on_time_stands_still_while_the_host_sleeps)
{
	start_on_time(true);
	run_for(10 * SECOND - 1);
	reactor_set_slept(reactor, 3600 * SECOND);
	run_for(3600 * SECOND); /* which the host slept through */
	assert_on_time(10);
	run_for(5 * SECOND);
	put_edge(false, reactor_monotonic(reactor));
	run_for(1);
	assert_on_time(15);
}
END_TEST

START_TEST(on_time_goes_on_from_what_was_kept)
{
	static const struct count kept = {
		.kind = COUNT_ON_TIME, .start = 100, .amount = 20 * SECOND, .run = 7 * SECOND
	};
	double before;

	events.counted = on_counted;
	start_on_time(true);
	ck_assert_int_eq(told.readings, 0);
	input_restore(input, &kept, true); /* as at a reload that made it anew */
	ck_assert_int_eq(told.readings, 1);
	ck_assert_double_eq_tol(told.total, 120 + 1e-6, 1e-9);
	ck_assert_double_eq_tol(told.since_start, 7 + 1e-6, 1e-9);
	run_for(5 * SECOND);
	ck_assert_int_eq(input_set_total(input, 1000, &before), 0);
	ck_assert_double_eq_tol(before, 125 + 1e-6, 1e-9);
	ck_assert_double_eq_tol(told.total, 1000, 1e-9);
	ck_assert_double_eq_tol(told.since_start, 12 + 1e-6, 1e-9);
	run_for(3 * SECOND);
	put_edge(false, reactor_monotonic(reactor));
	run_for(60 * SECOND);
	ck_assert_double_eq_tol(told.total, 1003, 1e-9);
}
END_TEST

START_TEST(an_input_that_counts_nothing_says_so)
{
	struct count count;
	bool is_whole;
	double before;

	start();
	ck_assert_int_eq(input_count(input, &count, &is_whole), -ENOTSUP);
	ck_assert_int_eq(input_set_total(input, 1, &before), -ENOTSUP);
	ck_assert_int_eq(told.readings, 0);
}
END_TEST

/* --- failures ------------------------------------------------------------------------------- */

START_TEST(a_chip_that_is_gone_comes_back)
{
	struct state state;

	start();
	put_edge(true, now_us());
	run_for(1);
	fake.line.request_error = -ENOENT;
	fake_line_end_chip(&fake.line);
	run_for(1);
	assert_told("on offline ");
	ck_assert_str_eq(info_fault(), GONE);
	ck_assert_int_eq(input_state(input, &state), -ENODATA);
	run_for(2 * SECOND);
	ck_assert_str_eq(info_fault(), "No such file or directory");
	fake.line.request_error = 0;
	fake.line.level = false;
	run_for(10 * SECOND);
	assert_told("online off ");
	ck_assert_str_eq(told.logs, "input door: offline: " GONE "; trying again| "
				    "input door: online again after 3.5 s, 3 failed tries| ");
	put_edge(true, now_us());
	run_for(1);
	assert_told("on ");
	ck_assert_uint_eq(stats.edges_lost, 0);
}
END_TEST

START_TEST(a_queue_that_cannot_be_read_is_the_chips_end)
{
	start();
	fake.events_error = -ENODEV;
	put_edge(true, now_us());
	run_for(1);
	assert_told("offline ");
	fake.events_error = 0;
	fake.taken = fake.put;
	fake_line_end_chip(&fake.line); /* empties the pipe */
	run_for(SECOND);
	assert_told("online on ");
}
END_TEST

START_TEST(a_chip_that_comes_is_taken_at_once)
{
	fake.line.request_error = -ENOENT;
	make();
	run_for(20 * SECOND);
	ck_assert_int_eq(fake.line.requests, 6); /* the next would be in 5.5 s */
	input_chips_changed(input);		 /* its node is not ours yet */
	run_for(1);
	ck_assert_int_eq(fake.line.requests, 7);
	input_chips_changed(input);
	fake.line.request_error = 0;
	run_for(1);
	assert_told("offline online off ");
	input_chips_changed(input); /* another chip's business */
	run_for(60 * SECOND);
	ck_assert_int_eq(fake.line.requests, 8);
	put_edge(true, now_us());
	run_for(1);
	assert_told("on ");
}
END_TEST

START_TEST(a_chip_that_does_not_come_is_asked_for_more_often_for_a_while)
{
	fake.line.request_error = -ENOENT;
	make();
	run_for(20 * SECOND);
	input_chips_changed(input);
	run_for(SECOND);
	ck_assert_int_eq(fake.line.requests, 8);
	ck_assert_int_eq(fake.line.times_us[7] - fake.line.times_us[6], 500 * MSEC);
}
END_TEST

START_TEST(a_chip_that_comes_while_it_is_asked_for_is_asked_again)
{
	int gate[2];

	ck_assert_int_eq(pipe(gate), 0);
	fake.line.gate = gate[0];
	fake.get_error = -EIO;
	make();
	while (!atomic_load(&fake.line.hangs))
		run_turn();
	input_chips_changed(input);
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	run_for(1);
	ck_assert_int_eq(fake.line.requests, 2);
	(void)close(gate[0]);
	(void)close(gate[1]);
}
END_TEST

static const struct {
	int error;
	const char *fault;
} refusals[] = {
	{ -EBUSY, "line 17 is held by \"gpiomon\"" },
	{ -ENOENT, "No such file or directory" },
	{ -EACCES, "Permission denied" },
};

START_TEST(a_line_that_is_refused_is_tried_again)
{
	static const int64_t distances_ms[] = { 500, 1000, 2000, 4000, 8000, 10000, 10000 };
	char log[256];

	fake.line.request_error = refusals[_i].error;
	make();
	run_for(40 * SECOND);
	ck_assert_int_eq(fake.line.requests, 8);
	for (size_t i = 0; i < ARRAY_SIZE(distances_ms); i++)
		ck_assert_int_eq(fake.line.times_us[i + 1] - fake.line.times_us[i],
				 distances_ms[i] * MSEC);
	assert_told("offline ");
	ck_assert_str_eq(info_fault(), refusals[_i].fault);
	(void)snprintf(log, sizeof(log), "input door: offline: %s; trying again| ",
		       refusals[_i].fault);
	ck_assert_str_eq(told.logs, log); /* once */
	fake.line.request_error = 0;
	run_for(10 * SECOND);
	assert_told("online off ");
}
END_TEST

START_TEST(a_line_that_cannot_be_read_is_given_back)
{
	fake.get_error = -EIO;
	make();
	run_for(10 * SECOND);
	assert_told("offline ");
	ck_assert_int_ge(fake.line.takes, 4);
	ck_assert_int_ge(fake.line.frees, fake.line.takes - 1);
	fake.get_error = 0;
	run_for(10 * SECOND);
	assert_told("online off ");
}
END_TEST

START_TEST(a_level_that_cannot_be_read_anew_is_a_failure)
{
	start();
	fake.sequence += 2;
	fake.get_error = -EIO;
	put_edge(true, now_us());
	run_for(1);
	assert_told("on offline ");
	ck_assert_str_eq(info_fault(), "Input/output error");
	fake.get_error = 0;
	run_for(SECOND);
	assert_told("online on ");
}
END_TEST

/* --- the end -------------------------------------------------------------------------------- */

START_TEST(it_may_be_freed_at_any_state)
{
	if (_i == 2)
		fake.line.request_error = -EBUSY;
	make();
	if (_i >= 1)
		run_for(1);
	if (_i == 3)
		put_edge(true, now_us()); /* with an edge waiting */
	if (_i == 4)
		fake_line_end_chip(&fake.line);
	input = input_free(input);
	told.words[0] = '\0';
	run_for(60 * SECOND);
	assert_told("");
	ck_assert_int_eq(fake.line.takes, fake.line.frees);
	ck_assert_int_le(fake.line.takes, 1);
	ck_assert_ptr_null(input_free(NULL));
}
END_TEST

START_TEST(a_chip_that_hangs_is_offline_until_it_answers)
{
	int64_t begun_us = reactor_now(reactor);
	int gate[2];

	ck_assert_int_eq(pipe(gate), 0);
	fake.line.gate = gate[0];
	make();
	run_until(told.words[0]);
	ck_assert_int_ge(reactor_now(reactor) - begun_us, 3 * SECOND);
	assert_told("offline ");
	ck_assert_str_eq(info_fault(), "no answer within 3 s: gpiochip9 hangs");
	ck_assert_int_eq(atomic_load(&fake.line.hangs), 1);
	if (_i == 1)
		input = input_free(input);
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	run_until(fake.line.takes > 0 && (_i == 0 ? strlen(told.words) > 7 : fake.line.frees > 0));
	run_for(20 * MSEC);
	assert_told(_i == 1 ? "" : "online off ");
	ck_assert_int_eq(fake.line.takes - fake.line.frees, _i == 1 ? 0 : 1);
	(void)close(gate[0]);
	(void)close(gate[1]);
}
END_TEST

static TCase *edge_cases(void)
{
	TCase *cases = tcase_create("edges");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_loop_test(cases, it_tells_its_state_at_the_start, 0, 2);
	tcase_add_test(cases, an_edge_has_the_kernels_time);
	tcase_add_test(cases, what_is_known_of_it_has_the_time_of_its_state);
	tcase_add_test(cases, a_burst_is_told_whole_and_in_order);
	tcase_add_test(cases, each_edge_of_one_direction_is_told);
	tcase_add_loop_test(cases, lost_edges_are_counted_and_the_level_is_read_anew, 0,
			    (int)ARRAY_SIZE(gaps));
	tcase_add_test(cases, a_loss_is_logged_when_it_begins_and_when_it_ends);
	return cases;
}

static TCase *on_time_cases(void)
{
	TCase *cases = tcase_create("on_time");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_test(cases, on_time_is_from_edge_to_edge);
	tcase_add_test(cases, a_line_that_is_on_at_the_start_counts_from_there);
	tcase_add_test(cases, on_time_stops_when_the_chip_is_gone);
	tcase_add_test(cases, on_time_stands_still_while_the_host_sleeps);
	tcase_add_test(cases, on_time_goes_on_from_what_was_kept);
	tcase_add_test(cases, an_input_that_counts_nothing_says_so);
	return cases;
}

static TCase *failure_cases(void)
{
	TCase *cases = tcase_create("failures");

	tcase_add_checked_fixture(cases, set_up_virtual, tear_down);
	tcase_add_test(cases, a_chip_that_is_gone_comes_back);
	tcase_add_test(cases, a_chip_that_comes_is_taken_at_once);
	tcase_add_test(cases, a_chip_that_does_not_come_is_asked_for_more_often_for_a_while);
	tcase_add_test(cases, a_chip_that_comes_while_it_is_asked_for_is_asked_again);
	tcase_add_test(cases, a_queue_that_cannot_be_read_is_the_chips_end);
	tcase_add_loop_test(cases, a_line_that_is_refused_is_tried_again, 0,
			    (int)ARRAY_SIZE(refusals));
	tcase_add_test(cases, a_line_that_cannot_be_read_is_given_back);
	tcase_add_test(cases, a_level_that_cannot_be_read_anew_is_a_failure);
	tcase_add_loop_test(cases, it_may_be_freed_at_any_state, 0, 5);
	return cases;
}

static TCase *hang_cases(void)
{
	TCase *cases = tcase_create("hangs");

	tcase_add_checked_fixture(cases, set_up_real, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, a_chip_that_hangs_is_offline_until_it_answers, 0, 2);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("input");

	suite_add_tcase(suite, edge_cases());
	suite_add_tcase(suite, on_time_cases());
	suite_add_tcase(suite, failure_cases());
	suite_add_tcase(suite, hang_cases());
	return suite_run(suite);
}
