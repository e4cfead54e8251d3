/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sensor_modules and sensor_inputs.
 *
 * A sensor input of mqtt-io is one value, with a topic and an interval of its own; those of one module
 * share a chip. In iotd the chip is the sensor, its values are channels, and all are read together. So
 * a module becomes a sensor of the module's name, which is in the unique ids, and each of its inputs
 * an alias of a channel. The shortest interval is the sensor's.
 *
 * Modules that count pulses have a pin in each input: these become counters among iotd's inputs.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "chips.h"

#define INTERVAL_DEFAULT 60
#define INTERVAL_MAX	 (365 * 86400L)
#define DIGITS_DEFAULT	 2
#define DIGITS_MAX	 9
#define UNIT_SIZE	 16
#define YFS201_FACTOR	 7.0
#define ADC_STEPS	 32767.0 /* adafruit_ads1x15: of both chips, whatever their bits */

static const struct key input_keys[] = {
	{ .name = "name" },
	{ .name = "module" },
	{ .name = "type" },
	{ .name = "interval" },
	{ .name = "digits" },
	{ .name = "retain" },
	{ .name = "ha_discovery" },
	{ .name = "pin" },
	{ .name = "factor" },
	{ "unit_of_measurement", "is a key of ha_discovery" },
	{ "expire_after", "iotd tells with T/sensor/NAME/status whether a sensor can be read" },
	{ "oversampling", "iotd's driver takes one sample of each" },
	{ NULL },
};

/* struct value - a sensor input, as a channel */
struct value {
	struct item item;
	const struct chip_value *of;
	char channel[NAME_SIZE], name[NAME_SIZE];
	long interval, digits;
	bool retain;
};

struct sensor {
	struct item item; /* the module */
	const struct chip *chip;
	struct value *values;
	size_t count;
	long interval; /* the shortest */
	bool retain;   /* of any */
};

/* --- values --------------------------------------------------------------------------------- */

static const struct chip_value *find_type(struct reader *reader, const struct item *item,
					  const struct chip *chip)
{
	const struct chip_value *value = chip->values;
	const char *type = item_text(reader, item, "type");

	if (!type || value->type[0] == '\0')
		return value;
	while (value->type && strcmp(value->type, type) != 0)
		value++;
	if (!value->type || !value->channel) {
		tell(reader, item, "type", "\"%s\": %s: left out", type,
		     value->type ? value->words : "the module has no such type");
		return NULL;
	}
	if (value->words)
		tell(reader, item, "type", "\"%s\": %s", type, value->words);
	return value;
}

/* Return: false - told */
static bool find_channel(struct reader *reader, struct value *value, const struct chip *chip)
{
	long pin;

	if (chip->kind != CHIP_ADC) {
		(void)snprintf(value->channel, NAME_SIZE, "%s", value->of->channel);
		return true;
	}
	if (!item_integer(reader, &value->item, "pin", 0, 3, &pin)) {
		tell(reader, &value->item, "pin", "must be 0, 1, 2 or 3: left out");
		return false;
	}
	(void)snprintf(value->channel, NAME_SIZE, "a%ld", pin);
	return true;
}

static bool read_value(struct convert *convert, const struct sensor *sensor,
		       const struct item *item, struct value *ret)
{
	struct reader *reader = &convert->reader;
	struct value value = {
		.item = *item,
		.interval = INTERVAL_DEFAULT,
		.digits = DIGITS_DEFAULT,
	};

	value.of = find_type(reader, item, sensor->chip);
	if (!value.of || !find_channel(reader, &value, sensor->chip))
		return false;
	for (size_t i = 0; i < sensor->count; i++)
		if (strcmp(sensor->values[i].channel, value.channel) == 0) {
			tell(reader, item, "name",
			     "this value is \"%s\" already, and iotd has one topic for each: left "
			     "out",
			     sensor->values[i].name);
			return false;
		}
	(void)item_integer(reader, item, "interval", 1, INTERVAL_MAX, &value.interval);
	(void)item_integer(reader, item, "digits", 0, DIGITS_MAX, &value.digits);
	value.retain = item_is(reader, item, "retain", false);
	if (!claim_name(convert, item, "name", "topic", "its topic", value.name))
		return false;
	*ret = value;
	return true;
}

static void read_values(struct convert *convert, struct sensor *sensor)
{
	struct reader *reader = &convert->reader;
	const char *name = item_text(reader, &sensor->item, "name");
	size_t count = item_count(reader, "sensor_inputs");

	sensor->values = calloc(count + 1, sizeof(*sensor->values));
	if (!sensor->values) {
		reader->error = -ENOMEM;
		return;
	}
	sensor->interval = INTERVAL_MAX;
	for (size_t i = 0; i < count; i++) {
		const struct item item = item_at(reader, "sensor_inputs", i);
		const char *module = item_text(reader, &item, "module");
		struct value *value = &sensor->values[sensor->count];

		if (!module || !name || strcmp(module, name) != 0 ||
		    !read_value(convert, sensor, &item, value))
			continue;
		sensor->count++;
		sensor->retain = sensor->retain || value->retain;
		if (value->interval < sensor->interval)
			sensor->interval = value->interval;
	}
}

