/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * iio: what the kernel's drivers of the Industrial I/O subsystem measure. Source: Linux
 * Documentation/ABI/testing/sysfs-bus-iio, and for the names of shared attributes
 * drivers/iio/industrialio-core.c, __iio_device_attr_init().
 *
 * A channel is in_<type>[<index>][-<type><index>][_<modifier>] with the end _input, a value in the unit of
 * its type, or _raw: (raw + offset) x scale is that value then. _scale and _offset are the channel's own, or
 * those of its type, or of all; they are read each time, because they change with the gain. Peaks, means
 * and quaternions are no channels.
 *
 * The type gets the name and the unit that iotd has for it elsewhere; index and modifier stay as they are:
 *
 *	in_temp_input               temperature     milli °C → °C
 *	in_temp_ambient_raw         temperature_ambient
 *	in_voltage0_raw             voltage0        mV → V
 *	in_voltage0-voltage1_raw    voltage0-voltage1
 *	in_accel_x_raw              accel_x         m/s²
 *	in_concentration_co2_raw    co2             % → ppm
 *
 * A type that is not in the table keeps its name and has no unit.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"

#include "iotd/parse.h"

#define DIRECTION    "in_"
#define OTHER_DIGITS 6

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

enum {
	IIO_DEVICE,
	IIO_CHANNELS
};

static const struct driver_option iio_options[] = {
	[IIO_DEVICE] = { .name = "device", .type = OPTION_STRING, .required = true },
	[IIO_CHANNELS] = { .name = "channels", .type = OPTION_STRINGS },
};

/* @factor: from the unit of the ABI to ours. By their place here channels are in order */
static const struct quantity {
	const char *type, *name, *unit;
	int digits;
	double factor;
} quantities[] = {
	{ "temp", "temperature", "°C", 3, 1e-3 },
	{ "humidityrelative", "humidity", "%", 3, 1e-3 },
	{ "pressure", "pressure", "hPa", 4, 10 },
	{ "concentration", "concentration", "ppm", 3, 1e4 },
	{ "massconcentration", "massconcentration", "µg/m³", 3, 1 },
	{ "illuminance", "illuminance", "lx", 3, 1 },
	{ "intensity", "intensity", "", 6, 1 },
	{ "uvindex", "uv_index", "", 3, 1 },
	{ "colortemp", "colortemp", "K", 3, 1 },
	{ "proximity", "proximity", "", 6, 1 },
	{ "distance", "distance", "mm", 3, 1e3 },
	{ "voltage", "voltage", "V", 6, 1e-3 },
	{ "altvoltage", "altvoltage", "V", 6, 1e-3 },
	{ "current", "current", "A", 6, 1e-3 },
	{ "power", "power", "W", 6, 1e-3 },
	{ "energy", "energy", "J", 3, 1 },
	{ "resistance", "resistance", "Ω", 3, 1 },
	{ "capacitance", "capacitance", "nF", 6, 1 },
	{ "electricalconductivity", "electricalconductivity", "S/m", 6, 1 },
	{ "ph", "ph", "", 3, 1 },
	{ "accel", "accel", "m/s²", 6, 1 },
	{ "gravity", "gravity", "m/s²", 6, 1 },
	{ "anglvel", "anglvel", "rad/s", 6, 1 },
	{ "angl", "angl", "rad", 6, 1 },
	{ "deltaangl", "deltaangl", "rad", 6, 1 },
	{ "deltavelocity", "deltavelocity", "m/s", 6, 1 },
	{ "phase", "phase", "rad", 6, 1 },
	{ "magn", "magn", "G", 6, 1 },
	{ "incli", "incli", "°", 3, 1 },
	{ "rot", "rot", "°", 3, 1 },
	{ "positionrelative", "positionrelative", "%", 3, 1e-3 },
	{ "velocity", "velocity", "m/s", 3, 1 },
	{ "activity", "activity", "%", 3, 1 },
	{ "steps", "steps", "", 0, 1 },
	{ "count", "count", "", 6, 1 },
};

/* of concentrations: their names alone say all */
static const char *const substances[] = { "co2", "ethanol", "h2",  "o2",   "voc",
					  "pm1", "pm2p5",   "pm4", "pm10", NULL };

/* ends of what is no momentary value, or more than one number */
static const char *const no_channels[] = { "_mean",	  "_peak",
					   "_trough",	  "_quadrature_correction",
					   "_quaternion", NULL };

static const struct sysfs_kind iio_kind = {
	.what = "iio device",
	.folder = "bus/iio/devices",
	.pattern = "iio:device[0-9]*",
	.names = { "name", "label" },
};

