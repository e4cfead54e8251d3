/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Measurement Specialties HTU21D and Silicon Labs Si7013, Si7020, Si7021: temperature and humidity.
 * "DS" is the data sheet HTU21D(F) (HPC199_3, October 2013), by page; "Si" is the data sheet
 * Si7021-A20 (rev. 1.1).
 *
 * They take the same commands and speak the same numbers. The Si70xx says what it is in its
 * electronic serial number; the HTU21D has one too (Linux, drivers/iio/common/ms_sensors), but its
 * data sheet promises nothing of it. So htu21d takes all that are no Si70xx.
 *
 * "No hold master": the chip answers a read with a NACK until it is done, and the bus is free.
 * Humidity first, then temperature:
 *
 *	start → humidity → temperature
 */

#include <errno.h>
#include <math.h>

#include "iotd/chip.h"

/* DS page 11; Si 5, table 11 */
#define CMD_TEMPERATURE 0xf3
#define CMD_HUMIDITY	0xf5
#define CMD_WRITE_USER	0xe6
#define CMD_READ_USER	0xe7
#define CMD_SOFT_RESET	0xfe
#define CMD_SERIAL_HIGH 0xfc /* Si 5.3: the second half of the serial number begins with the id */
#define CMD_SERIAL_LOW	0xc9

/* DS page 13; Si 6.1: the others are to be left as they are */
#define USER_RESOLUTION 0x81 /* 0: 14 bits of temperature, 12 of humidity */
#define USER_HEATER	0x04

#define DATA_BITS 0xfffc /* DS page 15: the two status bits are to be set to 0 */

#define RESET_US    15000 /* DS page 12; Si table 2: the longest power-up time */
#define AGAIN_US    5000
#define AGAIN_LIMIT 9 /* of each of the two */

extern const struct driver si7021_driver;

struct htu21d_times {
	int64_t humidity_us, temperature_us;
};

/* DS pages 3 and 4, 12 and 14 bits, the longest */
static const struct htu21d_times htu21d_times = { 16000, 50000 };

/* Si table 2, the longest; a humidity takes the time of a temperature as well (Si 5.1) */
static const struct htu21d_times si7021_times = { 12000 + 10800, 10800 };

struct htu21d_state {
	const struct htu21d_times *times;
	bool has_humidity;
	double humidity;
};

static const struct channel htu21d_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
};

/* DS page 2; Si tables 4, 5: what is specified */
static const struct chip_range htu21d_ranges[] = { { -40, 125 }, { 0, 100 } };

/* DS page 14; Si 5.1: a checksum behind two bytes, initialised with 0 */
static bool htu21d_is_intact(const uint8_t word[static 3])
{
	return crc8(word, 3, CRC8_SENSIRION, 0x00) == 0;
}

static int htu21d_read_id(struct source *source, uint8_t *ret)
{
	static const uint8_t command[] = { CMD_SERIAL_HIGH, CMD_SERIAL_LOW };
	uint8_t word[3];
	int r;

	r = i2c_write_read(source->i2c, command, sizeof(command), word, sizeof(word));
	if (r < 0)
		return r;
	if (!htu21d_is_intact(word))
		return chip_disturbed(source);
	*ret = word[0];
	return 0;
}

/* a reset leaves the heater as it is (DS page 12) */
static int htu21d_set_up(struct source *source)
{
	uint8_t user, wanted;
	int r;

	r = i2c_read_registers(source->i2c, CMD_READ_USER, &user, 1);
	if (r < 0)
		return r;
	wanted = user & (uint8_t) ~(USER_RESOLUTION | USER_HEATER);
	return wanted == user ? 0 : i2c_write_register(source->i2c, CMD_WRITE_USER, wanted);
}

/* Si 5.3 */
static bool is_si70xx(uint8_t id)
{
	return id == 0x0d || id == 0x14 || id == 0x15;
}

