/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Sensirion SCD41, from the data sheet SCD4x ("DS", version 1.3): periodic measurement, single shot,
 * altitude, sleep. Not here: calibration, temperature offset, low power measurement, what is kept in
 * the EEPROM.
 */

#include <errno.h>

#include "kit.h"

#include "iotd/clock.h"

#define INTERVAL_US    (5 * USEC_PER_SEC)
#define WAKE_UP_US     (20 * USEC_PER_MSEC)
#define WAKE_UP	       0x36f6
#define ALTITUDE_MAX_M 3000

struct sim_scd4x {
	struct sim_words words;
	bool is_periodic, is_asleep;
	int64_t measured_at_us; /* when the measurement under way ends; 0: there is none */
	bool has_data;		/* that nobody has read */
	uint16_t altitude;
};

static struct sim_scd4x *scd4x_of(struct sim_words *words)
{
	return container_of(words, struct sim_scd4x, words);
}

/* what has been measured meanwhile */
static void advance(struct sim_scd4x *sim)
{
	struct sim_chip *chip = &sim->words.chip;

	if (sim->measured_at_us == 0 || sim_is_busy(chip, sim->measured_at_us))
		return;
	sim->has_data = true;
	if (sim->is_periodic)
		sim->measured_at_us +=
			((chip->now_us() - sim->measured_at_us) / INTERVAL_US + 1) * INTERVAL_US;
	else
		sim->measured_at_us = 0;
}

/* DS 3.4, table 9, the last column */
static int must_be_idle(struct sim_scd4x *sim, const char *what)
{
	if (!sim->is_periodic)
		return 0;
	sim_complain(&sim->words.chip, "%s during periodic measurement", what);
	return -ENXIO;
}

/* DS 3.5.1 and 3.10.1 */
static int measure(struct sim_scd4x *sim, bool periodic)
{
	int r = must_be_idle(sim, "a measurement");

	if (r < 0)
		return r;
	sim->is_periodic = periodic;
	sim->has_data = false;
	sim->measured_at_us = sim->words.chip.now_us() + INTERVAL_US;
	return 0;
}

static int start_periodic(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	return measure(scd4x_of(words), true);
}

static int single_shot(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	return measure(scd4x_of(words), false);
}

/* DS 3.5.3 */
static int stop_periodic(struct sim_words *words, const uint16_t *arguments)
{
	struct sim_scd4x *sim = scd4x_of(words);

	(void)arguments;
	sim->is_periodic = false;
	sim->has_data = false;
	sim->measured_at_us = 0;
	return 0;
}

/* DS 3.5.2: once a measurement, then the buffer is empty and the read a NACK */
static int read_measurement(struct sim_words *words, const uint16_t *arguments)
{
	struct sim_scd4x *sim = scd4x_of(words);
	struct sim_chip *chip = &words->chip;
	const uint16_t raw[] = {
		(uint16_t)sim_count(sim_weather(chip, "co2"), 0, 40000),
		(uint16_t)sim_count((sim_weather(chip, "temperature") + 45) / 175 * 65536, 0,
				    65535),
		(uint16_t)sim_count(sim_weather(chip, "humidity") / 100 * 65536, 0, 65535),
	};

	(void)arguments;
	if (sim->has_data)
		sim_words_answer(words, raw, ARRAY_SIZE(raw));
	else
		sim_complain(chip, "a measurement is read that is not there");
	sim->has_data = false;
	return 0;
}

/* DS 3.8.2, with its example of no data */
static int data_ready(struct sim_words *words, const uint16_t *arguments)
{
	const uint16_t status = scd4x_of(words)->has_data ? 0x8006 : 0x8000;

	(void)arguments;
	sim_words_answer(words, &status, 1);
	return 0;
}

/* DS 3.6.3 */
static int set_altitude(struct sim_words *words, const uint16_t *arguments)
{
	struct sim_scd4x *sim = scd4x_of(words);

	if (arguments[0] > ALTITUDE_MAX_M)
		sim_complain(&words->chip, "an altitude of %u m", arguments[0]);
	sim->altitude = arguments[0];
	return must_be_idle(sim, "an altitude");
}

/* DS 3.6.4 */
static int get_altitude(struct sim_words *words, const uint16_t *arguments)
{
	struct sim_scd4x *sim = scd4x_of(words);

	(void)arguments;
	sim_words_answer(words, &sim->altitude, 1);
	return must_be_idle(sim, "a question for the altitude");
}

/* DS 3.9.2, with its example */
static int serial_number(struct sim_words *words, const uint16_t *arguments)
{
	const uint16_t serial[] = { 0xf896, 0x9f07, 0x3bbe };

	(void)arguments;
	sim_words_answer(words, serial, ARRAY_SIZE(serial));
	return must_be_idle(scd4x_of(words), "a question for the serial number");
}

/* DS 3.10.3 */
static int power_down(struct sim_words *words, const uint16_t *arguments)
{
	struct sim_scd4x *sim = scd4x_of(words);

	(void)arguments;
	sim->is_asleep = !sim->is_periodic;
	return must_be_idle(sim, "sleep");
}

/* DS 3.4, table 9 */
static const struct sim_command commands[] = {
	{ 0x21b1, 0, 0, start_periodic, false },     { 0xec05, 0, 1000, read_measurement, false },
	{ 0x3f86, 0, 500000, stop_periodic, false }, { 0x2427, 1, 1000, set_altitude, false },
	{ 0x2322, 0, 1000, get_altitude, false },    { 0xe4b8, 0, 1000, data_ready, false },
	{ 0x219d, 0, 5000000, single_shot, true },   { 0x36e0, 0, 1000, power_down, false },
	{ WAKE_UP, 0, WAKE_UP_US, NULL, false },     { 0x3682, 0, 1000, serial_number, false },
};

static const struct sim_command_set command_set = {
	.code_bytes = 2,
	.crc_initial = 0xff, /* DS 3.11 */
	.commands = commands,
	.count = ARRAY_SIZE(commands),
};

/* DS 3.10.4: a sleeping chip acknowledges nothing, not even what wakes it */
static int sim_scd4x_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_scd4x *sim = container_of(chip, struct sim_scd4x, words.chip);

	advance(sim);
	if (!sim->is_asleep)
		return sim_words_write(chip, data, length);
	sim->is_asleep = length != 2 || (data[0] << 8 | data[1]) != WAKE_UP;
	if (!sim->is_asleep)
		sim->words.busy_until_us = chip->now_us() + WAKE_UP_US;
	return -ENXIO;
}

static void sim_scd4x_reset(struct sim_chip *chip)
{
	struct sim_scd4x *sim = container_of(chip, struct sim_scd4x, words.chip);

	*sim = (struct sim_scd4x){ .words.chip = *chip };
	sim_words_reset(&sim->words, &command_set);
}

extern const struct sim_model sim_scd4x;

const struct sim_model sim_scd4x = {
	.driver = "scd4x",
	.traits = SIM_CHECKSUMS,
	.size = sizeof(struct sim_scd4x),
	.reset = sim_scd4x_reset,
	.write = sim_scd4x_write,
	.read = sim_words_read,
};
