/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Lite-On LTR-390UV-01: illuminance and UV index. "DS" is the data sheet DS86-2015-0004, version 1.1.
 *
 * The chip measures either visible or ultraviolet light, so a reading is a chain of two measurements:
 *
 *	ambient light → ultraviolet → standby
 *
 * Each begins in standby with the status cleared, so that what is "new data" was measured in this mode.
 * No window is thought of: the data sheet's factor for it, WFAC, is 1, and a channel's scale can be it.
 */

#include <errno.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS 6.1, register table */
#define REG_MAIN_CTRL	0x00
#define REG_MEAS_RATE	0x04
#define REG_GAIN	0x05
#define REG_PART_ID	0x06
#define REG_MAIN_STATUS 0x07
#define REG_ALS_DATA	0x0d
#define REG_UVS_DATA	0x10

/* DS "MAIN_CTRL" */
#define CTRL_STANDBY 0x00
#define CTRL_ENABLE  0x02
#define CTRL_UVS     0x08

#define PART_NUMBER	0xb  /* DS "PART_ID": the upper half; the lower is the revision */
#define STATUS_NEW_DATA 0x08 /* DS "MAIN_STATUS": cleared when it is read */

#define WAKE_UP_US  (10 * USEC_PER_MSEC) /* DS "Electrical Characteristics": from standby */
#define AGAIN_US    (10 * USEC_PER_MSEC)
#define AGAIN_LIMIT 9

/* DS "UV Index": counts for 1 at gain 18 and 400 ms */
#define UV_SENSITIVITY 2300.0
#define UV_GAIN	       18.0
#define UV_TIME_US     400000.0

/* DS "Calculating Lux": 0.6 x counts / (gain x INT), where INT is 1 for 100 ms */
#define LUX_FACTOR  0.6
#define LUX_TIME_US 100000.0

/*
 * As the choices of integration_time. DS "ALS_UVS_MEAS_RATE": how long, how many bits, and a rate that lets
 * it last so long
 */
static const struct ltr390_time {
	int64_t time_us;
	uint8_t rate;
	uint32_t full_scale;
} ltr390_times[] = {
	{ 12500, 0x50, 0x1fff },   { 25000, 0x40, 0xffff },   { 50000, 0x31, 0x1ffff },
	{ 100000, 0x22, 0x3ffff }, { 200000, 0x13, 0x7ffff }, { 400000, 0x04, 0xfffff },
};

struct ltr390_state {
	const struct ltr390_time *time;
	uint8_t ctrl;	    /* of the measurement under way */
	double illuminance; /* of this reading */
};

static const struct channel ltr390_channels[] = {
	{ "illuminance", "lx", 2 },
	{ "uv_index", "", 2 },
};

enum {
	GAIN,
	INTEGRATION_TIME
};

/* gains in the order of their codes (DS "ALS_UVS_GAIN") */
static const struct driver_option ltr390_options[] = {
	[GAIN] = { "gain", OPTION_INTEGER, .preset = 3, CHOICES("1", "3", "6", "9", "18") },
	[INTEGRATION_TIME] = { "integration_time", OPTION_DURATION, .preset = 100000,
			       CHOICES("12.5ms", "25ms", "50ms", "100ms", "200ms", "400ms") },
};

static double ltr390_lux(uint32_t counts, double gain, double time_us)
{
	return LUX_FACTOR * counts / (gain * time_us / LUX_TIME_US);
}

static double ltr390_uv_index(uint32_t counts, double gain, double time_us)
{
	return counts / (UV_SENSITIVITY * (gain / UV_GAIN) * (time_us / UV_TIME_US));
}

