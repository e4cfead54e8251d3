/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Home Assistant is told: topics, ids, and messages key by key. That it takes them is checked
 * in tests/system/test_discovery.py.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "message/entity-class.h"

#include "iotd/clock.h"
#include "iotd/discovery.h"
#include "iotd/json.h"

static char device[] = "greenhouse-1", topic[] = "iotd/greenhouse-1", prefix[] = "homeassistant";
static char by_device[] = "device", by_entity[] = "entity";
static char air_name[] = "air", air_topic[] = "iotd/greenhouse-1/sensor/air";
static char rain_name[] = "rain", rain_topic[] = "iotd/greenhouse-1/input/rain", rain_unit[] = "mm";
static char door_name[] = "door", door_topic[] = "iotd/greenhouse-1/input/door/on_time";
static char pump_name[] = "pump";
static char precipitation[] = "precipitation", opening[] = "opening", outlet[] = "outlet";
static char moisture[] = "moisture", none[] = "none";
static char mqtt_io[] = "mqtt-io", client_id[] = "mqtt-io-1", chip[] = "gpiochip0", pins[] = "pins";
static char alias[] = "attic";

static const struct discovery_host host = { "Acme", "Board 3", "1.2.3",
					    "https://example.org/iotd" };
static const struct channel climate[] = { { "temperature", "°C", 2 }, { "humidity", "%", 1 } };

static struct settings settings;
static struct sensor_settings air;
static struct input_settings rain, door;
static struct output_settings pump;

static void setup(void)
{
	settings = (struct settings){
		.device = device,
		.mqtt = { .topic = topic,
			  .format = FORMAT_JSON,
			  .qos = 1,
			  .discovery_enabled = true,
			  .discovery_prefix = prefix,
			  .discovery_style = by_device },
		.commands = { .enabled = true, .allow = { [COMMAND_SET] = true } },
		.stats = { .interval_us = 60 * USEC_PER_SEC },
	};
	air = (struct sensor_settings){ .name = air_name, .topic = air_topic };
	rain = (struct input_settings){
		.name = rain_name, .count = true, .scale = 0.2794, .count_topic = rain_topic
	};
	memcpy(rain.unit, rain_unit, sizeof(rain_unit));
	door = (struct input_settings){ .name = door_name, .scale = 1 };
	pump = (struct output_settings){ .name = pump_name };
}

/* --- tools ---------------------------------------------------------------------------------- */

static struct discovery_device sensor_device(const struct channel *channels, size_t count,
					     int64_t interval_us)
{
	return (struct discovery_device){
		.info = { .kind = DEVICE_SENSOR,
			  .name = air_name,
			  .interval_us = interval_us,
			  .channels = channels,
			  .channel_count = count },
		.sensor = &air,
	};
}

static struct discovery_device input_device(const struct input_settings *input,
					    const struct channel *channels, size_t count)
{
	return (struct discovery_device){
		.info = { .kind = DEVICE_INPUT,
			  .name = input->name,
			  .interval_us = 60 * USEC_PER_SEC,
			  .channels = channels,
			  .channel_count = count },
		.input = input,
	};
}

static struct discovery_device output_device(void)
{
	return (struct discovery_device){
		.info = { .kind = DEVICE_OUTPUT, .name = pump_name },
		.output = &pump,
	};
}

static void assert_json(json_t *object, const char *expected)
{
	cleanup(json_decrefp) json_t *wanted = json_loads(expected, 0, NULL);
	cleanup(freep) char *text = json_dumps(object, JSON_INDENT(1));

	ck_assert_msg(wanted != NULL, "the test's own JSON is bad: %s", expected);
	ck_assert_msg(json_equal(object, wanted), "it is %s\nand not %s", text, expected);
}

static void assert_components(const struct discovery_device *of, const char *expected)
{
	cleanup(json_decrefp) json_t *components = discovery_components(&settings, of);

	ck_assert_ptr_nonnull(components);
	assert_json(components, expected);
}

/* the text at @key of the only component, or of @id; NULL: it has none */
static char *text_of(const struct discovery_device *of, const char *id, const char *key)
{
	cleanup(json_decrefp) json_t *components = discovery_components(&settings, of);
	const json_t *value;

	ck_assert_ptr_nonnull(json_object_get(components, id));
	value = json_object_get(json_object_get(components, id), key);
	return value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
}

static void assert_text(const struct discovery_device *of, const char *id, const char *key,
			const char *expected)
{
	cleanup(freep) char *text = text_of(of, id, key);

	if (expected)
		ck_assert_str_eq(text, expected);
	else
		ck_assert_msg(!text, "%s of %s is %s", key, id, text);
}

/* --- sensors -------------------------------------------------------------------------------- */

