/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names in Home Assistant's discovery: ids of components, and topics.
 *
 * No two components have the same id: before a channel, a name is written with "--" for "-" and
 * "-_" for "_", so the first bare "_" ends it. Home Assistant takes no other characters in a topic.
 * With mqtt.compat a name is mqtt-io's, as it is.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "discovery-names.h"
#include "iotd/compat.h"

bool discovery_is_by_device(const struct mqtt_settings *settings)
{
	return strcmp(settings->discovery_style, "device") == 0 && !compat_is_mqtt_io(settings);
}

bool discovery_is_same(const struct settings *a, const struct settings *b)
{
	return a->mqtt.discovery_enabled && b->mqtt.discovery_enabled &&
	       strcmp(a->device, b->device) == 0 &&
	       compat_is_mqtt_io(&a->mqtt) == compat_is_mqtt_io(&b->mqtt) &&
	       (!compat_is_mqtt_io(&a->mqtt) ||
		strcmp(a->mqtt.client_id, b->mqtt.client_id) == 0) &&
	       strcmp(a->mqtt.discovery_prefix, b->mqtt.discovery_prefix) == 0 &&
	       strcmp(a->mqtt.discovery_style, b->mqtt.discovery_style) == 0;
}

void discovery_node(char node[static DISCOVERY_NODE_SIZE], const char *device)
{
	uint32_t hash = 2166136261U; /* FNV-1a, 32 bit: offset and prime */
	char *at = stpcpy(node, "iotd-"), *end = node + DISCOVERY_NODE_SIZE - sizeof("-01234567");
	bool is_same = true;

	for (; *device; device++) {
		bool fits = (isascii(*device) && isalnum((unsigned char)*device)) ||
			    *device == '-' || *device == '_';

		is_same = is_same && fits && at < end;
		hash = (hash ^ (uint8_t)*device) * 16777619U;
		if (at < end)
			*at++ = fits ? *device : '_';
	}
	*at = '\0';
	if (!is_same)
		(void)snprintf(at, sizeof("-01234567"), "-%08x", hash);
}

void discovery_object_id(char id[static OBJECT_SIZE], const char *prefix, const char *name,
			 const char *leaf)
{
	char *at = stpcpy(stpcpy(id, prefix), "_");

	for (; *name; name++) {
		if (leaf && (*name == '-' || *name == '_'))
			*at++ = '-';
		*at++ = *name;
	}
	*at = '\0';
	if (leaf)
		(void)stpcpy(stpcpy(at, "_"), leaf);
}

const char *discovery_platform(const char *id)
{
	static const char *const platforms[] = { BINARY_SENSOR, SWITCH };

	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++)
		if (strncmp(id, platforms[i], strlen(platforms[i])) == 0)
			return platforms[i];
	return SENSOR;
}

/* behind the platform; a figure of ours has none before it */
static const char *name_of(const char *id)
{
	size_t length = strlen(discovery_platform(id));

	return strncmp(id, discovery_platform(id), length) == 0 ? id + length + 1 : id;
}

char *discovery_topic(const struct settings *settings, const char *id)
{
	char node[DISCOVERY_NODE_SIZE], *topic;
	const char *prefix = settings->mqtt.discovery_prefix;
	int r;

	discovery_node(node, settings->device);
	if (id && compat_is_mqtt_io(&settings->mqtt))
		r = compat_discovery_topic(&topic, &settings->mqtt, discovery_platform(id),
					   name_of(id));
	else if (id)
		r = asprintf(&topic, "%s/%s/%s/%s/config", prefix, discovery_platform(id), node,
			     id);
	else
		r = asprintf(&topic, "%s/device/%s/config", prefix, node);
	return r < 0 ? NULL : topic;
}

int discovery_filter(char **ret, const struct settings *settings)
{
	char node[DISCOVERY_NODE_SIZE], *filter = NULL;

	discovery_node(node, settings->device);
	if (discovery_is_by_device(&settings->mqtt))
		filter = discovery_topic(settings, NULL);
	else if (asprintf(&filter, "%s/+/%s/+/config", settings->mqtt.discovery_prefix, node) < 0)
		filter = NULL;
	if (!filter)
		return -ENOMEM;
	if (compat_is_mqtt_io(&settings->mqtt)) {
		free(filter);
		filter = NULL;
	}
	*ret = filter;
	return 0;
}

/* the other way round of what discovery_object_id() does for a name with a leaf */
static int read_name(char name[static NAME_LENGTH + 1], const char *id)
{
	size_t length = 0;

	for (; *id && *id != '_'; id++) {
		if (*id == '-' && *++id != '-' && *id != '_')
			return -EINVAL;
		if (length == NAME_LENGTH)
			return -EINVAL;
		name[length++] = *id;
	}
	name[length] = '\0';
	return length > 0 && id[0] == '_' && id[1] != '\0' ? 0 : -EINVAL;
}

int discovery_name(char name[static NAME_LENGTH + 1], const char *id)
{
	static const char *const lines[] = { BINARY_SENSOR "_", SWITCH "_" };

	name[0] = '\0';
	if (strncmp(id, STATS "_", strlen(STATS "_")) == 0)
		return 0;
	if (strncmp(id, SENSOR "_", strlen(SENSOR "_")) == 0)
		return read_name(name, id + strlen(SENSOR "_"));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const char *rest = id + strlen(lines[i]);

		if (strncmp(id, lines[i], strlen(lines[i])) != 0)
			continue;
		if (*rest == '\0' || strlen(rest) > NAME_LENGTH)
			return -EINVAL;
		(void)stpcpy(name, rest);
		return 0;
	}
	return -EINVAL;
}
