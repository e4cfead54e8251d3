/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sensirion SGP40: the raw signal of volatile organic compounds, in ticks proportional to the logarithm of
 * the sensor's resistance. "DS" is the data sheet SGP40, version 1.1 (September 2021).
 *
 * The first measurement switches the hotplate on, and it stays on. So a chip that was found again is not
 * reset, and nothing switches it off: it would be cold, and its signal another. Humidity and temperature
 * are sent as the defaults, 50 % and 25 °C, which is without compensation (DS table 10).
 *
 * What is new since the chip was found is a chain of collect() calls, as each answers with one word:
 *
 *	testing itself → first measurement, which is dropped (DS 3.1) → one measurement a reading
 */

#include <errno.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS table 8 */
#define CMD_MEASURE 0x260f
#define CMD_TEST    0x280e
#define CMD_SERIAL  0x3682

#define RH_DEFAULT 0x8000 /* DS table 10 */
#define T_DEFAULT  0x6666

#define TEST_RESULT 0xff00 /* DS table 13: the low byte says nothing */
#define TEST_PASSED 0xd400

#define SERIAL_WORDS 3
#define SERIAL_US    (1 * USEC_PER_MSEC) /* DS table 8: 0.5 ms */
#define TEST_US	     (320 * USEC_PER_MSEC)
#define MEASURE_US   (30 * USEC_PER_MSEC)
#define AGAIN_US     (5 * USEC_PER_MSEC)
#define AGAIN_LIMIT  10

enum sgp40_phase {
	PHASE_TEST,
	PHASE_FIRST,
	PHASE_READINGS,
};

struct sgp40_state {
	enum sgp40_phase phase;
};

static const struct channel sgp40_channels[] = { { "voc_raw", "", 0 } };

/* there is no id; but only what is made by Sensirion gives three words with right checksums for that command */
static int sgp40_open(struct source *source)
{
	uint16_t serial[SERIAL_WORDS];
	int r;

	r = chip_find(source, CMD_SERIAL, MEASURE_US); /* while it measures: DS 4.5 */
	if (r < 0)
		return r;
	chip_pause(SERIAL_US);
	return chip_read_words(source, serial, SERIAL_WORDS);
}

static int sgp40_measure(struct source *source, int64_t *wait_us)
{
	static const uint16_t compensation[] = { RH_DEFAULT, T_DEFAULT };

	*wait_us = MEASURE_US;
	return chip_write_words(source, CMD_MEASURE, compensation, ARRAY_SIZE(compensation));
}

static int sgp40_start(struct source *source, int64_t *wait_us)
{
	struct sgp40_state *state = source->state;

	if (state->phase != PHASE_TEST)
		return sgp40_measure(source, wait_us);
	*wait_us = TEST_US;
	return chip_command(source, CMD_TEST);
}

/* DS tables 11 and 13: one word, whether it is a result of the test or of a measurement */
static int sgp40_collect(struct source *source, double values[static CHANNELS_MAX],
			 int64_t *wait_us)
{
	struct sgp40_state *state = source->state;
	uint16_t word;
	int r;

	r = chip_read_words(source, &word, 1);
	if (r < 0)
		return r == -ENXIO ? chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us) : r;
	if (state->phase == PHASE_READINGS) {
		values[0] = word;
		return 0;
	}
	if (state->phase == PHASE_TEST && (word & TEST_RESULT) != TEST_PASSED)
		return source_fail(source, -EIO, "the chip's self-test fails (0x%04x): replace it",
				   word);
	state->phase = state->phase == PHASE_TEST ? PHASE_FIRST : PHASE_READINGS;
	r = sgp40_measure(source, wait_us);
	return r < 0 ? r : -EAGAIN;
}

static enum recognition sgp40_recognise(struct i2c_device *i2c)
{
	return chip_says_words(i2c, CMD_SERIAL, SERIAL_WORDS);
}

CHIP_DRIVER(sgp40, CHIP_STATE(struct sgp40_state), .recognise = sgp40_recognise,
	    .addresses = { 0x59 }); /* DS 4.2 */