START_TEST(a_channel_is_a_sensor_that_picks_its_number_out_of_the_reading)
{
	struct discovery_device of = sensor_device(climate, 1, 30 * USEC_PER_SEC);

	assert_components(
		&of,
		"{\"sensor_air_temperature\":{\"p\":\"sensor\",\"name\":\"air temperature\","
		"\"uniq_id\":\"iotd-greenhouse-1.sensor_air_temperature\","
		"\"stat_t\":\"iotd/greenhouse-1/sensor/air\","
		"\"val_tpl\":\"{{ value_json['temperature'] | default('') }}\","
		"\"unit_of_meas\":\"°C\",\"dev_cla\":\"temperature\",\"stat_cla\":\"measurement\","
		"\"suggested_display_precision\":2,\"exp_aft\":90,"
		"\"avty\":[{\"t\":\"iotd/greenhouse-1/status\"},"
		"{\"t\":\"iotd/greenhouse-1/sensor/air/status\"}],\"avty_mode\":\"all\"}}");
}
END_TEST

START_TEST(in_format_value_a_channel_has_a_topic_of_its_own_and_no_template)
{
	struct discovery_device of = sensor_device(climate, 2, USEC_PER_SEC);

	settings.mqtt.format = FORMAT_VALUE;
	assert_text(&of, "sensor_air_humidity", "stat_t",
		    "\"iotd/greenhouse-1/sensor/air/humidity\"");
	assert_text(&of, "sensor_air_humidity", "val_tpl", NULL);
	assert_text(&of, "sensor_air_temperature", "stat_t",
		    "\"iotd/greenhouse-1/sensor/air/temperature\"");
}
END_TEST

START_TEST(a_channel_with_a_dash_is_no_subtraction)
{
	static const struct channel channel = { "in-1", "V", 1 };
	struct discovery_device of = sensor_device(&channel, 1, USEC_PER_SEC);

	assert_text(&of, "sensor_air_in-1", "val_tpl",
		    "\"{{ value_json['in-1'] | default('') }}\"");
}
END_TEST

/* seconds of interval, window, deadband's max_age (0: no deadband) and what follows */
static const struct {
	int interval, window, max_age;
	const char *expires;
} expiries[] = {
	{ 1, 0, 0, "60" },    { 20, 0, 0, "60" },  { 21, 0, 0, "63" },	  { 3600, 0, 0, "10800" },
	{ 10, 60, 0, "180" }, { 30, 20, 0, "90" }, { 10, 0, 300, "930" }, { 10, 60, 300, "1080" },
};

START_TEST(a_sensor_expires_when_it_is_silent_three_times_as_long_as_it_should)
{
	struct channel_settings own = {
		.name = "temperature",
		.deadband = expiries[_i].max_age > 0 ? 0.1 : 0,
		.max_age_us =
			(expiries[_i].max_age > 0 ? expiries[_i].max_age : 300) * USEC_PER_SEC,
	};
	struct discovery_device of =
		sensor_device(climate, 1, expiries[_i].interval * USEC_PER_SEC);

	air.window_us = expiries[_i].window * USEC_PER_SEC;
	air.channels = &own;
	air.channel_count = 1;
	assert_text(&of, "sensor_air_temperature", "exp_aft", expiries[_i].expires);
}
END_TEST

START_TEST(the_settings_choose_the_class_of_their_channel_only)
{
	struct channel_settings own[] = { { .name = "humidity", .device_class = moisture } };
	struct discovery_device of = sensor_device(climate, 2, USEC_PER_SEC);

	air.channels = own;
	air.channel_count = 1;
	assert_text(&of, "sensor_air_humidity", "dev_cla", "\"moisture\"");
	assert_text(&of, "sensor_air_temperature", "dev_cla", "\"temperature\"");
	own[0].device_class = none;
	assert_text(&of, "sensor_air_humidity", "dev_cla", NULL);
	assert_text(&of, "sensor_air_humidity", "stat_cla", "\"measurement\"");
}
END_TEST

/* --- classes -------------------------------------------------------------------------------- */

