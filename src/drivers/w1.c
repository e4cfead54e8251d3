/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * w1: thermometers on a 1-Wire bus, DS18B20 and those that the kernel's w1_therm reads like it (DS18S20,
 * DS1822, DS1825, MAX31850, DS28EA00). Sources: Maxim's data sheets DS18B20 and DS18S20, "Memory";
 * Linux Documentation/ABI/testing/sysfs-driver-w1_therm, drivers/w1/slaves/w1_therm.c.
 *
 * A read makes the kernel start a conversion and wait for it, 750 ms at 12 bits; on a bus whose sensors
 * live on parasite power one after another. So it has a worker of its own, and more time than others.
 *
 * `w1_slave` has the nine bytes of the scratchpad, the verdict on their CRC, and the temperature:
 *
 *	50 05 4b 46 7f ff 0c 10 1c : crc=1c YES
 *	50 05 4b 46 7f ff 0c 10 1c t=85000
 *
 * The newer `temperature` has only the number, so it is second choice: 85 °C is what a sensor says that
 * lost its power before the conversion was done, and the bytes tell that from a true 85 °C: then byte 6 is
 * still 0Ch. That test, and the same for 127.94 °C (too little power), is the kernel's own, if 1 is in its
 * `features`; w1_therm.c, convert_t(). A DS18S20 has 0Ch at a true 85.0 °C, too (it is its COUNT REMAIN):
 * there, as with `temperature` alone, 85.000 is always refused.
 */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "sysfs.h"

#define SCRATCHPAD_SIZE 9
#define POWER_ON_MARK	0x0c   /* of byte 6 */
#define POWER_ON	0x0550 /* 85 °C: data sheet, "Temperature/Data Relationship" */
#define TOO_WEAK	0x07ff
#define POWER_ON_T	85000 /* millidegree Celsius */

/* of the id: w1_therm.c; a DS18S20 counts halves of a degree (its data sheet, "Temperature/Data Relationship") */
#define FAMILY_DS18S20	 0x10
#define FAMILY_MAX31850	 0x3b /* also of the DS1825 */
#define POWER_ON_DS18S20 0x00aa

#define LIMIT_US (15 * 1000000LL)

enum {
	W1_DEVICE,
	W1_CHANNELS
};

static const char *const w1_names[] = { "temperature", NULL };

static const struct driver_option w1_options[] = {
	[W1_DEVICE] = { .name = "device", .type = OPTION_STRING, .required = true },
	[W1_CHANNELS] = { .name = "channels", .type = OPTION_STRINGS, .choices = w1_names },
};

static const struct channel w1_channels[] = { { "temperature", "°C", 3 } };

static const struct sysfs_kind w1_kind = {
	.what = "1-Wire device",
	.folder = "bus/w1/devices",
	.pattern = "[0-9a-f][0-9a-f]-[0-9a-f]*",
};

struct w1_state {
	unsigned long family;
	struct attribute slave, temperature; /* one of them */
};

static int w1_open(struct source *source)
{
	struct w1_state *state = source->state;
	cleanup(freep) char *folder = NULL;
	int r;

	r = sysfs_find(source, &w1_kind, source->options[W1_DEVICE].string, &folder);
	if (r < 0)
		return r;
	state->family = strtoul(strrchr(folder, '/') + 1, NULL, 16);
	r = attribute_open_if_any(source, &state->slave, folder, "w1_slave");
	if (r < 0 || attribute_is_open(&state->slave))
		return r;
	r = attribute_open_if_any(source, &state->temperature, folder, "temperature");
	if (r < 0 || attribute_is_open(&state->temperature))
		return r;
	return source_fail(source, -ENODEV,
			   "%s has no temperature: is it a thermometer, and the module w1_therm "
			   "loaded?",
			   folder);
}

/* --- w1_slave ------------------------------------------------------------------------------- */

static bool w1_scratchpad(const char *text, uint8_t ret[static SCRATCHPAD_SIZE])
{
	for (size_t i = 0; i < SCRATCHPAD_SIZE; i++) {
		char *end;
		unsigned long byte = strtoul(text, &end, 16);

		if (end == text || byte > UINT8_MAX)
			return false;
		ret[i] = (uint8_t)byte;
		text = end;
	}
	return true;
}

static bool is_zero(const uint8_t scratchpad[static SCRATCHPAD_SIZE])
{
	for (size_t i = 0; i < SCRATCHPAD_SIZE; i++)
		if (scratchpad[i] != 0)
			return false;
	return true;
}

