/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The section mqtt. What mqtt-io has as a default is written out where iotd's own differs and somebody may
 * notice: the client id, which is in all ids of Home Assistant, the protocol, the port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "convert.h"

#define HOST_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
#define HOST_MAX	253
#define DEVICE_MAX	128
#define KEEPALIVE_MIN	5
#define SHA1_SIZE	20

static const struct key mqtt_keys[] = {
	{ .name = "host" },
	{ .name = "port" },
	{ .name = "user" },
	{ .name = "password" },
	{ .name = "client_id" },
	{ .name = "topic_prefix" },
	{ .name = "protocol" },
	{ .name = "keepalive" },
	{ .name = "clean_session" },
	{ .name = "status_topic" },
	{ .name = "status_payload_running" },
	{ .name = "status_payload_stopped" },
	{ .name = "status_payload_dead" },
	{ .name = "ha_discovery" },
	{ .name = "tls" },
	{ .name = "reconnect_delay" },
	{ .name = "reconnect_count" },
	{ .name = "client_module" },
	/* of pi-mqtt-gpio, which mqtt-io once was */
	{ "discovery", "is a key of pi-mqtt-gpio: mqtt-io has ha_discovery" },
	{ "discovery_prefix", "is a key of pi-mqtt-gpio: mqtt-io has ha_discovery" },
	{ "discovery_name", "is a key of pi-mqtt-gpio: mqtt-io has ha_discovery" },
	{ NULL },
};

static const struct key tls_keys[] = {
	{ .name = "enabled" },
	{ .name = "ca_certs" },
	{ .name = "certfile" },
	{ .name = "keyfile" },
	{ .name = "cert_reqs" },
	{ .name = "insecure" },
	{ "tls_version", "iotd takes TLS 1.2 and later, and the best that both know" },
	{ "ciphers", "iotd takes the ciphers of the system's OpenSSL (openssl.cnf)" },
	{ NULL },
};

static const struct key discovery_keys[] = {
	{ .name = "enabled" },
	{ .name = "prefix" },
	{ .name = "name" },
	{ NULL },
};

static void mqtt_text(struct convert *convert, const char *key, const char *text)
{
	(void)fputc(' ', convert->mqtt.stream);
	write_text(convert->mqtt.stream, key, text);
	(void)fputc('\n', convert->mqtt.stream);
}

static void mqtt_word(struct convert *convert, const char *key, const char *word)
{
	(void)fputc(' ', convert->mqtt.stream);
	write_word(convert->mqtt.stream, key, "%s", word);
	(void)fputc('\n', convert->mqtt.stream);
}

/* --- the broker ----------------------------------------------------------------------------- */

/* Return: true - a name, or an IPv4 address; false with *@ret_ipv6 also true: that */
static bool is_host(const char *host, bool *ret_ipv6)
{
	struct in6_addr address;
	size_t length = strlen(host);

	*ret_ipv6 = inet_pton(AF_INET6, host, &address) == 1;
	return length > 0 && length <= HOST_MAX && strspn(host, HOST_CHARACTERS) == length;
}

static void write_broker(struct convert *convert, const struct item *mqtt, bool has_tls)
{
	const char *host = item_text(&convert->reader, mqtt, "host");
	char url[HOST_MAX + 32];
	long port = 1883;
	bool is_ipv6 = false;

	if (!host || (!is_host(host, &is_ipv6) && !is_ipv6)) {
		tell(&convert->reader, mqtt, "host",
		     "names no host: the broker is localhost, until mqtt.broker is changed");
		host = "localhost";
	}
	(void)item_integer(&convert->reader, mqtt, "port", 1, 65535, &port);
	(void)snprintf(url, sizeof(url), "mqtt%s://%s%.*s%s:%ld", has_tls ? "s" : "",
		       is_ipv6 ? "[" : "", HOST_MAX, host, is_ipv6 ? "]" : "", port);
	mqtt_text(convert, "broker", url);
}

static void write_user(struct convert *convert, const struct item *mqtt)
{
	const char *user = item_text(&convert->reader, mqtt, "user");
	const char *password = item_text(&convert->reader, mqtt, "password");

	if (user && *user)
		mqtt_text(convert, "username", user);
	if (!password || !*password)
		return;
	if (user && *user)
		mqtt_text(convert, "password", password);
	else
		tell(&convert->reader, mqtt, "password",
		     "MQTT 3.1.1 has no password without a user");
}

