/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Broker URLs: mqtt://HOST[:1883], mqtts://HOST[:8883], unix:/PATH.
 *
 * Checked as strictly as an RFC 3986 authority without user information: what is refused here
 * would else be a name that never resolves, hours later. A URL may hold a password by mistake, so faults do
 * not repeat it when there is an "@".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "load.h"
#include "table.h"

#define HOST_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
#define HOST_MAX	253 /* RFC 1035 2.3.4, as text */

static const struct {
	const char *prefix;
	enum mqtt_scheme scheme;
	int port;
} schemes[] = {
	{ "mqtt://", MQTT_TCP, 1883 },
	{ "mqtts://", MQTT_TLS, 8883 },
	{ "unix:", MQTT_UNIX, 0 },
};

/* port_read() - ":PORT" or nothing. Return: 0; -EINVAL */
static int port_read(const char *text, int *port)
{
	char *end;
	long number;

	if (*text == '\0')
		return 0;
	if (text[0] != ':' || strspn(text + 1, "0123456789") != strlen(text + 1) || !text[1])
		return -EINVAL;
	number = strtol(text + 1, &end, 10);
	if (number < 1 || number > 65535)
		return -EINVAL;
	*port = (int)number;
	return 0;
}

/* host_length() - of the host at the start of @text, brackets included; 0: none that is well-formed */
static size_t host_length(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;
	const char *close;
	size_t length;

	if (*text != '[') {
		length = strspn(text, HOST_CHARACTERS);
		return length > HOST_MAX ? 0 : length;
	}
	close = strchr(text, ']');
	if (!close || (size_t)(close - text) > sizeof(address))
		return 0;
	length = (size_t)(close - text) - 1;
	memcpy(address, text + 1, length);
	address[length] = '\0';
	return inet_pton(AF_INET6, address, &parsed) == 1 ? length + 2 : 0;
}

static bool address_has_colons(const char *text)
{
	const char *colon = strchr(text, ':');

	return *text != '[' && colon && strchr(colon + 1, ':');
}

/* complaint() - what is wrong with HOST[:PORT], else NULL and both are set */
static const char *complaint(const char *text, char **ret_host, int *port)
{
	size_t length = host_length(text), bracket = *text == '[';

	if (address_has_colons(text))
		return "write an IPv6 address in brackets: mqtt://[::1]:1883";
	if (length == 0)
		return *text == '\0' || *text == ':' ? "has no host" : "has a malformed host";
	if (text[length] == '/')
		return "has a path: MQTT has none";
	if (text[length] != '\0' && text[length] != ':')
		return "has a malformed host";
	if (port_read(text + length, port) < 0)
		return "has a bad port (1 to 65535)";
	*ret_host = strndup(text + bracket, length - 2 * bracket);
	return NULL;
}

static const char *socket_complaint(const char *path, char **ret_host)
{
	if (*path != '/')
		return "must name a socket by its whole path: unix:/run/mosquitto.sock";
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return "is too long a path for a socket (107 bytes)";
	*ret_host = strdup(path);
	return NULL;
}

void load_broker(struct load *load, const config_setting_t *setting, struct broker_settings *broker)
{
	char written[QUOTE_SIZE];
	const char *url, *wrong;
	size_t i = 0;

	if (!value_string(&load->faults, setting, &url))
		return;
	if (strchr(url, '@')) {
		fault_at(&load->faults, setting,
			 "holds an \"@\": give user and password by username and password_file");
		return;
	}
	if (strncmp(url, "ws://", 5) == 0 || strncmp(url, "wss://", 6) == 0) {
		fault_at(&load->faults, setting,
			 "%s is MQTT over a websocket, which libmosquitto does not have: use the "
			 "broker's port for mqtt:// or mqtts://",
			 fault_quote(written, url));
		return;
	}
	while (i < ARRAY_SIZE(schemes) &&
	       strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) != 0)
		i++;
	if (i == ARRAY_SIZE(schemes)) {
		fault_at(&load->faults, setting,
			 "%s is no broker (write mqtt://HOST[:1883], mqtts://HOST[:8883] or "
			 "unix:/PATH)",
			 fault_quote(written, url));
		return;
	}
	broker->scheme = schemes[i].scheme;
	broker->port = schemes[i].port;
	table_string(&load->faults, &broker->url, url);
	url += strlen(schemes[i].prefix);
	wrong = broker->scheme == MQTT_UNIX ? socket_complaint(url, &broker->host)
					    : complaint(url, &broker->host, &broker->port);
	if (wrong)
		fault_at(&load->faults, setting, "%s %s",
			 fault_quote(written, config_setting_get_string(setting)), wrong);
	else if (!broker->host)
		fault_memory(&load->faults);
}
