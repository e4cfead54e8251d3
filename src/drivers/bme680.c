/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bosch BME680 and BME688: temperature, humidity, pressure, and the resistance of a heated gas sensor.
 *
 * "DS" is the data sheet of the BME680, BST-BME680-DS001 (revision 1.0); the BME688's, BST-BME688-DS000,
 * agrees but for the gas: other registers, another bit to begin it, another formula. The two are told
 * apart by their variant id, so either driver name works with either chip. The formulas are those for
 * floating point of Bosch's BME68x_SensorAPI ("API"), which the data sheets point to.
 *
 * Forced mode (DS 3.1): each reading wakes the chip, which measures, heats, measures the gas, and sleeps
 * again. Oversampling is that of the data sheet's quick start (DS 3.2.1); the filter stays off: it counts
 * measurements, not time. open() resets the chip and makes all settings.
 *
 * If the heater did not get warm enough, or the gas could not be measured, there is no gas_resistance in
 * the reading (NAN); the other channels do not depend on it.
 */

#include <errno.h>
#include <math.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS 5.2, memory map; the field is status (DS 5.3.5) and data (5.3.4) of one measurement */
#define REG_CALIBRATION_3 0x00 /* .. 0x04 */
#define REG_FIELD	  0x1d /* .. 0x2d */
#define REG_RES_HEAT	  0x5a
#define REG_GAS_WAIT	  0x64
#define REG_CTRL_GAS_0	  0x70
#define REG_CTRL_GAS_1	  0x71
#define REG_CTRL_HUM	  0x72
#define REG_CTRL_MEAS	  0x74
#define REG_CALIBRATION_1 0x8a /* .. 0xa0 */
#define REG_CHIP_ID	  0xd0
#define REG_RESET	  0xe0
#define REG_CALIBRATION_2 0xe1 /* .. 0xee */
#define REG_VARIANT_ID	  0xf0

#define CHIP_ID	      0x61
#define VARIANT_688   0x01 /* API, BME68X_VARIANT_GAS_HIGH */
#define RESET_WORD    0xb6
#define RUN_GAS_680   0x10
#define RUN_GAS_688   0x20
#define RUN_GAS_BITS  0x3f
#define HUM_X1	      0x01
#define HUM_BITS      0x07
#define MEAS_T2_P16   0x54 /* temperature x2, pressure x16 (DS 5.3.2) */
#define MEAS_MODE     0x03
#define MODE_FORCED   0x01
#define NEW_DATA      0x80
#define MEASURING     0x60 /* anything, gas */
#define GAS_VALID     0x20
#define HEAT_STABLE   0x10
#define SKIPPED_20    0x80000 /* a measurement that did not take place */
#define FIELD_SIZE    17
#define SETTINGS_SIZE 5 /* from CTRL_GAS_0 on */

#define RESET_US	10000 /* API, BME68X_PERIOD_RESET */
#define MEASURE_US	42590 /* API, bme68x_get_meas_dur(): 19 samples of 1963, 9 x 477, 1000 */
#define GAS_WAIT_MAX_MS 4032  /* DS 5.3.3 */
#define AMBIENT_CELSIUS 25.0  /* of the heater's formula; 20 °C more are one step of RES_HEAT */
#define AGAIN_US	10000 /* API, BME68X_PERIOD_POLL */
#define AGAIN_MAX	10

/* DS 3.3.1, 3.3.5, with its names */
struct bme680_calibration {
	uint16_t t1;
	int16_t t2;
	int8_t t3;
	uint16_t p1;
	int16_t p2, p4, p5, p8, p9;
	int8_t p3, p6, p7;
	uint8_t p10;
	uint16_t h1, h2;
	int8_t h3, h4, h5, h7;
	uint8_t h6;
	int8_t g1, g3;
	int16_t g2;
	int8_t heat_val, switch_error;
	uint8_t heat_range;
};

struct bme680_state {
	bool is_688;
	struct bme680_calibration calibration;
};

static const struct channel bme680_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
	{ "pressure", "hPa", 2 },
	{ "gas_resistance", "Ω", 0 },
};

/* beyond what it measures (DS 1: -40 .. 85 °C, 300 .. 1100 hPa): a broken chip */
static const struct chip_range bme680_ranges[] = {
	{ -100, 150 }, { 0, 100 }, { 0, 2000 }, { 0, 2e8 }
};

