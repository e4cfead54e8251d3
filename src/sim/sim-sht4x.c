/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Sensirion SHT40, from the data sheet SHT4x ("DS", version 6): measurements, serial number, reset.
 * As slow as the data sheet allows. Not here: the heater, general call reset.
 */

#include "kit.h"

static void sim_sht4x_reset(struct sim_chip *chip);

/* DS 4.6, solved for the ticks */
static int measure(struct sim_words *sim, const uint16_t *arguments)
{
	double celsius = sim_weather(&sim->chip, "temperature");
	double percent = sim_weather(&sim->chip, "humidity");
	const uint16_t ticks[] = {
		(uint16_t)sim_count((celsius + 45) * 65535 / 175, 0, 65535),
		(uint16_t)sim_count((percent + 6) * 65535 / 125, 0, 65535),
	};

	(void)arguments;
	sim_words_answer(sim, ticks, ARRAY_SIZE(ticks));
	return 0;
}

/* DS 4.7: unique, so here it goes by the address */
static int read_serial(struct sim_words *sim, const uint16_t *arguments)
{
	const uint16_t serial[] = { 0x0fa1, sim->chip.address };

	(void)arguments;
	sim_words_answer(sim, serial, ARRAY_SIZE(serial));
	return 0;
}

static int soft_reset(struct sim_words *sim, const uint16_t *arguments)
{
	(void)arguments;
	sim_sht4x_reset(&sim->chip);
	return 0;
}

/* DS 4.5, table 7; DS 3.2, table 4: high, medium and low repeatability */
static const struct sim_command commands[] = {
	{ 0xfd, 0, 8300, measure, true },     { 0xf6, 0, 4500, measure, true },
	{ 0xe0, 0, 1700, measure, true },     { 0x89, 0, 1000, read_serial, false },
	{ 0x94, 0, 1000, soft_reset, false },
};

static const struct sim_command_set command_set = {
	.code_bytes = 1,
	.crc_initial = 0xff, /* DS 4.4, table 6 */
	.commands = commands,
	.count = ARRAY_SIZE(commands),
};

static void sim_sht4x_reset(struct sim_chip *chip)
{
	sim_words_reset(container_of(chip, struct sim_words, chip), &command_set);
}

extern const struct sim_model sim_sht4x;

const struct sim_model sim_sht4x = {
	.driver = "sht4x",
	.traits = SIM_CHECKSUMS,
	.size = sizeof(struct sim_words),
	.reset = sim_sht4x_reset,
	.write = sim_words_write,
	.read = sim_words_read,
};
