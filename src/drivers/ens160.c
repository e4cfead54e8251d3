/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ScioSense ENS160: air quality index, volatile organic compounds and equivalent CO2. "DS" is the data
 * sheet ENS160 v0.95 (December 2020).
 *
 * The chip measures each second and says when there is something new; a reading takes each only once.
 *
 * After it was switched on it warms up for three minutes, and a new one has an initial start-up of an hour.
 * What it says until then is no reading. A failed reading opens the chip anew, so open() leaves a chip
 * that measures as it is: were it reset, it would warm up for ever. Registers, modes and the validity are as
 * in drivers/iio/chemical/ens160_core.c of Linux.
 */

#include <errno.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS 16.1, table 16 */
#define REG_PART_ID 0x00 /* 16 bits, as all behind it but for the modes: low byte first */
#define REG_OPMODE  0x10
#define REG_TEMP_IN 0x13
#define REG_RH_IN   0x15
#define REG_STATUS  0x20
#define REG_DATA    0x21 /* AQI, TVOC, ECO2 */

#define PART_ID 0x0160 /* DS 16.2.1 */

/* DS 16.2.2 */
#define OPMODE_IDLE	0x01
#define OPMODE_STANDARD 0x02
#define OPMODE_RESET	0xf0

#define TEMP_25_C 0x4a8a /* DS 16.2.5, the example: K * 64 */
#define RH_50	  0x6400 /* DS 16.2.6, the example: % * 512 */

/* DS 16.2.7 */
#define STATUS_RUNNING	0x80
#define STATUS_ERROR	0x40
#define STATUS_VALIDITY 0x0c
#define STATUS_WARM_UP	0x04
#define STATUS_START_UP 0x08
#define STATUS_NEW_DATA 0x02

#define AQI_BITS    0x07		 /* DS 16.2.8 */
#define MODE_US	    (10 * USEC_PER_MSEC) /* as Linux waits */
#define INTERVAL_US (1 * USEC_PER_SEC)	 /* DS 16.2.2: of standard mode */
#define AGAIN_US    (200 * USEC_PER_MSEC)
#define AGAIN_LIMIT 15

static const struct channel ens160_channels[] = {
	{ "aqi", "", 0 },
	{ "tvoc", "ppb", 0 },
	{ "eco2", "ppm", 0 },
};

/* DS 6, table 6 */
static const struct chip_range ens160_ranges[] = { { 1, 5 }, { 0, 65000 }, { 400, 65000 } };

static int set_mode(struct source *source, uint8_t mode)
{
	int r = i2c_write_register(source->i2c, REG_OPMODE, mode);

	chip_pause(MODE_US);
	return r;
}

/* Return: 1 the chip measures, 0 it does not, or a negative errno */
static int is_measuring(struct source *source)
{
	uint8_t mode, status;
	int r;

	r = i2c_read_registers(source->i2c, REG_OPMODE, &mode, 1);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_STATUS, &status, 1);
	if (r < 0)
		return r;
	return mode == OPMODE_STANDARD &&
	       (status & (STATUS_RUNNING | STATUS_ERROR)) == STATUS_RUNNING;
}

static int ens160_begin(struct source *source)
{
	static const uint8_t modes[] = { OPMODE_RESET, OPMODE_IDLE, OPMODE_STANDARD };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(modes) && r == 0; i++)
		r = set_mode(source, modes[i]);
	return r;
}

static int ens160_open(struct source *source)
{
	uint16_t id;
	int r;

	r = chip_read_le16(source, REG_PART_ID, &id);
	if (r < 0)
		return chip_absent(source, r);
	if (id != PART_ID)
		return chip_stranger(source, id, "ENS160");
	r = is_measuring(source);
	if (r == 0)
		r = ens160_begin(source);
	if (r < 0)
		return r;
	r = chip_write_le16(source, REG_TEMP_IN, TEMP_25_C);
	return r < 0 ? r : chip_write_le16(source, REG_RH_IN, RH_50);
}

static int ens160_start(struct source *source, int64_t *wait_us)
{
	*wait_us = source->readings == 1 ? INTERVAL_US : 0;
	return 0;
}

/* DS 8, 16.2.7 */
static int check_validity(struct source *source, uint8_t status)
{
	switch (status & STATUS_VALIDITY) {
	case 0:
		return 0;
	case STATUS_WARM_UP:
		return source_fail(source, -ENODATA,
				   "the chip warms up, for 3 minutes after it was switched on");
	case STATUS_START_UP:
		return source_fail(source, -ENODATA,
				   "the chip is new and starts up, which takes an hour (it "
				   "remembers that after a day of use)");
	default:
		return source_fail(source, -ENODATA, "the chip says that its output is not valid");
	}
}

/* Return: 0 there is something new; -EAGAIN; another errno */
static int ens160_ready(struct source *source, int64_t *wait_us)
{
	uint8_t status;
	int r;

	r = chip_keeps(source, REG_OPMODE, 0xff, OPMODE_STANDARD);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_STATUS, &status, 1);
	if (r < 0)
		return r;
	if (status & STATUS_ERROR)
		return source_fail(source, -EIO, "the chip reports an error (status 0x%02x)",
				   status);
	r = check_validity(source, status);
	if (r < 0)
		return r;
	if (!(status & STATUS_RUNNING) || !(status & STATUS_NEW_DATA))
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	return 0;
}

static int ens160_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	uint8_t data[5];
	int r;

	r = ens160_ready(source, wait_us);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_DATA, data, sizeof(data));
	if (r < 0)
		return r;
	values[0] = data[0] & AQI_BITS;
	values[1] = le16(&data[1]); /* DS 16.2.9 */
	values[2] = le16(&data[3]); /* DS 16.2.10 */
	return chip_plausible(source, values, ens160_ranges);
}

/* the id has its low byte first */
static enum recognition ens160_recognise(struct i2c_device *i2c)
{
	return chip_has_id_be16(i2c, REG_PART_ID, 0xffff, (PART_ID & 0xff) << 8 | PART_ID >> 8);
}

CHIP_DRIVER(ens160, .recognise = ens160_recognise, .addresses = { 0x53, 0x52 });