static const struct {
	const char *name, *unit;
	bool is_total;
	const char *device_class, *state_class;
} classes[] = {
	{ "temperature", "°C", false, "temperature", "measurement" },
	{ "humidity", "%", false, "humidity", "measurement" },
	{ "soil_moisture", "%", false, "moisture", "measurement" },
	{ "load", "%", false, NULL, "measurement" },
	{ "pressure", "hPa", false, "atmospheric_pressure", "measurement" },
	{ "pressure", "bar", false, "pressure", "measurement" },
	{ "illuminance", "lx", false, "illuminance", "measurement" },
	{ "uv_index", "", false, NULL, "measurement" },
	{ "co2", "ppm", false, "carbon_dioxide", "measurement" },
	{ "eco2", "ppm", false, "carbon_dioxide", "measurement" },
	{ "tvoc", "ppb", false, "volatile_organic_compounds_parts", "measurement" },
	{ "voc_raw", "", false, NULL, "measurement" },
	{ "aqi", "", false, "aqi", "measurement" },
	{ "aqi", "%", false, NULL, "measurement" },
	{ "pm10", "µg/m³", false, "pm10", "measurement" },
	{ "pm1", "µg/m³", false, "pm1", "measurement" },
	{ "gas_resistance", "Ω", false, NULL, "measurement" },
	{ "voltage", "V", false, "voltage", "measurement" },
	{ "current", "mA", false, "current", "measurement" },
	{ "power", "W", false, "power", "measurement" },
	{ "distance", "mm", false, "distance", "measurement" },
	{ "fan1", "rpm", false, NULL, "measurement" },
	{ "energy", "kWh", false, "energy", "total_increasing" },
	{ "level", "L", false, "volume_storage", "measurement" },
	{ "total", "L", true, "volume", "total_increasing" },
	{ "total", "kWh", true, "energy", "total_increasing" },
	{ "total", "mm", true, "distance", "total_increasing" },
	{ "total", "", true, NULL, "total_increasing" },
	{ "total", "°C", true, NULL, "total_increasing" },
	{ "rate", "Hz", false, "frequency", "measurement" },
	{ "rate", "mm/s", false, "speed", "measurement" },
	{ "rate", "L/s", false, NULL, "measurement" },
	{ "rate", "m", false, "distance", "measurement" }, /* and not "mm", "km" … */
};

START_TEST(unit_and_name_choose_the_class)
{
	const char *device_class =
		entity_class(classes[_i].name, classes[_i].unit, classes[_i].is_total);

	if (classes[_i].device_class)
		ck_assert_str_eq(device_class, classes[_i].device_class);
	else
		ck_assert_ptr_null(device_class);
	ck_assert_str_eq(entity_state_class(device_class, classes[_i].is_total),
			 classes[_i].state_class);
}
END_TEST

START_TEST(classes_that_only_the_settings_choose_have_their_state_class)
{
	ck_assert_str_eq(entity_state_class("water", false), "total_increasing");
	ck_assert_str_eq(entity_state_class("monetary", true), "total");
	ck_assert_str_eq(entity_state_class("precipitation", true), "total_increasing");
	ck_assert_ptr_null(entity_state_class("wind_direction", false));
	ck_assert_ptr_null(entity_state_class("timestamp", false));
}
END_TEST

static const struct {
	const char *unit, *known;
} units[] = {
	{ "°C", "°C" },
	{ "degC", "°C" },
	{ "\xce\xbcg/m³", "\xc2\xb5g/m³" }, /* Greek mu, micro sign */
	{ "ug/m3", "\xc2\xb5g/m³" },
	{ "l/min", "L/min" },
	{ "lux", "lx" },
	{ "%RH", "%" },
	{ "", "" },
	{ "furlong", "furlong" },
};

START_TEST(units_are_written_as_home_assistant_writes_them)
{
	char unit[UNIT_LENGTH + 1];

	ck_assert_str_eq(entity_unit(unit, units[_i].unit), units[_i].known);
}
END_TEST

/* --- inputs and outputs --------------------------------------------------------------------- */

static const struct channel counter[] = { { "total", "mm", 6 },
					  { "rate", "mm/s", 7 },
					  { "frequency", "Hz", 6 } };

START_TEST(a_counter_has_a_total_that_grows_and_a_rate)
{
	struct discovery_device of = input_device(&rain, counter, 3);

	rain.device_class = precipitation;
	assert_components(
		&of,
		"{\"sensor_rain_total\":{\"p\":\"sensor\",\"name\":\"rain total\","
		"\"uniq_id\":\"iotd-greenhouse-1.sensor_rain_total\","
		"\"stat_t\":\"iotd/greenhouse-1/input/rain\","
		"\"val_tpl\":\"{{ value_json['total'] | default('') }}\",\"unit_of_meas\":\"mm\","
		"\"dev_cla\":\"precipitation\",\"stat_cla\":\"total_increasing\","
		"\"suggested_display_precision\":4,\"exp_aft\":180},"
		"\"sensor_rain_rate\":{\"p\":\"sensor\",\"name\":\"rain rate\","
		"\"uniq_id\":\"iotd-greenhouse-1.sensor_rain_rate\","
		"\"stat_t\":\"iotd/greenhouse-1/input/rain\","
		"\"val_tpl\":\"{{ value_json['rate'] | default('') }}\",\"unit_of_meas\":\"mm/s\","
		"\"dev_cla\":\"speed\",\"stat_cla\":\"measurement\","
		"\"suggested_display_precision\":4,\"exp_aft\":180},"
		"\"sensor_rain_frequency\":{\"p\":\"sensor\",\"name\":\"rain frequency\","
		"\"uniq_id\":\"iotd-greenhouse-1.sensor_rain_frequency\","
		"\"stat_t\":\"iotd/greenhouse-1/input/rain\","
		"\"val_tpl\":\"{{ value_json['frequency'] | default('') }}\","
		"\"unit_of_meas\":\"Hz\",\"dev_cla\":\"frequency\",\"stat_cla\":\"measurement\","
		"\"suggested_display_precision\":3,\"exp_aft\":180}}");
}
END_TEST

