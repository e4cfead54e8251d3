/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * value_write() does nearly all of them, without printf(). It leaves what has over 15 digits: large
 * numbers, and those that a unit of SenML has given more than 9 decimals.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "iotd/model.h"
#include "number.h"

#define INTEGER_MAX 9007199254740992.0 /* 2^53: above, doubles are no longer exact integers */
#define SHORT_MAX   1e308	       /* above, 15 digits may round to infinity */

size_t number_write(char buffer[static NUMBER_SIZE], double number, int digits)
{
	size_t length = value_write(buffer, number, digits);
	double rounded;

	if (length > 0) {
		buffer[length] = '\0';
		return length;
	}
	rounded = value_round(number, digits);
	if (fabs(rounded) <= INTEGER_MAX && nearbyint(rounded) == rounded)
		return (size_t)snprintf(buffer, NUMBER_SIZE, "%" PRId64, (int64_t)rounded);
	return (size_t)snprintf(buffer, NUMBER_SIZE, "%.*g", fabs(rounded) > SHORT_MAX ? 17 : 15,
				rounded);
}

/* rounding ends in a division of two integers, which is as exact as reading the decimals */
double number_as_written(double number, int digits)
{
	char text[NUMBER_SIZE];

	if (value_write(text, number, digits) > 0)
		return value_round(number, digits);
	(void)number_write(text, number, digits);
	return strtod(text, NULL);
}
