/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Texas Instruments INA219, INA226 and INA260: voltage, current, power. "DS219" is the data sheet SBOS448G,
 * "DS226" SBOS547B, "DS260" SBOS656C.
 *
 * Each reading is one triggered conversion of both voltages, each the average of 16 samples. That average
 * is not what the chips do after power-on, so it also shows whether they lost their settings.
 *
 * The current register counts in steps that follow from the calibration register and the shunt (DS219
 * 8.5.1, DS226 6.5.1): the finest with which max_current still fits. The INA260 has its shunt inside, and
 * fixed steps. What is beyond a range is no reading: the chip's overflow flag, and a shunt voltage at its end.
 *
 * Registers, steps and the bits of the configuration are as in drivers/hwmon/ina2xx.c of Linux, the ready flag of
 * an INA226 as in drivers/iio/adc/ina2xx-adc.c.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "iotd/chip.h"

/* DS219 table 2, DS226 table 7-1; DS260 8.6: REG_SHUNT is the current there, and 4 and 5 are not there */
#define REG_CONFIG	 0x00
#define REG_SHUNT	 0x01
#define REG_BUS		 0x02
#define REG_POWER	 0x03
#define REG_CURRENT	 0x04
#define REG_CALIBRATION	 0x05
#define REG_MASK_ENABLE	 0x06 /* not of the INA219 */
#define REG_MANUFACTURER 0xfe /* nor these */
#define REG_DIE		 0xff

#define CONFIG_RESET	 0x8000
#define CONFIG_MODE	 0x0007
#define CONFIG_PGA_SHIFT 11	/* INA219 only */
#define MANUFACTURER_TI	 0x5449 /* DS226 table 7-1 */
#define DIE_MASK	 0xfff0 /* below is the revision */
#define CURRENT_STEPS	 32768	/* DS219 8.5.1 */
#define PGA_LEAST	 0.04	/* V: DS219 8.6.2.1, the other gains are its multiples by 2 */
#define PGA_LEAST_END	 4000	/* in the shunt register: DS219 8.6.3.1 */
#define AGAIN_US	 2000
#define AGAIN_LIMIT	 10

/** struct ina2xx_kind - what differs between the chips */
struct ina2xx_kind {
	const char *name;
	uint16_t after_reset, config, die; /* REG_CONFIG; die: 0, it has no id */
	double shunt_end;		   /* V, of the widest range; 0: the shunt is inside */
	double calibration;		   /* DS219, DS226: equation 1 */
	uint16_t calibration_most;	   /* and the bits that there are */
	double current_step;		   /* A, of a shunt inside */
	double bus_step;		   /* V */
	int bus_shift;
	double power_steps; /* of the current, in one of power */
	uint8_t flags;	    /* the register with these two */
	uint16_t ready, overflow;
	int64_t convert_us;
};

/* 32 V, 16 samples, triggered (DS219 8.6.2.1); 8.51 ms twice, and as much longer as one sample may be (7.5) */
static const struct ina2xx_kind ina219 = {
	.name = "INA219",
	.after_reset = 0x399f,
	.config = 0x2000 | 12 << 7 | 12 << 3 | 3,
	.shunt_end = 0.32,
	.calibration = 0.04096,
	.calibration_most = 0xfffe,
	.bus_step = 0.004,
	.bus_shift = 3,
	.power_steps = 20,
	.flags = REG_BUS,
	.ready = 0x0002,
	.overflow = 0x0001,
	.convert_us = 18800,
};

/* 16 samples of 1.1 ms, triggered (DS226 7.1.1); no sample takes longer than 1.21 ms (5.5) */
static const struct ina2xx_kind ina226 = {
	.name = "INA226",
	.after_reset = 0x4127,
	.config = 0x4000 | 2 << 9 | 4 << 6 | 4 << 3 | 3,
	.die = 0x2260,
	.shunt_end = 0.08192,
	.calibration = 0.00512,
	.calibration_most = 0x7fff,
	.bus_step = 0.00125,
	.power_steps = 25,
	.flags = REG_MASK_ENABLE,
	.ready = 0x0008,
	.overflow = 0x0004,
	.convert_us = 38800,
};