struct iio_state {
	double factors[CHANNELS_MAX];
	struct attribute values[CHANNELS_MAX], offsets[CHANNELS_MAX], scales[CHANNELS_MAX];
};

/* --- names ---------------------------------------------------------------------------------- */

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t end_length = strlen(end);

	return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static size_t type_length(const char *stem)
{
	return strspn(stem, "abcdefghijklmnopqrstuvwxyz");
}

static const struct quantity *quantity_of(const char *type, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(quantities); i++)
		if (strlen(quantities[i].type) == length &&
		    memcmp(quantities[i].type, type, length) == 0)
			return &quantities[i];
	return NULL;
}

static bool is_substance(const char *name)
{
	for (size_t i = 0; substances[i]; i++)
		if (strcmp(substances[i], name) == 0)
			return true;
	return false;
}

static void set_quantity(struct sysfs_channel *channel, const struct quantity *quantity)
{
	channel->order = (int)ARRAY_SIZE(quantities);
	channel->channel.digits = OTHER_DIGITS;
	channel->factor = 1;
	if (!quantity)
		return;
	channel->order = (int)(quantity - quantities);
	channel->channel.digits = quantity->digits;
	channel->factor = quantity->factor;
	(void)snprintf(channel->channel.unit, sizeof(channel->channel.unit), "%s", quantity->unit);
}

/* modifiers may hold what no name may, such as sqrt(x^2+y^2+z^2) */
static void set_name(struct channel *channel, const char *type, const char *rest)
{
	if ((strcmp(type, "concentration") == 0 || strcmp(type, "massconcentration") == 0) &&
	    *rest == '_' && is_substance(rest + 1))
		(void)snprintf(channel->name, sizeof(channel->name), "%s", rest + 1);
	else
		(void)snprintf(channel->name, sizeof(channel->name), "%s%s", type, rest);
	for (char *c = channel->name; *c; c++)
		if (!strchr(NAME_CHARACTERS, *c))
			*c = '_';
}

static bool iio_parse(const char *file, struct sysfs_channel *ret)
{
	char stem[FILE_NAME_LENGTH + 1], type[FILE_NAME_LENGTH + 1];
	const struct quantity *quantity;
	size_t length;

	if (strncmp(file, DIRECTION, strlen(DIRECTION)) != 0)
		return false;
	sysfs_copy(stem, sizeof(stem), file + strlen(DIRECTION), strlen(file) - strlen(DIRECTION));
	length = strlen(stem);
	ret->rank = ends_with(stem, length, "_input") ? 0 : 1;
	if (ret->rank != 0 && !ends_with(stem, length, "_raw"))
		return false;
	length -= strlen(ret->rank == 0 ? "_input" : "_raw");
	stem[length] = '\0';
	for (size_t i = 0; no_channels[i]; i++)
		if (ends_with(stem, length, no_channels[i]))
			return false;

	quantity = quantity_of(stem, type_length(stem));
	sysfs_copy(type, sizeof(type), stem, type_length(stem));
	set_quantity(ret, quantity);
	set_name(&ret->channel, quantity ? quantity->name : type, stem + strlen(type));
	sysfs_copy(ret->file, sizeof(ret->file), file, strlen(file));
	return *type != '\0';
}

/* the other way round; false: a label, perhaps, which says nothing before the device is there */
static bool iio_known(const char *name, struct sysfs_channel *ret)
{
	set_quantity(ret, NULL);
	sysfs_copy(ret->channel.name, sizeof(ret->channel.name), name, strlen(name));
	if (is_substance(name)) {
		bool is_dust = strncmp(name, "pm", 2) == 0;

		set_quantity(ret, is_dust ? quantity_of("massconcentration", 17)
					  : quantity_of("concentration", 13));
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(quantities); i++) {
		size_t length = strlen(quantities[i].name);

		if (strncmp(name, quantities[i].name, length) != 0 ||
		    type_length(name + length) > 0)
			continue;
		set_quantity(ret, &quantities[i]);
		return parse_name(name);
	}
	return false;
}

static int iio_describe(const struct option_value *options,
			struct channel channels[static CHANNELS_MAX])
{
	const struct option_value *wanted = &options[IIO_CHANNELS];

	for (size_t i = 0; i < wanted->count; i++) {
		struct sysfs_channel known = { 0 };

		if (!iio_known(wanted->list[i].string, &known))
			return 0;
		channels[i] = known.channel;
	}
	return (int)wanted->count;
}

/* --- the device ----------------------------------------------------------------------------- */

