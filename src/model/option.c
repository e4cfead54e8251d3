/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The values of a driver's options: a tree of two levels, which belongs to who made it. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iotd/driver.h"
#include "iotd/parse.h"
#include "iotd/settings.h"

struct option_value *option_values_free(struct option_value *values, size_t count)
{
	for (size_t i = 0; values && i < count; i++) {
		free(values[i].string);
		(void)option_values_free(values[i].list, values[i].count);
	}
	free(values);
	return NULL;
}

/* @copy is zero where it fails, so it can be freed either way */
static int option_value_copy(struct option_value *copy, const struct option_value *value)
{
	int r;

	*copy = *value;
	copy->string = NULL;
	copy->list = NULL;
	copy->count = 0;
	if (value->string) {
		copy->string = strdup(value->string);
		if (!copy->string)
			return -ENOMEM;
	}
	r = option_values_copy(&copy->list, value->list, value->count);
	if (r == 0)
		copy->count = value->count;
	return r;
}

int option_values_copy(struct option_value **ret, const struct option_value *values, size_t count)
{
	struct option_value *copies;
	int r = 0;

	if (count == 0) {
		*ret = NULL;
		return 0;
	}
	copies = calloc(count, sizeof(*copies));
	if (!copies)
		return -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++)
		r = option_value_copy(&copies[i], &values[i]);
	if (r < 0) {
		(void)option_values_free(copies, count);
		return r;
	}
	*ret = copies;
	return 0;
}

static bool is_choice(const struct driver_option *option, const char *choice,
		      const struct option_value *value)
{
	int64_t duration_us;

	switch (option->type) {
	case OPTION_STRING:
	case OPTION_STRINGS:
		return value->string && strcmp(choice, value->string) == 0;
	case OPTION_INTEGER:
	case OPTION_INTEGERS:
		return strtoll(choice, NULL, 10) == value->integer;
	case OPTION_NUMBER:
		return fabs(strtod(choice, NULL) - value->number) < 1e-9;
	case OPTION_DURATION:
		return parse_duration(choice, &duration_us) == 0 && duration_us == value->integer;
	case OPTION_BOOLEAN:
	case OPTION_GROUPS:
		break; /* have none */
	}
	return false;
}

int option_choice(const struct driver_option *option, const struct option_value *value)
{
	for (int i = 0; option->choices[i]; i++)
		if (is_choice(option, option->choices[i], value))
			return i;
	return -1;
}

void option_fault(struct option_check *check, const struct option_value *value, const char *format,
		  ...)
{
	char words[192];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	check->fault(check, value, words);
}