/* DS260 8.6.1 .. 8.6.5 */
static const struct ina2xx_kind ina260 = {
	.name = "INA260",
	.after_reset = 0x6127,
	.config = 0x6000 | 2 << 9 | 4 << 6 | 4 << 3 | 3,
	.die = 0x2270,
	.current_step = 0.00125,
	.bus_step = 0.00125,
	.power_steps = 8, /* 10 mW */
	.flags = REG_MASK_ENABLE,
	.ready = 0x0008,
	.overflow = 0x0004,
	.convert_us = 38800,
};

struct ina2xx_state {
	const struct ina2xx_kind *kind;
	uint16_t config, calibration;
	int shunt_end;	     /* in REG_SHUNT */
	double current_step; /* A */
};

static const struct channel ina2xx_channels[] = {
	{ "voltage", "V", 5 },
	{ "current", "A", 5 },
	{ "power", "W", 2 },
};

enum {
	SHUNT,
	MAX_CURRENT
};

static const struct driver_option ina2xx_options[] = {
	[SHUNT] = { "shunt", OPTION_NUMBER, .minimum = 0.00002, .maximum = 1000, .preset = 0.1 },
	[MAX_CURRENT] = { "max_current", OPTION_NUMBER, .minimum = 0.000001, .maximum = 10000 },
};

static void check_range(const struct option_value *options, struct option_check *check,
			const struct ina2xx_kind *kind)
{
	double shunt = options[SHUNT].number, most = options[MAX_CURRENT].number;

	if (most * shunt > kind->shunt_end * (1 + 1e-9))
		option_fault(check, &options[MAX_CURRENT],
			     "%g A are %g V over a shunt of %g Ω: an %s measures up to %g V", most,
			     most * shunt, shunt, kind->name, kind->shunt_end);
}

static void ina219_check(const struct option_value *options, struct option_check *check)
{
	check_range(options, check, &ina219);
}

static void ina226_check(const struct option_value *options, struct option_check *check)
{
	check_range(options, check, &ina226);
}

static void ina260_check(const struct option_value *options, struct option_check *check)
{
	for (size_t i = 0; i < ARRAY_SIZE(ina2xx_options); i++)
		if (options[i].given)
			option_fault(check, &options[i],
				     "not for an INA260: its shunt and its range are fixed");
}

/* what the shunt lets it measure, or max_current if that is less. Return: V over the shunt */
static double shunt_most(const struct option_value *options, const struct ina2xx_kind *kind)
{
	double most = options[MAX_CURRENT].number * options[SHUNT].number;

	return most > 0 && most < kind->shunt_end ? most : kind->shunt_end;
}

/* DS219, DS226: equations 1 and 2. Return: what the register is to be; 0: there is none */
static uint16_t calibration_for(const struct option_value *options, const struct ina2xx_kind *kind)
{
	double calibration;

	if (kind->calibration_most == 0)
		return 0;
	calibration = kind->calibration / (shunt_most(options, kind) / CURRENT_STEPS);
	return (uint16_t)fmin(calibration * (1 + 1e-9), kind->calibration_most) &
	       kind->calibration_most;
}

/* Return: A; what the calibration, of which the fraction is cut, makes of it (DS219, DS226: equation 1) */
static double current_step(const struct option_value *options, const struct ina2xx_kind *kind)
{
	uint16_t calibration = calibration_for(options, kind);

	return calibration ? kind->calibration / (calibration * options[SHUNT].number)
			   : kind->current_step;
}