/* --- sensors -------------------------------------------------------------------------------- */

static const char *find_driver(struct reader *reader, const struct sensor *sensor)
{
	const char *type;

	if (sensor->chip->kind != CHIP_ADC)
		return sensor->chip->driver;
	type = item_text(reader, &sensor->item, "type");
	if (type && strcasecmp(type, "ADS1015") == 0)
		return "ads1015";
	if (!type || strcasecmp(type, "ADS1115") != 0)
		tell(reader, &sensor->item, "type",
		     "is neither ADS1015 nor ADS1115: it is ADS1115");
	return "ads1115";
}

/* Return: false - the address is taken, or wrong */
static bool write_address(struct convert *convert, const struct sensor *sensor, const char *driver,
			  FILE *out)
{
	struct reader *reader = &convert->reader;
	long bus = 1, address = 0;
	bool is_given;

	(void)item_integer(reader, &sensor->item, "i2c_bus_num", 0, 1000, &bus);
	is_given = item_integer(reader, &sensor->item, "chip_addr", 0x08, 0x77, &address);
	if (!claim(convert, "i2c %ld %s %ld", bus, is_given ? "" : driver, address)) {
		tell(reader, &sensor->item, "chip_addr",
		     "another module has this address: move its sensor_inputs there; left out");
		return false;
	}
	write_word(out, "bus", "\"i2c-%ld\"", bus);
	if (is_given)
		write_word(out, "address", "0x%02lx", (unsigned long)address);
	return true;
}

static void write_adc(struct reader *reader, const struct sensor *sensor, FILE *out)
{
	(void)fputs(" inputs = [", out);
	for (size_t i = 0; i < sensor->count; i++)
		(void)fprintf(out, "%s \"%s\"", i > 0 ? "," : "", sensor->values[i].channel);
	(void)fputs(" ];", out);
	write_number(out, "range", chip_range(reader, &sensor->item));
}

static void write_unit(struct convert *convert, const struct value *value, FILE *out)
{
	struct reader *reader = &convert->reader;
	const struct item discovery = item_child(reader, &value->item, "ha_discovery");
	const char *unit = item_text(reader, &discovery, "unit_of_measurement");

	if (unit && strlen(unit) >= UNIT_SIZE) {
		tell(reader, &discovery, "unit_of_measurement",
		     "is over 15 bytes, which a unit "
		     "has in iotd");
		unit = NULL;
	}
	if (!unit || !*unit)
		unit = value->of->unit;
	if (unit)
		write_text(out, "unit", unit);
}

static void write_channel(struct convert *convert, const struct sensor *sensor,
			  const struct value *value, FILE *out)
{
	struct reader *reader = &convert->reader;
	double scale = value->of->scale;

	if (sensor->chip->kind == CHIP_ADC && strcmp(value->of->type, "value") == 0)
		scale = ADC_STEPS / chip_range(reader, &sensor->item);
	(void)fprintf(out, "\n    %s = {", value->channel);
	write_text(out, "alias", value->name);
	write_word(out, "digits", "%ld", value->digits);
	if (scale > 0)
		write_number(out, "scale", scale);
	write_unit(convert, value, out);
	write_discovery(convert, &value->item, "sensor", out);
	(void)fputs(" };", out);
	if (value->interval != sensor->interval)
		tell(reader, &value->item, "interval",
		     "is %ld s now, as the shortest of this chip: iotd reads all its values at "
		     "once",
		     sensor->interval);
	if (value->retain != sensor->retain)
		tell(reader, &value->item, "retain",
		     "it is retained, as another value of this chip is: iotd retains all or none");
}

static void write_sensor(struct convert *convert, const struct sensor *sensor)
{
	struct reader *reader = &convert->reader;
	const char *driver = find_driver(reader, sensor);
	struct part address = { .stream = NULL };
	char name[NAME_SIZE];
	FILE *out;

	address.stream = open_memstream(&address.text, &address.size);
	if (!address.stream) {
		reader->error = -ENOMEM;
		return;
	}
	if ((sensor->chip->kind == CHIP_W1 ||
	     write_address(convert, sensor, driver, address.stream)) &&
	    claim_name(convert, &sensor->item, "name", "name", "its unique_id in Home Assistant",
		       name)) {
		(void)fflush(address.stream);
		out = part_begin(&convert->sensors);
		write_text(out, "name", name);
		write_text(out, "driver", driver);
		(void)fputs(address.text, out);
		write_word(out, "interval", "\"%lds\"", sensor->interval);
		if (sensor->retain)
			write_word(out, "retain", "true");
		if (sensor->chip->kind == CHIP_ADC)
			write_adc(reader, sensor, out);
		if (sensor->chip->options)
			sensor->chip->options(convert, &sensor->item, out);
		for (size_t i = 0; i < sensor->count; i++)
			write_channel(convert, sensor, &sensor->values[i], out);
		(void)fputs(" }", out);
	}
	(void)fclose(address.stream);
	free(address.text);
}

