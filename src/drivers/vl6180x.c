/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ST VL6180X: distance by time of flight. "DS" is the data sheet DocID026171, "AN" the application note
 * AN4545, revision 2.
 *
 * A chip fresh out of reset needs private settings ("SR03", AN 9) before it ranges, and says by a bit
 * that it has none; so the bit also shows that the chip lost its power. The settings are loaded into
 * any chip that is found, whatever another program left there, but not before it is ready: they may not
 * change while it ranges. A reading is a chain (AN 2.1):
 *
 *	device ready (→ settings, the first time) → range once → new sample ready
 */

#include <errno.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS 6.2: 16-bit numbers, high byte first, of registers of 8 bits */
#define REG_MODEL_ID		 0x000
#define REG_MODE_GPIO1		 0x011
#define REG_INTERRUPT_CONFIG	 0x014
#define REG_INTERRUPT_CLEAR	 0x015
#define REG_FRESH_OUT_OF_RESET	 0x016
#define REG_RANGE_START		 0x018
#define REG_MAX_CONVERGENCE_TIME 0x01c
#define REG_VHV_RECALIBRATE	 0x02e
#define REG_VHV_REPEAT_RATE	 0x031
#define REG_RANGE_STATUS	 0x04d
#define REG_INTERRUPT_STATUS	 0x04f
#define REG_RANGE_VALUE		 0x062
#define REG_AVERAGING_PERIOD	 0x10a
#define REG_INTERLEAVED		 0x2a3

#define MODEL_ID	   0xb4
#define FRESH		   0x01
#define START_ONCE	   0x01 /* ends continuous ranging, too (DS 6.2, SYSRANGE__START) */
#define START_CONTINUOUSLY 0x02
#define DEVICE_READY	   0x01
#define ERROR_SHIFT	   4
#define RANGE_EVENT	   0x07
#define NEW_SAMPLE	   0x04
#define CLEAR_ALL	   0x07
#define NO_DISTANCE	   255 /* where the value ends */

/* DS 2.7.1: usually 10 ms; at most 3.2 ms, the longest convergence and 4.4 ms of averaging */
#define RANGE_US    (20 * USEC_PER_MSEC)
#define AGAIN_US    (10 * USEC_PER_MSEC)
#define AGAIN_LIMIT 8

struct vl6180x_state {
	bool is_loaded, is_ranging;
};

static const struct channel vl6180x_channels[] = { { "distance", "mm", 0 } };

struct vl6180x_setting {
	uint16_t reg;
	uint8_t value;
};

/* AN 9, "Mandatory: private registers"; some drivers have 0x00 and 0x04 in 0x0e3 and 0x0e4 */
static const struct vl6180x_setting vl6180x_private[] = {
	{ 0x207, 0x01 }, { 0x208, 0x01 }, { 0x096, 0x00 }, { 0x097, 0xfd }, { 0x0e3, 0x01 },
	{ 0x0e4, 0x03 }, { 0x0e5, 0x02 }, { 0x0e6, 0x01 }, { 0x0e7, 0x03 }, { 0x0f5, 0x02 },
	{ 0x0d9, 0x05 }, { 0x0db, 0xce }, { 0x0dc, 0x03 }, { 0x0dd, 0xf8 }, { 0x09f, 0x00 },
	{ 0x0a3, 0x3c }, { 0x0b7, 0x00 }, { 0x0bb, 0x3c }, { 0x0b2, 0x09 }, { 0x0ca, 0x09 },
	{ 0x198, 0x01 }, { 0x1b0, 0x17 }, { 0x1ad, 0x00 }, { 0x0ff, 0x05 }, { 0x100, 0x05 },
	{ 0x199, 0x05 }, { 0x1a6, 0x1b }, { 0x1ac, 0x3e }, { 0x1a7, 0x1f }, { 0x030, 0x00 },
};

/* AN 9, "Recommended: public registers", as far as they are about ranging; the last tells that all are made */
static const struct vl6180x_setting vl6180x_public[] = {
	{ REG_MODE_GPIO1, 0x10 },	    { REG_AVERAGING_PERIOD, 0x30 },
	{ REG_MAX_CONVERGENCE_TIME, 0x31 }, /* ms, as after power-on */
	{ REG_VHV_REPEAT_RATE, 0xff },	    { REG_VHV_RECALIBRATE, 0x01 },
	{ REG_INTERLEAVED, 0x00 },	    { REG_INTERRUPT_CONFIG, NEW_SAMPLE },
	{ REG_FRESH_OUT_OF_RESET, 0x00 },
};

