/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which driver of iotd answers for which sensor module, after the modules' sources: their CONFIG_SCHEMA and
 * SENSOR_SCHEMA, and the units in which their libraries tell what they read.
 *
 * Defaults of mqtt-io are written out where iotd's differ, and the numbers depend on them.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "chips.h"

#define SHUNT_VOLTS_MAX 0.32 /* TI SBOS448G, 8.6.2 */
#define IIO(name)	"load the kernel's driver (" name "), and read it with driver = \"iio\""

/* --- values --------------------------------------------------------------------------------- */

static const struct chip_value climate[] = {
	{ .type = "temperature", .channel = "temperature" },
	{ .type = "humidity", .channel = "humidity" },
	{ .type = "pressure", .channel = "pressure" },
	{ NULL },
};
static const struct chip_value humid[] = {
	{ .type = "temperature", .channel = "temperature" },
	{ .type = "humidity", .channel = "humidity" },
	{ NULL },
};
/* Adafruit's library tells pascals */
static const struct chip_value bmp180[] = {
	{ .type = "temperature", .channel = "temperature" },
	{ .type = "pressure", .channel = "pressure", .scale = 100, .unit = "Pa" },
	{ .type = "altitude",
	  .words = "iotd has no altitude: who needs it makes it of the pressure" },
	{ NULL },
};
static const struct chip_value thermometer[] = { { .type = "", .channel = "temperature" },
						 { NULL } };
static const struct chip_value light[] = { { .type = "", .channel = "illuminance" }, { NULL } };
static const struct chip_value tsl2561[] = {
	{ .type = "lux", .channel = "illuminance" },
	{ .type = "broadband", .words = "iotd has the illuminance only (lux)" },
	{ .type = "infrared", .words = "iotd has the illuminance only (lux)" },
	{ NULL },
};
static const struct chip_value veml7700[] = {
	{ .type = "lux_corrected", .channel = "illuminance" },
	{ .type = "lux",
	  .channel = "illuminance",
	  .words = "iotd corrects above 1000 lx, as lux_corrected does" },
	{ .type = "light", .words = "iotd has the illuminance only (lux_corrected)" },
	{ NULL },
};
static const struct chip_value ens160[] = {
	{ .type = "aqi", .channel = "aqi" },
	{ .type = "tvoc", .channel = "tvoc" },
	{ .type = "eco2", .channel = "eco2" },
	{ NULL },
};
static const struct chip_value ina219[] = {
	{ .type = "power", .channel = "power" },
	{ .type = "current", .channel = "current" },
	{ .type = "bus_voltage", .channel = "voltage" },
	{ .type = "shunt_voltage", .words = "iotd has the current, which is this by the shunt" },
	{ NULL },
};
/* the channel goes by the pin, the scale of a value by the gain */
static const struct chip_value adc[] = {
	{ .type = "value", .channel = "", .unit = "counts" },
	{ .type = "voltage", .channel = "" },
	{ NULL },
};
/* pulses a second, by what makes litres a minute of them */
static const struct chip_value frequency[] = { { .type = "", .channel = "rate" }, { NULL } };

/* --- keys of the modules -------------------------------------------------------------------- */

static const struct key i2c_keys[] = {
	{ .name = "name" },	   { .name = "module" },    { .name = "cleanup" },
	{ .name = "i2c_bus_num" }, { .name = "chip_addr" }, { NULL },
};
static const struct key light_keys[] = {
	{ .name = "name" },
	{ .name = "module" },
	{ .name = "cleanup" },
	{ .name = "i2c_bus_num" },
	{ .name = "chip_addr" },
	{ .name = "gain" },
	{ .name = "integration_time" },
	{ NULL },
};
static const struct key ens160_keys[] = {
	{ .name = "name" },
	{ .name = "module" },
	{ .name = "cleanup" },
	{ .name = "i2c_bus_num" },
	{ .name = "chip_addr" },
	{ .name = "temperature_compensation" },
	{ .name = "humidity_compensation" },
	{ NULL },
};
static const struct key ina219_keys[] = {
	{ .name = "name" },	   { .name = "module" },	{ .name = "cleanup" },
	{ .name = "i2c_bus_num" }, { .name = "chip_addr" },	{ .name = "shunt_ohms" },
	{ .name = "max_amps" },	   { .name = "voltage_range" }, /* iotd's is the wider one */
	{ .name = "gain" },	   { .name = "low_power" },	{ NULL },
};
static const struct key adc_keys[] = {
	{ .name = "name" },	   { .name = "module" },    { .name = "cleanup" },
	{ .name = "i2c_bus_num" }, { .name = "chip_addr" }, { .name = "type" },
	{ .name = "pins" },	   { .name = "gain" },	    { NULL },
};
static const struct key w1_keys[] = {
	{ .name = "name" },    { .name = "module" }, { .name = "cleanup" },
	{ .name = "address" }, { .name = "type" },   { NULL },
};
static const struct key counter_keys[] = {
	{ .name = "name" }, { .name = "module" }, { .name = "cleanup" }, { NULL }
};

