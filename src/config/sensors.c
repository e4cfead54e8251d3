/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list sensors. A sensor's group mixes four kinds of keys: those of every sensor, bus and
 * address of an I2C driver, the driver's options, and groups named after channels. Which channels
 * there are may depend on the options, so a group is gone through twice: first everything but the
 * channels, then they. A driver with one channel takes that channel's keys without a group as well.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "load.h"
#include "option.h"

#include "iotd/config.h"
#include "iotd/drivers.h"
#include "iotd/parse.h"
#include "iotd/plugins.h"

#define YEAR_US (365 * 86400e6)

static const char *const aggregate_words[] = {
	[AGGREGATE_MEAN] = "mean",     [AGGREGATE_MIN] = "min",	  [AGGREGATE_MAX] = "max",
	[AGGREGATE_MEDIAN] = "median", [AGGREGATE_LAST] = "last", NULL,
};

static bool equal_driver(const void *a, const void *b)
{
	return *(const struct driver *const *)a == *(const struct driver *const *)b;
}

#define SENSOR(member) KEY_PLACE(sensor_settings, member)

static const struct key sensor_keys[] = {
	{ "name", KEY_STRING, SENSOR(name), .required = true, .check = check_name },
	{ "driver", KEY_CUSTOM, SENSOR(driver), .required = true, .equal = equal_driver },
	{ "interval", KEY_DURATION, SENSOR(interval_us), .preset = "10s",
	  .range = { 1e3, YEAR_US } },
	{ "retries", KEY_INTEGER, SENSOR(retries), .preset = "-1", .range = { 0, 10 } },
	{ "window", KEY_DURATION, SENSOR(window_us), .preset = "0s", .range = { 0, YEAR_US } },
	{ "aggregate", KEY_WORD, SENSOR(aggregate), .preset = "mean", .words = aggregate_words },
	{ "topic", KEY_STRING, SENSOR(topic), .check = check_topic },
	{ "qos", KEY_INTEGER, SENSOR(qos), .range = { 0, 2 } },
	{ "retain", KEY_BOOLEAN, SENSOR(retain) },
	{ "enabled", KEY_BOOLEAN, SENSOR(enabled), .preset = "true" },
	{ NULL },
};

static void check_address(struct load *load, const config_setting_t *setting, void *member)
{
	int64_t address;

	if (!value_integer(&load->faults, setting, (struct range){ 0 }, &address))
		return;
	/* the others are reserved: NXP UM10204, 3.1.12 */
	if (address < 0x08 || address > 0x77)
		fault_at(&load->faults, setting, "0x%02" PRIx64 " is out of range (0x08 to 0x77)",
			 (uint64_t)address);
	else
		*(uint16_t *)member = (uint16_t)address;
}

static bool equal_address(const void *a, const void *b)
{
	return *(const uint16_t *)a == *(const uint16_t *)b;
}

static const struct key bus_keys[] = {
	{ "bus", KEY_STRING, SENSOR(bus), .required = true, .check = check_filled },
	{ "address", KEY_CUSTOM, SENSOR(address), .check = check_address, .equal = equal_address },
	{ NULL },
};

/* check_alias() - a name; "" is none */
static void check_alias(struct load *load, const config_setting_t *setting, void *member)
{
	if (*(char **)member)
		check_name(load, setting, member);
}

#define CHANNEL(member) KEY_PLACE(channel_settings, member)

static const struct key channel_keys[] = {
	{ "offset", KEY_NUMBER, CHANNEL(offset), .preset = "0" },
	{ "scale", KEY_NUMBER, CHANNEL(scale), .preset = "1" },
	{ "digits", KEY_INTEGER, CHANNEL(digits), .preset = "-1", .range = { 0, 9 } },
	{ "min", KEY_NUMBER, CHANNEL(min), .preset = "-inf" },
	{ "max", KEY_NUMBER, CHANNEL(max), .preset = "inf" },
	{ "deadband", KEY_NUMBER, CHANNEL(deadband), .preset = "0", .range = { 0, HUGE_VAL } },
	{ "max_age", KEY_DURATION, CHANNEL(max_age_us), .preset = "5m", .range = { 1e3, YEAR_US } },
	{ "unit", KEY_UNIT, CHANNEL(unit), .preset = "" },
	{ "device_class", KEY_OPTIONAL, CHANNEL(device_class) },
	{ "alias", KEY_OPTIONAL, CHANNEL(alias), .check = check_alias },
	{ NULL },
};

/* --- comparing ------------------------------------------------------------------------------ */

