/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Channels: what a sensor measures, as its readings show it. Installed for drivers built out of tree. */

#define NAME_LENGTH  64 /* of sensors, inputs, outputs and channels */
#define UNIT_LENGTH  15 /* "µg/m³" has 7 bytes */
#define CHANNELS_MAX 64 /* of one sensor */

/** struct channel - one quantity of a sensor, as it is published */
struct channel {
	char name[NAME_LENGTH + 1];
	char unit[UNIT_LENGTH + 1]; /* UTF-8; "" has none */
	int digits;		    /* behind the decimal point, 0 .. 9 */
};
