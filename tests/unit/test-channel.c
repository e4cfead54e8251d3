/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Channels: tables of samples and what of them is published. Times are seconds unless they say µs. */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "iotd/clock.h"
#include "iotd/device.h"

#define NONE ((double)NAN)
#define FAR  ((double)INFINITY)
#define END  (-1e300) /* ends a list of numbers */

static struct channel channels[] = {
	{ .name = "temperature", .unit = "°C", .digits = 2 },
	{ .name = "humidity", .unit = "%", .digits = 1 },
	{ .name = "pressure", .unit = "hPa", .digits = 2 },
};
static struct channel_settings groups[ARRAY_SIZE(channels)];
static struct sensor_settings settings;
static struct channel_filter *filter;
static struct reading reading;
static char name[] = "air";

static void set_up(void)
{
	settings = (struct sensor_settings){ .name = name,
					     .interval_us = 10 * USEC_PER_SEC,
					     .channels = groups,
					     .channel_count = 0 };
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		groups[i] = (struct channel_settings){ .scale = 1,
						       .digits = -1,
						       .min = -FAR,
						       .max = FAR,
						       .max_age_us = 300 * USEC_PER_SEC };
		memcpy(groups[i].name, channels[i].name, sizeof(groups[i].name));
	}
}

static void tear_down(void)
{
	filter = channel_filter_free(filter);
}

static void make(size_t count, size_t group_count)
{
	settings.channel_count = group_count;
	ck_assert_int_eq(channel_filter_new(&filter, &settings, channels, count), 0);
}

/* one channel's sample through the filter; how many values are published */
static size_t put_at(double value, int64_t now_us)
{
	double values[CHANNELS_MAX] = { value };

	return channel_filter_publish(filter, values, now_us, now_us + 7, false, &reading);
}

static size_t force_at(double value, int64_t now_us)
{
	double values[CHANNELS_MAX] = { value };

	return channel_filter_publish(filter, values, now_us, now_us + 7, true, &reading);
}

static void assert_published(double value)
{
	ck_assert_uint_eq(reading.count, 1);
	ck_assert_ptr_eq(reading.values[0].channel, &channel_filter_channels(filter)[0]);
	ck_assert_double_eq_tol(reading.values[0].number, value, 1e-9);
}

/* --- scale and limits ----------------------------------------------------------------------- */

static const struct {
	double raw, scale, offset, min, max;
	double value;
	int error;
	const char *words;
} scales[] = {
	{ 21.37, 1, 0, -FAR, FAR, 21.37, 0, NULL },
	{ 21370, 0.001, 0, -FAR, FAR, 21.37, 0, NULL },
	{ 21.37, 1, -0.4, -FAR, FAR, 20.97, 0, NULL },
	{ 20, 2, 5, -FAR, FAR, 45, 0, NULL }, /* value x scale + offset, in this order */
	{ 20, -1, 0, -FAR, FAR, -20, 0, NULL },
	{ 20, 0, 3, -FAR, FAR, 3, 0, NULL },
	{ 0, 1, 0, 0, 100, 0, 0, NULL }, /* the limits belong to the range */
	{ 100, 1, 0, 0, 100, 100, 0, NULL },
	{ 90, 1, 15, 0, 100, 0, -ERANGE, "temperature 105 °C is outside 0 .. 100" },
	{ -0.001, 1, 0, 0, 100, 0, -ERANGE, "temperature -0.001 °C" },
	{ FAR, 1, 0, -FAR, FAR, 0, -EDOM, "temperature is no finite number" },
	{ -FAR, 1, 0, 0, 100, 0, -EDOM, "no finite number" },
	{ FAR, 0, 0, -FAR, FAR, 0, -EDOM, "no finite number" },
	{ 1e300, 1e10, 0, -FAR, FAR, 0, -EDOM, "no finite number" },
	{ NONE, 1, 0, -FAR, FAR, 0, -EDOM, "no channel has a value" },
};

