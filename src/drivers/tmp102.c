/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Texas Instruments TMP102 and TMP112: temperature. "DS" is the data sheet SBOS397C, by page.
 *
 * The chip is shut down and measures once when it is told to. It uses its extended mode, which goes to
 * 150 °C. A chip that lost its power does neither, and says 0 °C until its first conversion ends.
 *
 * Shutting down takes a conversion that is under way (DS page 8), and only then a shot counts:
 *
 *	shutting down → shot after shot
 */

#include <errno.h>

#include "iotd/chip.h"

/* DS page 6, table 1 */
#define REG_TEMPERATURE 0x00
#define REG_CONFIG	0x01

/* DS page 7, table 7 */
#define CONFIG_SHOT	  0x8000 /* reads as 1 when it is over (DS page 9) */
#define CONFIG_RESOLUTION 0x6000 /* read-only, always set (DS page 9) */
#define CONFIG_SHUTDOWN	  0x0100
#define CONFIG_RATE	  0x0080 /* 4 Hz, as after power-on */
#define CONFIG_EXTENDED	  0x0010
#define CONFIG_ZERO	  0x000f

#define CONFIG (CONFIG_RESOLUTION | CONFIG_SHUTDOWN | CONFIG_RATE | CONFIG_EXTENDED)

#define TEMPERATURE_EXTENDED 0x0001 /* DS page 6, table 4: 13 bits, not 12 */

#define CONVERSION_US 35000 /* DS page 3: the longest */
#define AGAIN_US      5000
#define AGAIN_LIMIT   10

struct tmp102_state {
	bool is_shut_down;
};

static const struct channel tmp102_channels[] = { { "temperature", "°C", 2 } };

/* DS page 7, table 6 */
static const struct chip_range tmp102_ranges[] = { { -55, 150 } };

/* the chip has no id: bits that cannot be otherwise must do */
static int tmp102_open(struct source *source)
{
	uint16_t config;
	int r;

	r = chip_read_be16(source, REG_CONFIG, &config);
	if (r < 0)
		return chip_absent(source, r);
	if ((config & (CONFIG_RESOLUTION | CONFIG_ZERO)) != CONFIG_RESOLUTION)
		return chip_stranger(source, config, "TMP102");
	return chip_write_be16(source, REG_CONFIG, CONFIG);
}

static int tmp102_start(struct source *source, int64_t *wait_us)
{
	struct tmp102_state *state = source->state;

	*wait_us = CONVERSION_US;
	return state->is_shut_down ? chip_write_be16(source, REG_CONFIG, CONFIG | CONFIG_SHOT) : 0;
}

/* DS pages 6, 7, tables 4 to 6: 0.0625 °C, two's complement, from the left */
static double tmp102_temperature(uint16_t raw)
{
	return raw & TEMPERATURE_EXTENDED ? sign_extend(raw >> 3, 13) / 16.0
					  : sign_extend(raw >> 4, 12) / 16.0;
}

static int tmp102_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	struct tmp102_state *state = source->state;
	uint16_t config, raw;
	int r;

	if (!state->is_shut_down) {
		state->is_shut_down = true;
		r = tmp102_start(source, wait_us);
		return r < 0 ? r : -EAGAIN;
	}
	r = chip_read_be16(source, REG_CONFIG, &config);
	if (r < 0)
		return r;
	if ((config & CONFIG) != CONFIG)
		return chip_lost(source);
	if (!(config & CONFIG_SHOT))
		return chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us);
	r = chip_read_be16(source, REG_TEMPERATURE, &raw);
	if (r < 0)
		return r;
	values[0] = tmp102_temperature(raw);
	return chip_plausible(source, values, tmp102_ranges);
}

static enum recognition tmp102_recognise(struct i2c_device *i2c)
{
	enum recognition who = chip_has_id_be16(i2c, REG_CONFIG, CONFIG_RESOLUTION | CONFIG_ZERO,
						CONFIG_RESOLUTION);

	return who == RECOGNISED ? RECOGNISED_PERHAPS : who;
}

CHIP_DRIVER(tmp102, CHIP_STATE(struct tmp102_state), .recognise = tmp102_recognise,
	    .addresses = { 0x48, 0x49, 0x4a, 0x4b }); /* DS page 10, table 12 */
