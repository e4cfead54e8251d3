/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Home Assistant's words for what a number is: unit, device class, state class. Pure. */

#include <stdbool.h>

#include "iotd/channel.h"

/** entity_unit() - @unit in the form that Home Assistant knows; one that it does not know stays as it is. Returns @buffer */
const char *entity_unit(char buffer[static UNIT_LENGTH + 1], const char *unit);

/**
 * entity_class() - the device class of a channel called @name; NULL: none
 * @unit:     from entity_unit()
 * @is_total: it only grows, or begins again
 */
const char *entity_class(const char *name, const char *unit, bool is_total);

/** entity_state_class() - the state class that goes with @device_class, which may be NULL; NULL: none does */
const char *entity_state_class(const char *device_class, bool is_total);
