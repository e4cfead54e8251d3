/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * LM75 and what answers as it does, of many makers: temperature. "DS" is the data sheet of NXP's
 * LM75B, rev. 6.1; "TI" that of Texas Instruments' LM75B and LM75C, SNIS153B.
 *
 * The chip measures all the time, and National's and TI's begin anew whenever they are asked (their note
 * on the conversion time): who asks sooner than a conversion takes gets the same value for ever. So
 * each reading waits for one.
 *
 * It has 9 bits (LM75; LM75A and LM75B of TI) or 11 (those of NXP). One of 9 bits is read as 11, too:
 * what it has below is zero, or undefined (TI page 11), and in any case less than its step.
 *
 * A chip that lost its power has measured nothing until its first conversion ends. The fault queue,
 * of no effect without the output OS, is set to what it is not after power-on, and shows whether
 * that happened.
 */

#include "iotd/chip.h"

/* DS 7.4, table 5 */
#define REG_TEMPERATURE 0x00
#define REG_CONFIG	0x01
#define REG_HYSTERESIS	0x02
#define REG_LIMIT	0x03

/* DS 7.4.2, table 8 */
#define CONFIG_RESERVED 0xe0 /* must be 0 */
#define CONFIG_FAULTS_2 0x08 /* measuring, OS as after power-on */

#define CONVERSION_US 300000 /* TI page 4: the longest; NXP's needs 100 ms */

static const struct channel lm75_channels[] = { { "temperature", "°C", 3 } };

/* DS 7.4.3, table 10: what the register is defined for */
static const struct chip_range lm75_ranges[] = { { -55, 127 } };

/* there is no id. As drivers/hwmon/lm75.c of Linux: reserved bits, limits that are not both 0 */
static int lm75_identify(struct source *source)
{
	uint16_t hysteresis, limit;
	uint8_t config;
	int r;

	r = i2c_read_registers(source->i2c, REG_CONFIG, &config, 1);
	if (r < 0)
		return chip_absent(source, r);
	if (config & CONFIG_RESERVED)
		return chip_stranger(source, config, "LM75");
	r = chip_read_be16(source, REG_HYSTERESIS, &hysteresis);
	if (r < 0)
		return r;
	r = chip_read_be16(source, REG_LIMIT, &limit);
	if (r < 0)
		return r;
	return hysteresis == 0 && limit == 0 ? chip_stranger(source, config, "LM75") : 0;
}

static int lm75_open(struct source *source)
{
	uint8_t config;
	int r;

	r = lm75_identify(source);
	if (r < 0)
		return r;
	r = i2c_write_register(source->i2c, REG_CONFIG, CONFIG_FAULTS_2);
	if (r < 0)
		return r;
	r = i2c_read_registers(source->i2c, REG_CONFIG, &config, 1);
	if (r < 0)
		return r;
	return config == CONFIG_FAULTS_2 ? 0 : chip_stranger(source, config, "LM75");
}

static int lm75_start(struct source *source, int64_t *wait_us)
{
	(void)source;
	*wait_us = CONVERSION_US;
	return 0;
}

static int lm75_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	uint16_t temperature;
	int r;

	(void)wait_us;
	r = chip_keeps(source, REG_CONFIG, 0xff, CONFIG_FAULTS_2);
	if (r < 0)
		return r;
	r = chip_read_be16(source, REG_TEMPERATURE, &temperature);
	if (r < 0)
		return r;

	values[0] = sign_extend(temperature >> 5, 11) / 8.0; /* DS 7.4.3: the 11 bits above */
	return chip_plausible(source, values, lm75_ranges);
}

static enum recognition lm75_recognise(struct i2c_device *i2c)
{
	uint8_t config;

	if (chip_can_be_read(i2c) <= 0 || i2c_read_registers(i2c, REG_CONFIG, &config, 1) < 0 ||
	    config & CONFIG_RESERVED)
		return RECOGNISED_NOT;
	return RECOGNISED_PERHAPS;
}

CHIP_DRIVER(lm75, .recognise = lm75_recognise,
	    .addresses = { 0x48, 0x49, 0x4a, 0x4b }); /* DS 7.3, table 4; up to 0x4f */
