/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "iotd/model.h"

#define DIGITS_MAX 9
#define EXACT_MAX  1e15 /* below, a double and its decimal digits are the same number */

static const double powers[DIGITS_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };

double value_round(double number, int digits)
{
	double scaled;

	if (digits < 0 || digits > DIGITS_MAX)
		return number;
	scaled = number * powers[digits];
	if (!(fabs(scaled) < 9007199254740992.0)) /* 2^53: no decimals left to round */
		return number;
	return round(scaled) / powers[digits] + 0.0; /* + 0.0 turns -0 into 0 */
}

double device_value(const struct device_info *info, size_t channel)
{
	if (!info->sample || channel >= info->channel_count)
		return (double)NAN;
	return value_round(info->sample[channel], info->channels[channel].digits);
}

int64_t device_time(const struct device_info *info)
{
	return info->sample ? info->sampled_us : info->state_us;
}

size_t value_write(char buffer[static DECIMAL_SIZE], double number, int digits)
{
	char text[DECIMAL_SIZE], *at = text + sizeof(text);
	uint64_t left;
	double scaled;
	size_t length;

	if (digits < 0 || digits > DIGITS_MAX)
		return 0;
	scaled = round(number * powers[digits]);
	if (!(fabs(scaled) < EXACT_MAX))
		return 0;
	left = (uint64_t)fabs(scaled);
	if (digits > 3 &&
	    left % 1000 == 0) { /* most have few: this is quicker than one at a time */
		left /= 1000;
		digits -= 3;
	}
	for (; digits > 0 && left % 10 == 0; digits--)
		left /= 10;
	if (digits > 0) {
		for (; digits > 0; digits--, left /= 10)
			*--at = (char)('0' + left % 10);
		*--at = '.';
	}
	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (scaled < 0)
		*--at = '-';
	length = (size_t)(text + sizeof(text) - at);
	memcpy(buffer, at, length);
	return length;
}

void value_format(char *buffer, size_t size, double number, int digits)
{
	char *end;
	int length;

	if (digits < 0 || digits > DIGITS_MAX)
		digits = DIGITS_MAX;
	length = snprintf(buffer, size, "%.*f", digits, value_round(number, digits));
	if (length < 0 || (size_t)length >= size || !strchr(buffer, '.'))
		return;
	for (end = buffer + length; end[-1] == '0'; end--)
		;
	if (end[-1] == '.')
		end--;
	*end = '\0';
}
