/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bosch BME280, humidity, pressure and temperature, and BMP280, which lacks humidity.
 *
 * "DS" is the BME280 data sheet BST-BME280-DS002 (revision 1.6); the BMP280's, BST-BMP280-DS001,
 * agrees in all registers that both have (DS 5.2). The two are told apart by their id, so either
 * driver name works with either chip: what the chip has not is NAN, what the name has not is left out.
 *
 * Forced mode (DS 3.3.3): each reading wakes the chip for one measurement and it sleeps again. The
 * IIR filter stays off: it counts measurements, not time, and would delay a slow schedule by hours.
 * open() resets the chip, so it is of no matter in what state another program or a brown-out left it.
 */

#include <errno.h>
#include <math.h>

#include "iotd/chip.h"

/* DS 5.3, memory map */
#define REG_CALIBRATION_TP 0x88 /* .. 0xa1 */
#define REG_ID		   0xd0
#define REG_RESET	   0xe0
#define REG_CALIBRATION_H  0xe1 /* .. 0xe7 */
#define REG_CTRL_HUM	   0xf2
#define REG_STATUS	   0xf3
#define REG_CTRL_MEAS	   0xf4
#define REG_DATA	   0xf7 /* .. 0xfe */

#define ID_BME280	 0x60 /* DS 5.4.1 */
#define ID_BMP280	 0x58 /* BST-BMP280-DS001 4.3.1 */
#define RESET_WORD	 0xb6 /* DS 5.4.2 */
#define STATUS_MEASURING 0x08 /* DS 5.4.4 */
#define STATUS_IM_UPDATE 0x01 /* DS 5.4.4: calibration is being copied from the NVM */
#define MODE_FORCED	 0x01 /* DS 5.4.5 */
#define MODE_BITS	 0x03
#define SKIPPED_20_BITS	 0x80000 /* DS 5.4.7, 5.4.8: a measurement that did not take place */
#define FULL_20_BITS	 0xfffff

/* far beyond what the chip measures (DS table 1: -40 .. 85 °C, 300 .. 1100 hPa) */
#define CELSIUS_MIN (-100.0)
#define CELSIUS_MAX 150.0
#define PASCAL_MIN  0.0
#define PASCAL_MAX  200000.0

#define STARTUP_US	  2000 /* DS table 1, t_startup */
#define STARTUP_POLLS	  5
#define MEASURING_WAIT_US 1000 /* when the chip is slower than its data sheet */
#define MEASURING_POLLS	  20

enum bme280_kind {
	KIND_BME280,
	KIND_BMP280
};

/* DS table 16, with its names */
struct bme280_calibration {
	uint16_t t1;
	int16_t t2, t3;
	uint16_t p1;
	int16_t p2, p3, p4, p5, p6, p7, p8, p9;
	uint8_t h1;
	int16_t h2;
	uint8_t h3;
	int16_t h4, h5;
	int8_t h6;
};

struct bme280_state {
	enum bme280_kind kind; /* of the chip, whatever the driver is called */
	struct bme280_calibration calibration;
	uint8_t osrs; /* DS 5.4.3, table 20: code of the oversampling, the same for all three */
	int64_t measure_us;
};

static const struct channel bme280_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
	{ "pressure", "hPa", 2 },
};

static const struct channel bmp280_channels[] = {
	{ "temperature", "°C", 2 },
	{ "pressure", "hPa", 2 },
};

enum {
	OVERSAMPLING
};

static const struct driver_option bme280_options[] = {
	[OVERSAMPLING] = { "oversampling", OPTION_INTEGER, .preset = 1,
			   CHOICES("1", "2", "4", "8", "16") },
};

/* --- Conversions ---------------------------------------------------------------------------- */

/* DS 4.2.2, table 16: 0x88 .. 0xa1 */
static void calibration_set_tp(struct bme280_calibration *c, const uint8_t bytes[static 26])
{
	c->t1 = le16(bytes);
	c->t2 = le16_signed(bytes + 2);
	c->t3 = le16_signed(bytes + 4);
	c->p1 = le16(bytes + 6);
	c->p2 = le16_signed(bytes + 8);
	c->p3 = le16_signed(bytes + 10);
	c->p4 = le16_signed(bytes + 12);
	c->p5 = le16_signed(bytes + 14);
	c->p6 = le16_signed(bytes + 16);
	c->p7 = le16_signed(bytes + 18);
	c->p8 = le16_signed(bytes + 20);
	c->p9 = le16_signed(bytes + 22);
	c->h1 = bytes[25];
}

/* DS 4.2.2, table 16: 0xe1 .. 0xe7; h4 and h5 share the byte at 0xe5 */
static void calibration_set_h(struct bme280_calibration *c, const uint8_t bytes[static 7])
{
	c->h2 = le16_signed(bytes);
	c->h3 = bytes[2];
	c->h4 = (int16_t)sign_extend((uint32_t)bytes[3] << 4 | (bytes[4] & 0x0f), 12);
	c->h5 = (int16_t)sign_extend((uint32_t)bytes[5] << 4 | bytes[4] >> 4, 12);
	c->h6 = (int8_t)bytes[6];
}

