/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Bosch BMP180, from the data sheet BST-BMP180-DS000 ("DS", revision 2.5): one conversion at a time,
 * each as long as it may take. It has the calibration of the worked example (DS 3.5) and computes with
 * the same formulas as real numbers, where the driver has them in integers.
 */

#include <errno.h>
#include <math.h>

#include "kit.h"

#define REG_SOFT 0xe0
#define REG_CTRL 0xf4
#define REG_MSB	 0xf6
#define REG_LSB	 0xf7
#define REG_XLSB 0xf8

#define SCO	   0x20
#define WAKE_UP_US 10000 /* DS 1, t_start */

struct sim_bmp180 {
	struct sim_registers registers;
	int64_t answers_from_us; /* after a soft reset */
	int64_t done_us;	 /* when the conversion under way ends; 0: there is none */
};

#define READ_ONLY(number, value)                                                                   \
	{                                                                                          \
		number, value, 0, 0xff, 0                                                          \
	}

/* DS 3.4 and 4; the words are 408, -72, -14383, 32741, 32757, 23153, 6190, 4, -32768, -8711, 2868 */
static const struct sim_register map_registers[] = {
	READ_ONLY(0xaa, 0x01), READ_ONLY(0xab, 0x98), READ_ONLY(0xac, 0xff), READ_ONLY(0xad, 0xb8),
	READ_ONLY(0xae, 0xc7), READ_ONLY(0xaf, 0xd1), READ_ONLY(0xb0, 0x7f), READ_ONLY(0xb1, 0xe5),
	READ_ONLY(0xb2, 0x7f), READ_ONLY(0xb3, 0xf5), READ_ONLY(0xb4, 0x5a), READ_ONLY(0xb5, 0x71),
	READ_ONLY(0xb6, 0x18), READ_ONLY(0xb7, 0x2e), READ_ONLY(0xb8, 0x00), READ_ONLY(0xb9, 0x04),
	READ_ONLY(0xba, 0x80), READ_ONLY(0xbb, 0x00), READ_ONLY(0xbc, 0xdd), READ_ONLY(0xbd, 0xf9),
	READ_ONLY(0xbe, 0x0b), READ_ONLY(0xbf, 0x34), READ_ONLY(0xd0, 0x55), { REG_SOFT },
	{ REG_CTRL, 0, 0xff }, READ_ONLY(0xf6, 0x80), READ_ONLY(0xf7, 0x00), READ_ONLY(0xf8, 0x00),
};

static struct sim_bmp180 *bmp180_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_bmp180, registers);
}

/* --- DS 3.5 in real numbers; each rises with what the converter says ---------------------------- */

static double b5_of(double ut)
{
	double x1 = (ut - 23153) * 32757 / 32768;

	return x1 - 8711 * 2048.0 / (x1 + 2868);
}

static double celsius_of(double ut, double b5)
{
	(void)b5;
	return b5_of(ut) / 160;
}

/* @up: of one sample, so the same at each oversampling */
static double hectopascal_of(double up, double b5)
{
	double b6 = b5 - 4000, square = b6 * b6 / 4096;
	double b3 = 408 + (4 * square - 72 * b6) / 2048 / 4;
	double b4 = 32741 * (1 + (-14383 * b6 / 8192 + 6190 * square / 65536) / 4 / 32768);
	double p = (up - b3) * 100000 / b4;

	return (p + (p * p * 3038 / 4294967296.0 - p * 7357 / 65536 + 3791) / 16) / 100;
}

static double raw_for(double wanted, double low, double b5, double (*forward)(double, double))
{
	double high = 65535;

	for (int halves = 0; halves < 40; halves++) {
		double middle = (low + high) / 2;

		*(forward(middle, b5) < wanted ? &low : &high) = middle;
	}
	return low;
}

/* --- Conversions ------------------------------------------------------------------------------- */

static void finish(struct sim_bmp180 *sim)
{
	struct sim_chip *chip = &sim->registers.chip;
	uint16_t *values = sim->registers.values;
	double ut = raw_for(sim_weather(chip, "temperature"), 21000, 0, celsius_of), up;
	int oss = values[REG_CTRL] >> 6, raw;

	if ((values[REG_CTRL] & 0x1f) == 0x0e) {
		raw = sim_count(ut, 0, 65535) << 8;
	} else {
		up = raw_for(sim_weather(chip, "pressure"), 0, b5_of(ut), hectopascal_of);
		raw = sim_count(up * (1 << oss), 0, (65536 << oss) - 1) << (8 - oss);
	}
	values[REG_MSB] = (uint16_t)(raw >> 16);
	values[REG_LSB] = raw >> 8 & 0xff;
	values[REG_XLSB] = raw & 0xff;
	values[REG_CTRL] &= (uint16_t)~SCO;
	sim->done_us = 0;
}

static int advance(struct sim_registers *registers)
{
	struct sim_bmp180 *sim = bmp180_of(registers);

	if (registers->chip.now_us() < sim->answers_from_us)
		return -ENXIO;
	if (sim->done_us != 0 && !sim_is_busy(&registers->chip, sim->done_us))
		finish(sim);
	return 0;
}

/* DS 3.3.1, 5.2 */
static void convert(struct sim_bmp180 *sim, uint16_t what)
{
	static const int pressure_us[] = { 4500, 7500, 13500, 25500 };
	struct sim_chip *chip = &sim->registers.chip;

	if (sim->done_us != 0)
		sim_complain(chip, "a conversion is begun while one is under way");
	if (what != 0x2e && (what & 0x3f) != 0x34)
		sim_complain(chip, "0x%02x measures nothing", what);
	sim->done_us = chip->now_us() + (what == 0x2e ? 4500 : pressure_us[what >> 6]);
}

static const struct sim_register_map map;

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_bmp180 *sim = bmp180_of(registers);

	if (reg == REG_CTRL)
		convert(sim, value);
	if (reg != REG_SOFT || value != 0xb6)
		return;
	sim_registers_reset(registers, &map);
	sim->done_us = 0;
	sim->answers_from_us = registers->chip.now_us() + WAKE_UP_US;
}

static void reading(struct sim_registers *registers, uint8_t reg)
{
	if (reg >= REG_MSB && reg <= REG_XLSB && bmp180_of(registers)->done_us != 0)
		sim_complain(&registers->chip, "read while it converts");
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
	.reading = reading,
};

static void sim_bmp180_reset(struct sim_chip *chip)
{
	struct sim_bmp180 *sim = container_of(chip, struct sim_bmp180, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->answers_from_us = 0;
	sim->done_us = 0;
}

extern const struct sim_model sim_bmp180;

const struct sim_model sim_bmp180 = {
	.driver = "bmp180",
	.size = sizeof(struct sim_bmp180),
	.reset = sim_bmp180_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