/* no reset: a chip that is reset may not acknowledge the command, and all that matters is set here */
static int ltr390_open(struct source *source)
{
	struct ltr390_state *state = source->state;
	const struct ltr390_time *time = &ltr390_times[chip_choice(source, INTEGRATION_TIME)];
	const struct chip_setting settings[] = {
		{ REG_MAIN_CTRL, CTRL_STANDBY },
		{ REG_MEAS_RATE, time->rate },
		{ REG_GAIN, (uint8_t)chip_choice(source, GAIN) },
	};
	uint8_t id;
	int r;

	state->time = time;
	r = i2c_read_registers(source->i2c, REG_PART_ID, &id, 1);
	if (r < 0)
		return chip_absent(source, r);
	if (id >> 4 != PART_NUMBER)
		return chip_stranger(source, id, "LTR-390UV");
	return chip_write_settings(source, settings, ARRAY_SIZE(settings));
}

static int ltr390_measure(struct source *source, uint8_t ctrl, int64_t *wait_us)
{
	struct ltr390_state *state = source->state;
	uint8_t status;
	int r;

	r = i2c_write_register(source->i2c, REG_MAIN_CTRL, CTRL_STANDBY);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_MAIN_STATUS, &status, 1);
	if (r < 0)
		return r;
	state->ctrl = ctrl;
	source->polls = 0;
	*wait_us = WAKE_UP_US + state->time->time_us * 5 / 4;
	return i2c_write_register(source->i2c, REG_MAIN_CTRL, ctrl);
}

static int ltr390_start(struct source *source, int64_t *wait_us)
{
	return ltr390_measure(source, CTRL_ENABLE, wait_us);
}

/* a chip that lost its power is in standby. Return: 0; -EAGAIN; another errno */
static int ltr390_ready(struct source *source, int64_t *wait_us)
{
	struct ltr390_state *state = source->state;
	uint8_t status;
	int r;

	r = chip_keeps(source, REG_MAIN_CTRL, 0xff, state->ctrl);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_MAIN_STATUS, &status, 1);
	if (r < 0)
		return r;
	if (!(status & STATUS_NEW_DATA))
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	return 0;
}

/* the upper bits of the last byte are not data (DS "ALS_DATA") */
static int ltr390_counts(struct source *source, uint8_t reg, uint32_t *ret)
{
	const struct ltr390_state *state = source->state;
	uint8_t bytes[3];
	int r;

	r = i2c_read_registers(source->i2c, reg, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	*ret = le24(bytes) & 0xfffff;
	if (*ret >= state->time->full_scale)
		return source_fail(source, -ERANGE,
				   "%s is saturated: too bright for this gain and integration_time",
				   reg == REG_ALS_DATA ? "illuminance" : "uv_index");
	return 0;
}

static int ltr390_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	struct ltr390_state *state = source->state;
	double gain = (double)source->options[GAIN].integer, time_us = (double)state->time->time_us;
	bool is_ultraviolet = state->ctrl & CTRL_UVS;
	uint32_t counts;
	int r;

	r = ltr390_ready(source, wait_us);
	if (r < 0)
		return r;
	r = ltr390_counts(source, is_ultraviolet ? REG_UVS_DATA : REG_ALS_DATA, &counts);
	if (r < 0)
		return r;
	if (!is_ultraviolet) {
		state->illuminance = ltr390_lux(counts, gain, time_us);
		r = ltr390_measure(source, CTRL_ENABLE | CTRL_UVS, wait_us);
		return r < 0 ? r : -EAGAIN;
	}
	values[0] = state->illuminance;
	values[1] = ltr390_uv_index(counts, gain, time_us);
	return i2c_write_register(source->i2c, REG_MAIN_CTRL, CTRL_STANDBY);
}

static enum recognition ltr390_recognise(struct i2c_device *i2c)
{
	uint8_t id;

	if (chip_can_be_read(i2c) <= 0 || i2c_read_registers(i2c, REG_PART_ID, &id, 1) < 0)
		return RECOGNISED_NOT;
	return id >> 4 == PART_NUMBER ? RECOGNISED : RECOGNISED_NOT;
}

CHIP_DRIVER(ltr390, CHIP_OPTIONS(ltr390_options), CHIP_STATE(struct ltr390_state),
	    .recognise = ltr390_recognise, .addresses = { 0x53 }); /* DS "I2C Protocols" */
