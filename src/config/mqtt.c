/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The group mqtt: broker, session, topics, and how readings look. */
#include <string.h>

#include "load.h"
#include "table.h"

#include "iotd/clock.h"
#include "iotd/compat.h"
#include "iotd/config.h"

#define BROKER_DEFAULT "mqtt://localhost:1883"
#define TOPIC_MAX                                                                                  \
	65000 /* of 65535 bytes of an MQTT string (MQTT 5, 1.5.4); the rest: "/output/NAME/set" */

static const char *const format_words[] = {
	[FORMAT_JSON] = "json",
	[FORMAT_VALUE] = "value",
	[FORMAT_SENML] = "senml",
	[FORMAT_CBOR] = "cbor",
	[FORMAT_INFLUX] = "influx",
	[FORMAT_SPARKPLUG] = "sparkplug",
	NULL,
};
static const char *const style_words[] = { "device", "entity", NULL };
static const char *const compat_choices[] = { "", "mqtt-io", NULL };

/* topic_complaint() - what is wrong with a topic to publish on (MQTT 5, 4.7), NULL: nothing */
static const char *topic_complaint(const char *topic)
{
	size_t length = strlen(topic);

	if (length == 0)
		return "must not be empty";
	if (length > TOPIC_MAX)
		return "is too long";
	if (strpbrk(topic, "+#"))
		return "must not hold \"+\" or \"#\": these are for subscriptions";
	if (topic[0] == '$')
		return "must not begin with \"$\": that is the broker's own";
	if (topic[0] == '/' || topic[length - 1] == '/')
		return "must not begin or end with \"/\"";
	return NULL;
}

void check_topic(struct load *load, const config_setting_t *setting, void *member)
{
	const char *wrong = topic_complaint(*(char **)member);

	if (wrong)
		fault_at(&load->faults, setting, "%s", wrong);
}

void check_filled(struct load *load, const config_setting_t *setting, void *member)
{
	if (**(char **)member == '\0')
		fault_at(&load->faults, setting, "must not be empty");
}

static void check_protocol(struct load *load, const config_setting_t *setting, void *member)
{
	int64_t number;

	if (!value_integer(&load->faults, setting, (struct range){ 0 }, &number))
		return;
	if (number != 4 && number != 5)
		fault_at(&load->faults, setting, "must be 5, or 4 for MQTT 3.1.1");
	else
		*(int *)member = (int)number;
}

/* check_choice() - a word that stays text */
static void check_choice(struct load *load, const config_setting_t *setting,
			 const char *const *words, char **member)
{
	int index;

	if (value_word(&load->faults, setting, words, &index))
		table_string(&load->faults, member, words[index]);
}

static void check_style(struct load *load, const config_setting_t *setting, void *member)
{
	check_choice(load, setting, style_words, member);
}

static void check_compat(struct load *load, const config_setting_t *setting, void *member)
{
	check_choice(load, setting, compat_choices, member);
}

static void check_brokers(struct load *load, const config_setting_t *setting, void *member)
{
	struct mqtt_settings *mqtt = container_of(member, struct mqtt_settings, brokers);
	bool single = config_setting_type(setting) == CONFIG_TYPE_STRING;
	size_t count = 1;

	if (!single && !value_is_list(&load->faults, setting))
		return;
	if (!single)
		count = (size_t)config_setting_length(setting);
	if (count == 0) {
		fault_at(&load->faults, setting, "names no broker");
		return;
	}
	mqtt->brokers = calloc(count, sizeof(*mqtt->brokers));
	if (!mqtt->brokers) {
		fault_memory(&load->faults);
		return;
	}
	mqtt->broker_count = count;
	for (size_t i = 0; i < count; i++)
		load_broker(load,
			    single ? setting : config_setting_get_elem(setting, (unsigned int)i),
			    &mqtt->brokers[i]);
}

