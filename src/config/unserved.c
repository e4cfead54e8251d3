/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What SPEC.md promises and this version does not serve yet. The whole grammar is read and checked
 * elsewhere as if everything were there; here is the one list of what is refused for now. Whoever builds a
 * feature deletes its rows. When both lists are empty, this file goes.
 */
#include <assert.h>
#include <string.h>

#include "load.h"

#include "iotd/parse.h"

enum served {
	SERVED_ONLY,   /* the default alone, @text */
	SERVED_NOT,    /* anything but @text, as a value or in a list */
	SERVED_PREFIX, /* anything that does not begin with @text */
};

static const struct {
	const char *path; /* lists are gone through */
	enum served served;
	const char *text;
} unserved[] = {
	{ "mqtt.broker", SERVED_PREFIX, "mqtts://" },
	{ "mqtt.tls.ca_file", SERVED_ONLY, "" },
	{ "mqtt.tls.cert_file", SERVED_ONLY, "" },
	{ "mqtt.tls.key_file", SERVED_ONLY, "" },
	{ "mqtt.tls.alpn", SERVED_ONLY, "" },
	{ "mqtt.tls.psk_identity", SERVED_ONLY, "" },
	{ "mqtt.tls.psk_file", SERVED_ONLY, "" },
	{ "mqtt.tls.verify", SERVED_ONLY, "true" },
	{ "mqtt.format", SERVED_NOT, "senml" },
	{ "mqtt.format", SERVED_NOT, "cbor" },
	{ "mqtt.format", SERVED_NOT, "influx" },
	{ "mqtt.format", SERVED_NOT, "sparkplug" },
	{ "mqtt.discovery.enabled", SERVED_ONLY, "false" },
	{ "mqtt.compat", SERVED_ONLY, "" },
	{ "mqtt.expiry", SERVED_ONLY, "0s" },
	{ "stats.textfile", SERVED_ONLY, "" },
	{ "driver_dir", SERVED_ONLY, "/usr/lib/iotd/drivers" },
	{ "commands.allow", SERVED_NOT, "count" },
};

/* Drivers of SPEC.md; a driver that is in the list of drivers.h counts as built, whether or not it is here */
static const char *const planned_drivers[] = {
	"bmp180",  "bmp388",   "bmp390", "bme680",  "bme688",  "sht3x",	  "sht4x",
	"shtc3",   "htu21d",   "si7021", "hdc1080", "aht20",   "mcp9808", "lm75",
	"tmp102",  "tmp117",   "scd4x",	 "sgp40",   "ens160",  "bh1750",  "tsl2561",
	"tsl2591", "veml7700", "ltr390", "ads1015", "ads1115", "ina219",  "ina226",
	"ina260",  "vl6180x",  "iio",	 "hwmon",   "w1",      "thermal", "register",
};

bool driver_is_planned(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(planned_drivers); i++)
		if (strcmp(planned_drivers[i], name) == 0)
			return true;
	return false;
}

/* is_duration() - both are durations of the same length: "0s", "0ms", 0 */
static bool is_duration(const config_setting_t *setting, const char *text)
{
	const char *written = config_setting_get_string(setting);
	int64_t a, b;

	if (parse_duration(text, &a) < 0)
		return false;
	if (!written)
		return a == 0 && config_setting_get_int(setting) == 0 &&
		       config_setting_get_float(setting) == 0;
	return parse_duration(written, &b) == 0 && a == b;
}

static bool is_default(const config_setting_t *setting, const char *text)
{
	const char *written = config_setting_get_string(setting);

	if (config_setting_type(setting) == CONFIG_TYPE_BOOL)
		return (config_setting_get_bool(setting) != 0) == (strcmp(text, "true") == 0);
	return (written && (strcmp(written, text) == 0 || *written == '\0')) ||
	       is_duration(setting, text);
}

static bool is_list(const config_setting_t *setting)
{
	return config_setting_type(setting) == CONFIG_TYPE_LIST ||
	       config_setting_type(setting) == CONFIG_TYPE_ARRAY;
}

static bool is_served(const config_setting_t *setting, enum served served, const char *text)
{
	const char *written = config_setting_get_string(setting);

	switch (served) {
	case SERVED_ONLY:
		return is_default(setting, text);
	case SERVED_NOT:
		return !written || strcmp(written, text) != 0;
	case SERVED_PREFIX:
		return !written || strncmp(written, text, strlen(text)) != 0;
	}
	return true;
}

static void refuse(struct load *load, const config_setting_t *setting, enum served served,
		   const char *text)
{
	char written[QUOTE_SIZE] = "";
	const char *value = config_setting_get_string(setting);

	if (is_served(setting, served, text) || fault_is_at(&load->faults, setting))
		return;
	if (value)
		value = fault_quote(written, value);
	fault_at(&load->faults, setting, "%s%snot supported yet", value ? value : "",
		 value ? " is " : "");
}

/* walk() - to every setting that @path leads to from @setting, through lists */
static void walk(struct load *load, const config_setting_t *setting, const char *path, size_t row)
{
	const config_setting_t *next;
	char name[32];
	size_t length;

	if (!setting)
		return;
	if (is_list(setting)) {
		for (int i = 0; i < config_setting_length(setting); i++)
			walk(load, config_setting_get_elem(setting, (unsigned int)i), path, row);
		return;
	}
	if (*path == '\0') {
		refuse(load, setting, unserved[row].served, unserved[row].text);
		return;
	}
	if (config_setting_type(setting) != CONFIG_TYPE_GROUP)
		return;
	length = strcspn(path, ".");
	assert(length < sizeof(name));
	memcpy(name, path, length);
	name[length] = '\0';
	next = config_setting_get_member(setting, name);
	walk(load, next, path + length + (path[length] == '.'), row);
}

void refuse_unserved(struct load *load)
{
	for (size_t row = 0; row < ARRAY_SIZE(unserved); row++)
		walk(load, config_root_setting(&load->tree), unserved[row].path, row);
}
