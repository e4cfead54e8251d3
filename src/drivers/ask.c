/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who is at an address of an I2C bus? Each driver that lives there is asked; the first that is sure
 * ends it, so that a chip is asked as little as can be. As `i2cdetect -r` does, one byte is read where
 * nobody lives, but for the addresses that its manual page, or the chips that are mostly there, warn of.
 */

#include <errno.h>

#include "iotd/bus.h"
#include "iotd/chip.h"
#include "iotd/drivers.h"

static bool lives_at(const struct driver *driver, uint16_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(driver->addresses); i++)
		if (driver->addresses[i] == address)
			return driver->kind == DRIVER_I2C && address != 0;
	return false;
}

static bool is_anybodys(uint16_t address)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = driver_at(i)); i++)
		if (lives_at(driver, address))
			return true;
	return false;
}

/* EEPROMs, and what protects them; clock chips that take a read for something else (i2cdetect(8)) */
static bool is_delicate(uint16_t address)
{
	return (address >= 0x30 && address <= 0x37) || (address >= 0x50 && address <= 0x5f) ||
	       address == 0x69;
}

static enum recognition ask_driver(const struct driver *driver, struct i2c_device *i2c,
				   bool can_be_read)
{
	if (driver->recognise)
		return driver->recognise(i2c);
	return can_be_read ? RECOGNISED_PERHAPS : RECOGNISED_NOT;
}

static void ask_drivers(struct i2c_device *i2c, bool can_be_read, struct candidates *ret)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = driver_at(i)); i++) {
		enum recognition who = RECOGNISED_NOT;

		if (lives_at(driver, i2c->address))
			who = ask_driver(driver, i2c, can_be_read);
		if (who == RECOGNISED) {
			*ret = (struct candidates){ true, 1, { driver } };
			return;
		}
		if (who == RECOGNISED_PERHAPS && ret->count < CANDIDATES_MAX)
			ret->drivers[ret->count++] = driver;
	}
}

int drivers_ask(struct i2c_device *i2c, struct candidates *ret)
{
	bool is_known = is_anybodys(i2c->address);
	int r;

	*ret = (struct candidates){ 0 };
	if (!is_known && is_delicate(i2c->address))
		return 0;
	r = chip_can_be_read(i2c);
	if (r < 0)
		return r;
	if (is_known)
		ask_drivers(i2c, r > 0, ret);
	return r > 0 || ret->count > 0;
}