static const struct channel_settings *channel_named(const struct sensor_settings *sensor,
						    const char *name)
{
	for (size_t i = 0; i < sensor->channel_count; i++)
		if (strcmp(sensor->channels[i].name, name) == 0)
			return &sensor->channels[i];
	return NULL;
}

/* their order in the file says nothing: the driver's counts */
static bool channels_equal(const struct sensor_settings *a, const struct sensor_settings *b)
{
	const struct channel_settings *other;

	if (a->channel_count != b->channel_count)
		return false;
	for (size_t i = 0; i < a->channel_count; i++) {
		other = channel_named(b, a->channels[i].name);
		if (!other || !table_equal(channel_keys, &a->channels[i], other, 0, SIZE_MAX))
			return false;
	}
	return true;
}

bool config_sensor_equal(const struct sensor_settings *a, const struct sensor_settings *b)
{
	return table_equal(sensor_keys, a, b, 0, SIZE_MAX) &&
	       table_equal(bus_keys, a, b, 0, SIZE_MAX) &&
	       options_equal(a->options, a->option_count, b->options, b->option_count) &&
	       channels_equal(a, b);
}

/* --- reading -------------------------------------------------------------------------------- */

/* struct reader - one sensor while it is read */
struct reader {
	struct load *load;
	const config_setting_t *group;
	struct sensor_settings *sensor;
	const struct driver *driver;	       /* NULL: unknown */
	struct channel channels[CHANNELS_MAX]; /* of the driver with these options */
	size_t channel_count;		       /* 0: any name will do */
	uint64_t direct;		       /* channel_keys that stand in the sensor's group */
	size_t faults_before;
	bool has_option_fault;
};

static void driver_unknown(struct load *load, const config_setting_t *setting, const char *name)
{
	const struct plugin_fault *plugin = plugin_fault_find(name);
	struct suggest suggest = { .word = name };
	const struct driver *driver;
	char written[QUOTE_SIZE];

	if (plugin) {
		fault_at(&load->faults, setting, "%s is no driver: %s", fault_quote(written, name),
			 plugin->words);
		return;
	}
	for (size_t i = 0; (driver = driver_at(i)); i++)
		suggest_offer(&suggest, driver->name);
	fault_at(&load->faults, setting, "%s is no driver%s%s", fault_quote(written, name),
		 suggest_text(&suggest), suggest.best ? "" : " (iotd --list-drivers shows them)");
}

static const struct driver *read_driver(struct load *load, const config_setting_t *group)
{
	const config_setting_t *setting = config_setting_get_member(group, "driver");
	const struct driver *driver;
	const char *name;

	if (!setting || !value_string(&load->faults, setting, &name))
		return NULL;
	driver = driver_find(name);
	if (!driver)
		driver_unknown(load, setting, name);
	return driver;
}

static bool has_bus(const struct reader *reader)
{
	return !reader->driver || reader->driver->kind == DRIVER_I2C;
}

/* is_plain() - a key that is no channel's */
static bool is_plain(const struct reader *reader, const char *name)
{
	return table_find(sensor_keys, name) || table_find(bus_keys, name) ||
	       (reader->driver && option_find(reader->driver, name));
}

static bool take_option(struct reader *reader, const config_setting_t *setting)
{
	struct faults *faults = &reader->load->faults;
	size_t faults_before = faults->count;

	if (!reader->driver ||
	    !option_take(faults, reader->driver, setting, reader->sensor->options))
		return false;
	reader->has_option_fault |= faults->count > faults_before;
	return true;
}

static void read_missing_options(struct reader *reader)
{
	struct faults *faults = &reader->load->faults;
	size_t faults_before = faults->count;

	options_missing(faults, reader->driver, reader->group, reader->sensor->options);
	/* not each fault is told: see fault_member(), and faults_mark_text() */
	reader->has_option_fault |= faults->count > faults_before || faults->incomplete ||
				    faults->of_text > 0 || faults->count == FAULTS_MAX;
}

/* read_plain() - everything but channels */
static void read_plain(struct reader *reader)
{
	struct faults *faults = &reader->load->faults;
	uint64_t seen = 0, bus_seen = 0;

	for (int i = 0; i < config_setting_length(reader->group); i++) {
		const config_setting_t *setting =
			config_setting_get_elem(reader->group, (unsigned int)i);

		if (table_take(reader->load, sensor_keys, setting, reader->sensor, &seen))
			continue;
		if (take_option(reader, setting))
			continue;
		if (has_bus(reader))
			(void)table_take(reader->load, bus_keys, setting, reader->sensor,
					 &bus_seen);
		else if (table_find(bus_keys, config_setting_name(setting)))
			fault_at(faults, setting, "driver \"%s\" has no bus", reader->driver->name);
	}
	table_missing(faults, sensor_keys, reader->group, seen);
	if (!reader->driver)
		return;
	if (has_bus(reader))
		table_missing(faults, bus_keys, reader->group, bus_seen);
	read_missing_options(reader);
}

