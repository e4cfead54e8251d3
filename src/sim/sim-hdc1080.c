/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Texas Instruments HDC1080, from the data sheet SNAS672A ("DS"): both modes of acquisition, all
 * resolutions, reset, ids. A write of the pointer alone triggers; until the end of the measurement
 * the chip does not answer. Not here: the battery's bit.
 */

#include <errno.h>

#include "kit.h"

#define REG_TEMPERATURE 0x00
#define REG_HUMIDITY	0x01
#define REG_CONFIG	0x02

/* DS 8.6.3 */
#define CONFIG_RESET	   0x8000
#define CONFIG_BOTH	   0x1000
#define CONFIG_TEMPERATURE 0x0400 /* 11 bits, not 14 */
#define CONFIG_HUMIDITY	   0x0300

struct sim_hdc1080 {
	struct sim_registers registers;
	int64_t ready_us; /* when a reset has ended */
	int64_t done_us;  /* when a measurement has; 0: there is none */
};

/* DS 8.6, table 1 */
static const struct sim_register map_registers[] = {
	{ REG_TEMPERATURE, 0, 0, 0xffff, 0 },
	{ REG_HUMIDITY, 0, 0, 0xffff, 0 },
	{ REG_CONFIG, 0x1000, 0x3700, 0x48ff, 0 },
	{ 0xfb, 0x0217, 0, 0xffff, 0 },
	{ 0xfc, 0xa3b4, 0, 0xffff, 0 },
	{ 0xfd, 0xe580, 0, 0xffff, 0 },
	{ 0xfe, 0x5449, 0, 0xffff, 0 },
	{ 0xff, 0x1050, 0, 0xffff, 0 },
};

static struct sim_hdc1080 *hdc1080_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_hdc1080, registers);
}

/* a reset or a measurement under way: NACK */
static int advance(struct sim_registers *registers)
{
	struct sim_hdc1080 *sim = hdc1080_of(registers);

	if (registers->chip.now_us() < sim->ready_us)
		return -ENXIO;
	if (sim_is_busy(&registers->chip, sim->done_us))
		return -ENXIO;
	sim->done_us = 0;
	return 0;
}

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value);

static const struct sim_register_map map = {
	.width = SIM_BE16,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
};

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	if (reg != REG_CONFIG || !(value & CONFIG_RESET))
		return;
	sim_registers_reset(registers, &map);
	hdc1080_of(registers)->ready_us = registers->chip.now_us() + 15000; /* DS 7.5 */
}

/* DS 8.6.1: 14 bits, or 11, the rest zeros */
static int64_t measure_temperature(struct sim_registers *registers)
{
	bool is_coarse = registers->values[REG_CONFIG] & CONFIG_TEMPERATURE;
	double celsius = sim_weather(&registers->chip, "temperature");
	int raw = sim_count((celsius + 40) / 165 * 65536, 0, 65535);

	registers->values[REG_TEMPERATURE] = (uint16_t)(raw & (is_coarse ? 0xffe0 : 0xfffc));
	return is_coarse ? 3650 : 6350; /* DS 7.5 */
}

/* DS 8.6.2: 14 bits, 11, or 8 */
static int64_t measure_humidity(struct sim_registers *registers)
{
	static const struct {
		int bits;
		int64_t duration_us;
	} resolutions[] = { { 0xfffc, 6500 }, { 0xffe0, 3850 }, { 0xff00, 2500 } };
	unsigned int resolution = (registers->values[REG_CONFIG] & CONFIG_HUMIDITY) >> 8;
	double percent = sim_weather(&registers->chip, "humidity");
	int raw = sim_count(percent / 100 * 65536, 0, 65535);

	if (resolution >= ARRAY_SIZE(resolutions)) {
		sim_complain(&registers->chip, "a humidity of no resolution");
		resolution = 0;
	}
	registers->values[REG_HUMIDITY] = (uint16_t)(raw & resolutions[resolution].bits);
	return resolutions[resolution].duration_us;
}

/* DS 8.5.1.3 */
static void trigger(struct sim_hdc1080 *sim)
{
	struct sim_registers *registers = &sim->registers;
	bool both = registers->values[REG_CONFIG] & CONFIG_BOTH;
	int64_t duration_us = 0;

	if (both || registers->pointer == REG_TEMPERATURE)
		duration_us += measure_temperature(registers);
	if (both || registers->pointer == REG_HUMIDITY)
		duration_us += measure_humidity(registers);
	sim->done_us = registers->chip.now_us() + duration_us;
}

static int sim_hdc1080_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_hdc1080 *sim = container_of(chip, struct sim_hdc1080, registers.chip);
	int r = sim_registers_write(chip, data, length);

	if (r == 0 && length == 1 && data[0] <= REG_HUMIDITY)
		trigger(sim);
	return r;
}

/* DS 8.5.1.3: both in one, if both were measured */
static int sim_hdc1080_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_hdc1080 *sim = container_of(chip, struct sim_hdc1080, registers.chip);
	const uint16_t *values = sim->registers.values;

	if (sim->registers.pointer != REG_TEMPERATURE || length != 4)
		return sim_registers_read(chip, data, length);
	if (advance(&sim->registers) < 0)
		return -ENXIO;
	if (!(values[REG_CONFIG] & CONFIG_BOTH))
		sim_complain(chip, "both are read where one is measured");
	for (size_t i = 0; i < length; i++)
		data[i] = (uint8_t)(values[i / 2] >> (i % 2 == 0 ? 8 : 0));
	return 0;
}

static void sim_hdc1080_reset(struct sim_chip *chip)
{
	struct sim_hdc1080 *sim = container_of(chip, struct sim_hdc1080, registers.chip);

	sim_registers_reset(&sim->registers, &map);
	sim->ready_us = 0;
	sim->done_us = 0;
}

extern const struct sim_model sim_hdc1080;

const struct sim_model sim_hdc1080 = {
	.driver = "hdc1080",
	.size = sizeof(struct sim_hdc1080),
	.reset = sim_hdc1080_reset,
	.write = sim_hdc1080_write,
	.read = sim_hdc1080_read,
};
