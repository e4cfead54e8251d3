/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sensors, inputs and outputs share. */

#include <stddef.h>
#include <stdint.h>

#include "iotd/device.h"

/* the journal's catalog explains these (iotd.catalog) */
#define MESSAGE_ID_OFFLINE    "0f289869290b4c02bd3c470f75577d13"
#define MESSAGE_ID_ONLINE     "90a178ead3194c28a2d0a62dfaba74ad"
#define MESSAGE_ID_FORCED_OFF "81d6c2af64a549dc9ab9318cd0e0ad68"

/** device_tell_fault() - a try failed, perhaps for another reason than the last one */
void device_tell_fault(struct device_events *events, enum device_kind kind, const char *name);

/** device_format_age() - a duration in words for a person: "3.2 s", "5 min", "2 h 10 min" */
void device_format_age(char *buffer, size_t size, int64_t age_us);