/* DS219 8.6.2.1: the finest of the gains 1, 1/2, 1/4, 1/8 that holds @most */
static void ina219_choose_gain(struct ina2xx_state *state, double most)
{
	int gain = 0;

	while (gain < 3 && PGA_LEAST * (1 << gain) * (1 + 1e-9) < most)
		gain++;
	state->config = (uint16_t)(state->config | gain << CONFIG_PGA_SHIFT);
	state->shunt_end = PGA_LEAST_END << gain;
}

/* as many digits as a step needs */
static int describe(const struct option_value *options,
		    struct channel channels[static CHANNELS_MAX], const struct ina2xx_kind *kind)
{
	double digits;

	memcpy(channels, ina2xx_channels, sizeof(ina2xx_channels));
	if (kind->calibration_most && options[SHUNT].number <= 0)
		return -EINVAL;
	digits = ceil(-log10(current_step(options, kind)));
	for (size_t i = 1; i < ARRAY_SIZE(ina2xx_channels); i++)
		channels[i].digits = (int)fmax(0, fmin(9, digits));
	return ARRAY_SIZE(ina2xx_channels);
}

static int ina219_describe(const struct option_value *options,
			   struct channel channels[static CHANNELS_MAX])
{
	return describe(options, channels, &ina219);
}

static int ina226_describe(const struct option_value *options,
			   struct channel channels[static CHANNELS_MAX])
{
	return describe(options, channels, &ina226);
}

/* the INA219 has no id: that it has its settings after a reset must do */
static int reset(struct source *source, const struct ina2xx_kind *kind)
{
	uint16_t config;
	int r;

	r = chip_write_be16(source, REG_CONFIG, CONFIG_RESET);
	if (r < 0)
		return chip_absent(source, r);
	r = chip_read_be16(source, REG_CONFIG, &config);
	if (r < 0)
		return r;
	return config == kind->after_reset ? 0 : chip_stranger(source, config, kind->name);
}

static int identify(struct source *source, const struct ina2xx_kind *kind)
{
	int r;

	r = chip_identify_be16(source, REG_MANUFACTURER, 0xffff, MANUFACTURER_TI, kind->name);
	return r < 0 ? r : chip_identify_be16(source, REG_DIE, DIE_MASK, kind->die, kind->name);
}

static int open_kind(struct source *source, const struct ina2xx_kind *kind)
{
	struct ina2xx_state *state = source->state;
	int r;

	r = kind->die ? identify(source, kind) : 0;
	if (r == 0)
		r = reset(source, kind);
	if (r < 0)
		return r;

	*state = (struct ina2xx_state){ .kind = kind, .config = kind->config };
	state->shunt_end = INT16_MAX;
	state->current_step = current_step(source->options, kind);
	state->calibration = calibration_for(source->options, kind);
	if (kind == &ina219)
		ina219_choose_gain(state, shunt_most(source->options, kind));
	return state->calibration ? chip_write_be16(source, REG_CALIBRATION, state->calibration)
				  : 0;
}

static int ina219_open(struct source *source)
{
	return open_kind(source, &ina219);
}

static int ina226_open(struct source *source)
{
	return open_kind(source, &ina226);
}

static int ina260_open(struct source *source)
{
	return open_kind(source, &ina260);
}

/* writing the mode triggers (DS219 8.4, DS226 6.4) */
static int ina2xx_start(struct source *source, int64_t *wait_us)
{
	struct ina2xx_state *state = source->state;

	*wait_us = state->kind->convert_us;
	return chip_write_be16(source, REG_CONFIG, state->config);
}

/* Return: 0 it has converted; -EAGAIN; another errno. Reading the flags of an INA226 clears them (DS226 7.1.7) */
static int ina2xx_ready(struct source *source, int64_t *wait_us)
{
	struct ina2xx_state *state = source->state;
	uint16_t flags;
	int r;

	r = chip_keeps_be16(source, REG_CONFIG, (uint16_t)~CONFIG_MODE,
			    (uint16_t)(state->config & ~CONFIG_MODE));
	if (r < 0)
		return r;
	r = chip_read_be16(source, state->kind->flags, &flags);
	if (r < 0)
		return r;
	if (!(flags & state->kind->ready))
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	if (flags & state->kind->overflow)
		return source_fail(source, -ERANGE,
				   "the current or the power is beyond the range (overflow flag)%s",
				   state->calibration ? ": raise max_current" : "");
	return 0;
}