START_TEST(a_counter_of_whole_things_is_shown_without_decimals)
{
	struct discovery_device of = input_device(&rain, counter, 1);

	rain.scale = 1;
	assert_text(&of, "sensor_rain_total", "suggested_display_precision", "0");
}
END_TEST

START_TEST(an_input_is_a_binary_sensor)
{
	struct discovery_device of = input_device(&door, NULL, 0);

	door.device_class = opening;
	assert_components(&of, "{\"binary_sensor_door\":{\"p\":\"binary_sensor\",\"name\":\"door\","
			       "\"uniq_id\":\"iotd-greenhouse-1.binary_sensor_door\","
			       "\"stat_t\":\"iotd/greenhouse-1/input/door\",\"pl_on\":\"on\","
			       "\"pl_off\":\"off\",\"val_tpl\":\"{{ value_json.state }}\","
			       "\"dev_cla\":\"opening\"}}");
	settings.mqtt.format = FORMAT_VALUE;
	assert_text(&of, "binary_sensor_door", "val_tpl", NULL);
}
END_TEST

START_TEST(an_input_with_on_time_has_its_seconds_besides)
{
	static const struct channel on_time[] = { { "since_start", "s", 6 }, { "total", "s", 6 } };
	struct discovery_device of = input_device(&door, on_time, 2);

	door.on_time = true;
	door.count_topic = door_topic;
	door.device_class = opening;
	assert_text(&of, "binary_sensor_door", "dev_cla", "\"opening\"");
	assert_text(&of, "sensor_door_total", "dev_cla", "\"duration\"");
	assert_text(&of, "sensor_door_since_start", "stat_cla", "\"total_increasing\"");
	assert_text(&of, "sensor_door_since_start", "suggested_display_precision", "0");
	assert_text(&of, "sensor_door_total", "stat_t", "\"iotd/greenhouse-1/input/door/on_time\"");
}
END_TEST

START_TEST(an_output_is_a_switch)
{
	struct discovery_device of = output_device();

	pump.device_class = outlet;
	assert_components(&of, "{\"switch_pump\":{\"p\":\"switch\",\"name\":\"pump\","
			       "\"uniq_id\":\"iotd-greenhouse-1.switch_pump\","
			       "\"stat_t\":\"iotd/greenhouse-1/output/pump\",\"pl_on\":\"on\","
			       "\"pl_off\":\"off\",\"val_tpl\":\"{{ value_json.state }}\","
			       "\"dev_cla\":\"outlet\","
			       "\"cmd_t\":\"iotd/greenhouse-1/output/pump/set\",\"qos\":1}}");
}
END_TEST

START_TEST(an_output_that_takes_no_commands_is_only_shown)
{
	struct discovery_device of = output_device();

	pump.device_class = outlet;
	settings.commands.allow[COMMAND_SET] = false;
	assert_text(&of, "binary_sensor_pump", "stat_t", "\"iotd/greenhouse-1/output/pump\"");
	assert_text(&of, "binary_sensor_pump", "cmd_t", NULL);
	assert_text(&of, "binary_sensor_pump", "dev_cla", NULL);
	settings.commands.allow[COMMAND_SET] = true;
	settings.commands.enabled = false;
	assert_text(&of, "binary_sensor_pump", "cmd_t", NULL);
}
END_TEST

/* --- ourselves ------------------------------------------------------------------------------ */

/* 'KEY' of a template */
static void assert_has_key(const json_t *object, const char *template)
{
	const char *begin = strchr(template, '\''), *end = begin ? strchr(begin + 1, '\'') : NULL;
	cleanup(freep) char *key = NULL;

	ck_assert_ptr_nonnull(end);
	key = strndup(begin + 1, (size_t)(end - begin - 1));
	ck_assert_msg(json_object_get(object, key) != NULL, "T/stats has no %s", key);
}

