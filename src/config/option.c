/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Driver options: like a key table, but the driver owns the rows and the values are of one struct. A
 * list is one value with a value an element; the elements of a list of groups have a table of rows of
 * their own, and there it ends.
 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "option.h"
#include "table.h"

#include "iotd/parse.h"

/* struct rows - the options of a driver, or the members of a group in one */
struct rows {
	const struct driver_option *list;
	size_t count;
};

static struct rows rows_of(const struct driver *driver)
{
	return (struct rows){ driver->options, driver->option_count };
}

static const struct driver_option *rows_find(struct rows rows, const char *name)
{
	const struct driver_option *list = rows.list;

	for (size_t i = 0; i < rows.count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

const struct driver_option *option_find(const struct driver *driver, const char *name)
{
	return rows_find(rows_of(driver), name);
}

static void option_preset(struct faults *faults, const struct driver_option *option,
			  struct option_value *value)
{
	if (option->type == OPTION_STRING) {
		if (option->text)
			table_string(faults, &value->string, option->text);
		return;
	}
	value->number = option->preset;
	value->integer = llround(option->preset);
	if (option->type == OPTION_DURATION && option->text)
		(void)parse_duration(option->text, &value->integer);
}

static struct option_value *rows_presets(struct faults *faults, struct rows rows)
{
	struct option_value *values = calloc(rows.count, sizeof(*values));

	if (!values)
		fault_memory(faults);
	for (size_t i = 0; values && i < rows.count; i++)
		option_preset(faults, &rows.list[i], &values[i]);
	return values;
}

void options_presets(struct faults *faults, const struct driver *driver, struct option_value **ret,
		     size_t *ret_count)
{
	if (driver->option_count == 0)
		return;
	*ret = rows_presets(faults, rows_of(driver));
	if (*ret)
		*ret_count = driver->option_count;
}

/* --- reading -------------------------------------------------------------------------------- */

/* take_string() - in every driver "channel" is the name of a channel and "unit" its unit */
static void take_string(struct faults *faults, const struct driver_option *option,
			const config_setting_t *setting, struct option_value *value)
{
	char written[QUOTE_SIZE];
	const char *text;
	int index;

	if (option->choices) {
		if (value_word(faults, setting, option->choices, &index))
			table_string(faults, &value->string, option->choices[index]);
		return;
	}
	if (!value_string(faults, setting, &text))
		return;
	if (*text == '\0' && option->required)
		fault_at(faults, setting, "must not be empty");
	else if (strcmp(option->name, "channel") == 0 && !parse_name(text))
		fault_at(faults, setting,
			 "%s is no name: 1 to %d of the characters A-Z a-z 0-9 _ -",
			 fault_quote(written, text), NAME_LENGTH);
	else if (strcmp(option->name, "unit") == 0 && strlen(text) > UNIT_LENGTH)
		fault_at(faults, setting, "is longer than %d bytes", UNIT_LENGTH);
	else
		table_string(faults, &value->string, text);
}

/* check_choice() - a number or a duration that must be one of some */
static void check_choice(struct faults *faults, const struct driver_option *option,
			 const config_setting_t *setting, const struct option_value *value)
{
	const char *quote = option->type == OPTION_DURATION ? "\"" : "";
	char text[40], known[WORDS_SIZE];

	if (option_choice(option, value) >= 0)
		return;
	if (option->type == OPTION_DURATION)
		format_duration(text, sizeof(text), value->integer);
	else if (option->type == OPTION_INTEGER)
		(void)snprintf(text, sizeof(text), "%" PRId64, value->integer);
	else
		(void)snprintf(text, sizeof(text), "%.10g", value->number);
	value_words(known, option->choices, quote);
	fault_at(faults, setting, "%s%s%s is not %s", quote, text, quote, known);
}

/* take_number() - integers, numbers and durations: of the range, or one of the choices */
static void take_number(struct faults *faults, const struct driver_option *option,
			const config_setting_t *setting, struct option_value *value)
{
	struct range range = { option->minimum, option->maximum };
	bool ok;

	if (option->choices)
		range = (struct range){ 0 };
	if (option->type == OPTION_NUMBER)
		ok = value_number(faults, setting, range, &value->number);
	else if (option->type == OPTION_DURATION)
		ok = value_duration(faults, setting, range, &value->integer);
	else
		ok = value_integer(faults, setting, range, &value->integer);
	if (option->type == OPTION_INTEGER)
		value->number = (double)value->integer;
	if (ok && option->choices)
		check_choice(faults, option, setting, value);
}

static void rows_missing(struct faults *faults, struct rows rows, const config_setting_t *group,
			 const struct option_value *values)
{
	for (size_t i = 0; i < rows.count; i++)
		if (rows.list[i].required && !values[i].given)
			fault_member(faults, group, rows.list[i].name, "is missing");
}

static void take_value(struct faults *faults, const struct driver_option *option,
		       const config_setting_t *setting, struct option_value *value);

static void take_member(struct faults *faults, struct rows rows, const config_setting_t *setting,
			struct option_value *values)
{
	const char *name = config_setting_name(setting);
	const struct driver_option *row = rows_find(rows, name);
	struct suggest suggest = { .word = name };

	if (row) {
		take_value(faults, row, setting, &values[row - rows.list]);
		return;
	}
	for (size_t i = 0; i < rows.count; i++)
		suggest_offer(&suggest, rows.list[i].name);
	fault_unknown(faults, setting, &suggest);
}

/* take_group() - Return: true - @element is a group now, though perhaps with faults in it */
static bool take_group(struct faults *faults, const struct driver_option *option,
		       const config_setting_t *group, struct option_value *element)
{
	struct rows rows = { option->members, option->member_count };

	assert(rows.count > 0); /* the driver's table is wrong */
	if (!value_is_group(faults, group))
		return false;
	element->list = rows_presets(faults, rows);
	if (!element->list)
		return false;
	element->count = rows.count;
	for (int i = 0; i < config_setting_length(group); i++)
		take_member(faults, rows, config_setting_get_elem(group, (unsigned int)i),
			    element->list);
	rows_missing(faults, rows, group, element->list);
	return true;
}

static bool is_repeated(const struct option_value *list, const char *string)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->list[i].string, string) == 0)
			return true;
	return false;
}

