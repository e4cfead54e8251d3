/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Microchip MCP9808: temperature. "DS" is the data sheet DS25095A.
 *
 * The chip measures all the time at its finest resolution, 4 times a second. A chip that lost its
 * power says 0 °C until its first conversion ends; the hysteresis, of no effect without the alert
 * output, is set to what it is not after power-on, and shows whether that happened.
 */

#include "iotd/chip.h"

/* DS 5.1, table 5-1 */
#define REG_CONFIG	 0x01
#define REG_AMBIENT	 0x05
#define REG_MANUFACTURER 0x06
#define REG_DEVICE	 0x07
#define REG_RESOLUTION	 0x08

/* DS 5.1.1, register 5-2 */
#define CONFIG_HYSTERESIS 0x0600
#define CONFIG_SHUTDOWN	  0x0100

#define MANUFACTURER_ID	   0x0054 /* DS 5.1.4 */
#define DEVICE_ID	   0x0400 /* DS 5.1.5: the low byte is the revision */
#define RESOLUTION_DEGREES 0x03	  /* DS 5.1.6: 0.0625 °C */
#define CONVERSION_US	   300000 /* DS 5.1.6: 250 ms, typically; no longest is given */

static const struct channel mcp9808_channels[] = { { "temperature", "°C", 2 } };

/* DS 1.0, the range of use */
static const struct chip_range mcp9808_ranges[] = { { -40, 125 } };

static int mcp9808_open(struct source *source)
{
	int r;

	r = chip_identify_be16(source, REG_MANUFACTURER, 0xffff, MANUFACTURER_ID, "MCP9808");
	if (r < 0)
		return r;
	r = chip_identify_be16(source, REG_DEVICE, 0xff00, DEVICE_ID, "MCP9808");
	if (r < 0)
		return r;
	r = i2c_write_register(source->i2c, REG_RESOLUTION, RESOLUTION_DEGREES);
	if (r < 0)
		return r;
	return chip_write_be16(source, REG_CONFIG, CONFIG_HYSTERESIS);
}

static int mcp9808_start(struct source *source, int64_t *wait_us)
{
	*wait_us = source->readings == 1 ? CONVERSION_US : 0;
	return 0;
}

static int mcp9808_collect(struct source *source, double values[static CHANNELS_MAX],
			   int64_t *wait_us)
{
	uint16_t ambient;
	int r;

	(void)wait_us;
	r = chip_keeps_be16(source, REG_CONFIG, CONFIG_HYSTERESIS | CONFIG_SHUTDOWN,
			    CONFIG_HYSTERESIS);
	if (r < 0)
		return r;
	r = chip_read_be16(source, REG_AMBIENT, &ambient);
	if (r < 0)
		return r;

	values[0] = sign_extend(ambient, 13) / 16.0; /* DS 5.1.3.1; above are flags of the alert */
	return chip_plausible(source, values, mcp9808_ranges);
}

static enum recognition mcp9808_recognise(struct i2c_device *i2c)
{
	if (chip_has_id_be16(i2c, REG_MANUFACTURER, 0xffff, MANUFACTURER_ID) != RECOGNISED)
		return RECOGNISED_NOT;
	return chip_has_id_be16(i2c, REG_DEVICE, 0xff00, DEVICE_ID);
}

CHIP_DRIVER(mcp9808, .recognise = mcp9808_recognise,
	    .addresses = { 0x18, 0x19, 0x1a, 0x1b }); /* DS table 3-2; up to 0x1f */
