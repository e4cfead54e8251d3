/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Lite-On LTR-390UV-01, from its data sheet DS86-2015-0004 ("DS"). A measurement is a tenth longer than
 * it says, and it wakes up as slowly as it may. Not here: interrupts and their thresholds.
 */

#include "kit.h"

#include "iotd/clock.h"

#define REG_CTRL   0x00
#define REG_RATE   0x04
#define REG_GAIN   0x05
#define REG_STATUS 0x07
#define REG_ALS	   0x0d
#define REG_UVS	   0x10

#define CTRL_RESET  0x10
#define CTRL_UVS    0x08
#define CTRL_ENABLE 0x02

#define STATUS_POWER_ON 0x20
#define STATUS_DATA	0x08

struct sim_ltr390 {
	struct sim_registers registers;
	int64_t until_us; /* of the measurement under way; 0: standby */
};

/* DS "Register Table"; a read-only bit may be written as it is */
static const struct sim_register map_registers[] = {
	{ REG_CTRL, 0, 0x0a, 0xe5, 0 },
	{ REG_RATE, 0x22, 0x77, 0x88, 0 },
	{ REG_GAIN, 0x01, 0x07, 0xf8, 0 },
	{ 0x06, 0xb2, 0, 0xff, 0 },
	{ REG_STATUS, STATUS_POWER_ON, 0, 0xff, 0 },
	{ REG_ALS, 0, 0, 0xff, 0 },
	{ 0x0e, 0, 0, 0xff, 0 },
	{ 0x0f, 0, 0, 0xff, 0 },
	{ REG_UVS, 0, 0, 0xff, 0 },
	{ 0x11, 0, 0, 0xff, 0 },
	{ 0x12, 0, 0, 0xff, 0 },
	{ 0x19, 0x10, 0x34, 0xcb, 0 },
	{ 0x1a, 0, 0xf0, 0x0f, 0 },
	{ 0x21, 0xff, 0xff, 0, 0 },
	{ 0x22, 0xff, 0xff, 0, 0 },
	{ 0x23, 0x0f, 0x0f, 0xf0, 0 },
	{ 0x24, 0, 0xff, 0, 0 },
	{ 0x25, 0, 0xff, 0, 0 },
	{ 0x26, 0, 0x0f, 0xf0, 0 },
};

/* DS "ALS_UVS_MEAS_RATE", by code */
static const struct {
	double ms;
	int bits;
} resolutions[] = { { 400, 20 }, { 200, 19 }, { 100, 18 }, { 50, 17 }, { 25, 16 }, { 12.5, 13 } };

static const int rates_ms[] = { 25, 50, 100, 200, 500, 1000, 2000, 2000 };

/* DS "ALS_UVS_GAIN" */
static const int gains[] = { 1, 3, 6, 9, 18 };

static size_t resolution_of(const struct sim_registers *registers)
{
	return registers->values[REG_RATE] >> 4 & 7;
}

static void check_settings(struct sim_registers *registers)
{
	size_t resolution = resolution_of(registers);

	if (resolution >= ARRAY_SIZE(resolutions))
		sim_complain(&registers->chip, "a reserved resolution");
	else if (rates_ms[registers->values[REG_RATE] & 7] < resolutions[resolution].ms)
		sim_complain(&registers->chip, "a rate faster than a measurement");
	if ((registers->values[REG_GAIN] & 7) >= (int)ARRAY_SIZE(gains))
		sim_complain(&registers->chip, "a reserved gain");
}

static int64_t duration_us(const struct sim_registers *registers)
{
	return (int64_t)(resolutions[resolution_of(registers)].ms * 1.1 * (double)USEC_PER_MSEC);
}

static void sim_ltr390_reset(struct sim_chip *chip);

/* writing to these begins anew */
static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_ltr390 *sim = container_of(registers, struct sim_ltr390, registers);

	if (reg == REG_CTRL && value & CTRL_RESET) {
		sim_ltr390_reset(&registers->chip);
		return;
	}
	check_settings(registers);
	if (registers->chip.complaint[0] || (reg != REG_CTRL && reg != REG_RATE && reg != REG_GAIN))
		return;
	sim->until_us =
		registers->values[REG_CTRL] & CTRL_ENABLE
			? registers->chip.now_us() + 10 * USEC_PER_MSEC + duration_us(registers)
			: 0;
}

static void put(struct sim_registers *registers, uint8_t reg, double counts)
{
	int rounded = sim_count(counts, 0, (1 << resolutions[resolution_of(registers)].bits) - 1);

	registers->values[reg] = rounded & 0xff;
	registers->values[reg + 1] = rounded >> 8 & 0xff;
	registers->values[reg + 2] = (uint16_t)(rounded >> 16);
}

/* DS "Calculating Lux", "UV Index", solved for the counts */
static int advance(struct sim_registers *registers)
{
	struct sim_ltr390 *sim = container_of(registers, struct sim_ltr390, registers);
	double sensitivity, lux, uv_index;

	if (sim->until_us == 0 || sim_is_busy(&registers->chip, sim->until_us))
		return 0;
	sensitivity = gains[registers->values[REG_GAIN]] * resolutions[resolution_of(registers)].ms;
	lux = sim_weather(&registers->chip, "illuminance");
	uv_index = sim_weather(&registers->chip, "uv_index");
	if (registers->values[REG_CTRL] & CTRL_UVS)
		put(registers, REG_UVS, uv_index * 2300 / 18 / 400 * sensitivity);
	else
		put(registers, REG_ALS, lux / 0.6 / 100 * sensitivity);
	registers->values[REG_STATUS] |= STATUS_DATA;
	sim->until_us += rates_ms[registers->values[REG_RATE] & 7] * USEC_PER_MSEC;
	if (sim->until_us < registers->chip.now_us())
		sim->until_us = registers->chip.now_us();
	return 0;
}

static int sim_ltr390_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_registers *registers = container_of(chip, struct sim_registers, chip);
	uint8_t first = registers->pointer;
	int r = sim_registers_read(chip, data, length);

	if (first <= REG_STATUS && first + length > REG_STATUS)
		registers->values[REG_STATUS] = 0; /* cleared by reading */
	return r;
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
};

static void sim_ltr390_reset(struct sim_chip *chip)
{
	struct sim_ltr390 *sim = container_of(chip, struct sim_ltr390, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->until_us = 0;
}

extern const struct sim_model sim_ltr390;

const struct sim_model sim_ltr390 = {
	.driver = "ltr390",
	.size = sizeof(struct sim_ltr390),
	.reset = sim_ltr390_reset,
	.write = sim_registers_write,
	.read = sim_ltr390_read,
};