/* Return: 0: what was measured; a negative errno: why it was not */
static int w1_check(struct source *source, const uint8_t scratchpad[static SCRATCHPAD_SIZE])
{
	const struct w1_state *state = source->state;
	const char *device = source->options[W1_DEVICE].string;
	unsigned int raw = scratchpad[0] | (unsigned int)scratchpad[1] << 8;
	bool is_marked = scratchpad[6] == POWER_ON_MARK;
	bool is_ds18s20 = state->family == FAMILY_DS18S20;

	/* zeros have the CRC 0; the configuration register never is (data sheet, "Memory") */
	if (is_zero(scratchpad))
		return source_fail(source, -EIO,
				   "%s: all bytes are 0: is the data line shorted to ground?",
				   device);
	if (is_marked && raw == (is_ds18s20 ? POWER_ON_DS18S20 : POWER_ON))
		return source_fail(source, -EIO,
				   "%s: 85 °C is its value after power-on, it has not measured: "
				   "check its supply and the pull-up",
				   device);
	if (is_marked && raw == TOO_WEAK)
		return source_fail(source, -EIO,
				   "%s: had too little power to measure: check its supply and "
				   "the pull-up",
				   device);
	/* w1_therm.c, w1_DS1825_convert_temp(): bit 7 tells a MAX31850, whose lowest bit is its fault */
	if (state->family == FAMILY_MAX31850 && scratchpad[4] & 0x80 && scratchpad[0] & 1)
		return source_fail(source, -EIO, "%s: its thermocouple is open or shorted", device);
	return 0;
}

static int w1_read_slave(struct source *source, double *ret)
{
	const struct w1_state *state = source->state;
	const char *path = state->slave.path, *temperature;
	uint8_t scratchpad[SCRATCHPAD_SIZE];
	char text[TEXTFILE_SIZE + 1];
	int r;

	r = attribute_read(source, &state->slave, text);
	if (r < 0)
		return r;
	if (r == 0) /* the kernel has tried five times */
		return source_fail(source, -ENODATA,
				   "%s is empty: the sensor does not answer, or not cleanly", path);
	if (strstr(text, " NO\n"))
		return source_fail(source, -EBADMSG,
				   "%s: wrong checksum: is the cable too long, or the pull-up "
				   "too weak?",
				   path);
	temperature = strstr(text, " t=");
	if (!strstr(text, " YES\n") || !temperature || !w1_scratchpad(text, scratchpad))
		return source_fail(source, -EBADMSG, "%s is not as w1_therm writes it", path);
	r = w1_check(source, scratchpad);
	if (r < 0)
		return r;
	temperature += strlen(" t=");
	return textfile_parse(source, path, temperature, strcspn(temperature, "\n"), ret);
}

/* --- temperature ---------------------------------------------------------------------------- */

static int w1_read_temperature(struct source *source, double *ret)
{
	const struct w1_state *state = source->state;
	double millidegree;
	int r;

	r = attribute_number(source, &state->temperature, &millidegree);
	if (r < 0)
		return r;
	if (millidegree == POWER_ON_T)
		return source_fail(source, -EIO,
				   "%s: 85 °C is the value after power-on, and nothing here tells "
				   "it from a true one",
				   source->options[W1_DEVICE].string);
	*ret = millidegree;
	return 0;
}

static int w1_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	const struct w1_state *state = source->state;
	double millidegree = 0;
	int r;

	(void)wait_us;
	r = attribute_is_open(&state->slave) ? w1_read_slave(source, &millidegree)
					     : w1_read_temperature(source, &millidegree);
	if (r == 0)
		values[0] = millidegree / 1000;
	return r;
}

static void w1_close(struct source *source)
{
	struct w1_state *state = source->state;

	attribute_close(&state->slave);
	attribute_close(&state->temperature);
}

extern const struct driver w1_driver;
const struct driver w1_driver = {
	.name = "w1",
	.kind = DRIVER_W1,
	.channels = w1_channels,
	.channel_count = ARRAY_SIZE(w1_channels),
	.options = w1_options,
	.option_count = ARRAY_SIZE(w1_options),
	.state_size = sizeof(struct w1_state),
	.limit_us = LIMIT_US,
	.open = w1_open,
	.collect = w1_collect,
	.close = w1_close,
};
