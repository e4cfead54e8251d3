/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sensirion SCD40, SCD41: CO2, temperature and humidity. "DS" is the data sheet SCD4x, version 1.3
 * (September 2022).
 *
 * The chip measures each 5 s by itself, or once when it is told to (option single_shot, SCD41 only). In
 * either way it tells when there is something new, and what is read is gone from it: so no value is
 * published twice, and who reads more often than the chip measures waits for it.
 *
 * It answers nothing for half a second after it was stopped, and a chip that another program started
 * must be stopped first. So open() only stops it, and the rest is a chain of collect() calls:
 *
 *	stopping → (measuring all the time | first shot → shot after shot)
 */

#include <errno.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS 3.4, table 9 */
#define CMD_START	 0x21b1
#define CMD_STOP	 0x3f86
#define CMD_SINGLE_SHOT	 0x219d
#define CMD_READ	 0xec05
#define CMD_DATA_READY	 0xe4b8
#define CMD_SET_ALTITUDE 0x2427
#define CMD_WAKE_UP	 0x36f6
#define CMD_SERIAL	 0x3682

#define READY_BITS 0x07ff /* DS 3.8.2: none of them set means no data */

#define COMMAND_US (1 * USEC_PER_MSEC)	 /* DS table 9 */
#define STOP_US	   (500 * USEC_PER_MSEC) /* DS table 9 */
#define MEASURE_US (5 * USEC_PER_SEC)	 /* DS 3.5.1, table 9 */
#define AGAIN_US   (500 * USEC_PER_MSEC)
#define AGAIN_MAX  12 /* 6 s: longer than it takes to measure */

enum scd4x_phase {
	PHASE_STOPPING,
	PHASE_MEASURING,  /* each 5 s */
	PHASE_FIRST_SHOT, /* of which nothing is published: it is off (DS 3.10) */
	PHASE_SHOTS,
};

struct scd4x_state {
	enum scd4x_phase phase;
};

static const struct channel scd4x_channels[] = {
	{ "co2", "ppm", 0 },
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
};

/* DS table 1: 0 ppm is said by a chip that measured no CO2; table 4: storage */
static const struct chip_range scd4x_ranges[] = { { 1, 40000 }, { -40, 70 }, { 0, 100 } };

enum {
	ALTITUDE,
	SINGLE_SHOT
};

static const struct driver_option scd4x_options[] = {
	[ALTITUDE] = { "altitude", OPTION_INTEGER, .maximum = 3000 },
	[SINGLE_SHOT] = { "single_shot", OPTION_BOOLEAN },
};

/* a sleeping chip does not answer, not even to what wakes it; then the next try finds it (DS 3.10.4) */
static int scd4x_open(struct source *source)
{
	int r;

	r = chip_command(source, CMD_STOP);
	if (r == -ENXIO)
		(void)chip_command(source, CMD_WAKE_UP);
	return chip_absent(source, r);
}

static int scd4x_start(struct source *source, int64_t *wait_us)
{
	struct scd4x_state *state = source->state;

	*wait_us = state->phase == PHASE_STOPPING ? STOP_US : 0;
	if (state->phase != PHASE_SHOTS)
		return 0;
	*wait_us = MEASURE_US;
	return chip_command(source, CMD_SINGLE_SHOT);
}

/* the chip is idle now and takes settings (DS table 9, "during measurement") */
static int scd4x_begin(struct source *source, int64_t *wait_us)
{
	struct scd4x_state *state = source->state;
	const uint16_t altitude = (uint16_t)source->options[ALTITUDE].integer;
	bool single_shot = source->options[SINGLE_SHOT].integer != 0;
	int r;

	r = chip_write_words(source, CMD_SET_ALTITUDE, &altitude, 1);
	if (r < 0)
		return r;
	chip_pause(COMMAND_US);
	state->phase = single_shot ? PHASE_FIRST_SHOT : PHASE_MEASURING;
	*wait_us = MEASURE_US;
	r = chip_command(source, single_shot ? CMD_SINGLE_SHOT : CMD_START);
	return r < 0 ? r : -EAGAIN;
}

/* Return: 0; -EAGAIN nothing new yet; another errno. A chip in a single shot does not answer (DS 3.10) */
static int scd4x_ready(struct source *source, int64_t *wait_us)
{
	struct scd4x_state *state = source->state;
	uint16_t ready = 0;
	int r;

	r = chip_query_words(source, CMD_DATA_READY, COMMAND_US, &ready, 1);
	if (r < 0 && (r != -ENXIO || state->phase == PHASE_MEASURING))
		return r;
	if (r == 0 && ready & READY_BITS)
		return 0;
	return chip_converting(source, AGAIN_MAX, AGAIN_US, wait_us);
}

static int scd4x_collect(struct source *source, double values[static CHANNELS_MAX],
			 int64_t *wait_us)
{
	struct scd4x_state *state = source->state;
	uint16_t words[3];
	int r;

	if (state->phase == PHASE_STOPPING)
		return scd4x_begin(source, wait_us);
	r = scd4x_ready(source, wait_us);
	if (r < 0)
		return r;
	r = chip_query_words(source, CMD_READ, COMMAND_US, words, ARRAY_SIZE(words));
	if (r < 0)
		return r;
	if (state->phase == PHASE_FIRST_SHOT) {
		state->phase = PHASE_SHOTS;
		source->polls = 0;
		r = scd4x_start(source, wait_us);
		return r < 0 ? r : -EAGAIN;
	}
	values[0] = words[0]; /* DS 3.5.2 */
	values[1] = -45 + 175 * words[1] / 65536.0;
	values[2] = 100 * words[2] / 65536.0;
	return chip_plausible(source, values, scd4x_ranges);
}

/* its serial number (DS 3.9.2), which it only tells while it does not measure */
static enum recognition scd4x_recognise(struct i2c_device *i2c)
{
	return chip_says_words(i2c, CMD_SERIAL, 3);
}

CHIP_DRIVER(scd4x, CHIP_OPTIONS(scd4x_options), CHIP_STATE(struct scd4x_state),
	    .recognise = scd4x_recognise, .addresses = { 0x62 }); /* DS 3.1 */
