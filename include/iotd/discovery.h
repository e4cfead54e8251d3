/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What Home Assistant is told, by its MQTT discovery: the messages and their topics. Pure, any
 * thread.
 *
 * A component is one entity there: a channel, an input, an output, or one figure of T/stats. Its
 * id, PLATFORM_NAME or PLATFORM_NAME_CHANNEL, comes from names alone, and so does its unique_id:
 * neither the order of the file nor a client id changes them.
 *
 * With mqtt.compat, topics, names and unique ids are those of mqtt-io (compat.h), whatever the
 * style, and an id is PLATFORM_NAME with mqtt-io's NAME.
 */

#include <jansson.h>

#include "iotd/model.h"
#include "iotd/settings.h"

#define DISCOVERY_NODE_SIZE 160

/** struct discovery_host - what we run on, and what we are; NULL members are left out */
struct discovery_host {
	const char *manufacturer, *model; /* of the host */
	const char *version, *url;	  /* of iotd */
};

/** struct discovery_device - a device, and that of the settings which is of its kind */
struct discovery_device {
	struct device_info info; /* its kind, name, interval and channels count */
	const struct sensor_settings *sensor;
	const struct input_settings *input;
	const struct output_settings *output;
};

/** discovery_is_by_device() - one message for all components; false: one a component, as mqtt-io has it */
bool discovery_is_by_device(const struct mqtt_settings *settings);

/**
 * discovery_is_same() - do the messages of both have the same topics?
 *
 * False also if one of them has none, because discovery is off.
 */
bool discovery_is_same(const struct settings *a, const struct settings *b);

/**
 * discovery_node() - our name in topics: "iotd-" and @device
 *
 * What Home Assistant does not take there becomes "_", and a hash of @device follows then.
 */
void discovery_node(char node[static DISCOVERY_NODE_SIZE], const char *device);

/**
 * discovery_name() - whose component has this @id; "" for one of discovery_diagnostics()
 *
 * Return: 0; -EINVAL none of ours has it.
 */
int discovery_name(char name[static NAME_LENGTH + 1], const char *id);

/**
 * discovery_filter() - all topics of discovery_topic() that a broker may have
 * @ret: the caller's; NULL: with mqtt-io's ids nobody can tell whose they are
 * Return: 0; -ENOMEM.
 */
int discovery_filter(char **ret, const struct settings *settings);

/** discovery_components() - of one device, by their ids. NULL: out of memory, or no UTF-8. Caller owns */
json_t *discovery_components(const struct settings *settings,
			     const struct discovery_device *device);

/** discovery_diagnostics() - those of T/stats, by their ids. NULL: out of memory. Caller owns */
json_t *discovery_diagnostics(const struct settings *settings);

/** discovery_remains() - what stands for a component that is gone. NULL: out of memory. Caller owns */
json_t *discovery_remains(const char *id);

/** discovery_topic() - of component @id; NULL: of the device. NULL: out of memory. Caller frees */
char *discovery_topic(const struct settings *settings, const char *id);

/**
 * discovery_message() - of component @id; NULL: of the device
 * @what: the component; of the device all of them, by their ids
 *
 * qos and retain are the caller's to set. Return: 0; -ENOMEM.
 */
int discovery_message(struct message **ret, const struct settings *settings,
		      const struct discovery_host *host, const char *id, json_t *what);
