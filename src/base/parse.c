/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words of the configuration and of commands.
 *
 * Digits are read by hand and not by strtod(), which follows the locale, takes hex, "nan" and
 * blanks, and rounds: a duration is exact to the microsecond or refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "iotd/base.h"
#include "iotd/clock.h"
#include "iotd/parse.h"

#define DURATION_MAX_US (100LL * 365 * 86400 * USEC_PER_SEC)
#define NAME_LENGTH_MAX 64

static const struct {
	const char *name;
	int64_t us;
} duration_units[] = {
	{ "us", 1 },
	{ "ms", USEC_PER_MSEC },
	{ "s", USEC_PER_SEC },
	{ "m", 60 * USEC_PER_SEC },
	{ "h", 3600 * USEC_PER_SEC },
	{ "d", 86400 * USEC_PER_SEC },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int64_t duration_unit(const char *name)
{
	if (*name == '\0')
		return USEC_PER_SEC;
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++)
		if (strcmp(name, duration_units[i].name) == 0)
			return duration_units[i].us;
	return -EINVAL;
}

int parse_duration(const char *text, int64_t *ret_us)
{
	const char *at = text, *fraction = "", *end = fraction;
	int64_t unit, whole = 0, part = 0;

	if (!is_digit(*at))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		if (whole > DURATION_MAX_US)
			return -ERANGE;
		whole = whole * 10 + (*at - '0');
	}
	if (*at == '.') {
		fraction = ++at;
		if (!is_digit(*at))
			return -EINVAL;
		while (is_digit(*at))
			at++;
		end = at;
	}
	unit = duration_unit(at);
	if (unit < 0)
		return -EINVAL;
	while (end > fraction) { /* the last digit first: what is exact leaves no rest on the way */
		part += (*--end - '0') * unit;
		if (part % 10 != 0)
			return -EINVAL; /* finer than a microsecond */
		part /= 10;
	}
	if (whole > (DURATION_MAX_US - part) / unit)
		return -ERANGE;
	*ret_us = whole * unit + part;
	return 0;
}

int parse_size(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "KMGT";
	const char *at = text, *suffix;
	uint64_t size = 0;
	unsigned int shift = 0;

	if (!is_digit(*at))
		return -EINVAL;
	for (; is_digit(*at); at++)
		if (__builtin_mul_overflow(size, 10U, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(*at - '0'), &size))
			return -ERANGE;
	if (*at != '\0') {
		suffix = strchr(suffixes, *at);
		if (!suffix || at[1] != '\0')
			return -EINVAL;
		shift = 10U * ((unsigned int)(suffix - suffixes) + 1);
	}
	if (size > UINT64_MAX >> shift)
		return -ERANGE;
	*ret = size << shift;
	return 0;
}

/* both fit a double exactly, so that the one division rounds as it must */
#define DECIMAL_DIGITS 15

bool parse_decimal(const char *text, double *ret)
{
	static const double powers[DECIMAL_DIGITS + 1] = { 1e0,	 1e1,  1e2,  1e3, 1e4,	1e5,
							   1e6,	 1e7,  1e8,  1e9, 1e10, 1e11,
							   1e12, 1e13, 1e14, 1e15 };
	bool is_negative = *text == '-', has_point = false;
	unsigned int digits = 0, decimals = 0;
	int64_t number = 0;
	double value;

	for (text += is_negative || *text == '+'; *text != '\0'; text++) {
		if (*text == '.' && !has_point) {
			has_point = true;
			continue;
		}
		if (!is_digit(*text) || ++digits > DECIMAL_DIGITS)
			return false;
		number = number * 10 + (*text - '0');
		decimals += has_point;
	}
	if (digits == 0)
		return false;
	value = (double)number / powers[decimals];
	*ret = is_negative ? -value : value;
	return true;
}

int parse_state(const char *text, size_t length, bool *ret_on)
{
	static const struct {
		const char *word;
		bool on;
	} words[] = {
		{ "on", true },	    { "off", false }, { "true", true },
		{ "false", false }, { "1", true },    { "0", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i].word) == length &&
		    strncasecmp(text, words[i].word, length) == 0) {
			*ret_on = words[i].on;
			return 0;
		}
	}
	return -EINVAL;
}

void format_duration(char *buffer, size_t size, int64_t duration_us)
{
	size_t i = ARRAY_SIZE(duration_units) - 1;

	if (duration_us == 0)
		i = 2; /* "0s" */
	while (duration_us % duration_units[i].us != 0)
		i--;
	(void)snprintf(buffer, size, "%" PRId64 "%s", duration_us / duration_units[i].us,
		       duration_units[i].name);
}

/* RFC 3629, 4: no overlong forms, no surrogates */
size_t text_character(const char *string)
{
	const unsigned char *text = (const unsigned char *)string;
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0U) != 0x80)
			return 0;
	return length;
}

void text_mend(char *text)
{
	for (size_t length; *text != '\0'; text += length) {
		length = text_character(text);
		if (length > 0)
			continue;
		*text = '?';
		length = 1;
	}
}

size_t text_fit(const char *text, size_t limit)
{
	size_t length = strnlen(text, limit + 1);

	if (length <= limit)
		return length;
	length = limit;
	while (length > 0 && ((unsigned char)text[length] & 0xc0U) == 0x80)
		length--;
	return length;
}

bool parse_name(const char *name)
{
	size_t length =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return length >= 1 && length <= NAME_LENGTH_MAX && name[length] == '\0';
}
