/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Texas Instruments HDC1080: temperature and humidity. "DS" is the data sheet SNAS672A.
 *
 * Setting the pointer to the temperature triggers a measurement of both, and until that is done the
 * chip does not acknowledge a read (DS 8.5): the bus is free. Times, formulas and bits are as in
 * drivers/iio/humidity/hdc100x.c of Linux.
 */

#include <errno.h>

#include "iotd/chip.h"

/* DS 8.6, table 1 */
#define REG_TEMPERATURE	 0x00
#define REG_CONFIG	 0x02
#define REG_MANUFACTURER 0xfe
#define REG_DEVICE	 0xff

#define CONFIG_BOTH 0x1000 /* DS 8.6.3; the rest 0 is 14 bits for both, and no heater */

#define MANUFACTURER_ID 0x5449 /* DS 8.6.5 */
#define DEVICE_ID	0x1050 /* DS 8.6.6 */

#define MEASURE_US  (6350 + 6500) /* DS 7.5: 14 bits each, typically; no longest is given */
#define AGAIN_US    2000
#define AGAIN_LIMIT 10

static const struct channel hdc1080_channels[] = {
	{ "temperature", "°C", 2 },
	{ "humidity", "%", 2 },
};

/* DS 7.5: what is specified */
static const struct chip_range hdc1080_ranges[] = { { -40, 125 }, { 0, 100 } };

static int hdc1080_open(struct source *source)
{
	int r;

	r = chip_identify_be16(source, REG_MANUFACTURER, 0xffff, MANUFACTURER_ID, "HDC1080");
	if (r < 0)
		return r;
	r = chip_identify_be16(source, REG_DEVICE, 0xffff, DEVICE_ID, "HDC1080");
	if (r < 0)
		return r;
	return chip_write_be16(source, REG_CONFIG, CONFIG_BOTH);
}

static int hdc1080_start(struct source *source, int64_t *wait_us)
{
	*wait_us = MEASURE_US;
	return chip_command8(source, REG_TEMPERATURE);
}

static int hdc1080_collect(struct source *source, double values[static CHANNELS_MAX],
			   int64_t *wait_us)
{
	uint16_t temperature, humidity;
	uint8_t data[4];
	int r;

	r = i2c_read(source->i2c, data, sizeof(data));
	if (r < 0)
		return r == -ENXIO ? chip_converting(source, AGAIN_LIMIT, AGAIN_US, wait_us) : r;
	temperature = be16(&data[0]);
	humidity = be16(&data[2]);
	/* both are 0 until they are measured (DS 8.6, table 1); all bits 1 is an idle bus */
	if (temperature == humidity && (humidity == 0 || humidity == 0xffff))
		return chip_lost(source);

	values[0] = temperature * 165 / 65536.0 - 40; /* DS 8.6.1 */
	values[1] = humidity * 100 / 65536.0;	      /* DS 8.6.2 */
	return chip_plausible(source, values, hdc1080_ranges);
}

static enum recognition hdc1080_recognise(struct i2c_device *i2c)
{
	if (chip_has_id_be16(i2c, REG_MANUFACTURER, 0xffff, MANUFACTURER_ID) != RECOGNISED)
		return RECOGNISED_NOT;
	return chip_has_id_be16(i2c, REG_DEVICE, 0xffff, DEVICE_ID);
}

CHIP_DRIVER(hdc1080, .recognise = hdc1080_recognise, .addresses = { 0x40 }); /* DS 8.5.1.1 */
