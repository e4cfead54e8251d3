/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Microchip MCP9808, from the data sheet DS25095A ("DS"). The temperature is 0 until the first
 * conversion after power-on or shutdown ends, which takes what the resolution says. Not here: alerts
 * and their locks.
 */

#include "kit.h"

#define REG_CONFIG     0x01
#define REG_AMBIENT    0x05
#define REG_RESOLUTION 0x08

#define CONFIG_SHUTDOWN 0x0100

struct sim_mcp9808 {
	struct sim_registers registers;
	int64_t began_us; /* of measuring */
};

/* DS 5.1, table 5-1, registers 5-2 .. 5-7; a read-only bit may be written as it is */
static const struct sim_register map_registers[] = {
	{ REG_CONFIG, 0, 0x07cf, 0xf800, 0 }, { 0x02, 0, 0x1ffc, 0xe003, 0 },
	{ 0x03, 0, 0x1ffc, 0xe003, 0 },	      { 0x04, 0, 0x1ffc, 0xe003, 0 },
	{ REG_AMBIENT, 0, 0, 0xffff, 0 },     { 0x06, 0x0054, 0, 0xffff, 0 },
	{ 0x07, 0x0400, 0, 0xffff, 0 },	      { REG_RESOLUTION, 0x03, 0x03, 0xfc, 1 },
};

/* DS 5.1.6, register 5-7: 0.5, 0.25, 0.125, 0.0625 °C */
static const int64_t conversion_us[] = { 30000, 65000, 130000, 250000 };

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_mcp9808 *sim = container_of(registers, struct sim_mcp9808, registers);

	(void)value;
	if (reg == REG_RESOLUTION || reg == REG_CONFIG)
		sim->began_us = registers->chip.now_us();
}

/* DS 5.1.3.1: sixteenths of a degree, 13 bits in two's complement, coarser ones with zeros below */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	struct sim_mcp9808 *sim = container_of(registers, struct sim_mcp9808, registers);
	int resolution = registers->values[REG_RESOLUTION];
	int sixteenths = sim_count(sim_weather(&registers->chip, "temperature") * 16, -640, 2000);

	if (reg != REG_AMBIENT || registers->values[REG_CONFIG] & CONFIG_SHUTDOWN ||
	    sim_is_busy(&registers->chip, sim->began_us + conversion_us[resolution]))
		return;
	registers->values[reg] = (uint16_t)(sixteenths & 0x1fff & ~0U << (3 - resolution));
}

static const struct sim_register_map map = {
	.width = SIM_BE16,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.written = written,
	.reading = reading,
};

static void sim_mcp9808_reset(struct sim_chip *chip)
{
	struct sim_mcp9808 *sim = container_of(chip, struct sim_mcp9808, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->began_us = chip->now_us();
}

extern const struct sim_model sim_mcp9808;

const struct sim_model sim_mcp9808 = {
	.driver = "mcp9808",
	.traits = SIM_NEVER_BUSY,
	.size = sizeof(struct sim_mcp9808),
	.reset = sim_mcp9808_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
