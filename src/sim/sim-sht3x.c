/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Sensirion SHT3x, from the data sheet SHT3x-DIS ("DS", version 5): single shot and status. As slow
 * as the data sheet allows. Not here: periodic measurement, heater, alerts, clock stretching.
 */

#include "kit.h"

#define STATUS_POWER_ON 0x8010 /* DS 4.11, table 18 */
#define STATUS_CLEARED	0x7fef /* the bits that 0x3041 leaves, of those that are ever set here */

struct sim_sht3x {
	struct sim_words words;
	uint16_t status;
};

static void sim_sht3x_reset(struct sim_chip *chip);

/* DS 4.13, solved for the raw values */
static int measure(struct sim_words *words, const uint16_t *arguments)
{
	double celsius = sim_weather(&words->chip, "temperature");
	double percent = sim_weather(&words->chip, "humidity");
	const uint16_t raw[] = {
		(uint16_t)sim_count((celsius + 45) / 175 * 65535, 0, 65535),
		(uint16_t)sim_count(percent / 100 * 65535, 0, 65535),
	};

	(void)arguments;
	sim_words_answer(words, raw, ARRAY_SIZE(raw));
	return 0;
}

static int soft_reset(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	sim_sht3x_reset(&words->chip);
	return 0;
}

static int read_status(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	sim_words_answer(words, &container_of(words, struct sim_sht3x, words)->status, 1);
	return 0;
}

static int clear_status(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	container_of(words, struct sim_sht3x, words)->status &= STATUS_CLEARED;
	return 0;
}

static const struct sim_command commands[] = {
	{ 0x2400, 0, 15500, measure, true }, /* DS 4.3, table 9; 2.2, table 4 */
	{ 0x240b, 0, 6500, measure, true },	  { 0x2416, 0, 4500, measure, true },
	{ 0x3093, 0, 1000, NULL, false },	  /* DS 4.8 */
	{ 0x30a2, 0, 1500, soft_reset, false },	  /* DS 4.9; 2.2, table 4 */
	{ 0xf32d, 0, 1000, read_status, false },  /* DS 4.11; 4.3, "SCL free" */
	{ 0x3041, 0, 1000, clear_status, false }, /* DS 4.11 */
};

static const struct sim_command_set command_set = {
	.code_bytes = 2,
	.crc_initial = 0xff, /* DS 4.12, table 20 */
	.commands = commands,
	.count = ARRAY_SIZE(commands),
};

static void sim_sht3x_reset(struct sim_chip *chip)
{
	struct sim_sht3x *sim = container_of(chip, struct sim_sht3x, words.chip);

	sim_words_reset(&sim->words, &command_set);
	sim->status = STATUS_POWER_ON;
}

extern const struct sim_model sim_sht3x;

const struct sim_model sim_sht3x = {
	.driver = "sht3x",
	.traits = SIM_CHECKSUMS,
	.size = sizeof(struct sim_sht3x),
	.reset = sim_sht3x_reset,
	.write = sim_words_write,
	.read = sim_words_read,
};
