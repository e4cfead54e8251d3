/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Registers behind a pointer, as most chips have them. */

#include <errno.h>
#include <string.h>

#include "kit.h"

static const struct sim_register *find(struct sim_registers *sim, uint8_t number)
{
	for (size_t i = 0; i < sim->map->count; i++)
		if (sim->map->registers[i].number == number)
			return &sim->map->registers[i];
	sim_complain(&sim->chip, "there is no register 0x%02x", number);
	return NULL;
}

void sim_registers_reset(struct sim_registers *sim, const struct sim_register_map *map)
{
	sim->map = map;
	sim->pointer = 0;
	memset(sim->values, 0, sizeof(sim->values));
	for (size_t i = 0; i < map->count; i++)
		sim->values[map->registers[i].number] = map->registers[i].initial;
}

static void set(struct sim_registers *sim, uint8_t number, uint16_t value)
{
	const struct sim_register *reg = find(sim, number);

	if (!reg)
		return;
	if ((value ^ reg->initial) & reg->reserved)
		sim_complain(&sim->chip, "0x%04x to register 0x%02x changes reserved bits", value,
			     number);
	if (reg->writable == 0 && !sim->map->written)
		sim_complain(&sim->chip, "register 0x%02x is read-only", number);
	sim->values[number] =
		(uint16_t)((sim->values[number] & ~reg->writable) | (value & reg->writable));
	if (sim->map->written)
		sim->map->written(sim, number, value);
}

static int advance(struct sim_registers *sim)
{
	return sim->map->advance ? sim->map->advance(sim) : 0;
}

/* bytes of the register that the pointer is at */
static size_t size_here(const struct sim_registers *sim)
{
	for (size_t i = 0; i < sim->map->count; i++)
		if (sim->map->registers[i].number == sim->pointer && sim->map->registers[i].size)
			return sim->map->registers[i].size;
	return sim->map->width == SIM_8 ? 1 : 2;
}

int sim_registers_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_registers *sim = container_of(chip, struct sim_registers, chip);
	bool big = sim->map->width == SIM_BE16;
	size_t size;
	int r;

	r = advance(sim);
	if (r < 0)
		return r;
	sim->pointer = sim->map->select ? sim->map->select(sim, data[0]) : data[0];
	size = size_here(sim);
	if (sim->map->width == SIM_8)
		for (size_t i = 1; i < length; i++)
			set(sim, sim->pointer++, data[i]);
	else if (length == 1 + size)
		set(sim, sim->pointer,
		    (uint16_t)(size == 1 ? data[1]
			       : big	 ? data[1] << 8 | data[2]
					 : data[2] << 8 | data[1]));
	else if (length != 1)
		sim_complain(chip, "%zu bytes into a register of %zu", length - 1, size);
	return 0;
}

static uint16_t get(struct sim_registers *sim, uint8_t number)
{
	if (find(sim, number) && sim->map->reading)
		sim->map->reading(sim, number);
	return sim->values[number];
}

int sim_registers_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_registers *sim = container_of(chip, struct sim_registers, chip);
	size_t size = size_here(sim);
	uint16_t value;
	int r;

	r = advance(sim);
	if (r < 0)
		return r;
	if (sim->map->width == SIM_8) {
		for (size_t i = 0; i < length; i++)
			data[i] = (uint8_t)get(sim, sim->pointer++);
		return 0;
	}
	if (length > size)
		sim_complain(chip, "%zu bytes from a register of %zu", length, size);
	value = get(sim, sim->pointer);
	for (size_t i = 0; i < length; i++) {
		bool high = size == 2 && (i % 2 == 0) == (sim->map->width == SIM_BE16);

		data[i] = (uint8_t)(high ? value >> 8 : value);
	}
	return 0;
}
