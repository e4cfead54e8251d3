/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An ST VL6180X, from the data sheet DocID026171 ("DS") and the application note AN4545 ("AN"): ranging,
 * once and continuously. A range takes as long as it may, and there always is a target. Its registers have
 * 16-bit numbers. Not here: ambient light, GPIO, history, thresholds, another address.
 */

#include <string.h>

#include "kit.h"

#include "iotd/clock.h"

#define REG_INTERRUPT_CONFIG 0x014
#define REG_INTERRUPT_CLEAR  0x015
#define REG_FRESH	     0x016
#define REG_START	     0x018
#define REG_CONVERGENCE	     0x01c
#define REG_RANGE_STATUS     0x04d
#define REG_INTERRUPT_STATUS 0x04f
#define REG_RANGE_VALUE	     0x062
#define REG_END		     0x2c0

struct sim_vl6180x {
	struct sim_chip chip;
	uint16_t index;
	uint8_t values[REG_END];
	bool is_continuous;
	int64_t until_us; /* of the range under way; 0: none is */
};

/* DS 6.2: those of identification and ranging, with their reset values; @writable: bits */
static const struct {
	uint16_t number;
	uint8_t initial, writable;
} registers[] = {
	{ 0x000, 0xb4, 0 },
	{ 0x001, 0x01, 0 },
	{ 0x002, 0x03, 0 },
	{ 0x003, 0x01, 0 },
	{ 0x004, 0x02, 0 },
	{ 0x010, 0x60, 0x7e },
	{ 0x011, 0x20, 0x3e },
	{ 0x012, 0x00, 0x07 },
	{ REG_INTERRUPT_CONFIG, 0x00, 0xff },
	{ REG_INTERRUPT_CLEAR, 0x00, 0x00 },
	{ REG_FRESH, 0x01, 0x01 },
	{ 0x017, 0x00, 0x01 },
	{ REG_START, 0x00, 0x00 },
	{ 0x019, 0xff, 0xff },
	{ 0x01a, 0x00, 0xff },
	{ 0x01b, 0xff, 0xff },
	{ REG_CONVERGENCE, 0x31, 0x3f },
	{ 0x02d, 0x11, 0x1f },
	{ 0x02e, 0x00, 0x00 },
	{ 0x031, 0x00, 0xff },
	{ REG_RANGE_STATUS, 0x01, 0 },
	{ REG_INTERRUPT_STATUS, 0x00, 0 },
	{ REG_RANGE_VALUE, 0x00, 0 },
	{ 0x10a, 0x30, 0xff },
	{ 0x2a3, 0x00, 0x01 },
};

/* AN 9, SR03: number and value in one; without them it does not range rightly */
static const uint32_t tuning[] = {
	0x020701, 0x020801, 0x009600, 0x0097fd, 0x00e301, 0x00e403, 0x00e502, 0x00e601,
	0x00e703, 0x00f502, 0x00d905, 0x00dbce, 0x00dc03, 0x00ddf8, 0x009f00, 0x00a33c,
	0x00b700, 0x00bb3c, 0x00b209, 0x00ca09, 0x019801, 0x01b017, 0x01ad00, 0x00ff05,
	0x010005, 0x019905, 0x01a61b, 0x01ac3e, 0x01a71f, 0x003000,
};

static bool is_tuning(uint16_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(tuning); i++)
		if (tuning[i] >> 8 == number)
			return true;
	return false;
}

/* bits that a write changes. Return: 0 .. 0xff; -1 there is no such register */
static int writable_of(uint16_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].number == number)
			return registers[i].writable;
	return is_tuning(number) ? 0xff : -1;
}

/* DS 2.7.1: 3.2 ms before, the longest convergence, 1.3 ms and the averaging behind it */
static int64_t duration_us(const struct sim_vl6180x *sim)
{
	return 3200 + sim->values[REG_CONVERGENCE] * USEC_PER_MSEC + 1300 +
	       sim->values[0x10a] * 645 / 10;
}

static void begin(struct sim_vl6180x *sim)
{
	sim->until_us = sim->chip.now_us() + duration_us(sim);
	sim->values[REG_RANGE_STATUS] = 0;
}