/* take_element() - the next of @list. Return: true - it is one */
static bool take_element(struct faults *faults, const struct driver_option *option,
			 const config_setting_t *setting, struct option_value *list)
{
	struct option_value *element = &list->list[list->count];
	struct driver_option alone = *option;
	size_t faults_before = faults->count;
	char written[QUOTE_SIZE];

	if (option->type == OPTION_GROUPS)
		return take_group(faults, option, setting, element);
	alone.type = option->type == OPTION_STRINGS ? OPTION_STRING : OPTION_INTEGER;
	alone.required = true; /* "" says nothing */
	take_value(faults, &alone, setting, element);
	if (faults->count > faults_before || (option->type == OPTION_STRINGS && !element->string))
		return false;
	if (option->type == OPTION_STRINGS && is_repeated(list, element->string)) {
		fault_at(faults, setting, "%s is there already",
			 fault_quote(written, element->string));
		free(take_ptr(element->string));
		return false;
	}
	return true;
}

/* take_list() - elements with a fault are left out */
static void take_list(struct faults *faults, const struct driver_option *option,
		      const config_setting_t *setting, struct option_value *list)
{
	int count;

	if (!value_is_list(faults, setting))
		return;
	count = config_setting_length(setting);
	if (count == 0 && option->required)
		fault_at(faults, setting, "must not be empty");
	if (count > OPTION_LIST_MAX)
		fault_at(faults, setting, "has %d elements: %d are the most", count,
			 OPTION_LIST_MAX);
	if (count == 0 || count > OPTION_LIST_MAX)
		return;
	list->list = calloc((size_t)count, sizeof(*list->list));
	if (!list->list) {
		fault_memory(faults);
		return;
	}
	for (int i = 0; i < count; i++)
		if (take_element(faults, option, config_setting_get_elem(setting, (unsigned int)i),
				 list))
			list->count++;
}

static void take_value(struct faults *faults, const struct driver_option *option,
		       const config_setting_t *setting, struct option_value *value)
{
	bool flag;

	value->given = true;
	switch (option->type) {
	case OPTION_STRING:
		take_string(faults, option, setting, value);
		break;
	case OPTION_INTEGER:
	case OPTION_NUMBER:
	case OPTION_DURATION:
		take_number(faults, option, setting, value);
		break;
	case OPTION_BOOLEAN:
		if (value_boolean(faults, setting, &flag))
			value->integer = flag;
		break;
	case OPTION_STRINGS:
	case OPTION_INTEGERS:
	case OPTION_GROUPS:
		take_list(faults, option, setting, value);
		break;
	}
}

