/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One value of the file as one C type. Each call checks type, form and range, adds a fault at the
 * value's place if it is wrong, and then returns false and leaves @ret alone.
 */

#include <stdint.h>

#include "faults.h"

#define WORDS_SIZE 256

/** struct range - inclusive; both 0: any */
struct range {
	double minimum, maximum;
};

/** value_kind() - "a string", "a number", "a group" …: what the user wrote */
const char *value_kind(const config_setting_t *setting);

/** text_complaint() - what is wrong with a text: no UTF-8, or a control character in it; NULL: nothing */
const char *text_complaint(const char *string);

/** value_string() - text in UTF-8 without control characters; lives as long as the setting */
bool value_string(struct faults *faults, const config_setting_t *setting, const char **ret);

bool value_boolean(struct faults *faults, const config_setting_t *setting, bool *ret);
bool value_integer(struct faults *faults, const config_setting_t *setting, struct range range,
		   int64_t *ret);
bool value_number(struct faults *faults, const config_setting_t *setting, struct range range,
		  double *ret);

/** value_duration() - "250ms" or a number of seconds; @range and @ret_us in microseconds */
bool value_duration(struct faults *faults, const config_setting_t *setting, struct range range,
		    int64_t *ret_us);

/** value_size() - "64M" or a number of bytes */
bool value_size(struct faults *faults, const config_setting_t *setting, struct range range,
		uint64_t *ret);

/** value_word() - one of @words, which NULL ends; @ret: its index */
bool value_word(struct faults *faults, const config_setting_t *setting, const char *const *words,
		int *ret);

/** value_words() - `"a", "b" or "c"` of @words, which NULL ends; @quote: round each */
void value_words(char buffer[static WORDS_SIZE], const char *const *words, const char *quote);

/** value_is_group(), value_is_list() - else a fault; an empty array is a list */
bool value_is_group(struct faults *faults, const config_setting_t *setting);
bool value_is_list(struct faults *faults, const config_setting_t *setting);
