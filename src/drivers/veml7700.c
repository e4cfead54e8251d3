/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Vishay VEML7700: illuminance. "DS" is the data sheet 84286, revision 1.7 (November 2023), "AN" the
 * application note 84323, both by heading.
 *
 * The chip measures all the time and does not say when it is done: the first measurement is waited for.
 * Its older data sheets have no id register; so it is known by keeping what is written to it. The
 * persistence, of no effect without the interrupt, is set to what it is not after power-on, and shows
 * whether the chip lost its power. Registers, codes and the time of the power-up are as in
 * drivers/iio/light/veml6030.c of Linux.
 */

#include "iotd/chip.h"

/* DS "Command Register Format": 16 bits, the low byte first */
#define REG_CONF	 0x00
#define REG_POWER_SAVING 0x03
#define REG_ALS		 0x04

/* DS "Command Code #00": ALS_CONF_0 */
#define CONF_GAIN_SHIFT	   11
#define CONF_TIME_SHIFT	   6
#define CONF_PERSISTENCE_2 0x0010
#define CONF_SHUT_DOWN	   0x0001

#define POWER_SAVING_OFF 0x0000 /* DS "Command Code #03" */

#define POWER_UP_US   4000 /* AN "Power-up": at least 2.5 ms, 4 ms in Linux */
#define AT_FULL_SCALE 0xffff

/* DS "Resolution and Maximum Detection Range": lx per count at the finest, gain 2 and 800 ms. It was 0.0036 before revision 1.7, wrongly */
#define FINEST	    0.0042
#define FINEST_GAIN 2.0
#define FINEST_US   800000.0

#define LINEAR_LUX 1000 /* AN: "Illumination values higher than 1000 lx show non-linearity" */
#define BRIGHTEST_LUX                                                                              \
	200000 /* above sunlight, and above the chip's 140 klx: the correction's formula runs away */

struct veml7700_state {
	uint16_t conf;
	double lux_per_count;
};

static const struct channel veml7700_channels[] = { { "illuminance", "lx", 2 } };

enum {
	GAIN,
	INTEGRATION_TIME
};

/* AN "Application-Dependent Lux Calculation" begins with gain 1/8 and 100 ms too */
static const struct driver_option veml7700_options[] = {
	[GAIN] = { "gain", OPTION_NUMBER, .preset = 0.125, CHOICES("0.125", "0.25", "1", "2") },
	[INTEGRATION_TIME] = { "integration_time", OPTION_DURATION, .preset = 100000,
			       CHOICES("25ms", "50ms", "100ms", "200ms", "400ms", "800ms") },
};

/* DS "Command Code #00", ALS_GAIN and ALS_IT: the codes of these choices */
static const uint16_t veml7700_gain_codes[] = { 2, 3, 0, 1 };
static const uint16_t veml7700_time_codes[] = { 0xc, 0x8, 0x0, 0x1, 0x2, 0x3 };

/* AN "Calculating the Lux Level": the correction for what is brighter */
static double veml7700_lux(double lux)
{
	if (lux <= LINEAR_LUX)
		return lux;
	return (((6.0135e-13 * lux - 9.3924e-9) * lux + 8.1488e-5) * lux + 1.0023) * lux;
}

/* settings change while the chip is shut down (AN, flow chart) */
static int veml7700_open(struct source *source)
{
	struct veml7700_state *state = source->state;
	size_t gain = chip_choice(source, GAIN), time = chip_choice(source, INTEGRATION_TIME);
	uint16_t conf;
	int r;

	state->conf = (uint16_t)(veml7700_gain_codes[gain] << CONF_GAIN_SHIFT |
				 veml7700_time_codes[time] << CONF_TIME_SHIFT | CONF_PERSISTENCE_2);
	state->lux_per_count = FINEST * (FINEST_GAIN / source->options[GAIN].number) *
			       (FINEST_US / (double)source->options[INTEGRATION_TIME].integer);
	r = chip_write_le16(source, REG_CONF, state->conf | CONF_SHUT_DOWN);
	if (r < 0)
		return chip_absent(source, r);
	r = chip_read_le16(source, REG_CONF, &conf);
	if (r < 0)
		return r;
	if (conf != (state->conf | CONF_SHUT_DOWN))
		return chip_stranger(source, conf, "VEML7700");
	r = chip_write_le16(source, REG_POWER_SAVING, POWER_SAVING_OFF);
	return r < 0 ? r : chip_write_le16(source, REG_CONF, state->conf);
}

/* no longest times are given: twice the integration time is enough */
static int veml7700_start(struct source *source, int64_t *wait_us)
{
	*wait_us = 0;
	if (source->readings == 1)
		*wait_us = POWER_UP_US + 2 * source->options[INTEGRATION_TIME].integer;
	return 0;
}

static int veml7700_collect(struct source *source, double values[static CHANNELS_MAX],
			    int64_t *wait_us)
{
	struct veml7700_state *state = source->state;
	uint16_t conf, counts;
	int r;

	(void)wait_us;
	r = chip_read_le16(source, REG_CONF, &conf);
	if (r < 0)
		return r;
	if (conf != state->conf)
		return chip_lost(source);
	r = chip_read_le16(source, REG_ALS, &counts);
	if (r < 0)
		return r;
	values[0] = veml7700_lux(counts * state->lux_per_count);
	if (counts == AT_FULL_SCALE || values[0] > BRIGHTEST_LUX)
		return chip_saturated(source);
	return 0;
}

CHIP_DRIVER(veml7700, CHIP_OPTIONS(veml7700_options), CHIP_STATE(struct veml7700_state),
	    .addresses = { 0x10 }); /* DS "Slave Address" */