bool option_take(struct faults *faults, const struct driver *driver,
		 const config_setting_t *setting, struct option_value *values)
{
	const struct driver_option *option = option_find(driver, config_setting_name(setting));

	if (!option)
		return false;
	take_value(faults, option, setting, &values[option - driver->options]);
	return true;
}

void options_missing(struct faults *faults, const struct driver *driver,
		     const config_setting_t *group, const struct option_value *values)
{
	rows_missing(faults, rows_of(driver), group, values);
}

/* --- checking ------------------------------------------------------------------------------- */

struct checker {
	struct option_check check;
	struct faults *faults;
	const config_setting_t *group;
	struct rows rows;
	const struct option_value *values;
};

/* fault_in() - told at @wanted, if it is one of @values or in their lists */
static void fault_in(const struct checker *checker, const struct option_value *wanted,
		     const char *words)
{
	for (size_t i = 0; i < checker->rows.count; i++) {
		const struct driver_option *row = &checker->rows.list[i];
		const struct option_value *value = &checker->values[i];
		const config_setting_t *setting =
			config_setting_get_member(checker->group, row->name);

		if (value == wanted)
			fault_member(checker->faults, checker->group, row->name, "%s", words);
		for (size_t at = 0; at < value->count; at++) {
			struct checker inner = {
				.faults = checker->faults,
				.group = config_setting_get_elem(setting, (unsigned int)at),
				.rows = { row->members, row->member_count },
				.values = value->list[at].list,
			};

			if (&value->list[at] == wanted)
				fault_at(checker->faults, inner.group, "%s", words);
			else if (row->type == OPTION_GROUPS)
				fault_in(&inner, wanted, words);
		}
	}
}

static void checker_fault(struct option_check *check, const struct option_value *value,
			  const char *words)
{
	fault_in(container_of(check, struct checker, check), value, words);
}

void options_check(struct faults *faults, const struct driver *driver,
		   const config_setting_t *group, const struct option_value *values)
{
	struct checker checker = {
		.check.fault = checker_fault,
		.faults = faults,
		.group = group,
		.rows = rows_of(driver),
		.values = values,
	};

	if (driver->check)
		driver->check(values, &checker.check);
}

/* names_channel() - what is taken over as the name of a channel: see take_string() */
static bool names_channel(const struct driver_option *row, const struct option_value *value,
			  const char *name)
{
	return row->type == OPTION_STRING && strcmp(row->name, "channel") == 0 && value->string &&
	       strcmp(value->string, name) == 0;
}

/* value_of_channel() - that which gives a channel this name; NULL: none does */
static const struct option_value *
value_of_channel(struct rows rows, const struct option_value *values, const char *name)
{
	const struct option_value *found = NULL;

	for (size_t i = 0; i < rows.count && !found; i++) {
		const struct driver_option *row = &rows.list[i];
		struct rows members = { row->members, row->member_count };

		if (names_channel(row, &values[i], name))
			found = &values[i];
		for (size_t at = 0; at < values[i].count && !found; at++)
			if (row->type == OPTION_GROUPS)
				found = value_of_channel(members, values[i].list[at].list, name);
	}
	return found;
}

void options_fault_channel(struct faults *faults, const struct driver *driver,
			   const config_setting_t *group, const struct option_value *values,
			   const char *name, const char *words)
{
	struct checker checker = {
		.faults = faults, .group = group, .rows = rows_of(driver), .values = values
	};
	const struct option_value *value = value_of_channel(checker.rows, values, name);

	if (value)
		fault_in(&checker, value, words);
	else
		fault_at(faults, group, "%s", words);
}

/* --- comparing ------------------------------------------------------------------------------ */

bool options_equal(const struct option_value *a, size_t a_count, const struct option_value *b,
		   size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (a[i].integer != b[i].integer || !texts_equal(a[i].string, b[i].string) ||
		    !numbers_equal(a[i].number, b[i].number) ||
		    !options_equal(a[i].list, a[i].count, b[i].list, b[i].count))
			return false;
	return true;
}
