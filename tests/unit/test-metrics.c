/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prometheus' text: what it says, and that its form is kept whatever the names are. */
#include <stdio.h>

#include "fixture.h"

#include "iotd/metrics.h"

#define LINES_MAX 200

static struct device_figures devices[] = {
	{ DEVICE_SENSOR, STATUS_ONLINE, 70, 3, "air" },
	{ DEVICE_SENSOR, STATUS_OFFLINE, 0, 12, "tank" },
	{ DEVICE_SENSOR, STATUS_UNKNOWN, 0, 0, "late-1" },
	{ DEVICE_INPUT, STATUS_ONLINE, 0, 0, "door" },
	{ DEVICE_OUTPUT, STATUS_OFFLINE, 0, 0, "pump" },
};
static struct bus_figures buses[] = { { 1500000, "i2c-1" }, { 42, "field" } };
static struct figures figures;
static char device[] = "greenhouse-1";
static char *text, *lines[LINES_MAX];
static size_t line_count;

/* text and lines of it */
static void write_all(void)
{
	size_t size;
	FILE *file = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(file);
	metrics_write(file, &figures);
	ck_assert(!ferror(file));
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_uint_gt(size, 0);
	ck_assert_int_eq(text[size - 1], '\n');
	line_count = 0;
	for (char *at = text; *at != '\0'; at = strchr(at, '\0') + 1) {
		ck_assert_uint_lt(line_count, LINES_MAX);
		lines[line_count++] = at;
		*strchr(at, '\n') = '\0';
	}
}

static size_t count_line(const char *line)
{
	size_t count = 0;

	for (size_t i = 0; i < line_count; i++)
		count += strcmp(lines[i], line) == 0;
	return count;
}

static void setup(void)
{
	figures = (struct figures){
		.device = device,
		.version = "1.2.3",
		.start_us = 1795353240123000LL,
		.spool_max_bytes = 64 << 20,
		.devices = devices,
		.device_count = sizeof(devices) / sizeof(devices[0]),
		.buses = buses,
		.bus_count = sizeof(buses) / sizeof(buses[0]),
	};
}

static void teardown(void)
{
	free(text);
	text = NULL;
}

/* --- tests ---------------------------------------------------------------------------------- */

START_TEST(samples_say_what_was_counted)
{
	static const char *const wanted[] = {
		"iotd_build_info{device=\"greenhouse-1\",version=\"1.2.3\"} 1",
		"iotd_start_time_seconds{device=\"greenhouse-1\"} 1795353240.123000",
		"iotd_cpu_seconds_total{device=\"greenhouse-1\"} 2.250000",
		"iotd_resident_memory_bytes{device=\"greenhouse-1\"} 3145728",
		"iotd_readings_total{device=\"greenhouse-1\",sensor=\"air\"} 70",
		"iotd_readings_total{device=\"greenhouse-1\",sensor=\"tank\"} 0",
		"iotd_read_errors_total{device=\"greenhouse-1\",sensor=\"tank\"} 12",
		"iotd_sensor_online{device=\"greenhouse-1\",sensor=\"air\"} 1",
		"iotd_sensor_online{device=\"greenhouse-1\",sensor=\"tank\"} 0",
		"iotd_input_online{device=\"greenhouse-1\",input=\"door\"} 1",
		"iotd_output_online{device=\"greenhouse-1\",output=\"pump\"} 0",
		"iotd_reads_missed_total{device=\"greenhouse-1\"} 4",
		"iotd_schedule_lateness_max_seconds{device=\"greenhouse-1\"} 0.001500",
		"iotd_bus_busy_seconds_total{device=\"greenhouse-1\",bus=\"i2c-1\"} 1.500000",
		"iotd_bus_busy_seconds_total{device=\"greenhouse-1\",bus=\"field\"} 0.000042",
		"iotd_connected{device=\"greenhouse-1\"} 1",
		"iotd_connects_total{device=\"greenhouse-1\"} 2",
		"iotd_queued_readings{device=\"greenhouse-1\"} 18446744073709551615",
		"iotd_spool_bytes{device=\"greenhouse-1\"} 800",
		"iotd_spool_max_bytes{device=\"greenhouse-1\"} 67108864",
		"iotd_commands_total{device=\"greenhouse-1\",result=\"ok\"} 9",
		"iotd_commands_total{device=\"greenhouse-1\",result=\"not_allowed\"} 1",
		"iotd_commands_total{device=\"greenhouse-1\",result=\"retained\"} 0",
		"iotd_reloads_total{device=\"greenhouse-1\",result=\"ok\"} 5",
		"iotd_reloads_total{device=\"greenhouse-1\",result=\"refused\"} 6",
	};
	struct stats *stats = &figures.stats;

	stats->cpu_us = 2250000;
	stats->memory_bytes = 3 << 20;
	stats->reads_missed = 4;
	stats->late_max_us = 1500;
	stats->connected = true;
	stats->connects = 2;
	stats->queued = UINT64_MAX;
	stats->spool_bytes = 800;
	stats->commands = 9;
	stats_refuse(stats, REFUSAL_NOT_ALLOWED);
	stats->reloads = 5;
	stats->reloads_refused = 6;
	write_all();
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		ck_assert_msg(count_line(wanted[i]) == 1, "%zu times: %s", count_line(wanted[i]),
			      wanted[i]);
}
END_TEST

START_TEST(only_sensors_have_readings)
{
	size_t count = 0;

	write_all();
	for (size_t i = 0; i < line_count; i++)
		count += strncmp(lines[i], "iotd_readings_total{", 20) == 0;
	ck_assert_uint_eq(count, 3);
}
END_TEST

