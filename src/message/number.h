/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Numbers as senml, cbor and influx say them: rounded to the channel's digits, and short. */

#include <stddef.h>

#define NUMBER_SIZE 32 /* "-1.79769313486231571e+308" and its NUL */

/**
 * number_write() - the shortest text of @number with at most @digits decimals: "21.37", "-3", "1e+300"
 * @number: finite
 * @digits: more than 9 mean all that a double has, which are 15
 *
 * JSON and the line protocol read it as the same number. Return: how long it is; there is a NUL behind it
 */
size_t number_write(char buffer[static NUMBER_SIZE], double number, int digits);

/** number_as_written() - what a reader makes of number_write()'s text, to the last bit */
double number_as_written(double number, int digits);