START_TEST(the_diagnostics_are_in_the_statistics)
{
	static const struct stats stats;
	cleanup(json_decrefp) json_t *components = discovery_diagnostics(&settings);
	cleanup(json_decrefp) json_t *told = json_from_stats(&stats);
	const char *id;
	json_t *component;

	ck_assert_ptr_nonnull(json_object_get(components, "stats_uptime"));
	json_object_foreach(components, id, component)
	{
		ck_assert_str_eq(json_string_value(json_object_get(component, "ent_cat")),
				 "diagnostic");
		ck_assert_str_eq(json_string_value(json_object_get(component, "p")), "sensor");
		ck_assert_str_eq(json_string_value(json_object_get(component, "stat_t")),
				 "iotd/greenhouse-1/stats");
		assert_has_key(told, json_string_value(json_object_get(component, "val_tpl")));
	}
}
END_TEST

/* whatever the format of readings */
START_TEST(the_statistics_are_an_object_in_every_format)
{
	cleanup(json_decrefp) json_t *json = discovery_diagnostics(&settings), *value = NULL;

	settings.mqtt.format = FORMAT_VALUE;
	value = discovery_diagnostics(&settings);
	ck_assert(json_equal(json, value));
}
END_TEST

/* --- as mqtt-io ----------------------------------------------------------------------------- */

static void setup_mqtt_io(void)
{
	setup();
	settings.mqtt.compat = mqtt_io;
	settings.mqtt.client_id = client_id;
	settings.mqtt.format = FORMAT_VALUE;
	door.line.chip = pump.line.chip = rain.line.chip = chip;
}

START_TEST(a_channel_has_mqtt_ios_topic_name_and_id)
{
	struct channel_settings own = { .name = "temperature", .alias = alias };
	struct discovery_device of = sensor_device(climate, 2, 30 * USEC_PER_SEC);

	air.channels = &own;
	air.channel_count = 1;
	assert_components(/* and humidity, which has no alias, is not published */
			  &of,
			  "{\"sensor_attic\":{\"p\":\"sensor\",\"name\":\"attic\","
			  "\"uniq_id\":\"mqtt-io-1_air_sensor_attic\","
			  "\"stat_t\":\"iotd/greenhouse-1/sensor/attic\",\"unit_of_meas\":\"°C\","
			  "\"dev_cla\":\"temperature\",\"stat_cla\":\"measurement\","
			  "\"suggested_display_precision\":2,\"exp_aft\":90,"
			  "\"avty\":[{\"t\":\"iotd/greenhouse-1/status\","
			  "\"val_tpl\":\"{{ 'online' if value == 'running' else 'offline' }}\"},"
			  "{\"t\":\"iotd/greenhouse-1/sensor/air/"
			  "status\"}],\"avty_mode\":\"all\"}}");
}
END_TEST

START_TEST(lines_have_mqtt_ios_words_and_ids)
{
	struct discovery_device in = input_device(&door, NULL, 0), out = output_device();

	pump.module = pins;
	assert_text(&in, "binary_sensor_door", "uniq_id", "\"mqtt-io-1_gpiochip0_input_door\"");
	assert_text(&in, "binary_sensor_door", "pl_on", "\"ON\"");
	assert_text(&out, "switch_pump", "uniq_id", "\"mqtt-io-1_pins_output_pump\"");
	assert_text(&out, "switch_pump", "pl_off", "\"OFF\"");
	assert_text(&out, "switch_pump", "val_tpl", NULL);
}
END_TEST

START_TEST(a_counter_is_mqtt_ios_sensor)
{
	struct discovery_device of = input_device(&rain, counter, 2);

	assert_text(&of, "sensor_rain", "uniq_id", "\"mqtt-io-1_gpiochip0_sensor_rain\"");
	assert_text(&of, "sensor_rain", "stat_t", "\"iotd/greenhouse-1/sensor/rain\"");
	assert_text(&of, "sensor_rain", "dev_cla", "\"speed\"");
	assert_text(&of, "sensor_rain_total", "stat_cla", "\"total_increasing\"");
}
END_TEST

START_TEST(messages_are_those_of_mqtt_ios_device)
{
	struct discovery_device of = output_device();
	cleanup(json_decrefp) json_t *components = discovery_components(&settings, &of);
	cleanup(json_decrefp) json_t *object = NULL;
	cleanup(message_freep) struct message *message = NULL;
	cleanup(freep) char *figure = discovery_topic(&settings, "stats_uptime");

	ck_assert(!discovery_is_by_device(&settings.mqtt)); /* whatever the style */
	ck_assert_int_eq(discovery_message(&message, &settings, &host, "switch_pump",
					   json_object_get(components, "switch_pump")),
			 0);
	ck_assert_str_eq(message->topic, "homeassistant/switch/mqtt-io-1/pump/config");
	ck_assert_str_eq(figure, "homeassistant/sensor/mqtt-io-1/stats_uptime/config");
	object = json_loadb((const char *)message->payload, message->length, 0, NULL);
	ck_assert_str_eq(json_string_value(json_array_get(
				 json_object_get(json_object_get(object, "dev"), "ids"), 0)),
			 client_id);
}
END_TEST