START_TEST(values_are_scaled_then_checked)
{
	double values[CHANNELS_MAX] = { scales[_i].raw };
	char fault[192] = "";
	int r;

	groups[0].scale = scales[_i].scale;
	groups[0].offset = scales[_i].offset;
	groups[0].min = scales[_i].min;
	groups[0].max = scales[_i].max;
	make(1, 1);
	r = channel_filter_scale(filter, values, fault);
	ck_assert_int_eq(r, scales[_i].error);
	if (r == 0)
		ck_assert_double_eq_tol(values[0], scales[_i].value, 1e-9);
	else
		ck_assert_msg(strstr(fault, scales[_i].words) != NULL, "fault is: %s", fault);
}
END_TEST

START_TEST(a_channel_that_the_chip_has_not_is_left_out)
{
	double values[CHANNELS_MAX] = { 20, NONE, 1013.254 };
	char fault[192];

	groups[1].offset = 5;
	groups[1].min = 0;
	make(3, 3);
	ck_assert_int_eq(channel_filter_scale(filter, values, fault), 0);
	ck_assert(isnan(values[1]));
	ck_assert_uint_eq(channel_filter_publish(filter, values, 0, 42, false, &reading), 2);
	ck_assert_str_eq(reading.name, "air");
	ck_assert_int_eq(reading.time_us, 42);
	ck_assert_str_eq(reading.values[0].channel->name, "temperature");
	ck_assert_str_eq(reading.values[1].channel->name, "pressure");
	ck_assert_double_eq(reading.values[1].number, 1013.25);
}
END_TEST

START_TEST(units_and_digits_are_the_configurations)
{
	const struct channel *made;

	groups[0].digits = 0;
	memcpy(groups[0].unit, "K", 2);
	groups[2].digits = 4;
	make(3, 3);
	made = channel_filter_channels(filter);
	ck_assert_str_eq(made[0].unit, "K");
	ck_assert_int_eq(made[0].digits, 0);
	ck_assert_str_eq(made[1].unit, "%");
	ck_assert_int_eq(made[1].digits, 1);
	ck_assert_str_eq(made[2].unit, "hPa");
	ck_assert_int_eq(made[2].digits, 4);
	ck_assert_uint_eq(put_at(21.5, 0), 3);
	ck_assert_double_eq(reading.values[0].number, 22);
}
END_TEST

START_TEST(settings_are_found_by_name)
{
	double values[CHANNELS_MAX] = { 1, 2, 3 };
	char fault[192];

	groups[0] = groups[2]; /* only pressure has a group */
	groups[0].offset = 10;
	make(3, 1);
	ck_assert_int_eq(channel_filter_scale(filter, values, fault), 0);
	ck_assert_double_eq(values[0], 1);
	ck_assert_double_eq(values[1], 2);
	ck_assert_double_eq(values[2], 13);
}
END_TEST

/* --- deadband ------------------------------------------------------------------------------- */

static const struct {
	double deadband;
	double samples[12];
	const char *published; /* one letter a sample */
} deadbands[] = {
	{ 0, { 20, 20, 20.1, END }, "yyy" },
	{ 0.5, { 20, 20.4, 20.49, 20.5, END }, "ynny" },
	{ 0.5, { 20, 19.6, 19.5, 19.1, 19, END }, "ynyny" },
	/* counts from what was published, so a slow drift gets through */
	{ 1, { 0, .4, .8, 1.2, 1.6, 2.0, 2.4, END }, "ynnynny" },
	/* a step of just that much, as floating point has it: 21.4 - 21.3 is a little less than 0.1 */
	{ 0.1, { 21.3, 21.4, 21.3, 21.35, 21.2, END }, "yyyny" },
	{ 0.1, { 101325.1, 101325.2, 101325.3, END }, "yyy" },
	/* what is missing moves nothing */
	{ 1, { 0, NONE, .5, NONE, 1.5, END }, "ynnny" },
};

