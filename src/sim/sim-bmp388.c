/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Bosch BMP388 or BMP390, from the data sheets BST-BMP388-DS001 and BST-BMP390-DS002 ("DS"): forced
 * mode, as slow as table 23 allows. It computes with integers, as DS 8 does not: that is the arithmetic
 * of Bosch's BMP3_SensorAPI without floating point, so it checks the driver, which has the other.
 *
 * Not here: normal mode, the filter, the FIFO, interrupts, registers that are cleared when they are read.
 */

#include <errno.h>

#include "kit.h"

#define ERR	 0x02
#define STATUS	 0x03
#define PRESSURE 0x04
#define TEMP	 0x07
#define PWR_CTRL 0x1b
#define OSR	 0x1c
#define CMD	 0x7e

#define DRDY_PRESSURE 0x20
#define DRDY_TEMP     0x40
#define POWER_UP_US   2000 /* DS table 2 */

struct sim_bmp388 {
	struct sim_registers registers;
	bool is_bmp390;
	int64_t answers_from_us; /* after a soft reset */
	int64_t done_us;	 /* when the measurement under way ends; 0: there is none */
};

#define READ_ONLY(number, value)                                                                   \
	{                                                                                          \
		number, value, 0, 0xff, 0                                                          \
	}
#define TRIM(number, value) READ_ONLY(0x31 + (number), value)

/* DS table 25. The trimming is that of a chip in the tests of github.com/elixir-sensors/bmp3xx */
static const struct sim_register map_registers[] = {
	READ_ONLY(0x00, 0x50),
	READ_ONLY(0x01, 0x01),
	READ_ONLY(ERR, 0x00),
	READ_ONLY(STATUS, 0x10),
	READ_ONLY(0x04, 0x00),
	READ_ONLY(0x05, 0x00),
	READ_ONLY(0x06, 0x80),
	READ_ONLY(0x07, 0x00),
	READ_ONLY(0x08, 0x00),
	READ_ONLY(0x09, 0x80),
	READ_ONLY(0x10, 0x01),
	READ_ONLY(0x11, 0x00),
	{ 0x19, 0x02, 0x7f, 0x80 },
	{ 0x1a, 0x00, 0x07, 0xf8 },
	{ PWR_CTRL, 0x00, 0x33, 0xcc },
	{ OSR, 0x02, 0x3f, 0xc0 },
	{ 0x1d, 0x00, 0x1f, 0xe0 },
	{ 0x1f, 0x00, 0x0e, 0xf1 },
	TRIM(0, 0x23),
	TRIM(1, 0x6b),
	TRIM(2, 0x58),
	TRIM(3, 0x49),
	TRIM(4, 0xf6),
	TRIM(5, 0x5c),
	TRIM(6, 0xff),
	TRIM(7, 0xce),
	TRIM(8, 0xf4),
	TRIM(9, 0x23),
	TRIM(10, 0x00),
	TRIM(11, 0xea),
	TRIM(12, 0x63),
	TRIM(13, 0x6e),
	TRIM(14, 0x79),
	TRIM(15, 0xf3),
	TRIM(16, 0xf6),
	TRIM(17, 0xaa),
	TRIM(18, 0x43),
	TRIM(19, 0x12),
	TRIM(20, 0xc4),
	{ CMD },
};

static struct sim_bmp388 *bmp388_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_bmp388, registers);
}

/* --- Forward formulas, in integers -------------------------------------------------------------- */

/* °C x 65536 */
static int64_t t_lin_of(int64_t raw)
{
	int64_t above = raw - 27427LL * 256;

	return (18776 * above * 262144 - 10 * above * above) / 4294967296;
}

static double celsius_of(int64_t raw, int64_t t_lin)
{
	(void)t_lin;
	return (double)t_lin_of(raw) / 65536;
}

static double hectopascal_of(int64_t raw, int64_t t_lin)
{
	int64_t square = t_lin * t_lin, cube = square / 64 * t_lin / 256;
	int64_t offset =
		25578 * (1LL << 47) - 10 * cube / 32 - 13 * square * 16 + 31086 * t_lin * (1 << 22);
	int64_t slope = (-164 - 16384) * (1LL << 46) + 35 * square * 4 +
			(-2866 - 16384) * t_lin * (1 << 21);
	int64_t bend = (18 * t_lin + 65536LL * 17322) * raw / 8192 / 10 * raw / 512 * 10;
	int64_t twist = -60 * raw * raw / 65536 * raw / 128;
	int64_t sum = offset / 4 + slope / (1 << 24) * raw + bend + twist;

	return (double)sum / (double)(1LL << 42) / 100;
}

