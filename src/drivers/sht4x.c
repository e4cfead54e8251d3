/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sensirion SHT40, SHT41, SHT43, SHT45: temperature and humidity. "DS" is the data sheet SHT4x,
 * version 6 (February 2023).
 *
 * The chip measures when it is told to, and does not answer until it is done (DS 4.5): the bus is
 * free meanwhile. A measurement can be read once, so a NACK also tells of a chip that lost it; too
 * many of them are a failure.
 */

#include <errno.h>
#include <math.h>

#include "iotd/chip.h"

/* DS 4.5, table 7 */
#define CMD_MEASURE_HIGH   0xfd
#define CMD_MEASURE_MEDIUM 0xf6
#define CMD_MEASURE_LOW	   0xe0
#define CMD_READ_SERIAL	   0x89
#define CMD_SOFT_RESET	   0x94

#define RESET_US    1000 /* DS 3.2, table 4 */
#define SERIAL_US   1000 /* as Sensirion's own driver waits (embedded-sht, sht4x.c) */
#define MEASURE_US  8300 /* DS 3.2, table 4: the longest of all */
#define AGAIN_US    2000
#define AGAIN_LIMIT 10

static const struct channel sht4x_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
};

/* DS 2.1, 2.2: what is specified */
static const struct chip_range sht4x_ranges[] = { { -40, 125 }, { 0, 100 } };

enum {
	REPEATABILITY
};

static const struct driver_option sht4x_options[] = {
	[REPEATABILITY] = { "repeatability", OPTION_STRING, .text = "high",
			    CHOICES("low", "medium", "high") },
};

/* in that order. DS 4.5, table 7; DS 3.2, table 4: the longest duration; 1.6 ms in other versions */
static const struct {
	uint8_t command;
	int64_t measure_us;
} sht4x_measurements[] = {
	{ CMD_MEASURE_LOW, 1700 },
	{ CMD_MEASURE_MEDIUM, 4500 },
	{ CMD_MEASURE_HIGH, MEASURE_US },
};

/* the first transfer: a chip that measures for another program does not answer until it is done */
static int sht4x_reset(struct source *source)
{
	int r;

	r = chip_command8(source, CMD_SOFT_RESET);
	if (r == -ENXIO) {
		chip_pause(MEASURE_US);
		r = chip_command8(source, CMD_SOFT_RESET);
	}
	chip_pause(RESET_US);
	return chip_absent(source, r);
}

/* the chip has no id: that it has a serial number with right checksums must do (DS 4.6) */
static int sht4x_open(struct source *source)
{
	uint16_t serial[2];
	int r;

	r = sht4x_reset(source);
	if (r < 0)
		return r;
	r = chip_command8(source, CMD_READ_SERIAL);
	if (r < 0)
		return r;
	chip_pause(SERIAL_US);
	return chip_read_words(source, serial, ARRAY_SIZE(serial));
}

static int sht4x_start(struct source *source, int64_t *wait_us)
{
	size_t choice = chip_choice(source, REPEATABILITY);

	*wait_us = sht4x_measurements[choice].measure_us;
	return chip_command8(source, sht4x_measurements[choice].command);
}

static int sht4x_collect(struct source *source, double values[static CHANNELS_MAX],
			 int64_t *wait_us)
{
	uint16_t words[2];
	int r;

	r = chip_read_words(source, words, ARRAY_SIZE(words));
	if (r < 0)
		return r == -ENXIO ? chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us) : r;
	values[0] = -45 + 175 * words[0] / 65535.0; /* DS 4.6 */
	values[1] = -6 + 125 * words[1] / 65535.0;
	values[1] = fmin(fmax(values[1], 0), 100); /* the same: what is beyond is cropped */
	return chip_plausible(source, values, sht4x_ranges);
}

/* as sht4x_open() */
static enum recognition sht4x_recognise(struct i2c_device *i2c)
{
	static const uint8_t command = CMD_READ_SERIAL;
	uint8_t serial[6];

	if (!chip_says(i2c, &command, 1, SERIAL_US, serial, sizeof(serial)) ||
	    crc8(serial, 3, CRC8_SENSIRION, 0xff) != 0 ||
	    crc8(serial + 3, 3, CRC8_SENSIRION, 0xff) != 0)
		return RECOGNISED_NOT;
	return RECOGNISED;
}

CHIP_DRIVER(sht4x, CHIP_OPTIONS(sht4x_options), .recognise = sht4x_recognise,
	    .addresses = { 0x44, 0x45, 0x46 }); /* DS, device overview: by the part's number */