START_TEST(only_what_moved_is_published)
{
	groups[0].deadband = deadbands[_i].deadband;
	make(1, 1);
	for (int i = 0; deadbands[_i].samples[i] > END; i++) {
		size_t count = put_at(deadbands[_i].samples[i], USEC_PER_SEC * 10 * i);

		ck_assert_msg(count == (deadbands[_i].published[i] == 'y'), "sample %d of row %d",
			      i, _i);
	}
}
END_TEST

/* reads are never quite on time; @late_us is added to every second one */
static const struct {
	int64_t late_us, interval_us, max_age_us;
	int every; /* published every so many readings */
} ages[] = {
	{ 0, 10000000, 300000000, 30 },
	{ 300, 10000000, 300000000, 30 },
	{ 40000, 10000000, 300000000, 30 },
	{ 0, 1000000, 60000000, 60 },
	{ 900, 10000, 1000000, 100 },
	{ 0, 10000000, 25000000, 2 }, /* at least that often, so rather earlier */
	{ 0, 60000000, 60000000, 1 },
	{ 0, 600000000, 300000000, 1 },
};

START_TEST(what_does_not_move_is_published_at_its_max_age)
{
	int64_t last_us = 0;

	settings.interval_us = ages[_i].interval_us;
	groups[0].deadband = 1;
	groups[0].max_age_us = ages[_i].max_age_us;
	make(1, 1);
	for (int i = 0; i < 10 * ages[_i].every; i++) {
		int64_t now_us = i * ages[_i].interval_us + (i % 2 ? ages[_i].late_us : 0);
		size_t count = put_at(20, now_us);

		ck_assert_msg(count == (i % ages[_i].every == 0), "reading %d of row %d", i, _i);
		if (count == 0)
			continue;
		ck_assert(i == 0 || ages[_i].every == 1 ||
			  now_us - last_us <= ages[_i].max_age_us + ages[_i].interval_us / 10);
		last_us = now_us;
	}
}
END_TEST

START_TEST(channels_move_independently)
{
	static const struct {
		double values[3];
		const char *published; /* the first letters of the channels */
	} steps[] = {
		{ { 20, 50, 1000 }, "thp" },  { { 20.1, 50, 1000 }, "" },
		{ { 21, 50, 1000.4 }, "t" },  { { 21, 55, 1001 }, "hp" },
		{ { 21.9, 55, 1001 }, "" },   { { 22, 56, 1001.9 }, "t" },
		{ { 23, NONE, 1002 }, "tp" }, { { 23, 60.1, 1002.5 }, "h" },
	};

	groups[0].deadband = 1;
	groups[1].deadband = 5;
	groups[2].deadband = 1;
	make(3, 3);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		double values[CHANNELS_MAX];
		size_t count;

		memcpy(values, steps[i].values, sizeof(steps[i].values));
		count = channel_filter_publish(filter, values, (int64_t)i * USEC_PER_SEC, 0, false,
					       &reading);
		ck_assert_msg(count == strlen(steps[i].published), "step %zu: %zu values", i,
			      count);
		for (size_t v = 0; v < count; v++)
			ck_assert_int_eq(reading.values[v].channel->name[0], steps[i].published[v]);
	}
}
END_TEST

START_TEST(rounding_does_not_feed_back)
{
	groups[0].digits = 0;
	groups[0].deadband = 1;
	make(1, 1);
	ck_assert_uint_eq(put_at(20.4, 0), 1);
	assert_published(20);
	ck_assert_uint_eq(put_at(21.3, 1), 0); /* 0.9 from 20.4, though 1.3 from what was printed */
	ck_assert_uint_eq(put_at(21.4, 2), 1);
	assert_published(21);
}
END_TEST

/* --- windows -------------------------------------------------------------------------------- */