START_TEST(a_summary_has_quantiles_sum_and_count)
{
	for (int64_t i = 1; i <= 100; i++)
		histogram_add(&figures.stats.late, 0, i <= 50 ? 7 : i <= 98 ? 20 : 31);
	write_all();
	ck_assert_uint_eq(count_line("# TYPE iotd_schedule_lateness_seconds summary"), 1);
	ck_assert_uint_eq(count_line("iotd_schedule_lateness_seconds{device=\"greenhouse-1\","
				     "quantile=\"0.5\"} 0.000007"),
			  1);
	ck_assert_uint_eq(count_line("iotd_schedule_lateness_seconds{device=\"greenhouse-1\","
				     "quantile=\"0.9\"} 0.000020"),
			  1);
	ck_assert_uint_eq(count_line("iotd_schedule_lateness_seconds{device=\"greenhouse-1\","
				     "quantile=\"0.99\"} 0.000031"),
			  1);
	ck_assert_uint_eq(
		count_line("iotd_schedule_lateness_seconds_sum{device=\"greenhouse-1\"} 0.001372"),
		1);
	ck_assert_uint_eq(
		count_line("iotd_schedule_lateness_seconds_count{device=\"greenhouse-1\"} 100"), 1);
}
END_TEST

START_TEST(quantiles_of_nothing_are_no_number)
{
	write_all();
	ck_assert_uint_eq(count_line("iotd_acknowledgement_latency_seconds{device=\"greenhouse-1\","
				     "quantile=\"0.99\"} NaN"),
			  1);
	ck_assert_uint_eq(
		count_line("iotd_acknowledgement_latency_seconds_count{device=\"greenhouse-1\"} 0"),
		1);
}
END_TEST

START_TEST(what_was_never_tried_is_neither_online_nor_offline)
{
	write_all();
	for (size_t i = 0; i < line_count; i++)
		ck_assert_msg(!strstr(lines[i], "online") || !strstr(lines[i], "late-1"), "%s",
			      lines[i]);
}
END_TEST

START_TEST(names_are_escaped)
{
	char hostile[] = "a\\b\"c\nd\xc3\xa9{},= #";

	figures.device = hostile;
	write_all();
	ck_assert_uint_eq(count_line("iotd_connected{device=\"a\\\\b\\\"c\\nd\xc3\xa9{},= #\"} 0"),
			  1);
}
END_TEST

/* of a sample's line its name, without what a summary puts behind */
static void family_of(const char *line, char name[static 100])
{
	size_t length = strcspn(line, "{");

	ck_assert_uint_lt(length, 100);
	memcpy(name, line, length);
	name[length] = '\0';
	if (length > 4 && strcmp(name + length - 4, "_sum") == 0)
		name[length - 4] = '\0';
	else if (length > 6 && strcmp(name + length - 6, "_count") == 0)
		name[length - 6] = '\0';
}

/* "only one HELP line ..., one TYPE line ..., before the first sample", all lines of a family in one group */
START_TEST(each_family_has_help_and_type_and_is_in_one_place)
{
	char family[100] = "", name[100], expected[120];

	write_all();
	for (size_t i = 0; i < line_count; i++) {
		if (strncmp(lines[i], "# HELP ", 7) == 0) {
			size_t length = strcspn(lines[i] + 7, " ");

			ck_assert_uint_lt(length, sizeof(family));
			memcpy(family, lines[i] + 7, length);
			family[length] = '\0';
			ck_assert_uint_gt(strlen(lines[i]), 7 + length + 5);
			(void)snprintf(expected, sizeof(expected), "# TYPE %s ", family);
			ck_assert_uint_lt(i + 1, line_count);
			ck_assert_int_eq(strncmp(lines[i + 1], expected, strlen(expected)), 0);
			for (size_t j = 0; j < i; j++)
				ck_assert_int_ne(strncmp(lines[j] + 7, family, length + 1), 0);
		} else if (lines[i][0] != '#') {
			family_of(lines[i], name);
			ck_assert_str_eq(name, family);
			for (size_t j = 0; j < i; j++)
				ck_assert_int_ne(
					strncmp(lines[j], lines[i], strcspn(lines[i], " ")), 0);
		}
	}
}
END_TEST

START_TEST(what_only_grows_is_called_total_and_nothing_else_is)
{
	write_all();
	for (size_t i = 0; i < line_count; i++) {
		const char *type = strrchr(lines[i], ' ') + 1;

		if (strncmp(lines[i], "# TYPE ", 7) != 0)
			continue;
		ck_assert_msg((strcmp(type, "counter") == 0) ==
				      (strstr(lines[i], "_total ") != NULL),
			      "%s", lines[i]);
	}
}
END_TEST

START_TEST(no_devices_and_no_buses_are_fine)
{
	figures.device_count = figures.bus_count = 0;
	write_all();
	ck_assert_uint_eq(count_line("iotd_connected{device=\"greenhouse-1\"} 0"), 1);
	ck_assert_ptr_null(figures_free(NULL));
	ck_assert_ptr_null(figures_free(calloc(1, sizeof(struct figures))));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tests = tcase_create("metrics");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, samples_say_what_was_counted);
	tcase_add_test(tests, only_sensors_have_readings);
	tcase_add_test(tests, a_summary_has_quantiles_sum_and_count);
	tcase_add_test(tests, quantiles_of_nothing_are_no_number);
	tcase_add_test(tests, what_was_never_tried_is_neither_online_nor_offline);
	tcase_add_test(tests, names_are_escaped);
	tcase_add_test(tests, each_family_has_help_and_type_and_is_in_one_place);
	tcase_add_test(tests, what_only_grows_is_called_total_and_nothing_else_is);
	tcase_add_test(tests, no_devices_and_no_buses_are_fine);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
