/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An LM75B, from the data sheet of NXP's ("DS", rev. 6.1), with 11 bits, but as slow as that of Texas
 * Instruments (SNIS153B) may be, and as touchy. The temperature is 0 until the first conversion after
 * power-on ends, and stays in shutdown. Not here: the output OS.
 */

#include "kit.h"

#define REG_TEMPERATURE 0x00
#define REG_CONFIG	0x01

#define CONFIG_SHUTDOWN 0x01

#define CONVERSION_US 300000

struct sim_lm75 {
	struct sim_registers registers;
	int64_t began_us; /* of measuring */
};

/* DS 7.4, tables 5, 8, 9, 11: the limits have 9 bits, and are 75 and 80 °C after power-on */
static const struct sim_register map_registers[] = {
	{ REG_TEMPERATURE, 0, 0, 0xffff, 0 },
	{ REG_CONFIG, 0, 0x1f, 0xe0, 1 },
	{ 0x02, 0x4b00, 0xff80, 0x007f, 0 },
	{ 0x03, 0x5000, 0xff80, 0x007f, 0 },
};

/*
 * A conversion that is under way is interrupted by any access and begins anew after it (data sheet of the
 * LM75 by National Semiconductor and Maxim, on the conversion time). DS 7.4.3: eighths of a degree, two's
 * complement, from the left
 */
static int advance(struct sim_registers *registers)
{
	struct sim_lm75 *sim = container_of(registers, struct sim_lm75, registers);
	double celsius = sim_weather(&registers->chip, "temperature");

	if (!(registers->values[REG_CONFIG] & CONFIG_SHUTDOWN) &&
	    !sim_is_busy(&registers->chip, sim->began_us + CONVERSION_US))
		registers->values[REG_TEMPERATURE] =
			(uint16_t)((unsigned int)sim_count(celsius * 8, -440, 1016) << 5);
	sim->began_us = registers->chip.now_us();
	return 0;
}

static const struct sim_register_map map = {
	.width = SIM_BE16,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
};

static void sim_lm75_reset(struct sim_chip *chip)
{
	struct sim_lm75 *sim = container_of(chip, struct sim_lm75, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->began_us = chip->now_us();
}

extern const struct sim_model sim_lm75;

const struct sim_model sim_lm75 = {
	.driver = "lm75",
	.traits = SIM_NEVER_BUSY,
	.size = sizeof(struct sim_lm75),
	.reset = sim_lm75_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