static void write_protocol(struct convert *convert, const struct item *mqtt)
{
	const char *protocol = item_text(&convert->reader, mqtt, "protocol");

	if (protocol && strcmp(protocol, "3.1.1") != 0)
		tell(&convert->reader, mqtt, "protocol",
		     "iotd speaks MQTT 3.1.1 (protocol = 4) and 5; it is 4");
	mqtt_word(convert, "protocol", "4");
}

static void write_times(struct convert *convert, const struct item *mqtt)
{
	char text[32];
	long seconds;

	if (item_integer(&convert->reader, mqtt, "keepalive", 1, 65535, &seconds)) {
		if (seconds < KEEPALIVE_MIN)
			tell(&convert->reader, mqtt, "keepalive", "is at least 5 s in iotd");
		(void)snprintf(text, sizeof(text), "%lds",
			       seconds < KEEPALIVE_MIN ? KEEPALIVE_MIN : seconds);
		mqtt_text(convert, "keepalive", text);
	}
	if (item_integer(&convert->reader, mqtt, "reconnect_delay", 1, 86400, &seconds)) {
		(void)snprintf(text, sizeof(text), "%lds", seconds);
		mqtt_text(convert, "reconnect_min", text);
		mqtt_text(convert, "reconnect_max", text);
	}
	if (item_integer(&convert->reader, mqtt, "reconnect_count", -1, 1000000000, &seconds) &&
	    seconds >= 0)
		tell(&convert->reader, mqtt, "reconnect_count", "iotd never gives up");
	if (!item_is(&convert->reader, mqtt, "clean_session", true))
		tell(&convert->reader, mqtt, "clean_session",
		     "iotd's sessions are clean ones: what was sent to outputs while it was away "
		     "is "
		     "not obeyed later");
}

/* --- topics --------------------------------------------------------------------------------- */

/* "mqtt-io-" and the SHA-1 of the prefix, as mqtt-io makes it */
static void write_client_id(struct convert *convert, const struct item *mqtt, const char *prefix)
{
	const char *given = item_text(&convert->reader, mqtt, "client_id");
	char text[sizeof("mqtt-io-") + 2UL * SHA1_SIZE] = "mqtt-io-";
	unsigned char digest[SHA1_SIZE];
	size_t length = 0, at = strlen(text);

	if (given && *given) {
		mqtt_text(convert, "client_id", given);
		return;
	}
	if (EVP_Q_digest(NULL, "SHA1", NULL, prefix, strlen(prefix), digest, &length) != 1 ||
	    length != SHA1_SIZE) {
		tell(&convert->reader, mqtt, "client_id",
		     "is not given, and this OpenSSL makes no SHA-1: mqtt.client_id must become "
		     "mqtt-io- and the SHA-1 of the topic prefix");
		return;
	}
	for (size_t i = 0; i < length; i++, at += 2)
		(void)snprintf(text + at, 3, "%02x", digest[i]);
	mqtt_text(convert, "client_id", text);
}

static void write_topic(struct convert *convert, const struct item *mqtt, const char *prefix)
{
	while (*prefix == '/')
		prefix++;
	if (*prefix == '\0' || *prefix == '$' || strpbrk(prefix, "+#")) {
		tell(&convert->reader, mqtt, "topic_prefix",
		     *prefix == '\0'
			     ? "without it mqtt-io's topics begin with \"/\", which iotd's cannot: "
			       "they "
			       "begin with iotd/HOST, until mqtt.topic is given"
			     : "cannot begin iotd's topics: they begin with iotd/HOST, until "
			       "mqtt.topic is given");
		return;
	}
	mqtt_text(convert, "topic", prefix);
}

static void write_topics(struct convert *convert, const struct item *mqtt)
{
	const char *given = item_text(&convert->reader, mqtt, "topic_prefix");
	char *prefix = strdup(given ? given : "");
	size_t length;

	if (!prefix) {
		convert->reader.error = -ENOMEM;
		return;
	}
	for (length = strlen(prefix); length > 0 && prefix[length - 1] == '/'; length--)
		prefix[length - 1] = '\0'; /* as mqtt-io does, before it makes a client id of it */
	write_client_id(convert, mqtt, prefix);
	if (prefix[0] == '/' && prefix[1] != '\0')
		tell(&convert->reader, mqtt, "topic_prefix",
		     "begins with \"/\", which iotd's topics cannot: they begin without it");
	write_topic(convert, mqtt, prefix);
	free(prefix);
}