/* --- options -------------------------------------------------------------------------------- */

/* struct choice - an option of a driver that mqtt-io calls the same */
struct choice {
	const char *key, *unit; /* unit NULL: it is a number, else a string */
	double preset;		/* mqtt-io's */
	double choices[8];	/* 0 ends them */
};

static void write_choice(struct convert *convert, const struct item *module,
			 const struct choice *choice, FILE *out)
{
	const double *at = choice->choices;
	double number = choice->preset;

	(void)item_number(&convert->reader, module, choice->key, &number);
	while (*at > 0 && fabs(*at - number) > 1e-9)
		at++;
	if (*at <= 0) {
		tell(&convert->reader, module, choice->key, "is none that the chip has: it is %g",
		     choice->preset);
		number = choice->preset;
	}
	if (choice->unit)
		write_word(out, choice->key, "\"%.12g%s\"", number, choice->unit);
	else
		write_word(out, choice->key, "%.12g", number);
}

static void tsl2561_options(struct convert *convert, const struct item *module, FILE *out)
{
	static const struct choice gain = { "gain", NULL, 1, { 1, 16 } };
	static const struct choice time = { "integration_time", "ms", 101, { 13.7, 101, 402 } };

	write_choice(convert, module, &gain, out);
	write_choice(convert, module, &time, out);
}

static void veml7700_options(struct convert *convert, const struct item *module, FILE *out)
{
	static const struct choice gain = { "gain", NULL, 0.125, { 0.125, 0.25, 1, 2 } };
	static const struct choice time = {
		"integration_time", "ms", 25, { 25, 50, 100, 200, 400, 800 }
	};

	write_choice(convert, module, &gain, out);
	write_choice(convert, module, &time, out);
}

static void ens160_options(struct convert *convert, const struct item *module, FILE *out)
{
	static const struct {
		const char *key;
		double value;
		const char *words;
	} fixed[] = {
		{ "temperature_compensation", 25, "iotd lets the chip measure at 25 °C" },
		{ "humidity_compensation", 50, "iotd lets the chip measure at 50 %" },
	};

	(void)out;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		double number = fixed[i].value;

		if (item_number(&convert->reader, module, fixed[i].key, &number) &&
		    fabs(number - fixed[i].value) > 1e-9)
			tell(&convert->reader, module, fixed[i].key, "%s", fixed[i].words);
	}
}

static void ina219_options(struct convert *convert, const struct item *module, FILE *out)
{
	struct reader *reader = &convert->reader;
	const char *gain = item_text(reader, module, "gain");
	double shunt = 0.1, amps;

	if (item_number(reader, module, "shunt_ohms", &shunt) &&
	    (shunt < 0.00002 || shunt > 1000)) {
		tell(reader, module, "shunt_ohms", "is no shunt (0.00002 to 1000): it is 0.1");
		shunt = 0.1;
	}
	write_number(out, "shunt", shunt);
	if (!item_number(reader, module, "max_amps", &amps))
		;
	else if (amps > 0 && amps * shunt <= SHUNT_VOLTS_MAX)
		write_number(out, "max_current", amps);
	else
		tell(reader, module, "max_amps",
		     "is more than the chip can measure with this shunt: it is left out");
	if (gain && strcasecmp(gain, "auto") != 0)
		tell(reader, module, "gain", "iotd chooses it by max_current (max_amps)");
	if (item_is(reader, module, "low_power", false))
		tell(reader, module, "low_power",
		     "iotd's driver lets the chip measure all the time");
}

