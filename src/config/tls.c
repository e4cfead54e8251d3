/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The group mqtt.tls: what its keys say together, with the brokers, and with the files.
 *
 * What has no key may be a credential of systemd ($CREDENTIALS_DIRECTORY): from here on it is a
 * file as the others. A file that cannot be read is a fault here, with its line, and not an outage
 * hours later; what is in it is looked at by OpenSSL, in src/mqtt. The files' stamps belong to the
 * settings, so that a reload sees a renewed certificate as what it is: a change.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "table.h"

#define ALPN_MAX     255 /* RFC 7301, 3.1 */
#define IDENTITY_MAX 128 /* RFC 4279, 5.3: so much everybody takes */

static const struct tls_place {
	const char *key, *credential;
	size_t offset; /* in struct tls_settings */
} places[TLS_FILES] = {
	[TLS_CA] = { "ca_file", "tls-ca", offsetof(struct tls_settings, ca_file) },
	[TLS_CERT] = { "cert_file", "tls-cert", offsetof(struct tls_settings, cert_file) },
	[TLS_KEY] = { "key_file", "tls-key", offsetof(struct tls_settings, key_file) },
	[TLS_PSK] = { "psk_file", "tls-psk", offsetof(struct tls_settings, psk_file) },
};

static char **file_of(struct tls_settings *tls, enum tls_file file)
{
	return (char **)(void *)((char *)tls + places[file].offset);
}

/* --- single keys ---------------------------------------------------------------------------- */

static void check_length(struct load *load, const config_setting_t *setting, const char *text,
			 size_t most)
{
	if (text && strlen(text) > most)
		fault_at(&load->faults, setting, "is longer than %zu bytes", most);
}

void check_alpn(struct load *load, const config_setting_t *setting, void *member)
{
	check_length(load, setting, *(char **)member, ALPN_MAX);
}

void check_psk_identity(struct load *load, const config_setting_t *setting, void *member)
{
	check_length(load, setting, *(char **)member, IDENTITY_MAX);
}

/* --- credentials ---------------------------------------------------------------------------- */

/* those of certificates have no place beside a PSK, and the other way round */
static void take_credentials(struct load *load, struct tls_settings *tls)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	bool has_psk = tls->psk_identity || tls->psk_file;

	for (enum tls_file file = 0; folder && file < TLS_FILES; file++) {
		cleanup(freep) char *path = NULL;
		char **member = file_of(tls, file);

		if (*member || (file == TLS_PSK) != has_psk || (file == TLS_KEY && !tls->cert_file))
			continue;
		if (asprintf(&path, "%s/%s", folder, places[file].credential) < 0) {
			path = NULL;
			fault_memory(&load->faults);
		} else if (access(path, F_OK) == 0) {
			table_string(&load->faults, member, path);
		}
	}
}

/* a check by hand does not see the service's credentials, but where they mostly come from */
static bool may_have_credential(enum tls_file file)
{
	static const char *const stores[] = { "/etc/credstore", "/etc/credstore.encrypted",
					      "/run/credstore", "/run/credstore.encrypted" };
	char path[64];

	if (getenv("CREDENTIALS_DIRECTORY"))
		return false; /* it would have been taken */
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", stores[i], places[file].credential);
		if (access(path, F_OK) == 0 || errno == EACCES)
			return true;
	}
	return false;
}

/* --- files ---------------------------------------------------------------------------------- */

static void read_stamps(struct load *load, const config_setting_t *mqtt,
			const config_setting_t *group, struct tls_settings *tls)
{
	char written[QUOTE_SIZE];
	int r;

	for (enum tls_file file = 0; file < TLS_FILES; file++) {
		const char *path = *file_of(tls, file);

		r = path ? file_stamp_read(&tls->stamps[file], path) : 0;
		if (r == 0)
			continue;
		(void)fault_quote(written, path);
		if (group && config_setting_get_member(group, places[file].key))
			fault_member(&load->faults, group, places[file].key, "cannot read %s: %s",
				     written, strerror(-r));
		else
			fault_member(&load->faults, mqtt, "tls", "cannot read %s: %s", written,
				     strerror(-r));
	}
}

/* --- what goes together --------------------------------------------------------------------- */

/* a file in PEM may have the certificate and its key; one that cannot be read is another fault's */
static bool certificate_may_hold_key(const struct tls_settings *tls)
{
	cleanup(freep) char *line = NULL;
	FILE *stream = tls->stamps[TLS_CERT].inode > 0 ? fopen(tls->cert_file, "re") : NULL;
	bool found = !stream;
	size_t size = 0;

	while (!found && getline(&line, &size, stream) >= 0)
		found = strstr(line, "PRIVATE KEY-----") != NULL;
	if (stream)
		(void)fclose(stream);
	return found;
}

static void check_certificate(struct load *load, const config_setting_t *group,
			      const struct tls_settings *tls)
{
	struct faults *faults = &load->faults;
	char written[QUOTE_SIZE];

	if (tls->key_file && !tls->cert_file)
		fault_member(faults, group, "key_file", "is of no use without cert_file");
	if (tls->cert_file && !tls->key_file && !may_have_credential(TLS_KEY) &&
	    !certificate_may_hold_key(tls))
		fault_member(faults, group, "key_file", "is missing, and %s holds no key",
			     fault_quote(written, tls->cert_file));
}

static void check_psk(struct load *load, const config_setting_t *group, struct tls_settings *tls)
{
	struct faults *faults = &load->faults;

	if (!tls->psk_identity)
		fault_member(faults, group, "psk_identity", "is missing: psk_file needs it");
	if (!tls->psk_file && !may_have_credential(TLS_PSK))
		fault_member(faults, group, "psk_file", "is missing: psk_identity needs it");
	for (enum tls_file file = TLS_CA; file < TLS_PSK; file++)
		if (*file_of(tls, file))
			fault_member(faults, group, places[file].key,
				     "is of no use with a PSK: there are no certificates then");
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool tls_is_used(const struct mqtt_settings *mqtt)
{
	for (size_t i = 0; i < mqtt->broker_count; i++)
		if (mqtt->brokers[i].scheme == MQTT_TLS)
			return true;
	return false;
}

static bool brokers_are_known(const struct load *load, const config_setting_t *mqtt)
{
	const struct mqtt_settings *settings = &load->settings->mqtt;
	const config_setting_t *setting = config_setting_get_member(mqtt, "broker");

	for (size_t i = 0; i < settings->broker_count; i++)
		if (!settings->brokers[i].host)
			return false;
	return !setting || !fault_is_at(&load->faults, setting);
}

static bool tls_says_something(struct tls_settings *tls)
{
	for (enum tls_file file = 0; file < TLS_FILES; file++)
		if (*file_of(tls, file))
			return true;
	return tls->alpn || tls->psk_identity || !tls->verify;
}

void load_tls(struct load *load, const config_setting_t *mqtt)
{
	const config_setting_t *group = config_setting_get_member(mqtt, "tls");
	struct tls_settings *tls = &load->settings->mqtt.tls;

	if (!tls_is_used(&load->settings->mqtt)) {
		if (tls_says_something(tls) && brokers_are_known(load, mqtt))
			fault_member(&load->faults, mqtt, "tls",
				     "no broker is mqtts://, so nothing would be encrypted");
		return;
	}
	take_credentials(load, tls);
	read_stamps(load, mqtt, group, tls);
	if (group && (tls->psk_identity || tls->psk_file))
		check_psk(load, group, tls);
	else if (group)
		check_certificate(load, group, tls);
}
