/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What drivers of I2C chips share: bytes to numbers, 16-bit registers, commands and words with a
 * checksum, and words for people when a chip is absent, strange, slow or mad. Everything that
 * transfers belongs on a worker. "As i2c_write()" means its errnos, and source->fault left alone.
 */

#include <stddef.h>
#include <stdint.h>

#include "iotd/driver.h"
#include "iotd/i2c.h"

/* --- Bytes ---------------------------------------------------------------------------------- */

/** be16() - two bytes, the high one first */
static inline uint16_t be16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/** le16() - two bytes, the low one first */
static inline uint16_t le16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/** be16_signed() - as be16(), two's complement */
static inline int16_t be16_signed(const uint8_t *bytes)
{
	return (int16_t)be16(bytes);
}

/** le16_signed() - as le16(), two's complement */
static inline int16_t le16_signed(const uint8_t *bytes)
{
	return (int16_t)le16(bytes);
}

/** be24() - three bytes, the high one first */
static inline uint32_t be24(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
}

/** le24() - three bytes, the low one first */
static inline uint32_t le24(const uint8_t *bytes)
{
	return (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/** be20() - the upper 20 bits of three bytes, the high one first */
static inline uint32_t be20(const uint8_t *bytes)
{
	return be24(bytes) >> 4;
}

/** sign_extend() - the lowest @bits (1 .. 31) of @value as two's complement; those above are ignored */
static inline int32_t sign_extend(uint32_t value, int bits)
{
	uint32_t sign = 1U << (bits - 1);

	value &= (sign << 1) - 1;
	return (int32_t)(value ^ sign) - (int32_t)sign;
}

#define CRC8_SENSIRION 0x31 /* x^8 + x^5 + x^4 + 1, also of the HTU21D and the AHT20 */

/**
 * crc8() - checksum, most significant bit first, neither reflected nor inverted
 * @polynomial: without x^8: 0x31
 * @initial:    0xff (Sensirion, AHT20), 0x00 (HTU21D, Si7021)
 */
uint8_t crc8(const uint8_t *bytes, size_t length, uint8_t polynomial, uint8_t initial);

/* --- Registers behind an 8-bit pointer ------------------------------------------------------ */

/** chip_read_be16() - the register @reg, high byte first. Return: as i2c_write() */
int chip_read_be16(struct source *source, uint8_t reg, uint16_t *ret);

/** chip_read_le16() - the register @reg, low byte first. Return: as i2c_write() */
int chip_read_le16(struct source *source, uint8_t reg, uint16_t *ret);

/** chip_write_be16() - the register @reg, high byte first. Return: as i2c_write() */
int chip_write_be16(struct source *source, uint8_t reg, uint16_t value);

/** chip_write_le16() - the register @reg, low byte first. Return: as i2c_write() */
int chip_write_le16(struct source *source, uint8_t reg, uint16_t value);

/** struct chip_setting - what an 8-bit register is to be */
struct chip_setting {
	uint8_t reg, value;
};

/** chip_write_settings() - @count of them, one transfer each, in their order. Return: as i2c_write() */
int chip_write_settings(struct source *source, const struct chip_setting *settings, size_t count);

/**
 * chip_keeps() - for collect(): are the settings still there?
 * @mask:  the bits of the 8-bit register @reg that must be as in @value
 * Return: 0; -EIO with words, as chip_lost(); as i2c_write().
 */
int chip_keeps(struct source *source, uint8_t reg, uint8_t mask, uint8_t value);

/** chip_keeps_be16() - the same of a 16-bit register, high byte first */
int chip_keeps_be16(struct source *source, uint8_t reg, uint16_t mask, uint16_t value);

/* --- Commands: of one byte, or of 16 bits and words each with a checksum, as Sensirion's ------- */

/** chip_command8() - one byte. Return: as i2c_write() */
int chip_command8(struct source *source, uint8_t command);

#define CHIP_WORDS_MAX 8 /* their checksums: 0x31, 0xff */

/** chip_command() - a 16-bit command, high byte first. Return: as i2c_write() */
int chip_command(struct source *source, uint16_t command);

/**
 * chip_find() - a 16-bit command as the first transfer of open()
 * @busy_us: who measures for another program does not answer for so long, and is asked once more then
 * Return: 0; -ENXIO with words, as chip_absent(); as i2c_write().
 */
int chip_find(struct source *source, uint16_t command, int64_t busy_us);

/** chip_write_words() - a command and @count (.. CHIP_WORDS_MAX) words behind it. Return: as i2c_write() */
int chip_write_words(struct source *source, uint16_t command, const uint16_t *words, size_t count);

/**
 * chip_read_words() - @count (.. CHIP_WORDS_MAX) words of what the last command made
 * @words: set only if all checksums are right
 * Return: as i2c_write(); -EIO with words: a checksum is wrong.
 */
int chip_read_words(struct source *source, uint16_t *words, size_t count);

/** chip_query_words() - chip_command(), chip_pause() of @pause_us, chip_read_words(). Return: as the latter */
int chip_query_words(struct source *source, uint16_t command, int64_t pause_us, uint16_t *words,
		     size_t count);

/* --- Waiting -------------------------------------------------------------------------------- */

#define CHIP_PAUSE_MAX_US 20000

/**
 * chip_pause() - sleep at least @duration_us while nobody else has the bus
 *
 * For the short times that a chip needs between two transfers of one call, as after a reset in open():
 * 0 .. CHIP_PAUSE_MAX_US. What takes longer goes over *wait_us of start() and collect().
 */
void chip_pause(int64_t duration_us);

/**
 * chip_converting() - what collect() returns while the chip is not done
 * @limit:    asked more often than this: the chip will never be done. 1 .. 20 (a sensor's own limit)
 * @again_us: until the next try
 *
 * It counts in source->polls since start(); who measures several times for a reading sets that to 0 for
 * each. Return: -EAGAIN, with @again_us in *@wait_us; -ETIMEDOUT with words.
 */
int chip_converting(struct source *source, int limit, int64_t again_us, int64_t *wait_us);

/* --- Who is there? -------------------------------------------------------------------------- */

/*
 * For driver->recognise(), which may meet any chip. What is asked depends on whether the address can
 * be read: a chip with registers always can, and gets the number of a register, one byte, before the
 * read. A chip that takes commands refuses while it has nothing to say, and only then gets a command:
 * who has registers would take its second byte for a value. At 0x20 .. 0x27 and 0x38 .. 0x3f nothing
 * is written at all: port expanders there (PCF8574, PCF8574A) take any byte for the level of their
 * pins. Errors are RECOGNISED_NOT.
 */

/** chip_can_be_read() - one byte, without a register's number before it. Return: 1; 0 a NACK; as i2c_write() */
int chip_can_be_read(struct i2c_device *i2c);

/** chip_has_id() - the 8-bit register @reg is @id: RECOGNISED; PERHAPS: it must not be asked */
enum recognition chip_has_id(struct i2c_device *i2c, uint8_t reg, uint8_t id);

/** chip_has_id_be16() - the same of a 16-bit register, high byte first; only the bits of @mask count */
enum recognition chip_has_id_be16(struct i2c_device *i2c, uint8_t reg, uint16_t mask, uint16_t id);

/**
 * chip_says() - a command of @length bytes is answered with @size bytes
 * @pause_us: between them, as chip_pause(); 0: a repeated START
 * Return: have they come into @answer? Their checksums are the caller's.
 */
bool chip_says(struct i2c_device *i2c, const void *command, size_t length, int64_t pause_us,
	       void *answer, size_t size);

/** chip_says_words() - a 16-bit command is answered with @count words whose checksums are right: RECOGNISED */
enum recognition chip_says_words(struct i2c_device *i2c, uint16_t command, size_t count);

/* --- Words for people ------------------------------------------------------------------------ */

/**
 * chip_absent() - for the first transfer of open(): `return chip_absent(source, r)`
 *
 * -ENXIO gets words: "no device answered at 0x76 on /dev/i2c-1; 0x77 answers: is the address pin
 * high?". The driver's other addresses are asked for that, but those that others use. Return: @error,
 * whatever it is.
 */
int chip_absent(struct source *source, int error);

/** chip_stranger() - -ENODEV, with "chip id 0x55 at 0x76 on /dev/i2c-1 is no @names" */
int chip_stranger(struct source *source, unsigned int id, const char *names);

/**
 * chip_identify() - the 8-bit register @reg must be @id; the first transfer of open()
 * @names: "BMP388"
 * Return: 0; -ENODEV, -ENXIO with words; as i2c_write().
 */
int chip_identify(struct source *source, uint8_t reg, uint8_t id, const char *names);

/** chip_identify_be16() - the same of a 16-bit register; only the bits of @mask count */
int chip_identify_be16(struct source *source, uint8_t reg, uint16_t mask, uint16_t id,
		       const char *names);

/** chip_disturbed() - -EIO, with words: a checksum is wrong */
int chip_disturbed(struct source *source);

/** chip_blank() - -EIO, with words: there is nothing in the calibration */
int chip_blank(struct source *source);

/** chip_saturated() - -ERANGE, with words: too bright for the options gain and integration_time */
int chip_saturated(struct source *source);

/** chip_lost() - -EIO, with words: settings that were made are not there any more */
int chip_lost(struct source *source);

/** struct chip_range - what a chip can measure at most, in the channel's unit; inclusive */
struct chip_range {
	double least, most;
};

/**
 * chip_plausible() - the last step of collect(): no value beyond what the chip can measure
 * @ranges: one a channel, in their order
 * Return: 0; -EIO with words. NAN passes: the chip has no such channel.
 */
int chip_plausible(struct source *source, const double *values, const struct chip_range *ranges);

/* --- Tables ---------------------------------------------------------------------------------- */

/** CHOICES() - of a row of a table of options: { "gain", OPTION_INTEGER, .preset = 1, CHOICES("1", "16") } */
#define CHOICES(...)                                                                               \
	.choices = (const char *const[])                                                           \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

/** chip_choice() - which of its choices the option at @index has; 0, the first, for what is none */
size_t chip_choice(const struct source *source, size_t index);

/**
 * CHIP_DRIVER() - tmp117_driver with tmp117_channels, tmp117_open(), tmp117_start() and tmp117_collect()
 * Behind its name come the members that only some chips have, and .addresses.
 */
#define CHIP_DRIVER(chip, ...) CHIP_DRIVER_AS(chip, chip, __VA_ARGS__)

/** CHIP_DRIVER_AS() - bmp390_driver, with all that of bmp388 */
#define CHIP_DRIVER_AS(chip, like, ...)                                                            \
	extern const struct driver chip##_driver;                                                  \
	const struct driver chip##_driver = { .name = #chip,                                       \
					      .kind = DRIVER_I2C,                                  \
					      .channels = like##_channels,                         \
					      .channel_count = ARRAY_SIZE(like##_channels),        \
					      .open = like##_open,                                 \
					      .start = like##_start,                               \
					      .collect = like##_collect,                           \
					      __VA_ARGS__ }

/** CHIP_OPTIONS(), CHIP_STATE() - members of CHIP_DRIVER(): a table of options, and the type of source->state */
#define CHIP_OPTIONS(table) .options = (table), .option_count = ARRAY_SIZE(table)
#define CHIP_STATE(type)    .state_size = sizeof(type)