static void w1_options(struct convert *convert, const struct item *module, FILE *out)
{
	static const struct {
		const char *type, *family;
	} families[] = {
		{ "DS18S20", "10" }, { "DS1822", "22" },   { "DS18B20", "28" },
		{ "DS1825", "3b" },  { "DS28EA00", "42" }, { "MAX31850K", "3b" },
	};
	const char *type = item_text(&convert->reader, module, "type");
	const char *address = item_text(&convert->reader, module, "address");
	const char *family = "28";
	char device[64];

	for (size_t i = 0; type && i < ARRAY_SIZE(families); i++)
		if (strcasecmp(families[i].type, type) == 0)
			family = families[i].family;
	(void)snprintf(device, sizeof(device), "%s-%.40s", family, address ? address : "");
	for (char *at = device; *at; at++)
		if (*at >= 'A' && *at <= 'F')
			*at = (char)(*at - 'A' + 'a'); /* as in /sys/bus/w1/devices */
	if (!address)
		tell(&convert->reader, module, "address",
		     "is missing: ls /sys/bus/w1/devices shows which sensors there are");
	write_text(out, "device", device);
}

double chip_range(struct reader *reader, const struct item *module)
{
	static const struct {
		double gain, range;
	} ranges[] = {
		{ 2.0 / 3, 6.144 }, { 1, 4.096 }, { 2, 2.048 },
		{ 4, 1.024 },	    { 8, 0.512 }, { 16, 0.256 },
	};
	double gain = 1;

	(void)item_number(reader, module, "gain", &gain);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (fabs(ranges[i].gain - gain) < 0.01)
			return ranges[i].range;
	tell(reader, module, "gain", "is none that the chip has: it is 1");
	return 4.096;
}

/* --- modules -------------------------------------------------------------------------------- */

static const struct chip chips[] = {
	{ "ads1x15", CHIP_ADC, NULL, adc, adc_keys, NULL },
	{ "aht20", CHIP_I2C, "aht20", humid, i2c_keys, NULL },
	{ "bh1750", CHIP_I2C, "bh1750", light, i2c_keys, NULL },
	{ "bme280", CHIP_I2C, "bme280", climate, i2c_keys, NULL },
	{ "bme680", CHIP_I2C, "bme680", climate, i2c_keys, NULL },
	{ "bmp085", CHIP_I2C, "bmp180", bmp180, i2c_keys, NULL },
	{ "ds18b", CHIP_W1, "w1", thermometer, w1_keys, w1_options },
	{ "ens160", CHIP_I2C, "ens160", ens160, ens160_keys, ens160_options },
	{ "flowsensor", CHIP_COUNTER, NULL, frequency, counter_keys, NULL },
	{ "frequencycounter", CHIP_COUNTER, NULL, frequency, counter_keys, NULL },
	{ "ina219", CHIP_I2C, "ina219", ina219, ina219_keys, ina219_options },
	{ "lm75", CHIP_I2C, "lm75", thermometer, i2c_keys, NULL },
	{ "sht4x", CHIP_I2C, "sht4x", humid, i2c_keys, NULL },
	{ "tsl2561", CHIP_I2C, "tsl2561", tsl2561, light_keys, tsl2561_options },
	{ "veml7700", CHIP_I2C, "veml7700", veml7700, light_keys, veml7700_options },
	{ "yfs201", CHIP_COUNTER, NULL, frequency, counter_keys, NULL },
};

static const struct {
	const char *module, *words;
} strangers[] = {
	{ "adxl345", IIO("adxl345_i2c") },
	{ "as3935", IIO("as3935") },
	{ "dfr0300", "iotd has no driver for it" },
	{ "dht22", IIO("dtoverlay=dht11") },
	{ "gpiozero_adc", "it is an MCP3xxx: " IIO("dtoverlay=mcp3008") },
	{ "hcsr04", IIO("srf04") },
	{ "mcp3008", IIO("dtoverlay=mcp3008") },
	{ "mcp3xxx", IIO("dtoverlay=mcp3008, mcp3202 and so on") },
	{ "mhz19", "it is on a serial port, which iotd does not read" },
	{ "mock", "it measures nothing: iotd --simulate emulates sensors" },
	{ "mpu6050", IIO("inv_mpu6050_i2c") },
	{ "pms5003", "it is on a serial port, which iotd does not read" },
	{ "veml6075", IIO("veml6075") },
};

const struct chip *chip_find(const char *module)
{
	for (size_t i = 0; i < ARRAY_SIZE(chips); i++)
		if (strcmp(chips[i].module, module) == 0)
			return &chips[i];
	return NULL;
}

const char *chip_words(const char *module)
{
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
		if (strcmp(strangers[i].module, module) == 0)
			return strangers[i].words;
	return "iotd-convert does not know it";
}