/* "voltage0-voltage1" → "voltage-voltage", "voltage0_q" → "voltage_q" */
static void drop_indexes(const char *stem, char *ret)
{
	bool is_modifier = false;

	for (; *stem; stem++) {
		is_modifier |= *stem == '_';
		if (is_modifier || *stem < '0' || *stem > '9')
			*ret++ = *stem;
	}
	*ret = '\0';
}

/* @what is "scale" or "offset": the channel's own, or one that it shares; none is none */
static int iio_open_shared(struct source *source, struct attribute *attribute, const char *folder,
			   const char *file, const char *what)
{
	char stem[FILE_NAME_LENGTH + 1], shared[FILE_NAME_LENGTH + 1];
	char names[5][2 * FILE_NAME_LENGTH];
	int r = 0;

	sysfs_file_beside(stem, file + strlen(DIRECTION), "");
	drop_indexes(stem, shared);
	(void)snprintf(names[0], sizeof(names[0]), "in_%s_%s", stem, what);
	(void)snprintf(names[1], sizeof(names[1]), "in_%s_%s", shared, what);
	(void)snprintf(names[2], sizeof(names[2]), "in_%.*s_%s", (int)type_length(stem), stem,
		       what);
	(void)snprintf(names[3], sizeof(names[3]), "in_%s", what);
	(void)snprintf(names[4], sizeof(names[4]), "%s", what);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names) && !attribute_is_open(attribute); i++)
		r = attribute_open_if_any(source, attribute, folder, names[i]);
	return r;
}

static int iio_open_channels(struct source *source, const char *folder,
			     const struct sysfs_channels *channels)
{
	struct iio_state *state = source->state;
	int r = 0;

	for (size_t i = 0; r == 0 && i < channels->count; i++) {
		const struct sysfs_channel *channel = &channels->all[i];

		state->factors[i] = channel->factor;
		r = attribute_open(source, &state->values[i], folder, channel->file);
		if (r == 0 && channel->rank > 0)
			r = iio_open_shared(source, &state->offsets[i], folder, channel->file,
					    "offset");
		if (r == 0 && channel->rank > 0)
			r = iio_open_shared(source, &state->scales[i], folder, channel->file,
					    "scale");
	}
	return r;
}

static int iio_open(struct source *source)
{
	const struct option_value *options = source->options;
	struct sysfs_channels channels = { 0 };
	cleanup(freep) char *folder = NULL;
	int r;

	r = sysfs_find(source, &iio_kind, options[IIO_DEVICE].string, &folder);
	if (r == 0)
		r = sysfs_channels_find(source, folder, iio_parse, &channels);
	if (r == 0)
		r = sysfs_channels_choose(source, folder, &options[IIO_CHANNELS], &channels);
	if (r == 0)
		r = iio_open_channels(source, folder, &channels);
	sysfs_channels_done(&channels);
	return r;
}

static void iio_close(struct source *source)
{
	struct iio_state *state = source->state;

	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		attribute_close(&state->values[i]);
		attribute_close(&state->offsets[i]);
		attribute_close(&state->scales[i]);
	}
}

/* --- its values ----------------------------------------------------------------------------- */

static int iio_read(struct source *source, size_t i, double *ret)
{
	const struct iio_state *state = source->state;
	double number, offset = 0, scale = 1;
	int r;

	r = attribute_number(source, &state->values[i], &number);
	if (r == -EBUSY)
		return source_fail(source, r, "%s: busy: a program has the device's buffer on",
				   state->values[i].path);
	if (r == 0 && attribute_is_open(&state->offsets[i]))
		r = attribute_number(source, &state->offsets[i], &offset);
	if (r == 0 && attribute_is_open(&state->scales[i]))
		r = attribute_number(source, &state->scales[i], &scale);
	if (r < 0)
		return r;
	number = (number + offset) * scale * state->factors[i];
	if (!isfinite(number))
		return source_fail(source, -ERANGE, "%s: is too large with its scale and offset",
				   state->values[i].path);
	*ret = number;
	return 0;
}

static int iio_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	(void)wait_us;
	return sysfs_channels_collect(source, &source->options[IIO_CHANNELS], iio_read, values);
}

extern const struct driver iio_driver;
const struct driver iio_driver = {
	.name = "iio",
	.kind = DRIVER_IIO,
	.describe = iio_describe,
	.options = iio_options,
	.option_count = ARRAY_SIZE(iio_options),
	.state_size = sizeof(struct iio_state),
	.open = iio_open,
	.collect = iio_collect,
	.close = iio_close,
};
