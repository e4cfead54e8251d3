/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands that take and give words with checksums, as Sensirion's chips do. */

#include <errno.h>
#include <string.h>

#include "kit.h"

#define WORD_SIZE 3

/* x^8 + x^5 + x^4 + 1 from the left, over one word */
static uint8_t checksum(uint16_t word, uint8_t initial)
{
	unsigned int rest = word ^ (unsigned int)initial << 8;

	for (unsigned int bit = 0x8000; bit != 0; bit >>= 1)
		if (rest & 0x8000)
			rest = (rest ^ 0x9880) << 1;
		else
			rest <<= 1;
	return (uint8_t)(rest >> 8);
}

void sim_words_reset(struct sim_words *sim, const struct sim_command_set *set)
{
	sim->set = set;
	sim->answer_count = 0;
	sim->busy_until_us = 0;
	sim->is_measuring = false;
}

static bool is_busy(struct sim_words *sim)
{
	const struct sim_chip *chip = &sim->chip;

	if (chip->now_us() < sim->busy_until_us || (sim->is_measuring && chip->is_stuck))
		return true;
	sim->is_measuring = false;
	return false;
}

void sim_words_answer(struct sim_words *sim, const uint16_t *words, size_t count)
{
	memcpy(sim->answer, words, count * sizeof(*words));
	sim->answer_count = count;
}

static const struct sim_command *find(const struct sim_words *sim, uint16_t code)
{
	for (size_t i = 0; i < sim->set->count; i++)
		if (sim->set->commands[i].code == code)
			return &sim->set->commands[i];
	return NULL;
}

/* the words behind a command. Return: 0; -ENXIO */
static int take_arguments(struct sim_words *sim, const uint8_t *data, size_t count,
			  uint16_t *arguments)
{
	for (size_t i = 0; i < count; i++, data += WORD_SIZE) {
		arguments[i] = (uint16_t)(data[0] << 8 | data[1]);
		if (checksum(arguments[i], sim->set->crc_initial) != data[2]) {
			sim_complain(&sim->chip, "wrong checksum behind word 0x%04x", arguments[i]);
			return -ENXIO;
		}
	}
	return 0;
}

static int run(struct sim_words *sim, const struct sim_command *command, const uint8_t *data,
	       size_t length)
{
	uint16_t arguments[SIM_WORDS_MAX] = { 0 };
	int r;

	if (length != command->arguments * WORD_SIZE) {
		sim_complain(&sim->chip, "%zu bytes behind command 0x%02x, not %zu", length,
			     command->code, command->arguments * WORD_SIZE);
		return -ENXIO;
	}
	r = take_arguments(sim, data, command->arguments, arguments);
	if (r < 0)
		return r;
	sim->answer_count = 0; /* what was not fetched is gone */
	r = command->run ? command->run(sim, arguments) : 0;
	if (r < 0)
		return r;
	sim->busy_until_us = sim->chip.now_us() + command->duration_us;
	sim->is_measuring = command->measures;
	return 0;
}

int sim_words_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_words *sim = container_of(chip, struct sim_words, chip);
	size_t code_bytes = (size_t)sim->set->code_bytes;
	const struct sim_command *command;
	uint16_t code = 0;

	for (size_t i = 0; i < code_bytes && i < length; i++)
		code = (uint16_t)(code << 8 | data[i]);
	if (is_busy(sim)) {
		sim_complain(chip, "command 0x%02x while another is carried out", code);
		return -ENXIO;
	}
	command = length < code_bytes ? NULL : find(sim, code);
	if (!command) {
		sim_complain(chip, "there is no command 0x%02x", code);
		return -ENXIO;
	}
	return run(sim, command, data + code_bytes, length - code_bytes);
}

int sim_words_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_words *sim = container_of(chip, struct sim_words, chip);
	size_t size = sim->answer_count * WORD_SIZE;

	if (sim->answer_count == 0 || is_busy(sim))
		return -ENXIO;
	if (length > size)
		sim_complain(chip, "%zu bytes read where there are %zu", length, size);
	for (size_t i = 0; i < length; i++) {
		uint16_t word = sim->answer[i / WORD_SIZE % SIM_WORDS_MAX];
		const uint8_t bytes[WORD_SIZE] = { (uint8_t)(word >> 8), (uint8_t)word,
						   checksum(word, sim->set->crc_initial) };

		data[i] = i < size ? bytes[i % WORD_SIZE] : 0xff;
	}
	sim->answer_count = 0;
	return 0;
}
