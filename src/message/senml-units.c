/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Units of the SenML registry: RFC 8428, 12.1, RFC 8798, and what IANA has added to them.
 *
 * Its first table only. Those of the second (hPa, ppm, mm) are for packs that say bver 26 (RFC
 * 9100), which a reader of RFC 8428 alone must refuse; so their numbers are converted. Of the units
 * that are not recommended, l and g are converted too, and deg and 1/min stay: in radians and
 * 1/s their numbers would be no shorter than a double is long. "%" is never said: there it means a
 * ratio of 0 to 1, for which "/" is preferred (note 2).
 */
#include <math.h>
#include <string.h>

#include "senml.h"

/* @digits: decimals that the number gets, or loses. What drivers have most comes first */
static const struct senml_unit {
	const char *ours, *name;
	double factor;
	int digits;
} units[] = {
	{ "°C", "Cel", 1, 0 },
	{ "hPa", "Pa", 100, -2 },
	{ "lx", "lx", 1, 0 },
	{ "ppm", "/", 1e-6, 6 },
	{ "ppb", "/", 1e-9, 9 },
	{ "V", "V", 1, 0 },
	{ "A", "A", 1, 0 },
	{ "W", "W", 1, 0 },
	{ "Ω", "Ohm", 1, 0 },
	{ "mm", "m", 1e-3, 3 },
	{ "s", "s", 1, 0 },
	{ "Hz", "Hz", 1, 0 },
	{ "K", "K", 1, 0 },
	{ "Pa", "Pa", 1, 0 },
	{ "kPa", "Pa", 1e3, -3 },
	{ "mbar", "Pa", 100, -2 },
	{ "bar", "Pa", 1e5, -5 },
	{ "mV", "V", 1e-3, 3 },
	{ "kV", "V", 1e3, -3 },
	{ "mA", "A", 1e-3, 3 },
	{ "µA", "A", 1e-6, 6 },
	{ "mW", "W", 1e-3, 3 },
	{ "kW", "W", 1e3, -3 },
	{ "VA", "VA", 1, 0 },
	{ "var", "var", 1, 0 },
	{ "J", "J", 1, 0 },
	{ "Wh", "J", 3600, 0 },
	{ "kWh", "J", 3.6e6, -5 },
	{ "J/s", "W", 1, 0 },
	{ "Wh/s", "W", 3600, 0 },
	{ "kWh/s", "W", 3.6e6, -5 },
	{ "kΩ", "Ohm", 1e3, -3 },
	{ "MΩ", "Ohm", 1e6, -6 },
	{ "nF", "F", 1e-9, 9 },
	{ "µF", "F", 1e-6, 6 },
	{ "S/m", "S/m", 1, 0 },
	{ "G", "T", 1e-4, 4 },
	{ "T", "T", 1, 0 },
	{ "m", "m", 1, 0 },
	{ "cm", "m", 1e-2, 2 },
	{ "km", "m", 1e3, -3 },
	{ "m²", "m2", 1, 0 },
	{ "m³", "m3", 1, 0 },
	{ "l", "m3", 1e-3, 3 },
	{ "L", "m3", 1e-3, 3 },
	{ "m/s", "m/s", 1, 0 },
	{ "mm/s", "m/s", 1e-3, 3 },
	{ "m/s²", "m/s2", 1, 0 },
	{ "m³/s", "m3/s", 1, 0 },
	{ "l/s", "m3/s", 1e-3, 3 },
	{ "L/s", "m3/s", 1e-3, 3 },
	{ "kg", "kg", 1, 0 },
	{ "g", "kg", 1e-3, 3 },
	{ "g/m³", "kg/m3", 1e-3, 3 },
	{ "mg/m³", "kg/m3", 1e-6, 6 },
	{ "µg/m³", "kg/m3", 1e-9, 9 },
	{ "N", "N", 1, 0 },
	{ "ms", "s", 1e-3, 3 },
	{ "min", "s", 60, 0 },
	{ "h", "s", 3600, 0 },
	{ "kHz", "Hz", 1e3, -3 },
	{ "MHz", "Hz", 1e6, -6 },
	{ "rpm", "1/min", 1, 0 },
	{ "1/s", "1/s", 1, 0 },
	{ "rad", "rad", 1, 0 },
	{ "°", "deg", 1, 0 },
	{ "lm", "lm", 1, 0 },
	{ "W/m²", "W/m2", 1, 0 },
	{ "B", "B", 1, 0 },
	{ "KiB", "B", 1024, 0 },
	{ "MiB", "B", 1048576, 0 },
	{ "pH", "pH", 1, 0 },
	{ "dB", "dB", 1, 0 },
};

/* what "%" is of depends on the class */
static const struct senml_unit relative_humidity = { "%", "%RH", 1, 0 };
static const struct senml_unit energy_level = { "%", "%EL", 1, 0 };
static const struct senml_unit ratio = { "%", "/", 1e-2, 2 };

/* as the file says, else the channel's name, which drivers begin with what it is: "humidity1" */
static const char *class_of(const struct message_origin *origin, const struct channel *channel)
{
	for (size_t i = 0; i < origin->channel_count; i++)
		if (origin->channels[i].device_class &&
		    strcmp(origin->channels[i].name, channel->name) == 0)
			return origin->channels[i].device_class;
	return strncmp(channel->name, "humidity", strlen("humidity")) == 0 ? "humidity" : "";
}

static const struct senml_unit *percent(const struct message_origin *origin,
					const struct channel *channel)
{
	const char *class = class_of(origin, channel);

	if (strcmp(class, "humidity") == 0)
		return &relative_humidity;
	return strcmp(class, "battery") == 0 ? &energy_level : &ratio;
}

static const struct senml_unit *find_unit(const struct message_origin *origin,
					  const struct channel *channel)
{
	if (strcmp(channel->unit, "%") == 0)
		return percent(origin, channel);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(channel->unit, units[i].ours) == 0)
			return &units[i];
	return NULL;
}

struct senml_value senml_value(const struct message_origin *origin, const struct value *value)
{
	const struct senml_unit *unit = find_unit(origin, value->channel);
	int digits = value->channel->digits;
	double number = value->number;

	if (unit)
		number = value_round(number, digits) * unit->factor;
	if (!unit || !isfinite(number)) /* so large that only its own unit can say it */
		return (struct senml_value){ NULL, value->number, digits };
	digits += unit->digits;
	return (struct senml_value){ unit->name, number, digits > 0 ? digits : 0 };
}
