/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A ScioSense ENS160, from its data sheet v0.95 ("DS"): modes, status, and data each second. Not here:
 * warming up and initial start-up (who simulates does not want to wait; tests spoil the status), raw
 * values, checksums of reads, interrupts.
 */

#include "kit.h"

#include "iotd/clock.h"

#define REG_OPMODE 0x10
#define REG_STATUS 0x20
#define REG_AQI	   0x21
#define REG_ECO2   0x24

#define DEEP_SLEEP  0x00
#define IDLE	    0x01
#define STANDARD    0x02
#define RESET	    0xf0
#define BOOT_US	    (10 * USEC_PER_MSEC)
#define INTERVAL_US (1 * USEC_PER_SEC)

#define STATAS 0x80
#define STATER 0x40
#define NEWDAT 0x02

struct sim_ens160 {
	struct sim_registers registers;
	int64_t booted_us; /* no other mode until then */
	int64_t next_us;   /* when there will be data; 0: never */
};

/* DS 16.1, table 16; the defaults of DATA_T and DATA_RH are 25 °C and 50 % (16.2.12, 16.2.13) */
/* clang-format off */
static const struct sim_register map_registers[] = {
	{ 0x00, 0x60, 0, 0xff, 0 }, { 0x01, 0x01, 0, 0xff, 0 },
	{ REG_OPMODE, DEEP_SLEEP, 0xff, 0, 0 },
	{ 0x11, 0, 0x6b, 0x94, 0 },
	{ 0x12, 0, 0xff, 0, 0 },
	{ 0x13, 0, 0xff, 0, 0 }, { 0x14, 0, 0xff, 0, 0 },
	{ 0x15, 0, 0xff, 0, 0 }, { 0x16, 0, 0xff, 0, 0 },
	{ REG_STATUS, 0, 0, 0xff, 0 },
	{ REG_AQI, 0, 0, 0xff, 0 },
	{ 0x22, 0, 0, 0xff, 0 }, { 0x23, 0, 0, 0xff, 0 },
	{ REG_ECO2, 0, 0, 0xff, 0 }, { 0x25, 0, 0, 0xff, 0 },
	{ 0x30, 0x8a, 0, 0xff, 0 }, { 0x31, 0x4a, 0, 0xff, 0 },
	{ 0x32, 0x00, 0, 0xff, 0 }, { 0x33, 0x64, 0, 0xff, 0 },
};
/* clang-format on */

static struct sim_ens160 *ens160_of(struct sim_registers *registers)
{
	return container_of(registers, struct sim_ens160, registers);
}

static void set_pair(struct sim_ens160 *sim, uint8_t reg, int value)
{
	sim->registers.values[reg] = (uint16_t)(value & 0xff);
	sim->registers.values[reg + 1] = (uint16_t)(value >> 8);
}

/* DS 16.2.7 .. 16.2.10 */
static int advance(struct sim_registers *registers)
{
	struct sim_ens160 *sim = ens160_of(registers);
	struct sim_chip *chip = &registers->chip;

	if (sim->next_us == 0 || sim_is_busy(chip, sim->next_us))
		return 0;
	registers->values[REG_AQI] = (uint16_t)sim_count(sim_weather(chip, "aqi"), 1, 5);
	set_pair(sim, 0x22, sim_count(sim_weather(chip, "tvoc"), 0, 65000));
	set_pair(sim, REG_ECO2, sim_count(sim_weather(chip, "eco2"), 400, 65000));
	registers->values[REG_STATUS] |= NEWDAT;
	sim->next_us = chip->now_us() + INTERVAL_US;
	return 0;
}

static void reset(struct sim_ens160 *sim);

static void set_mode(struct sim_ens160 *sim, uint16_t mode)
{
	struct sim_chip *chip = &sim->registers.chip;

	if (chip->now_us() < sim->booted_us)
		sim_complain(chip, "mode 0x%02x while the chip boots", mode);
	if (sim->next_us != 0)
		sim_complain(chip, "mode 0x%02x ends a measurement, which then warms up anew",
			     mode);
	if (mode == RESET)
		reset(sim);
	sim->booted_us = chip->now_us() + BOOT_US;
	sim->next_us = mode == STANDARD ? chip->now_us() + INTERVAL_US : 0;
	sim->registers.values[REG_STATUS] = mode == STANDARD ? STATAS : 0;
	if (mode != DEEP_SLEEP && mode != IDLE && mode != STANDARD && mode != RESET) {
		sim_complain(chip, "there is no mode 0x%02x", mode);
		sim->registers.values[REG_STATUS] = STATER;
	}
}

static void written(struct sim_registers *registers, uint8_t reg, uint16_t value)
{
	if (reg == REG_OPMODE)
		set_mode(ens160_of(registers), value);
	else if (ens160_of(registers)->registers.values[REG_OPMODE] == DEEP_SLEEP)
		sim_complain(&registers->chip, "register 0x%02x is written in deep sleep", reg);
}

/* the status that comes before the data, in one read, still has the bit */
static void reading(struct sim_registers *registers, uint8_t reg)
{
	if (reg >= REG_AQI && reg <= REG_ECO2 + 1)
		registers->values[REG_STATUS] &= (uint16_t)~NEWDAT;
}

static const struct sim_register_map map = {
	.width = SIM_8,
	.registers = map_registers,
	.count = ARRAY_SIZE(map_registers),
	.advance = advance,
	.written = written,
	.reading = reading,
};

static void reset(struct sim_ens160 *sim)
{
	sim_registers_reset(&sim->registers, &map);
	sim->booted_us = 0;
	sim->next_us = 0;
}

static void sim_ens160_reset(struct sim_chip *chip)
{
	reset(container_of(chip, struct sim_ens160, registers.chip));
}

extern const struct sim_model sim_ens160;

const struct sim_model sim_ens160 = {
	.driver = "ens160",
	.size = sizeof(struct sim_ens160),
	.reset = sim_ens160_reset,
	.write = sim_registers_write,
	.read = sim_registers_read,
};
