/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Words of the configuration and of commands: durations, sizes, texts. Pure functions, any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * parse_duration() - "250ms", "10s", "5m", "1h", "1d", "1.5s"; a bare number is seconds
 * @text:   digits with an optional fraction and an optional unit: us, ms, s, m, h, d
 * @ret_us: microseconds, 0 .. 100 years
 *
 * Return: 0; -EINVAL no such form, or negative; -ERANGE over 100 years.
 */
int parse_duration(const char *text, int64_t *ret_us);

/**
 * parse_size() - "64K", "64M", "1G": powers of 1024; a bare number is bytes
 * Return: 0; -EINVAL no such form; -ERANGE does not fit in @ret.
 */
int parse_size(const char *text, uint64_t *ret);

/**
 * parse_decimal() - "-21.375": a sign, up to 15 digits, a point among or beside them
 * As strtod() in the C locale has it, bit for bit, and five times as fast. Return: false - anything
 * else: more digits, an exponent, no number.
 */
bool parse_decimal(const char *text, double *ret);

/**
 * parse_state() - on, off, true, false, 1, 0 in any case; @length bytes, no NUL needed. Return: 0;
 * -EINVAL
 */
int parse_state(const char *text, size_t length, bool *ret_on);

/** format_duration() - exact, in the largest unit that needs no fraction: "250ms", "90s", "1d" */
void format_duration(char *buffer, size_t size, int64_t duration_us);

/** text_character() - bytes of the UTF-8 character that @text begins with; 0: it is none */
size_t text_character(const char *text);

/** text_mend() - a "?" for every byte that is no UTF-8 */
void text_mend(char *text);

/** text_fit() - how many bytes of @text to show: @limit at most, and never the half of a UTF-8 character */
size_t text_fit(const char *text, size_t limit);

/** parse_name() - true if @name matches [A-Za-z0-9_-]{1,64}, the form of every name in iotd */
bool parse_name(const char *name);
