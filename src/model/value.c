/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "iotd/model.h"

#define DIGITS_MAX 9

double value_round(double number, int digits)
{
	static const double powers[DIGITS_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4,
						       1e5, 1e6, 1e7, 1e8, 1e9 };
	double scaled;

	if (digits < 0 || digits > DIGITS_MAX)
		return number;
	scaled = number * powers[digits];
	if (!(fabs(scaled) < 9007199254740992.0)) /* 2^53: no decimals left to round */
		return number;
	return round(scaled) / powers[digits] + 0.0; /* + 0.0 turns -0 into 0 */
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
