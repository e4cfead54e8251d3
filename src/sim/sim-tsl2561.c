/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An ams TSL2561T, from the data sheet TAOS059 ("DS"). Its light is of one kind, with a quarter as much
 * infrared as there is in all, and its clock as slow as it may be. Not here: interrupts, manual timing,
 * SMBus blocks.
 */

#include <math.h>

#include "kit.h"

#define REG_CONTROL 0x00
#define REG_TIMING  0x01
#define REG_DATA    0x0c

#define IR_RATIO 0.25

struct sim_tsl2561 {
	struct sim_registers registers;
	int64_t until_us; /* the first measurement since power up or a change ends; 0: powered down */
};

/* DS "Register Set"; a read-only bit may be written as it is */
static const struct sim_register map_registers[] = {
	{ REG_CONTROL, 0, 0x03, 0xfc, 0 }, { REG_TIMING, 0x02, 0x1b, 0xe4, 0 },
	{ 0x02, 0, 0xff, 0, 0 },	   { 0x03, 0, 0xff, 0, 0 },
	{ 0x04, 0, 0xff, 0, 0 },	   { 0x05, 0, 0xff, 0, 0 },
	{ 0x06, 0, 0x3f, 0xc0, 0 },	   { 0x0a, 0x50, 0, 0xff, 0 },
	{ REG_DATA, 0, 0, 0xff, 0 },	   { 0x0d, 0, 0, 0xff, 0 },
	{ 0x0e, 0, 0, 0xff, 0 },	   { 0x0f, 0, 0, 0xff, 0 },
};

/* DS "Operating Characteristics", note 5: cycles of 918 clocks; the clock has 690 kHz at least */
static const int cycles[] = { 11, 81, 322, 322 };

static int64_t longest_us(int cycle_count)
{
	return llround(cycle_count * 918 / 0.690);
}

/* DS "Command Register" */
static uint8_t select_register(struct sim_registers *registers, uint8_t byte)
{
	if (!(byte & 0x80) || byte & 0x10)
		sim_complain(&registers->chip, "0x%02x is no command", byte);
	return byte & 0x0f;
}

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_tsl2561 *sim = container_of(registers, struct sim_tsl2561, registers);

	(void)value;
	if (reg == REG_TIMING && (registers->values[reg] & 3) == 3)
		sim_complain(&registers->chip, "manual timing");
	if (reg == REG_CONTROL || reg == REG_TIMING)
		sim->until_us =
			(registers->values[REG_CONTROL] & 3) != 3
				? 0
				: registers->chip.now_us() +
					  longest_us(cycles[registers->values[REG_TIMING] & 3]);
}

/* DS "Calculating Lux", T package, the ratio up to 0.50: solved for channel 0 */
static double all_light(const struct sim_chip *chip)
{
	return sim_weather(chip, "illuminance") / (0.0304 - 0.062 * pow(IR_RATIO, 1.4));
}

static void put(struct sim_registers *registers, uint8_t reg, double counts, int full_scale)
{
	int rounded = sim_count(counts, 0, full_scale);

	registers->values[reg] = rounded & 0xff;
	registers->values[reg + 1] = (uint16_t)(rounded >> 8);
}

/* DS "Operating Characteristics", note 6: a count each second clock, less 2, and 16 bits at most */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	struct sim_tsl2561 *sim = container_of(registers, struct sim_tsl2561, registers);
	int cycle_count = cycles[registers->values[REG_TIMING] & 3];
	int full_scale = sim_count(cycle_count * 918 / 2.0 - 2, 0, 65535);
	double all = all_light(&registers->chip) * cycle_count / 322;

	if (reg < REG_DATA || sim->until_us == 0 || sim_is_busy(&registers->chip, sim->until_us))
		return;
	if (!(registers->values[REG_TIMING] & 0x10))
		all /= 16;
	put(registers, REG_DATA, all, full_scale);
	put(registers, REG_DATA + 2, all * IR_RATIO, full_scale);
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.select = select_register,
	.written = written,
	.reading = reading,
};

static void sim_tsl2561_reset(struct sim_chip *chip)
{
	struct sim_tsl2561 *sim = container_of(chip, struct sim_tsl2561, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->until_us = 0;
}

extern const struct sim_model sim_tsl2561;

const struct sim_model sim_tsl2561 = {
	.driver = "tsl2561",
	.traits = SIM_NEVER_BUSY,
	.size = sizeof(struct sim_tsl2561),
	.reset = sim_tsl2561_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
