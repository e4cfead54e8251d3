/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Vishay VEML7700, from its data sheet 84286 ("DS"). Its light stays below 1000 lx, up to where the
 * chip is linear. Not here: interrupt, power saving, the white channel.
 */

#include "kit.h"

#include "iotd/clock.h"

#define REG_CONF 0x00
#define REG_ALS	 0x04

#define SHUT_DOWN 0x0001

struct sim_veml7700 {
	struct sim_registers registers;
	int64_t until_us; /* the first measurement since it was switched on ends; 0: it is shut down */
};

/* DS "Command Register Format"; a read-only bit may be written as it is. It is shut down after power-on */
static const struct sim_register map_registers[] = {
	{ REG_CONF, SHUT_DOWN, 0x1bf3, 0xe40c, 0 },
	{ 0x01, 0, 0xffff, 0, 0 },
	{ 0x02, 0, 0xffff, 0, 0 },
	{ 0x03, 0, 0x0007, 0xfff8, 0 },
	{ REG_ALS, 0, 0, 0xffff, 0 },
	{ 0x05, 0, 0, 0xffff, 0 },
	{ 0x06, 0, 0, 0xffff, 0 },
	{ 0x07, 0xc481, 0, 0xffff, 0 },
};

/* DS "Command Code #00": bits 9 to 6. 0: reserved */
static int time_ms(uint16_t conf)
{
	switch (conf >> 6 & 0x0f) {
	case 0x0c:
		return 25;
	case 0x08:
		return 50;
	case 0x00:
	case 0x01:
	case 0x02:
	case 0x03:
		return 100 << (conf >> 6 & 0x03);
	default:
		return 0;
	}
}

/* bits 12 and 11, in eighths */
static int gain_of(uint16_t conf)
{
	static const int eighths[] = { 8, 16, 1, 2 };

	return eighths[conf >> 11 & 3];
}

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_veml7700 *sim = container_of(registers, struct sim_veml7700, registers);

	(void)value;
	if (reg != REG_CONF)
		return;
	if (time_ms(registers->values[reg]) == 0)
		sim_complain(&registers->chip, "a reserved integration time: 0x%04x",
			     registers->values[reg]);
	sim->until_us = registers->values[reg] & SHUT_DOWN
				? 0
				: registers->chip.now_us() +
					  (4 + time_ms(registers->values[reg])) * USEC_PER_MSEC;
}

/* DS "Resolution": 0.0672 lx a count at gain 1 and 100 ms */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	struct sim_veml7700 *sim = container_of(registers, struct sim_veml7700, registers);
	uint16_t conf = registers->values[REG_CONF];
	double counts_per_lux = gain_of(conf) / 8.0 * time_ms(conf) / 100 / 0.0672;
	double lux = sim_light(&registers->chip, 60000 / counts_per_lux);

	if (reg != REG_ALS || sim->until_us == 0 || sim_is_busy(&registers->chip, sim->until_us))
		return;
	registers->values[reg] = (uint16_t)sim_count(lux * counts_per_lux, 0, 65535);
}

static const struct sim_register_map map = {
	.width = SIM_LE16,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.written = written,
	.reading = reading,
};

static void sim_veml7700_reset(struct sim_chip *chip)
{
	struct sim_veml7700 *sim = container_of(chip, struct sim_veml7700, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->until_us = 0;
}

extern const struct sim_model sim_veml7700;

const struct sim_model sim_veml7700 = {
	.driver = "veml7700",
	.traits = SIM_NEVER_BUSY | SIM_DIMS,
	.size = sizeof(struct sim_veml7700),
	.reset = sim_veml7700_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
