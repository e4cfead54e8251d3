/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ams (TAOS) TSL2561: illuminance. "DS" is the data sheet TAOS059, by heading.
 *
 * Two photodiodes, one for all light and one for the infrared; their counts and an empirical formula,
 * which knows two kinds of packages, make lux. The chip's id tells its package. It measures all the time
 * once it is powered up, and says nothing of when a measurement ends: the first one is waited for. A chip
 * that lost its power is powered down.
 */

#include <math.h>

#include "iotd/chip.h"

/* DS "Command Register": each transfer begins with one, and a register's number is part of it */
#define CMD	 0x80
#define CMD_WORD 0x20

/* DS "Register Set" */
#define REG_CONTROL 0x00
#define REG_TIMING  0x01
#define REG_ID	    0x0a
#define REG_DATA0   0x0c
#define REG_DATA1   0x0e

#define CONTROL_UP    0x03 /* DS "Control Register" */
#define CONTROL_DOWN  0x00
#define TIMING_HIGH   0x10 /* DS "Timing Register": 16x */
#define PART_SHIFT    4	   /* DS "ID Register" */
#define PART_2561_CS  0x1
#define PART_2561_TFN 0x5

/*
 * As the choices of integration_time. DS "Timing Register", "Operating Characteristics" with its notes:
 * 11, 81 and 322 x 918 clocks of at least 690 kHz
 */
static const struct tsl2561_time {
	uint8_t timing;
	int64_t longest_us;
	uint16_t full_scale;
	int scale; /* to 402 ms, times 2^10 (DS "Simplified Lux Calculation") */
} tsl2561_times[] = {
	{ 0x00, 15000, 5047, 0x7517 },
	{ 0x01, 108000, 37177, 0x0fe7 },
	{ 0x02, 429000, 65535, 0x0400 },
};

/* DS "Simplified Lux Calculation": up to this ratio of infrared to all, times 2^9, lux = (b x all - m x infrared) / 2^14 */
struct tsl2561_segment {
	int ratio, b, m;
};

static const struct tsl2561_segment tsl2561_segments_tfn[] = {
	{ 0x040, 0x1f2, 0x1be }, { 0x080, 0x214, 0x2d1 },
	{ 0x0c0, 0x23f, 0x37b }, { 0x100, 0x270, 0x3fe },
	{ 0x138, 0x16f, 0x1fc }, { 0x19a, 0x0d2, 0x0fb },
	{ 0x29a, 0x018, 0x012 }, { 0 },
};

static const struct tsl2561_segment tsl2561_segments_cs[] = {
	{ 0x043, 0x204, 0x1ad }, { 0x085, 0x228, 0x2c1 },
	{ 0x0c8, 0x253, 0x363 }, { 0x10a, 0x282, 0x3df },
	{ 0x14d, 0x177, 0x1dd }, { 0x19a, 0x101, 0x127 },
	{ 0x29a, 0x037, 0x02b }, { 0 },
};

struct tsl2561_state {
	const struct tsl2561_segment *segments;
	const struct tsl2561_time *time;
	uint8_t timing;
	double scale; /* of counts, to 402 ms and 16x */
};

static const struct channel tsl2561_channels[] = { { "illuminance", "lx", 2 } };

enum {
	GAIN,
	INTEGRATION_TIME
};

static const struct driver_option tsl2561_options[] = {
	[GAIN] = { "gain", OPTION_INTEGER, .preset = 1, CHOICES("1", "16") },
	[INTEGRATION_TIME] = { "integration_time", OPTION_DURATION, .preset = 402000,
			       CHOICES("13.7ms", "101ms", "402ms") },
};

/* of counts at 402 ms and 16x. The last segment's ratio is 0: more infrared than the formula is for is no light */
static double tsl2561_lux(const struct tsl2561_segment *segment, double all, double infrared)
{
	double ratio = all > 0 ? floor(infrared / all * 512 + 0.5) : 0;

	while (segment->ratio != 0 && ratio > segment->ratio)
		segment++;
	return fmax(0, (segment->b * all - segment->m * infrared) / 16384);
}

/* two registers, the first one even */
static int tsl2561_read_word(struct source *source, uint8_t reg, uint16_t *ret)
{
	return chip_read_le16(source, CMD | CMD_WORD | reg, ret);
}

static int tsl2561_identify(struct source *source)
{
	struct tsl2561_state *state = source->state;
	uint8_t id;
	int r;

	r = i2c_read_registers(source->i2c, CMD | REG_ID, &id, 1);
	if (r < 0)
		return chip_absent(source, r);
	if (id >> PART_SHIFT == PART_2561_TFN)
		state->segments = tsl2561_segments_tfn;
	else if (id >> PART_SHIFT == PART_2561_CS)
		state->segments = tsl2561_segments_cs;
	else
		return chip_stranger(source, id, "TSL2561");
	return 0;
}

static void tsl2561_choose(struct source *source)
{
	struct tsl2561_state *state = source->state;
	bool is_high = source->options[GAIN].integer == 16;

	state->time = &tsl2561_times[chip_choice(source, INTEGRATION_TIME)];
	state->timing = (uint8_t)(state->time->timing | (is_high ? TIMING_HIGH : 0));
	state->scale = state->time->scale / 1024.0 * (is_high ? 1 : 16);
}

static int tsl2561_open(struct source *source)
{
	const struct tsl2561_state *state = source->state;
	struct chip_setting settings[] = {
		{ CMD | REG_CONTROL, CONTROL_DOWN },
		{ CMD | REG_TIMING, 0 },
		{ CMD | REG_CONTROL, CONTROL_UP },
	};
	int r;

	tsl2561_choose(source);
	settings[1].value = state->timing;
	r = tsl2561_identify(source);
	return r < 0 ? r : chip_write_settings(source, settings, ARRAY_SIZE(settings));
}

static int tsl2561_start(struct source *source, int64_t *wait_us)
{
	const struct tsl2561_state *state = source->state;

	*wait_us = source->readings == 1 ? state->time->longest_us : 0;
	return 0;
}

static int tsl2561_collect(struct source *source, double values[static CHANNELS_MAX],
			   int64_t *wait_us)
{
	struct tsl2561_state *state = source->state;
	uint16_t settings, all, infrared;
	int r;

	(void)wait_us;
	r = tsl2561_read_word(source, REG_CONTROL, &settings);
	if (r < 0)
		return r;
	if ((settings & 0xff & CONTROL_UP) != CONTROL_UP || settings >> 8 != state->timing)
		return chip_lost(source);
	r = tsl2561_read_word(source, REG_DATA0, &all);
	if (r < 0)
		return r;
	r = tsl2561_read_word(source, REG_DATA1, &infrared);
	if (r < 0)
		return r;
	if (all >= state->time->full_scale || infrared >= state->time->full_scale)
		return chip_saturated(source);
	values[0] = tsl2561_lux(state->segments, all * state->scale, infrared * state->scale);
	return 0;
}

CHIP_DRIVER(tsl2561, CHIP_OPTIONS(tsl2561_options), CHIP_STATE(struct tsl2561_state),
	    .addresses = { 0x39, 0x29, 0x49 }); /* DS "I2C": ADDR SEL floating, low, high */
