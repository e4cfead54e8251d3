/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * hwmon: what the kernel's drivers of monitoring chips measure, such as mainboards' temperatures and
 * fans. Source: Linux Documentation/hwmon/sysfs-interface.rst, whose sections are named below.
 *
 * A value is a file <type><number>_input, or _average where a chip has only that ("Power"). Its
 * channel is called <type><number>, in the order of the table below; pwm is no measurement. Labels only
 * help to choose: the channel of a labelled file is still called temp1, since labels change with the
 * kernel and the firmware.
 *
 * "When this boolean has value 1, the measurement for that channel should not be trusted" (Alarms, of
 * _fault): it is no value then. An _alarm says that a limit was passed: the value is true. "When disabled
 * the sensor read will return -ENODATA". Among all channels of a chip such a one is left out, because mainboards
 * have headers where nothing is connected; where the configuration names it, the reading has failed.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"

enum {
	HWMON_DEVICE,
	HWMON_CHANNELS
};

static const struct driver_option hwmon_options[] = {
	[HWMON_DEVICE] = { .name = "device", .type = OPTION_STRING, .required = true },
	[HWMON_CHANNELS] = { .name = "channels", .type = OPTION_STRINGS },
};

/* sections Temperatures, Voltages, Fans, Power, Humidity, Currents, Energy */
static const struct quantity {
	const char *type, *unit;
	int digits;
	double factor;
} quantities[] = {
	{ "temp", "°C", 3, 1e-3 },  { "in", "V", 3, 1e-3 },	  { "fan", "rpm", 0, 1 },
	{ "power", "W", 6, 1e-6 },  { "humidity", "%", 3, 1e-3 }, { "curr", "A", 3, 1e-3 },
	{ "energy", "J", 6, 1e-6 },
};

static const struct sysfs_kind hwmon_kind = {
	.what = "hwmon chip",
	.folder = "class/hwmon",
	.pattern = "hwmon[0-9]*",
	.names = { "name", "device/name" },
};

struct hwmon_state {
	double factors[CHANNELS_MAX];
	struct attribute values[CHANNELS_MAX], faults[CHANNELS_MAX];
};

/* --- names ---------------------------------------------------------------------------------- */

/* "temp1" with @end behind it; false: it is no such thing */
static bool hwmon_name(const char *text, const char *end, struct sysfs_channel *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(quantities); i++) {
		const struct quantity *quantity = &quantities[i];
		size_t letters = strlen(quantity->type), digits;

		if (strncmp(text, quantity->type, letters) != 0)
			continue;
		digits = strspn(text + letters, "0123456789");
		if (digits == 0 || digits > 9 || strcmp(text + letters + digits, end) != 0)
			continue;
		ret->channel.digits = quantity->digits;
		sysfs_copy(ret->channel.name, sizeof(ret->channel.name), text, letters + digits);
		(void)snprintf(ret->channel.unit, sizeof(ret->channel.unit), "%s", quantity->unit);
		ret->factor = quantity->factor;
		ret->order = (int)i;
		return true;
	}
	return false;
}

static bool hwmon_parse(const char *file, struct sysfs_channel *ret)
{
	if (hwmon_name(file, "_input", ret))
		ret->rank = 0;
	else if (hwmon_name(file, "_average", ret))
		ret->rank = 1;
	else
		return false;
	sysfs_copy(ret->file, sizeof(ret->file), file, strlen(file));
	return true;
}

/* a label says nothing before the chip is there */
static int hwmon_describe(const struct option_value *options,
			  struct channel channels[static CHANNELS_MAX])
{
	const struct option_value *wanted = &options[HWMON_CHANNELS];
	struct sysfs_channel known = { 0 };

	for (size_t i = 0; i < wanted->count; i++) {
		if (!hwmon_name(wanted->list[i].string, "", &known))
			return 0;
		channels[i] = known.channel;
	}
	return (int)wanted->count;
}

/* --- the chip ------------------------------------------------------------------------------- */

static int hwmon_open_channels(struct source *source, const char *folder,
			       const struct sysfs_channels *channels)
{
	struct hwmon_state *state = source->state;
	char fault[FILE_NAME_LENGTH + 1];
	int r = 0;

	for (size_t i = 0; r == 0 && i < channels->count; i++) {
		const char *file = channels->all[i].file;

		state->factors[i] = channels->all[i].factor;
		sysfs_file_beside(fault, file, "_fault");
		r = attribute_open(source, &state->values[i], folder, file);
		if (r == 0)
			r = attribute_open_if_any(source, &state->faults[i], folder, fault);
	}
	return r;
}

static int hwmon_open_folder(struct source *source, const char *folder)
{
	struct sysfs_channels channels = { 0 };
	int r;

	r = sysfs_channels_find(source, folder, hwmon_parse, &channels);
	if (r == 0)
		r = sysfs_channels_choose(source, folder, &source->options[HWMON_CHANNELS],
					  &channels);
	if (r == 0)
		r = hwmon_open_channels(source, folder, &channels);
	sysfs_channels_done(&channels);
	return r;
}

/* old drivers have name and values in the folder of the chip itself, not in that of the class */
static int hwmon_open(struct source *source)
{
	cleanup(freep) char *folder = NULL, *chip = NULL;
	char name[2];
	int r;

	r = sysfs_find(source, &hwmon_kind, source->options[HWMON_DEVICE].string, &folder);
	if (r < 0)
		return r;
	sysfs_line(source, folder, "name", name, sizeof(name));
	if (name[0])
		return hwmon_open_folder(source, folder);
	if (asprintf(&chip, "%s/device", folder) < 0) {
		chip = NULL;
		return -ENOMEM;
	}
	return hwmon_open_folder(source, chip);
}

static void hwmon_close(struct source *source)
{
	struct hwmon_state *state = source->state;

	for (size_t i = 0; i < CHANNELS_MAX; i++) {
		attribute_close(&state->values[i]);
		attribute_close(&state->faults[i]);
	}
}

/* --- its values ----------------------------------------------------------------------------- */

/* Return: 0; -ENODATA there is no value now, with words; another errno */
static int hwmon_read(struct source *source, size_t i, double *ret)
{
	const struct hwmon_state *state = source->state;
	double number, fault = 0;
	int r = 0;

	if (attribute_is_open(&state->faults[i]))
		r = attribute_number(source, &state->faults[i], &fault);
	if (r < 0)
		return r;
	if (fault != 0)
		return source_fail(source, -ENODATA,
				   "%s says that %s is faulty: is anything connected?",
				   state->faults[i].path, source->channels[i].name);
	r = attribute_number(source, &state->values[i], &number);
	if (r == 0)
		*ret = number * state->factors[i];
	return r;
}

static int hwmon_collect(struct source *source, double values[static CHANNELS_MAX],
			 int64_t *wait_us)
{
	(void)wait_us;
	return sysfs_channels_collect(source, &source->options[HWMON_CHANNELS], hwmon_read, values);
}

extern const struct driver hwmon_driver;
const struct driver hwmon_driver = {
	.name = "hwmon",
	.kind = DRIVER_HWMON,
	.describe = hwmon_describe,
	.options = hwmon_options,
	.option_count = ARRAY_SIZE(hwmon_options),
	.state_size = sizeof(struct hwmon_state),
	.open = hwmon_open,
	.collect = hwmon_collect,
	.close = hwmon_close,
};
