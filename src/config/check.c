/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What only shows when everything is read. Whatever may stand only once in the whole configuration
 * (a name, an address, a line, a topic) is a claim: text and place. Sorted by text, a neighbour
 * with the same text is a fault; so 30,000 sensors cost a sort and not a square.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

#include "iotd/compat.h"
#include "iotd/parse.h"

/* struct claim - @setting NULL: iotd's own */
struct claim {
	char *text;
	const config_setting_t *setting;
	size_t index; /* what it belongs to, in its list */
};

struct claims {
	struct claim *list;
	size_t count, capacity;
	bool named; /* two that only follow from equal names are no fault of their own */
};

static void claims_done(struct claims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
		free(claims->list[i].text);
	free(claims->list);
}

static void claim(struct load *load, struct claims *claims, const config_setting_t *setting,
		  size_t index, const char *format, ...) printf_like(5, 6);

static void claim(struct load *load, struct claims *claims, const config_setting_t *setting,
		  size_t index, const char *format, ...)
{
	va_list arguments;
	char *text;
	int r;

	if (claims->count == claims->capacity) {
		size_t capacity = claims->capacity * 2 + 16;
		struct claim *grown = reallocarray(claims->list, capacity, sizeof(*grown));

		if (!grown) {
			fault_memory(&load->faults);
			return;
		}
		claims->list = grown;
		claims->capacity = capacity;
	}
	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0) {
		fault_memory(&load->faults);
		return;
	}
	claims->list[claims->count++] =
		(struct claim){ .text = text, .setting = setting, .index = index };
}

static size_t claim_line(const struct claim *claim)
{
	return claim->setting ? config_setting_source_line(claim->setting) : 0;
}

static int claim_compare(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;
	int order = strcmp(a->text, b->text);

	if (order == 0 && claim_line(a) != claim_line(b))
		order = claim_line(a) < claim_line(b) ? -1 : 1;
	if (order == 0 && a->index != b->index)
		order = a->index < b->index ? -1 : 1;
	return order;
}

/* its place is a whole group of a list, since the key itself is not there */
static bool is_implied(const struct claim *claim)
{
	return claim->setting && !config_setting_name(claim->setting);
}

/* claims_check() - a fault for each that is not the first with its text; sorted afterwards */
static void claims_check(struct load *load, struct claims *claims)
{
	const struct claim *first = claims->list;

	if (claims->count == 0)
		return;
	qsort(claims->list, claims->count, sizeof(*claims->list), claim_compare);
	for (size_t i = 1; i < claims->count; i++) {
		const struct claim *next = &claims->list[i];
		struct place place;

		if (strcmp(next->text, first->text) != 0) {
			first = next;
			continue;
		}
		if (!next->setting || (claims->named && is_implied(first) && is_implied(next)))
			continue;
		if (!first->setting) {
			fault_at(&load->faults, next->setting, "%s is iotd's own", next->text);
			continue;
		}
		place = text_place(&load->text, claim_line(first));
		fault_at(&load->faults, next->setting, "%s is in use already, in %s:%zu",
			 next->text, place.file, place.line);
	}
}

void check_name(struct load *load, const config_setting_t *setting, void *member)
{
	const char *name = *(char **)member;
	char written[QUOTE_SIZE];

	if (!parse_name(name))
		fault_at(&load->faults, setting,
			 "%s is no name: 1 to %d of the characters A-Z a-z 0-9 _ -",
			 fault_quote(written, name), NAME_LENGTH);
}

/* element() - the @index-th group of list @name */
static const config_setting_t *element(const struct load *load, const char *name, size_t index)
{
	const config_setting_t *list =
		config_setting_get_member(config_root_setting(&load->tree), name);

	return config_setting_get_elem(list, (unsigned int)index);
}

/* member() - a key of that group, or the group itself if it is a default */
static const config_setting_t *member(const struct load *load, const char *name, size_t index,
				      const char *key)
{
	const config_setting_t *group = element(load, name, index);
	const config_setting_t *setting = config_setting_get_member(group, key);

	return setting ? setting : group;
}

