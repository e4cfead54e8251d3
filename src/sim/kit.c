/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What all emulated chips have: a place in the weather, and a voice. */

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kit.h"

#include "iotd/clock.h"

/* in the units of SPEC.md, "Drivers" */
static const struct {
	const char *channel;
	double mean, swing;
	int period_s;
} weather[] = {
	{ "temperature", 21, 2, 600 },
	{ "humidity", 45, 10, 900 },
	{ "pressure", 1013, 5, 3600 },
	{ "co2", 800, 300, 1800 },
	{ "eco2", 800, 300, 900 },
	{ "tvoc", 200, 100, 900 },
	{ "aqi", 3, 2, 300 }, /* whole numbers: a slower wave would rest */
	{ "voc_raw", 30000, 2000, 1800 },
	{ "gas_resistance", 50000, 20000, 1800 },
	{ "illuminance", 400, 300, 1200 },
	{ "uv_index", 3, 2, 1200 },
	{ "distance", 100, 50, 300 },
	{ "voltage", 12, 1, 300 },
	{ "load", 0.5, 0.25, 300 }, /* no channel: a part of what the chip can measure */
};

double sim_weather(const struct sim_chip *chip, const char *channel)
{
	for (size_t i = 0; i < ARRAY_SIZE(weather); i++) {
		int64_t period_us = weather[i].period_s * USEC_PER_SEC;
		double turn = (double)(chip->now_us() % period_us) / (double)period_us;

		if (strcmp(weather[i].channel, channel) == 0)
			return weather[i].mean +
			       weather[i].swing * sin(2 * M_PI * turn + chip->address);
	}
	return (double)NAN;
}

double sim_light(const struct sim_chip *chip, double most)
{
	double brightest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(weather); i++)
		if (strcmp(weather[i].channel, "illuminance") == 0)
			brightest = weather[i].mean + weather[i].swing;
	return sim_weather(chip, "illuminance") * fmin(1, most / brightest);
}

void sim_complain(struct sim_chip *chip, const char *format, ...)
{
	va_list arguments;

	if (chip->complaint[0])
		return;
	va_start(arguments, format);
	(void)vsnprintf(chip->complaint, sizeof(chip->complaint), format, arguments);
	va_end(arguments);
}

bool sim_is_busy(const struct sim_chip *chip, int64_t until_us)
{
	return until_us != 0 && (chip->is_stuck || chip->now_us() < until_us);
}

int sim_count(double value, int least, int most)
{
	return (int)lround(fmin(fmax(value, least), most));
}
