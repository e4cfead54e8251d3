/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bosch BMP388 and BMP390: temperature and pressure. "DS" is the data sheet of the BMP390,
 * BST-BMP390-DS002-07 (revision 1.7). The BMP388's, BST-BMP388-DS001-07, has the same registers and
 * formulas, another id, and slightly other times; so either driver name works with either chip.
 *
 * Forced mode (DS 3.3.2): each reading wakes the chip for one measurement and it sleeps again. The IIR
 * filter stays off: it counts measurements, not time. open() resets the chip, so it is of no matter in
 * what state another program left it.
 */

#include <errno.h>

#include "iotd/chip.h"

/* DS 4.2, memory map */
#define REG_CHIP_ID	0x00
#define REG_ERR		0x02 /* and STATUS at 0x03 */
#define REG_DATA	0x04 /* .. 0x09 */
#define REG_PWR_CTRL	0x1b
#define REG_OSR		0x1c
#define REG_CALIBRATION 0x31 /* .. 0x45 */
#define REG_CMD		0x7e

#define ID_BMP388	 0x50
#define ID_BMP390	 0x60
#define ERR_FATAL	 0x01
#define ERR_CMD		 0x02
#define ERR_CONF	 0x04
#define STATUS_DRDY	 0x60 /* of pressure and of temperature; gone when they are read */
#define PWR_BOTH	 0x03 /* measure pressure and temperature */
#define PWR_FORCED	 0x10
#define PWR_MODE	 0x30
#define CMD_RESET	 0xb6
#define RAW_POWER_ON	 0x800000 /* DS table 25; one of them alone may be a true value */
#define CALIBRATION_SIZE 21	  /* bytes */

#define STARTUP_US                                                                                 \
	10000 /* DS table 2 says 2 ms, and Bosch's BMP3_SensorAPI waits them after a reset */
#define AGAIN_US  2000 /* when the chip is slower than its data sheet */
#define AGAIN_MAX 15

/* DS 3.11.1 and 8.4, with its names: the words, made numbers */
struct bmp388_calibration {
	double t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11;
};

struct bmp388_state {
	struct bmp388_calibration calibration;
	uint8_t osr;
};

static const struct channel bmp388_channels[] = {
	{ "temperature", "°C", 2 },
	{ "pressure", "hPa", 2 },
};

/* beyond what it measures (DS table 2: -40 .. 85 °C, 300 .. 1250 hPa): a broken chip, not bad weather */
static const struct chip_range bmp388_ranges[] = { { -100, 150 }, { 0, 2000 } };

enum {
	OVERSAMPLING
};

static const struct driver_option bmp388_options[] = {
	[OVERSAMPLING] = { "oversampling", OPTION_INTEGER, .preset = 1,
			   CHOICES("1", "2", "4", "8", "16", "32") },
};

/* --- Conversions ---------------------------------------------------------------------------- */

/* DS 3.11.1, 8.4: @b is what the registers from 0x31 on have */
static void bmp388_set(struct bmp388_calibration *c, const uint8_t b[static CALIBRATION_SIZE])
{
	c->t1 = le16(b) * 0x1p8;
	c->t2 = le16(b + 2) * 0x1p-30;
	c->t3 = (int8_t)b[4] * 0x1p-48;
	c->p1 = (le16_signed(b + 5) - 0x1p14) * 0x1p-20;
	c->p2 = (le16_signed(b + 7) - 0x1p14) * 0x1p-29;
	c->p3 = (int8_t)b[9] * 0x1p-32;
	c->p4 = (int8_t)b[10] * 0x1p-37;
	c->p5 = le16(b + 11) * 0x1p3;
	c->p6 = le16(b + 13) * 0x1p-6;
	c->p7 = (int8_t)b[15] * 0x1p-8;
	c->p8 = (int8_t)b[16] * 0x1p-15;
	c->p9 = le16_signed(b + 17) * 0x1p-48;
	c->p10 = (int8_t)b[19] * 0x1p-48;
	c->p11 = (int8_t)b[20] * 0x1p-65;
}

/* DS 8.5 */
static double bmp388_celsius(const struct bmp388_calibration *c, double raw)
{
	double x = raw - c->t1;

	return x * c->t2 + x * x * c->t3;
}

/* DS 8.6 */
static double bmp388_pascal(const struct bmp388_calibration *c, double raw, double t)
{
	double offset = c->p5 + c->p6 * t + c->p7 * t * t + c->p8 * t * t * t;
	double slope = c->p1 + c->p2 * t + c->p3 * t * t + c->p4 * t * t * t;

	return offset + slope * raw + (c->p9 + c->p10 * t) * raw * raw + c->p11 * raw * raw * raw;
}

/* the longest of both chips (DS 3.9.2), and what table 23 has more for "max" than for "typ": under a fifth */
static int64_t bmp388_measure_us(int64_t oversampling)
{
	int64_t pressure = 392 + 2020 * oversampling, temperature = 313 + 2020 * oversampling;

	return (234 + pressure + temperature) * 6 / 5;
}

