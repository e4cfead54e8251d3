/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Bosch BME680 or BME688, from the data sheets BST-BME680-DS001 ("DS") and BST-BME688-DS000: forced mode
 * with the first heater setting. It computes with the integer formulas of DS 3.3 and 3.4, the driver with
 * the others. A heater that is on for less than 30 ms, or that is set to no temperature of DS 3.3.5, is
 * not stable.
 *
 * Not here: the other nine heater settings, their order, the filter, parallel mode, SPI.
 */

#include <errno.h>

#include "kit.h"

#include "iotd/clock.h"

/* DS 5.2 */
#define MEAS_STATUS 0x1d
#define PRESS_MSB   0x1f
#define TEMP_MSB    0x22
#define HUM_MSB	    0x25
#define GAS_680	    0x2a
#define GAS_688	    0x2c
#define RES_HEAT_0  0x5a
#define GAS_WAIT_0  0x64
#define CTRL_GAS_0  0x70
#define CTRL_GAS_1  0x71
#define CTRL_HUM    0x72
#define CTRL_MEAS   0x74
#define RESET	    0xe0
#define VARIANT	    0xf0

#define NEW_DATA      0x80
#define GAS_MEASURING 0x40
#define MEASURING     0x20
#define RESET_US      10000 /* Bosch's BME68x_SensorAPI waits so long */
#define HEATING_MS    30

struct sim_bme680 {
	struct sim_registers registers;
	bool is_688;
	int64_t answers_from_us;    /* after a reset */
	int64_t gas_at_us, done_us; /* of the measurement under way; 0: there is none */
};

/* the trimming of a chip in the tests of github.com/pimoroni/bme680-python */
static const int t1 = 26041, t2 = 26469, t3 = 3;
static const int p1 = 36673, p2 = -10515, p3 = 88, p4 = 7310, p5 = -129, p6 = 30, p7 = 46,
		 p8 = -3177, p9 = -2379, p10 = 30;
static const int h1 = 676, h2 = 1029, h3 = 0, h4 = 45, h5 = 20, h6 = 120, h7 = -100;
static const int g1 = -30, g2 = -24754, g3 = 18, heat_range = 1, heat_val = 48, switch_error = 0;

#define READ_ONLY(number)                                                                          \
	{                                                                                          \
		number, 0, 0, 0xff, 0                                                              \
	}
#define READ_ONLY_5(n)                                                                             \
	READ_ONLY(n), READ_ONLY((n) + 1), READ_ONLY((n) + 2), READ_ONLY((n) + 3), READ_ONLY((n) + 4)

/* DS 5.2; what is not 0 after a reset is set in power_on() */
/* clang-format off */
static const struct sim_register map_registers[] = {
	READ_ONLY_5(0x00),
	READ_ONLY_5(0x1d), READ_ONLY_5(0x22), READ_ONLY_5(0x27), READ_ONLY(0x2c), READ_ONLY(0x2d),
	{ RES_HEAT_0, 0, 0xff }, { GAS_WAIT_0, 0, 0xff },
	{ CTRL_GAS_0, 0, 0x08, 0xf7 }, { CTRL_GAS_1, 0, 0x3f, 0xc0 }, { CTRL_HUM, 0, 0x47, 0xb8 },
	{ 0x73, 0, 0x10, 0xef }, { CTRL_MEAS, 0, 0xff }, { 0x75, 0, 0x1d, 0xe2 },
	READ_ONLY_5(0x8a), READ_ONLY_5(0x8f), READ_ONLY_5(0x94), READ_ONLY_5(0x99),
	READ_ONLY(0x9e), READ_ONLY(0x9f), READ_ONLY(0xa0),
	READ_ONLY(0xd0), { RESET },
	READ_ONLY_5(0xe1), READ_ONLY_5(0xe6), READ_ONLY(0xeb), READ_ONLY(0xec), READ_ONLY(0xed),
	READ_ONLY(0xee), READ_ONLY(VARIANT),
};
/* clang-format on */

static struct sim_bme680 *bme680_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_bme680, registers);
}

/* --- Forward formulas, in integers (DS 3.3.1 .. 3.3.3) ------------------------------------------- */