START_TEST(with_or_without_mqtt_io_topics_are_others)
{
	struct settings other = settings;
	static char another[] = "another", nothing[] = "";

	ck_assert(discovery_is_same(&settings, &other));
	other.mqtt.client_id = another;
	ck_assert(!discovery_is_same(&settings, &other));
	other = settings;
	other.mqtt.compat = nothing;
	ck_assert(!discovery_is_same(&settings, &other));
}
END_TEST

/* --- names ---------------------------------------------------------------------------------- */

static const struct {
	const char *name, *channel, *id;
} ids[] = {
	{ "air", "temperature", "sensor_air_temperature" },
	{ "air", "gas_resistance", "sensor_air_gas_resistance" },
	{ "air_gas", "resistance", "sensor_air-_gas_resistance" },
	{ "a-", "_b", "sensor_a--__b" },
	{ "a", "-_b", "sensor_a_-_b" },
	{ "a-_", "b", "sensor_a---__b" },
};

START_TEST(no_two_names_have_the_same_id)
{
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct channel channel = { "", "", 0 };
		struct discovery_device of = sensor_device(&channel, 1, USEC_PER_SEC);
		char name[NAME_LENGTH + 1];

		(void)snprintf(channel.name, sizeof(channel.name), "%s", ids[i].channel);
		(void)snprintf(name, sizeof(name), "%s", ids[i].name);
		air.name = name;
		assert_text(&of, ids[i].id, "p", "\"sensor\"");
		for (size_t other = 0; other < i; other++)
			ck_assert_str_ne(ids[i].id, ids[other].id);
	}
}
END_TEST

START_TEST(the_longest_names_fit)
{
	struct channel channel = { "", "", 0 };
	struct discovery_device of = sensor_device(&channel, 1, USEC_PER_SEC);
	char name[NAME_LENGTH + 1], id[256] = "sensor_", *end = id + strlen(id);

	memset(name, '-', NAME_LENGTH);
	name[NAME_LENGTH] = '\0';
	memcpy(channel.name, name, sizeof(name));
	air.name = name;
	for (int i = 0; i < 3 * NAME_LENGTH; i++)
		end = stpcpy(end, i == 2 * NAME_LENGTH ? "_-" : "-");
	assert_text(&of, id, "p", "\"sensor\"");
}
END_TEST

START_TEST(an_id_tells_whose_it_is)
{
	static const struct {
		const char *id, *name;
	} owners[] = {
		{ "binary_sensor_door", "door" },
		{ "binary_sensor_a-_b", "a-_b" },
		{ "switch_pump_2", "pump_2" },
		{ "stats_uptime", "" },
		{ "stats_", "" },
	};
	char name[NAME_LENGTH + 1];

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		ck_assert_int_eq(discovery_name(name, ids[i].id), 0);
		ck_assert_str_eq(name, ids[i].name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		ck_assert_int_eq(discovery_name(name, owners[i].id), 0);
		ck_assert_str_eq(name, owners[i].name);
	}
}
END_TEST

static const char *const strange_ids[] = {
	"",
	"x",
	"sensor",
	"sensor_",
	"sensor_air",
	"sensor_air_",
	"sensor__x",
	"sensor_a-b_c",
	"sensor_a-",
	"switch_",
	"binary_sensor_",
	"light_x",
	"switch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"sensor_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_x",
};

START_TEST(a_strange_id_is_nobodys)
{
	char name[NAME_LENGTH + 1];

	ck_assert_int_eq(discovery_name(name, strange_ids[_i]), -EINVAL);
}
END_TEST

START_TEST(the_filter_matches_all_topics)
{
	cleanup(freep) char *one = NULL, *all = NULL;
	char *none_at_all = pins;

	ck_assert_int_eq(discovery_filter(&one, &settings), 0);
	ck_assert_str_eq(one, "homeassistant/device/iotd-greenhouse-1/config");
	settings.mqtt.discovery_style = by_entity;
	ck_assert_int_eq(discovery_filter(&all, &settings), 0);
	ck_assert_str_eq(all, "homeassistant/+/iotd-greenhouse-1/+/config");
	settings.mqtt.compat = mqtt_io;
	ck_assert_int_eq(discovery_filter(&none_at_all, &settings), 0);
	ck_assert_ptr_null(none_at_all);
}
END_TEST

