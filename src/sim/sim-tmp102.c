/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Texas Instruments TMP102, from the data sheet SBOS397C ("DS", by page): continuous conversion at its
 * rates, shutdown, one shot, extended mode. As slow as it may be. Not here: the alert, general call.
 */

#include "kit.h"

#define REG_TEMPERATURE 0x00
#define REG_CONFIG	0x01

/* DS page 7, table 7 */
#define CONFIG_SHOT	0x8000
#define CONFIG_SHUTDOWN 0x0100
#define CONFIG_EXTENDED 0x0010

#define CONVERSION_US 35000 /* DS page 3 */

struct sim_tmp102 {
	struct sim_registers registers;
	int64_t done_us; /* when the conversion under way ends; 0: there is none */
	bool is_shot;	 /* it was asked for in shutdown */
};

/* DS pages 6 to 9; a limit's lowest bits are zeros */
static const struct sim_register map_registers[] = {
	{ REG_TEMPERATURE, 0, 0, 0xffff, 0 },
	{ REG_CONFIG, 0x60a0, 0x1fd0, 0x000f, 0 },
	{ 0x02, 0x4b00, 0xfff8, 0x0007, 0 },
	{ 0x03, 0x5000, 0xfff8, 0x0007, 0 },
};

static struct sim_tmp102 *tmp102_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_tmp102, registers);
}

static bool has(const struct sim_tmp102 *sim, uint16_t bit)
{
	return sim->registers.values[REG_CONFIG] & bit;
}

/* DS page 8, table 8: from one result to the next */
static int64_t period_us(const struct sim_tmp102 *sim)
{
	static const int64_t periods[] = { 4000000, 1000000, 250000, 125000 };

	return periods[sim->registers.values[REG_CONFIG] >> 6 & 3];
}

/* DS pages 6, 7: 12 bits, or 13 and a bit that says so */
static void convert(struct sim_tmp102 *sim)
{
	double celsius = sim_weather(&sim->registers.chip, "temperature");
	unsigned int raw;

	if (has(sim, CONFIG_EXTENDED))
		raw = (unsigned int)sim_count(celsius * 16, -880, 2400) << 3 | 1;
	else
		raw = (unsigned int)sim_count(celsius * 16, -880, 2047) << 4;
	sim->registers.values[REG_TEMPERATURE] = (uint16_t)raw;
}

/* what has been converted meanwhile. DS page 9: the bit of the shot reads as 1 after it */
static int advance(struct sim_registers *registers)
{
	struct sim_tmp102 *sim = tmp102_of(registers);
	int64_t late_us;

	if (sim->done_us == 0 || sim_is_busy(&registers->chip, sim->done_us))
		return 0;
	convert(sim);
	late_us = registers->chip.now_us() - sim->done_us;
	if (sim->is_shot)
		registers->values[REG_CONFIG] |= CONFIG_SHOT;
	if (has(sim, CONFIG_SHUTDOWN))
		sim->done_us = 0;
	else
		sim->done_us += (late_us / period_us(sim) + 1) * period_us(sim);
	return 0;
}

/* DS pages 8, 9: a conversion under way is ended before the chip shuts down */
static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_tmp102 *sim = tmp102_of(registers);
	int64_t now_us = registers->chip.now_us();

	if (reg != REG_CONFIG)
		return;
	if (!has(sim, CONFIG_SHUTDOWN)) {
		registers->values[REG_CONFIG] &= (uint16_t)~CONFIG_SHOT;
		sim->is_shot = false;
		sim->done_us = now_us + CONVERSION_US;
		return;
	}
	if (!sim->is_shot && sim->done_us > now_us + CONVERSION_US)
		sim->done_us = 0; /* between two conversions */
	if (!(value & CONFIG_SHOT))
		return;
	if (sim->done_us != 0)
		sim_complain(&registers->chip, "a shot during a conversion");
	registers->values[REG_CONFIG] &= (uint16_t)~CONFIG_SHOT;
	sim->is_shot = true;
	sim->done_us = now_us + CONVERSION_US;
}

static const struct sim_register_map map = {
	.width = SIM_BE16,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
};

/* DS page 6: 0 °C until the first conversion is over */
static void sim_tmp102_reset(struct sim_chip *chip)
{
	struct sim_tmp102 *sim = container_of(chip, struct sim_tmp102, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->is_shot = false;
	sim->done_us = chip->now_us() + CONVERSION_US;
}

extern const struct sim_model sim_tmp102;

const struct sim_model sim_tmp102 = {
	.driver = "tmp102",
	.size = sizeof(struct sim_tmp102),
	.reset = sim_tmp102_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
