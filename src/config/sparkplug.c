/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What format "sparkplug" leaves no choice in: its topics, QoS 0 and that nothing is retained are the
 * specification's. A key that asks for something else is a fault, rather than without effect.
 * Discovery and compat have formats of their own, and say so in mqtt.c.
 */
#include <string.h>

#include "load.h"

static const struct {
	const char *key, *why;
} refused[] = {
	{ "qos", "Sparkplug is sent at QoS 0: leave it out" },
	{ "retain", "Sparkplug retains nothing: leave it out" },
	{ "topic", "Sparkplug has topics of its own: leave it out" },
};

static bool asks_for_something(const config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);

	if (text)
		return *text != '\0';
	return config_setting_get_int(setting) != 0 || config_setting_get_bool(setting) != 0;
}

static void refuse(struct load *load, const config_setting_t *group, const char *key,
		   const char *why)
{
	const config_setting_t *setting = group ? config_setting_get_member(group, key) : NULL;

	if (setting && asks_for_something(setting) && !fault_is_at(&load->faults, setting))
		fault_at(&load->faults, setting, "%s", why);
}

void check_sparkplug(struct load *load)
{
	const config_setting_t *root = config_root_setting(&load->tree);
	const config_setting_t *mqtt = config_setting_get_member(root, "mqtt");
	const config_setting_t *sensors = config_setting_get_member(root, "sensors");

	if (load->settings->mqtt.format != FORMAT_SPARKPLUG)
		return;
	refuse(load, mqtt, refused[0].key, refused[0].why);
	refuse(load, mqtt, refused[1].key, refused[1].why);
	for (size_t i = 0; i < load->settings->sensor_count; i++)
		for (size_t at = 0; at < ARRAY_SIZE(refused); at++)
			refuse(load, config_setting_get_elem(sensors, (unsigned int)i),
			       refused[at].key, refused[at].why);
}
