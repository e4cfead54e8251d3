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
	int64_t times_us[QUEUE];  /* by sequence, of the latest */
	int reads;
	int events_error;
} fake;

static struct {
	int readings;
	int64_t at_us; /* reactor time of the last */
	double total, rate, frequency;
	char channels[80];
	char words[128];
} told;

/* --- the fake line -------------------------------------------------------------------------- */

static void put_edge_at(int64_t time_us)
{
	if (fake.sequence == fake.taken)
		ck_assert_int_eq(write(fake.line.ends[1], "", 1), 1);
	fake.times_us[++fake.sequence % QUEUE] = time_us;
	if (fake.sequence - fake.taken > QUEUE)
		fake.taken = fake.sequence - QUEUE;
}

/* one each @gap_us, from that time on; they are read when they come */
static void put_edges_each(int count, int64_t gap_us)
{
	for (int i = 0; i < count; i++) {
		run_for(gap_us);
		put_edge_at(reactor_monotonic(reactor));
	}
}

/* at once */
static void put_edges(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		put_edge_at(reactor_monotonic(reactor));
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
	while (taken < count && fake.taken < fake.sequence) {
		fake.taken++;
		events[taken++] =
			(struct gpio_event){ .on = true,
					     .sequence = fake.taken,
					     .monotonic_us = fake.times_us[fake.taken % QUEUE] };
	}
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
	told.readings++;
	told.at_us = reactor_now(reactor);
	told.channels[0] = '\0';
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];
		const char *channel = value->channel->name;

		text_append(told.channels, sizeof(told.channels), "%s %s ", channel,
			    value->channel->unit);
		if (strcmp(channel, "total") == 0)
			told.total = value->number;
		else if (strcmp(channel, "rate") == 0)
			told.rate = value->number;
		else if (strcmp(channel, "frequency") == 0)
			told.frequency = value->number;
		else
			ck_abort_msg("%s", channel);
	}
}

static void on_status(struct device_events *events, enum device_kind kind, const char *of,
		      enum device_status status)
{
	(void)events;
	(void)kind;
	(void)of;
	text_append(told.words, sizeof(told.words), "%s ", device_status_name(status));
}

static int counted;

static void on_counted(struct device_events *events)
{
	(void)events;
	counted++;
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
	events.counted = NULL;
	counted = 0;
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
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
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
	put_edges_each(29, 2 * SECOND); /* 3, 5 … 59 s */
	run_for(SECOND);
	assert_reading(2, 29, 0.5);
	ck_assert_int_eq(told.at_us, EPOCH + 60 * SECOND);
	run_for(60 * SECOND);
	assert_reading(3, 29, 1.0 / 61); /* also when nothing comes */
	run_for(3600 * SECOND);
	assert_reading(63, 29, 1.0 / 3661);
	ck_assert_uint_eq(stats.edges, 29);
	ck_assert_uint_eq(stats.readings, 63);
	ck_assert_str_eq(told.channels, "total  rate Hz ");
}
END_TEST

START_TEST(it_has_a_scale_and_a_unit)
{
	settings.scale = 0.2794;
	(void)strcpy(settings.unit, "mm");
	start();
	put_edges_each(11, 5 * SECOND);
	run_for(4 * SECOND);
	assert_reading(2, 3.0734, 0.2794 / 5);
	ck_assert_str_eq(told.channels, "total mm rate mm/s ");
}
END_TEST

START_TEST(what_the_queue_drops_is_counted_too)
{
	start();
	put_edges(1);
	run_for(10 * SECOND);
	put_edges(10000);
	run_for(50 * SECOND);
	/* evenly from second 1 to 11, and since then not one more than one */
	assert_reading(2, 10001, (10000 + 1) / 59.0);
	ck_assert_uint_eq(stats.edges, 10001);
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
	ck_assert_int_eq(told.readings, 2);
	ck_assert_double_eq_tol(told.total, 3, 1e-9);
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
	ck_assert_double_eq_tol(told.total, 10000, 1e-9);
}
END_TEST