static const struct {
	const char *device, *node;
} nodes[] = {
	{ "greenhouse-1", "iotd-greenhouse-1" },
	{ "a_B9", "iotd-a_B9" },
	{ "host.example", "iotd-host_example-" },
	{ "Gew\xc3\xa4"
	  "chshaus",
	  "iotd-Gew__chshaus-" },
};

START_TEST(the_node_has_no_characters_that_home_assistant_refuses)
{
	char node[DISCOVERY_NODE_SIZE], other[DISCOVERY_NODE_SIZE];
	size_t length = strlen(nodes[_i].node);

	discovery_node(node, nodes[_i].device);
	ck_assert_mem_eq(node, nodes[_i].node, length);
	if (strcmp(node, nodes[_i].node) != 0) /* a hash follows: another name, another node */
		ck_assert_uint_eq(strspn(node + length, "0123456789abcdef"), 8);
	discovery_node(other, "host,example");
	ck_assert_str_ne(node, other);
}
END_TEST

START_TEST(a_device_of_128_bytes_has_a_node)
{
	char long_device[129], node[DISCOVERY_NODE_SIZE];

	memset(long_device, '.', 128);
	long_device[128] = '\0';
	discovery_node(node, long_device);
	ck_assert_uint_eq(strlen(node), strlen("iotd-") + 128 + 9);
}
END_TEST

/* --- messages ------------------------------------------------------------------------------- */

static void assert_message(const struct message *message, const char *where, const char *expected)
{
	cleanup(json_decrefp) json_t *object =
		json_loadb((const char *)message->payload, message->length, 0, NULL);

	ck_assert_str_eq(message->topic, where);
	assert_json(object, expected);
}

START_TEST(the_message_of_the_device_says_what_is_common_once)
{
	cleanup(json_decrefp) json_t *components =
		json_pack("{s:{s:s}, s:o}", "switch_pump", "p", "switch", "sensor_old_x",
			  discovery_remains("sensor_old_x"));
	cleanup(message_freep) struct message *message = NULL;

	ck_assert_int_eq(discovery_message(&message, &settings, &host, NULL, components), 0);
	assert_message(message, "homeassistant/device/iotd-greenhouse-1/config",
		       "{\"dev\":{\"ids\":[\"iotd-greenhouse-1\"],\"name\":\"greenhouse-1\","
		       "\"mf\":\"Acme\",\"mdl\":\"Board 3\",\"sw\":\"1.2.3\"},"
		       "\"o\":{\"name\":\"iotd\",\"sw\":\"1.2.3\","
		       "\"url\":\"https://example.org/iotd\"},"
		       "\"avty\":[{\"t\":\"iotd/greenhouse-1/status\"}],"
		       "\"cmps\":{\"switch_pump\":{\"p\":\"switch\"},"
		       "\"sensor_old_x\":{\"p\":\"sensor\"}}}");
}
END_TEST

START_TEST(the_message_of_an_entity_has_all_of_it_and_its_platform_in_the_topic)
{
	static const struct discovery_host unknown;
	cleanup(json_decrefp) json_t *component =
		json_pack("{s:s, s:s}", "p", "binary_sensor", "name", "door");
	cleanup(message_freep) struct message *message = NULL;

	settings.mqtt.discovery_style = by_entity;
	ck_assert_int_eq(
		discovery_message(&message, &settings, &unknown, "binary_sensor_door", component),
		0);
	assert_message(message,
		       "homeassistant/binary_sensor/iotd-greenhouse-1/binary_sensor_door/config",
		       "{\"name\":\"door\",\"dev\":{\"ids\":[\"iotd-greenhouse-1\"],"
		       "\"name\":\"greenhouse-1\"},\"o\":{\"name\":\"iotd\"},"
		       "\"avty\":[{\"t\":\"iotd/greenhouse-1/status\"}]}");
	ck_assert_ptr_nonnull(json_object_get(component, "p")); /* the caller's is as it was */
}
END_TEST

START_TEST(a_sensors_own_availability_stays)
{
	struct discovery_device of = sensor_device(climate, 1, USEC_PER_SEC);
	cleanup(json_decrefp) json_t *components = discovery_components(&settings, &of);
	cleanup(json_decrefp) json_t *object = NULL;
	cleanup(message_freep) struct message *message = NULL;

	ck_assert_int_eq(discovery_message(&message, &settings, &host, "sensor_air_temperature",
					   json_object_get(components, "sensor_air_temperature")),
			 0);
	ck_assert_str_eq(message->topic,
			 "homeassistant/sensor/iotd-greenhouse-1/sensor_air_temperature/config");
	object = json_loadb((const char *)message->payload, message->length, 0, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(object, "avty")), 2);
}
END_TEST

