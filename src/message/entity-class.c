/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device classes of Home Assistant, from units and names.
 *
 * Since 2025.7 Home Assistant refuses an entity whose unit is not one of its class's; before that
 * it warned. So a class is given only with units that it has had at the latest since 2025.2
 * (homeassistant/components/sensor/const.py: DEVICE_CLASS_UNITS, DEVICE_CLASS_STATE_CLASSES;
 * homeassistant/const.py: the units). What has no class is shown as it is, with its unit.
 *
 * The prefix micro is written with the micro sign, U+00B5: older versions know only that, and newer
 * ones, which write the Greek letter, read it (home-assistant/core, pull request 144853).
 */
#include <stdio.h>
#include <string.h>

#include "entity-class.h"
#include "iotd/base.h"

#define MICRO_SIGN "\xc2\xb5"
#define GREEK_MU   "\xce\xbc"

static const struct {
	const char *written, *known;
} spellings[] = {
	{ "℃", "°C" },	      { "degC", "°C" },	    { "℉", "°F" },	  { "degF", "°F" },
	{ "%RH", "%" },	      { "%rH", "%" },	    { "lux", "lx" },	  { "l", "L" },
	{ "ml", "mL" },	      { "l/min", "L/min" }, { "m3", "m³" },	  { "m3/h", "m³/h" },
	{ "W/m2", "W/m²" },   { "ug/m3", "µg/m³" }, { "µg/m3", "µg/m³" }, { "ug", "µg" },
	{ "uS/cm", "µS/cm" }, { "uV", "µV" },	    { "VAr", "var" },
};

/* the first row that fits; @part: must be in the channel's name, NULL: any */
static const struct {
	const char *part, *device_class;
	const char *units; /* between spaces; "": no unit */
} measurements[] = {
	{ "humidity", "humidity", " % " },
	{ "moisture", "moisture", " % " },
	{ "battery", "battery", " % " },
	{ "co2", "carbon_dioxide", " ppm " },
	{ "voc", "volatile_organic_compounds_parts", " ppm ppb " },
	{ "voc", "volatile_organic_compounds", " µg/m³ " },
	{ "pm25", "pm25", " µg/m³ " },
	{ "pm2_5", "pm25", " µg/m³ " },
	{ "pm10", "pm10", " µg/m³ " },
	{ "pm1", "pm1", " µg/m³ " },
	{ "aqi", "aqi", "" },
	{ NULL, "temperature", " °C °F K " },
	{ NULL, "atmospheric_pressure", " hPa mbar " },
	{ NULL, "pressure", " Pa kPa cbar bar mmHg inHg psi " },
	{ NULL, "illuminance", " lx " },
	{ NULL, "irradiance", " W/m² " },
	{ NULL, "voltage", " µV mV V kV " },
	{ NULL, "current", " mA A " },
	{ NULL, "power", " mW W kW MW " },
	{ NULL, "apparent_power", " VA " },
	{ NULL, "reactive_power", " var " },
	{ NULL, "energy", " Wh kWh MWh " },
	{ NULL, "frequency", " Hz kHz MHz GHz " },
	{ NULL, "distance", " mm cm m km in ft yd mi " },
	{ NULL, "speed", " mm/s m/s km/h in/s ft/s mph kn " },
	{ NULL, "duration", " ms s min h d " },
	{ NULL, "weight", " µg mg g kg oz lb " },
	{ NULL, "volume_storage", " mL L m³ ft³ gal " },
	{ NULL, "volume_flow_rate", " m³/h L/min mL/s ft³/min gal/min " },
	{ NULL, "conductivity", " µS/cm mS/cm S/cm " },
	{ NULL, "data_size", " B kB MB GB TB KiB MiB GiB TiB " },
	{ NULL, "data_rate", " B/s kB/s MB/s KiB/s MiB/s bit/s kbit/s Mbit/s " },
	{ NULL, "signal_strength", " dBm " },
};

/* what may grow for ever: no other class of the table has the state class total_increasing */
static const char *const totals[] = {
	"data_size",	 "distance", "duration", "energy", "gas",
	"precipitation", "volume",   "water",	 "weight", NULL,
};

static bool is_among(const char *const *words, const char *word)
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	return *words != NULL;
}

const char *entity_unit(char buffer[static UNIT_LENGTH + 1], const char *unit)
{
	char *at = buffer;

	(void)snprintf(buffer, UNIT_LENGTH + 1, "%s", unit);
	while ((at = strstr(at, GREEK_MU))) { /* both are two bytes */
		at[0] = MICRO_SIGN[0];
		at[1] = MICRO_SIGN[1];
	}
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		if (strcmp(buffer, spellings[i].written) != 0)
			continue;
		(void)snprintf(buffer, UNIT_LENGTH + 1, "%s", spellings[i].known);
		break;
	}
	return buffer;
}

static bool has_unit(const char *units, const char *unit)
{
	char wanted[UNIT_LENGTH + 3];

	if (*unit == '\0' || *units == '\0')
		return *unit == *units;
	(void)snprintf(wanted, sizeof(wanted), " %s ", unit);
	return strstr(units, wanted) != NULL;
}

static const char *measurement_class(const char *name, const char *unit)
{
	for (size_t i = 0; i < ARRAY_SIZE(measurements); i++)
		if (has_unit(measurements[i].units, unit) &&
		    (!measurements[i].part || strstr(name, measurements[i].part)))
			return measurements[i].device_class;
	return NULL;
}

const char *entity_class(const char *name, const char *unit, bool is_total)
{
	const char *device_class = measurement_class(name, unit);

	if (!device_class || !is_total)
		return device_class;
	if (strcmp(device_class, "volume_storage") ==
	    0) /* what is in a tank: it does not only grow */
		return "volume";
	return is_among(totals, device_class) ? device_class : NULL;
}

const char *entity_state_class(const char *device_class, bool is_total)
{
	/* they have no other: a channel in kWh is a meter's */
	static const char *const grow[] = { "energy", "gas", "volume", "water", NULL };
	/* no numbers, or a state class that not all versions know */
	static const char *const none[] = { "date", "enum", "timestamp", "wind_direction", NULL };

	if (device_class && is_among(none, device_class))
		return NULL;
	if (device_class && strcmp(device_class, "monetary") == 0)
		return "total";
	if (is_total || (device_class && is_among(grow, device_class)))
		return "total_increasing";
	return "measurement";
}
