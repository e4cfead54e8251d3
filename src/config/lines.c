/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lists inputs and outputs: GPIO lines. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

#include "iotd/config.h"

#define HOUR_US	   3600e6
#define YEAR_US	   (365 * 86400e6)
#define OFFSET_MAX 65535

static const char *const bias_words[] = {
	[BIAS_AS_IS] = "as-is",
	[BIAS_DISABLED] = "disabled",
	[BIAS_PULL_UP] = "pull-up",
	[BIAS_PULL_DOWN] = "pull-down",
	NULL,
};
static const char *const edge_words[] = {
	[EDGE_BOTH] = "both",
	[EDGE_RISING] = "rising",
	[EDGE_FALLING] = "falling",
	NULL,
};
static const char *const move_words[] = {
	[MOVE_KEEP] = "keep",
	[MOVE_OFF] = "off",
	[MOVE_ON] = "on",
	NULL,
};

/* check_line() - an offset or a name */
static void check_line(struct load *load, const config_setting_t *setting, void *member)
{
	struct line_settings *line = member;
	const char *name;
	int64_t offset;

	if (config_setting_is_number(setting)) {
		if (value_integer(&load->faults, setting, (struct range){ 0, OFFSET_MAX }, &offset))
			line->offset = (unsigned int)offset;
		return;
	}
	if (!value_string(&load->faults, setting, &name))
		return;
	table_string(&load->faults, &line->name, name);
	if (line->name)
		check_filled(load, setting, &line->name);
}

static void check_interlock(struct load *load, const config_setting_t *setting, void *member)
{
	struct output_settings *output = container_of(member, struct output_settings, interlock);

	load_strings(load, setting, &output->interlock, &output->interlock_count);
}

static bool equal_line(const void *a, const void *b)
{
	const struct line_settings *one = a, *other = b;

	return one->offset == other->offset && texts_equal(one->name, other->name);
}

static bool equal_interlock(const void *a, const void *b)
{
	const struct output_settings *one = KEY_OWNER(a, output_settings, interlock);
	const struct output_settings *other = KEY_OWNER(b, output_settings, interlock);

	if (one->interlock_count != other->interlock_count)
		return false;
	for (size_t i = 0; i < one->interlock_count; i++)
		if (strcmp(one->interlock[i], other->interlock[i]) != 0)
			return false;
	return true;
}

#define INPUT(member) KEY_PLACE(input_settings, member)

static const struct key input_keys[] = {
	{ "name", KEY_STRING, INPUT(name), .required = true, .check = check_name },
	{ "chip", KEY_STRING, INPUT(line.chip), .required = true, .check = check_filled },
	{ "line", KEY_CUSTOM, INPUT(line), .required = true, .check = check_line,
	  .equal = equal_line },
	{ "bias", KEY_WORD, INPUT(line.bias), .preset = "as-is", .words = bias_words },
	{ "active_low", KEY_BOOLEAN, INPUT(line.active_low), .preset = "false" },
	{ "edge", KEY_WORD, INPUT(edge), .preset = "both", .words = edge_words },
	{ "debounce", KEY_DURATION, INPUT(debounce_us), .preset = "0s", .range = { 0, HOUR_US } },
	{ "count", KEY_BOOLEAN, INPUT(count), .preset = "false" },
	{ "frequency", KEY_BOOLEAN, INPUT(frequency), .preset = "false" },
	{ "on_time", KEY_BOOLEAN, INPUT(on_time), .preset = "false" },
	{ "interval", KEY_DURATION, INPUT(interval_us), .preset = "60s",
	  .range = { 1e3, YEAR_US } },
	{ "scale", KEY_NUMBER, INPUT(scale), .preset = "1" },
	{ "unit", KEY_UNIT, INPUT(unit), .preset = "" },
	{ "device_class", KEY_OPTIONAL, INPUT(device_class) },
	{ "module", KEY_OPTIONAL, INPUT(module) },
	{ "enabled", KEY_BOOLEAN, INPUT(enabled), .preset = "true" },
	{ NULL },
};

#define OUTPUT(member) KEY_PLACE(output_settings, member)