enum {
	HEATER_TEMPERATURE,
	HEATER_DURATION
};

/* DS 3.3.5: 200 .. 400 °C, and 20 to 30 ms to get there */
static const struct driver_option bme680_options[] = {
	[HEATER_TEMPERATURE] = { "heater_temperature", OPTION_INTEGER, .minimum = 200,
				 .maximum = 400, .preset = 320 },
	[HEATER_DURATION] = { "heater_duration", OPTION_DURATION, .minimum = 30 * USEC_PER_MSEC,
			      .maximum = GAS_WAIT_MAX_MS * USEC_PER_MSEC,
			      .preset = 150 * USEC_PER_MSEC },
};

/* --- Calibration -------------------------------------------------------------------------------- */

/* DS 3.3.1, 3.3.2: @b from 0x8a on */
static void bme680_set_1(struct bme680_calibration *c, const uint8_t b[static 23])
{
	c->t2 = le16_signed(b);
	c->t3 = (int8_t)b[2];
	c->p1 = le16(b + 4);
	c->p2 = le16_signed(b + 6);
	c->p3 = (int8_t)b[8];
	c->p4 = le16_signed(b + 10);
	c->p5 = le16_signed(b + 12);
	c->p7 = (int8_t)b[14];
	c->p6 = (int8_t)b[15];
	c->p8 = le16_signed(b + 18);
	c->p9 = le16_signed(b + 20);
	c->p10 = b[22];
}

/* DS 3.3.3, 3.3.1, 3.3.5: @b from 0xe1 on; h1 and h2 share the byte at 0xe2 */
static void bme680_set_2(struct bme680_calibration *c, const uint8_t b[static 14])
{
	c->h2 = (uint16_t)(b[0] << 4 | b[1] >> 4);
	c->h1 = (uint16_t)(b[2] << 4 | (b[1] & 0x0f));
	c->h3 = (int8_t)b[3];
	c->h4 = (int8_t)b[4];
	c->h5 = (int8_t)b[5];
	c->h6 = b[6];
	c->h7 = (int8_t)b[7];
	c->t1 = le16(b + 8);
	c->g2 = le16_signed(b + 10);
	c->g1 = (int8_t)b[12];
	c->g3 = (int8_t)b[13];
}

/* DS 3.3.5, 3.4.1: @b from 0x00 on */
static void bme680_set_3(struct bme680_calibration *c, const uint8_t b[static 5])
{
	c->heat_val = (int8_t)b[0];
	c->heat_range = b[2] >> 4 & 0x03;
	c->switch_error = (int8_t)sign_extend(b[4] >> 4, 4);
}

/* --- Conversions -------------------------------------------------------------------------------- */

/* API, calc_temperature(); DS 3.3.1 */
static double bme680_celsius(const struct bme680_calibration *c, uint32_t raw)
{
	double x = raw / 16384.0 - c->t1 / 1024.0;

	return (x * c->t2 + x * x / 64.0 * c->t3 * 16.0) / 5120.0;
}

/* API, calc_pressure(); DS 3.3.2: Pa; negative where the formula would divide by zero */
static double bme680_pascal(const struct bme680_calibration *c, uint32_t raw, double celsius)
{
	double x = celsius * 2560.0 - 64000.0;
	double offset = (x * x * c->p6 / 131072.0 + x * c->p5 * 2.0) / 4.0 + c->p4 * 65536.0;
	double slope = (x * x * c->p3 / 16384.0 + c->p2 * x) / 524288.0;
	double p, cube;

	slope = (1.0 + slope / 32768.0) * c->p1;
	if (fabs(slope) < 1.0)
		return -1.0;
	p = (1048576.0 - raw - offset / 4096.0) * 6250.0 / slope;
	cube = p / 256.0 * (p / 256.0) * (p / 256.0) * c->p10 / 131072.0;
	return p + (p * p * c->p9 / 0x1p31 + p * c->p8 / 32768.0 + cube + c->p7 * 128.0) / 16.0;
}

/* API, calc_humidity(); DS 3.3.3 */
static double bme680_percent(const struct bme680_calibration *c, uint16_t raw, double celsius)
{
	double x = raw - (c->h1 * 16.0 + c->h3 / 2.0 * celsius);
	double gain = c->h2 / 262144.0 *
		      (1.0 + c->h4 / 16384.0 * celsius + c->h5 / 1048576.0 * celsius * celsius);
	double h = x * gain;

	h += (c->h6 / 16384.0 + c->h7 / 2097152.0 * celsius) * h * h;
	return fmin(fmax(h, 0.0), 100.0);
}

