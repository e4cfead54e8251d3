/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sensirion SHT30, SHT31, SHT35: temperature and humidity. "DS" is the data sheet SHT3x-DIS,
 * version 5 (May 2018).
 *
 * Single shot without clock stretching (DS 4.3, 4.4): until the chip is done it answers a read with a
 * NACK, and the bus is free. A measurement can be read once, so a NACK also tells of a chip that lost
 * it; too many of them are a failure.
 */

#include <errno.h>

#include "iotd/chip.h"

/* DS 4.3, table 9; 4.8 .. 4.11, tables 13, 14, 17 */
#define CMD_MEASURE_HIGH   0x2400
#define CMD_MEASURE_MEDIUM 0x240b
#define CMD_MEASURE_LOW	   0x2416
#define CMD_BREAK	   0x3093
#define CMD_SOFT_RESET	   0x30a2
#define CMD_READ_STATUS	   0xf32d

#define STATUS_RESET 0x0010 /* DS table 18 */

#define BREAK_US    1000  /* DS 4.8 */
#define RESET_US    1500  /* DS 2.2, table 4: t_SR */
#define STATUS_US   1000  /* DS 4.3: the least time between a command and the read after it */
#define MEASURE_US  15500 /* DS 2.2, table 4: the longest of all */
#define AGAIN_US    2000
#define AGAIN_LIMIT 10

static const struct channel sht3x_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
};

/* DS 1.1, 1.2: what is specified */
static const struct chip_range sht3x_ranges[] = { { -40, 125 }, { 0, 100 } };

enum {
	REPEATABILITY
};

static const struct driver_option sht3x_options[] = {
	[REPEATABILITY] = { "repeatability", OPTION_STRING, .text = "high",
			    CHOICES("low", "medium", "high") },
};

/* in that order. DS 4.3, table 9; DS 2.2, table 4: the longest duration */
static const struct {
	uint16_t command;
	int64_t measure_us;
} sht3x_measurements[] = {
	{ CMD_MEASURE_LOW, 4500 },
	{ CMD_MEASURE_MEDIUM, 6500 },
	{ CMD_MEASURE_HIGH, MEASURE_US },
};

/* ends what another program began. The chip has no id: that it says it was reset must do */
static int sht3x_open(struct source *source)
{
	uint16_t status;
	int r;

	r = chip_find(source, CMD_BREAK, MEASURE_US); /* while it measures: DS 4.4 */
	if (r < 0)
		return r;
	chip_pause(BREAK_US);
	r = chip_command(source, CMD_SOFT_RESET);
	if (r < 0)
		return r;
	chip_pause(RESET_US);
	r = chip_query_words(source, CMD_READ_STATUS, STATUS_US, &status, 1);
	if (r < 0)
		return r;
	return status & STATUS_RESET ? 0 : chip_stranger(source, status, "SHT3x");
}

static int sht3x_start(struct source *source, int64_t *wait_us)
{
	size_t choice = chip_choice(source, REPEATABILITY);

	*wait_us = sht3x_measurements[choice].measure_us;
	return chip_command(source, sht3x_measurements[choice].command);
}

static int sht3x_collect(struct source *source, double values[static CHANNELS_MAX],
			 int64_t *wait_us)
{
	uint16_t words[2];
	int r;

	r = chip_read_words(source, words, ARRAY_SIZE(words));
	if (r < 0)
		return r == -ENXIO ? chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us) : r;
	values[0] = -45 + 175 * words[0] / 65535.0; /* DS 4.13 */
	values[1] = 100 * words[1] / 65535.0;
	return chip_plausible(source, values, sht3x_ranges);
}

/* there is no id, but its status has a checksum */
static enum recognition sht3x_recognise(struct i2c_device *i2c)
{
	return chip_says_words(i2c, CMD_READ_STATUS, 1);
}

CHIP_DRIVER(sht3x, CHIP_OPTIONS(sht3x_options), .recognise = sht3x_recognise,
	    .addresses = { 0x44, 0x45 }); /* DS 3.4, table 8 */