static void check_status(struct convert *convert, const struct item *mqtt)
{
	static const struct {
		const char *key, *value, *words;
	} fixed[] = {
		{ "status_topic", "status", "iotd's is \"status\"" },
		{ "status_payload_running", "running", "iotd says \"running\"" },
		{ "status_payload_stopped", "stopped", "iotd says \"stopped\"" },
		{ "status_payload_dead", "dead", "iotd says \"dead\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		const char *text = item_text(&convert->reader, mqtt, fixed[i].key);

		if (text && strcmp(text, fixed[i].value) != 0)
			tell(&convert->reader, mqtt, fixed[i].key, "%s: change who listens",
			     fixed[i].words);
	}
}

/* --- groups --------------------------------------------------------------------------------- */

static void write_file(struct convert *convert, const struct item *tls, const char *key,
		       const char *name)
{
	const char *path = item_text(&convert->reader, tls, key);

	if (path && *path)
		write_text(convert->mqtt.stream, name, path);
}

static bool is_verified(struct convert *convert, const struct item *tls)
{
	const char *wanted = item_text(&convert->reader, tls, "cert_reqs");

	if (item_is(&convert->reader, tls, "insecure", false)) {
		tell(&convert->reader, tls, "insecure",
		     "iotd checks the certificate and the host's name, or neither: it is neither "
		     "now (verify = false)");
		return false;
	}
	return !wanted || strcmp(wanted, "CERT_NONE") != 0;
}

/* Return: whether TLS is on */
static bool has_tls(struct convert *convert, const struct item *tls)
{
	tell_keys(&convert->reader, tls, tls_keys);
	return item_is(&convert->reader, tls, "enabled", false);
}

static void write_tls(struct convert *convert, const struct item *tls)
{
	FILE *out = convert->mqtt.stream;

	(void)fputs("  tls = {", out);
	write_file(convert, tls, "ca_certs", "ca_file");
	write_file(convert, tls, "certfile", "cert_file");
	write_file(convert, tls, "keyfile", "key_file");
	if (!is_verified(convert, tls))
		write_word(out, "verify", "false");
	(void)fputs(" };\n", out);
}

static bool is_device(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= DEVICE_MAX && !strpbrk(name, "/+#") && *name != '$';
}

static void write_ha_discovery(struct convert *convert, const struct item *mqtt)
{
	const struct item discovery = item_child(&convert->reader, mqtt, "ha_discovery");
	const char *prefix = item_text(&convert->reader, &discovery, "prefix");
	const char *name = item_text(&convert->reader, &discovery, "name");
	char text[256];
	size_t length;

	tell_keys(&convert->reader, &discovery, discovery_keys);
	if (!item_is(&convert->reader, &discovery, "enabled", false))
		return;
	(void)fputs("  discovery = { enabled = true; style = \"entity\";", convert->mqtt.stream);
	(void)snprintf(text, sizeof(text), "%s", prefix ? prefix : "homeassistant");
	for (length = strlen(text); length > 0 && text[length - 1] == '/'; length--)
		text[length - 1] = '\0';
	if (*text == '\0' || *text == '/' || *text == '$' || strpbrk(text, "+#"))
		tell(&convert->reader, &discovery, "prefix",
		     "cannot begin a topic: it is homeassistant");
	else
		write_text(convert->mqtt.stream, "prefix", text);
	(void)fputs(" };\n", convert->mqtt.stream);

	if (name && !is_device(name))
		tell(&convert->reader, &discovery, "name",
		     "cannot be iotd's \"device\": at most %d bytes, without / + #", DEVICE_MAX);
	else
		write_text(convert->root.stream, "device", name ? name : "MQTT IO");
	(void)fputc('\n', convert->root.stream);
}

void convert_mqtt(struct convert *convert)
{
	const struct item root = { .node = tree_root(&convert->reader.tree) };
	const struct item mqtt = item_child(&convert->reader, &root, "mqtt");
	const struct item tls = item_child(&convert->reader, &mqtt, "tls");
	bool is_tls = has_tls(convert, &tls);

	tell_keys(&convert->reader, &mqtt, mqtt_keys);
	write_broker(convert, &mqtt, is_tls);
	write_user(convert, &mqtt);
	write_topics(convert, &mqtt);
	mqtt_text(convert, "compat", "mqtt-io");
	write_protocol(convert, &mqtt);
	write_times(convert, &mqtt);
	check_status(convert, &mqtt);
	if (is_tls)
		write_tls(convert, &tls);
	write_ha_discovery(convert, &mqtt);
}
