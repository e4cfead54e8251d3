/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sensirion SHTC3: temperature and humidity. "DS" is the data sheet SHTC3, version 3 (2019).
 *
 * The chip sleeps between two readings. While it sleeps it knows one command only, to wake up; while
 * it measures it answers nothing at all (DS 5.1, 5.4). So each reading is: wake up, measure, read,
 * sleep. What is read is gone, and a NACK also tells of a chip that lost it. It has no settings that
 * would need a reset.
 *
 * It has two modes: normal, and low power, with more noise.
 */

#include <errno.h>

#include "iotd/chip.h"

/* DS 5.1, table 8; 5.3, table 9: temperature first, no clock stretching; 5.9 */
#define CMD_SLEEP	      0xb098
#define CMD_WAKE_UP	      0x3517
#define CMD_MEASURE_NORMAL    0x7866
#define CMD_MEASURE_LOW_POWER 0x609c
#define CMD_READ_ID	      0xefc8

/* DS 5.9, table 15: the other bits differ from chip to chip */
#define ID_MASK 0x083f
#define ID	0x0807

/* DS 3.1, table 5: the longest */
#define WAKE_UP_US	     240
#define MEASURE_NORMAL_US    12100
#define MEASURE_LOW_POWER_US 800

#define AGAIN_US    2000
#define AGAIN_LIMIT 10

static const struct channel shtc3_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
};

/* DS 1, tables 1 and 2: what is specified */
static const struct chip_range shtc3_ranges[] = { { -40, 125 }, { 0, 100 } };

enum {
	REPEATABILITY
};

static const struct driver_option shtc3_options[] = {
	[REPEATABILITY] = { "repeatability", OPTION_STRING, .text = "high",
			    CHOICES("low", "medium", "high") },
};

/* in that order: low is the low power mode, the others are the normal one */
static const struct {
	uint16_t command;
	int64_t measure_us;
} shtc3_measurements[] = {
	{ CMD_MEASURE_LOW_POWER, MEASURE_LOW_POWER_US },
	{ CMD_MEASURE_NORMAL, MEASURE_NORMAL_US },
	{ CMD_MEASURE_NORMAL, MEASURE_NORMAL_US },
};

static int shtc3_open(struct source *source)
{
	uint16_t id;
	int r;

	r = chip_find(source, CMD_WAKE_UP, MEASURE_NORMAL_US);
	if (r < 0)
		return r;
	chip_pause(WAKE_UP_US);
	r = chip_query_words(source, CMD_READ_ID, 0, &id, 1);
	if (r < 0)
		return r;
	return (id & ID_MASK) == ID ? 0 : chip_stranger(source, id, "SHTC3");
}

static int shtc3_start(struct source *source, int64_t *wait_us)
{
	size_t choice = chip_choice(source, REPEATABILITY);
	int r;

	*wait_us = shtc3_measurements[choice].measure_us;
	r = chip_command(source, CMD_WAKE_UP);
	chip_pause(WAKE_UP_US);
	return r < 0 ? r : chip_command(source, shtc3_measurements[choice].command);
}

static int shtc3_collect(struct source *source, double values[static CHANNELS_MAX],
			 int64_t *wait_us)
{
	uint16_t words[2];
	int r;

	r = chip_read_words(source, words, ARRAY_SIZE(words));
	if (r < 0)
		return r == -ENXIO ? chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us) : r;
	r = chip_command(source, CMD_SLEEP);
	if (r < 0)
		return r;
	values[0] = -45 + 175 * words[0] / 65536.0; /* DS 5.11 */
	values[1] = 100 * words[1] / 65536.0;
	return chip_plausible(source, values, shtc3_ranges);
}

/* asleep again, as it was */
static enum recognition shtc3_recognise(struct i2c_device *i2c)
{
	static const uint8_t wake_up[] = { CMD_WAKE_UP >> 8, CMD_WAKE_UP & 0xff };
	static const uint8_t read_id[] = { CMD_READ_ID >> 8, CMD_READ_ID & 0xff };
	static const uint8_t sleep[] = { CMD_SLEEP >> 8, CMD_SLEEP & 0xff };
	uint8_t id[3];
	bool says;

	if (chip_can_be_read(i2c) != 0 || i2c_write(i2c, wake_up, sizeof(wake_up)) < 0)
		return RECOGNISED_NOT;
	chip_pause(WAKE_UP_US);
	says = i2c_write_read(i2c, read_id, sizeof(read_id), id, sizeof(id)) == 0;
	(void)i2c_write(i2c, sleep, sizeof(sleep));
	if (!says || crc8(id, sizeof(id), CRC8_SENSIRION, 0xff) != 0)
		return RECOGNISED_NOT;
	return (be16(id) & ID_MASK) == ID ? RECOGNISED : RECOGNISED_NOT;
}

CHIP_DRIVER(shtc3, CHIP_OPTIONS(shtc3_options), .recognise = shtc3_recognise,
	    .addresses = { 0x70 }); /* DS 5.2, table 7 */
