/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A Bosch BME280 or BMP280, register by register, from the data sheets BST-BME280-DS002 (revision
 * 1.6; "DS") and BST-BMP280-DS001. Shares no line with the driver, so each checks the other: this
 * side computes with the integer formulas of DS 4.2.3, the driver with the double ones of DS 8.1.
 *
 * The chip is as slow as the data sheet allows, so that a driver that is too fast is caught: it does
 * not answer for t_startup after a reset, has no calibration for another while, and gives the old
 * data until the longest measurement time is over. Its weather changes slowly with the clock; what
 * the ADC then shows is found by bisection through the forward formulas.
 *
 * Not here: normal mode (it measures once, as forced mode does), the IIR filter, SPI.
 */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/sim.h"

/* DS 5.3, memory map */
#define REG_CALIBRATION_TP 0x88
#define REG_CALIBRATION_H1 0xa1
#define REG_ID		   0xd0
#define REG_RESET	   0xe0
#define REG_CALIBRATION_H2 0xe1
#define REG_CTRL_HUM	   0xf2
#define REG_STATUS	   0xf3
#define REG_CTRL_MEAS	   0xf4
#define REG_CONFIG	   0xf5
#define REG_PRESSURE	   0xf7
#define REG_TEMPERATURE	   0xfa
#define REG_HUMIDITY	   0xfd

#define ID_BME280	 0x60
#define ID_BMP280	 0x58
#define RESET_WORD	 0xb6
#define STATUS_MEASURING 0x08
#define STATUS_IM_UPDATE 0x01
#define MODE_BITS	 0x03

#define STARTUP_US  2000 /* DS table 1 */
#define NVM_COPY_US 500	 /* after that; the data sheet says nothing, status tells */

struct sim_bme280 {
	struct sim_chip chip;
	bool has_humidity;
	uint8_t registers[256];
	uint8_t pointer;
	uint8_t osrs_h;		 /* in force: of the last write to ctrl_meas */
	int64_t answers_from_us; /* after a reset */
	int64_t measured_at_us;	 /* end of the measurement under way; 0 none */
	uint8_t next_ctrl_meas;	 /* a mode change that waits for that end; 0 none */
};

/*
 * Trimming of the data sheet's worked example (BST-BMP280-DS001 3.12) for temperature and pressure,
 * as dig_T1 .. dig_P9; for humidity of the order that devices have, as dig_H1 .. dig_H6.
 */
static const int trim_t[] = { 27504, 26435, -1000 };
static const int trim_p[] = { 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000 };
static const int trim_h[] = { 75, 370, 0, 313, 50, 30 };

/* --- Forward formulas (DS 4.2.3); products where the data sheet shifts negative numbers left ---- */

static int32_t t_fine_of(int32_t raw)
{
	int32_t delta = (raw >> 4) - trim_t[0];
	int32_t linear = (((raw >> 3) - trim_t[0] * 2) * trim_t[1]) >> 11;

	return linear + ((((delta * delta) >> 12) * trim_t[2]) >> 14);
}

static double celsius_of(int32_t raw, int32_t t_fine)
{
	(void)t_fine;
	return ((t_fine_of(raw) * 5 + 128) >> 8) / 100.0;
}

static double hectopascal_of(int32_t raw, int32_t t_fine)
{
	int64_t x = (int64_t)t_fine - 128000;
	int64_t offset = x * x * trim_p[5] + x * trim_p[4] * (1LL << 17) + trim_p[3] * (1LL << 35);
	int64_t slope = ((x * x * trim_p[2]) >> 8) + x * trim_p[1] * (1LL << 12);
	int64_t p = 1048576 - raw;

	slope = (((1LL << 47) + slope) * trim_p[0]) >> 33;
	p = (p * (1LL << 31) - offset) * 3125 / slope;
	p += ((trim_p[8] * (p >> 13) * (p >> 13)) >> 25) + ((trim_p[7] * p) >> 19);
	p = (p >> 8) + trim_p[6] * (1LL << 4);
	return (double)p / 256.0 / 100.0;
}

static double percent_of(int32_t raw, int32_t t_fine)
{
	int32_t x = t_fine - 76800;
	int32_t gain = (((x * trim_h[5]) >> 10) * (((x * trim_h[2]) >> 11) + 32768)) >> 10;
	int32_t h = (raw * (1 << 14) - trim_h[3] * (1 << 20) - trim_h[4] * x + 16384) >> 15;

	h *= ((gain + 2097152) * trim_h[1] + 8192) >> 14;
	h -= ((((h >> 15) * (h >> 15)) >> 7) * trim_h[0]) >> 4;
	return fmin(fmax(h / 4194304.0, 0.0), 100.0);
}

