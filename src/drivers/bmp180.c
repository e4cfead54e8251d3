/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bosch BMP180: temperature and pressure. "DS" is the data sheet BST-BMP180-DS000-12 (revision 2.8).
 *
 * The chip measures one of the two when it is told to, and pressure is made of both. So a reading is a
 * chain: start() begins the temperature, the first collect() fetches it and begins the pressure, the
 * next fetches that.
 *
 * The arithmetic is the data sheet's, in integers: its roundings are part of the 0.1 °C and the 1 Pa.
 */

#include <errno.h>

#include "iotd/chip.h"

/* DS 4, memory map */
#define REG_CALIBRATION 0xaa /* .. 0xbf */
#define REG_ID		0xd0
#define REG_RESET	0xe0
#define REG_CTRL_MEAS	0xf4
#define REG_OUT		0xf6 /* .. 0xf8 */

#define CHIP_ID	      0x55
#define RESET_WORD    0xb6
#define CTRL_SCO      0x20     /* a conversion is under way */
#define POWER_ON_CTRL 0x00     /* never while and after a conversion */
#define POWER_ON_OUT  0x800000 /* DS 4: before the first conversion */

/* DS 3.3.1, 5.2: what to measure, and the longest that it takes */
#define MEASURE_TEMPERATURE 0x2e
#define MEASURE_PRESSURE    0x34 /* oversampling << 6 */
#define TEMPERATURE_US	    4500
#define PRESSURE_US	    1500 /* and 3000 for each sample */

#define STARTUP_US    10000 /* DS table 1 */
#define AGAIN_US      1000  /* when the chip is slower than its data sheet */
#define AGAIN_MAX     8
#define NO_B5	      1000000 /* 6250 °C: refused as no plausible temperature */
#define ABSURD_PASCAL 1000000

/* DS 3.4, with its names; MB is there, and used by no formula */
struct bmp180_calibration {
	int16_t ac1, ac2, ac3;
	uint16_t ac4, ac5, ac6;
	int16_t b1, b2, mc, md;
};

struct bmp180_state {
	struct bmp180_calibration calibration;
	int oss; /* DS 3.3.1: 0 .. 3 for 1, 2, 4, 8 samples */
	bool has_temperature;
	int64_t ut;
};

static const struct channel bmp180_channels[] = {
	{ "temperature", "°C", 1 },
	{ "pressure", "hPa", 2 },
};

/* beyond what it measures (DS table 1: -40 .. 85 °C, 300 .. 1100 hPa): a broken chip, not bad weather */
static const struct chip_range bmp180_ranges[] = { { -100, 150 }, { 0, 2000 } };

enum {
	OVERSAMPLING
};

static const struct driver_option bmp180_options[] = {
	[OVERSAMPLING] = { "oversampling", OPTION_INTEGER, .preset = 1,
			   CHOICES("1", "2", "4", "8") },
};

/* DS 3.5, "calculate true temperature": B5, which is °C x 160; NO_B5: it would divide by zero */
static int64_t bmp180_b5(const struct bmp180_calibration *c, int64_t ut)
{
	int64_t x1 = ((ut - c->ac6) * c->ac5) >> 15;

	return x1 + c->md == 0 ? NO_B5 : x1 + c->mc * 2048LL / (x1 + c->md);
}

/* DS 3.5, "calculate true pressure": Pa; a negative or absurd number where it makes none */
static int64_t bmp180_pascal(const struct bmp180_calibration *c, int64_t up, int oss, int64_t b5)
{
	int64_t b6 = b5 - 4000;
	int64_t square = (b6 * b6) >> 12;
	int64_t x3 = ((c->b2 * square) >> 11) + ((c->ac2 * b6) >> 11);
	int64_t b3 = ((c->ac1 * 4LL + x3) * (1 << oss) + 2) >> 2;
	int64_t b4, b7, p, x1, x2;

	x3 = (((c->ac3 * b6) >> 13) + ((c->b1 * square) >> 16) + 2) >> 2;
	b4 = (c->ac4 * (x3 + 32768)) >> 15;
	b7 = (up - b3) * (50000 >> oss);
	if (b4 <= 0)
		return -1;
	p = b7 < 0x80000000 ? b7 * 2 / b4 : b7 / b4 * 2;
	if (p < 0 || p > ABSURD_PASCAL)
		return p;
	x1 = ((p >> 8) * (p >> 8) * 3038) >> 16;
	x2 = (7357 * p + 65535) >> 16; /* up, because it is taken away */
	return p + ((x1 - x2 + 3791) >> 4);
}

