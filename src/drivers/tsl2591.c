/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ams TSL2591: illuminance. "DS" is the data sheet, v2-04 (June 2018), by heading.
 *
 * Two photodiodes, one for all light and one for the infrared. The data sheet has no formula for lux;
 * this one is of Linux (drivers/iio/light/tsl2591.c) and Adafruit's library. Each reading begins a
 * measurement by enabling the ADCs anew, and the chip tells when it is done.
 */

#include "iotd/chip.h"

/* DS "Command Register": each transfer begins with one; a register's number is part of it */
#define CMD 0xa0

/* DS "Register Description" */
#define REG_ENABLE  (CMD | 0x00)
#define REG_CONTROL (CMD | 0x01)
#define REG_ID	    (CMD | 0x12)
#define REG_STATUS  (CMD | 0x13) /* the two channels follow, the low byte first */

#define ENABLE_ON     0x01 /* DS "Enable Register": PON */
#define ENABLE_ADC    0x02 /* AEN */
#define CONTROL_AGAIN 4	   /* DS "Control Register": a shift */
#define DEVICE_ID     0x50 /* DS "ID Register" */
#define STATUS_VALID  0x01 /* DS "Status Register": AVALID */

#define STEP_US		100000
#define STEP_LONGEST_US 108000 /* DS "Electrical Characteristics": an integration step */
#define AGAIN_US	10000
#define AGAIN_LIMIT	10

#define FULL_SCALE_ONE_STEP 36863 /* DS "Control Register", max count */
#define FULL_SCALE	    65535
#define LUX_DF		    408.0 /* Linux, Adafruit: lx per count at 1 ms and 1x */

struct tsl2591_state {
	uint8_t control;
	int64_t steps;
	double counts_per_lux;
};

static const struct channel tsl2591_channels[] = { { "illuminance", "lx", 2 } };

enum {
	GAIN,
	INTEGRATION_TIME
};

/* DS "Control Register", in the order of AGAIN and ATIME; Linux has these numbers for low, medium, high, maximum */
static const struct driver_option tsl2591_options[] = {
	[GAIN] = { "gain", OPTION_INTEGER, .preset = 1, CHOICES("1", "25", "428", "9876") },
	[INTEGRATION_TIME] = { "integration_time", OPTION_DURATION, .preset = STEP_US,
			       CHOICES("100ms", "200ms", "300ms", "400ms", "500ms", "600ms") },
};

static double tsl2591_lux(double all, double infrared, double counts_per_lux)
{
	if (infrared >= all)
		return 0;
	return (all - infrared) * (1 - infrared / all) / counts_per_lux;
}

static int tsl2591_open(struct source *source)
{
	struct tsl2591_state *state = source->state;
	size_t gain = chip_choice(source, GAIN), time = chip_choice(source, INTEGRATION_TIME);
	const uint8_t control = (uint8_t)(gain << CONTROL_AGAIN | time);
	const struct chip_setting settings[] = { { REG_ENABLE, ENABLE_ON },
						 { REG_CONTROL, control } };
	int r;

	state->steps = (int64_t)time + 1;
	state->control = control;
	state->counts_per_lux =
		(double)(state->steps * 100 * source->options[GAIN].integer) / LUX_DF;
	r = chip_identify(source, REG_ID, DEVICE_ID, "TSL2591");
	return r < 0 ? r : chip_write_settings(source, settings, ARRAY_SIZE(settings));
}

static int tsl2591_start(struct source *source, int64_t *wait_us)
{
	static const struct chip_setting anew[] = { { REG_ENABLE, ENABLE_ON },
						    { REG_ENABLE, ENABLE_ON | ENABLE_ADC } };
	const struct tsl2591_state *state = source->state;

	*wait_us = state->steps * STEP_LONGEST_US;
	return chip_write_settings(source, anew, ARRAY_SIZE(anew));
}

static int tsl2591_collect(struct source *source, double values[static CHANNELS_MAX],
			   int64_t *wait_us)
{
	struct tsl2591_state *state = source->state;
	uint16_t all, infrared, full_scale = state->steps == 1 ? FULL_SCALE_ONE_STEP : FULL_SCALE;
	uint8_t bytes[5];
	int r;

	r = chip_keeps_be16(source, REG_ENABLE, 0xffff, /* and REG_CONTROL behind it */
			    (uint16_t)((ENABLE_ON | ENABLE_ADC) << 8 | state->control));
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_STATUS, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	if (!(bytes[0] & STATUS_VALID))
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	all = le16(&bytes[1]);
	infrared = le16(&bytes[3]);
	if (all >= full_scale || infrared >= full_scale)
		return chip_saturated(source);
	values[0] = tsl2591_lux(all, infrared, state->counts_per_lux);
	return 0;
}

static enum recognition tsl2591_recognise(struct i2c_device *i2c)
{
	return chip_has_id(i2c, REG_ID, DEVICE_ID);
}

CHIP_DRIVER(tsl2591, CHIP_OPTIONS(tsl2591_options), CHIP_STATE(struct tsl2591_state),
	    .recognise = tsl2591_recognise,
	    .addresses = { 0x29 }); /* DS "I2C Protocol"; it also answers at 0x28 */
