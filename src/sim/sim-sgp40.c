/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Sensirion SGP40, from its data sheet ("DS", version 1.1), as slow as it allows. The first measurement
 * with a cold hotplate says something else than the weather (DS 3.1: discard it). Not here: the compensation.
 */

#include "kit.h"

struct sim_sgp40 {
	struct sim_words words;
	bool is_hot;
};

/* DS tables 9, 10 and 11; without compensation only the defaults are right */
static int measure(struct sim_words *words, const uint16_t *arguments)
{
	struct sim_sgp40 *sim = container_of(words, struct sim_sgp40, words);
	double ticks = sim_weather(&words->chip, "voc_raw") * (sim->is_hot ? 1 : 0.5);
	uint16_t raw = (uint16_t)sim_count(ticks, 0, 65535);

	if (arguments[0] != 0x8000 || arguments[1] != 0x6666)
		sim_complain(&words->chip,
			     "humidity 0x%04x and temperature 0x%04x, which nobody knows",
			     arguments[0], arguments[1]);
	sim->is_hot = true;
	sim_words_answer(words, &raw, 1);
	return 0;
}

/* DS 3.3, table 13 */
static int self_test(struct sim_words *words, const uint16_t *arguments)
{
	const uint16_t passed = 0xd400;

	(void)arguments;
	sim_words_answer(words, &passed, 1);
	return 0;
}

/* DS table 14 */
static int heater_off(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	container_of(words, struct sim_sgp40, words)->is_hot = false;
	return 0;
}

static int serial_number(struct sim_words *words, const uint16_t *arguments)
{
	const uint16_t serial[] = { 0x0000, 0x0189, 0x4bc3 };

	(void)arguments;
	sim_words_answer(words, serial, ARRAY_SIZE(serial));
	return 0;
}

/* DS table 8, with the longest times */
static const struct sim_command commands[] = {
	{ 0x260f, 2, 30000, measure, true },
	{ 0x280e, 0, 320000, self_test, true },
	{ 0x3615, 0, 1000, heater_off, false },
	{ 0x3682, 0, 1000, serial_number, false },
};

static const struct sim_command_set command_set = {
	.code_bytes = 2,
	.crc_initial = 0xff, /* DS 4.6 */
	.commands = commands,
	.count = ARRAY_SIZE(commands),
};

static void sim_sgp40_reset(struct sim_chip *chip)
{
	struct sim_sgp40 *sim = container_of(chip, struct sim_sgp40, words.chip);

	sim_words_reset(&sim->words, &command_set);
	sim->is_hot = false;
}

extern const struct sim_model sim_sgp40;

const struct sim_model sim_sgp40 = {
	.driver = "sgp40",
	.traits = SIM_CHECKSUMS,
	.size = sizeof(struct sim_sgp40),
	.reset = sim_sgp40_reset,
	.write = sim_words_write,
	.read = sim_words_read,
};
