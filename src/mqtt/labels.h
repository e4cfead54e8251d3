/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a reading says beside its payload with MQTT 5: the user properties device and unit. On the reactor's thread. */

#include "iotd/model.h"
#include "wire.h"

struct labels;

/** labels_new() - for readings of @device, which is copied. Return: 0; -ENOMEM */
int labels_new(struct labels **ret, const char *device);

/** labels_free() - NULL is fine. Returns NULL */
struct labels *labels_free(struct labels *labels);

/**
 * labels_note() - what readings of a sensor are about: to be called with each one, and cheap for one that is known
 * @topic:    of the sensor
 * @each_own: each channel has a topic of its own below it (format "value")
 *
 * Out of memory: they go without.
 */
void labels_note(struct labels *labels, const char *topic, bool each_own,
		 const struct reading *reading);

/** labels_forget() - all that was noted: sensors may be gone, or have other channels */
void labels_forget(struct labels *labels);

/** labels_find() - what messages on @topic carry, valid until the next call of another function here. NULL: nothing */
const struct wire_properties *labels_find(struct labels *labels, const char *topic);

static inline void labels_freep(struct labels **labels)
{
	*labels = labels_free(*labels);
}