/* --- how fast ------------------------------------------------------------------------------- */

START_TEST(the_rate_goes_by_the_edges_own_times)
{
	int64_t begin_us;

	start();
	begin_us = reactor_monotonic(reactor);
	run_for(50 * SECOND);
	put_edge_at(begin_us + 1 * SECOND); /* however late they are read */
	put_edge_at(begin_us + 20 * SECOND);
	put_edge_at(begin_us + 39 * SECOND);
	put_edge_at(begin_us + 58 * SECOND);
	run_for(9 * SECOND);
	assert_reading(2, 4, 1.0 / 19);
}
END_TEST

/* gaps that no interval is a multiple of, and many times longer ones */
static const int64_t gaps_us[] = { 7 * SECOND, 61 * SECOND + 300 * MSEC, 600 * SECOND,
				   7200 * SECOND + 1 };

/* an edge each @gap_us after the last one */
static void run_steadily(int64_t duration_us, int64_t gap_us)
{
	int64_t end_us = reactor_monotonic(reactor) + duration_us, now_us;

	while ((now_us = reactor_monotonic(reactor)) < end_us) {
		int64_t edge_us = fake.times_us[fake.sequence % QUEUE] + gap_us;

		if (edge_us <= now_us)
			put_edge_at(edge_us);
		else
			run_for((edge_us < end_us ? edge_us : end_us) - now_us);
	}
}

START_TEST(a_steady_meter_has_a_steady_rate_however_slow_it_is)
{
	double rate = 1e6 / (double)gaps_us[_i];

	settings.frequency = true;
	start();
	put_edges_each(2, gaps_us[_i]);
	told.readings = 0;
	for (int i = 0; i < 400; i++) {
		run_steadily(60 * SECOND, gaps_us[_i]);
		ck_assert_int_ge(told.readings, i);
		ck_assert_double_eq_tol(told.rate, rate, rate * 1e-9);
		ck_assert_double_eq_tol(told.frequency, rate, rate * 1e-9);
	}
	ck_assert_uint_ge(fake.sequence, 5);
}
END_TEST

START_TEST(it_falls_when_the_next_edge_is_late)
{
	settings.frequency = true;
	start();
	put_edges_each(4, 10 * SECOND); /* the last at 41 s */
	run_for(19 * SECOND);
	/* the 4th gap is open for 19 s: no more than one edge in that time */
	assert_reading(2, 4, (3 + 1) / 49.0);
	ck_assert_double_eq_tol(told.frequency, 1 / 19.0, 1e-9);
	run_for(60 * SECOND);
	assert_reading(3, 4, 1 / 79.0);
	ck_assert_double_eq_tol(told.frequency, 1 / 79.0, 1e-9);
	run_for(3600 * SECOND);
	ck_assert_double_eq_tol(told.rate, 1 / 3679.0, 1e-9);
}
END_TEST

START_TEST(a_burst_after_silence_is_no_more_than_it_is)
{
	settings.frequency = true;
	start();
	put_edges_each(1, 10 * SECOND);
	run_for(3600 * SECOND - 11 * SECOND); /* a reading, this moment */
	put_edges_each(100, 10 * MSEC);
	run_for(59 * SECOND);
	/* of the first one a little is of this hour, and one may be on its way */
	ck_assert_double_eq_tol(told.rate, (99 + 0.01 / 3589.01 + 1) / 60, 1e-9);
	ck_assert_double_eq_tol(told.frequency, 1 / 59.0, 1e-9);
}
END_TEST

START_TEST(nothing_is_known_before_the_second_edge)
{
	start();
	put_edges_each(1, 30 * SECOND);
	run_for(29 * SECOND);
	assert_reading(2, 1, 0);
	run_for(SECOND);
	put_edges(1); /* 61 s, half a minute after the first */
	run_for(59 * SECOND);
	ck_assert_double_eq_tol(told.rate, (1.0 * 1 / 30 + 59 / 59.0) / 60, 1e-9);
}
END_TEST

