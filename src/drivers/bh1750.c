/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ROHM BH1750FVI: illuminance. "DS" is the Technical Note BH1750FVI, 2009.04, revision B, by page.
 *
 * Each reading is one measurement, after which the chip powers itself down. All settings are made anew
 * for each, because none can be read back, and the result is cleared before: so neither the last
 * measurement nor one of another program is taken for this one. A result of 0 is either darkness or a
 * chip that lost its power meanwhile; it is measured once more.
 */

#include <errno.h>
#include <math.h>

#include "iotd/chip.h"

/* DS 5, instruction set */
#define CMD_POWER_ON	 0x01
#define CMD_RESET	 0x07
#define CMD_ONE_TIME_H	 0x20
#define CMD_ONE_TIME_H2	 0x21
#define CMD_ONE_TIME_L	 0x23
#define CMD_MT_HIGH_BITS 0x40
#define CMD_MT_LOW_BITS	 0x60

/* DS 11, measurement time register */
#define MTREG_PRESET 69

#define COUNTS_PER_LUX 1.2    /* DS 2, measurement accuracy */
#define PRESET_US      120000 /* DS 2: typically, at MTREG_PRESET */
#define AT_FULL_SCALE  0xffff

struct bh1750_mode {
	uint8_t command;
	int64_t longest_us; /* DS 2, at MTREG_PRESET */
	double per_count;   /* DS 11: lx x 1.2, at MTREG_PRESET */
};

struct bh1750_state {
	const struct bh1750_mode *mode;
	uint8_t mtreg;
	bool is_second; /* measurement of this reading */
};

static const struct channel bh1750_channels[] = { { "illuminance", "lx", 2 } };

enum {
	RESOLUTION,
	INTEGRATION_TIME
};

/* MTreg goes from 31 to 254 (DS 11) */
static const struct driver_option bh1750_options[] = {
	[RESOLUTION] = { "resolution", OPTION_STRING, .text = "high",
			 CHOICES("low", "high", "high2") },
	[INTEGRATION_TIME] = { "integration_time", OPTION_DURATION, .minimum = 54000,
			       .maximum = 442000, .preset = PRESET_US },
};

/* in the order of the resolutions */
static const struct bh1750_mode bh1750_modes[] = {
	{ CMD_ONE_TIME_L, 24000, 1 },
	{ CMD_ONE_TIME_H, 180000, 1 },
	{ CMD_ONE_TIME_H2, 180000, 0.5 },
};

static double bh1750_lux(const struct bh1750_state *state, uint16_t counts)
{
	return counts / COUNTS_PER_LUX * MTREG_PRESET / state->mtreg * state->mode->per_count;
}

static int bh1750_open(struct source *source)
{
	struct bh1750_state *state = source->state;
	int64_t integration_us = source->options[INTEGRATION_TIME].integer;

	state->mode = &bh1750_modes[chip_choice(source, RESOLUTION)];
	state->mtreg = (uint8_t)lround((double)integration_us * MTREG_PRESET / PRESET_US);
	return chip_absent(source, chip_command8(source, CMD_POWER_ON));
}

/* the reset needs a chip that is on, and clears the result (DS 5). One instruction a transfer (DS 10, write format) */
static int bh1750_measure(struct source *source, int64_t *wait_us)
{
	struct bh1750_state *state = source->state;
	const uint8_t commands[] = {
		CMD_POWER_ON,
		CMD_RESET,
		(uint8_t)(CMD_MT_HIGH_BITS | state->mtreg >> 5),
		(uint8_t)(CMD_MT_LOW_BITS | (state->mtreg & 0x1f)),
		state->mode->command,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands) && r == 0; i++)
		r = chip_command8(source, commands[i]);
	*wait_us = state->mode->longest_us * state->mtreg / MTREG_PRESET + 1000;
	return r;
}

static int bh1750_start(struct source *source, int64_t *wait_us)
{
	struct bh1750_state *state = source->state;

	state->is_second = false;
	return bh1750_measure(source, wait_us);
}

static int bh1750_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	struct bh1750_state *state = source->state;
	uint8_t bytes[2];
	uint16_t counts;
	int r;

	r = i2c_read(source->i2c, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	counts = be16(bytes);
	if (counts == 0 && !state->is_second) {
		state->is_second = true;
		r = bh1750_measure(source, wait_us);
		return r < 0 ? r : -EAGAIN;
	}
	if (counts == AT_FULL_SCALE)
		return source_fail(
			source, -ERANGE,
			"saturated: %.0f lx or more is too bright for this integration_time",
			bh1750_lux(state, counts));
	values[0] = bh1750_lux(state, counts);
	return 0;
}

CHIP_DRIVER(bh1750, CHIP_OPTIONS(bh1750_options), CHIP_STATE(struct bh1750_state),
	    .addresses = { 0x23, 0x5c }); /* DS 10, slave address */
