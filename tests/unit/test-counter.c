/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inputs that count, on a fake line whose queue keeps QUEUE edges, as the kernel's does: of more the
 * oldest go. On the virtual clock.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "gpio-fixture.h"
#include "reactor-fixture.h"

#include "iotd/clock.h"
#include "iotd/device.h"
#include "iotd/log.h"

#define SECOND USEC_PER_SEC
#define MSEC   USEC_PER_MSEC
#define EPOCH  1000000007
#define QUEUE  256

static struct worker_key *key;
static struct stats stats;
static char name[] = "rain", chip[] = "gpiochip9";
static struct input_settings settings;
static struct input *input;

static struct {
	struct fake_line line;
	uint32_t sequence, taken; /* of the edges that were made, and read or dropped */
	int reads;
	int events_error;
} fake;

static struct {
	int readings;
	int64_t at_us; /* reactor time of the last */
	double total, rate;
	char units[40];
	char words[128];
} told;

/* --- the fake line -------------------------------------------------------------------------- */

static void put_edges(uint32_t count)
{
	if (fake.sequence == fake.taken)
		ck_assert_int_eq(write(fake.line.ends[1], "", 1), 1);
	fake.sequence += count;
	if (fake.sequence - fake.taken > QUEUE)
		fake.taken = fake.sequence - QUEUE;
}

static int fake_get(struct gpio_line *line, bool *ret_on)
{
	(void)line;
	*ret_on = false;
	return 0;
}

static int fake_read_events(struct gpio_line *line, struct gpio_event *events, size_t count)
{
	size_t taken = 0;
	char byte;

	(void)line;
	fake.reads++;
	if (fake.events_error)
		return fake.events_error;
	if (fake.taken == fake.sequence)
		return 0;
	while (taken < count && fake.taken < fake.sequence)
		events[taken++] = (struct gpio_event){ .on = true, .sequence = ++fake.taken };
	if (fake.taken == fake.sequence)
		ck_assert_int_eq(read(fake.line.ends[0], &byte, 1), 1);
	return (int)taken;
}

static const struct gpio_ops fake_ops = { fake_get, NULL, fake_read_events, fake_line_free };

static int fake_request(struct gpio_line **ret, const struct gpio_request *request,
			char fault[static 192])
{
	int r = fake_line_request(&fake.line);

	(void)fault;
	ck_assert_int_eq(request->edge, settings.edge);
	if (r < 0)
		return r;
	if (fake.line.ends[1] < 0) { /* the chip is back */
		closep(&fake.line.ends[0]);
		ck_assert_int_eq(pipe(fake.line.ends), 0);
	}
	fake.sequence = fake.taken = 0;
	fake_line_take(&fake.line, &fake_ops, ret);
	return 0;
}

static const struct gpio fake_gpio = { fake_request };

/* --- what it tells -------------------------------------------------------------------------- */

static void on_count(struct device_events *events, const struct input_settings *of,
		     const struct reading *reading)
{
	(void)events;
	ck_assert_ptr_eq(of, &settings);
	ck_assert_str_eq(reading->name, name);
	ck_assert_uint_eq(reading->count, 2);
	ck_assert_str_eq(reading->values[0].channel->name, "total");
	ck_assert_str_eq(reading->values[1].channel->name, "rate");
	told.readings++;
	told.at_us = reactor_now(reactor);
	told.total = reading->values[0].number;
	told.rate = reading->values[1].number;
	(void)snprintf(told.units, sizeof(told.units), "%s %s", reading->values[0].channel->unit,
		       reading->values[1].channel->unit);
}

static void on_status(struct device_events *events, enum device_kind kind, const char *of,
		      enum device_status status)
{
	(void)events;
	(void)kind;
	(void)of;
	text_append(told.words, sizeof(told.words), "%s ", device_status_name(status));
}

static struct device_events events = { .count = on_count, .status = on_status };
static struct device_parts parts = { .events = &events, .stats = &stats, .epoch_us = EPOCH };

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	(void)level;
	(void)fields;
	(void)format;
}

/* --- tools ---------------------------------------------------------------------------------- */

static void set_up(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, EPOCH), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 4), 0);
	ck_assert_int_eq(worker_key_new(&key, workers, 0), 0);
	parts.reactor = reactor;
	memset(&told, 0, sizeof(told));
	memset(&stats, 0, sizeof(stats));
	memset(&fake, 0, sizeof(fake));
	fake.line = (struct fake_line)FAKE_LINE_INIT;
	ck_assert_int_eq(pipe(fake.line.ends), 0);
	settings = (struct input_settings){ .name = name,
					    .line.chip = chip,
					    .edge = EDGE_RISING,
					    .count = true,
					    .interval_us = 60 * SECOND,
					    .scale = 1 };
}

static void tear_down(void)
{
	input = input_free(input);
	ck_assert_int_eq(workers_free(workers, 5 * SECOND), 0);
	key = worker_key_free(key);
	reactor = reactor_free(reactor);
	fake_line_close(&fake.line);
}

static void start(void)
{
	ck_assert_int_eq(input_new(&input, &parts, &settings, &fake_gpio, key), 0);
	run_for(SECOND);
}