static int htu21d_identify(struct source *source)
{
	bool is_wanted = source->driver == &si7021_driver;
	uint8_t id = 0;
	int r;

	r = htu21d_read_id(source, &id);
	if (r < 0)
		return r;
	if (is_si70xx(id) == is_wanted)
		return 0;
	return chip_stranger(source, id,
			     is_si70xx(id) ? "HTU21D; driver \"si7021\" reads it"
					   : "Si7021 (is it an HTU21D, driver \"htu21d\"?)");
}

static int htu21d_open(struct source *source)
{
	struct htu21d_state *state = source->state;
	int r;

	state->times = source->driver == &si7021_driver ? &si7021_times : &htu21d_times;
	r = chip_absent(source, chip_command8(source, CMD_SOFT_RESET));
	if (r < 0)
		return r;
	chip_pause(RESET_US);
	r = htu21d_identify(source);
	return r < 0 ? r : htu21d_set_up(source);
}

static int htu21d_measure(struct source *source, uint8_t command, int64_t duration_us,
			  int64_t *wait_us)
{
	source->polls = 0;
	*wait_us = duration_us;
	return chip_command8(source, command);
}

static int htu21d_start(struct source *source, int64_t *wait_us)
{
	struct htu21d_state *state = source->state;

	state->has_humidity = false;
	return htu21d_measure(source, CMD_HUMIDITY, state->times->humidity_us, wait_us);
}

/* Return: 0; -EAGAIN; another errno */
static int htu21d_fetch(struct source *source, uint16_t *ret, int64_t *wait_us)
{
	uint8_t word[3];
	int r;

	r = i2c_read(source->i2c, word, sizeof(word));
	if (r < 0)
		return r == -ENXIO ? chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us) : r;
	if (!htu21d_is_intact(word))
		return chip_disturbed(source);
	*ret = be16(word) & DATA_BITS;
	return 0;
}

/*
 * DS page 15; Si 5.1.1. Somewhat beyond 0 .. 100 % is to be cropped (Si 5.1.1), but all bits 0 or 1 are a
 * sensor or a bus that is broken.
 */
static double htu21d_humidity(uint16_t raw)
{
	double humidity = -6 + 125 * raw / 65536.0;

	return raw == 0 || raw == DATA_BITS ? humidity : fmin(fmax(humidity, 0), 100);
}

static int htu21d_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	struct htu21d_state *state = source->state;
	uint16_t raw = 0;
	int r;

	r = htu21d_fetch(source, &raw, wait_us);
	if (r < 0)
		return r;
	if (!state->has_humidity) {
		state->humidity = htu21d_humidity(raw);
		state->has_humidity = true;
		r = htu21d_measure(source, CMD_TEMPERATURE, state->times->temperature_us, wait_us);
		return r < 0 ? r : -EAGAIN;
	}
	values[0] = -46.85 + 175.72 * raw / 65536.0; /* DS page 15; Si 5.1.2 */
	values[1] = state->humidity;
	return chip_plausible(source, values, htu21d_ranges);
}

static enum recognition recognise(struct i2c_device *i2c, bool si70xx)
{
	static const uint8_t command[] = { CMD_SERIAL_HIGH, CMD_SERIAL_LOW };
	uint8_t word[3];

	if (!chip_says(i2c, command, sizeof(command), 0, word, sizeof(word)) ||
	    !htu21d_is_intact(word) || is_si70xx(word[0]) != si70xx)
		return RECOGNISED_NOT;
	return RECOGNISED;
}

static enum recognition htu21d_recognise(struct i2c_device *i2c)
{
	return recognise(i2c, false);
}

static enum recognition si7021_recognise(struct i2c_device *i2c)
{
	return recognise(i2c, true);
}

CHIP_DRIVER(htu21d, CHIP_STATE(struct htu21d_state), .recognise = htu21d_recognise,
	    .addresses = { 0x40 }); /* DS page 10 */

const struct driver si7021_driver = {
	.name = "si7021",
	.kind = DRIVER_I2C,
	.channels = htu21d_channels,
	.channel_count = ARRAY_SIZE(htu21d_channels),
	CHIP_STATE(struct htu21d_state),
	.addresses = { 0x40 }, /* Si 5 */
	.recognise = si7021_recognise,
	.open = htu21d_open,
	.start = htu21d_start,
	.collect = htu21d_collect,
};
