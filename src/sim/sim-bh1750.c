/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A ROHM BH1750FVI, from its Technical Note 2009.04 ("DS", by page). It has no registers but one for the
 * result, tells nothing of itself, and is as slow as it may be. Not here: the pin DVI.
 */

#include "kit.h"

#include "iotd/clock.h"

struct sim_bh1750 {
	struct sim_chip chip;
	bool is_on;
	int mtreg;
	uint8_t mode; /* the instruction that began it; 0: not measuring */
	int64_t until_us;
	uint16_t result;
};

/* DS 5: bit 5 is one time, bit 4 continuously; the lowest two are the resolution */
#define MODE_CONTINUOUS 0x10
#define MODE_BITS	0x03
#define MODE_H2		0x01
#define MODE_L		0x03

static bool is_low(const struct sim_bh1750 *sim)
{
	return (sim->mode & MODE_BITS) == MODE_L;
}

/* DS 2: 180 ms or 24 ms at most; DS 11: in proportion to MTreg */
static int64_t duration_us(const struct sim_bh1750 *sim)
{
	return (is_low(sim) ? 24 : 180) * USEC_PER_MSEC * sim->mtreg / 69;
}

/* DS 7 and 11; in steps of 4 lx in the low resolution (DS 2) */
static uint16_t result_of(const struct sim_bh1750 *sim)
{
	double counts = sim_weather(&sim->chip, "illuminance") * 1.2 * sim->mtreg / 69;

	if ((sim->mode & MODE_BITS) == MODE_H2)
		counts *= 2;
	return (uint16_t)(sim_count(counts, 0, 65535) & (is_low(sim) ? ~3 : ~0));
}

/* what happened meanwhile. After a one time measurement the chip is off, with its result (DS 4) */
static void advance(struct sim_bh1750 *sim)
{
	if (sim->mode == 0 || sim_is_busy(&sim->chip, sim->until_us))
		return;
	sim->result = result_of(sim);
	if (sim->mode & MODE_CONTINUOUS)
		return;
	sim->mode = 0;
	sim->is_on = false;
}

static void begin(struct sim_bh1750 *sim, uint8_t mode)
{
	if (!sim->is_on)
		sim_complain(&sim->chip, "instruction 0x%02x to a chip that is not on", mode);
	if (sim->mtreg < 31 || sim->mtreg > 254)
		sim_complain(&sim->chip, "a measurement time of %d", sim->mtreg);
	sim->mode = mode;
	sim->until_us = sim->chip.now_us() + duration_us(sim);
}

static void reset_result(struct sim_bh1750 *sim)
{
	if (!sim->is_on)
		sim_complain(&sim->chip, "a reset of a chip that is not on");
	sim->result = 0;
}

/* DS 5 */
static void instruct(struct sim_bh1750 *sim, uint8_t code)
{
	if (code == 0x00) {
		sim->is_on = false;
		sim->mode = 0;
	} else if (code == 0x01) {
		sim->is_on = true;
	} else if (code == 0x07) {
		reset_result(sim);
	} else if (code == 0x10 || code == 0x11 || code == 0x13 || code == 0x20 || code == 0x21 ||
		   code == 0x23) {
		begin(sim, code);
	} else if (code >> 3 == 0x08) {
		sim->mtreg = (sim->mtreg & 0x1f) | (code & 0x07) << 5;
	} else if (code >> 5 == 0x03) {
		sim->mtreg = (sim->mtreg & 0xe0) | (code & 0x1f);
	} else {
		sim_complain(&sim->chip, "there is no instruction 0x%02x", code);
	}
}

/* DS 10: a STOP behind each instruction */
static int sim_bh1750_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_bh1750 *sim = container_of(chip, struct sim_bh1750, chip);

	advance(sim);
	if (length != 1)
		sim_complain(chip, "%zu instructions at once", length);
	instruct(sim, data[0]);
	return 0;
}

static int sim_bh1750_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_bh1750 *sim = container_of(chip, struct sim_bh1750, chip);

	advance(sim);
	if (length != 2)
		sim_complain(chip, "%zu bytes are read", length);
	for (size_t i = 0; i < length; i++)
		data[i] = (uint8_t)(i % 2 == 0 ? sim->result >> 8 : sim->result);
	return 0;
}

/* DS 6: the supply's reset */
static void sim_bh1750_reset(struct sim_chip *chip)
{
	struct sim_bh1750 *sim = container_of(chip, struct sim_bh1750, chip);

	sim->is_on = false;
	sim->mtreg = 69;
	sim->mode = 0;
	sim->until_us = 0;
	sim->result = 0;
}

extern const struct sim_model sim_bh1750;

const struct sim_model sim_bh1750 = {
	.driver = "bh1750",
	.traits = SIM_NEVER_BUSY,
	.size = sizeof(struct sim_bh1750),
	.reset = sim_bh1750_reset,
	.write = sim_bh1750_write,
	.read = sim_bh1750_read,
};
