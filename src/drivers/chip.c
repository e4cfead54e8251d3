/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What drivers of I2C chips share. Only what at least two chips need is here; what one chip does in
 * its own way stands in its driver. The words for people are made in one place, so that all chips
 * complain alike.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "iotd/bus.h"
#include "iotd/chip.h"
#include "iotd/clock.h"

#define WORD_SIZE     3	   /* two bytes and their checksum */
#define ANSWER_US     1000 /* what Sensirion's chips need for any answer that they do not measure */
#define ADDRESSES_MAX ARRAY_SIZE(((const struct driver *)NULL)->addresses)

uint8_t crc8(const uint8_t *bytes, size_t length, uint8_t polynomial, uint8_t initial)
{
	uint8_t crc = initial;

	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint8_t)(crc & 0x80 ? crc << 1 ^ polynomial : crc << 1);
	}
	return crc;
}

/* --- Registers ------------------------------------------------------------------------------ */

int chip_read_be16(struct source *source, uint8_t reg, uint16_t *ret)
{
	uint8_t bytes[2];
	int r;

	r = i2c_read_registers(source->i2c, reg, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	*ret = be16(bytes);
	return 0;
}

int chip_read_le16(struct source *source, uint8_t reg, uint16_t *ret)
{
	uint8_t bytes[2];
	int r;

	r = i2c_read_registers(source->i2c, reg, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	*ret = le16(bytes);
	return 0;
}

int chip_write_be16(struct source *source, uint8_t reg, uint16_t value)
{
	const uint8_t bytes[] = { reg, (uint8_t)(value >> 8), (uint8_t)value };

	return i2c_write(source->i2c, bytes, sizeof(bytes));
}

int chip_write_le16(struct source *source, uint8_t reg, uint16_t value)
{
	const uint8_t bytes[] = { reg, (uint8_t)value, (uint8_t)(value >> 8) };

	return i2c_write(source->i2c, bytes, sizeof(bytes));
}

int chip_write_settings(struct source *source, const struct chip_setting *settings, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = i2c_write_register(source->i2c, settings[i].reg, settings[i].value);
	return r;
}

int chip_keeps(struct source *source, uint8_t reg, uint8_t mask, uint8_t value)
{
	uint8_t found;
	int r;

	r = i2c_read_registers(source->i2c, reg, &found, 1);
	if (r < 0)
		return r;
	return (found & mask) == value ? 0 : chip_lost(source);
}

int chip_keeps_be16(struct source *source, uint8_t reg, uint16_t mask, uint16_t value)
{
	uint16_t found;
	int r;

	r = chip_read_be16(source, reg, &found);
	if (r < 0)
		return r;
	return (found & mask) == value ? 0 : chip_lost(source);
}

/* --- Commands and words --------------------------------------------------------------------- */

int chip_command8(struct source *source, uint8_t command)
{
	return i2c_write(source->i2c, &command, sizeof(command));
}

int chip_command(struct source *source, uint16_t command)
{
	return chip_write_words(source, command, NULL, 0);
}

int chip_find(struct source *source, uint16_t command, int64_t busy_us)
{
	int r;

	r = chip_command(source, command);
	if (r == -ENXIO) {
		for (; busy_us > CHIP_PAUSE_MAX_US; busy_us -= CHIP_PAUSE_MAX_US)
			chip_pause(CHIP_PAUSE_MAX_US);
		chip_pause(busy_us);
		r = chip_command(source, command);
	}
	return chip_absent(source, r);
}

int chip_write_words(struct source *source, uint16_t command, const uint16_t *words, size_t count)
{
	uint8_t bytes[2 + WORD_SIZE * CHIP_WORDS_MAX] = { (uint8_t)(command >> 8),
							  (uint8_t)command };

	assert(count <= CHIP_WORDS_MAX);
	for (size_t i = 0; i < count; i++) {
		uint8_t *word = &bytes[2 + WORD_SIZE * i];

		word[0] = (uint8_t)(words[i] >> 8);
		word[1] = (uint8_t)words[i];
		word[2] = crc8(word, 2, CRC8_SENSIRION, 0xff);
	}
	return i2c_write(source->i2c, bytes, 2 + WORD_SIZE * count);
}

/* Return: 0; -EBADMSG a wrong checksum; as i2c_write() */
static int read_words(struct i2c_device *i2c, uint16_t *words, size_t count)
{
	uint8_t bytes[WORD_SIZE * CHIP_WORDS_MAX];
	int r;

	assert(count <= CHIP_WORDS_MAX);
	r = i2c_read(i2c, bytes, WORD_SIZE * count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		if (crc8(&bytes[WORD_SIZE * i], WORD_SIZE, CRC8_SENSIRION, 0xff) != 0)
			return -EBADMSG;

	for (size_t i = 0; i < count; i++)
		words[i] = be16(&bytes[WORD_SIZE * i]);
	return 0;
}

int chip_read_words(struct source *source, uint16_t *words, size_t count)
{
	int r;

	r = read_words(source->i2c, words, count);
	return r == -EBADMSG ? chip_disturbed(source) : r;
}

int chip_query_words(struct source *source, uint16_t command, int64_t pause_us, uint16_t *words,
		     size_t count)
{
	int r;

	r = chip_command(source, command);
	if (r < 0)
		return r;
	chip_pause(pause_us);
	return chip_read_words(source, words, count);
}

/* --- Waiting -------------------------------------------------------------------------------- */

void chip_pause(int64_t duration_us)
{
	struct timespec duration = { .tv_nsec = duration_us * NSEC_PER_USEC };

	assert(duration_us >= 0 && duration_us <= CHIP_PAUSE_MAX_US);
	while (nanosleep(&duration, &duration) < 0 && errno == EINTR)
		;
}

int chip_converting(struct source *source, int limit, int64_t again_us, int64_t *wait_us)
{
	if (++source->polls > limit)
		return source_fail(source, -ETIMEDOUT, "the chip does not end its measurement");
	*wait_us = again_us;
	return -EAGAIN;
}

/* --- Who is there? -------------------------------------------------------------------------- */

int chip_can_be_read(struct i2c_device *i2c)
{
	uint8_t byte;
	int r;

	r = i2c_read(i2c, &byte, 1);
	return r == 0 ? 1 : r == -ENXIO ? 0 : r;
}

/* a port expander takes any byte for the level of its pins (PCF8574 data sheet, table 4) */
static bool may_be_expander(const struct i2c_device *i2c)
{
	return (i2c->address & ~0x07) == 0x20 || (i2c->address & ~0x07) == 0x38;
}

/* Return: RECOGNISED: @bytes were read; else what is known without them */
static enum recognition read_id(struct i2c_device *i2c, uint8_t reg, uint8_t *bytes, size_t size)
{
	if (chip_can_be_read(i2c) <= 0)
		return RECOGNISED_NOT;
	if (may_be_expander(i2c))
		return RECOGNISED_PERHAPS;
	return i2c_read_registers(i2c, reg, bytes, size) == 0 ? RECOGNISED : RECOGNISED_NOT;
}

enum recognition chip_has_id(struct i2c_device *i2c, uint8_t reg, uint8_t id)
{
	uint8_t found;
	enum recognition who = read_id(i2c, reg, &found, 1);

	return who == RECOGNISED && found != id ? RECOGNISED_NOT : who;
}

enum recognition chip_has_id_be16(struct i2c_device *i2c, uint8_t reg, uint16_t mask, uint16_t id)
{
	uint8_t found[2];
	enum recognition who = read_id(i2c, reg, found, sizeof(found));

	return who == RECOGNISED && (be16(found) & mask) != id ? RECOGNISED_NOT : who;
}

static bool may_be_told(struct i2c_device *i2c)
{
	return !may_be_expander(i2c) && chip_can_be_read(i2c) == 0;
}

bool chip_says(struct i2c_device *i2c, const void *command, size_t length, int64_t pause_us,
	       void *answer, size_t size)
{
	if (!may_be_told(i2c))
		return false;
	if (pause_us == 0)
		return i2c_write_read(i2c, command, length, answer, size) == 0;
	if (i2c_write(i2c, command, length) < 0)
		return false;
	chip_pause(pause_us);
	return i2c_read(i2c, answer, size) == 0;
}

enum recognition chip_says_words(struct i2c_device *i2c, uint16_t command, size_t count)
{
	const uint8_t bytes[] = { (uint8_t)(command >> 8), (uint8_t)command };
	uint16_t words[CHIP_WORDS_MAX];

	if (!may_be_told(i2c) || i2c_write(i2c, bytes, sizeof(bytes)) < 0)
		return RECOGNISED_NOT;
	chip_pause(ANSWER_US);
	return read_words(i2c, words, count) == 0 ? RECOGNISED : RECOGNISED_NOT;
}

static bool chip_may_be(const struct driver *driver, struct i2c_device *i2c)
{
	if (driver->recognise && driver->recognise(i2c) == RECOGNISED)
		return true;
	return chip_can_be_read(i2c) > 0;
}

/* --- Words for people ----------------------------------------------------------------------- */

/* the driver's other addresses at which its chip may be: who is there is nobody's. Return: how many */
static size_t find_elsewhere(const struct source *source, uint16_t found[static ADDRESSES_MAX])
{
	const struct driver *driver = source->driver;
	struct i2c_device other = *source->i2c;
	size_t count = 0;

	for (size_t i = 0; i < ADDRESSES_MAX && driver->addresses[i]; i++) {
		other.address = driver->addresses[i];
		if (other.address != source->i2c->address &&
		    !i2c_is_bound(other.bus, other.address) && chip_may_be(driver, &other))
			found[count++] = other.address;
	}
	return count;
}

static size_t count_addresses(const struct driver *driver)
{
	size_t count = 0;

	while (count < ADDRESSES_MAX && driver->addresses[count])
		count++;
	return count;
}

/* "0x45", "0x45 and 0x46" */
static void list_addresses(const uint16_t *addresses, size_t count, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s0x%02x",
					 i == 0		  ? ""
					 : i == count - 1 ? " and "
							  : ", ",
					 addresses[i]);
}

int chip_absent(struct source *source, int error)
{
	uint16_t found[ADDRESSES_MAX], address = 0;
	const char *guess = "is that its address?";
	char where[48];
	size_t count;

	if (error != -ENXIO)
		return error;
	address = source->i2c->address;
	count = find_elsewhere(source, found);
	if (count == 0)
		return source_fail(source, error,
				   "no device answered at 0x%02x on %s: is it connected, does it "
				   "have power?",
				   address, source->i2c->bus_name);
	if (count == 1 && count_addresses(source->driver) == 2)
		guess = found[0] > address ? "is the address pin high?" : "is the address pin low?";
	list_addresses(found, count, where, sizeof(where));
	return source_fail(source, error, "no device answered at 0x%02x on %s; %s %s: %s", address,
			   source->i2c->bus_name, where, count == 1 ? "answers" : "answer",
			   count == 1 ? guess : "is it one of these?");
}

int chip_stranger(struct source *source, unsigned int id, const char *names)
{
	return source_fail(source, -ENODEV, "chip id 0x%02x at 0x%02x on %s is no %s", id,
			   source->i2c->address, source->i2c->bus_name, names);
}

int chip_identify(struct source *source, uint8_t reg, uint8_t id, const char *names)
{
	uint8_t found;
	int r;

	r = i2c_read_registers(source->i2c, reg, &found, 1);
	if (r < 0)
		return chip_absent(source, r);
	return found == id ? 0 : chip_stranger(source, found, names);
}

int chip_identify_be16(struct source *source, uint8_t reg, uint16_t mask, uint16_t id,
		       const char *names)
{
	uint16_t found;
	int r;

	r = chip_read_be16(source, reg, &found);
	if (r < 0)
		return chip_absent(source, r);
	return (found & mask) == id ? 0 : chip_stranger(source, found, names);
}

int chip_disturbed(struct source *source)
{
	return source_fail(source, -EIO, "a wrong checksum in the chip's answer: a disturbed bus");
}

int chip_blank(struct source *source)
{
	return source_fail(source, -EIO,
			   "the chip's calibration is blank: a bad chip or a disturbed bus");
}

int chip_saturated(struct source *source)
{
	return source_fail(source, -ERANGE,
			   "saturated: too bright for this gain and integration_time");
}

int chip_lost(struct source *source)
{
	return source_fail(source, -EIO,
			   "the chip lost its settings: was it reset or without power?");
}

int chip_plausible(struct source *source, const double *values, const struct chip_range *ranges)
{
	for (size_t i = 0; i < source->channel_count; i++)
		if (values[i] < ranges[i].least || values[i] > ranges[i].most)
			return source_fail(
				source, -EIO, "%s of %.6g %s: a bad chip or a disturbed bus",
				source->channels[i].name, values[i], source->channels[i].unit);
	return 0;
}

/* --- Tables ---------------------------------------------------------------------------------- */

size_t chip_choice(const struct source *source, size_t index)
{
	int choice;

	assert(index < source->driver->option_count);
	choice = option_choice(&source->driver->options[index], &source->options[index]);
	return choice > 0 ? (size_t)choice : 0;
}