/* the ADC value below 2^@bits that @forward makes @wanted of; @forward rises or falls all the way */
static uint32_t raw_for(double wanted, int bits, int32_t t_fine,
			double (*forward)(int32_t raw, int32_t t_fine))
{
	int32_t low = 0, high = (1 << bits) - 1;
	bool rises = forward(low, t_fine) < forward(high, t_fine);

	while (low < high) {
		int32_t middle = low + (high - low) / 2;

		if ((forward(middle, t_fine) < wanted) == rises)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)low;
}

/* --- Measuring ------------------------------------------------------------------------------ */

/* DS 3.4.1 .. 3.4.3: x1, x2, x4, x8, x16 */
static int64_t samples(unsigned int osrs)
{
	return osrs > 5 ? 16 : osrs > 0 ? 1 << (osrs - 1) : 0;
}

static int64_t measure_time_us(unsigned int osrs, int64_t overhead_us)
{
	return osrs > 0 ? 2300 * samples(osrs) + overhead_us : 0;
}

/* DS 3.4.2, 3.4.3, 5.4.7, 5.4.8: 16 bits at x1, one more each step; nothing measured: 0x80000 */
static void put_20_bits(uint8_t *bytes, unsigned int osrs, uint32_t raw)
{
	if (osrs == 0)
		raw = 0x80000;
	else if (osrs < 5)
		raw &= ~0U << (5 - osrs);
	bytes[0] = (uint8_t)(raw >> 12);
	bytes[1] = (uint8_t)(raw >> 4);
	bytes[2] = (uint8_t)(raw << 4);
}

static void put_16_bits(uint8_t *bytes, unsigned int osrs, uint32_t raw)
{
	if (osrs == 0)
		raw = 0x8000;
	bytes[0] = (uint8_t)(raw >> 8);
	bytes[1] = (uint8_t)raw;
}

static void finish(struct sim_bme280 *sim)
{
	uint8_t *registers = sim->registers;
	uint8_t ctrl_meas = registers[REG_CTRL_MEAS];
	uint32_t raw_t = raw_for(sim_weather(&sim->chip, "temperature"), 20, 0, celsius_of);
	int32_t t_fine = t_fine_of((int32_t)raw_t);
	uint32_t raw_p = raw_for(sim_weather(&sim->chip, "pressure"), 20, t_fine, hectopascal_of);
	uint32_t raw_h = raw_for(sim_weather(&sim->chip, "humidity"), 16, t_fine, percent_of);

	put_20_bits(&registers[REG_TEMPERATURE], ctrl_meas >> 5, raw_t);
	put_20_bits(&registers[REG_PRESSURE], ctrl_meas >> 2 & 7, raw_p);
	if (sim->has_humidity)
		put_16_bits(&registers[REG_HUMIDITY], sim->osrs_h, raw_h);
	registers[REG_CTRL_MEAS] &= (uint8_t)~MODE_BITS;
	sim->measured_at_us = 0;
}

/* DS 5.4.3: ctrl_hum is taken over now; DS 9.1: the longest that it takes */
static void set_ctrl_meas(struct sim_bme280 *sim, uint8_t value, int64_t now_us)
{
	sim->registers[REG_CTRL_MEAS] = value;
	sim->osrs_h = sim->registers[REG_CTRL_HUM];
	if (!(value & MODE_BITS))
		return;
	sim->measured_at_us = now_us + 1250 + measure_time_us(value >> 5, 0) +
			      measure_time_us(value >> 2 & 7, 575) +
			      measure_time_us(sim->osrs_h, 575);
}

/* what has happened since the last transfer */
static int64_t advance(struct sim_bme280 *sim)
{
	int64_t now_us = sim->chip.now_us();

	while (sim->measured_at_us != 0 && now_us >= sim->measured_at_us && !sim->chip.is_stuck) {
		int64_t ended_us = sim->measured_at_us;
		uint8_t next = sim->next_ctrl_meas;

		finish(sim);
		sim->next_ctrl_meas = 0;
		if (next)
			set_ctrl_meas(sim, next, ended_us);
	}
	return now_us;
}

/* --- Registers ------------------------------------------------------------------------------ */

static void put_trim(uint8_t *bytes, const int *trim, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bytes[2 * i] = (uint8_t)trim[i];
		bytes[2 * i + 1] = (uint8_t)(trim[i] >> 8);
	}
}

/* DS 4.2.2, table 16 */
static void put_trim_humidity(uint8_t *registers)
{
	uint8_t *bytes = &registers[REG_CALIBRATION_H2];

	registers[REG_CALIBRATION_H1] = (uint8_t)trim_h[0];
	put_trim(bytes, &trim_h[1], 1);
	bytes[2] = (uint8_t)trim_h[2];
	bytes[3] = (uint8_t)(trim_h[3] >> 4);
	bytes[4] = (uint8_t)((trim_h[3] & 0x0f) | (trim_h[4] & 0x0f) << 4);
	bytes[5] = (uint8_t)(trim_h[4] >> 4);
	bytes[6] = (uint8_t)trim_h[5];
}