static int64_t t_fine_of(int64_t raw)
{
	int64_t x = (raw >> 3) - (t1 << 1);

	return ((x * t2) >> 11) + (((((x >> 1) * (x >> 1)) >> 12) * (t3 * 16LL)) >> 14);
}

static double celsius_of(int64_t raw, int64_t t_fine)
{
	(void)t_fine;
	return (double)((t_fine_of(raw) * 5 + 128) >> 8) / 100;
}

static double hectopascal_of(int64_t raw, int64_t t_fine)
{
	int64_t x = (t_fine >> 1) - 64000, quarter = (x >> 2) * (x >> 2);
	int64_t offset = ((((quarter >> 11) * p6) >> 2) + x * p5 * 2) >> 2;
	int64_t slope = ((((quarter >> 13) * (p3 * 32LL)) >> 3) + ((p2 * x) >> 1)) >> 18;
	int64_t p = (1048576 - raw - ((offset + p4 * 65536LL) >> 12)) * 3125;
	int64_t bent;

	p = p * 2 / (((32768 + slope) * p1) >> 15);
	bent = (p9 * (((p >> 3) * (p >> 3)) >> 13)) >> 12;
	bent += ((p >> 2) * p8) >> 13;
	bent += ((p >> 8) * (p >> 8) * (p >> 8) * p10) >> 17;
	return (double)(p + ((bent + p7 * 128LL) >> 4)) / 100;
}

static double percent_of(int64_t raw, int64_t t_fine)
{
	int64_t t = (t_fine * 5 + 128) >> 8;
	int64_t gain = (h2 * (t * h4 / 100 + ((t * (t * h5 / 100)) >> 6) / 100 + 16384)) >> 10;
	int64_t h = (raw - h1 * 16LL - ((t * h3 / 100) >> 1)) * gain;
	int64_t bent = ((h6 * 128LL + t * h7 / 100) >> 4) * (((h >> 14) * (h >> 14)) >> 10);

	return (double)(((h + (bent >> 1)) >> 10) * 1000 >> 12) / 1000;
}