START_TEST(frequency_counts_whole_gaps)
{
	settings.frequency = true;
	settings.interval_us = SECOND;
	settings.scale = 2;
	start();
	put_edges_each(60, 19999); /* 50.0025 Hz, with a second's end in any gap */
	for (int i = 0; i < 10; i++) {
		put_edges_each(50, 19999);
		ck_assert_double_eq_tol(told.frequency, 1e6 / 19999, 1e-9);
		ck_assert_double_eq_tol(told.rate, 2e6 / 19999, 1e-9);
	}
	ck_assert_str_eq(told.channels, "total  rate Hz frequency Hz ");
}
END_TEST

/* --- what is kept --------------------------------------------------------------------------- */

static void start_kept(void)
{
	events.counted = on_counted;
	start();
	ck_assert_int_eq(told.readings, 0); /* it waits for what was kept */
}

START_TEST(it_goes_on_from_what_was_kept)
{
	static const struct count kept = { .kind = COUNT_EDGES, .start = 100, .amount = 50 };
	struct count count;
	bool is_whole;

	settings.scale = 0.5;
	start_kept();
	input_restore(input, &kept, true);
	assert_reading(1, 125, 0);
	put_edges(6);
	run_for(SECOND);
	ck_assert_int_eq(counted, 1);
	ck_assert_int_eq(input_count(input, &count, &is_whole), 0);
	ck_assert(is_whole);
	ck_assert_double_eq(count.start, 100);
	ck_assert_uint_eq(count.amount, 56);
	ck_assert_uint_eq(count.run, 6);
	run_for(60 * SECOND);
	ck_assert_double_eq_tol(told.total, 128, 1e-9);
}
END_TEST

START_TEST(edges_that_still_wait_are_kept_too)
{
	static const struct count kept = { .kind = COUNT_EDGES };
	struct count count;
	bool is_whole;

	start_kept();
	input_restore(input, &kept, true);
	put_edges(1);
	run_for(1);
	put_edges(2); /* within the pause */
	ck_assert_int_eq(input_count(input, &count, &is_whole), 0);
	ck_assert_uint_eq(count.amount, 3);
}
END_TEST

START_TEST(a_total_that_is_not_known_is_not_told)
{
	struct count count;
	bool is_whole;

	start_kept();
	put_edges_each(2, 10 * SECOND);
	run_for(39 * SECOND);
	ck_assert_int_eq(told.readings, 1);
	ck_assert_str_eq(told.channels, "rate Hz ");
	ck_assert_int_eq(input_count(input, &count, &is_whole), 0);
	ck_assert(!is_whole);
	ck_assert_uint_eq(count.amount, 2);
	count.amount += 1000;
	input_restore(input, &count, true);
	ck_assert_int_eq(told.readings, 1);
	run_for(60 * SECOND);
	ck_assert_double_eq_tol(told.total, 1002, 1e-9);
}
END_TEST

START_TEST(a_total_can_be_set)
{
	struct count count;
	bool is_whole;
	double before;

	settings.scale = 0.001;
	start();
	put_edges(500);
	ck_assert_int_eq(input_set_total(input, 4711.25, &before), 0);
	ck_assert_double_eq_tol(before, 0.5, 1e-9);
	ck_assert_int_eq(told.readings, 2); /* at once */
	ck_assert_double_eq_tol(told.total, 4711.25, 1e-9);
	put_edges(3);
	ck_assert_int_eq(input_count(input, &count, &is_whole), 0);
	ck_assert_double_eq(count.start, 4711.25);
	ck_assert_uint_eq(count.amount, 3);
	ck_assert_uint_eq(count.run, 503);
	ck_assert_int_eq(input_set_total(input, -1, &before), -ERANGE);
	ck_assert_int_eq(input_set_total(input, 1.1e15, &before), -ERANGE);
	ck_assert_double_eq_tol(told.total, 4711.25, 1e-9);
}
END_TEST

