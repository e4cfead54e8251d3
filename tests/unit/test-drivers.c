/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The list of drivers against the table of the contract: what users write and see. */

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

#include "iotd/drivers.h"

#define WEATHER "temperature °C, humidity %"

/* a row of the table: the first address is the first of the driver's; channels and options in their order */
static const struct row {
	const char *name, *kind;
	uint16_t addresses[2];
	const char *channels, *options;
} rows[] = {
	{ "bme280", "i2c", { 0x76, 0x77 }, WEATHER ", pressure hPa", "oversampling" },
	{ "bmp280", "i2c", { 0x76, 0x77 }, "temperature °C, pressure hPa", "oversampling" },
	{ "bmp180", "i2c", { 0x77 }, "temperature °C, pressure hPa", "oversampling" },
	{ "bmp388", "i2c", { 0x76, 0x77 }, "temperature °C, pressure hPa", "oversampling" },
	{ "bmp390", "i2c", { 0x76, 0x77 }, "temperature °C, pressure hPa", "oversampling" },
	{ "bme680",
	  "i2c",
	  { 0x76, 0x77 },
	  WEATHER ", pressure hPa, gas_resistance Ω",
	  "heater_temperature, heater_duration" },
	{ "bme688",
	  "i2c",
	  { 0x76, 0x77 },
	  WEATHER ", pressure hPa, gas_resistance Ω",
	  "heater_temperature, heater_duration" },
	{ "sht3x", "i2c", { 0x44 }, WEATHER, "repeatability" },
	{ "sht4x", "i2c", { 0x44 }, WEATHER, "repeatability" },
	{ "shtc3", "i2c", { 0x70 }, WEATHER, "repeatability" },
	{ "htu21d", "i2c", { 0x40 }, WEATHER, "" },
	{ "si7021", "i2c", { 0x40 }, WEATHER, "" },
	{ "hdc1080", "i2c", { 0x40 }, WEATHER, "" },
	{ "aht20", "i2c", { 0x38 }, WEATHER, "" },
	{ "mcp9808", "i2c", { 0x18 }, "temperature °C", "" },
	{ "lm75", "i2c", { 0x48 }, "temperature °C", "" },
	{ "tmp102", "i2c", { 0x48 }, "temperature °C", "" },
	{ "tmp117", "i2c", { 0x48 }, "temperature °C", "" },
	{ "scd4x", "i2c", { 0x62 }, "co2 ppm, " WEATHER, "altitude, single_shot" },
	{ "sgp40", "i2c", { 0x59 }, "voc_raw", "" },
	{ "ens160", "i2c", { 0x53 }, "aqi, tvoc ppb, eco2 ppm", "" },
	{ "bh1750", "i2c", { 0x23 }, "illuminance lx", NULL },
	{ "tsl2561", "i2c", { 0x39 }, "illuminance lx", NULL },
	{ "tsl2591", "i2c", { 0x29 }, "illuminance lx", NULL },
	{ "veml7700", "i2c", { 0x10 }, "illuminance lx", NULL },
	{ "ltr390", "i2c", { 0x53 }, "illuminance lx, uv_index", NULL },
	{ "ads1015", "i2c", { 0x48 }, NULL, "inputs, range, rate" },
	{ "ads1115", "i2c", { 0x48 }, NULL, "inputs, range, rate" },
	{ "ina219", "i2c", { 0x40 }, "voltage V, current A, power W", "shunt, max_current" },
	{ "ina226", "i2c", { 0x40 }, "voltage V, current A, power W", "shunt, max_current" },
	{ "ina260", "i2c", { 0x40 }, "voltage V, current A, power W", "shunt, max_current" },
	{ "vl6180x", "i2c", { 0x29 }, "distance mm", NULL },
	{ "file", "file", { 0 }, NULL, "path, channel, unit, field, match" },
	{ "iio", "iio", { 0 }, NULL, "device, channels" },
	{ "hwmon", "hwmon", { 0 }, NULL, "device, channels" },
	{ "w1", "w1", { 0 }, "temperature °C", "device, channels" },
	{ "thermal", "thermal", { 0 }, "temperature °C", "device, channels" },
};

/* the whole of what came later */
static const char *const light[] = {
	"bh1750", "tsl2561", "tsl2591", "veml7700", "ltr390", "vl6180x"
};

static bool is_light(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(light); i++)
		if (strcmp(light[i], name) == 0)
			return true;
	return false;
}

static void list_channels(const struct driver *driver, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < driver->channel_count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s%s%s", i > 0 ? ", " : "",
					 driver->channels[i].name,
					 driver->channels[i].unit[0] ? " " : "",
					 driver->channels[i].unit);
}

static void list_options(const struct driver *driver, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < driver->option_count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "",
					 driver->options[i].name);
}

START_TEST(a_driver_is_as_the_contract_has_it)
{
	const struct row *row = &rows[_i];
	const struct driver *driver = driver_find(row->name);
	char text[256];

	ck_assert_msg(driver || is_light(row->name), "there is no driver %s", row->name);
	if (!driver)
		return;
	ck_assert_str_eq(driver_kind_name(driver->kind), row->kind);
	for (size_t i = 0; i < ARRAY_SIZE(row->addresses) && row->addresses[i]; i++)
		ck_assert_uint_eq(driver->addresses[i], row->addresses[i]);
	ck_assert((driver->kind == DRIVER_I2C) == (driver->addresses[0] != 0));
	list_channels(driver, text, sizeof(text));
	ck_assert_str_eq(text, row->channels ? row->channels : "");
	list_options(driver, text, sizeof(text));
	if (row->options)
		ck_assert_str_eq(text, row->options);
}
END_TEST

static bool is_among(const char *const *words, const char *word)
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	return *words != NULL;
}

/* "a0 a1 a2 a3 a0_a1 a0_a3 a1_a3 a2_a3" */
START_TEST(a_converter_has_the_inputs_of_the_contract)
{
	static const char *const inputs[] = { "a0",    "a1",	"a2",	 "a3",
					      "a0_a1", "a0_a3", "a1_a3", "a2_a3" };
	static const char *const names[] = { "ads1015", "ads1115" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct driver *driver = driver_find(names[i]);
		const char *const *choices = driver->options[0].choices;

		ck_assert_str_eq(driver->options[0].name, "inputs");
		for (size_t at = 0; at < ARRAY_SIZE(inputs); at++)
			ck_assert_msg(is_among(choices, inputs[at]), "%s", inputs[at]);
		ck_assert_ptr_null(choices[ARRAY_SIZE(inputs)]);
	}
}
END_TEST

START_TEST(no_driver_is_there_twice)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = driver_at(i)); i++)
		ck_assert_ptr_eq(driver_find(driver->name), driver);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drivers");
	TCase *tests = tcase_create("drivers");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, a_driver_is_as_the_contract_has_it, 0, ARRAY_SIZE(rows));
	tcase_add_test(tests, a_converter_has_the_inputs_of_the_contract);
	tcase_add_test(tests, no_driver_is_there_twice);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
