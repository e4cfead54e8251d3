/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An emulated I2C bus with emulated chips on it, and the list of those that there are. The bus does
 * what a wire does: it hands each transfer to the chip with that address, and nobody there is a NACK.
 */

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/driver.h"
#include "iotd/sim.h"

/* a new emulated chip is one line here */
/* clang-format off */
#define MODELS(one) \
	one(sim_ads1015) \
	one(sim_ads1115) \
	one(sim_aht20) \
	one(sim_bh1750) \
	one(sim_bme280) \
	one(sim_bme680) \
	one(sim_bme688) \
	one(sim_bmp180) \
	one(sim_bmp280) \
	one(sim_bmp388) \
	one(sim_bmp390) \
	one(sim_ens160) \
	one(sim_hdc1080) \
	one(sim_htu21d) \
	one(sim_ina219) \
	one(sim_ina226) \
	one(sim_ina260) \
	one(sim_lm75) \
	one(sim_ltr390) \
	one(sim_mcp9808) \
	one(sim_mpr121) \
	one(sim_register) \
	one(sim_scd4x) \
	one(sim_sgp40) \
	one(sim_sht3x) \
	one(sim_sht4x) \
	one(sim_shtc3) \
	one(sim_si7021) \
	one(sim_tmp102) \
	one(sim_tmp117) \
	one(sim_tsl2561) \
	one(sim_tsl2591) \
	one(sim_veml7700) \
	one(sim_vl6180x)
/* clang-format on */

#define DECLARE(name) extern const struct sim_model name;
#define ENTRY(name)   &(name),

MODELS(DECLARE)

static const struct sim_model *const models[] = { MODELS(ENTRY) };

struct sim_i2c {
	struct i2c_bus bus;
	pthread_mutex_t lock; /* of @chips: transfers are a worker's */
	struct sim_chip *chips;
};

static struct sim_chip *sim_i2c_find(const struct sim_i2c *sim, uint16_t address)
{
	struct sim_chip *chip = sim->chips;

	while (chip && chip->address != address)
		chip = chip->next;
	return chip;
}

static int transfer(struct sim_chip *chip, struct i2c_transfer *transfers, size_t count)
{
	int r = 0;

	if (!chip)
		return -ENXIO;
	if (chip->fault)
		return chip->fault < 0 ? chip->fault : -chip->fault;

	for (size_t i = 0; i < count && r == 0; i++) {
		if (transfers[i].read)
			r = chip->model->read(chip, transfers[i].data, transfers[i].length);
		else
			r = chip->model->write(chip, transfers[i].data, transfers[i].length);
	}
	return r;
}

static int sim_i2c_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			    size_t count)
{
	struct sim_i2c *sim = container_of(bus, struct sim_i2c, bus);
	int r;

	(void)pthread_mutex_lock(&sim->lock);
	r = transfer(sim_i2c_find(sim, address), transfers, count);
	(void)pthread_mutex_unlock(&sim->lock);
	return r;
}

static void sim_i2c_free(struct i2c_bus *bus)
{
	struct sim_i2c *sim = container_of(bus, struct sim_i2c, bus);

	while (sim->chips) {
		struct sim_chip *chip = sim->chips;

		sim->chips = chip->next;
		free(chip);
	}
	(void)pthread_mutex_destroy(&sim->lock);
	free(sim);
}

static const struct i2c_ops sim_i2c_ops = {
	.transfer = sim_i2c_transfer,
	.free = sim_i2c_free,
};

int sim_i2c_new(struct i2c_bus **ret)
{
	struct sim_i2c *sim;

	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return -ENOMEM;
	(void)pthread_mutex_init(&sim->lock, NULL); /* cannot fail: no attributes */
	sim->bus.ops = &sim_i2c_ops;
	*ret = &sim->bus;
	return 0;
}

static const struct sim_model *sim_model_find(const char *driver)
{
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		if (strcmp(models[i]->driver, driver) == 0)
			return models[i];
	return NULL;
}

bool sim_i2c_knows(const char *driver)
{
	return sim_model_find(driver) != NULL;
}

/* Return: 0; -EEXIST */
static int sim_i2c_insert(struct sim_i2c *sim, struct sim_chip *chip)
{
	int r = 0;

	(void)pthread_mutex_lock(&sim->lock);
	if (sim_i2c_find(sim, chip->address)) {
		r = -EEXIST;
	} else {
		chip->next = sim->chips;
		sim->chips = chip;
	}
	(void)pthread_mutex_unlock(&sim->lock);
	return r;
}

int sim_i2c_add(struct i2c_bus *bus, const char *driver, uint16_t address,
		struct sim_chip **ret_chip)
{
	struct sim_i2c *sim = container_of(bus, struct sim_i2c, bus);
	const struct sim_model *model = sim_model_find(driver);
	struct sim_chip *chip;
	int r;

	if (!model)
		return -ENOENT;
	chip = calloc(1, model->size);
	if (!chip)
		return -ENOMEM;
	chip->model = model;
	chip->address = address;
	chip->now_us = clock_monotonic_us;
	model->reset(chip);
	r = sim_i2c_insert(sim, chip);
	if (r < 0) {
		free(chip);
		return r;
	}
	if (ret_chip)
		*ret_chip = chip;
	return 0;
}

void sim_chip_restart(struct sim_chip *chip, int64_t (*now_us)(void))
{
	if (now_us)
		chip->now_us = now_us;
	chip->model->reset(chip);
}

void sim_i2c_configure(struct i2c_bus *bus, uint16_t address, const struct driver *driver,
		       const struct option_value *options)
{
	struct sim_i2c *sim = container_of(bus, struct sim_i2c, bus);
	struct sim_chip *chip;

	(void)pthread_mutex_lock(&sim->lock);
	chip = sim_i2c_find(sim, address);
	if (chip && chip->model->configure && strcmp(chip->model->driver, driver->name) == 0)
		chip->model->configure(chip, driver, options);
	(void)pthread_mutex_unlock(&sim->lock);
}

void sim_i2c_remove(struct i2c_bus *bus, uint16_t address)
{
	struct sim_i2c *sim = container_of(bus, struct sim_i2c, bus);
	struct sim_chip **link, *chip;

	(void)pthread_mutex_lock(&sim->lock);
	for (link = &sim->chips; *link && (*link)->address != address; link = &(*link)->next)
		;
	chip = *link;
	if (chip)
		*link = chip->next;
	(void)pthread_mutex_unlock(&sim->lock);
	free(chip);
}