/* channel_at() - the settings of channel @name, made with defaults if there are none; NULL: a fault */
static struct channel_settings *channel_at(struct reader *reader, const char *name)
{
	struct sensor_settings *sensor = reader->sensor;
	struct channel_settings *grown;

	for (size_t i = 0; i < sensor->channel_count; i++)
		if (strcmp(sensor->channels[i].name, name) == 0)
			return &sensor->channels[i];
	grown = reallocarray(sensor->channels, sensor->channel_count + 1, sizeof(*grown));
	if (!grown) {
		fault_memory(&reader->load->faults);
		return NULL;
	}
	sensor->channels = grown;
	grown += sensor->channel_count++;
	*grown = (struct channel_settings){ 0 };
	(void)snprintf(grown->name, sizeof(grown->name), "%s", name);
	table_presets(&reader->load->faults, channel_keys, grown);
	return grown;
}

static void channel_check(struct reader *reader, const config_setting_t *group,
			  const struct channel_settings *channel)
{
	struct faults *faults = &reader->load->faults;

	if (channel->min > channel->max)
		fault_member(faults, group, "min", "is greater than max");
	if (channel->scale == 0)
		fault_member(faults, group, "scale", "must not be 0");
}

static void fault_unknown_key(struct reader *reader, const config_setting_t *setting)
{
	const struct driver *driver = reader->driver;
	struct suggest suggest = { .word = config_setting_name(setting) };

	table_suggest(sensor_keys, &suggest);
	if (has_bus(reader))
		table_suggest(bus_keys, &suggest);
	for (size_t i = 0; driver && i < driver->option_count; i++)
		suggest_offer(&suggest, driver->options[i].name);
	for (size_t i = 0; i < reader->channel_count; i++)
		suggest_offer(&suggest, reader->channels[i].name);
	if (reader->channel_count == 1)
		table_suggest(channel_keys, &suggest);
	fault_unknown(&reader->load->faults, setting, &suggest);
}

static bool is_anybodys_option(const char *name)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = driver_at(i)); i++)
		if (option_find(driver, name))
			return true;
	return false;
}

/* read_strange() - a sensor without a driver: a key that none could have is a fault all the same */
static void read_strange(struct reader *reader)
{
	for (int i = 0; i < config_setting_length(reader->group); i++) {
		const config_setting_t *setting =
			config_setting_get_elem(reader->group, (unsigned int)i);
		const char *name = config_setting_name(setting);

		if (!is_plain(reader, name) && !table_find(channel_keys, name) &&
		    !is_anybodys_option(name) && config_setting_is_scalar(setting))
			fault_unknown_key(reader, setting);
	}
}

static bool is_channel(const struct reader *reader, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);

	for (size_t i = 0; i < reader->channel_count; i++)
		if (strcmp(reader->channels[i].name, name) == 0)
			return true;
	return reader->channel_count == 0 && parse_name(name) &&
	       config_setting_type(setting) == CONFIG_TYPE_GROUP;
}

static void read_channel(struct reader *reader, const config_setting_t *group)
{
	struct faults *faults = &reader->load->faults;
	struct channel_settings *channel;
	uint64_t seen = 0;

	if (!value_is_group(faults, group))
		return;
	channel = channel_at(reader, config_setting_name(group));
	for (int i = 0; channel && i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned int)i);
		const char *name = config_setting_name(setting);
		const struct key *key = table_find(channel_keys, name);
		struct suggest suggest = { .word = name };

		if (key && reader->direct & (UINT64_C(1) << (key - channel_keys))) {
			fault_at(faults, setting, "is given in the sensor's own group, too");
		} else if (!table_take(reader->load, channel_keys, setting, channel, &seen)) {
			table_suggest(channel_keys, &suggest);
			fault_unknown(faults, setting, &suggest);
		}
	}
	if (channel)
		channel_check(reader, group, channel);
}

/* read_direct() - channel keys in the group of a sensor with one channel */
static void read_direct(struct reader *reader)
{
	struct channel_settings *channel = NULL;

	for (int i = 0; i < config_setting_length(reader->group); i++) {
		const config_setting_t *setting =
			config_setting_get_elem(reader->group, (unsigned int)i);
		const char *name = config_setting_name(setting);

		if (is_plain(reader, name) || !table_find(channel_keys, name) ||
		    is_channel(reader, setting))
			continue;
		channel = channel_at(reader, reader->channels[0].name);
		if (!channel)
			return;
		(void)table_take(reader->load, channel_keys, setting, channel, &reader->direct);
	}
	if (channel)
		channel_check(reader, reader->group, channel);
}

