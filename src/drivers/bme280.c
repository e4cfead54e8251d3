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
#include <time.h>

#include "iotd/bus.h"
#include "iotd/clock.h"
#include "iotd/driver.h"

/* DS 5.3, memory map */
#define REG_CALIBRATION_TP 0x88 /* .. 0xa1 */
#define REG_ID		   0xd0
#define REG_RESET	   0xe0
#define REG_CALIBRATION_H  0xe1 /* .. 0xe7 */
#define REG_CTRL_HUM	   0xf2
#define REG_STATUS	   0xf3
#define REG_CTRL_MEAS	   0xf4
#define REG_DATA	   0xf7 /* .. 0xfe */

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
	int polls; /* of this measurement */
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

static const char *const bme280_oversamplings[] = { "1", "2", "4", "8", "16", NULL };

static const struct driver_option bme280_options[] = {
	[OVERSAMPLING] = { .name = "oversampling",
			   .type = OPTION_INTEGER,
			   .minimum = 1,
			   .maximum = 16,
			   .preset = 1,
			   .choices = bme280_oversamplings },
};

/* --- Conversions ---------------------------------------------------------------------------- */

static uint16_t unsigned_word(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static int16_t signed_word(const uint8_t *bytes)
{
	return (int16_t)unsigned_word(bytes);
}

static int16_t signed_12_bits(unsigned int bits)
{
	return (int16_t)(bits < 0x800 ? (int)bits : (int)bits - 0x1000);
}

static uint32_t data_20_bits(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 12 | (uint32_t)bytes[1] << 4 | (uint32_t)bytes[2] >> 4;
}

/* DS 4.2.2, table 16: 0x88 .. 0xa1 */
static void calibration_set_tp(struct bme280_calibration *c, const uint8_t bytes[static 26])
{
	c->t1 = unsigned_word(bytes);
	c->t2 = signed_word(bytes + 2);
	c->t3 = signed_word(bytes + 4);
	c->p1 = unsigned_word(bytes + 6);
	c->p2 = signed_word(bytes + 8);
	c->p3 = signed_word(bytes + 10);
	c->p4 = signed_word(bytes + 12);
	c->p5 = signed_word(bytes + 14);
	c->p6 = signed_word(bytes + 16);
	c->p7 = signed_word(bytes + 18);
	c->p8 = signed_word(bytes + 20);
	c->p9 = signed_word(bytes + 22);
	c->h1 = bytes[25];
}

/* DS 4.2.2, table 16: 0xe1 .. 0xe7; h4 and h5 share the byte at 0xe5 */
static void calibration_set_h(struct bme280_calibration *c, const uint8_t bytes[static 7])
{
	c->h2 = signed_word(bytes);
	c->h3 = bytes[2];
	c->h4 = signed_12_bits((unsigned int)bytes[3] << 4 | (bytes[4] & 0x0f));
	c->h5 = signed_12_bits((unsigned int)bytes[5] << 4 | bytes[4] >> 4);
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

/* DS table 20 and its likes: 1, 2, 4, 8, 16 -> 1 .. 5; 0: there is no such oversampling */
static uint8_t bme280_osrs(int64_t oversampling)
{
	for (uint8_t code = 1; code <= 5; code++)
		if (oversampling == 1 << (code - 1))
			return code;
	return 0;
}

/* DS 9.1, the longest that a measurement takes */
static int64_t bme280_measure_us(int64_t oversampling, bool humidity)
{
	int64_t one = 2300 * oversampling;

	return 1250 + one + (one + 575) + (humidity ? one + 575 : 0);
}

/* --- The chip ------------------------------------------------------------------------------- */

static void bme280_pause(int64_t duration_us)
{
	struct timespec duration = { .tv_nsec = duration_us * NSEC_PER_USEC };

	(void)nanosleep(&duration, NULL);
}

/* the pin SDO chooses between two addresses (DS 6.2) */
static int bme280_identify(struct source *source)
{
	struct bme280_state *state = source->state;
	const struct i2c_device *i2c = source->i2c;
	uint8_t id;
	int r;

	r = i2c_read_registers(source->i2c, REG_ID, &id, 1);
	if (r == -ENXIO)
		return source_fail(source, r, "no chip answered at 0x%02x on %s (is it 0x%02x?)",
				   i2c->address, i2c->bus_name,
				   i2c->address == 0x76 ? 0x77U : 0x76U);
	if (r < 0)
		return r;

	switch (id) {
	case 0x60: /* DS 5.4.1 */
		state->kind = KIND_BME280;
		return 0;
	case 0x56: /* samples, as is 0x57 (Linux drivers/iio/pressure/bmp280.h) */
	case 0x57:
	case 0x58: /* BST-BMP280-DS001 4.3.1 */
		state->kind = KIND_BMP280;
		return 0;
	default:
		return source_fail(source, -ENODEV,
				   "chip id 0x%02x at 0x%02x on %s is no BME280 or BMP280", id,
				   i2c->address, i2c->bus_name);
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
		bme280_pause(STARTUP_US);
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
		return source_fail(
			source, -EIO,
			"the chip's calibration is blank: a bad chip or a disturbed bus");
	if (state->kind == KIND_BMP280)
		return 0;

	r = i2c_read_registers(source->i2c, REG_CALIBRATION_H, h, sizeof(h));
	if (r < 0)
		return r;
	calibration_set_h(c, h);
	if (c->h2 == 0 || c->h2 == -1)
		return source_fail(
			source, -EIO,
			"the chip's calibration is blank: a bad chip or a disturbed bus");
	return 0;
}

static int bme280_open(struct source *source)
{
	struct bme280_state *state = source->state;
	int64_t oversampling = source->options[OVERSAMPLING].integer;
	int r;

	state->osrs = bme280_osrs(oversampling);
	if (state->osrs == 0)
		return source_fail(source, -EINVAL, "oversampling must be 1, 2, 4, 8 or 16");

	r = bme280_identify(source);
	if (r < 0)
		return r;
	state->measure_us = bme280_measure_us(oversampling, state->kind == KIND_BME280);
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

	state->polls = 0;
	*wait_us = state->measure_us;
	return 0;
}

static int bme280_convert(struct source *source, const uint8_t *data, double values[static 3])
{
	const struct bme280_state *state = source->state;
	const struct bme280_calibration *c = &state->calibration;
	uint32_t raw_p = data_20_bits(data), raw_t = data_20_bits(data + 3);
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
static int bme280_collect_all(struct source *source, double values[static 3], int64_t *wait_us)
{
	struct bme280_state *state = source->state;
	bool humidity = state->kind == KIND_BME280;
	uint8_t registers[0x100];
	int r;

	r = i2c_read_registers(source->i2c, REG_CTRL_HUM, &registers[REG_CTRL_HUM],
			       humidity ? 13 : 11);
	if (r < 0)
		return r;

	if (registers[REG_STATUS] & STATUS_MEASURING) {
		if (++state->polls > MEASURING_POLLS)
			return source_fail(source, -ETIMEDOUT,
					   "the chip does not end its measurement");
		*wait_us = MEASURING_WAIT_US;
		return -EAGAIN;
	}
	if ((registers[REG_CTRL_MEAS] & ~MODE_BITS) != (state->osrs << 5 | state->osrs << 2) ||
	    (humidity && registers[REG_CTRL_HUM] != state->osrs))
		return source_fail(source, -EIO,
				   "the chip lost its settings: was it reset or without power?");
	return bme280_convert(source, &registers[REG_DATA], values);
}

static int bme280_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	return bme280_collect_all(source, values, wait_us);
}

static int bmp280_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	double all[3] = { 0 };
	int r;

	r = bme280_collect_all(source, all, wait_us);
	if (r < 0)
		return r;
	values[0] = all[0];
	values[1] = all[2];
	return 0;
}

extern const struct driver bme280_driver, bmp280_driver;

const struct driver bme280_driver = {
	.name = "bme280",
	.kind = DRIVER_I2C,
	.channels = bme280_channels,
	.channel_count = ARRAY_SIZE(bme280_channels),
	.options = bme280_options,
	.option_count = ARRAY_SIZE(bme280_options),
	.state_size = sizeof(struct bme280_state),
	.addresses = { 0x76, 0x77 },
	.open = bme280_open,
	.start = bme280_start,
	.collect = bme280_collect,
};

const struct driver bmp280_driver = {
	.name = "bmp280",
	.kind = DRIVER_I2C,
	.channels = bmp280_channels,
	.channel_count = ARRAY_SIZE(bmp280_channels),
	.options = bme280_options,
	.option_count = ARRAY_SIZE(bme280_options),
	.state_size = sizeof(struct bme280_state),
	.addresses = { 0x76, 0x77 },
	.open = bme280_open,
	.start = bme280_start,
	.collect = bmp280_collect,
};
