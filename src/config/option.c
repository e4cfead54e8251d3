/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Driver options: like a key table, but the driver owns the rows and the values are of one struct. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "option.h"
#include "table.h"

#include "iotd/parse.h"

const struct driver_option *option_find(const struct driver *driver, const char *name)
{
	for (size_t i = 0; i < driver->option_count; i++)
		if (strcmp(driver->options[i].name, name) == 0)
			return &driver->options[i];
	return NULL;
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

void options_presets(struct faults *faults, const struct driver *driver, struct option_value **ret,
		     size_t *ret_count)
{
	if (driver->option_count == 0)
		return;
	*ret = calloc(driver->option_count, sizeof(**ret));
	if (!*ret) {
		fault_memory(faults);
		return;
	}
	*ret_count = driver->option_count;
	for (size_t i = 0; i < driver->option_count; i++)
		option_preset(faults, &driver->options[i], &(*ret)[i]);
}

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

/* take_choice() - an integer that must be one of some numbers */
static void take_choice(struct faults *faults, const struct driver_option *option,
			const config_setting_t *setting, struct option_value *value)
{
	char text[24], known[WORDS_SIZE];
	int64_t number;

	if (!value_integer(faults, setting, (struct range){ 0 }, &number))
		return;
	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	for (const char *const *choice = option->choices; *choice; choice++) {
		if (strcmp(*choice, text) == 0) {
			value->integer = number;
			return;
		}
	}
	value_words(known, option->choices, "");
	fault_at(faults, setting, "%s is not %s", text, known);
}

bool option_take(struct faults *faults, const struct driver *driver,
		 const config_setting_t *setting, struct option_value *values)
{
	const struct driver_option *option = option_find(driver, config_setting_name(setting));
	struct option_value *value;
	struct range range;
	bool flag;

	if (!option)
		return false;
	value = &values[option - driver->options];
	value->given = true;
	range = (struct range){ option->minimum, option->maximum };
	switch (option->type) {
	case OPTION_STRING:
		take_string(faults, option, setting, value);
		break;
	case OPTION_INTEGER:
		if (option->choices)
			take_choice(faults, option, setting, value);
		else
			(void)value_integer(faults, setting, range, &value->integer);
		value->number = (double)value->integer;
		break;
	case OPTION_NUMBER:
		(void)value_number(faults, setting, range, &value->number);
		break;
	case OPTION_BOOLEAN:
		if (value_boolean(faults, setting, &flag))
			value->integer = flag;
		break;
	case OPTION_DURATION:
		(void)value_duration(faults, setting, range, &value->integer);
		break;
	}
	return true;
}

void options_missing(struct faults *faults, const struct driver *driver,
		     const config_setting_t *group, const struct option_value *values)
{
	for (size_t i = 0; i < driver->option_count; i++)
		if (driver->options[i].required && !values[i].given)
			fault_member(faults, group, driver->options[i].name, "is missing");
}
