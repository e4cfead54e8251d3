/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Aosong (ASAIR) AHT20, AHT21, AHT25, DHT20: temperature and humidity. "DS" is the product manual
 * AHT20, version 1.1.
 *
 * What is read begins with the status: whether the chip is still busy, and whether it has its
 * calibration, which it loads after power-on or when it is told to. A chip that lost its power in
 * between shows by having none, or by -50 °C. The command "0x71" of DS 5.4 is the address with the
 * bit for reading.
 */

#include <errno.h>

#include "iotd/chip.h"

/* DS 5.3, table 8; 5.4; 5.5 */
#define CMD_INITIALISE 0xbe
#define CMD_MEASURE    0xac
#define CMD_SOFT_RESET 0xba

/* DS 5.3, table 9 */
#define STATUS_BUSY	  0x80
#define STATUS_CALIBRATED 0x08

/* DS 5.4, 5.5 */
#define RESET_US      20000
#define INITIALISE_US 10000
#define MEASURE_US    80000
#define AGAIN_US      10000
#define AGAIN_LIMIT   10

static const struct channel aht20_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
};

/* DS 1, tables 1 and 2: what is specified */
static const struct chip_range aht20_ranges[] = { { -40, 85 }, { 0, 100 } };

/* the chip has no id: that it finds its calibration must do */
static int aht20_calibrate(struct source *source)
{
	static const uint8_t initialise[] = { CMD_INITIALISE, 0x08, 0x00 };
	uint8_t status;
	int r;

	r = i2c_read(source->i2c, &status, 1);
	if (r < 0 || status & STATUS_CALIBRATED)
		return r;
	r = i2c_write(source->i2c, initialise, sizeof(initialise));
	if (r < 0)
		return r;
	chip_pause(INITIALISE_US);
	r = i2c_read(source->i2c, &status, 1);
	if (r < 0 || status & STATUS_CALIBRATED)
		return r;
	return source_fail(source, -EIO, "status 0x%02x at 0x%02x on %s: no AHT20, or a bad one",
			   status, source->i2c->address, source->i2c->bus_name);
}

static int aht20_open(struct source *source)
{
	int r;

	r = chip_absent(source, chip_command8(source, CMD_SOFT_RESET));
	if (r < 0)
		return r;
	chip_pause(RESET_US);
	return aht20_calibrate(source);
}

static int aht20_start(struct source *source, int64_t *wait_us)
{
	static const uint8_t measure[] = { CMD_MEASURE, 0x33, 0x00 };

	*wait_us = MEASURE_US;
	return i2c_write(source->i2c, measure, sizeof(measure));
}

static int aht20_collect(struct source *source, double values[static CHANNELS_MAX],
			 int64_t *wait_us)
{
	uint8_t data[7]; /* status, 20 bits of humidity, 20 of temperature, checksum (DS 5.4) */
	int r;

	r = i2c_read(source->i2c, data, sizeof(data));
	if (r < 0)
		return r;
	if (data[0] & STATUS_BUSY)
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	if (crc8(data, sizeof(data), CRC8_SENSIRION, 0xff) != 0)
		return chip_disturbed(source);
	if (!(data[0] & STATUS_CALIBRATED))
		return chip_lost(source);

	values[0] = (be24(&data[3]) & 0xfffff) * 200 / 1048576.0 - 50; /* DS 6.2 */
	values[1] = be20(&data[1]) * 100 / 1048576.0;		       /* DS 6.1 */
	return chip_plausible(source, values, aht20_ranges);
}

/* there is no id. What it measured last, at first nothing, has a checksum whenever it is read (DS 5.4) */
static enum recognition aht20_recognise(struct i2c_device *i2c)
{
	uint8_t data[7];

	if (i2c_read(i2c, data, sizeof(data)) < 0)
		return RECOGNISED_NOT;
	return crc8(data, sizeof(data), CRC8_SENSIRION, 0xff) == 0 ? RECOGNISED
								   : RECOGNISED_PERHAPS;
}

CHIP_DRIVER(aht20, .recognise = aht20_recognise, .addresses = { 0x38 }); /* DS 5.3 */