START_TEST(a_total_can_be_set_before_it_is_known_and_while_offline)
{
	double before;

	fake.line.request_error = -ENODEV;
	start_kept();
	ck_assert_int_eq(input_set_total(input, 7, &before), -ENODATA);
	fake.line.request_error = 0;
	run_for(60 * SECOND);
	put_edges(1);
	run_for(60 * SECOND);
	ck_assert_double_eq_tol(told.total, 8, 1e-9);
}
END_TEST

START_TEST(it_goes_on_counting_when_the_chip_is_back)
{
	start();
	put_edges_each(5, 100 * MSEC);
	run_for(500 * MSEC);
	fake_line_end_chip(&fake.line);
	run_for(SECOND);
	ck_assert_str_eq(told.words, "online offline online ");
	assert_reading(2, 5, 0); /* nobody knows what came meanwhile */
	put_edges_each(3, 10 * SECOND);
	run_for(27 * SECOND);
	assert_reading(3, 8, (2 + 1) / 47.0);
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
	assert_reading(2, 4, 0);
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

START_TEST(its_last_reading_stays_when_it_is_lost)
{
	struct device_info info;
	int64_t before_us = clock_realtime_us();

	settings.frequency = true;
	ck_assert_int_eq(input_new(&input, &parts, &settings, &fake_gpio, key), 0);
	input_info(input, &info);
	ck_assert_ptr_null(info.sample);
	ck_assert_double_nan(device_value(&info, 0));
	run_for(SECOND);
	put_edges_each(59, SECOND); /* 2, 3 … 60 s: the last comes with the reading */
	input_info(input, &info);
	ck_assert_uint_eq(info.channel_count, 3);
	ck_assert_int_ge(info.sampled_us, before_us);
	ck_assert_int_le(info.sampled_us, clock_realtime_us());
	ck_assert_double_eq(device_value(&info, 0), told.total);
	ck_assert_double_eq_tol(device_value(&info, 1), told.rate, 1e-6);
	ck_assert_double_eq_tol(device_value(&info, 2), told.frequency, 1e-6);
	ck_assert_double_gt(told.frequency, 0);
	fake.line.request_error = -ENODEV;
	fake_line_end_chip(&fake.line);
	run_for(SECOND);
	input_info(input, &info);
	ck_assert_int_eq(info.status, STATUS_OFFLINE);
	ck_assert_double_eq(device_value(&info, 0), told.total);
}
END_TEST

START_TEST(a_total_that_is_not_known_is_no_number)
{
	struct device_info info;
	struct reading reading;

	events.counted = on_counted; /* somebody keeps it, and has not told it yet */
	start();
	ck_assert_int_eq(input_read_counter(input, &reading), 0);
	input_info(input, &info);
	ck_assert_double_nan(device_value(&info, 0));
	ck_assert_double_eq(device_value(&info, 1), 0);
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
	tcase_add_test(cases, the_rate_goes_by_the_edges_own_times);
	tcase_add_loop_test(cases, a_steady_meter_has_a_steady_rate_however_slow_it_is, 0,
			    (int)ARRAY_SIZE(gaps_us));
	tcase_add_test(cases, it_falls_when_the_next_edge_is_late);
	tcase_add_test(cases, a_burst_after_silence_is_no_more_than_it_is);
	tcase_add_test(cases, nothing_is_known_before_the_second_edge);
	tcase_add_test(cases, frequency_counts_whole_gaps);
	tcase_add_test(cases, it_goes_on_from_what_was_kept);
	tcase_add_test(cases, edges_that_still_wait_are_kept_too);
	tcase_add_test(cases, a_total_that_is_not_known_is_not_told);
	tcase_add_test(cases, a_total_can_be_set);
	tcase_add_test(cases, a_total_can_be_set_before_it_is_known_and_while_offline);
	tcase_add_test(cases, it_goes_on_counting_when_the_chip_is_back);
	tcase_add_loop_test(cases, a_queue_that_cannot_be_read_is_the_chips_end, 0, 2);
	tcase_add_test(cases, its_last_reading_stays_when_it_is_lost);
	tcase_add_test(cases, a_total_that_is_not_known_is_no_number);
	tcase_add_test(cases, it_can_be_read_in_between);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
