/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What iotctl top works out from two moments. */
#include <math.h>

#include "fixture.h"

#include "ctl/costs.h"

#include "iotd/clock.h"

static struct device before_list[4], now_list[5];
static struct round before, now;
static struct costs costs;

static struct device sensor(char *name, uint64_t readings, uint64_t errors, uint64_t late_us,
			    uint64_t busy_us)
{
	return (struct device){
		.name = name,
		.kind = DEVICE_SENSOR,
		.readings = readings,
		.errors = errors,
		.late_us = late_us,
		.busy_us = busy_us,
	};
}

static char air[] = "air", soil[] = "soil", sun[] = "sun", pump[] = "pump", rain[] = "rain";

static void setup(void)
{
	before_list[0] = sensor(air, 100, 10, 0, 5000000);
	before_list[1] = sensor(soil, 50, 0, 0, 1000000);
	before_list[2] = sensor(sun, 1000, 0, 0, 9000000);
	before_list[3] = (struct device){ .name = pump, .kind = DEVICE_OUTPUT };
	now_list[0] = sensor(soil, 58, 2, 5000, 1500000); /* the order has changed */
	now_list[1] = sensor(air, 100, 10, 9000, 5000000);
	now_list[2] = sensor(sun, 3, 0, 0, 100);   /* made anew */
	now_list[3] = sensor(rain, 7, 0, 7000, 7); /* not there before */
	now_list[4] = (struct device){ .name = pump, .kind = DEVICE_OUTPUT };
	before = (struct round){ .devices = { before_list, 4 }, .time_us = 10 * USEC_PER_SEC };
	now = (struct round){ .devices = { now_list, 5 }, .time_us = 12 * USEC_PER_SEC };
	before.stats = json_pack("{s:f}", "cpu", 1.5);
	now.stats = json_pack("{s:f}", "cpu", 1.75);
}

static void teardown(void)
{
	free(costs.list);
	costs.list = NULL;
	json_decref(before.stats);
	json_decref(now.stats);
}

static const struct cost *cost_of(const char *name)
{
	for (size_t i = 0; i < costs.count; i++)
		if (strcmp(costs.list[i].device->name, name) == 0)
			return &costs.list[i];
	ck_abort_msg("%s is not there", name);
}

static void assert_order(bool by_late, const char *const names[4])
{
	free(costs.list);
	ck_assert_int_eq(costs_new(&costs, &before, &now, by_late), 0);
	ck_assert_uint_eq(costs.count, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_str_eq(costs.list[i].device->name, names[i]);
}

START_TEST(are_differences_over_the_time_between)
{
	ck_assert_int_eq(costs_new(&costs, &before, &now, false), 0);
	ck_assert_double_eq(cost_of("soil")->rate, 4);
	ck_assert_double_eq(cost_of("soil")->busy, 0.25);
	ck_assert_double_eq(cost_of("soil")->read_s, 0.05); /* of 8 readings and 2 failures */
	ck_assert_double_eq(costs.cpu, 0.125);
}
END_TEST

START_TEST(of_a_sensor_that_was_not_read_a_read_is_not_known)
{
	ck_assert_int_eq(costs_new(&costs, &before, &now, false), 0);
	ck_assert_double_eq(cost_of("air")->rate, 0);
	ck_assert_double_eq(cost_of("air")->busy, 0);
	ck_assert(isnan(cost_of("air")->read_s));
}
END_TEST

START_TEST(of_a_new_sensor_nothing_is_known)
{
	ck_assert_int_eq(costs_new(&costs, &before, &now, false), 0);
	ck_assert(isnan(cost_of("sun")->rate) && isnan(cost_of("sun")->busy));
	ck_assert(isnan(cost_of("rain")->rate) && isnan(cost_of("rain")->read_s));
}
END_TEST

START_TEST(a_counter_that_fell_makes_a_sensor_a_new_one)
{
	for (int i = 0; i < 3; i++) {
		free(costs.list);
		costs.list = NULL;
		before_list[0] = now_list[1];
		before_list[0].readings += i == 0;
		before_list[0].errors += i == 1;
		before_list[0].busy_us += i == 2;
		ck_assert_int_eq(costs_new(&costs, &before, &now, false), 0);
		ck_assert(isnan(cost_of("air")->rate) && isnan(cost_of("air")->busy));
	}
}
END_TEST

START_TEST(before_the_second_moment_nothing_is_known)
{
	struct round none = { 0 };

	ck_assert_int_eq(costs_new(&costs, &none, &now, false), 0);
	ck_assert(isnan(costs.cpu) && isnan(cost_of("soil")->rate));
}
END_TEST

START_TEST(moments_at_one_time_divide_by_nothing)
{
	now.time_us = before.time_us;
	ck_assert_int_eq(costs_new(&costs, &before, &now, false), 0);
	ck_assert(isnan(costs.cpu) && isnan(cost_of("soil")->rate));
}
END_TEST

START_TEST(are_sorted_with_what_is_not_known_last)
{
	static const char *const by_busy[] = { "soil", "air", "sun", "rain" };
	static const char *const by_late[] = { "air", "rain", "soil", "sun" };

	assert_order(false, by_busy);
	assert_order(true, by_late);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("costs");
	TCase *tests = tcase_create("costs");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, are_differences_over_the_time_between);
	tcase_add_test(tests, of_a_sensor_that_was_not_read_a_read_is_not_known);
	tcase_add_test(tests, of_a_new_sensor_nothing_is_known);
	tcase_add_test(tests, a_counter_that_fell_makes_a_sensor_a_new_one);
	tcase_add_test(tests, before_the_second_moment_nothing_is_known);
	tcase_add_test(tests, moments_at_one_time_divide_by_nothing);
	tcase_add_test(tests, are_sorted_with_what_is_not_known_last);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
