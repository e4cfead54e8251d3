/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ids of components in Home Assistant's discovery: what discovery.c and discovery-names.c share. Pure. */

#include "iotd/discovery.h"

#define SENSOR	      "sensor"
#define BINARY_SENSOR "binary_sensor"
#define SWITCH	      "switch"
#define STATS	      "stats" /* no platform: its components are sensors */

#define OBJECT_SIZE (sizeof(BINARY_SENSOR) + 3UL * NAME_LENGTH + 4)

/** discovery_object_id() - PREFIX_NAME, or with @leaf, which may be NULL, PREFIX_NAME_LEAF */
void discovery_object_id(char id[static OBJECT_SIZE], const char *prefix, const char *name,
			 const char *leaf);

/** discovery_platform() - SENSOR, BINARY_SENSOR or SWITCH: what the component @id is */
const char *discovery_platform(const char *id);