/* the URL says all there is */
static bool equal_brokers(const void *a, const void *b)
{
	const struct mqtt_settings *one = KEY_OWNER(a, mqtt_settings, brokers);
	const struct mqtt_settings *other = KEY_OWNER(b, mqtt_settings, brokers);

	if (one->broker_count != other->broker_count)
		return false;
	for (size_t i = 0; i < one->broker_count; i++)
		if (!texts_equal(one->brokers[i].url, other->brokers[i].url))
			return false;
	return true;
}

#define MQTT(member) KEY_PLACE(mqtt_settings, member)

static const struct key tls_keys[] = {
	{ "ca_file", KEY_OPTIONAL, MQTT(tls.ca_file) },
	{ "cert_file", KEY_OPTIONAL, MQTT(tls.cert_file) },
	{ "key_file", KEY_OPTIONAL, MQTT(tls.key_file) },
	{ "alpn", KEY_OPTIONAL, MQTT(tls.alpn), .check = check_alpn },
	{ "psk_identity", KEY_OPTIONAL, MQTT(tls.psk_identity), .check = check_psk_identity },
	{ "psk_file", KEY_OPTIONAL, MQTT(tls.psk_file) },
	{ "verify", KEY_BOOLEAN, MQTT(tls.verify), .preset = "true" },
	{ NULL },
};

static const struct key discovery_keys[] = {
	{ "enabled", KEY_BOOLEAN, MQTT(discovery_enabled), .preset = "false" },
	{ "prefix", KEY_STRING, MQTT(discovery_prefix), .preset = "homeassistant",
	  .check = check_topic },
	{ "style", KEY_CUSTOM, MQTT(discovery_style), .check = check_style, .equal = equal_text },
	{ NULL },
};

#define SECONDS(number) ((double)(number) * (double)USEC_PER_SEC)
#define DAYS(number)	SECONDS(86400 * (number))

static const struct key mqtt_keys[] = {
	{ "broker", KEY_CUSTOM, MQTT(brokers), .check = check_brokers, .equal = equal_brokers },
	{ "protocol", KEY_CUSTOM, MQTT(protocol), .check = check_protocol, .equal = equal_integer },
	{ "client_id", KEY_OPTIONAL, MQTT(client_id) },
	{ "username", KEY_OPTIONAL, MQTT(username) },
	{ "password", KEY_OPTIONAL, MQTT(password) },
	{ "password_file", KEY_OPTIONAL, MQTT(password_file) },
	{ "topic", KEY_STRING, MQTT(topic), .check = check_topic },
	{ "format", KEY_WORD, MQTT(format), .preset = "json", .words = format_words },
	{ "qos", KEY_INTEGER, MQTT(qos), .preset = "1", .range = { 0, 2 } },
	{ "retain", KEY_BOOLEAN, MQTT(retain), .preset = "false" },
	/* MQTT 5, 3.1.2.10: 16 bits of seconds; libmosquitto takes no less than 5 */
	{ "keepalive", KEY_DURATION, MQTT(keepalive_us), .preset = "30s",
	  .range = { SECONDS(5), SECONDS(65535) } },
	{ "reconnect_min", KEY_DURATION, MQTT(reconnect_min_us), .preset = "1s",
	  .range = { 1e5, DAYS(1) } },
	{ "reconnect_max", KEY_DURATION, MQTT(reconnect_max_us), .preset = "60s",
	  .range = { 1e5, DAYS(1) } },
	{ "tls", KEY_GROUP, .group = tls_keys },
	{ "discovery", KEY_GROUP, .group = discovery_keys },
	{ "compat", KEY_CUSTOM, MQTT(compat), .check = check_compat, .equal = equal_text },
	{ "expiry", KEY_DURATION, MQTT(expiry_us), .preset = "0s",
	  .range = { 0, SECONDS(UINT32_MAX) } },
	{ "user_properties", KEY_BOOLEAN, MQTT(user_properties), .preset = "true" },
	{ NULL },
};

bool config_mqtt_equal(const struct mqtt_settings *a, const struct mqtt_settings *b)
{
	return table_equal(mqtt_keys, a, b, 0, SIZE_MAX) &&
	       file_stamps_equal(a->tls.stamps, b->tls.stamps, TLS_FILES);
}

