/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An ams TSL2591, from its data sheet v2-04 ("DS"). A third of all light is infrared, and an
 * integration takes as long as it may. Not here: interrupts, sleep after interrupt, special functions.
 */

#include "kit.h"

#include "iotd/clock.h"

#define REG_ENABLE  0x00
#define REG_CONTROL 0x01
#define REG_STATUS  0x13
#define REG_DATA    0x14

#define IR_PART (1 / 3.0)

struct sim_tsl2591 {
	struct sim_registers registers;
	int64_t until_us; /* the first integration ends; 0: none is under way */
};

/* DS "Register Overview": enable, control, thresholds, persistence, ids, status, data */
static const struct sim_register map_registers[] = {
	{ REG_ENABLE, 0, 0xd3, 0x2c, 0 }, { REG_CONTROL, 0, 0x37, 0x48, 0 },
	{ 0x04, 0, 0xff, 0, 0 },	  { 0x05, 0, 0xff, 0, 0 },
	{ 0x06, 0, 0xff, 0, 0 },	  { 0x07, 0, 0xff, 0, 0 },
	{ 0x08, 0, 0xff, 0, 0 },	  { 0x09, 0, 0xff, 0, 0 },
	{ 0x0a, 0, 0xff, 0, 0 },	  { 0x0b, 0, 0xff, 0, 0 },
	{ 0x0c, 0, 0x0f, 0xf0, 0 },	  { 0x11, 0, 0, 0xff, 0 },
	{ 0x12, 0x50, 0, 0xff, 0 },	  { REG_STATUS, 0, 0, 0xff, 0 },
	{ REG_DATA, 0, 0, 0xff, 0 },	  { 0x15, 0, 0, 0xff, 0 },
	{ 0x16, 0, 0, 0xff, 0 },	  { 0x17, 0, 0, 0xff, 0 },
};

/* DS "Control Register": counts of the four gains, as Linux has them */
static const int gains[] = { 1, 25, 428, 9876 };

static int steps_of(const struct sim_registers *registers)
{
	return (registers->values[REG_CONTROL] & 7) + 1;
}

/* DS "Command Register": normal operation */
static uint8_t select_register(struct sim_registers *registers, uint8_t byte)
{
	if (byte >> 5 != 5)
		sim_complain(&registers->chip, "0x%02x is no command for a register", byte);
	return byte & 0x1f;
}

static void sim_tsl2591_reset(struct sim_chip *chip);

/* AVALID tells of an integration since AEN was set (DS "Status Register") */
static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_tsl2591 *sim = container_of(registers, struct sim_tsl2591, registers);

	if (reg == REG_CONTROL && value & 0x80) {
		sim_tsl2591_reset(&registers->chip);
		return;
	}
	if (steps_of(registers) > 6)
		sim_complain(&registers->chip, "an integration time of %d00 ms",
			     steps_of(registers));
	if (reg != REG_ENABLE && reg != REG_CONTROL)
		return;
	registers->values[REG_STATUS] = 0;
	sim->until_us =
		(registers->values[REG_ENABLE] & 3) == 3
			? registers->chip.now_us() + 108 * USEC_PER_MSEC * steps_of(registers)
			: 0;
}

/* DS "Control Register", max count */
static int full_scale_of(const struct sim_registers *registers)
{
	return steps_of(registers) == 1 ? 36863 : 65535;
}

/* Linux: counts per lux are time (ms) x gain / 408, of what is left when the infrared part is taken off twice */
static double all_per_lux(const struct sim_registers *registers)
{
	return steps_of(registers) * 100 * gains[registers->values[REG_CONTROL] >> 4 & 3] / 408.0 /
	       ((1 - IR_PART) * (1 - IR_PART));
}

static void put(struct sim_registers *registers, uint8_t reg, double counts)
{
	int rounded = sim_count(counts, 0, full_scale_of(registers));

	registers->values[reg] = rounded & 0xff;
	registers->values[reg + 1] = (uint16_t)(rounded >> 8);
}

static void reading(struct sim_registers *registers, uint8_t reg)
{
	struct sim_tsl2591 *sim = container_of(registers, struct sim_tsl2591, registers);
	double per_lux = all_per_lux(registers);
	double all =
		sim_light(&registers->chip, 0.9 * full_scale_of(registers) / per_lux) * per_lux;

	(void)reg;
	if (sim->until_us == 0 || sim_is_busy(&registers->chip, sim->until_us))
		return;
	registers->values[REG_STATUS] = 0x01;
	put(registers, REG_DATA, all);
	put(registers, REG_DATA + 2, all * IR_PART);
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.select = select_register,
	.written = written,
	.reading = reading,
};

static void sim_tsl2591_reset(struct sim_chip *chip)
{
	struct sim_tsl2591 *sim = container_of(chip, struct sim_tsl2591, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->until_us = 0;
}

extern const struct sim_model sim_tsl2591;

const struct sim_model sim_tsl2591 = {
	.driver = "tsl2591",
	.traits = SIM_DIMS,
	.size = sizeof(struct sim_tsl2591),
	.reset = sim_tsl2591_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
