/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Texas Instruments ADS1115 and ADS1015: the voltages of four inputs, or between two of them, with 16 and
 * with 12 bits. "DS" is the data sheet SBAS444D; that of the ADS1015 is SBAS473E, with the same sections.
 *
 * One conversion an input, one after the other: a chain of collect() calls, and the bus is free between
 * them. A voltage at the end of the range is no reading: it may be anything beyond. There is no reset but
 * the general call, which other chips obey too; so a chip that converts all the time is told to stop, and
 * the conversion under way is waited for (DS 9.4.2.2).
 *
 * The comparator is off, so how it would latch has no effect; that bit is set, which it is not after
 * power-on, and shows whether the chip lost its settings.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS 9.6.1 */
#define REG_CONVERSION 0x00
#define REG_CONFIG     0x01

/* DS 9.6.3, table 8 */
#define CONFIG_OS	   0x8000 /* written: convert; read: it does not convert */
#define CONFIG_MUX_SHIFT   12
#define CONFIG_MUX	   0x7000
#define CONFIG_PGA_SHIFT   9
#define CONFIG_SINGLE_SHOT 0x0100
#define CONFIG_RATE_SHIFT  5
#define CONFIG_MARKER	   0x0004 /* COMP_LAT */
#define CONFIG_NO_COMPARE  0x0003

#define INPUTS_MAX  8
#define WAKE_UP_US  100				 /* DS 9.4.2.1: 25 µs, typically */
#define SLOWEST_US  (USEC_PER_SEC * 11 / 10 / 8) /* the longest conversion of all */
#define CONVERT_US  (USEC_PER_SEC * 11 / 10)	 /* at 1/s: rates are right to 10 % (DS 7.5) */
#define AGAIN_LIMIT 10 /* with INPUTS_MAX and the first wait still less than a sensor's own limit */

struct ads1x15_kind {
	const char *name;
	int rates[8]; /* DS 9.6.3; their index is the register's */
	int shift;    /* bits that the conversion register has below the number */
};

static const struct ads1x15_kind ads1115 = {
	.name = "ADS1115",
	.rates = { 8, 16, 32, 64, 128, 250, 475, 860 },
};

static const struct ads1x15_kind ads1015 = {
	.name = "ADS1015",
	.rates = { 128, 250, 490, 920, 1600, 2400, 3300, 3300 },
	.shift = 4,
};

struct ads1x15_state {
	const struct ads1x15_kind *kind;
	uint16_t config; /* as last written, without CONFIG_OS */
	double range;
	int64_t convert_us;
	bool is_stopping; /* of another program's conversion */
	size_t input;	  /* that is being converted */
	double values[INPUTS_MAX];
};

/* DS 9.6.3: the index is the multiplexer's setting */
static const char *const ads1x15_inputs[] = { "a0_a1", "a0_a3", "a1_a3", "a2_a3", "a0",
					      "a1",    "a2",	"a3",	 NULL };
static const double ads1x15_ranges[] = { 6.144, 4.096, 2.048, 1.024, 0.512, 0.256 }; /* V */

/* without the option inputs */
static const char *const default_inputs[] = { "a0", "a1", "a2", "a3" };

enum {
	INPUTS,
	RANGE,
	RATE
};

#define OPTIONS(usual_rate, ...)                                                                   \
	{                                                                                          \
		[INPUTS] = { "inputs", OPTION_STRINGS, .choices = ads1x15_inputs },                \
		[RANGE] = { "range", OPTION_NUMBER, .minimum = 0.256, .maximum = 6.144,            \
			    .preset = 4.096 },                                                     \
		[RATE] = { "rate", OPTION_INTEGER, .preset = (usual_rate), CHOICES(__VA_ARGS__) }, \
	}

/* DS 9.6.3: rates in the order of the register's settings */
static const struct driver_option ads1115_options[] =
	OPTIONS(128, "8", "16", "32", "64", "128", "250", "475", "860");
static const struct driver_option ads1015_options[] =
	OPTIONS(1600, "128", "250", "490", "920", "1600", "2400", "3300");

/* Return: the index of @range in ads1x15_ranges; -1 it is none of them */
static int range_find(double range)
{
	for (int i = 0; i < (int)ARRAY_SIZE(ads1x15_ranges); i++)
		if (fabs(ads1x15_ranges[i] - range) < 1e-6)
			return i;
	return -1;
}

static void ads1x15_check(const struct option_value *options, struct option_check *check)
{
	if (range_find(options[RANGE].number) < 0)
		option_fault(check, &options[RANGE],
			     "must be 6.144, 4.096, 2.048, 1.024, 0.512 or 0.256");
}

static size_t input_count(const struct option_value *options)
{
	return options[INPUTS].count > 0 ? options[INPUTS].count : ARRAY_SIZE(default_inputs);
}

static const char *input_name(const struct option_value *options, size_t at)
{
	return options[INPUTS].count > 0 ? options[INPUTS].list[at].string : default_inputs[at];
}

static int describe(const struct option_value *options,
		    struct channel channels[static CHANNELS_MAX], int digits)
{
	size_t count = input_count(options);

	if (count > INPUTS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		const char *name = input_name(options, i);

		if (!name)
			return -EINVAL;
		channels[i] = (struct channel){ .unit = "V", .digits = digits };
		(void)snprintf(channels[i].name, sizeof(channels[i].name), "%s", name);
	}
	return (int)count;
}

static int ads1115_describe(const struct option_value *options,
			    struct channel channels[static CHANNELS_MAX])
{
	return describe(options, channels, 7); /* DS table 3: steps of 7.8125 µV at 0.256 V */
}