static void format_default(struct load *load, char **member, const char *prefix)
{
	free(*member);
	if (asprintf(member, "%s%s", prefix, load->settings->device) < 0) {
		*member = NULL;
		fault_memory(&load->faults);
	}
}

static void mqtt_defaults(struct load *load, struct mqtt_settings *mqtt)
{
	if (!mqtt->client_id)
		format_default(load, &mqtt->client_id, "iotd-");
	if (!mqtt->topic)
		format_default(load, &mqtt->topic, "iotd/");
	if (mqtt->brokers)
		return;
	mqtt->brokers = calloc(1, sizeof(*mqtt->brokers));
	if (!mqtt->brokers) {
		fault_memory(&load->faults);
		return;
	}
	mqtt->broker_count = 1;
	mqtt->brokers[0] = (struct broker_settings){ .scheme = MQTT_TCP, .port = 1883 };
	table_string(&load->faults, &mqtt->brokers[0].url, BROKER_DEFAULT);
	table_string(&load->faults, &mqtt->brokers[0].host, "localhost");
}

static void check_discovery(struct load *load, const config_setting_t *group,
			    const struct mqtt_settings *mqtt)
{
	const config_setting_t *discovery = config_setting_get_member(group, "discovery");

	if (!discovery || !mqtt->discovery_enabled)
		return;
	if (mqtt->format != FORMAT_JSON && mqtt->format != FORMAT_VALUE)
		fault_member(&load->faults, discovery, "enabled",
			     "needs format = \"json\" or \"value\": Home Assistant reads no \"%s\"",
			     format_words[mqtt->format]);
	if (texts_equal(mqtt->discovery_prefix, mqtt->topic))
		fault_member(&load->faults, discovery, "prefix",
			     "is mqtt.topic too: our status would be taken for Home Assistant's");
}

/* mqtt_check() - what two keys say together */
static void mqtt_check(struct load *load, const config_setting_t *group,
		       const struct mqtt_settings *mqtt)
{
	struct faults *faults = &load->faults;

	if (mqtt->password && mqtt->password_file)
		fault_at(faults, config_setting_get_member(group, "password_file"),
			 "password is given too: leave one of them out");
	/* MQTT 3.1.1, 3.1.2.9: no password without a user name; MQTT 5 allows it */
	if ((mqtt->password || mqtt->password_file) && !mqtt->username && mqtt->protocol == 4)
		fault_member(faults, group, "username",
			     "is missing: MQTT 3.1.1 has no password without it");
	if (mqtt->reconnect_min_us > mqtt->reconnect_max_us)
		fault_member(faults, group, "reconnect_min", "is longer than reconnect_max");
	check_discovery(load, group, mqtt);
}

/* compat_set_format() - mqtt-io has one of its own, which is nearest to a topic a channel */
static void compat_set_format(struct load *load, const config_setting_t *group,
			      struct mqtt_settings *mqtt)
{
	const config_setting_t *format = config_setting_get_member(group, "format");

	if (!compat_is_mqtt_io(mqtt))
		return;
	if (format && mqtt->format != FORMAT_VALUE)
		fault_at(&load->faults, format,
			 "compat = \"mqtt-io\" has its own format: leave this out");
	mqtt->format = FORMAT_VALUE;
}

void load_mqtt(struct load *load, const config_setting_t *section)
{
	struct mqtt_settings *mqtt = &load->settings->mqtt;
	bool good = section && value_is_group(&load->faults, section);

	mqtt->protocol = 5;
	table_string(&load->faults, &mqtt->discovery_style, style_words[0]);
	table_string(&load->faults, &mqtt->compat, "");
	table_read(load, mqtt_keys, good ? section : NULL, mqtt);
	if (load->faults.error < 0)
		return;
	mqtt_defaults(load, mqtt);
	if (!good)
		return;
	mqtt_check(load, section, mqtt);
	compat_set_format(load, section, mqtt);
	load_tls(load, section);
}