static void assert_reading(int number, double total, double rate)
{
	ck_assert_int_eq(told.readings, number);
	ck_assert_double_eq_tol(told.total, total, 1e-9);
	ck_assert_double_eq_tol(told.rate, rate, 1e-9);
}

/* --- tests ---------------------------------------------------------------------------------- */

START_TEST(it_tells_at_the_start_and_at_multiples_of_its_interval)
{
	start();
	assert_reading(1, 0, 0);
	ck_assert_int_eq(told.at_us, EPOCH);
	put_edges(30);
	run_for(60 * SECOND);
	assert_reading(2, 30, 0.5);
	ck_assert_int_eq(told.at_us, EPOCH + 60 * SECOND);
	run_for(60 * SECOND);
	assert_reading(3, 30, 0); /* also when nothing comes */
	run_for(3600 * SECOND);
	assert_reading(63, 30, 0);
	ck_assert_uint_eq(stats.edges, 30);
	ck_assert_uint_eq(stats.readings, 63);
	ck_assert_str_eq(told.units, " Hz");
}
END_TEST

START_TEST(it_has_a_scale_and_a_unit)
{
	settings.scale = 0.2794;
	(void)strcpy(settings.unit, "mm");
	start();
	put_edges(10);
	run_for(60 * SECOND);
	assert_reading(2, 2.794, 2.794 / 60);
	ck_assert_str_eq(told.units, "mm mm/s");
}
END_TEST

START_TEST(what_the_queue_drops_is_counted_too)
{
	start();
	put_edges(10000);
	run_for(60 * SECOND);
	assert_reading(2, 10000, 10000 / 60.0);
	ck_assert_uint_eq(stats.edges, 10000);
	ck_assert_uint_eq(stats.edges_lost, 0);
}
END_TEST

START_TEST(an_edge_just_before_the_reading_is_in_it)
{
	start();
	put_edges(1);
	run_for(58 * SECOND + 950 * MSEC); /* it pauses after that */
	put_edges(1);
	run_for(10 * MSEC);
	put_edges(1);
	run_for(SECOND);
	assert_reading(2, 3, 3 / 60.0);
}
END_TEST

START_TEST(fast_edges_are_looked_at_ten_times_a_second)
{
	start();
	fake.reads = 0;
	for (int i = 0; i < 1000; i++) { /* a second, 10 kHz */
		put_edges(10);
		run_for(MSEC);
	}
	ck_assert_int_le(fake.reads, 10 * (100 * 10 / 16 + 2));
	ck_assert_uint_ge(stats.edges, 8900);
	run_for(60 * SECOND);
	assert_reading(2, 10000, 10000 / 60.0);
}
END_TEST

START_TEST(it_goes_on_counting_when_the_chip_is_back)
{
	start();
	put_edges(5);
	run_for(SECOND);
	fake_line_end_chip(&fake.line);
	run_for(SECOND);
	ck_assert_str_eq(told.words, "online offline online ");
	assert_reading(2, 5, 5 / 2.5); /* at once: half a second after the chip was gone */
	put_edges(3);
	run_for(60 * SECOND);
	ck_assert_double_eq_tol(told.total, 8, 1e-9);
}
END_TEST

START_TEST(a_queue_that_cannot_be_read_is_the_chips_end)
{
	start();
	fake.events_error = -ENODEV;
	if (_i == 0)
		put_edges(1);
	else
		run_for(59 * SECOND); /* seen when the reading is due */
	run_for(1);
	ck_assert_str_eq(told.words, "online offline ");
	fake.events_error = 0;
	run_for(SECOND);
	ck_assert_str_eq(told.words, "online offline online ");
}
END_TEST

START_TEST(it_can_be_read_in_between)
{
	struct device_info info;
	struct reading reading;
	struct state state;

	ck_assert_int_eq(input_new(&input, &parts, &settings, &fake_gpio, key), 0);
	ck_assert_int_eq(input_read_counter(input, &reading), -ENODATA);
	run_for(SECOND);
	put_edges(4);
	ck_assert_int_eq(input_read_counter(input, &reading), 0);
	assert_reading(2, 4, 4);
	ck_assert_double_eq_tol(reading.values[0].number, 4, 1e-9);
	ck_assert_int_eq(input_state(input, &state), -ENODATA);
	input_info(input, &info);
	ck_assert_int_eq(info.interval_us, 60 * SECOND);
	ck_assert_uint_eq(info.channel_count, 2);
	ck_assert_int_eq(info.state, -1);
	fake.line.request_error = -ENODEV;
	fake_line_end_chip(&fake.line);
	run_for(1);
	ck_assert_int_eq(input_read_counter(input, &reading), -ENODATA);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("counter");
	TCase *cases = tcase_create("counter");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, it_tells_at_the_start_and_at_multiples_of_its_interval);
	tcase_add_test(cases, it_has_a_scale_and_a_unit);
	tcase_add_test(cases, what_the_queue_drops_is_counted_too);
	tcase_add_test(cases, an_edge_just_before_the_reading_is_in_it);
	tcase_add_test(cases, fast_edges_are_looked_at_ten_times_a_second);
	tcase_add_test(cases, it_goes_on_counting_when_the_chip_is_back);
	tcase_add_loop_test(cases, a_queue_that_cannot_be_read_is_the_chips_end, 0, 2);
	tcase_add_test(cases, it_can_be_read_in_between);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
