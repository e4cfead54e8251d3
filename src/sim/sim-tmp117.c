/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Texas Instruments TMP117, from the data sheet SNOSD82D ("DS"): continuous conversion, one shot,
 * shutdown, averaging, data ready, offset, reset. Conversions are as slow as they may be. Not here:
 * alerts, the EEPROM.
 */

#include <errno.h>

#include "kit.h"

#include "iotd/clock.h"

#define REG_TEMPERATURE 0x00
#define REG_CONFIG	0x01
#define REG_OFFSET	0x07

/* DS 7.6.2 */
#define CONFIG_READY 0x2000
#define CONFIG_RESET 0x0002

enum mode {
	CONTINUOUS,
	SHUTDOWN,
	CONTINUOUS_TOO, /* it reads back as the other */
	ONE_SHOT
};

struct sim_tmp117 {
	struct sim_registers registers;
	int64_t up_us;	 /* when a reset has ended */
	int64_t done_us; /* when the conversions under way have; 0: there are none */
	bool is_ready;	 /* there is a result that nobody read */
};

/* DS 7.6, table 7-3 */
static const struct sim_register map_registers[] = {
	{ REG_TEMPERATURE, 0x8000, 0, 0xffff, 0 },
	{ REG_CONFIG, 0x0220, 0x0ffc, 0x0001, 0 },
	{ 0x02, 0x6000, 0xffff, 0, 0 },
	{ 0x03, 0x8000, 0xffff, 0, 0 },
	{ REG_OFFSET, 0, 0xffff, 0, 0 },
	{ 0x0f, 0x0117, 0, 0xffff, 0 },
};

static struct sim_tmp117 *tmp117_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_tmp117, registers);
}

static enum mode mode_of(const struct sim_tmp117 *sim)
{
	return (enum mode)(sim->registers.values[REG_CONFIG] >> 10 & 3);
}

/* DS 6.5: 17.5 ms each, at most; DS 7.6.2: how many */
static int64_t active_us(const struct sim_tmp117 *sim)
{
	static const int64_t averages[] = { 1, 8, 32, 64 };

	return averages[sim->registers.values[REG_CONFIG] >> 5 & 3] * 17500;
}

/* DS 7.6.2, table 7-7: from one result to the next */
static int64_t cycle_us(const struct sim_tmp117 *sim)
{
	static const int64_t cycles[] = { 15500,   125000,  250000,  500000,
					  1000000, 4000000, 8000000, 16000000 };
	int64_t cycle_us = cycles[sim->registers.values[REG_CONFIG] >> 7 & 7];

	return cycle_us > active_us(sim) ? cycle_us : active_us(sim);
}

static void convert(struct sim_tmp117 *sim)
{
	struct sim_registers *registers = &sim->registers;
	int raw =
		sim_count(sim_weather(&registers->chip, "temperature") / 0.0078125, -32768, 32767);

	registers->values[REG_TEMPERATURE] = (uint16_t)(raw + registers->values[REG_OFFSET]);
	sim->is_ready = true;
}

/* what has been converted meanwhile. DS 7.4.1, 7.4.3: one shot ends in shutdown */
static int advance(struct sim_registers *registers)
{
	struct sim_tmp117 *sim = tmp117_of(registers);
	int64_t now_us = registers->chip.now_us();

	if (now_us < sim->up_us)
		return -ENXIO;
	if (sim->done_us == 0 || sim_is_busy(&registers->chip, sim->done_us))
		return 0;
	convert(sim);
	if (mode_of(sim) == ONE_SHOT) {
		registers->values[REG_CONFIG] &= (uint16_t)~0x0800;
		sim->done_us = 0;
	} else {
		sim->done_us += ((now_us - sim->done_us) / cycle_us(sim) + 1) * cycle_us(sim);
	}
	return 0;
}

static void power_up(struct sim_tmp117 *sim);

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_tmp117 *sim = tmp117_of(registers);
	int64_t now_us = registers->chip.now_us();

	if (reg != REG_CONFIG)
		return;
	if (value & CONFIG_RESET) {
		power_up(sim);
		sim->up_us = now_us + 2 * USEC_PER_MSEC;
		return;
	}
	if (mode_of(sim) == CONTINUOUS_TOO)
		registers->values[REG_CONFIG] &= (uint16_t)~0x0c00;
	sim->done_us = mode_of(sim) == SHUTDOWN ? 0 : now_us + active_us(sim);
}

/* DS 7.6.2: the flag is cleared by reading the temperature or the configuration */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	struct sim_tmp117 *sim = tmp117_of(registers);

	registers->values[REG_CONFIG] &= (uint16_t)~CONFIG_READY;
	if (reg == REG_CONFIG && sim->is_ready)
		registers->values[REG_CONFIG] |= CONFIG_READY;
	if (reg == REG_CONFIG || reg == REG_TEMPERATURE)
		sim->is_ready = false;
}

static const struct sim_register_map map = {
	.width = SIM_BE16,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
	.reading = reading,
};

/* DS 7.3.1: it begins with a continuous conversion */
static void power_up(struct sim_tmp117 *sim)
{
	sim_registers_reset(&sim->registers, &map);
	sim->up_us = 0;
	sim->is_ready = false;
	sim->done_us = sim->registers.chip.now_us() + active_us(sim);
}

static void sim_tmp117_reset(struct sim_chip *chip)
{
	power_up(container_of(chip, struct sim_tmp117, registers.chip));
}

extern const struct sim_model sim_tmp117;

const struct sim_model sim_tmp117 = {
	.driver = "tmp117",
	.size = sizeof(struct sim_tmp117),
	.reset = sim_tmp117_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