/* DS 5.3: the state after a reset */
static void put_reset_state(struct sim_bme280 *sim)
{
	uint8_t *registers = sim->registers;

	memset(registers, 0, sizeof(sim->registers));
	registers[REG_ID] = sim->has_humidity ? ID_BME280 : ID_BMP280;
	put_20_bits(&registers[REG_PRESSURE], 0, 0);
	put_20_bits(&registers[REG_TEMPERATURE], 0, 0);
	put_trim(&registers[REG_CALIBRATION_TP], trim_t, ARRAY_SIZE(trim_t));
	put_trim(&registers[REG_CALIBRATION_TP + 6], trim_p, ARRAY_SIZE(trim_p));
	if (sim->has_humidity) {
		put_16_bits(&registers[REG_HUMIDITY], 0, 0);
		put_trim_humidity(registers);
	}
	sim->osrs_h = 0;
	sim->measured_at_us = 0;
	sim->next_ctrl_meas = 0;
}

static bool is_calibration(uint8_t reg)
{
	return (reg >= REG_CALIBRATION_TP && reg <= REG_CALIBRATION_H1) ||
	       (reg >= REG_CALIBRATION_H2 && reg < REG_CALIBRATION_H2 + 7);
}

static uint8_t register_read(const struct sim_bme280 *sim, uint8_t reg, int64_t now_us)
{
	bool copying = now_us < sim->answers_from_us + NVM_COPY_US && sim->answers_from_us > 0;

	if (reg == REG_STATUS)
		return (uint8_t)((sim->measured_at_us != 0 ? STATUS_MEASURING : 0) |
				 (copying ? STATUS_IM_UPDATE : 0));
	if (copying && is_calibration(reg))
		return 0;
	return sim->registers[reg];
}

static void register_write(struct sim_bme280 *sim, uint8_t reg, uint8_t value, int64_t now_us)
{
	switch (reg) {
	case REG_RESET: /* DS 5.4.2: other words have no effect */
		if (value != RESET_WORD)
			return;
		put_reset_state(sim);
		sim->answers_from_us = now_us + STARTUP_US;
		return;
	case REG_CTRL_HUM:
		if (sim->has_humidity)
			sim->registers[reg] = value & 0x07;
		return;
	case REG_CTRL_MEAS: /* DS 3.3.1: a mode change waits for the measurement, the ones after it are ignored */
		if (sim->measured_at_us == 0)
			set_ctrl_meas(sim, value, now_us);
		else if (sim->next_ctrl_meas == 0)
			sim->next_ctrl_meas = value;
		return;
	case REG_CONFIG:
		sim->registers[reg] = value & 0xfd;
		return;
	default: /* read-only or reserved */
		return;
	}
}

/* DS 6.2.1: register and value, again and again; a register alone is where reading goes on */
static int sim_bme280_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_bme280 *sim = container_of(chip, struct sim_bme280, chip);
	int64_t now_us = advance(sim);

	if (now_us < sim->answers_from_us)
		return -ENXIO;
	for (size_t i = 0; i < length; i += 2) {
		sim->pointer = data[i];
		if (i + 1 < length)
			register_write(sim, data[i], data[i + 1], now_us);
	}
	return 0;
}

/* DS 6.2.2: the register counts up */
static int sim_bme280_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_bme280 *sim = container_of(chip, struct sim_bme280, chip);
	int64_t now_us = advance(sim);

	if (now_us < sim->answers_from_us)
		return -ENXIO;
	for (size_t i = 0; i < length; i++)
		data[i] = register_read(sim, sim->pointer++, now_us);
	return 0;
}

static void sim_bme280_reset(struct sim_chip *chip)
{
	struct sim_bme280 *sim = container_of(chip, struct sim_bme280, chip);

	sim->has_humidity = true;
	put_reset_state(sim);
}

static void sim_bmp280_reset(struct sim_chip *chip)
{
	put_reset_state(container_of(chip, struct sim_bme280, chip));
}

extern const struct sim_model sim_bme280, sim_bmp280;

const struct sim_model sim_bme280 = {
	.driver = "bme280",
	.size = sizeof(struct sim_bme280),
	.reset = sim_bme280_reset,
	.write = sim_bme280_write,
	.read = sim_bme280_read,
};

const struct sim_model sim_bmp280 = {
	.driver = "bmp280",
	.size = sizeof(struct sim_bme280),
	.reset = sim_bmp280_reset,
	.write = sim_bme280_write,
	.read = sim_bme280_read,
};