static void read_channels(struct reader *reader)
{
	const struct driver *driver = reader->driver;
	int count = (int)driver->channel_count;

	if (!reader->has_option_fault)
		options_check(&reader->load->faults, driver, reader->group,
			      reader->sensor->options);
	if (driver->describe)
		count = driver->describe(reader->sensor->options, reader->channels);
	else if (count > 0)
		memcpy(reader->channels, driver->channels,
		       sizeof(*driver->channels) * (size_t)count);
	if (count < 0) {
		if (reader->load->faults.count == reader->faults_before)
			fault_at(&reader->load->faults, reader->group,
				 "driver \"%s\" has no channels with these options", driver->name);
		return;
	}
	reader->channel_count = (size_t)count;
	reader->sensor->is_single = count == 1;
	if (count == 1)
		read_direct(reader);
	for (int i = 0; i < config_setting_length(reader->group); i++) {
		const config_setting_t *setting =
			config_setting_get_elem(reader->group, (unsigned int)i);
		const char *name = config_setting_name(setting);

		if (is_plain(reader, name))
			continue;
		if (is_channel(reader, setting))
			read_channel(reader, setting);
		else if (count != 1 || !table_find(channel_keys, name))
			fault_unknown_key(reader, setting);
	}
}

static void sensor_defaults(struct reader *reader)
{
	struct sensor_settings *sensor = reader->sensor;
	struct load *load = reader->load;
	const struct i2c_settings *bus = NULL;

	if (sensor->bus && reader->driver)
		bus = load_bus(load, config_setting_get_member(reader->group, "bus"), sensor->bus);
	if (sensor->retries < 0)
		sensor->retries = bus ? bus->retries : 1;
	if (sensor->bus && sensor->address == 0 && reader->driver &&
	    !config_setting_get_member(reader->group, "address")) {
		sensor->address = reader->driver->addresses[0];
		if (sensor->address == 0)
			fault_member(&load->faults, reader->group, "address", "is missing");
	}
	if (sensor->topic || !sensor->name)
		return;
	if (asprintf(&sensor->topic, "%s/sensor/%s", load->settings->mqtt.topic, sensor->name) <
	    0) {
		sensor->topic = NULL;
		fault_memory(&load->faults);
	}
}

static void fault_channel(struct reader *reader, const char *name, const char *words)
{
	options_fault_channel(&reader->load->faults, reader->driver, reader->group,
			      reader->sensor->options, name, words);
}

static void sensor_check(struct reader *reader)
{
	const struct sensor_settings *sensor = reader->sensor;
	struct faults *faults = &reader->load->faults;

	if (sensor->window_us > 0 && sensor->window_us < sensor->interval_us)
		fault_member(faults, reader->group, "window", "is shorter than interval");
	for (size_t i = 0; i < reader->channel_count; i++) {
		const char *name = reader->channels[i].name;

		if (strcmp(name, "time") == 0)
			fault_channel(reader, name,
				      "\"time\" is taken: a reading's own time has that key");
		else if (reader->load->settings->mqtt.format == FORMAT_VALUE &&
			 strcmp(name, "status") == 0)
			fault_channel(reader, name,
				      "\"status\" is taken: in format \"value\" online and "
				      "offline have that topic");
	}
}

static void read_sensor(struct load *load, const config_setting_t *group,
			struct sensor_settings *sensor)
{
	struct reader reader = {
		.load = load, .group = group, .sensor = sensor, .faults_before = load->faults.count
	};

	table_presets(&load->faults, sensor_keys, sensor);
	sensor->qos = load->settings->mqtt.qos;
	sensor->retain = load->settings->mqtt.retain;
	reader.driver = sensor->driver = read_driver(load, group);
	if (reader.driver)
		options_presets(&load->faults, reader.driver, &sensor->options,
				&sensor->option_count);
	if (load->faults.error < 0)
		return;
	read_plain(&reader);
	if (reader.driver)
		read_channels(&reader);
	else
		read_strange(&reader);
	if (load->faults.error < 0)
		return;
	sensor_defaults(&reader);
	sensor_check(&reader);
}

void load_sensors(struct load *load, const config_setting_t *section)
{
	struct settings *settings = load->settings;

	settings->sensors =
		load_list(load, section, sizeof(*settings->sensors), &settings->sensor_count);
	for (size_t i = 0; i < settings->sensor_count; i++) {
		const config_setting_t *group = config_setting_get_elem(section, (unsigned int)i);

		if (value_is_group(&load->faults, group))
			read_sensor(load, group, &settings->sensors[i]);
	}
}
