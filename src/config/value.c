/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values with their types. libconfig's own lookups convert silently (3.9 becomes 3, a large number
 * becomes 0), so the type is looked at first and nothing is converted but an integer to a number.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "value.h"

#include "iotd/clock.h"
#include "iotd/parse.h"
#include "iotd/suggest.h"

const char *value_kind(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
	case CONFIG_TYPE_FLOAT:
		return "a number";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_ARRAY:
		return "an array";
	case CONFIG_TYPE_LIST:
		return "a list";
	default:
		return "nothing";
	}
}

const char *text_complaint(const char *string)
{
	const unsigned char *text = (const unsigned char *)string;
	size_t length;

	for (; *text != '\0'; text += length) {
		length = text_character((const char *)text);
		if (length == 0)
			return "is no valid UTF-8";
		if (*text < 0x20 || *text == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0))
			return "holds a control character";
	}
	return NULL;
}

bool value_string(struct faults *faults, const config_setting_t *setting, const char **ret)
{
	const char *text = config_setting_get_string(setting), *complaint;

	if (!text) {
		fault_at(faults, setting, "must be a string in quotes, not %s",
			 value_kind(setting));
		return false;
	}
	complaint = text_complaint(text);
	if (complaint) {
		fault_at(faults, setting, "%s", complaint);
		return false;
	}
	*ret = text;
	return true;
}

bool value_boolean(struct faults *faults, const config_setting_t *setting, bool *ret)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL) {
		fault_at(faults, setting, "must be true or false, not %s", value_kind(setting));
		return false;
	}
	*ret = config_setting_get_bool(setting) != 0;
	return true;
}

static bool in_range(double number, struct range range)
{
	return (range.minimum == 0 && range.maximum == 0) ||
	       (number >= range.minimum && number <= range.maximum);
}

/* range_text() - "0 to 2", "at least 0.5" */
static void range_text(char *buffer, size_t size, struct range range)
{
	if (isinf(range.maximum))
		(void)snprintf(buffer, size, "at least %.10g", range.minimum);
	else
		(void)snprintf(buffer, size, "%.10g to %.10g", range.minimum, range.maximum);
}

bool value_integer(struct faults *faults, const config_setting_t *setting, struct range range,
		   int64_t *ret)
{
	int type = config_setting_type(setting);
	char allowed[64];
	int64_t number;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		fault_at(faults, setting, "must be a whole number, not %s",
			 type == CONFIG_TYPE_FLOAT ? "one with decimals" : value_kind(setting));
		return false;
	}
	number = type == CONFIG_TYPE_INT ? config_setting_get_int(setting)
					 : config_setting_get_int64(setting);
	if (!in_range((double)number, range)) {
		range_text(allowed, sizeof(allowed), range);
		fault_at(faults, setting, "%" PRId64 " is out of range (%s)", number, allowed);
		return false;
	}
	*ret = number;
	return true;
}

static bool is_number(const config_setting_t *setting)
{
	return config_setting_is_number(setting) != 0;
}

static double number_of(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
		return config_setting_get_int(setting);
	case CONFIG_TYPE_INT64:
		return (double)config_setting_get_int64(setting);
	default:
		return config_setting_get_float(setting);
	}
}

bool value_number(struct faults *faults, const config_setting_t *setting, struct range range,
		  double *ret)
{
	char allowed[64];
	double number;

	if (!is_number(setting)) {
		fault_at(faults, setting, "must be a number, not %s", value_kind(setting));
		return false;
	}
	number = number_of(setting);
	if (!isfinite(number)) {
		fault_at(faults, setting, "is too large a number");
		return false;
	}
	if (!in_range(number, range)) {
		range_text(allowed, sizeof(allowed), range);
		fault_at(faults, setting, "%.10g is out of range (%s)", number, allowed);
		return false;
	}
	*ret = number;
	return true;
}

/* as_written() - a string in quotes, or a number, for a fault */
static const char *as_written(char buffer[static QUOTE_SIZE], const config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);

	if (text)
		return fault_quote(buffer, text);
	(void)snprintf(buffer, QUOTE_SIZE, "%.10g", number_of(setting));
	return buffer;
}

/* seconds_of() - a bare number as a duration; exact to the microsecond. Return: 0; -EINVAL; -ERANGE */
static int seconds_of(double seconds, int64_t *ret_us)
{
	if (!(seconds >= 0))
		return -EINVAL;
	if (seconds > 100.0 * 365 * 86400)
		return -ERANGE;
	*ret_us = llround(seconds * (double)USEC_PER_SEC);
	return 0;
}

