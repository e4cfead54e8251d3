/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An HTU21D and a Si7021, from the data sheets HTU21D(F) ("DS", HPC199_3) and Si7021-A20 ("Si", rev.
 * 1.1): no hold master, user register, reset, the second half of the serial number. As slow as they
 * say. Not here: clock stretching, other resolutions, the heater's current, the rest of the serial
 * number.
 */

#include <errno.h>

#include "kit.h"

#define USER_RESERVED 0x38 /* DS page 13; and bit 1 of the Si7021 (Si 6.1) */
#define USER_HEATER   0x04
#define USER_READONLY 0x40 /* the battery */

/* enum said - what the next read gives */
enum said {
	SAID_WORDS,
	SAID_USER,
	SAID_SERIAL
};

struct sim_htu21d {
	struct sim_words words;
	enum said said;
	uint8_t user;
};

/* what differs */
struct kind {
	struct sim_command_set set;
	uint8_t user;		/* after power on */
	uint8_t user_reserved;	/* bits that must be written as they are */
	uint8_t serial[6];	/* with checksums */
	bool reset_leaves_heat; /* DS page 12 */
};

static const struct kind *kind_of(const struct sim_chip *chip);

/* DS page 15, Si 5.1.1, solved for the raw value; the lowest bits say what was measured (DS page 15) */
static int measure_humidity(struct sim_words *words, const uint16_t *arguments)
{
	double percent = sim_weather(&words->chip, "humidity");
	uint16_t raw = (uint16_t)sim_count((percent + 6) * 65536 / 125, 0, 65535);

	(void)arguments;
	raw = (uint16_t)((raw & ~0x0fU) | 0x02); /* 12 bits */
	sim_words_answer(words, &raw, 1);
	return 0;
}

/* DS page 15, Si 5.1.2 */
static int measure_temperature(struct sim_words *words, const uint16_t *arguments)
{
	double celsius = sim_weather(&words->chip, "temperature");
	uint16_t raw = (uint16_t)sim_count((celsius + 46.85) * 65536 / 175.72, 0, 65535);

	(void)arguments;
	raw = (uint16_t)(raw & ~0x03U); /* 14 bits */
	sim_words_answer(words, &raw, 1);
	return 0;
}

static int soft_reset(struct sim_words *words, const uint16_t *arguments)
{
	struct sim_htu21d *sim = container_of(words, struct sim_htu21d, words);
	const struct kind *kind = kind_of(&words->chip);
	uint8_t heat = kind->reset_leaves_heat ? sim->user & USER_HEATER : 0;

	(void)arguments;
	sim->user = kind->user | heat;
	sim_words_reset(words, &kind->set);
	return 0;
}

/* DS pages 3, 4, 12 */
static const struct sim_command htu21d_commands[] = {
	{ 0xf5, 0, 16000, measure_humidity, true },
	{ 0xf3, 0, 50000, measure_temperature, true },
	{ 0xfe, 0, 15000, soft_reset, false },
};

/* Si table 2; 5.1: a humidity measures the temperature, too */
static const struct sim_command si7021_commands[] = {
	{ 0xf5, 0, 22800, measure_humidity, true },
	{ 0xf3, 0, 10800, measure_temperature, true },
	{ 0xfe, 0, 15000, soft_reset, false },
};

static const struct kind htu21d = {
	.set = { 1, 0x00, htu21d_commands, ARRAY_SIZE(htu21d_commands) },
	.user = 0x02,
	.user_reserved = USER_RESERVED,
	.serial = { 0x32, 0x00, 0x6b, 0x12, 0x34, 0xb6 },
	.reset_leaves_heat = true,
};

static const struct kind si7021 = {
	.set = { 1, 0x00, si7021_commands, ARRAY_SIZE(si7021_commands) },
	.user = 0x3a,
	.user_reserved = USER_RESERVED | 0x02,
	.serial = { 0x15, 0xff, 0xb5, 0xff, 0xff, 0x2d },
};

/* Si 6.1, DS page 13 */
static void write_user(struct sim_htu21d *sim, uint8_t value)
{
	struct sim_chip *chip = &sim->words.chip;

	if ((value ^ sim->user) & kind_of(chip)->user_reserved)
		sim_complain(chip, "0x%02x to the user register changes reserved bits", value);
	sim->user = (uint8_t)((value & ~USER_READONLY) | (sim->user & USER_READONLY));
}

static bool is_idle(struct sim_htu21d *sim)
{
	struct sim_words *words = &sim->words;

	return words->chip.now_us() >= words->busy_until_us &&
	       !(words->is_measuring && words->chip.is_stuck);
}

/* the commands that are none of one byte and words. Return: false: it is one */
static bool take(struct sim_htu21d *sim, const uint8_t *data, size_t length)
{
	sim->said = SAID_WORDS;
	if (!is_idle(sim))
		return false;
	if (length == 2 && data[0] == 0xe6)
		write_user(sim, data[1]);
	else if (length == 1 && data[0] == 0xe7)
		sim->said = SAID_USER;
	else if (length == 2 && data[0] == 0xfc && data[1] == 0xc9)
		sim->said = SAID_SERIAL;
	else
		return false;
	sim->words.answer_count = 0;
	return true;
}

static int sim_htu21d_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_htu21d *sim = container_of(chip, struct sim_htu21d, words.chip);

	return take(sim, data, length) ? 0 : sim_words_write(chip, data, length);
}

static int sim_htu21d_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_htu21d *sim = container_of(chip, struct sim_htu21d, words.chip);

	switch (sim->said) {
	case SAID_WORDS:
		return sim_words_read(chip, data, length);
	case SAID_USER:
		for (size_t i = 0; i < length; i++)
			data[i] = i == 0 ? sim->user : 0xff;
		break;
	case SAID_SERIAL:
		for (size_t i = 0; i < length; i++)
			data[i] = i < 6 ? kind_of(chip)->serial[i] : 0xff;
		break;
	}
	sim->said = SAID_WORDS;
	return 0;
}

static void sim_htu21d_reset(struct sim_chip *chip)
{
	struct sim_htu21d *sim = container_of(chip, struct sim_htu21d, words.chip);

	sim->said = SAID_WORDS;
	sim->user = kind_of(chip)->user;
	sim_words_reset(&sim->words, &kind_of(chip)->set);
}

extern const struct sim_model sim_htu21d, sim_si7021;

const struct sim_model sim_htu21d = {
	.driver = "htu21d",
	.size = sizeof(struct sim_htu21d),
	.reset = sim_htu21d_reset,
	.write = sim_htu21d_write,
	.read = sim_htu21d_read,
};

const struct sim_model sim_si7021 = {
	.driver = "si7021",
	.size = sizeof(struct sim_htu21d),
	.reset = sim_htu21d_reset,
	.write = sim_htu21d_write,
	.read = sim_htu21d_read,
};

static const struct kind *kind_of(const struct sim_chip *chip)
{
	return chip->model == &sim_si7021 ? &si7021 : &htu21d;
}