static const struct {
	enum aggregate aggregate;
	double samples[8];
	double value; /* NONE: nothing to publish */
} windows[] = {
	{ AGGREGATE_MEAN, { 1, 2, 3, 4, 5, 9 }, 4 },
	{ AGGREGATE_MIN, { 3, 2, -1, 4, 5, 9 }, -1 },
	{ AGGREGATE_MAX, { 3, 2, -1, 9, 5, 4 }, 9 },
	{ AGGREGATE_MEDIAN, { 9, 1, 5, 3, 7, 100 }, 6 }, /* even */
	{ AGGREGATE_LAST, { 9, 1, 5, 3, 7, 2 }, 2 },
	{ AGGREGATE_MEDIAN, { 9, NONE, 5, 3, 7, 100 }, 7 }, /* odd */
	{ AGGREGATE_MEAN, { NONE, 2, NONE, 4, NONE, NONE }, 3 },
	{ AGGREGATE_MIN, { NONE, 2, NONE, 4, NONE, NONE }, 2 },
	{ AGGREGATE_MAX, { NONE, -2, NONE, -4, NONE, NONE }, -2 },
	{ AGGREGATE_LAST, { 9, 1, 5, 3, 7, NONE }, 7 },
	{ AGGREGATE_MEDIAN, { NONE, NONE, 4, NONE, NONE, NONE }, 4 },
	{ AGGREGATE_MEAN, { NONE, NONE, NONE, NONE, NONE, NONE }, NONE },
	{ AGGREGATE_MEDIAN, { NONE, NONE, NONE, NONE, NONE, NONE }, NONE },
	/* stays finite */
	{ AGGREGATE_MEAN, { 1e308, 1e308, 1e308, 1e308, 1e308, 1e308 }, 1e308 },
	{ AGGREGATE_MEDIAN, { 1e308, 1e308, 1e308, 1e308, 1e308, 1e308 }, 1e308 },
};

START_TEST(a_window_publishes_its_aggregate)
{
	settings.window_us = 60 * USEC_PER_SEC;
	settings.aggregate = windows[_i].aggregate;
	make(1, 0);
	for (int window = 0; window < 3; window++) {
		for (int i = 0; i < 5; i++)
			ck_assert_uint_eq(put_at(windows[_i].samples[i],
						 USEC_PER_SEC * 10 * (6 * window + i)),
					  0);
		ck_assert_uint_eq(
			put_at(windows[_i].samples[5], USEC_PER_SEC * 10 * (6 * window + 5)),
			isnan(windows[_i].value) ? 0U : 1U);
		if (!isnan(windows[_i].value))
			ck_assert(reading.values[0].number == windows[_i].value);
	}
}
END_TEST

START_TEST(a_window_keeps_its_time_when_reads_fail_and_are_late)
{
	int published = 0;

	settings.window_us = 60 * USEC_PER_SEC;
	make(1, 0);
	for (int i = 0; i < 600; i++) {
		int64_t now_us = USEC_PER_SEC * 10 * i + USEC_PER_MSEC * (i % 7);

		if (i % 6 == 5 &&
		    i % 4 == 1) /* the read that would end the window fails now and then */
			continue;
		published += (int)put_at(20, now_us);
	}
	ck_assert_int_eq(published, 100);
}
END_TEST

START_TEST(a_window_of_one_interval_publishes_each_reading)
{
	settings.window_us = settings.interval_us;
	make(1, 0);
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(put_at(i, i * settings.interval_us + USEC_PER_MSEC / 2 * (i % 3)),
				  1);
		assert_published(i);
	}
}
END_TEST

/* the command "interval" may make it longer than the window, for a while */
START_TEST(a_window_ends_in_its_time_after_an_interval_that_was_longer)
{
	int64_t interval_us = settings.interval_us;

	settings.window_us = 6 * interval_us;
	make(1, 0);
	ck_assert_uint_eq(put_at(1, 0), 0);
	channel_filter_set_interval(filter, 1000 * settings.window_us);
	ck_assert_uint_eq(put_at(2, 1), 1);
	channel_filter_set_interval(filter, interval_us);
	for (int window = 0; window < 3; window++)
		for (int i = 1; i <= 6; i++)
			ck_assert_uint_eq(put_at(3, (6 * window + i) * interval_us), i == 6);
}
END_TEST