/* the last register to be read is that of the power: it clears the flags of an INA219 (DS219 8.6.3.2) */
static int ina2xx_read(struct source *source, uint16_t raw[static REG_CURRENT + 1])
{
	struct ina2xx_state *state = source->state;
	const uint8_t order[] = { REG_SHUNT, REG_CURRENT, REG_BUS, REG_POWER };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		int r = order[i] == REG_CURRENT && !state->calibration
				? 0
				: chip_read_be16(source, order[i], &raw[order[i]]);

		if (r < 0)
			return r;
	}
	if (!state->calibration)
		raw[REG_CURRENT] = raw[REG_SHUNT];
	if (abs((int16_t)raw[REG_SHUNT]) >= state->shunt_end)
		return source_fail(
			source, -ERANGE, "the current is at the end of the range%s",
			state->calibration ? ": raise max_current, or take a smaller shunt" : "");
	return 0;
}

static int ina2xx_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	const struct ina2xx_state *state = source->state;
	uint16_t raw[REG_CURRENT + 1] = { 0 };
	int r;

	r = ina2xx_ready(source, wait_us);
	if (r < 0)
		return r;
	r = ina2xx_read(source, raw);
	if (r < 0)
		return r;
	values[0] = (raw[REG_BUS] >> state->kind->bus_shift) * state->kind->bus_step;
	values[1] = (int16_t)raw[REG_CURRENT] * state->current_step;
	values[2] = raw[REG_POWER] * state->kind->power_steps * state->current_step;
	return 0;
}

static enum recognition recognise(struct i2c_device *i2c, const struct ina2xx_kind *kind)
{
	if (chip_has_id_be16(i2c, REG_MANUFACTURER, 0xffff, MANUFACTURER_TI) != RECOGNISED)
		return RECOGNISED_NOT;
	return chip_has_id_be16(i2c, REG_DIE, DIE_MASK, kind->die);
}

/* no id, and no register whose value is known once it is in use */
static enum recognition ina219_recognise(struct i2c_device *i2c)
{
	return chip_can_be_read(i2c) > 0 ? RECOGNISED_PERHAPS : RECOGNISED_NOT;
}

static enum recognition ina226_recognise(struct i2c_device *i2c)
{
	return recognise(i2c, &ina226);
}

static enum recognition ina260_recognise(struct i2c_device *i2c)
{
	return recognise(i2c, &ina260);
}

extern const struct driver ina219_driver, ina226_driver, ina260_driver;

/* DS219 table 1, DS226 table 6-2, DS260 table 2: up to 0x4f */
#define INA2XX_DRIVER(chip, describes)                                                             \
	{                                                                                          \
		.name = #chip, .kind = DRIVER_I2C, .channels = ina2xx_channels,                    \
		.channel_count = ARRAY_SIZE(ina2xx_channels), .describe = (describes),             \
		.check = chip##_check, CHIP_OPTIONS(ina2xx_options),                               \
		CHIP_STATE(struct ina2xx_state), .addresses = { 0x40, 0x41, 0x44, 0x45 },          \
		.recognise = chip##_recognise, .open = chip##_open, .start = ina2xx_start,         \
		.collect = ina2xx_collect,                                                         \
	}

const struct driver ina219_driver = INA2XX_DRIVER(ina219, ina219_describe);
const struct driver ina226_driver = INA2XX_DRIVER(ina226, ina226_describe);
const struct driver ina260_driver = INA2XX_DRIVER(ina260, NULL);