static void check_names(struct load *load)
{
	cleanup(claims_done) struct claims names = { 0 };
	const struct settings *settings = load->settings;

	for (size_t i = 0; i < settings->sensor_count; i++)
		if (settings->sensors[i].name)
			claim(load, &names, member(load, "sensors", i, "name"), i, "\"%s\"",
			      settings->sensors[i].name);
	for (size_t i = 0; i < settings->input_count; i++)
		if (settings->inputs[i].name)
			claim(load, &names, member(load, "inputs", i, "name"), i, "\"%s\"",
			      settings->inputs[i].name);
	for (size_t i = 0; i < settings->output_count; i++)
		if (settings->outputs[i].name)
			claim(load, &names, member(load, "outputs", i, "name"), i, "\"%s\"",
			      settings->outputs[i].name);
	claims_check(load, &names);
}

static void check_addresses(struct load *load)
{
	cleanup(claims_done) struct claims buses = { 0 }, addresses = { 0 };
	const struct settings *settings = load->settings;
	const config_setting_t *list =
		config_setting_get_member(config_root_setting(&load->tree), "i2c");

	for (size_t i = 0; list && i < (size_t)config_setting_length(list); i++)
		if (i < settings->i2c_count && settings->i2c[i].name)
			claim(load, &buses, member(load, "i2c", i, "bus"), i, "\"%s\"",
			      settings->i2c[i].name);
	claims_check(load, &buses);
	for (size_t i = 0; i < settings->sensor_count; i++)
		if (settings->sensors[i].bus && settings->sensors[i].address > 0)
			claim(load, &addresses, member(load, "sensors", i, "address"), i,
			      "address 0x%02x on \"%s\"", settings->sensors[i].address,
			      settings->sensors[i].bus);
	claims_check(load, &addresses);
}

static void claim_line_of(struct load *load, struct claims *claims, const char *list, size_t index,
			  const struct line_settings *line)
{
	const config_setting_t *setting = member(load, list, index, "line");
	const char *chip = line->chip;

	if (!chip || !config_setting_name(setting))
		return; /* missing, and told so */
	if (strncmp(chip, "/dev/", 5) == 0)
		chip += 5;
	if (line->name)
		claim(load, claims, setting, index, "line \"%s\" of %s", line->name, chip);
	else
		claim(load, claims, setting, index, "line %u of %s", line->offset, chip);
}

static void check_lines(struct load *load)
{
	cleanup(claims_done) struct claims claims = { 0 };
	const struct settings *settings = load->settings;

	for (size_t i = 0; i < settings->input_count; i++)
		claim_line_of(load, &claims, "inputs", i, &settings->inputs[i].line);
	for (size_t i = 0; i < settings->output_count; i++)
		claim_line_of(load, &claims, "outputs", i, &settings->outputs[i].line);
	claims_check(load, &claims);
}

/* claim_aliases() - Return: how many channels of the sensor have one */
static size_t claim_aliases(struct load *load, struct claims *claims, size_t index)
{
	const struct sensor_settings *sensor = &load->settings->sensors[index];
	const config_setting_t *group = element(load, "sensors", index), *channel, *alias;
	size_t count = 0;

	for (size_t i = 0; i < sensor->channel_count; i++) {
		if (!sensor->channels[i].alias)
			continue;
		channel = config_setting_get_member(group, sensor->channels[i].name);
		alias = config_setting_get_member(channel ? channel : group, "alias");
		claim(load, claims, alias ? alias : group, index, "topic \"%s/sensor/%s\"",
		      load->settings->mqtt.topic, sensor->channels[i].alias);
		count++;
	}
	return count;
}

/* claim_sensor_topic() - with mqtt-io's topics each channel has one, and aliases replace the sensor's */
static void claim_sensor_topic(struct load *load, struct claims *claims, size_t index)
{
	const struct sensor_settings *sensor = &load->settings->sensors[index];

	if (compat_is_mqtt_io(&load->settings->mqtt) && claim_aliases(load, claims, index) > 0)
		return;
	if (sensor->topic)
		claim(load, claims, member(load, "sensors", index, "topic"), index, "topic \"%s\"",
		      sensor->topic);
}

/* claim_count_topic() - a counter's is that of its state, but with mqtt-io's topics it is a sensor */
static void claim_count_topic(struct load *load, struct claims *claims, size_t index)
{
	const struct settings *settings = load->settings;
	const struct input_settings *input = &settings->inputs[index];

	if (!input->count_topic)
		return;
	if (compat_is_mqtt_io(&settings->mqtt))
		claim(load, claims, NULL, index, "topic \"%s/sensor/%s\"", settings->mqtt.topic,
		      input->name);
	else if (!input->count)
		claim(load, claims, NULL, index, "topic \"%s\"", input->count_topic);
}

