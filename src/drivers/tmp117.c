/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Texas Instruments TMP117: temperature. "DS" is the data sheet SNOSD82D.
 *
 * The chip is shut down and measures once when it is told to, the mean of 8 conversions, for which its
 * accuracy is specified (DS 7.4.3, 7.3.2). A chip that lost its power measures all the time, which is
 * no shutdown; and it says -256 °C until its first conversion ends. Registers and bits are as in
 * drivers/iio/temperature/tmp117.c of Linux and drivers/sensor/ti/tmp11x of Zephyr.
 */

#include "iotd/chip.h"

/* DS 7.6, table 7-3 */
#define REG_TEMPERATURE 0x00
#define REG_CONFIG	0x01
#define REG_DEVICE	0x0f

/* DS 7.6.2 */
#define CONFIG_READY	 0x2000 /* reading it clears it */
#define CONFIG_ONE_SHOT	 0x0c00
#define CONFIG_SHUTDOWN	 0x0400 /* set in both modes, also when the shot is over */
#define CONFIG_AVERAGE_8 0x0020

#define DEVICE_ID_MASK 0x0fff /* DS 7.6.11: above is the revision */
#define DEVICE_ID      0x0117

#define MEASURE_US  140000 /* DS 6.5: 8 times 17.5 ms, the longest */
#define AGAIN_US    10000
#define AGAIN_LIMIT 10

static const struct channel tmp117_channels[] = { { "temperature", "°C", 3 } };

/* DS 6.3 */
static const struct chip_range tmp117_ranges[] = { { -55, 150 } };

/* each start() makes all settings; offset and limits are the owner's */
static int tmp117_open(struct source *source)
{
	return chip_identify_be16(source, REG_DEVICE, DEVICE_ID_MASK, DEVICE_ID, "TMP117");
}

static int tmp117_start(struct source *source, int64_t *wait_us)
{
	*wait_us = MEASURE_US;
	return chip_write_be16(source, REG_CONFIG, CONFIG_ONE_SHOT | CONFIG_AVERAGE_8);
}

static int tmp117_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	uint16_t config, temperature;
	int r;

	r = chip_read_be16(source, REG_CONFIG, &config);
	if (r < 0)
		return r;
	if (!(config & CONFIG_SHUTDOWN))
		return chip_lost(source);
	if (!(config & CONFIG_READY))
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	r = chip_read_be16(source, REG_TEMPERATURE, &temperature);
	if (r < 0)
		return r;

	values[0] = (int16_t)temperature / 128.0; /* DS 7.3.3: 7.8125 m°C, two's complement */
	return chip_plausible(source, values, tmp117_ranges);
}

static enum recognition tmp117_recognise(struct i2c_device *i2c)
{
	return chip_has_id_be16(i2c, REG_DEVICE, DEVICE_ID_MASK, DEVICE_ID);
}

CHIP_DRIVER(tmp117, .recognise = tmp117_recognise,
	    .addresses = { 0x48, 0x49, 0x4a, 0x4b }); /* DS 7.5.3.1.2, table 7-2 */
