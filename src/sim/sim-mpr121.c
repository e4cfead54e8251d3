/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Freescale MPR121, from its data sheet, revision 4 ("DS"): touch status, stop mode, reset. The
 * electrodes are touched in turns, each for 20 s, every second one at a time. Not here: measured values,
 * filters, auto-configuration itself, LEDs.
 */

#include "kit.h"

#include "iotd/clock.h"

#define REG_ELECTRODES 0x5e
#define REG_RESET      0x80
#define RESET	       0x63
#define FIRST_US       (150 * USEC_PER_MSEC)
#define TURN_US	       (20 * USEC_PER_SEC)

struct sim_mpr121 {
	struct sim_registers registers;
	int64_t began_us; /* when the electrodes were switched on */
};

/* DS table 2. R: read-only; W: all bits may be written; a row of eight */
#define R(reg)                                                                                     \
	{                                                                                          \
		(reg), 0, 0, 0xff, 0                                                               \
	}
#define W(reg)                                                                                     \
	{                                                                                          \
		(reg), 0, 0xff, 0, 0                                                               \
	}
#define W2(reg) W(reg), W((reg) + 1)
#define W4(reg) W2(reg), W2((reg) + 2)
#define W8(reg) W4(reg), W4((reg) + 4)
#define HALF(reg)                                                                                  \
	{                                                                                          \
		(reg), 0, 0x3f, 0xc0, 0                                                            \
	} /* six bits: half deltas (DS 5.5) */

/* clang-format off */
static const struct sim_register map_registers[] = {
	R(0x00), R(0x01), R(0x02), R(0x03),
	HALF(0x2b), HALF(0x2c), W2(0x2d), HALF(0x2f), HALF(0x30), W2(0x31), HALF(0x33), W2(0x34),
	HALF(0x36), HALF(0x37), W2(0x38), HALF(0x3a), HALF(0x3b), W2(0x3c), HALF(0x3e), W2(0x3f),
	W8(0x41), W8(0x49), W8(0x51), W2(0x59), /* thresholds */
	{ 0x5b, 0, 0x77, 0x88, 0 },
	{ 0x5c, 0x10, 0xff, 0, 0 },
	{ 0x5d, 0x24, 0xff, 0, 0 },
	W(REG_ELECTRODES),
	W8(0x5f), W4(0x67), W(0x6b), W4(0x6c), W2(0x70), W(0x72), /* charges */
	W(0x7b),
	{ 0x7c, 0, 0x87, 0x78, 0 },
	W2(0x7d), W(0x7f),
	{ REG_RESET, 0, 0, 0, 0 },
};
/* clang-format on */

static void sim_mpr121_reset(struct sim_chip *chip);

/* DS 5.1: but for the electrodes themselves, all is set in stop mode */
static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_mpr121 *sim = container_of(registers, struct sim_mpr121, registers);

	if (reg == REG_RESET && value == RESET)
		sim_mpr121_reset(&registers->chip);
	else if (reg == REG_ELECTRODES)
		sim->began_us = registers->chip.now_us();
	else if (registers->values[REG_ELECTRODES] & 0x3f)
		sim_complain(&registers->chip, "register 0x%02x is written, and not in stop mode",
			     reg);
}

/* DS 5.1: electrode 0 is the lowest bit; how many there are is in the lowest four bits of 0x5e (DS 5.10) */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	const struct sim_mpr121 *sim = container_of(registers, struct sim_mpr121, registers);
	int64_t now_us = registers->chip.now_us();
	int count = registers->values[REG_ELECTRODES] & 15;
	unsigned int touched = now_us / TURN_US % 2 ? 0x555 : 0xaaa;

	if (reg > 0x01)
		return;
	if (now_us < sim->began_us + FIRST_US)
		touched = 0;
	touched &= (1U << (count > 12 ? 12 : count)) - 1;
	registers->values[reg] = (uint16_t)(reg == 0 ? touched & 0xff : touched >> 8);
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.written = written,
	.reading = reading,
};

static void sim_mpr121_reset(struct sim_chip *chip)
{
	struct sim_mpr121 *sim = container_of(chip, struct sim_mpr121, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->began_us = 0;
}

extern const struct sim_model sim_mpr121;

const struct sim_model sim_mpr121 = {
	.driver = "mpr121",
	.traits = SIM_NEVER_BUSY,
	.size = sizeof(struct sim_mpr121),
	.reset = sim_mpr121_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