/* DS 3.4: no word of an intact calibration is 0 or 0xffff */
static int bmp180_calibrate(struct source *source)
{
	struct bmp180_state *state = source->state;
	uint8_t bytes[22];
	uint16_t w[11];
	int r;

	r = i2c_read_registers(source->i2c, REG_CALIBRATION, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = be16(&bytes[2 * i]);
		if (w[i] == 0 || w[i] == 0xffff)
			return chip_blank(source);
	}
	state->calibration = (struct bmp180_calibration){
		.ac1 = (int16_t)w[0],
		.ac2 = (int16_t)w[1],
		.ac3 = (int16_t)w[2],
		.ac4 = w[3],
		.ac5 = w[4],
		.ac6 = w[5],
		.b1 = (int16_t)w[6],
		.b2 = (int16_t)w[7],
		.mc = (int16_t)w[9],
		.md = (int16_t)w[10],
	};
	return 0;
}

static int bmp180_open(struct source *source)
{
	struct bmp180_state *state = source->state;
	int r;

	state->oss = (int)chip_choice(source, OVERSAMPLING);
	r = chip_identify(source, REG_ID, CHIP_ID, "BMP180");
	if (r < 0)
		return r;
	r = i2c_write_register(source->i2c, REG_RESET, RESET_WORD);
	if (r < 0)
		return r;
	chip_pause(STARTUP_US);
	return bmp180_calibrate(source);
}

static int bmp180_start(struct source *source, int64_t *wait_us)
{
	struct bmp180_state *state = source->state;

	state->has_temperature = false;
	*wait_us = TEMPERATURE_US;
	return i2c_write_register(source->i2c, REG_CTRL_MEAS, MEASURE_TEMPERATURE);
}

static int bmp180_start_pressure(struct source *source, int64_t *wait_us)
{
	struct bmp180_state *state = source->state;
	int r;

	source->polls = 0;
	*wait_us = PRESSURE_US + 3000 * (1 << state->oss);
	r = i2c_write_register(source->i2c, REG_CTRL_MEAS,
			       (uint8_t)(MEASURE_PRESSURE | state->oss << 6));
	return r < 0 ? r : -EAGAIN;
}

/* what was measured, in 24 bits */
static int bmp180_fetch(struct source *source, int64_t *raw, int64_t *wait_us)
{
	uint8_t ctrl, out[3];
	int r;

	r = i2c_read_registers(source->i2c, REG_CTRL_MEAS, &ctrl, 1);
	if (r < 0)
		return r;
	if (ctrl & CTRL_SCO)
		return chip_converting(source, AGAIN_MAX, AGAIN_US, wait_us);
	r = i2c_read_registers(source->i2c, REG_OUT, out, sizeof(out));
	if (r < 0)
		return r;
	*raw = be24(out);
	return ctrl == POWER_ON_CTRL && *raw == POWER_ON_OUT ? chip_lost(source) : 0;
}

static int bmp180_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	struct bmp180_state *state = source->state;
	const struct bmp180_calibration *c = &state->calibration;
	int64_t raw = 0, b5;
	int r;

	r = bmp180_fetch(source, &raw, wait_us);
	if (r < 0)
		return r;
	if (!state->has_temperature) {
		state->has_temperature = true;
		state->ut = raw >> 8;
		return bmp180_start_pressure(source, wait_us);
	}
	b5 = bmp180_b5(c, state->ut);
	values[0] = (double)((b5 + 8) >> 4) / 10.0;
	values[1] = (double)bmp180_pascal(c, raw >> (8 - state->oss), state->oss, b5) / 100.0;
	return chip_plausible(source, values, bmp180_ranges);
}

static enum recognition bmp180_recognise(struct i2c_device *i2c)
{
	return chip_has_id(i2c, REG_ID, CHIP_ID);
}

CHIP_DRIVER(bmp180, CHIP_OPTIONS(bmp180_options), CHIP_STATE(struct bmp180_state),
	    .recognise = bmp180_recognise, .addresses = { 0x77 }); /* DS 5.1 */
