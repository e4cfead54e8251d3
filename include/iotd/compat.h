/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What mqtt.compat = "mqtt-io" changes: the words of payloads, the names in topics, and the ids of Home
 * Assistant's discovery, all as mqtt-io has them, so that who listens notices nothing.
 * Pure, any thread.
 */

#include <stdbool.h>

#include "iotd/settings.h"

/** struct compat_words - payloads that are words; iotd's own without compat */
struct compat_words {
	const char *online, *offline; /* T/status: connected; stopped */
	const char *lost;	      /* T/status: the will */
	const char *on, *off;	      /* states of inputs and outputs */
};

/** compat_is_mqtt_io() - is it asked for? */
bool compat_is_mqtt_io(const struct mqtt_settings *mqtt);

/** compat_words() - those of these settings; they live for ever */
const struct compat_words *compat_words(const struct mqtt_settings *mqtt);

/* --- names: mqtt-io's sensor inputs have one value each, so a channel is a sensor input ----------- */

#define COMPAT_NAME_SIZE (2 * NAME_LENGTH + 2)

/**
 * compat_sensor_name() - what a channel is called: its alias; without one the sensor's name if it has
 * only this channel, else NAME_CHANNEL
 * Return: 0; -ENOENT it is not published, for others of the sensor have an alias, and it has none.
 */
int compat_sensor_name(char name[static COMPAT_NAME_SIZE], const struct sensor_settings *sensor,
		       const char *channel);

/** compat_count_name() - the input's name for the rate of a counter and the total of on_time, else NAME_CHANNEL */
void compat_count_name(char name[static COMPAT_NAME_SIZE], const struct input_settings *input,
		       const char *channel);

/**
 * compat_sensor_topic() - of a channel: T/sensor/ and its name; if the sensor has a topic of its own,
 * that for its only channel, and TOPIC_CHANNEL for those of many, unless an alias is given
 * @ret: the caller's
 * Return: 0; -ENOENT as compat_sensor_name(); -ENOMEM.
 */
int compat_sensor_topic(char **ret, const struct mqtt_settings *mqtt,
			const struct sensor_settings *sensor, const char *channel);

/** compat_count_topic() - T/sensor/ and compat_count_name(). Return: 0; -ENOMEM */
int compat_count_topic(char **ret, const struct mqtt_settings *mqtt,
		       const struct input_settings *input, const char *channel);

/* --- ids of Home Assistant's discovery ------------------------------------------------------------ */

/**
 * compat_sensor_id() - unique_id of a channel: CLIENT_MODULE_sensor_NAME, with NAME as in the topic
 *
 * CLIENT is mqtt.client_id; MODULE is what mqtt-io's file calls the module: the sensor's name here, the
 * key module of inputs and outputs, or else their chip without /dev/.
 * @ret: the caller's
 * Return: 0; -ENOENT as compat_sensor_name(); -ENOMEM.
 */
int compat_sensor_id(char **ret, const struct mqtt_settings *mqtt,
		     const struct sensor_settings *sensor, const char *channel);

/** compat_count_id() - the same for a channel of a counter or of on_time. Return: 0; -ENOMEM */
int compat_count_id(char **ret, const struct mqtt_settings *mqtt,
		    const struct input_settings *input, const char *channel);

/** compat_input_id() - CLIENT_MODULE_input_NAME. Return: 0; -ENOMEM */
int compat_input_id(char **ret, const struct mqtt_settings *mqtt,
		    const struct input_settings *input);

/** compat_output_id() - CLIENT_MODULE_output_NAME. Return: 0; -ENOMEM */
int compat_output_id(char **ret, const struct mqtt_settings *mqtt,
		     const struct output_settings *output);

/**
 * compat_discovery_topic() - PREFIX/COMPONENT/CLIENT/NAME/config, of style "entity"
 * @component: "sensor", "binary_sensor", "switch"
 * @name:      as in the topic of the state
 *
 * The device that all belong to has one identifier, the client id.
 * Return: 0; -ENOMEM.
 */
int compat_discovery_topic(char **ret, const struct mqtt_settings *mqtt, const char *component,
			   const char *name);