/* API, calc_gas_resistance_low(); DS 3.4.1: k1, k2 are what each range is off, in % */
static double bme680_ohm(const struct bme680_calibration *c, uint16_t raw, int range)
{
	static const double k1[16] = { [5] = -1, [7] = -0.8, [10] = -0.2, [11] = -0.5, [13] = -1 };
	static const double k2[16] = { [4] = 0.1, [5] = 0.7, [7] = -0.8, [8] = -0.1 };
	double full = (1340.0 + 5.0 * c->switch_error) * (1.0 + k1[range] / 100.0);

	return 1.0 / ((1.0 + k2[range] / 100.0) * 0.000000125 * (1 << range) *
		      ((raw - 512.0) / full + 1.0));
}

/* API, calc_gas_resistance_high(); BST-BME688-DS000 3.4.1 */
static double bme688_ohm(uint16_t raw, int range)
{
	return 1000000.0 * (262144 >> range) / (4096.0 + (raw - 512.0) * 3.0);
}

/* API, calc_res_heat(); DS 3.3.5: what RES_HEAT must be for that temperature */
static uint8_t bme680_res_heat(const struct bme680_calibration *c, double celsius)
{
	double hot = (c->g1 / 16.0 + 49.0) * (1.0 + (c->g2 / 32768.0 * 0.0005 + 0.00235) * celsius);
	double sum = hot + c->g3 / 1024.0 * AMBIENT_CELSIUS;
	double code =
		3.4 * (sum * (4.0 / (4.0 + c->heat_range)) / (1.0 + c->heat_val * 0.002) - 25);

	return (uint8_t)fmin(fmax(code, 0.0), 255.0);
}

/* API, calc_gas_wait(); DS 5.3.3: six bits of ms, and above them a factor of 1, 4, 16 or 64 */
static uint8_t bme680_gas_wait(int64_t duration_us)
{
	int64_t count = duration_us / USEC_PER_MSEC;
	int factor = 0;

	while (count > 0x3f) {
		count /= 4;
		factor++;
	}
	return (uint8_t)(factor << 6 | count);
}

/* --- The chip ----------------------------------------------------------------------------------- */

static int bme680_identify(struct source *source)
{
	struct bme680_state *state = source->state;
	uint8_t variant;
	int r;

	r = chip_identify(source, REG_CHIP_ID, CHIP_ID, "BME680 or BME688");
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_VARIANT_ID, &variant, 1);
	if (r < 0)
		return r;
	state->is_688 = variant == VARIANT_688;
	return 0;
}

static int bme680_calibrate(struct source *source)
{
	struct bme680_state *state = source->state;
	struct bme680_calibration *c = &state->calibration;
	uint8_t b1[23], b2[14], b3[5];
	int r;

	r = i2c_read_registers(source->i2c, REG_CALIBRATION_1, b1, sizeof(b1));
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_CALIBRATION_2, b2, sizeof(b2));
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_CALIBRATION_3, b3, sizeof(b3));
	if (r < 0)
		return r;
	bme680_set_1(c, b1);
	bme680_set_2(c, b2);
	bme680_set_3(c, b3);
	if (c->t1 == 0 || c->t1 == UINT16_MAX || c->p1 == 0 || c->p1 == UINT16_MAX)
		return chip_blank(source);
	return 0;
}

static uint8_t bme680_run_gas(const struct bme680_state *state)
{
	return state->is_688 ? RUN_GAS_688 : RUN_GAS_680;
}

/* what the reset did not make; the first of ten heater settings is the one that is used (DS 3.2.1) */
static int bme680_configure(struct source *source)
{
	const struct bme680_state *state = source->state;
	const struct option_value *options = source->options;
	const struct chip_setting settings[] = {
		{ REG_RES_HEAT, bme680_res_heat(&state->calibration,
						(double)options[HEATER_TEMPERATURE].integer) },
		{ REG_GAS_WAIT, bme680_gas_wait(options[HEATER_DURATION].integer) },
		{ REG_CTRL_GAS_1, bme680_run_gas(state) },
		{ REG_CTRL_HUM, HUM_X1 },
	};

	return chip_write_settings(source, settings, ARRAY_SIZE(settings));
}