/* check_topics() - a sensor's own topic must be nobody else's */
static void check_topics(struct load *load)
{
	static const char *const own[] = { "status", "command", "reply", "stats" };
	cleanup(claims_done) struct claims claims = { .named = true };
	const struct settings *settings = load->settings;
	const char *prefix = settings->mqtt.topic;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		claim(load, &claims, NULL, i, "topic \"%s/%s\"", prefix, own[i]);
	for (size_t i = 0; i < settings->sensor_count; i++) {
		const struct sensor_settings *sensor = &settings->sensors[i];

		claim_sensor_topic(load, &claims, i);
		if (sensor->name)
			claim(load, &claims, NULL, i, "topic \"%s/sensor/%s/status\"", prefix,
			      sensor->name);
	}
	for (size_t i = 0; i < settings->input_count; i++) {
		const struct input_settings *input = &settings->inputs[i];

		if (input->name)
			claim(load, &claims, NULL, i, "topic \"%s/input/%s\"", prefix, input->name);
		claim_count_topic(load, &claims, i);
	}
	for (size_t i = 0; i < settings->output_count; i++) {
		if (!settings->outputs[i].name)
			continue;
		claim(load, &claims, NULL, i, "topic \"%s/output/%s\"", prefix,
		      settings->outputs[i].name);
		claim(load, &claims, NULL, i, "topic \"%s/output/%s/set\"", prefix,
		      settings->outputs[i].name);
	}
	claims_check(load, &claims);
}

static int compare_text(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;

	return strcmp(a->text, b->text);
}

static void check_both_on(struct load *load, const config_setting_t *setting,
			  const struct output_settings *a, const struct output_settings *b)
{
	const struct {
		const char *key;
		enum output_move of_a, of_b;
	} moves[] = {
		{ "initial", a->initial, b->initial },
		{ "on_exit", a->on_exit, b->on_exit },
		{ "on_disconnect", a->on_disconnect, b->on_disconnect },
	};

	for (size_t i = 0; i < ARRAY_SIZE(moves); i++)
		if (moves[i].of_a == MOVE_ON && moves[i].of_b == MOVE_ON)
			fault_at(&load->faults, setting, "\"%s\" has %s = \"on\" as well", b->name,
				 moves[i].key);
}

/* check_interlock() - one name in the interlock of output @index; @names sorted */
static void check_interlock(struct load *load, const struct claims *names, size_t index, size_t at)
{
	const struct output_settings *output = &load->settings->outputs[index];
	const config_setting_t *list = member(load, "outputs", index, "interlock");
	const config_setting_t *setting = config_setting_get_elem(list, (unsigned int)at);
	struct suggest suggest = { .word = output->interlock[at] };
	struct claim wanted = { .text = output->interlock[at] }, *found;
	char written[QUOTE_SIZE];

	if (*wanted.text == '\0' && fault_is_at(&load->faults, setting))
		return; /* it was no string */
	found = names->count == 0 ? NULL
				  : bsearch(&wanted, names->list, names->count,
					    sizeof(*names->list), compare_text);
	if (!found && load->faults.incomplete)
		return;
	if (!found) {
		for (size_t i = 0; i < names->count && i < 1000; i++)
			suggest_offer(&suggest, names->list[i].text);
		fault_at(&load->faults, setting, "%s is no output%s",
			 fault_quote(written, wanted.text), suggest_text(&suggest));
	} else if (found->index == index) {
		fault_at(&load->faults, setting, "names the output itself");
	} else {
		check_both_on(load, setting, output, &load->settings->outputs[found->index]);
	}
}

static void check_interlocks(struct load *load)
{
	cleanup(claims_done) struct claims names = { 0 };
	const struct settings *settings = load->settings;

	for (size_t i = 0; i < settings->output_count; i++)
		if (settings->outputs[i].name)
			claim(load, &names, member(load, "outputs", i, "name"), i, "%s",
			      settings->outputs[i].name);
	if (names.count > 0)
		qsort(names.list, names.count, sizeof(*names.list), compare_text);
	for (size_t i = 0; i < settings->output_count; i++)
		for (size_t at = 0; at < settings->outputs[i].interlock_count; at++)
			check_interlock(load, &names, i, at);
}

void check_across(struct load *load)
{
	check_names(load);
	check_addresses(load);
	check_lines(load);
	check_topics(load);
	check_interlocks(load);
	check_sparkplug(load);
}