static const struct key output_keys[] = {
	{ "name", KEY_STRING, OUTPUT(name), .required = true, .check = check_name },
	{ "chip", KEY_STRING, OUTPUT(line.chip), .required = true, .check = check_filled },
	{ "line", KEY_CUSTOM, OUTPUT(line), .required = true, .check = check_line,
	  .equal = equal_line },
	{ "bias", KEY_WORD, OUTPUT(line.bias), .preset = "as-is", .words = bias_words },
	{ "active_low", KEY_BOOLEAN, OUTPUT(line.active_low), .preset = "false" },
	{ "initial", KEY_WORD, OUTPUT(initial), .preset = "off", .words = move_words },
	{ "max_on", KEY_DURATION, OUTPUT(max_on_us), .preset = "0s", .range = { 0, YEAR_US } },
	{ "on_exit", KEY_WORD, OUTPUT(on_exit), .preset = "keep", .words = move_words },
	{ "on_disconnect", KEY_WORD, OUTPUT(on_disconnect), .preset = "keep", .words = move_words },
	{ "disconnect_after", KEY_DURATION, OUTPUT(disconnect_after_us), .preset = "30s",
	  .range = { 0, YEAR_US } },
	{ "interlock", KEY_CUSTOM, OUTPUT(interlock), .check = check_interlock,
	  .equal = equal_interlock },
	{ "device_class", KEY_OPTIONAL, OUTPUT(device_class) },
	{ "module", KEY_OPTIONAL, OUTPUT(module) },
	{ "enabled", KEY_BOOLEAN, OUTPUT(enabled), .preset = "true" },
	{ NULL },
};

bool config_input_equal(const struct input_settings *a, const struct input_settings *b)
{
	return table_equal(input_keys, a, b, 0, SIZE_MAX);
}

bool config_output_equal(const struct output_settings *a, const struct output_settings *b)
{
	return table_equal(output_keys, a, b, 0, SIZE_MAX);
}

bool config_output_line_equal(const struct output_settings *a, const struct output_settings *b)
{
	return table_equal(output_keys, a, b, offsetof(struct output_settings, line),
			   sizeof(a->line));
}

/* counter_check() - keys that only a counter has, and interval, which on_time has too */
static void counter_check(struct load *load, const config_setting_t *group,
			  const struct input_settings *input)
{
	static const char *const names[] = { "interval", "scale", "unit", "frequency" };

	for (size_t i = input->on_time ? 1 : 0; i < ARRAY_SIZE(names); i++) {
		const config_setting_t *setting = config_setting_get_member(group, names[i]);

		if (setting)
			fault_at(&load->faults, setting,
				 "only a counter has it: count = true is missing");
	}
}

/* on_time_check() - it takes both edges to tell how long it was on */
static void on_time_check(struct load *load, const config_setting_t *group,
			  const struct input_settings *input)
{
	if (input->on_time && input->count)
		fault_member(&load->faults, group, "on_time",
			     "a counter has no state: count and on_time exclude each other");
	else if (input->on_time && input->edge != EDGE_BOTH)
		fault_member(&load->faults, group, "on_time", "needs edge = \"both\"");
}

/* set_count_topic() - where its readings go */
static void set_count_topic(struct load *load, struct input_settings *input)
{
	if (!input->name || (!input->count && !input->on_time))
		return;
	if (asprintf(&input->count_topic, "%s/input/%s%s", load->settings->mqtt.topic, input->name,
		     input->count ? "" : "/on_time") < 0) {
		input->count_topic = NULL;
		fault_memory(&load->faults);
	}
}

/* counter_check_unit() - the rate's unit is the same with "/s" */
static void counter_check_unit(struct load *load, const config_setting_t *group,
			       const struct input_settings *input)
{
	const config_setting_t *unit = config_setting_get_member(group, "unit");

	if (unit && strlen(input->unit) > UNIT_LENGTH - strlen("/s"))
		fault_at(&load->faults, unit, "is longer than %zu bytes",
			 UNIT_LENGTH - strlen("/s"));
}

static void load_input(struct load *load, const config_setting_t *group,
		       struct input_settings *input)
{
	table_read(load, input_keys, group, input);
	if (input->count)
		counter_check_unit(load, group, input);
	else
		counter_check(load, group, input);
	on_time_check(load, group, input);
	set_count_topic(load, input);
}

void load_inputs(struct load *load, const config_setting_t *section)
{
	struct settings *settings = load->settings;

	settings->inputs =
		load_list(load, section, sizeof(*settings->inputs), &settings->input_count);
	for (size_t i = 0; i < settings->input_count; i++) {
		const config_setting_t *group = config_setting_get_elem(section, (unsigned int)i);

		if (value_is_group(&load->faults, group))
			load_input(load, group, &settings->inputs[i]);
	}
}

void load_outputs(struct load *load, const config_setting_t *section)
{
	struct settings *settings = load->settings;

	settings->outputs =
		load_list(load, section, sizeof(*settings->outputs), &settings->output_count);
	for (size_t i = 0; i < settings->output_count; i++) {
		const config_setting_t *group = config_setting_get_elem(section, (unsigned int)i);

		if (value_is_group(&load->faults, group))
			table_read(load, output_keys, group, &settings->outputs[i]);
	}
}