START_TEST(the_median_of_a_long_window_needs_bounded_memory)
{
	settings.interval_us = USEC_PER_MSEC;
	settings.window_us = 10000 * USEC_PER_MSEC;
	settings.aggregate = AGGREGATE_MEDIAN;
	make(1, 0);
	for (int window = 0; window < 2; window++) {
		for (int i = 0; i < 9999; i++) /* 0 .. 9999 in a wild order: 7919 is prime */
			ck_assert_uint_eq(put_at((double)(i * 7919 % 10000),
						 (window * 10000 + i) * USEC_PER_MSEC),
					  0);
		ck_assert_uint_eq(put_at(5000, (window * 10000 + 9999) * USEC_PER_MSEC), 1);
		ck_assert_double_eq_tol(reading.values[0].number, 5000, 250);
	}
}
END_TEST

START_TEST(the_median_of_a_long_window_sees_all_of_it)
{
	settings.interval_us = USEC_PER_MSEC;
	settings.window_us = 4000 * USEC_PER_MSEC;
	settings.aggregate = AGGREGATE_MEDIAN;
	make(1, 0);
	for (int i = 0; i < 3999; i++)
		ck_assert_uint_eq(put_at(i, i * USEC_PER_MSEC), 0);
	ck_assert_uint_eq(put_at(3999, 3999 * USEC_PER_MSEC), 1);
	ck_assert_double_eq_tol(reading.values[0].number, 2000, 4);
}
END_TEST

