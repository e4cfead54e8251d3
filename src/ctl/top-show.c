/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What iotctl top shows of two moments: a picture, a table, or a line of JSON. */
#include <math.h>
#include <stdio.h>

#include "cells.h"
#include "json.h"
#include "top.h"

#include "iotd/clock.h"

#define DECIMALS   6 /* of JSON */
#define NAME_WIDTH 24

/* --- The table ---------------------------------------------------------------------------------- */

static void fixed(char *text, size_t size, double number, int decimals, const char *unit)
{
	if (isnan(number))
		(void)snprintf(text, size, "-");
	else
		(void)snprintf(text, size, "%.*f%s", decimals, number, unit);
}

static void write_head(const struct top *top, const struct costs *costs, const struct pen *pen,
		       size_t columns)
{
	const json_t *manager = top->now.manager;
	char text[4 * TEXT_SIZE], cpu[TEXT_SIZE], memory[TEXT_SIZE], broker[TEXT_SIZE];
	bool connected = json_is_true(json_object_get(manager, "Connected"));
	const char *url = json_string_value(json_object_get(manager, "Broker"));

	fixed(cpu, sizeof(cpu), 100 * costs->cpu, 1, "");
	bytes_text(memory, sizeof(memory), json_count(top->now.stats, "rss"));
	(void)snprintf(broker, sizeof(broker), "%s", url ? url : "the broker");
	text_clean(broker);
	if (top->why)
		(void)snprintf(text, sizeof(text), "%s; waiting for it", top->why);
	else
		(void)snprintf(text, sizeof(text), "iotd: %s %% CPU, %s, %llu queued; %s %s", cpu,
			       memory, (unsigned long long)json_count(top->now.stats, "queued"),
			       connected ? "connected to" : "not connected to", broker);
	cell_write(pen, top->why || !connected ? COLOR_RED : COLOR_PLAIN, text,
		   text_width(text) < columns ? text_width(text) : columns, false);
	(void)fputc('\n', pen->to);
}

static void write_headings(const struct top *top, const struct pen *pen)
{
	cell_write(pen, COLOR_BOLD, "NAME", NAME_WIDTH, false);
	cell_write(pen, COLOR_BOLD, "READS/S", 10, true);
	cell_write(pen, COLOR_BOLD, "ERRORS", 10, true);
	cell_write(pen, COLOR_BOLD, top->by_late ? "LATE*" : "LATE", 10, true);
	cell_write(pen, COLOR_BOLD, top->by_late ? "BUSY" : "BUSY*", 9, true);
	cell_write(pen, COLOR_BOLD, "MS/READ", 10, true);
	cell_write(pen, COLOR_BOLD, "AGE", 8, true);
	(void)fputc('\n', pen->to);
}

static void write_cost(const struct cost *cost, const struct pen *pen, int64_t now_us)
{
	const struct device *device = cost->device;
	enum color color = device->status == STATUS_OFFLINE ? COLOR_RED : COLOR_PLAIN;
	char text[TEXT_SIZE];

	cell_write(pen, color, device->name, NAME_WIDTH, false);
	fixed(text, sizeof(text), cost->rate, 1, "");
	cell_write(pen, color, text, 10, true);
	number_text(text, sizeof(text), (double)device->errors);
	cell_write(pen, color, text, 10, true);
	lapse_text(text, sizeof(text), device->late_us);
	cell_write(pen, color, text, 10, true);
	fixed(text, sizeof(text), 100 * cost->busy, 1, " %");
	cell_write(pen, color, text, 9, true);
	fixed(text, sizeof(text), 1000 * cost->read_s, 3, "");
	cell_write(pen, color, text, 10, true);
	age_text(text, sizeof(text), device_last_us(device, now_us));
	cell_write(pen, color, text, 8, true);
	(void)fputc('\n', pen->to);
}

static void write_rows(const struct top *top, const struct costs *costs, const struct pen *pen,
		       size_t rows)
{
	int64_t now_us = clock_realtime_us();

	for (size_t i = top->first; i < costs->count && i - top->first < rows; i++)
		write_cost(&costs->list[i], pen, now_us);
}