/* --- The chip ------------------------------------------------------------------------------- */

static int bmp388_identify(struct source *source)
{
	uint8_t id;
	int r;

	r = i2c_read_registers(source->i2c, REG_CHIP_ID, &id, 1);
	if (r < 0)
		return chip_absent(source, r);
	return id == ID_BMP388 || id == ID_BMP390 ? 0
						  : chip_stranger(source, id, "BMP388 or BMP390");
}

/* DS 4.3, ERR_REG */
static int bmp388_check(struct source *source, uint8_t err)
{
	if (err & ERR_FATAL)
		return source_fail(source, -EIO, "the chip reports a fatal error: it is broken");
	if (err & ERR_CMD)
		return source_fail(source, -EIO, "the chip could not carry out its reset");
	if (err & ERR_CONF)
		return source_fail(source, -EIO, "the chip refuses its settings");
	return 0;
}

static int bmp388_reset(struct source *source)
{
	uint8_t err;
	int r;

	r = i2c_write_register(source->i2c, REG_CMD, CMD_RESET);
	if (r < 0)
		return r;
	chip_pause(STARTUP_US);
	r = i2c_read_registers(source->i2c, REG_ERR, &err, 1);
	return r < 0 ? r : bmp388_check(source, err);
}

static int bmp388_calibrate(struct source *source)
{
	struct bmp388_state *state = source->state;
	uint8_t bytes[CALIBRATION_SIZE];
	int r;

	r = i2c_read_registers(source->i2c, REG_CALIBRATION, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	if (le16(bytes) == 0 || le16(bytes) == UINT16_MAX)
		return chip_blank(source);
	bmp388_set(&state->calibration, bytes);
	return 0;
}

static int bmp388_open(struct source *source)
{
	struct bmp388_state *state = source->state;
	size_t code = chip_choice(source, OVERSAMPLING);
	int r;

	state->osr = (uint8_t)(code << 3 | code); /* DS 4.3, OSR: of temperature, of pressure */
	r = bmp388_identify(source);
	if (r < 0)
		return r;
	r = bmp388_reset(source);
	if (r < 0)
		return r;
	r = bmp388_calibrate(source);
	if (r < 0)
		return r;
	return i2c_write_register(source->i2c, REG_OSR, state->osr);
}

static int bmp388_start(struct source *source, int64_t *wait_us)
{
	*wait_us = bmp388_measure_us(source->options[OVERSAMPLING].integer);
	return i2c_write_register(source->i2c, REG_PWR_CTRL, PWR_FORCED | PWR_BOTH);
}

/* Return: 0 there is something new; -EAGAIN not yet; another errno */
static int bmp388_ready(struct source *source, int64_t *wait_us)
{
	struct bmp388_state *state = source->state;
	uint8_t settings[2], err_status[2];
	int r;

	r = i2c_read_registers(source->i2c, REG_PWR_CTRL, settings, sizeof(settings));
	if (r < 0)
		return r;
	if ((settings[0] & PWR_BOTH) != PWR_BOTH || settings[1] != state->osr)
		return chip_lost(source);
	r = i2c_read_registers(source->i2c, REG_ERR, err_status, sizeof(err_status));
	if (r < 0)
		return r;
	r = bmp388_check(source, err_status[0]);
	if (r < 0)
		return r;
	if (settings[0] & PWR_MODE || (err_status[1] & STATUS_DRDY) != STATUS_DRDY)
		return chip_converting(source, AGAIN_MAX, AGAIN_US, wait_us);
	return 0;
}

static int bmp388_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	const struct bmp388_state *state = source->state;
	uint32_t raw_p, raw_t;
	uint8_t data[6];
	int r;

	r = bmp388_ready(source, wait_us);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_DATA, data, sizeof(data));
	if (r < 0)
		return r;
	raw_p = le24(data);
	raw_t = le24(data + 3);
	if (raw_p == RAW_POWER_ON && raw_t == RAW_POWER_ON)
		return source_fail(source, -EIO, "the chip did not measure");
	values[0] = bmp388_celsius(&state->calibration, raw_t);
	values[1] = bmp388_pascal(&state->calibration, raw_p, values[0]) / 100.0;
	return chip_plausible(source, values, bmp388_ranges);
}

static enum recognition bmp388_recognise(struct i2c_device *i2c)
{
	return chip_has_id(i2c, REG_CHIP_ID, ID_BMP388);
}

static enum recognition bmp390_recognise(struct i2c_device *i2c)
{
	return chip_has_id(i2c, REG_CHIP_ID, ID_BMP390);
}

CHIP_DRIVER(bmp388, CHIP_OPTIONS(bmp388_options), CHIP_STATE(struct bmp388_state),
	    .recognise = bmp388_recognise, .addresses = { 0x76, 0x77 });
CHIP_DRIVER_AS(bmp390, bmp388, CHIP_OPTIONS(bmp388_options), CHIP_STATE(struct bmp388_state),
	       .recognise = bmp390_recognise, .addresses = { 0x76, 0x77 });
