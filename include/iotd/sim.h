/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Emulated hardware behind the interface of bus.h, for --simulate and for tests: chips that answer
 * register by register as their data sheets say, inputs that change once a second, outputs that
 * remember.
 */

#include <stdint.h>

#include "iotd/bus.h"

struct sim_chip;

/**
 * struct sim_model - an emulated kind of chip, written from its data sheet; listed in sim.c
 * @driver: the driver that it serves
 */
struct sim_model {
	const char *driver;
	size_t size; /* of the struct that embeds struct sim_chip as its first member */
	/** power on */
	void (*reset)(struct sim_chip *chip);
	/** bytes written after one START. Return: 0; -ENXIO NACK */
	int (*write)(struct sim_chip *chip, const uint8_t *data, size_t length);
	/** bytes read after one START. Return: 0; -ENXIO NACK */
	int (*read)(struct sim_chip *chip, uint8_t *data, size_t length);
};

/** struct sim_chip - one emulated chip; embedded */
struct sim_chip {
	const struct sim_model *model;
	struct sim_chip *next;
	uint16_t address;
	/** the emulation's clock, µs; tests replace it. Conversion times are kept by it */
	int64_t (*now_us)(void);
	int fault; /* tests: while not 0 every transfer fails with this errno */
};

/** sim_i2c_new() - an empty emulated bus, where chips may come and go while it is used; i2c_bus_free() frees it and its chips. Return: 0; -ENOMEM */
int sim_i2c_new(struct i2c_bus **ret);

/**
 * sim_i2c_add() - put the chip that @driver drives at @address
 * @ret_chip: may be NULL; belongs to the bus
 * Return: 0; -ENOENT no emulated chip for that driver; -EEXIST the address is taken; -ENOMEM.
 */
int sim_i2c_add(struct i2c_bus *bus, const char *driver, uint16_t address,
		struct sim_chip **ret_chip);

/** sim_i2c_remove() - take the chip at @address away, if there is one */
void sim_i2c_remove(struct i2c_bus *bus, uint16_t address);

/** sim_i2c_knows() - is there an emulation of the chip that @driver drives? */
bool sim_i2c_knows(const char *driver);

/** gpio_emulated - lines without a chip: inputs toggle once a second, outputs remember */
extern const struct gpio gpio_emulated;
