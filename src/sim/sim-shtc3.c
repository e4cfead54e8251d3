/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Sensirion SHTC3, from the data sheet SHTC3 ("DS", version 3): both modes, temperature or humidity
 * first, sleep, reset, id. As slow as the data sheet allows. Not here: clock stretching, general call.
 */

#include <errno.h>

#include "kit.h"

#define WAKE_UP	   0x3517
#define WAKE_UP_US 240

struct sim_shtc3 {
	struct sim_words words;
	bool is_asleep;
};

static void sim_shtc3_reset(struct sim_chip *chip);

/* DS 5.11, solved for the raw values */
static uint16_t raw_temperature(const struct sim_words *words)
{
	double celsius = sim_weather(&words->chip, "temperature");

	return (uint16_t)sim_count((celsius + 45) * 65536 / 175, 0, 65535);
}

static uint16_t raw_humidity(const struct sim_words *words)
{
	double percent = sim_weather(&words->chip, "humidity");

	return (uint16_t)sim_count(percent * 65536 / 100, 0, 65535);
}

static int temperature_first(struct sim_words *words, const uint16_t *arguments)
{
	const uint16_t raw[] = { raw_temperature(words), raw_humidity(words) };

	(void)arguments;
	sim_words_answer(words, raw, ARRAY_SIZE(raw));
	return 0;
}

static int humidity_first(struct sim_words *words, const uint16_t *arguments)
{
	const uint16_t raw[] = { raw_humidity(words), raw_temperature(words) };

	(void)arguments;
	sim_words_answer(words, raw, ARRAY_SIZE(raw));
	return 0;
}

static int fall_asleep(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	container_of(words, struct sim_shtc3, words)->is_asleep = true;
	return 0;
}

static int soft_reset(struct sim_words *words, const uint16_t *arguments)
{
	(void)arguments;
	sim_shtc3_reset(&words->chip);
	return 0;
}

/* DS 5.9, table 15: bits 0 to 5 and 11 are fixed, the others are not */
static int read_id(struct sim_words *words, const uint16_t *arguments)
{
	const uint16_t id = 0x0887;

	(void)arguments;
	sim_words_answer(words, &id, 1);
	return 0;
}

/* DS 5.1, 5.3, 5.7, 5.9; times: DS 3.1, table 5, and power-up time for what wakes it */
static const struct sim_command commands[] = {
	{ 0x7866, 0, 12100, temperature_first, true }, { 0x58e0, 0, 12100, humidity_first, true },
	{ 0x609c, 0, 800, temperature_first, true },   { 0x401a, 0, 800, humidity_first, true },
	{ 0xb098, 0, 0, fall_asleep, false },	       { WAKE_UP, 0, WAKE_UP_US, NULL, false },
	{ 0x805d, 0, 240, soft_reset, false },	       { 0xefc8, 0, 0, read_id, false },
};

static const struct sim_command_set command_set = {
	.code_bytes = 2,
	.crc_initial = 0xff, /* DS 5.10, table 16 */
	.commands = commands,
	.count = ARRAY_SIZE(commands),
};

/* DS 5.1: asleep it takes nothing but what wakes it */
static int sim_shtc3_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_shtc3 *sim = container_of(chip, struct sim_shtc3, words.chip);

	if (sim->is_asleep && (length != 2 || (data[0] << 8 | data[1]) != WAKE_UP)) {
		sim_complain(chip, "a command to a sleeping chip");
		return -ENXIO;
	}
	sim->is_asleep = false;
	return sim_words_write(chip, data, length);
}

static int sim_shtc3_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_shtc3 *sim = container_of(chip, struct sim_shtc3, words.chip);

	return sim->is_asleep ? -ENXIO : sim_words_read(chip, data, length);
}

static void sim_shtc3_reset(struct sim_chip *chip)
{
	struct sim_shtc3 *sim = container_of(chip, struct sim_shtc3, words.chip);

	sim->is_asleep = false; /* DS 5.1: idle after power-up */
	sim_words_reset(&sim->words, &command_set);
}

extern const struct sim_model sim_shtc3;

const struct sim_model sim_shtc3 = {
	.driver = "shtc3",
	.traits = SIM_CHECKSUMS,
	.size = sizeof(struct sim_shtc3),
	.reset = sim_shtc3_reset,
	.write = sim_shtc3_write,
	.read = sim_shtc3_read,
};