static int64_t raw_for(double wanted, int64_t t_lin, double (*forward)(int64_t, int64_t))
{
	int64_t low = 0, high = 0xffffff;
	bool rises = forward(low, t_lin) < forward(high, t_lin);

	while (low < high) {
		int64_t middle = (low + high) / 2;

		if ((forward(middle, t_lin) < wanted) == rises)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- Measuring ------------------------------------------------------------------------------ */

static void put(uint16_t *values, int64_t raw)
{
	for (int i = 0; i < 3; i++)
		values[i] = (uint16_t)(raw >> 8 * i & 0xff);
}

static void finish(struct sim_bmp388 *sim)
{
	struct sim_chip *chip = &sim->registers.chip;
	uint16_t *values = sim->registers.values;
	int64_t raw = raw_for(sim_weather(chip, "temperature"), 0, celsius_of);

	if (values[PWR_CTRL] & 0x02) {
		put(&values[TEMP], raw);
		values[STATUS] |= DRDY_TEMP;
	}
	if (values[PWR_CTRL] & 0x01) {
		put(&values[PRESSURE],
		    raw_for(sim_weather(chip, "pressure"), t_lin_of(raw), hectopascal_of));
		values[STATUS] |= DRDY_PRESSURE;
	}
	values[PWR_CTRL] &= 0x03;
	sim->done_us = 0;
}

static int advance(struct sim_registers *registers)
{
	struct sim_bmp388 *sim = bmp388_of(registers);

	if (registers->chip.now_us() < sim->answers_from_us)
		return -ENXIO;
	if (sim->done_us != 0 && !sim_is_busy(&registers->chip, sim->done_us))
		finish(sim);
	return 0;
}

/* DS 3.9.2 of either chip; table 23: 5.70 ms at most where it is typically 4.82 ms */
static int64_t longest_us(const struct sim_bmp388 *sim)
{
	const uint16_t *values = sim->registers.values;
	int64_t sample = sim->is_bmp390 ? 2020 : 2000, typical = 234;

	if (values[PWR_CTRL] & 0x01)
		typical += 392 + (sample << (values[OSR] & 0x07));
	if (values[PWR_CTRL] & 0x02)
		typical += (sim->is_bmp390 ? 163 : 313) + (sample << (values[OSR] >> 3));
	return typical * 570 / 482;
}

static const struct sim_register_map map;

static void power_on(struct sim_bmp388 *sim)
{
	sim_registers_reset(&sim->registers, &map);
	if (sim->is_bmp390)
		sim->registers.values[0x00] = 0x60;
	sim->answers_from_us = 0;
	sim->done_us = 0;
}

/* DS 4.3, CMD */
static void command(struct sim_bmp388 *sim, uint16_t value)
{
	struct sim_chip *chip = &sim->registers.chip;

	if (value != 0xb6) {
		sim_complain(chip, "0x%02x is no command", value);
		sim->registers.values[ERR] |= 0x02;
		return;
	}
	power_on(sim);
	sim->answers_from_us = chip->now_us() + POWER_UP_US;
}

/* DS 3.3 and 4.3, PWR_CTRL */
static void set_power(struct sim_bmp388 *sim, uint16_t value)
{
	struct sim_chip *chip = &sim->registers.chip;

	if ((value & 0x30) == 0)
		return;
	if ((value & 0x30) == 0x30)
		sim_complain(chip, "normal mode is not emulated");
	if ((value & 0x03) == 0)
		sim_complain(chip, "a measurement of nothing");
	sim->done_us = chip->now_us() + longest_us(sim);
}

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_bmp388 *sim = bmp388_of(registers);

	if (reg != CMD && sim->done_us != 0)
		sim_complain(&registers->chip, "register 0x%02x is written while it measures", reg);
	if (reg == OSR && ((value & 0x07) > 5 || value >> 3 > 5))
		sim_complain(&registers->chip, "there is no oversampling 0x%02x", value);
	if (reg == CMD)
		command(sim, value);
	else if (reg == PWR_CTRL)
		set_power(sim, value);
}

/* DS 4.3, STATUS: what is read is not new any more */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	uint16_t ready = reg < TEMP ? DRDY_PRESSURE : DRDY_TEMP;

	if (reg < PRESSURE || reg >= TEMP + 3)
		return;
	if (bmp388_of(registers)->done_us != 0)
		sim_complain(&registers->chip, "data is read while it measures");
	registers->values[STATUS] &= (uint16_t)~ready;
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
	.reading = reading,
};

static void sim_bmp388_reset(struct sim_chip *chip)
{
	power_on(container_of(chip, struct sim_bmp388, registers.chip));
}

static void sim_bmp390_reset(struct sim_chip *chip)
{
	struct sim_bmp388 *sim = container_of(chip, struct sim_bmp388, registers.chip);

	sim->is_bmp390 = true;
	power_on(sim);
}

extern const struct sim_model sim_bmp388, sim_bmp390;

const struct sim_model sim_bmp388 = {
	.driver = "bmp388",
	.size = sizeof(struct sim_bmp388),
	.reset = sim_bmp388_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};

const struct sim_model sim_bmp390 = {
	.driver = "bmp390",
	.size = sizeof(struct sim_bmp388),
	.reset = sim_bmp390_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