/* what happened meanwhile */
static void advance(struct sim_vl6180x *sim)
{
	if (sim->until_us == 0 || sim_is_busy(&sim->chip, sim->until_us))
		return;
	sim->until_us = 0;
	sim->values[REG_RANGE_STATUS] = 0x01;
	sim->values[REG_RANGE_VALUE] =
		(uint8_t)sim_count(sim_weather(&sim->chip, "distance"), 0, 255);
	if ((sim->values[REG_INTERRUPT_CONFIG] & 0x07) == 4)
		sim->values[REG_INTERRUPT_STATUS] |= 4;
	if (sim->is_continuous)
		begin(sim);
}

static void check_tuning(struct sim_vl6180x *sim)
{
	for (size_t i = 0; i < ARRAY_SIZE(tuning); i++)
		if (sim->values[tuning[i] >> 8] != (tuning[i] & 0xff))
			sim_complain(&sim->chip, "ranging while register 0x%03x is 0x%02x",
				     tuning[i] >> 8, sim->values[tuning[i] >> 8]);
	if (sim->values[REG_FRESH])
		sim_complain(&sim->chip, "ranging while it is fresh out of reset");
}

/* DS 6.2, SYSRANGE__START: bit 0 starts, and stops what is continuous; bit 1 is the mode */
static void start(struct sim_vl6180x *sim, uint8_t value)
{
	bool was_continuous = sim->is_continuous;

	if (value & 0xfc)
		sim_complain(&sim->chip, "a start of 0x%02x", value);
	sim->is_continuous = !was_continuous && value & 2;
	sim->values[REG_START] = sim->is_continuous ? 2 : 0;
	if (was_continuous || !(value & 1))
		return;
	if (sim->until_us != 0)
		sim_complain(&sim->chip, "a start while it is ranging");
	check_tuning(sim);
	begin(sim);
}

static void set(struct sim_vl6180x *sim, uint16_t number, uint8_t value)
{
	int writable = writable_of(number);

	if (writable < 0) {
		sim_complain(&sim->chip, "there is no register 0x%03x", number);
		return;
	}
	if (sim->until_us != 0 && number != REG_START && number != REG_INTERRUPT_CLEAR)
		sim_complain(&sim->chip, "register 0x%03x is written while it is ranging", number);
	if (number == REG_START)
		start(sim, value);
	else if (number == REG_INTERRUPT_CLEAR && value & 1)
		sim->values[REG_INTERRUPT_STATUS] &= 0xf8;
	sim->values[number] = (uint8_t)((sim->values[number] & ~writable) | (value & writable));
}

static int sim_vl6180x_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_vl6180x *sim = container_of(chip, struct sim_vl6180x, chip);

	advance(sim);
	if (length < 2) {
		sim_complain(chip, "half a register's number");
		return 0;
	}
	sim->index = (uint16_t)(data[0] << 8 | data[1]);
	for (size_t i = 2; i < length; i++)
		set(sim, sim->index++, data[i]);
	return 0;
}

static int sim_vl6180x_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_vl6180x *sim = container_of(chip, struct sim_vl6180x, chip);

	advance(sim);
	for (size_t i = 0; i < length; i++, sim->index++) {
		if (writable_of(sim->index) < 0)
			sim_complain(chip, "there is no register 0x%03x", sim->index);
		data[i] = sim->index < REG_END ? sim->values[sim->index] : 0;
	}
	return 0;
}

static void sim_vl6180x_reset(struct sim_chip *chip)
{
	struct sim_vl6180x *sim = container_of(chip, struct sim_vl6180x, chip);

	memset(sim->values, 0, sizeof(sim->values));
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
		sim->values[registers[i].number] = registers[i].initial;
	sim->index = 0;
	sim->is_continuous = false;
	sim->until_us = 0;
}

extern const struct sim_model sim_vl6180x;

const struct sim_model sim_vl6180x = {
	.driver = "vl6180x",
	.size = sizeof(struct sim_vl6180x),
	.reset = sim_vl6180x_reset,
	.write = sim_vl6180x_write,
	.read = sim_vl6180x_read,
};