/* DS 8.1, bme280_compensate_T_double(): t_fine, which is °C x 5120 */
static double bme280_t_fine(const struct bme280_calibration *c, uint32_t raw)
{
	double var1 = (raw / 16384.0 - c->t1 / 1024.0) * c->t2;
	double var2 = raw / 131072.0 - c->t1 / 8192.0;

	return var1 + var2 * var2 * c->t3;
}

/* DS 8.1, bme280_compensate_P_double(): Pa; NAN where the formula would divide by zero */
static double bme280_pascal(const struct bme280_calibration *c, uint32_t raw, double t_fine)
{
	double var1 = t_fine / 2.0 - 64000.0;
	double var2 = var1 * var1 * c->p6 / 32768.0 + var1 * c->p5 * 2.0;
	double p;

	var2 = var2 / 4.0 + c->p4 * 65536.0;
	var1 = (c->p3 * var1 * var1 / 524288.0 + c->p2 * var1) / 524288.0;
	var1 = (1.0 + var1 / 32768.0) * c->p1;
	if (fabs(var1) < 1e-9)
		return (double)NAN;

	p = (1048576.0 - raw - var2 / 4096.0) * 6250.0 / var1;
	var1 = c->p9 * p * p / 2147483648.0;
	var2 = p * c->p8 / 32768.0;
	return p + (var1 + var2 + c->p7) / 16.0;
}

/* DS 8.1, bme280_compensate_H_double(): % */
static double bme280_percent(const struct bme280_calibration *c, uint32_t raw, double t_fine)
{
	double t = t_fine - 76800.0;
	double h = raw - (c->h4 * 64.0 + c->h5 / 16384.0 * t);

	h *= c->h2 / 65536.0 * (1.0 + c->h6 / 67108864.0 * t * (1.0 + c->h3 / 67108864.0 * t));
	h *= 1.0 - c->h1 * h / 524288.0;
	return fmin(fmax(h, 0.0), 100.0);
}

/* DS 9.1, the longest that a measurement takes */
static int64_t bme280_measure_us(int64_t oversampling, bool humidity)
{
	int64_t one = 2300 * oversampling;

	return 1250 + one + (one + 575) + (humidity ? one + 575 : 0);
}

/* --- The chip ------------------------------------------------------------------------------- */

/* the pin SDO chooses between two addresses (DS 6.2) */
static int bme280_identify(struct source *source)
{
	struct bme280_state *state = source->state;
	uint8_t id;
	int r;

	r = i2c_read_registers(source->i2c, REG_ID, &id, 1);
	if (r < 0)
		return chip_absent(source, r);

	switch (id) {
	case ID_BME280:
		state->kind = KIND_BME280;
		return 0;
	case 0x56: /* samples, as is 0x57 (Linux drivers/iio/pressure/bmp280.h) */
	case 0x57:
	case ID_BMP280:
		state->kind = KIND_BMP280;
		return 0;
	default:
		return chip_stranger(source, id, "BME280 or BMP280");
	}
}

/* until the chip has its calibration again it may not answer, or answer with nothing (DS table 1, 5.4.4) */
static int bme280_reset(struct source *source)
{
	uint8_t status;
	int r;

	r = i2c_write_register(source->i2c, REG_RESET, RESET_WORD);
	if (r < 0)
		return r;

	for (int poll = 0; poll < STARTUP_POLLS; poll++) {
		chip_pause(STARTUP_US);
		r = i2c_read_registers(source->i2c, REG_STATUS, &status, 1);
		if (r == 0 && !(status & STATUS_IM_UPDATE))
			return 0;
		if (r < 0 && r != -ENXIO)
			return r;
	}
	if (r < 0)
		return source_fail(source, r, "the chip does not answer any more after its reset");
	return source_fail(source, -ETIMEDOUT, "the chip does not come out of its reset");
}

static int bme280_calibrate(struct source *source)
{
	struct bme280_state *state = source->state;
	struct bme280_calibration *c = &state->calibration;
	uint8_t tp[26], h[7];
	int r;

	r = i2c_read_registers(source->i2c, REG_CALIBRATION_TP, tp, sizeof(tp));
	if (r < 0)
		return r;
	calibration_set_tp(c, tp);
	if (c->t1 == 0 || c->t1 == UINT16_MAX || c->p1 == 0 || c->p1 == UINT16_MAX)
		return chip_blank(source);
	if (state->kind == KIND_BMP280)
		return 0;

	r = i2c_read_registers(source->i2c, REG_CALIBRATION_H, h, sizeof(h));
	if (r < 0)
		return r;
	calibration_set_h(c, h);
	return c->h2 == 0 || c->h2 == -1 ? chip_blank(source) : 0;
}

