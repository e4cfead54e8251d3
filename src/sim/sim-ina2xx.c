/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Texas Instruments INA219, INA226 or INA260, from the data sheets SBOS448G ("DS219"), SBOS547B
 * ("DS226") and SBOS656C ("DS260"): triggered and continuous conversion, averaging, calibration,
 * overflow. Not here: alerts.
 *
 * The chip knows neither its shunt nor the current. So the weather is a load: a part of what the range
 * and the calibration let the chip tell. Whatever the configuration says, the numbers are plausible.
 */

#include <math.h>

#include "kit.h"

#define REG_CONFIG	0x00
#define REG_SHUNT	0x01
#define REG_BUS		0x02
#define REG_POWER	0x03
#define REG_CURRENT	0x04
#define REG_CALIBRATION 0x05
#define REG_MASK	0x06

#define MODE_SHUNT	0x0001
#define MODE_BUS	0x0002
#define MODE_CONTINUOUS 0x0004
#define INSIDE_MOST	3200 /* the INA260's load: up to 4 A in steps of 1.25 mA */

enum kind {
	INA219,
	INA226,
	INA260
};

struct sim_ina2xx {
	struct sim_registers registers;
	enum kind kind;
	int64_t began_us;
	bool is_converting, is_ready, is_overflowing;
};

static struct sim_ina2xx *ina2xx_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_ina2xx, registers);
}

/* DS219 table 5 (bits 0 and 1 are the resolution, or with bit 3 2^n samples), 10 % longer: 7.5 */
static int64_t ina219_duration_us(unsigned int adc)
{
	static const int resolutions_us[] = { 93, 163, 304, 586 };

	return adc & 8 ? 586LL << (adc & 7) : resolutions_us[adc & 3];
}

/* DS226 tables 7-2 .. 7-4 and 5.5, the longest; DS260 tables 3 .. 5 are the same */
static int64_t duration_us(const struct sim_ina2xx *sim)
{
	static const int samples[] = { 1, 4, 16, 64, 128, 256, 512, 1024 };
	static const int times_us[] = { 154, 224, 365, 646, 1210, 2328, 4572, 9068 };
	unsigned int config = sim->registers.values[REG_CONFIG];
	int64_t duration = 0;

	if (config & MODE_SHUNT)
		duration += sim->kind == INA219 ? ina219_duration_us(config >> 3 & 15)
						: times_us[config >> 3 & 7];
	if (config & MODE_BUS)
		duration += sim->kind == INA219 ? ina219_duration_us(config >> 7 & 15)
						: times_us[config >> 6 & 7];
	return sim->kind == INA219 ? duration : duration * samples[config >> 9 & 7];
}

/* the highest that REG_SHUNT may be without the current's register overflowing */
static int shunt_most(const struct sim_ina2xx *sim)
{
	int calibration = sim->registers.values[REG_CALIBRATION];
	int most = INT16_MAX, divisor = sim->kind == INA219 ? 4096 : 2048;

	if (sim->kind == INA260)
		return INSIDE_MOST;
	if (sim->kind == INA219)
		most = 4000 << (sim->registers.values[REG_CONFIG] >> 11 & 3); /* DS219 8.6.3.1 */
	if (calibration != 0 && (int64_t)most * calibration / divisor > INT16_MAX)
		most = INT16_MAX * divisor / calibration;
	return most;
}

/* DS219 8.6.3.3, 8.6.3.4; DS226 equations 3, 4; the INA260's steps are 1.25 mA, 1.25 mV and 10 mW */
static void calculate(struct sim_ina2xx *sim)
{
	uint16_t *values = sim->registers.values;
	int64_t shunt = (int16_t)values[REG_SHUNT], bus = values[REG_BUS], current, power;

	if (sim->kind == INA219) {
		current = shunt * values[REG_CALIBRATION] / 4096;
		power = current * (bus >> 3) / 5000;
	} else if (sim->kind == INA226) {
		current = shunt * values[REG_CALIBRATION] / 2048;
		power = current * bus / 20000;
	} else {
		current = shunt;
		power = current * bus / 6400;
	}
	power = power < 0 ? -power : power;
	sim->is_overflowing = current > INT16_MAX || current < INT16_MIN || power > UINT16_MAX;
	if (sim->kind != INA260)
		values[REG_CURRENT] = (uint16_t)current;
	values[REG_POWER] = (uint16_t)power;
}

static void convert(struct sim_ina2xx *sim)
{
	struct sim_chip *chip = &sim->registers.chip;
	uint16_t *values = sim->registers.values;
	double volts = sim_weather(chip, "voltage"), load = sim_weather(chip, "load");

	if (values[REG_CONFIG] & MODE_SHUNT)
		values[REG_SHUNT] = (uint16_t)sim_count(load * shunt_most(sim), 0, INT16_MAX);
	if (values[REG_CONFIG] & MODE_BUS)
		values[REG_BUS] = sim->kind == INA219
					  ? (uint16_t)(sim_count(volts / 0.004, 0, 8000) << 3)
					  : (uint16_t)sim_count(volts / 0.00125, 0, INT16_MAX);
	calculate(sim);
	sim->is_ready = true;
}

static int advance(struct sim_registers *registers)
{
	struct sim_ina2xx *sim = ina2xx_of(registers);

	if (!sim->is_converting || sim_is_busy(&registers->chip, sim->began_us + duration_us(sim)))
		return 0;
	convert(sim);
	sim->is_converting = registers->values[REG_CONFIG] & MODE_CONTINUOUS;
	sim->began_us = registers->chip.now_us();
	return 0;
}