bool value_duration(struct faults *faults, const config_setting_t *setting, struct range range,
		    int64_t *ret_us)
{
	char written[QUOTE_SIZE], low[32], high[32];
	const char *text;
	int64_t us = 0;
	int r;

	if (is_number(setting))
		r = seconds_of(number_of(setting), &us);
	else if (value_string(faults, setting, &text))
		r = parse_duration(text, &us);
	else
		return false;
	if (r == -EINVAL) {
		fault_at(faults, setting, "%s is no duration (write \"250ms\", \"10s\", \"5m\")",
			 as_written(written, setting));
		return false;
	}
	if (r < 0) {
		fault_at(faults, setting, "%s is too long", as_written(written, setting));
		return false;
	}
	if (!in_range((double)us, range)) {
		format_duration(low, sizeof(low), (int64_t)range.minimum);
		format_duration(high, sizeof(high), (int64_t)range.maximum);
		fault_at(faults, setting, "%s is out of range (%s to %s)",
			 as_written(written, setting), low, high);
		return false;
	}
	*ret_us = us;
	return true;
}

static void size_text(char *buffer, size_t size, uint64_t bytes)
{
	static const char suffixes[] = "KMGT";
	size_t power = 0;

	while (power < 4 && bytes > 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		power++;
	}
	(void)snprintf(buffer, size, "%" PRIu64 "%.*s", bytes, power > 0,
		       power > 0 ? &suffixes[power - 1] : "");
}

bool value_size(struct faults *faults, const config_setting_t *setting, struct range range,
		uint64_t *ret)
{
	char written[QUOTE_SIZE], low[32], high[32];
	const char *text;
	uint64_t bytes = 0;
	int64_t number;
	int r;

	if (is_number(setting)) {
		if (!value_integer(faults, setting, (struct range){ 0 }, &number))
			return false;
		bytes = (uint64_t)number;
		r = number < 0 ? -EINVAL : 0;
	} else if (value_string(faults, setting, &text)) {
		r = parse_size(text, &bytes);
	} else {
		return false;
	}
	if (r == -EINVAL) {
		fault_at(faults, setting, "%s is no size (write \"64K\", \"64M\", \"1G\")",
			 as_written(written, setting));
		return false;
	}
	if (r < 0 || !in_range((double)bytes, range)) {
		size_text(low, sizeof(low), (uint64_t)range.minimum);
		size_text(high, sizeof(high), (uint64_t)range.maximum);
		fault_at(faults, setting, "%s is out of range (%s to %s)",
			 as_written(written, setting), low, high);
		return false;
	}
	*ret = bytes;
	return true;
}

/* append() - as much of @text as fits into @size bytes */
static void append(char *buffer, size_t size, const char *text)
{
	size_t length = strlen(buffer), more = strnlen(text, size - length - 1);

	memcpy(buffer + length, text, more);
	buffer[length + more] = '\0';
}

void value_words(char buffer[static WORDS_SIZE], const char *const *words, const char *quote)
{
	buffer[0] = '\0';
	for (size_t i = 0; words[i]; i++) {
		if (i > 0)
			append(buffer, WORDS_SIZE, words[i + 1] ? ", " : " or ");
		append(buffer, WORDS_SIZE, quote);
		append(buffer, WORDS_SIZE, words[i]);
		append(buffer, WORDS_SIZE, quote);
	}
}

bool value_word(struct faults *faults, const config_setting_t *setting, const char *const *words,
		int *ret)
{
	char written[QUOTE_SIZE], known[WORDS_SIZE];
	struct suggest suggest;
	const char *text;

	if (!value_string(faults, setting, &text))
		return false;
	suggest = (struct suggest){ .word = text };
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret = i;
			return true;
		}
		suggest_offer(&suggest, words[i]);
	}
	value_words(known, words, "\"");
	fault_at(faults, setting, "%s is not %s%s", fault_quote(written, text), known,
		 suggest_text(&suggest));
	return false;
}

bool value_is_group(struct faults *faults, const config_setting_t *setting)
{
	if (config_setting_type(setting) == CONFIG_TYPE_GROUP)
		return true;
	fault_at(faults, setting, "must be a group, { … }, not %s", value_kind(setting));
	return false;
}

bool value_is_list(struct faults *faults, const config_setting_t *setting)
{
	int type = config_setting_type(setting);

	if (type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY)
		return true;
	fault_at(faults, setting, "must be a list, ( … ), not %s", value_kind(setting));
	return false;
}
