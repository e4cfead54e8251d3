/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What emulated chips share: registers behind a pointer, commands and words with checksums, and how a
 * chip complains. A chip embeds struct sim_registers or struct sim_words as its first member, and its
 * model names the kit's write and read. Shares no line with the drivers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/sim.h"

/** sim_complain() - the driver did something that the data sheet forbids; the first complaint stays */
void sim_complain(struct sim_chip *chip, const char *format, ...) printf_like(2, 3);

/** sim_is_busy() - a measurement that ends at @until_us (of the chip's clock) is under way; 0: none is */
bool sim_is_busy(const struct sim_chip *chip, int64_t until_us);

/**
 * sim_light() - the weather's illuminance, lx, where it never is more than @most: behind a glass as dark as it takes
 * For chips whose scale ends below the weather's brightest with some of their settings; they have the trait SIM_DIMS.
 */
double sim_light(const struct sim_chip *chip, double most);

/** sim_count() - @value as a register has it: rounded, and no less than @least nor more than @most */
int sim_count(double value, int least, int most);

/* --- Registers ------------------------------------------------------------------------------ */

struct sim_registers;

/** struct sim_register - a row of the data sheet's register map */
struct sim_register {
	uint8_t number;
	uint16_t initial;  /* after power on */
	uint16_t writable; /* bits that a write changes; the others keep their value */
	uint16_t
		reserved; /* bits that must be written as @initial has them: else the chip complains */
	uint8_t size;	  /* bytes, where it is not as long as the others; 0: as long */
};

/** enum sim_width - how long the registers are, and which byte comes first */
enum sim_width {
	SIM_8,	  /* the pointer counts up with each byte, read or written */
	SIM_BE16, /* the pointer stays, one register a transfer */
	SIM_LE16,
};

/** struct sim_register_map - a kind of chip; const */
struct sim_register_map {
	enum sim_width width;
	const struct sim_register *registers; /* what is not here does not exist: complaint */
	size_t count;
	/** before each transfer: what happened meanwhile. Return: 0; -ENXIO the chip does not answer now. May be NULL */
	int (*advance)(struct sim_registers *sim);
	/** the register number in the byte that a write begins with, for chips with a command bit there. May be NULL */
	uint8_t (*select)(struct sim_registers *sim, uint8_t byte);
	/** after a write, @value as it came; sim->values[] has what is left of it. May be NULL */
	void (*written)(struct sim_registers *sim, uint8_t reg, uint16_t value);
	/** before a register is read: clear on read, live values. May be NULL */
	void (*reading)(struct sim_registers *sim, uint8_t reg);
};

/** struct sim_registers - such a chip; embedded */
struct sim_registers {
	struct sim_chip chip;
	const struct sim_register_map *map;
	uint16_t values[256];
	uint8_t pointer;
};

/** sim_registers_reset() - all registers as after power on; for the model's reset() and for reset commands */
void sim_registers_reset(struct sim_registers *sim, const struct sim_register_map *map);

/** sim_registers_write() - the model's write(): pointer, then values */
int sim_registers_write(struct sim_chip *chip, const uint8_t *data, size_t length);

/** sim_registers_read() - the model's read(), from the pointer on */
int sim_registers_read(struct sim_chip *chip, uint8_t *data, size_t length);

/* --- Commands and words --------------------------------------------------------------------- */

#define SIM_WORDS_MAX 8

struct sim_words;

/** struct sim_command - a row of the data sheet's list of commands */
struct sim_command {
	uint16_t code;
	size_t arguments;    /* words behind it */
	int64_t duration_us; /* the longest execution time: until then the chip answers nothing */
	/** what it does; sim_words_answer() for what can be read after @duration_us. Return: 0; -ENXIO not now. May be NULL */
	int (*run)(struct sim_words *sim, const uint16_t *arguments);
	bool measures; /* never ends in a chip that is stuck */
};

/** struct sim_command_set - a kind of chip; const */
struct sim_command_set {
	int code_bytes;	     /* 1, or 2 with the high byte first */
	uint8_t crc_initial; /* the polynomial is 0x31 */
	const struct sim_command *commands;
	size_t count;
};

/** struct sim_words - such a chip; embedded */
struct sim_words {
	struct sim_chip chip;
	const struct sim_command_set *set;
	uint16_t answer[SIM_WORDS_MAX];
	size_t answer_count; /* 0: a read is a NACK */
	int64_t busy_until_us;
	bool is_measuring;
};

/** sim_words_reset() - nothing measured, nothing under way; for the model's reset() and for reset commands */
void sim_words_reset(struct sim_words *sim, const struct sim_command_set *set);

/** sim_words_answer() - the next read gives these, once */
void sim_words_answer(struct sim_words *sim, const uint16_t *words, size_t count);

/** sim_words_write() - the model's write(). What is no command, or comes while one is carried out, is a NACK and a complaint */
int sim_words_write(struct sim_chip *chip, const uint8_t *data, size_t length);

/** sim_words_read() - the model's read(): the answer with its checksums, once; a NACK while the chip is busy */
int sim_words_read(struct sim_chip *chip, uint8_t *data, size_t length);
