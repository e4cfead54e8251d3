/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readings and states as mqtt-io writes them, for mqtt.compat (compat.h). Pure, any thread. */

#include "iotd/message.h"

/**
 * mqtt_io_reading() - a message a channel, its topic by compat_sensor_topic(), its payload the bare number
 *                     with all of the channel's decimals: "21.30"
 * @sink: called for each message; qos, retain and expiry are the caller's to set
 *
 * A channel that is not published has none. Return: 0; -ENOMEM (no message was given to @sink then).
 */
int mqtt_io_reading(const struct mqtt_settings *mqtt, const struct sensor_settings *sensor,
		    const struct reading *reading, message_sink sink, void *data);

/** mqtt_io_count() - the same for a reading of an input's count or on_time */
int mqtt_io_count(const struct mqtt_settings *mqtt, const struct input_settings *input,
		  const struct reading *reading, message_sink sink, void *data);

/** mqtt_io_state() - `ON` or `OFF` on @topic. Return: 0; -ENOMEM */
int mqtt_io_state(const struct mqtt_settings *mqtt, const char *topic, const struct state *state,
		  struct message **ret);
