/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An Aosong AHT20, from the product manual AHT20 ("DS", version 1.1). After power-on it has no
 * calibration until it is told to load it, as a chip may; a soft reset keeps it. Not here: the time
 * after power-on.
 */

#include <errno.h>
#include <string.h>

#include "kit.h"

#define BUSY	   0x80
#define CALIBRATED 0x08

struct sim_aht20 {
	struct sim_chip chip;
	bool is_calibrated;
	uint8_t data[5];  /* 20 bits of humidity, 20 of temperature */
	int64_t ready_us; /* when a reset or the initialisation has ended */
	int64_t done_us;  /* when a measurement has; 0: there is none */
};

/* DS 6.1, 6.2, solved for the raw values */
static void measure(struct sim_aht20 *sim)
{
	int humidity = sim_count(sim_weather(&sim->chip, "humidity") / 100 * 0x100000, 0, 0xfffff);
	int temperature = sim_count((sim_weather(&sim->chip, "temperature") + 50) / 200 * 0x100000,
				    0, 0xfffff);
	uint64_t both = (uint64_t)humidity << 20 | (uint64_t)temperature;

	if (!sim->is_calibrated)
		sim_complain(&sim->chip, "a measurement without calibration");
	for (int i = 4; i >= 0; i--, both >>= 8)
		sim->data[i] = (uint8_t)both;
	sim->done_us = sim->chip.now_us() + 80000; /* DS 5.4 */
}

/* DS 5.3, table 8; 5.4; 5.5. Return: is it one of the commands? */
static bool take(struct sim_aht20 *sim, const uint8_t *data, size_t length)
{
	static const uint8_t initialise[] = { 0xbe, 0x08, 0x00 }, trigger[] = { 0xac, 0x33, 0x00 };
	int64_t now_us = sim->chip.now_us();

	if (length == 1 && data[0] == 0xba) {
		sim->done_us = 0;
		sim->ready_us = now_us + 20000;
	} else if (length == 3 && memcmp(data, initialise, 3) == 0) {
		sim->is_calibrated = true;
		sim->ready_us = now_us + 10000;
	} else if (length == 3 && memcmp(data, trigger, 3) == 0) {
		measure(sim);
	} else {
		return false;
	}
	return true;
}

static int sim_aht20_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_aht20 *sim = container_of(chip, struct sim_aht20, chip);

	if (chip->now_us() < sim->ready_us) {
		sim_complain(chip, "command 0x%02x while another is carried out", data[0]);
		return -ENXIO;
	}
	if (sim_is_busy(chip, sim->done_us) && data[0] != 0xba)
		sim_complain(chip, "command 0x%02x during a measurement", data[0]);
	if (take(sim, data, length))
		return 0;
	sim_complain(chip, "there is no command 0x%02x of %zu bytes", data[0], length);
	return -ENXIO;
}

/* DS 5.4: x^8 + x^5 + x^4 + 1, beginning with 0xff, over the six bytes before it */
static uint8_t checksum(const uint8_t *bytes, size_t count)
{
	unsigned int rest = 0xff;

	while (count-- > 0) {
		rest ^= *bytes++;
		for (int i = 0; i < 8; i++)
			rest = rest << 1 ^ (rest & 0x80 ? 0x131 : 0);
	}
	return (uint8_t)rest;
}

static int sim_aht20_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_aht20 *sim = container_of(chip, struct sim_aht20, chip);
	uint8_t answer[7] = { 0x14 }; /* the reserved bits, as chips have them */

	if (chip->now_us() < sim->ready_us)
		return -ENXIO;
	if (length > sizeof(answer))
		sim_complain(chip, "%zu bytes read where there are 7", length);
	if (sim->is_calibrated)
		answer[0] |= CALIBRATED;
	if (sim_is_busy(chip, sim->done_us)) {
		answer[0] |= BUSY;
	} else {
		sim->done_us = 0;
		memcpy(&answer[1], sim->data, sizeof(sim->data));
	}
	answer[6] = checksum(answer, 6);
	for (size_t i = 0; i < length; i++)
		data[i] = i < sizeof(answer) ? answer[i] : 0xff;
	return 0;
}

static void sim_aht20_reset(struct sim_chip *chip)
{
	struct sim_aht20 *sim = container_of(chip, struct sim_aht20, chip);

	*sim = (struct sim_aht20){ .chip = *chip };
}

extern const struct sim_model sim_aht20;

const struct sim_model sim_aht20 = {
	.driver = "aht20",
	.size = sizeof(struct sim_aht20),
	.reset = sim_aht20_reset,
	.write = sim_aht20_write,
	.read = sim_aht20_read,
};