START_TEST(what_is_gone_keeps_its_platform)
{
	static const char *const gone[][2] = {
		{ "sensor_air_temperature", "sensor" },
		{ "binary_sensor_door", "binary_sensor" },
		{ "switch_pump", "switch" },
		{ "stats_uptime", "sensor" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		cleanup(json_decrefp) json_t *remains = discovery_remains(gone[i][0]);

		ck_assert_uint_eq(json_object_size(remains), 1);
		ck_assert_str_eq(json_string_value(json_object_get(remains, "p")), gone[i][1]);
	}
}
END_TEST

START_TEST(topics_are_the_same_only_if_prefix_style_and_device_are)
{
	struct settings other = settings;
	static char another[] = "another";

	ck_assert(discovery_is_same(&settings, &other));
	other.mqtt.discovery_style = by_entity;
	ck_assert(!discovery_is_same(&settings, &other));
	other = settings;
	other.mqtt.discovery_prefix = another;
	ck_assert(!discovery_is_same(&settings, &other));
	other = settings;
	other.device = another;
	ck_assert(!discovery_is_same(&settings, &other));
	other = settings;
	other.mqtt.discovery_enabled = false;
	ck_assert(!discovery_is_same(&settings, &other));
	ck_assert(!discovery_is_same(&other, &other));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("discovery");
	TCase *tests = tcase_create("messages"), *compat = tcase_create("as mqtt-io");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, a_channel_is_a_sensor_that_picks_its_number_out_of_the_reading);
	tcase_add_test(tests, in_format_value_a_channel_has_a_topic_of_its_own_and_no_template);
	tcase_add_test(tests, a_channel_with_a_dash_is_no_subtraction);
	tcase_add_loop_test(tests,
			    a_sensor_expires_when_it_is_silent_three_times_as_long_as_it_should, 0,
			    (int)ARRAY_SIZE(expiries));
	tcase_add_test(tests, the_settings_choose_the_class_of_their_channel_only);
	tcase_add_loop_test(tests, unit_and_name_choose_the_class, 0, (int)ARRAY_SIZE(classes));
	tcase_add_test(tests, classes_that_only_the_settings_choose_have_their_state_class);
	tcase_add_loop_test(tests, units_are_written_as_home_assistant_writes_them, 0,
			    (int)ARRAY_SIZE(units));
	tcase_add_test(tests, a_counter_has_a_total_that_grows_and_a_rate);
	tcase_add_test(tests, a_counter_of_whole_things_is_shown_without_decimals);
	tcase_add_test(tests, an_input_is_a_binary_sensor);
	tcase_add_test(tests, an_input_with_on_time_has_its_seconds_besides);
	tcase_add_test(tests, an_output_is_a_switch);
	tcase_add_test(tests, an_output_that_takes_no_commands_is_only_shown);
	tcase_add_test(tests, the_diagnostics_are_in_the_statistics);
	tcase_add_test(tests, the_statistics_are_an_object_in_every_format);
	tcase_add_test(tests, no_two_names_have_the_same_id);
	tcase_add_test(tests, the_longest_names_fit);
	tcase_add_test(tests, an_id_tells_whose_it_is);
	tcase_add_loop_test(tests, a_strange_id_is_nobodys, 0, (int)ARRAY_SIZE(strange_ids));
	tcase_add_test(tests, the_filter_matches_all_topics);
	tcase_add_loop_test(tests, the_node_has_no_characters_that_home_assistant_refuses, 0,
			    (int)ARRAY_SIZE(nodes));
	tcase_add_test(tests, a_device_of_128_bytes_has_a_node);
	tcase_add_test(tests, the_message_of_the_device_says_what_is_common_once);
	tcase_add_test(tests, the_message_of_an_entity_has_all_of_it_and_its_platform_in_the_topic);
	tcase_add_test(tests, a_sensors_own_availability_stays);
	tcase_add_test(tests, what_is_gone_keeps_its_platform);
	tcase_add_test(tests, topics_are_the_same_only_if_prefix_style_and_device_are);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(compat, setup_mqtt_io, NULL);
	tcase_add_test(compat, a_channel_has_mqtt_ios_topic_name_and_id);
	tcase_add_test(compat, lines_have_mqtt_ios_words_and_ids);
	tcase_add_test(compat, a_counter_is_mqtt_ios_sensor);
	tcase_add_test(compat, messages_are_those_of_mqtt_ios_device);
	tcase_add_test(compat, with_or_without_mqtt_io_topics_are_others);
	suite_add_tcase(suite, compat);
	return suite_run(suite);
}