/* DS 6.2, RESULT__RANGE_STATUS; AN table 10 */
static const struct {
	int error;
	const char *words;
} vl6180x_errors[] = {
	[1] = { -EIO, "the laser failed its continuity test" },
	[2] = { -EIO, "the laser failed its watchdog test" },
	[3] = { -EIO, "the watchdog stopped the laser" },
	[4] = { -EIO, "the first PLL does not lock" },
	[5] = { -EIO, "the second PLL does not lock" },
	[6] = { -ERANGE, "no target in range: the early convergence estimate failed" },
	[7] = { -ERANGE, "no target in range: nothing converged in time" },
	[8] = { -ERANGE, "no target in range: below the threshold that is ignored" },
	[9] = { -EIO, "an error that the data sheet does not know" },
	[10] = { -EIO, "an error that the data sheet does not know" },
	[11] = { -ERANGE, "too much ambient light for the signal of the target" },
	[12] = { -ERANGE, "out of range: the raw distance is below 0" },
	[13] = { -ERANGE, "out of range: the target is too far away (raw)" },
	[14] = { -ERANGE, "out of range: the distance is below 0" },
	[15] = { -ERANGE, "out of range: the target is too far away" },
};

static int vl6180x_read(struct source *source, uint16_t reg, uint8_t *ret)
{
	const uint8_t number[] = { (uint8_t)(reg >> 8), (uint8_t)reg };

	return i2c_write_read(source->i2c, number, sizeof(number), ret, 1);
}

static int vl6180x_write(struct source *source, uint16_t reg, uint8_t value)
{
	const uint8_t bytes[] = { (uint8_t)(reg >> 8), (uint8_t)reg, value };

	return i2c_write(source->i2c, bytes, sizeof(bytes));
}

static int vl6180x_load(struct source *source)
{
	struct vl6180x_state *state = source->state;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vl6180x_private) && r == 0; i++)
		r = vl6180x_write(source, vl6180x_private[i].reg, vl6180x_private[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(vl6180x_public) && r == 0; i++)
		r = vl6180x_write(source, vl6180x_public[i].reg, vl6180x_public[i].value);
	state->is_loaded = r == 0;
	return r;
}

static int vl6180x_stop(struct source *source)
{
	uint8_t start;
	int r;

	r = vl6180x_read(source, REG_RANGE_START, &start);
	if (r < 0 || !(start & START_CONTINUOUSLY))
		return r;
	return vl6180x_write(source, REG_RANGE_START, START_ONCE);
}

static int vl6180x_open(struct source *source)
{
	uint8_t id;
	int r;

	r = vl6180x_read(source, REG_MODEL_ID, &id);
	if (r < 0)
		return chip_absent(source, r);
	if (id != MODEL_ID)
		return chip_stranger(source, id, "VL6180X");
	return vl6180x_stop(source);
}

static int vl6180x_start(struct source *source, int64_t *wait_us)
{
	struct vl6180x_state *state = source->state;

	state->is_ranging = false;
	*wait_us = 0;
	return 0;
}

/* once the chip is not busy with what another program began */
static int vl6180x_range(struct source *source, uint8_t status, int64_t *wait_us)
{
	struct vl6180x_state *state = source->state;
	int r;

	if (!(status & DEVICE_READY))
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	r = state->is_loaded ? 0 : vl6180x_load(source);
	if (r < 0)
		return r;
	r = vl6180x_write(source, REG_INTERRUPT_CLEAR, CLEAR_ALL);
	if (r < 0)
		return r;
	state->is_ranging = true;
	source->polls = 0;
	*wait_us = RANGE_US;
	r = vl6180x_write(source, REG_RANGE_START, START_ONCE);
	return r < 0 ? r : -EAGAIN;
}

static int vl6180x_fetch(struct source *source, uint8_t status, double *ret_mm)
{
	uint8_t error = status >> ERROR_SHIFT, distance;
	int r;

	if (error)
		return source_fail(source, vl6180x_errors[error].error, "%s (error %d)",
				   vl6180x_errors[error].words, error);
	r = vl6180x_read(source, REG_RANGE_VALUE, &distance);
	if (r < 0)
		return r;
	if (distance == NO_DISTANCE)
		return source_fail(source, -ERANGE, "out of range: 255 mm is the end of the scale");
	*ret_mm = distance;
	return 0;
}

static int vl6180x_collect(struct source *source, double values[static CHANNELS_MAX],
			   int64_t *wait_us)
{
	struct vl6180x_state *state = source->state;
	uint8_t fresh, status, event;
	int r;

	r = vl6180x_read(source, REG_FRESH_OUT_OF_RESET, &fresh);
	if (r < 0)
		return r;
	if (state->is_loaded && fresh & FRESH)
		return chip_lost(source);
	r = vl6180x_read(source, REG_INTERRUPT_STATUS, &event);
	if (r < 0)
		return r;
	r = vl6180x_read(source, REG_RANGE_STATUS, &status);
	if (r < 0)
		return r;
	if (!state->is_ranging)
		return vl6180x_range(source, status, wait_us);
	if ((event & RANGE_EVENT) != NEW_SAMPLE)
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	return vl6180x_fetch(source, status, &values[0]);
}

CHIP_DRIVER(vl6180x, CHIP_STATE(struct vl6180x_state),
	    .addresses = { 0x29 }); /* DS 4: after reset; any other once it was told so */
