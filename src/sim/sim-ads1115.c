/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Texas Instruments ADS1115 or ADS1015, from the data sheets SBAS444D ("DS") and SBAS473E: single shot
 * and continuous, four inputs, gain, rates as slow as they may be. Not here: the comparator.
 *
 * The four inputs are taps of one load: never over 0.18 V, so that they fit the least range.
 */

#include "kit.h"

#include "iotd/clock.h"

#define REG_CONVERSION 0x00
#define REG_CONFIG     0x01
#define OS	       0x8000
#define SINGLE_SHOT    0x0100
#define WAKE_UP_US     30
#define TAP_V	       0.24

struct sim_ads1x15 {
	struct sim_registers registers;
	bool is_12_bits;
	uint16_t converting; /* the settings of the conversion under way */
	int64_t until_us;    /* 0: none is */
};

static struct sim_ads1x15 *ads1x15_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_ads1x15, registers);
}

/* DS 9.6.3, DR[2:0]; a conversion may take 10 % longer (DS 7.5) */
static int64_t duration_us(const struct sim_ads1x15 *sim, uint16_t config)
{
	static const int rates[2][8] = { { 8, 16, 32, 64, 128, 250, 475, 860 },
					 { 128, 250, 490, 920, 1600, 2400, 3300, 3300 } };

	return USEC_PER_SEC * 11 / 10 / rates[sim->is_12_bits][config >> 5 & 7] + WAKE_UP_US;
}

/* a0 has all of the load, a3 a quarter of it; 4 is ground */
static double tap(const struct sim_chip *chip, int input)
{
	return TAP_V * sim_weather(chip, "load") * (4 - input) / 4;
}

/* DS 9.6.3: MUX[2:0], PGA[2:0]; DS 9.5.4 */
static uint16_t convert(const struct sim_ads1x15 *sim)
{
	static const struct {
		int positive, negative;
	} pairs[] = {
		{ 0, 1 }, { 0, 3 }, { 1, 3 }, { 2, 3 }, { 0, 4 }, { 1, 4 }, { 2, 4 }, { 3, 4 }
	};
	static const double ranges[] = { 6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256 };
	const struct sim_chip *chip = &sim->registers.chip;
	int pair = sim->converting >> 12 & 7;
	double part = (tap(chip, pairs[pair].positive) - tap(chip, pairs[pair].negative)) /
		      ranges[sim->converting >> 9 & 7];

	if (sim->is_12_bits)
		return (uint16_t)(sim_count(part * 2048, -2048, 2047) * 16);
	return (uint16_t)sim_count(part * 32768, -32768, 32767);
}

static void begin(struct sim_ads1x15 *sim)
{
	sim->converting = sim->registers.values[REG_CONFIG];
	sim->until_us = sim->registers.chip.now_us() + duration_us(sim, sim->converting);
}

static int advance(struct sim_registers *registers)
{
	struct sim_ads1x15 *sim = ads1x15_of(registers);

	if (sim->until_us == 0 || sim_is_busy(&registers->chip, sim->until_us))
		return 0;
	registers->values[REG_CONVERSION] = convert(sim);
	sim->until_us = 0;
	if (!(registers->values[REG_CONFIG] & SINGLE_SHOT))
		begin(sim);
	return 0;
}

/* DS 9.4.2: what is being converted goes on as it began; bit OS counts only in a chip that rests */
static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_ads1x15 *sim = ads1x15_of(registers);

	if (reg != REG_CONFIG)
		return;
	if (sim->until_us != 0 && value & OS)
		sim_complain(&registers->chip, "a conversion is begun while another is under way");
	else if (sim->until_us == 0 && (value & OS || !(value & SINGLE_SHOT)))
		begin(sim);
}

static void reading(struct sim_registers *registers, uint8_t reg)
{
	uint16_t *value = &registers->values[reg];

	if (reg == REG_CONFIG)
		*value = (uint16_t)((*value & ~OS) | (ads1x15_of(registers)->until_us ? 0 : OS));
}

/* DS 9.6: as after power-on */
static const struct sim_register map_registers[] = {
	{ REG_CONVERSION, 0, 0, 0xffff, 0 },
	{ REG_CONFIG, 0x8583, 0x7fff, 0, 0 },
	{ 0x02, 0x8000, 0xffff, 0, 0 },
	{ 0x03, 0x7fff, 0xffff, 0, 0 },
};

static const struct sim_register_map map = {
	.width = SIM_BE16,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
	.reading = reading,
};

static void reset(struct sim_chip *chip, bool is_12_bits)
{
	struct sim_ads1x15 *sim = container_of(chip, struct sim_ads1x15, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->is_12_bits = is_12_bits;
	sim->until_us = 0;
}

static void sim_ads1115_reset(struct sim_chip *chip)
{
	reset(chip, false);
}

static void sim_ads1015_reset(struct sim_chip *chip)
{
	reset(chip, true);
}

extern const struct sim_model sim_ads1015, sim_ads1115;

const struct sim_model sim_ads1015 = {
	.driver = "ads1015",
	.size = sizeof(struct sim_ads1x15),
	.reset = sim_ads1015_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};

const struct sim_model sim_ads1115 = {
	.driver = "ads1115",
	.size = sizeof(struct sim_ads1x15),
	.reset = sim_ads1115_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
