/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two representations of SenML (RFC 8428) say alike: JSON in senml.c, CBOR in cbor.c. */

#include <stdbool.h>
#include <stdint.h>

#include "iotd/message.h"

#define SENML_UNIT_LENGTH 7 /* of those in senml-units.c */
#define SENML_TIME_DIGITS 3

/** struct senml_value - a number in a unit of the registry */
struct senml_value {
	const char *unit; /* NULL: the registry has none for it, and the number is as it was */
	double number;	  /* finite; round it to @digits */
	int digits;	  /* not negative; may be over 9 */
};

/** senml_value() - @value as SenML says it: hPa in Pa, ppm as a ratio */
struct senml_value senml_value(const struct message_origin *origin, const struct value *value);

/**
 * senml_name_new() - a name out of a topic, with the characters that RFC 8428, 4.5.1 allows
 * @is_base: "/" behind it, for the channels' names
 *
 * The caller frees it. NULL: out of memory
 */
char *senml_name_new(const char *topic, bool is_base);

/**
 * senml_time() - seconds since 1970, exact to the millisecond
 * Return: false, with nothing in @ret: the clock was not set. SenML takes a time below 2^28 s for
 * one from now on (4.5.3), and without one it is now
 */
bool senml_time(int64_t time_us, double *ret);
