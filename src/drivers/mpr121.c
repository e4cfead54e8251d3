/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Freescale MPR121: twelve electrodes, touched (1) or not (0). "DS" is the data sheet MPR121, revision 4.
 *
 * The chip measures each electrode all the time, and compares it with a base line that follows slowly. It
 * takes what it finds at its start for untouched. So open() leaves a chip alone that has its settings
 * already: after a fault of the bus a finger, or water, that was there is still there.
 *
 * Charge currents and times are left to the chip (auto-configuration, DS 5.11). Its limits depend on the
 * supply; those for the lowest, 1.8 V, are right for higher ones, too, and a bit less sensitive.
 * Registers, filters and limits are as in drivers/input/keyboard/mpr121_touchkey.c of Linux.
 */

#include <errno.h>
#include <string.h>

#include "iotd/chip.h"
#include "iotd/clock.h"

/* DS table 2: 8 bits each; the address counts up */
#define REG_TOUCHED	0x00
#define REG_FILTERS	0x2b
#define REG_THRESHOLDS	0x41
#define REG_FILTER_CDT	0x5d
#define REG_ELECTRODES	0x5e
#define REG_AUTO_CONFIG 0x7b
#define REG_RESET	0x80

#define RESET		 0x63 /* DS 5.13 */
#define FILTER_CDT_RESET 0x24 /* DS table 2: after a reset */
#define RESET_US	 (1 * USEC_PER_MSEC)
#define OVER_CURRENT	 0x80 /* DS 5.1, in the second byte */
#define ELECTRODES	 12
#define ELECTRODES_ON	 (0x80 | ELECTRODES)

/* DS 5.6: of touch and release, typically 4 .. 16, the second a bit less */
#define PAIR	   0x0c, 0x06
#define FOUR_PAIRS PAIR, PAIR, PAIR, PAIR

#define BEGIN_US (200 * USEC_PER_MSEC) /* four samples each 16 ms (DS 5.8); charges tried before */

static const struct channel mpr121_channels[] = {
	{ "touch0", "", 0 }, { "touch1", "", 0 }, { "touch2", "", 0 },	{ "touch3", "", 0 },
	{ "touch4", "", 0 }, { "touch5", "", 0 }, { "touch6", "", 0 },	{ "touch7", "", 0 },
	{ "touch8", "", 0 }, { "touch9", "", 0 }, { "touch10", "", 0 }, { "touch11", "", 0 },
};

/* a register, and what it and those behind it are to be; the electrodes come last, as DS 5.1 wants */
static const struct {
	uint8_t length, bytes[25];
} settings[] = {
	/* DS 5.5: up at once, down slowly, not at all while touched */
	{ 12, { REG_FILTERS, 1, 1, 0, 0, 1, 1, 0xff, 2, 0, 0, 0 } },
	{ 25, { REG_THRESHOLDS, FOUR_PAIRS, FOUR_PAIRS, FOUR_PAIRS } },
	/* DS 5.11: on, also when an electrode leaves its range; 156, 101 and 140 of 256 */
	{ 6, { REG_AUTO_CONFIG, 0x0b, 0x00, 0x9c, 0x65, 0x8c } },
	/* DS 5.10: base lines from the first measurement; all twelve electrodes */
	{ 2, { REG_ELECTRODES, ELECTRODES_ON } },
};

/* Return: 1 it has all the settings, 0 not, or a negative errno */
static int has_settings(struct source *source)
{
	uint8_t bytes[sizeof(settings[0].bytes)];

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const uint8_t *wanted = settings[i].bytes;
		size_t length = settings[i].length - 1U;
		int r = i2c_read_registers(source->i2c, wanted[0], bytes, length);

		if (r < 0)
			return r;
		if (memcmp(bytes, &wanted[1], length) != 0)
			return 0;
	}
	return 1;
}

/* there is no id: that a reset brings back what it should must do */
static int mpr121_reset(struct source *source)
{
	uint8_t filter;
	int r;

	r = i2c_write_register(source->i2c, REG_RESET, RESET);
	if (r < 0)
		return r;
	chip_pause(RESET_US);
	r = i2c_read_registers(source->i2c, REG_FILTER_CDT, &filter, 1);
	if (r < 0)
		return r;
	return filter == FILTER_CDT_RESET ? 0 : chip_stranger(source, filter, "MPR121");
}

static int mpr121_open(struct source *source)
{
	int r;

	r = has_settings(source);
	if (r != 0)
		return r < 0 ? chip_absent(source, r) : 0;
	r = mpr121_reset(source);
	for (size_t i = 0; i < ARRAY_SIZE(settings) && r == 0; i++)
		r = i2c_write(source->i2c, settings[i].bytes, settings[i].length);
	return r;
}

static int mpr121_start(struct source *source, int64_t *wait_us)
{
	*wait_us = source->readings == 1 ? BEGIN_US : 0;
	return 0;
}

static int mpr121_collect(struct source *source, double values[static CHANNELS_MAX],
			  int64_t *wait_us)
{
	uint8_t touched[2];
	int r;

	(void)wait_us;
	r = i2c_read_registers(source->i2c, REG_TOUCHED, touched, sizeof(touched));
	if (r < 0)
		return r;
	if (touched[1] & OVER_CURRENT) /* the chip has stopped (DS 5.1) */
		return source_fail(source, -EIO,
				   "too much current at REXT: is its resistor there and 75 kΩ?");
	r = chip_keeps(source, REG_ELECTRODES, 0xff, ELECTRODES_ON);
	if (r < 0)
		return r;
	for (int i = 0; i < ELECTRODES; i++)
		values[i] = le16(touched) >> i & 1;
	return 0;
}

CHIP_DRIVER(mpr121, .addresses = { 0x5a, 0x5b, 0x5c, 0x5d }); /* DS 4.4 */