static int bme280_open(struct source *source)
{
	struct bme280_state *state = source->state;
	const struct option_value *oversampling = &source->options[OVERSAMPLING];
	int choice = option_choice(&bme280_options[OVERSAMPLING], oversampling), r;

	if (choice < 0)
		return source_fail(source, -EINVAL, "oversampling must be 1, 2, 4, 8 or 16");
	state->osrs = (uint8_t)(choice + 1); /* DS table 20 and its likes */

	r = bme280_identify(source);
	if (r < 0)
		return r;
	state->measure_us = bme280_measure_us(oversampling->integer, state->kind == KIND_BME280);
	r = bme280_reset(source);
	if (r < 0)
		return r;
	return bme280_calibrate(source);
}

static int bme280_start(struct source *source, int64_t *wait_us)
{
	struct bme280_state *state = source->state;
	uint8_t ctrl_meas = (uint8_t)(state->osrs << 5 | state->osrs << 2 | MODE_FORCED);
	int r;

	/* first, because it only takes effect by the write to ctrl_meas (DS 5.4.3) */
	if (state->kind == KIND_BME280) {
		r = i2c_write_register(source->i2c, REG_CTRL_HUM, state->osrs);
		if (r < 0)
			return r;
	}
	r = i2c_write_register(source->i2c, REG_CTRL_MEAS, ctrl_meas);
	if (r < 0)
		return r;

	*wait_us = state->measure_us;
	return 0;
}

static int bme280_convert(struct source *source, const uint8_t *data, double values[static 3])
{
	const struct bme280_state *state = source->state;
	const struct bme280_calibration *c = &state->calibration;
	uint32_t raw_p = be20(data), raw_t = be20(data + 3);
	double t_fine, celsius, pascal;

	/* one alone may be a true value: 0x80000 is about 26 °C on many chips */
	if (raw_t == SKIPPED_20_BITS && raw_p == SKIPPED_20_BITS)
		return source_fail(source, -EIO, "the chip did not measure");
	if (raw_t == 0 || raw_t == FULL_20_BITS || raw_p == 0 || raw_p == FULL_20_BITS)
		return source_fail(source, -EIO,
				   "the chip's data is blank: a bad chip or a disturbed bus");

	t_fine = bme280_t_fine(c, raw_t);
	pascal = bme280_pascal(c, raw_p, t_fine);
	if (!isfinite(pascal))
		return source_fail(source, -EIO, "the chip's calibration makes no pressure");
	celsius = t_fine / 5120.0;
	if (celsius < CELSIUS_MIN || celsius > CELSIUS_MAX || pascal < PASCAL_MIN ||
	    pascal > PASCAL_MAX)
		return source_fail(
			source, -EIO,
			"the chip says %.6g °C and %.6g hPa: a bad chip or a disturbed bus",
			celsius, pascal / 100.0);

	values[0] = celsius;
	values[1] = (double)NAN;
	if (state->kind == KIND_BME280)
		values[1] = bme280_percent(c, (uint32_t)data[6] << 8 | data[7], t_fine);
	values[2] = pascal / 100.0;
	return 0;
}

/*
 * Settings, status and data in one burst. Status comes before the data, so what follows a "done" is
 * complete; settings that are not ours any more tell that the chip was reset in between.
 */
static int bme280_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	struct bme280_state *state = source->state;
	bool humidity = state->kind == KIND_BME280;
	uint8_t registers[0x100];
	int r;

	r = i2c_read_registers(source->i2c, REG_CTRL_HUM, &registers[REG_CTRL_HUM],
			       humidity ? 13 : 11);
	if (r < 0)
		return r;

	if (registers[REG_STATUS] & STATUS_MEASURING)
		return chip_converting(source, MEASURING_POLLS, MEASURING_WAIT_US, wait_us);
	if ((registers[REG_CTRL_MEAS] & ~MODE_BITS) != (state->osrs << 5 | state->osrs << 2) ||
	    (humidity && registers[REG_CTRL_HUM] != state->osrs))
		return chip_lost(source);
	return bme280_convert(source, &registers[REG_DATA], values);
}

static int bmp280_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	double all[CHANNELS_MAX] = { 0 };
	int r;

	r = bme280_collect(source, all, wait_us);
	if (r < 0)
		return r;
	values[0] = all[0];
	values[1] = all[2];
	return 0;
}

static enum recognition bme280_recognise(struct i2c_device *i2c)
{
	return chip_has_id(i2c, REG_ID, ID_BME280);
}

static enum recognition bmp280_recognise(struct i2c_device *i2c)
{
	return chip_has_id(i2c, REG_ID, ID_BMP280);
}

CHIP_DRIVER(bme280, CHIP_OPTIONS(bme280_options), CHIP_STATE(struct bme280_state),
	    .recognise = bme280_recognise, .addresses = { 0x76, 0x77 });

extern const struct driver bmp280_driver;

const struct driver bmp280_driver = {
	.name = "bmp280",
	.kind = DRIVER_I2C,
	.channels = bmp280_channels,
	.channel_count = ARRAY_SIZE(bmp280_channels),
	CHIP_OPTIONS(bme280_options),
	CHIP_STATE(struct bme280_state),
	.addresses = { 0x76, 0x77 },
	.recognise = bmp280_recognise,
	.open = bme280_open,
	.start = bme280_start,
	.collect = bmp280_collect,
};