static int bme680_open(struct source *source)
{
	int r;

	r = bme680_identify(source);
	if (r < 0)
		return r;
	r = i2c_write_register(source->i2c, REG_RESET, RESET_WORD);
	if (r < 0)
		return r;
	chip_pause(RESET_US);
	r = bme680_calibrate(source);
	if (r < 0)
		return r;
	return bme680_configure(source);
}

static int bme680_start(struct source *source, int64_t *wait_us)
{
	*wait_us = MEASURE_US + source->options[HEATER_DURATION].integer;
	return i2c_write_register(source->i2c, REG_CTRL_MEAS, MEAS_T2_P16 | MODE_FORCED);
}

/* settings that are not ours any more tell that the chip was reset since */
static int bme680_check(struct source *source)
{
	uint8_t settings[SETTINGS_SIZE];
	int r;

	r = i2c_read_registers(source->i2c, REG_CTRL_GAS_0, settings, sizeof(settings));
	if (r < 0)
		return r;
	if ((settings[REG_CTRL_GAS_1 - REG_CTRL_GAS_0] & RUN_GAS_BITS) !=
		    bme680_run_gas(source->state) ||
	    (settings[REG_CTRL_HUM - REG_CTRL_GAS_0] & HUM_BITS) != HUM_X1 ||
	    (settings[REG_CTRL_MEAS - REG_CTRL_GAS_0] & ~MEAS_MODE) != MEAS_T2_P16)
		return chip_lost(source);
	return 0;
}

/* @field: from REG_FIELD on; NAN: there is none */
static double bme680_gas(const struct bme680_state *state, const uint8_t field[static FIELD_SIZE])
{
	const uint8_t *gas = &field[state->is_688 ? 15 : 13];
	uint16_t raw = be16(gas) >> 6;

	if ((gas[1] & (GAS_VALID | HEAT_STABLE)) != (GAS_VALID | HEAT_STABLE))
		return (double)NAN;
	return state->is_688 ? bme688_ohm(raw, gas[1] & 0x0f)
			     : bme680_ohm(&state->calibration, raw, gas[1] & 0x0f);
}

static int bme680_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	struct bme680_state *state = source->state;
	const struct bme680_calibration *c = &state->calibration;
	uint8_t field[FIELD_SIZE];
	int r;

	r = bme680_check(source);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_FIELD, field, sizeof(field));
	if (r < 0)
		return r;
	if ((field[0] & (NEW_DATA | MEASURING)) != NEW_DATA)
		return chip_converting(source, AGAIN_MAX, AGAIN_US, wait_us);
	if (be20(&field[2]) == SKIPPED_20 && be20(&field[5]) == SKIPPED_20)
		return source_fail(source, -EIO, "the chip did not measure");

	values[0] = bme680_celsius(c, be20(&field[5]));
	values[1] = bme680_percent(c, be16(&field[8]), values[0]);
	values[2] = bme680_pascal(c, be20(&field[2]), values[0]) / 100.0;
	values[3] = bme680_gas(state, field);
	return chip_plausible(source, values, bme680_ranges);
}

/* the variant of a BME680 is 0 (API, BME68X_VARIANT_GAS_LOW) */
static enum recognition recognise(struct i2c_device *i2c, uint8_t variant)
{
	if (chip_has_id(i2c, REG_CHIP_ID, CHIP_ID) != RECOGNISED)
		return RECOGNISED_NOT;
	return chip_has_id(i2c, REG_VARIANT_ID, variant);
}

static enum recognition bme680_recognise(struct i2c_device *i2c)
{
	return recognise(i2c, 0);
}

static enum recognition bme688_recognise(struct i2c_device *i2c)
{
	return recognise(i2c, VARIANT_688);
}

CHIP_DRIVER(bme680, CHIP_OPTIONS(bme680_options), CHIP_STATE(struct bme680_state),
	    .recognise = bme680_recognise, .addresses = { 0x76, 0x77 });
CHIP_DRIVER_AS(bme688, bme680, CHIP_OPTIONS(bme680_options), CHIP_STATE(struct bme680_state),
	       .recognise = bme688_recognise, .addresses = { 0x76, 0x77 });