static int ads1015_describe(const struct option_value *options,
			    struct channel channels[static CHANNELS_MAX])
{
	return describe(options, channels, 6); /* 0.125 mV */
}

static uint16_t multiplexer(const struct source *source, size_t input)
{
	const char *name = input_name(source->options, input);
	unsigned int setting = 0;

	while (setting < INPUTS_MAX - 1 && strcmp(ads1x15_inputs[setting], name) != 0)
		setting++;
	return (uint16_t)(setting << CONFIG_MUX_SHIFT);
}

/* DS table 8: the settings of range and rate */
static void choose_settings(struct source *source, const struct ads1x15_kind *kind)
{
	struct ads1x15_state *state = source->state;
	unsigned int rate = (unsigned int)chip_choice(source, RATE);
	int range = range_find(source->options[RANGE].number);

	range = range < 0 ? 0 : range; /* the check refuses it */
	state->kind = kind;
	state->range = ads1x15_ranges[range];
	state->convert_us = CONVERT_US / kind->rates[rate] + WAKE_UP_US;
	state->config = (uint16_t)((unsigned int)range << CONFIG_PGA_SHIFT | CONFIG_SINGLE_SHOT |
				   rate << CONFIG_RATE_SHIFT | CONFIG_MARKER | CONFIG_NO_COMPARE);
}

/* the chip has no id: that it takes the settings must do */
static int open_kind(struct source *source, const struct ads1x15_kind *kind)
{
	struct ads1x15_state *state = source->state;
	uint16_t config;
	int r;

	choose_settings(source, kind);
	r = chip_write_be16(source, REG_CONFIG, state->config);
	if (r < 0)
		return chip_absent(source, r);
	r = chip_read_be16(source, REG_CONFIG, &config);
	if (r < 0)
		return r;
	state->is_stopping = !(config & CONFIG_OS);
	return (config & ~CONFIG_OS) == state->config ? 0
						      : chip_stranger(source, config, kind->name);
}

static int ads1115_open(struct source *source)
{
	return open_kind(source, &ads1115);
}

static int ads1015_open(struct source *source)
{
	return open_kind(source, &ads1015);
}

static int convert(struct source *source, int64_t *wait_us)
{
	struct ads1x15_state *state = source->state;

	state->config =
		(uint16_t)((state->config & ~CONFIG_MUX) | multiplexer(source, state->input));
	*wait_us = state->convert_us;
	return chip_write_be16(source, REG_CONFIG, state->config | CONFIG_OS);
}

static int ads1x15_start(struct source *source, int64_t *wait_us)
{
	struct ads1x15_state *state = source->state;

	state->input = 0;
	*wait_us = SLOWEST_US;
	return state->is_stopping ? 0 : convert(source, wait_us);
}

/* Return: 0 it does not convert any more; -EAGAIN; another errno */
static int ads1x15_ready(struct source *source, int64_t *wait_us)
{
	struct ads1x15_state *state = source->state;
	uint16_t config;
	int r;

	r = chip_read_be16(source, REG_CONFIG, &config);
	if (r < 0)
		return r;
	if ((config & ~CONFIG_OS) != state->config)
		return chip_lost(source);
	if (!(config & CONFIG_OS))
		return chip_converting(source, AGAIN_LIMIT, state->convert_us / 4, wait_us);
	return 0;
}

/* DS 9.5.4: steps of range / 2^15, or of 16 of them; the first and the last are what is beyond, too */
static int ads1x15_read(struct source *source, double *ret)
{
	struct ads1x15_state *state = source->state;
	int most = INT16_MAX >> state->kind->shift, number;
	uint16_t conversion = 0;
	int r;

	r = chip_read_be16(source, REG_CONVERSION, &conversion);
	if (r < 0)
		return r;
	number = (int16_t)conversion >> state->kind->shift;
	if (number >= most || number < -most)
		return source_fail(source, -ERANGE, "%s is at the end of the range of %g V%s",
				   source->channels[state->input].name, state->range,
				   state->range < ads1x15_ranges[0] ? ": set a larger one" : "");
	*ret = number * state->range / (most + 1);
	return 0;
}

static int ads1x15_collect(struct source *source, double values[static CHANNELS_MAX],
			   int64_t *wait_us)
{
	struct ads1x15_state *state = source->state;
	int r;

	r = ads1x15_ready(source, wait_us);
	if (r == 0 && !state->is_stopping)
		r = ads1x15_read(source, &state->values[state->input]);
	if (r < 0)
		return r;
	state->input += !state->is_stopping;
	state->is_stopping = false;
	if (state->input < source->channel_count) {
		r = convert(source, wait_us);
		return r < 0 ? r : -EAGAIN;
	}
	memcpy(values, state->values, sizeof(*values) * source->channel_count);
	return 0;
}

extern const struct driver ads1015_driver, ads1115_driver;

#define ADS1X15_DRIVER(chip)                                                                       \
	{                                                                                          \
		.name = #chip, .kind = DRIVER_I2C, .describe = chip##_describe,                    \
		.check = ads1x15_check, CHIP_OPTIONS(chip##_options),                              \
		CHIP_STATE(struct ads1x15_state),                                                  \
		.addresses = { 0x48, 0x49, 0x4a, 0x4b }, /* DS 9.5.1.1 */                          \
			.open = chip##_open, .start = ads1x15_start, .collect = ads1x15_collect,   \
	}

const struct driver ads1015_driver = ADS1X15_DRIVER(ads1015);
const struct driver ads1115_driver = ADS1X15_DRIVER(ads1115);