START_TEST(a_forced_reading_does_not_disturb_the_window)
{
	settings.window_us = 60 * USEC_PER_SEC;
	make(1, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(put_at(10, USEC_PER_SEC * 10 * i), 0);
	ck_assert_uint_eq(force_at(1000, 25 * USEC_PER_SEC), 1);
	assert_published(1000);
	for (int i = 3; i < 5; i++)
		ck_assert_uint_eq(put_at(10, USEC_PER_SEC * 10 * i), 0);
	ck_assert_uint_eq(put_at(10, 50 * USEC_PER_SEC), 1);
	assert_published(10);
}
END_TEST

START_TEST(a_forced_reading_ignores_the_deadband_and_is_remembered)
{
	groups[0].deadband = 1;
	make(1, 1);
	ck_assert_uint_eq(put_at(20, 0), 1);
	ck_assert_uint_eq(force_at(20.7, 1), 1);
	assert_published(20.7);
	ck_assert_uint_eq(put_at(21.2, 2), 0); /* 1.2 from the first, 0.5 from the forced one */
	ck_assert_uint_eq(force_at(NONE, 3), 0);
}
END_TEST

START_TEST(a_window_and_a_deadband_work_together)
{
	int64_t second = USEC_PER_SEC;

	settings.window_us = 20 * second;
	groups[0].deadband = 2;
	groups[0].max_age_us = 60 * second;
	make(1, 1);
	ck_assert_uint_eq(put_at(10, 0), 0);
	ck_assert_uint_eq(put_at(12, 10 * second), 1);
	assert_published(11);
	ck_assert_uint_eq(put_at(10, 20 * second), 0);
	ck_assert_uint_eq(put_at(15, 30 * second), 0); /* 12.5: within the deadband */
	ck_assert_uint_eq(put_at(11, 40 * second), 0);
	ck_assert_uint_eq(put_at(11, 50 * second), 0);
	ck_assert_uint_eq(put_at(11, 60 * second), 0);
	ck_assert_uint_eq(put_at(11, 70 * second), 1); /* max_age */
}
END_TEST

START_TEST(a_host_that_slept_for_years_does_not_count_its_windows)
{
	settings.interval_us = settings.window_us = USEC_PER_MSEC;
	make(1, 0);
	ck_assert_uint_eq(put_at(1, 0), 1);
	ck_assert_uint_eq(put_at(2, INT64_C(100) * 365 * 86400 * USEC_PER_SEC),
			  1); /* times out if it does */
	ck_assert_uint_eq(put_at(3, INT64_C(100) * 365 * 86400 * USEC_PER_SEC + USEC_PER_MSEC), 1);
}
END_TEST

/* --- the newest sample ---------------------------------------------------------------------- */

static void assert_sample(double first, double second, int64_t time_us)
{
	int64_t sampled_us;
	const double *sample = channel_filter_sample(filter, &sampled_us);

	ck_assert_int_eq(sampled_us, time_us);
	ck_assert_double_eq(sample[0], first);
	if (isnan(second))
		ck_assert_double_nan(sample[1]);
	else
		ck_assert_double_eq(sample[1], second);
}

START_TEST(the_newest_sample_has_also_what_was_held_back)
{
	double values[CHANNELS_MAX] = { 20, 50 };
	int64_t time_us;

	groups[0].deadband = groups[1].deadband = 5;
	settings.window_us = 20 * USEC_PER_SEC;
	make(2, 2);
	ck_assert_ptr_null(channel_filter_sample(filter, &time_us));
	ck_assert_int_eq(time_us, 0);
	ck_assert_uint_eq(channel_filter_publish(filter, values, 10, 1001, false, &reading), 0);
	assert_sample(20, 50, 1001);
	values[0] = 21;
	values[1] = NONE; /* the chip has it not, this time */
	ck_assert_uint_eq(channel_filter_publish(filter, values, 10 * USEC_PER_SEC + 10, 1002,
						 false, &reading),
			  2);
	assert_sample(21, NONE, 1002);
	values[0] = 22;
	ck_assert_uint_eq(channel_filter_publish(filter, values, 10 * USEC_PER_SEC + 20, 1003, true,
						 &reading),
			  1);
	assert_sample(22, NONE, 1003);
	channel_filter_forget(filter);
	assert_sample(22, NONE, 1003);
}
END_TEST

static TCase *scale_cases(void)
{
	TCase *cases = tcase_create("scale");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_loop_test(cases, values_are_scaled_then_checked, 0, (int)ARRAY_SIZE(scales));
	tcase_add_test(cases, a_channel_that_the_chip_has_not_is_left_out);
	tcase_add_test(cases, units_and_digits_are_the_configurations);
	tcase_add_test(cases, settings_are_found_by_name);
	tcase_add_loop_test(cases, only_what_moved_is_published, 0, (int)ARRAY_SIZE(deadbands));
	tcase_add_loop_test(cases, what_does_not_move_is_published_at_its_max_age, 0,
			    (int)ARRAY_SIZE(ages));
	tcase_add_test(cases, channels_move_independently);
	tcase_add_test(cases, rounding_does_not_feed_back);
	return cases;
}

static TCase *window_cases(void)
{
	TCase *cases = tcase_create("window");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_loop_test(cases, a_window_publishes_its_aggregate, 0, (int)ARRAY_SIZE(windows));
	tcase_add_test(cases, a_window_keeps_its_time_when_reads_fail_and_are_late);
	tcase_add_test(cases, a_window_of_one_interval_publishes_each_reading);
	tcase_add_test(cases, a_window_ends_in_its_time_after_an_interval_that_was_longer);
	tcase_add_test(cases, the_median_of_a_long_window_needs_bounded_memory);
	tcase_add_test(cases, the_median_of_a_long_window_sees_all_of_it);
	tcase_add_test(cases, a_forced_reading_does_not_disturb_the_window);
	tcase_add_test(cases, a_forced_reading_ignores_the_deadband_and_is_remembered);
	tcase_add_test(cases, a_window_and_a_deadband_work_together);
	tcase_add_test(cases, a_host_that_slept_for_years_does_not_count_its_windows);
	tcase_add_test(cases, the_newest_sample_has_also_what_was_held_back);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("channel");

	suite_add_tcase(suite, scale_cases());
	suite_add_tcase(suite, window_cases());
	return suite_run(suite);
}