static void write_screen(struct top *top, const struct costs *costs, FILE *to)
{
	struct pen pen = { .to = to, .color = top->ctl->color };
	size_t columns = screen_columns(top->screen), rows = screen_rows(top->screen);
	char text[TEXT_SIZE];

	rows = rows > TOP_FRAME ? rows - TOP_FRAME : 0;
	if (top->first + rows > costs->count)
		top->first = costs->count > rows ? costs->count - rows : 0;
	write_head(top, costs, &pen, columns);
	write_headings(top, &pen);
	write_rows(top, costs, &pen, rows);
	for (size_t i = costs->count - top->first; i < rows; i++)
		(void)fputc('\n', to);
	(void)snprintf(text, sizeof(text), "%zu sensors   q quit   j k scroll   s by %s",
		       costs->count, top->by_late ? "busy" : "lateness");
	cell_write(&pen, COLOR_DIM, text, columns, false);
}

void top_draw(struct top *top)
{
	cleanup(freep) char *text = NULL;
	struct costs costs;
	size_t size;
	FILE *to;

	if (costs_new(&costs, &top->before, &top->now, top->by_late) < 0)
		return; /* there will be another picture */
	to = open_memstream(&text, &size);
	if (to) {
		write_screen(top, &costs, to);
		if (fclose(to) == 0)
			(void)screen_show(top->screen, text);
	}
	free(costs.list);
}

/* --- JSON --------------------------------------------------------------------------------------- */

static json_t *json_from_cost(const struct cost *cost, int64_t now_us)
{
	const struct device *device = cost->device;
	int64_t age_us = device_last_us(device, now_us);

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", device->name, "status",
			 device_status_name(device->status), "rate",
			 json_from_number(value_round(cost->rate, DECIMALS)), "errors",
			 json_from_number((double)device->errors), "late",
			 json_from_seconds(device->late_us), "busy",
			 json_from_number(value_round(cost->busy, DECIMALS)), "read",
			 json_from_number(value_round(cost->read_s, DECIMALS)), "age",
			 age_us < 0 ? json_null() : json_from_seconds((uint64_t)age_us));
}

static json_t *json_from_costs(const struct top *top, const struct costs *costs)
{
	cleanup(json_decrefp) json_t *sensors = json_array();
	int64_t now_us = clock_realtime_us();
	const char *broker = json_string_value(json_object_get(top->now.manager, "Broker"));

	for (size_t i = 0; i < costs->count; i++)
		if (json_array_append_new(sensors, json_from_cost(&costs->list[i], now_us)) < 0)
			return NULL;
	return json_pack("{s:o, s:o, s:I, s:I, s:b, s:s, s:O}", "time",
			 json_from_time((uint64_t)now_us), "cpu",
			 json_from_number(value_round(costs->cpu, DECIMALS)), "rss",
			 (json_int_t)json_count(top->now.stats, "rss"), "queued",
			 (json_int_t)json_count(top->now.stats, "queued"), "connected",
			 json_is_true(json_object_get(top->now.manager, "Connected")), "broker",
			 broker ? broker : "", "sensors", sensors);
}

int top_print(struct top *top)
{
	struct pen pen = { .to = stdout, .color = top->ctl->color };
	struct costs costs;
	int r = EX_OK;

	if (costs_new(&costs, &top->before, &top->now, top->by_late) < 0)
		return ctl_no_memory(top->ctl);
	if (top->ctl->json) {
		r = json_print(top->ctl, stdout, json_from_costs(top, &costs));
	} else {
		write_head(top, &costs, &pen, TEXT_SIZE);
		write_headings(top, &pen);
		write_rows(top, &costs, &pen, costs.count);
	}
	free(costs.list);
	if (r == EX_OK && fflush(stdout) != 0)
		r = ctl_fail(top->ctl, EXIT_FAILURE, "stdout: write failed");
	return r;
}