static void reset(struct sim_ina2xx *sim);

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	struct sim_ina2xx *sim = ina2xx_of(registers);

	if (reg != REG_CONFIG)
		return;
	if (value & 0x8000) {
		reset(sim);
		return;
	}
	if (sim->kind != INA219 && (value ^ registers->map->registers[0].initial) & 0x7000)
		sim_complain(&registers->chip, "0x%04x as configuration changes reserved bits",
			     value);
	sim->is_converting = value & (MODE_SHUNT | MODE_BUS);
	sim->is_ready = sim->is_ready && !sim->is_converting;
	sim->began_us = registers->chip.now_us();
}

/* DS219 8.6.3.2: the power's register clears the flag; DS226 7.1.7, DS260 8.6.5: that of the flags itself */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	struct sim_ina2xx *sim = ina2xx_of(registers);
	uint16_t *value = &registers->values[reg];

	if (sim->kind == INA219 && reg == REG_BUS)
		*value = (uint16_t)((*value & ~3) | sim->is_ready << 1 | sim->is_overflowing);
	if (sim->kind != INA219 && reg == REG_MASK)
		*value =
			(uint16_t)((*value & ~0xc) | sim->is_ready << 3 | sim->is_overflowing << 2);
	if (reg == (sim->kind == INA219 ? REG_POWER : REG_MASK))
		sim->is_ready = false;
}

/* clang-format off */
/* DS219 table 2, 8.6.2.1 */
static const struct sim_register ina219_registers[] = {
	{ REG_CONFIG, 0x399f, 0x3fff, 0x4000, 0 },
	{ REG_SHUNT, 0, 0, 0xffff, 0 },
	{ REG_BUS, 0, 0, 0xffff, 0 },
	{ REG_POWER, 0, 0, 0xffff, 0 },
	{ REG_CURRENT, 0, 0, 0xffff, 0 },
	{ REG_CALIBRATION, 0, 0xfffe, 0x0001, 0 },
};
/* DS226 table 7-1 */
static const struct sim_register ina226_registers[] = {
	{ REG_CONFIG, 0x4127, 0x0fff, 0, 0 },
	{ REG_SHUNT, 0, 0, 0xffff, 0 },
	{ REG_BUS, 0, 0, 0xffff, 0 },
	{ REG_POWER, 0, 0, 0xffff, 0 },
	{ REG_CURRENT, 0, 0, 0xffff, 0 },
	{ REG_CALIBRATION, 0, 0x7fff, 0x8000, 0 },
	{ REG_MASK, 0, 0xfc03, 0x03e0, 0 },
	{ 0x07, 0, 0xffff, 0, 0 },
	{ 0xfe, 0x5449, 0, 0xffff, 0 },
	{ 0xff, 0x2260, 0, 0xffff, 0 },
};
/* DS260 8.6 */
static const struct sim_register ina260_registers[] = {
	{ REG_CONFIG, 0x6127, 0x0fff, 0, 0 },
	{ REG_SHUNT, 0, 0, 0xffff, 0 },
	{ REG_BUS, 0, 0, 0xffff, 0 },
	{ REG_POWER, 0, 0, 0xffff, 0 },
	{ REG_MASK, 0, 0xfc03, 0x03e0, 0 },
	{ 0x07, 0, 0xffff, 0, 0 },
	{ 0xfe, 0x5449, 0, 0xffff, 0 },
	{ 0xff, 0x2270, 0, 0xffff, 0 },
};
/* clang-format on */

#define MAP(rows)                                                                                  \
	{                                                                                          \
		.width = SIM_BE16, .registers = (rows), .count = ARRAY_SIZE(rows),                 \
		.advance = advance, .written = written, .reading = reading,                        \
	}

static const struct sim_register_map maps[] = {
	[INA219] = MAP(ina219_registers),
	[INA226] = MAP(ina226_registers),
	[INA260] = MAP(ina260_registers),
};

/* all measure all the time after power-on */
static void reset(struct sim_ina2xx *sim)
{
	sim_registers_reset(&sim->registers, &maps[sim->kind]);
	sim->began_us = sim->registers.chip.now_us();
	sim->is_converting = true;
	sim->is_ready = false;
	sim->is_overflowing = false;
}

static void reset_kind(struct sim_chip *chip, enum kind kind)
{
	struct sim_ina2xx *sim = container_of(chip, struct sim_ina2xx, registers.chip);

	sim->kind = kind;
	reset(sim);
}

static void sim_ina219_reset(struct sim_chip *chip)
{
	reset_kind(chip, INA219);
}

static void sim_ina226_reset(struct sim_chip *chip)
{
	reset_kind(chip, INA226);
}

static void sim_ina260_reset(struct sim_chip *chip)
{
	reset_kind(chip, INA260);
}

extern const struct sim_model sim_ina219, sim_ina226, sim_ina260;

#define MODEL(name)                                                                                \
	{                                                                                          \
		.driver = #name, .size = sizeof(struct sim_ina2xx), .reset = sim_##name##_reset,   \
		.write = sim_registers_write, .read = sim_registers_read,                          \
	}

const struct sim_model sim_ina219 = MODEL(ina219);
const struct sim_model sim_ina226 = MODEL(ina226);
const struct sim_model sim_ina260 = MODEL(ina260);
