/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Emulated hardware behind the interface of bus.h, for --simulate and for tests: chips that answer
 * register by register as their data sheets say, inputs that change once a second, outputs that
 * remember.
 */

#include <stdint.h>

#include "iotd/bus.h"
#include "iotd/source.h"

struct driver;
struct option_value;
struct sim_chip;

/** enum sim_trait - what tests may ask of a chip: bits, all of its data sheet */
enum sim_trait {
	SIM_CHECKSUMS = 1 << 0, /* every byte that it says is under a checksum */
	SIM_NEVER_BUSY =
		1 << 1, /* it does not tell whether it measured: there is always some value */
	SIM_HIDES_RESET =
		1
		<< 2, /* nothing shows that it lost its power after start(): say why where it is set */
	SIM_DIMS =
		1
		<< 3, /* with some of its options it sees less light than there is: sim_light() of the kit */
};

/**
 * struct sim_model - an emulated kind of chip, written from its data sheet; listed in sim.c
 * @driver: the driver that it serves
 */
struct sim_model {
	const char *driver;
	unsigned int traits; /* enum sim_trait */
	size_t size;	     /* of the struct that embeds struct sim_chip as its first member */
	/** power on: all of the chip but its struct sim_chip, from whatever state */
	void (*reset)(struct sim_chip *chip);
	/** bytes written after one START. Return: 0; -ENXIO NACK */
	int (*write)(struct sim_chip *chip, const uint8_t *data, size_t length);
	/** bytes read after one START. Return: 0; -ENXIO NACK */
	int (*read)(struct sim_chip *chip, uint8_t *data, size_t length);
	/** the sensor's options, if they tell what kind of chip it is; the same again changes nothing. May be NULL */
	void (*configure)(struct sim_chip *chip, const struct driver *driver,
			  const struct option_value *options);
};

/** struct sim_chip - one emulated chip; embedded */
struct sim_chip {
	const struct sim_model *model;
	struct sim_chip *next;
	uint16_t address;
	/** the emulation's clock, µs; tests replace it with sim_chip_restart(). Conversion times are kept by it */
	int64_t (*now_us)(void);
	int fault;     /* tests: while not 0 every transfer fails with this errno */
	bool is_stuck; /* tests: a measurement under way, or begun now, never ends */
	char complaint
		[96]; /* the first thing that a driver did against the data sheet; "": nothing */
};

/**
 * sim_weather() - what the world is like where @chip is, by its clock: a slow wave, another at each address
 * @channel: as drivers call it: "temperature", in its unit
 * Return: the value; NAN there is no such weather.
 */
double sim_weather(const struct sim_chip *chip, const char *channel);

/** sim_i2c_new() - an empty emulated bus, where chips may come and go while it is used; i2c_bus_free() frees it and its chips. Return: 0; -ENOMEM */
int sim_i2c_new(struct i2c_bus **ret);

/**
 * sim_i2c_add() - put the chip that @driver drives at @address
 * @ret_chip: may be NULL; belongs to the bus
 * Return: 0; -ENOENT no emulated chip for that driver; -EEXIST the address is taken; -ENOMEM.
 */
int sim_i2c_add(struct i2c_bus *bus, const char *driver, uint16_t address,
		struct sim_chip **ret_chip);

/**
 * sim_chip_restart() - power off and on
 * @now_us: its clock from now on; NULL: the one that it has
 */
void sim_chip_restart(struct sim_chip *chip, int64_t (*now_us)(void));

/**
 * sim_i2c_configure() - tell the chip at @address, if there is one, what its sensor's options are
 * @options: as many as @driver has; what the chip needs of them is copied
 *
 * Most kinds of chip do not want to know. The same options again change nothing.
 */
void sim_i2c_configure(struct i2c_bus *bus, uint16_t address, const struct driver *driver,
		       const struct option_value *options);

/** sim_i2c_remove() - take the chip at @address away, if there is one */
void sim_i2c_remove(struct i2c_bus *bus, uint16_t address);

/** sim_i2c_knows() - is there an emulation of the chip that @driver drives? */
bool sim_i2c_knows(const char *driver);

/**
 * sim_kernel_source() - make @source, of a driver that reads what the kernel drives, need neither
 *
 * It has the channels of its options, or what such a device mostly has, and its values change slowly.
 * Before it is opened; it must have no owner. Return: 0; -ENOMEM.
 */
int sim_kernel_source(struct source *source);

/** gpio_emulated - lines without a chip: inputs toggle once a second, outputs remember */
extern const struct gpio gpio_emulated;