/* --- counters ------------------------------------------------------------------------------- */

/* what a pulse a second is */
static double counter_scale(struct reader *reader, const struct item *item, const char *module)
{
	double factor = 1;

	if (strcmp(module, "yfs201") == 0)
		return 1 / YFS201_FACTOR;
	if (strcmp(module, "flowsensor") == 0 &&
	    (!item_number(reader, item, "factor", &factor) || factor <= 0)) {
		tell(reader, item, "factor", "must be a number over 0: it is 1, so this is Hz");
		factor = 1;
	}
	return 1 / factor;
}

static void write_counter(struct convert *convert, const struct item *item, const char *module,
			  const char *name)
{
	struct reader *reader = &convert->reader;
	const struct item discovery = item_child(reader, item, "ha_discovery");
	struct place place;
	char called[NAME_SIZE];
	double scale = counter_scale(reader, item, module);
	long interval = INTERVAL_DEFAULT;
	FILE *out;

	if (!find_place(convert, item, NULL, &place) ||
	    !claim_name(convert, item, "name", "name", "its topic", called))
		return;
	if (!claim(convert, "topic %s", called)) {
		tell(reader, item, "name", "another sensor input has this topic: left out");
		return;
	}
	(void)item_integer(reader, item, "interval", 1, INTERVAL_MAX, &interval);
	out = part_begin(&convert->inputs);
	write_text(out, "name", called);
	write_place(out, &place);
	write_text(out, "bias", "pull-down"); /* gpiozero's default */
	write_text(out, "edge", "rising");
	write_word(out, "count", "true");
	write_word(out, "interval", "\"%lds\"", interval);
	if (fabs(scale - 1) > 0)
		write_number(out, "scale", scale);
	write_text(out, "module", name);
	write_discovery(convert, item, "sensor", out);
	(void)fputs(" }", out);
	if (item_has(reader, item, "digits"))
		tell(reader, item, "digits", "iotd tells the rate with all its digits");
	if (item_has(reader, &discovery, "unit_of_measurement"))
		tell(reader, &discovery, "unit_of_measurement",
		     "is set in Home Assistant: iotd's unit is that of the total");
}

static void write_counters(struct convert *convert, const struct sensor *sensor)
{
	struct reader *reader = &convert->reader;
	const char *name = item_text(reader, &sensor->item, "name");

	for (size_t i = 0; i < item_count(reader, "sensor_inputs"); i++) {
		const struct item item = item_at(reader, "sensor_inputs", i);
		const char *module = item_text(reader, &item, "module");

		if (module && name && strcmp(module, name) == 0)
			write_counter(convert, &item, sensor->chip->module, name);
	}
}

/* --- the sections --------------------------------------------------------------------------- */

static void convert_module(struct convert *convert, const struct item *item)
{
	struct reader *reader = &convert->reader;
	const char *module = item_text(reader, item, "module");
	struct sensor sensor = { .item = *item, .chip = module ? chip_find(module) : NULL };

	if (!module)
		tell(reader, item, "module", "is missing");
	if (!sensor.chip) {
		if (module)
			tell(reader, item, "module", "\"%s\": %s", module, chip_words(module));
		return;
	}
	tell_keys(reader, item, sensor.chip->keys);
	if (sensor.chip->kind == CHIP_COUNTER) {
		write_counters(convert, &sensor);
		return;
	}
	read_values(convert, &sensor);
	if (sensor.count > 0)
		write_sensor(convert, &sensor);
	free(sensor.values);
}

/* an input of a module that is not mapped is told by itself: it is what its user misses */
static void check_input(struct convert *convert, const struct item *item)
{
	struct reader *reader = &convert->reader;
	const char *module = item_text(reader, item, "module"), *name;

	tell_keys(reader, item, input_keys);
	for (size_t i = 0; module && i < item_count(reader, "sensor_modules"); i++) {
		const struct item other = item_at(reader, "sensor_modules", i);

		name = item_text(reader, &other, "name");
		if (!name || strcmp(name, module) != 0)
			continue;
		name = item_text(reader, &other, "module");
		if (!name || !chip_find(name))
			tell(reader, item, "module", "\"%s\" is not mapped: left out", module);
		return;
	}
	if (module)
		tell(reader, item, "module", "sensor_modules has no \"%s\": left out", module);
	else
		tell(reader, item, "module", "is missing: left out");
}

void convert_sensors(struct convert *convert)
{
	for (size_t i = 0; i < item_count(&convert->reader, "sensor_modules"); i++) {
		const struct item item = item_at(&convert->reader, "sensor_modules", i);

		if (item.node)
			convert_module(convert, &item);
	}
	for (size_t i = 0; i < item_count(&convert->reader, "sensor_inputs"); i++) {
		const struct item item = item_at(&convert->reader, "sensor_inputs", i);

		if (item.node)
			check_input(convert, &item);
	}
}