static int64_t raw_for(double wanted, int bits, int64_t t_fine, double (*forward)(int64_t, int64_t))
{
	int64_t low = 0, high = (1 << bits) - 1;
	bool rises = forward(high / 4, t_fine) < forward(high / 2, t_fine);

	while (low < high) {
		int64_t middle = (low + high) / 2;

		if ((forward(middle, t_fine) < wanted) == rises)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- The gas (DS 3.4.1; BST-BME688-DS000 3.4.1); falls with what the converter says ----- */

static int64_t ohm_680(int64_t raw, int range)
{
	static const int64_t array_1[] = {
		2147483647, 2147483647, 2147483647, 2147483647, 2147483647, 2126008810,
		2147483647, 2130303777, 2147483647, 2147483647, 2143188679, 2136746228,
		2147483647, 2126008810, 2147483647, 2147483647,
	};
	static const int64_t array_2[] = {
		4096000000, 2048000000, 1024000000, 512000000, 255744255, 127110228,
		64000000,   32258064,	16016016,   8000000,   4000000,	  2000000,
		1000000,    500000,	250000,	    125000,
	};
	int64_t x = ((1340 + 5 * switch_error) * array_1[range]) >> 16;
	int64_t y = raw * 32768 - 16777216 + x;

	return (((array_2[range] * x) >> 9) + (y >> 1)) / y;
}

static int64_t ohm_688(int64_t raw, int range)
{
	return (10000LL * (262144 >> range)) / (4096 + (raw - 512) * 3) * 100;
}

static void put_gas(struct sim_bme680 *sim, uint8_t reg, uint16_t flags,
		    int64_t (*ohm)(int64_t, int))
{
	double wanted = sim_weather(&sim->registers.chip, "gas_resistance");
	uint16_t *values = &sim->registers.values[reg];
	int range = 0, raw = 0;

	while (range < 15 && (double)ohm(1023, range) > wanted)
		range++;
	while (raw < 1023 && (double)ohm(raw, range) > wanted)
		raw++;
	values[0] = (uint16_t)(raw >> 2);
	values[1] = (uint16_t)((raw & 3) << 6 | flags | range);
}

/* DS 3.3.5, the integer formula at 25 °C, give or take what it is coarser */
static bool is_hot(uint16_t code)
{
	int codes[2];

	for (int i = 0; i < 2; i++) {
		int hot = (g1 + 784) * (((g2 + 154009) * (200 + 200 * i) * 5 / 100 + 3276800) / 10);
		int sum = 25 * g3 / 1000 * 256 + hot / 2;

		codes[i] = (sum / (heat_range + 4) / (131 * heat_val + 65536) - 250) * 34 / 100;
	}
	return code >= codes[0] - 2 && code <= codes[1] + 2;
}

/* DS 5.3.3 */
static int64_t gas_wait_ms(uint16_t code)
{
	return (code & 0x3f) << 2 * (code >> 6);
}

/* DS 5.3.3: with the bit of this chip */
static bool measures_gas(const struct sim_bme680 *sim)
{
	return (sim->registers.values[CTRL_GAS_1] & 0x30) == (sim->is_688 ? 0x20 : 0x10);
}

static void finish_gas(struct sim_bme680 *sim)
{
	const uint16_t *values = sim->registers.values;
	bool is_stable = !(values[CTRL_GAS_0] & 0x08) && is_hot(values[RES_HEAT_0]) &&
			 gas_wait_ms(values[GAS_WAIT_0]) >= HEATING_MS;
	uint16_t flags = (uint16_t)(0x20 | (is_stable ? 0x10 : 0));

	if (!measures_gas(sim))
		return;
	if (sim->is_688)
		put_gas(sim, GAS_688, flags, ohm_688);
	else
		put_gas(sim, GAS_680, flags, ohm_680);
}

/* --- Measuring ------------------------------------------------------------------------------ */

static void put_20(uint16_t *values, int64_t raw)
{
	values[0] = (uint16_t)(raw >> 12);
	values[1] = raw >> 4 & 0xff;
	values[2] = (uint16_t)((raw & 0x0f) << 4);
}

static void finish(struct sim_bme680 *sim)
{
	struct sim_chip *chip = &sim->registers.chip;
	uint16_t *values = sim->registers.values;
	int64_t raw = raw_for(sim_weather(chip, "temperature"), 20, 0, celsius_of);
	int64_t t_fine = t_fine_of(raw);

	if (values[CTRL_MEAS] >> 5)
		put_20(&values[TEMP_MSB], raw);
	if (values[CTRL_MEAS] >> 2 & 0x07)
		put_20(&values[PRESS_MSB],
		       raw_for(sim_weather(chip, "pressure"), 20, t_fine, hectopascal_of));
	if (values[CTRL_HUM] & 0x07) {
		raw = raw_for(sim_weather(chip, "humidity"), 16, t_fine, percent_of);
		values[HUM_MSB] = (uint16_t)(raw >> 8);
		values[HUM_MSB + 1] = raw & 0xff;
	}
	finish_gas(sim);
	values[MEAS_STATUS] = NEW_DATA;
	values[CTRL_MEAS] &= 0xfc;
	sim->done_us = 0;
}

static int advance(struct sim_registers *registers)
{
	struct sim_bme680 *sim = bme680_of(registers);

	if (registers->chip.now_us() < sim->answers_from_us)
		return -ENXIO;
	if (sim->done_us == 0)
		return 0;
	if (registers->chip.now_us() >= sim->gas_at_us)
		registers->values[MEAS_STATUS] = MEASURING | GAS_MEASURING;
	if (!sim_is_busy(&registers->chip, sim->done_us))
		finish(sim);
	return 0;
}

static int samples(int osrs)
{
	return osrs > 5 ? 16 : osrs > 0 ? 1 << (osrs - 1) : 0;
}

/* BME68x_SensorAPI, bme68x_get_meas_dur(), for how long it takes */
static void measure(struct sim_bme680 *sim)
{
	uint16_t *values = sim->registers.values;
	int count = samples(values[CTRL_MEAS] >> 5) + samples(values[CTRL_MEAS] >> 2 & 0x07) +
		    samples(values[CTRL_HUM] & 0x07);

	sim->gas_at_us = sim->registers.chip.now_us() + 1000 + 1963LL * count + 4LL * 477;
	sim->done_us = sim->gas_at_us;
	if (measures_gas(sim))
		sim->done_us += 5LL * 477 + gas_wait_ms(values[GAS_WAIT_0]) * USEC_PER_MSEC;
	values[MEAS_STATUS] = MEASURING;
}

/* --- Registers ------------------------------------------------------------------------------ */

static void put_16(uint16_t *values, int number)
{
	values[0] = number & 0xff;
	values[1] = (uint16_t)number >> 8;
}

/* DS 3.3.1 .. 3.3.5, 3.4.1 */
static void put_trim(uint16_t *values)
{
	put_16(&values[0x8a], t2);
	values[0x8c] = t3;
	put_16(&values[0x8e], p1);
	put_16(&values[0x90], p2);
	values[0x92] = p3;
	put_16(&values[0x94], p4);
	put_16(&values[0x96], p5);
	values[0x98] = p7;
	values[0x99] = p6;
	put_16(&values[0x9c], p8);
	put_16(&values[0x9e], p9);
	values[0xa0] = p10;
	values[0xe1] = h2 >> 4;
	values[0xe2] = (h2 & 0x0f) << 4 | (h1 & 0x0f);
	values[0xe3] = h1 >> 4;
	values[0xe4] = h3;
	values[0xe5] = h4;
	values[0xe6] = h5;
	values[0xe7] = h6;
	values[0xe8] = h7 & 0xff;
	put_16(&values[0xe9], t1);
	put_16(&values[0xeb], g2);
	values[0xed] = g1 & 0xff;
	values[0xee] = g3;
	values[0x00] = heat_val;
	values[0x02] = heat_range << 4;
	values[0x04] = (switch_error & 0x0f) << 4;
}

static const struct sim_register_map map;

static void power_on(struct sim_bme680 *sim)
{
	uint16_t *values = sim->registers.values;

	sim_registers_reset(&sim->registers, &map);
	put_trim(values);
	values[PRESS_MSB] = 0x80;
	values[TEMP_MSB] = 0x80;
	values[HUM_MSB] = 0x80;
	values[0xd0] = 0x61;
	values[VARIANT] = sim->is_688;
	sim->answers_from_us = 0;
	sim->done_us = 0;
}

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_bme680 *sim = bme680_of(registers);

	if (reg != RESET && sim->done_us != 0)
		sim_complain(&registers->chip, "register 0x%02x is written while it measures", reg);
	if (reg == RESET && value == 0xb6) {
		power_on(sim);
		sim->answers_from_us = registers->chip.now_us() + RESET_US;
	}
	if (reg == CTRL_GAS_1 && value & (sim->is_688 ? 0x10 : 0x20))
		sim_complain(&registers->chip, "0x%02x is the other chip's bit for gas", value);
	if (reg == RES_HEAT_0 && !is_hot(value))
		sim_complain(&registers->chip, "a heater of 0x%02x is not of 200 .. 400 °C", value);
	if (reg != CTRL_MEAS || (value & 0x03) == 0)
		return;
	if ((value & 0x03) != 0x01)
		sim_complain(&registers->chip, "0x%02x is no mode", value);
	measure(sim);
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
};

static void sim_bme680_reset(struct sim_chip *chip)
{
	power_on(container_of(chip, struct sim_bme680, registers.chip));
}

static void sim_bme688_reset(struct sim_chip *chip)
{
	struct sim_bme680 *sim = container_of(chip, struct sim_bme680, registers.chip);

	sim->is_688 = true;
	power_on(sim);
}

extern const struct sim_model sim_bme680, sim_bme688;

const struct sim_model sim_bme680 = {
	.driver = "bme680",
	.size = sizeof(struct sim_bme680),
	.reset = sim_bme680_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};

const struct sim_model sim_bme688 = {
	.driver = "bme688",
	.size = sizeof(struct sim_bme680),
	.reset = sim_bme688_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
