/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus.h"

/**
 * spool_oldest() - when the first message of an answer to Spool came into being
 * @ret_us: CLOCK_REALTIME; 0: there is none, or it is not known
 * Return: 1 there is one; 0 there is none; an errno of sd-bus.
 */
int spool_oldest(const struct bus_call *call, uint64_t *ret_us);
