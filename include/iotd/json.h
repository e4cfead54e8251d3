/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The words of model.h as jansson values: for format "json", and for replies to commands, which
 * hold the same objects. Pure but for json_from_stats(), any thread. The caller owns what it gets.
 */

#include <jansson.h>

#include "iotd/model.h"

/* numbers are rounded before they get here: 15 digits show 21.37 as 21.37, 17 would not */
#define JSON_TEXT (JSON_COMPACT | JSON_REAL_PRECISION(15))

/** json_from_number() - @number with at most @digits decimals; without any it is an integer. NULL: out of memory */
json_t *json_from_number(double number, int digits);

/** json_from_time() - "2026-11-22T13:15:00.123Z". NULL: out of memory */
json_t *json_from_time(int64_t realtime_us);

/** json_from_seconds() - a duration as a number of seconds, exact to the microsecond. NULL: out of memory */
json_t *json_from_seconds(int64_t duration_us);

/** json_from_reading() - {"time":"…","temperature":21.37,…}. NULL: out of memory, or a name is not UTF-8 */
json_t *json_from_reading(const struct reading *reading);

/** json_from_state() - {"time":"…","state":"on"}. NULL: out of memory */
json_t *json_from_state(const struct state *state);

/** json_from_stats() - one flat object, times in seconds; its "time" is now. NULL: out of memory */
json_t *json_from_stats(const struct stats *stats);
