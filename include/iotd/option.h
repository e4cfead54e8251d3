/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Options of drivers: what the configuration says of them. Installed for drivers built out of tree. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct option_value - what the configuration says of a driver's option, or the default
 *
 * An element of OPTION_STRINGS and OPTION_INTEGERS has its @string or @integer. An element of
 * OPTION_GROUPS has in @list one value for each of the option's members, in their order.
 */
struct option_value {
	bool given;
	int64_t integer;	   /* also booleans (0, 1) and durations (µs) */
	double number;		   /* numbers; integers too */
	char *string;		   /* NULL: not given and no default */
	struct option_value *list; /* elements in the order of the file; NULL: none */
	size_t count;
};
