/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * register: any simple I2C chip, by a table in the configuration instead of a driver of its own. The
 * table says which registers there are and how their bytes become a number; what has to be written
 * when the chip is opened (`init`) and before each reading (`start`, then `wait`).
 *
 * A number is made of a register's bytes in this order: byte order, mask, shift, sign, scale, offset.
 * The sign is the highest bit that the mask leaves, so that eleven bits of two's complement at the
 * top of a word need no more than their mask.
 *
 * Each register is read by a transfer of its own, in the order of the table. Bursts over neighbours
 * would save transfers, but whether a chip counts its register up, and what a word read by halves
 * holds, is the chip's own: only a driver written for it knows. What the table names twice with the
 * same size, for other bits, is read once: so the bits are of one moment, and a register that is
 * cleared by reading gives all of them.
 */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "iotd/bus.h"
#include "iotd/clock.h"
#include "iotd/driver.h"

#define SIZE_MAX_BYTES 8 /* of a register */
#define REGISTER_MAX   0xffff
#define WAIT_MAX_US    (60 * USEC_PER_SEC)
#define INIT_MAX_US    USEC_PER_SEC /* all waits of init: the bus waits as long */
#define DIGITS	       6 /* unless the table says otherwise; zeros at the end are never shown */

enum {
	REGISTERS,
	REGISTER_BITS,
	INIT,
	START,
	WAIT
};

/* of an element of registers */
enum {
	ROW_CHANNEL,
	ROW_REGISTER,
	ROW_TYPE,
	ROW_MASK,
	ROW_SHIFT,
	ROW_SCALE,
	ROW_OFFSET,
	ROW_UNIT,
	ROW_DIGITS
};

/* of an element of init and start; the last is only init's */
enum {
	WRITE_REGISTER,
	WRITE_VALUE,
	WRITE_TYPE,
	WRITE_BYTES,
	WRITE_WAIT
};

/* kind, bits, byte order: type_of() takes them apart */
#define INTEGER_TYPES                                                                              \
	"u8", "s8", "u16be", "u16le", "s16be", "s16le", "u24be", "u24le", "s24be", "s24le",        \
		"u32be", "u32le", "s32be", "s32le", "u64be", "u64le", "s64be", "s64le"

static const char *const integer_types[] = { INTEGER_TYPES, NULL };
static const char *const types[] = { INTEGER_TYPES, "f32be", "f32le", "f64be", "f64le", NULL };
static const char *const register_bits[] = { "8", "16", NULL };

static const struct driver_option row_members[] = {
	[ROW_CHANNEL] = { .name = "channel", .type = OPTION_STRING, .required = true },
	[ROW_REGISTER] = { .name = "register",
			   .type = OPTION_INTEGER,
			   .required = true,
			   .maximum = REGISTER_MAX },
	[ROW_TYPE] = { .name = "type", .type = OPTION_STRING, .text = "u8", .choices = types },
	[ROW_MASK] = { .name = "mask", .type = OPTION_INTEGER },
	[ROW_SHIFT] = { .name = "shift", .type = OPTION_INTEGER, .maximum = 63 },
	[ROW_SCALE] = { .name = "scale", .type = OPTION_NUMBER, .preset = 1 },
	[ROW_OFFSET] = { .name = "offset", .type = OPTION_NUMBER },
	[ROW_UNIT] = { .name = "unit", .type = OPTION_STRING, .text = "" },
	[ROW_DIGITS] = { .name = "digits", .type = OPTION_INTEGER, .maximum = 9, .preset = DIGITS },
};

static const struct driver_option write_members[] = {
	[WRITE_REGISTER] = { .name = "register",
			     .type = OPTION_INTEGER,
			     .required = true,
			     .maximum = REGISTER_MAX },
	[WRITE_VALUE] = { .name = "value", .type = OPTION_INTEGER },
	[WRITE_TYPE] = { .name = "type",
			 .type = OPTION_STRING,
			 .text = "u8",
			 .choices = integer_types },
	[WRITE_BYTES] = { .name = "bytes", .type = OPTION_INTEGERS, .maximum = 255 },
	[WRITE_WAIT] = { .name = "wait",
			 .type = OPTION_DURATION,
			 .text = "0s",
			 .maximum = INIT_MAX_US },
};

static const struct driver_option register_options[] = {
	[REGISTERS] = { .name = "registers",
			.type = OPTION_GROUPS,
			.required = true,
			.members = row_members,
			.member_count = ARRAY_SIZE(row_members) },
	[REGISTER_BITS] = { .name = "register_bits",
			    .type = OPTION_INTEGER,
			    .preset = 8,
			    .choices = register_bits },
	[INIT] = { .name = "init",
		   .type = OPTION_GROUPS,
		   .members = write_members,
		   .member_count = ARRAY_SIZE(write_members) },
	[START] = { .name = "start",
		    .type = OPTION_GROUPS,
		    .members = write_members,
		    .member_count = WRITE_WAIT },
	[WAIT] = { .name = "wait", .type = OPTION_DURATION, .text = "0s", .maximum = WAIT_MAX_US },
};

/* --- Types ---------------------------------------------------------------------------------- */

enum kind {
	KIND_UNSIGNED,
	KIND_SIGNED,
	KIND_FLOAT
};

struct type {
	enum kind kind;
	unsigned int bits;
	bool is_little;
};

/* type_of() - of a word of @types: "s16le" */
static struct type type_of(const char *word)
{
	char *order;
	unsigned int bits = (unsigned int)strtoul(word + 1, &order, 10);

	return (struct type){
		.kind = *word == 'u'   ? KIND_UNSIGNED
			: *word == 's' ? KIND_SIGNED
				       : KIND_FLOAT,
		.bits = bits,
		.is_little = strcmp(order, "le") == 0,
	};
}

/* type_mask() - a one for each of its bits */
static uint64_t type_mask(struct type type)
{
	return UINT64_MAX >> (64 - type.bits);
}

/* bit_number() - of the highest; the lowest bit is 0 */
static unsigned int bit_number(uint64_t bits)
{
	unsigned int number = 0;

	while (bits >>= 1)
		number++;
	return number;
}

static uint64_t bits_from(const uint8_t *bytes, struct type type)
{
	size_t size = type.bits / 8;
	uint64_t bits = 0;

	for (size_t i = 0; i < size; i++)
		bits = bits << 8 | bytes[type.is_little ? size - 1 - i : i];
	return bits;
}

static void bits_to(uint8_t *bytes, struct type type, uint64_t bits)
{
	size_t size = type.bits / 8;

	for (size_t i = 0; i < size; i++)
		bytes[type.is_little ? i : size - 1 - i] = (uint8_t)(bits >> 8 * i);
}

/* IEEE 754 */
static double float_from(uint64_t bits, struct type type)
{
	uint32_t half = (uint32_t)bits;
	double number;
	float single;

	if (type.bits == 64) {
		memcpy(&number, &bits, sizeof(number));
		return number;
	}
	memcpy(&single, &half, sizeof(single));
	return (double)single;
}

/* --- The table ------------------------------------------------------------------------------ */

static uint64_t row_mask(const struct option_value *row, struct type type)
{
	return row[ROW_MASK].given ? (uint64_t)row[ROW_MASK].integer : type_mask(type);
}

/* row_number() - of a register's bytes; before scale and offset */
static double row_number(const struct option_value *row, const uint8_t *bytes)
{
	struct type type = type_of(row[ROW_TYPE].string);
	uint64_t mask = row_mask(row, type), bits = bits_from(bytes, type), sign;
	unsigned int shift = (unsigned int)row[ROW_SHIFT].integer;

	if (type.kind == KIND_FLOAT)
		return float_from(bits, type);
	bits = (bits & mask) >> shift;
	sign = UINT64_C(1) << bit_number(mask >> shift);
	if (type.kind == KIND_SIGNED && bits & sign)
		return (double)(int64_t)(bits - 2 * sign);
	return (double)bits;
}

static int register_describe(const struct option_value *options,
			     struct channel channels[static CHANNELS_MAX])
{
	const struct option_value *table = &options[REGISTERS];

	for (size_t i = 0; i < table->count; i++) {
		const struct option_value *row = table->list[i].list;
		struct channel *channel = &channels[i];

		if (!row[ROW_CHANNEL].string)
			return -EINVAL;
		*channel = (struct channel){ .digits = (int)row[ROW_DIGITS].integer };
		(void)snprintf(channel->name, sizeof(channel->name), "%s", row[ROW_CHANNEL].string);
		(void)snprintf(channel->unit, sizeof(channel->unit), "%s", row[ROW_UNIT].string);
	}
	return table->count > 0 ? (int)table->count : -EINVAL;
}

static void check_register(const struct option_value *options, const struct option_value *number,
			   struct option_check *check)
{
	if (number->integer >> options[REGISTER_BITS].integer)
		option_fault(check, number, "0x%" PRIx64 " needs register_bits = 16",
			     (uint64_t)number->integer);
}

static void check_mask(const struct option_value *row, struct option_check *check)
{
	struct type type = type_of(row[ROW_TYPE].string);
	uint64_t mask = row_mask(row, type), lowest = mask & -mask;
	unsigned int shift = (unsigned int)row[ROW_SHIFT].integer;

	if (mask == 0)
		option_fault(check, &row[ROW_MASK], "must not be 0: no bit would be left");
	else if (mask & ~type_mask(type))
		option_fault(check, &row[ROW_MASK], "0x%" PRIx64 " has more bits than type \"%s\"",
			     mask, row[ROW_TYPE].string);
	else if ((mask / lowest) & (mask / lowest + 1))
		option_fault(check, &row[ROW_MASK],
			     "0x%" PRIx64 " has a gap: its bits must lie side by side", mask);
	else if (mask >> shift == 0)
		option_fault(check, &row[ROW_SHIFT],
			     "%u shifts all bits out: the highest of %s is bit %u", shift,
			     row[ROW_MASK].given ? "the mask" : "the type", bit_number(mask));
}

static void check_row(const struct option_value *row, struct option_check *check)
{
	if (type_of(row[ROW_TYPE].string).kind != KIND_FLOAT) {
		check_mask(row, check);
	} else {
		if (row[ROW_MASK].given)
			option_fault(check, &row[ROW_MASK], "is not for type \"%s\"",
				     row[ROW_TYPE].string);
		if (row[ROW_SHIFT].given)
			option_fault(check, &row[ROW_SHIFT], "is not for type \"%s\"",
				     row[ROW_TYPE].string);
	}
	if (fpclassify(row[ROW_SCALE].number) == FP_ZERO)
		option_fault(check, &row[ROW_SCALE], "must not be 0");
}

static void check_channel(const struct option_value *table, size_t index,
			  struct option_check *check)
{
	const struct option_value *channel = &table->list[index].list[ROW_CHANNEL];

	for (size_t i = 0; i < index; i++) {
		if (strcmp(table->list[i].list[ROW_CHANNEL].string, channel->string) != 0)
			continue;
		option_fault(check, channel, "\"%s\" is the channel of registers[%zu] already",
			     channel->string, i);
		return;
	}
}

/* --- Writing -------------------------------------------------------------------------------- */

static void check_value(const struct option_value *write, struct option_check *check)
{
	struct type type = type_of(write[WRITE_TYPE].string);
	int64_t value = write[WRITE_VALUE].integer;
	int64_t most = (int64_t)(type_mask(type) >> 1), least = -most - 1;

	if (type.kind == KIND_UNSIGNED) {
		least = 0;
		most = type.bits == 64 ? INT64_MAX : (int64_t)type_mask(type);
	}
	if (value < least || value > most)
		option_fault(check, &write[WRITE_VALUE],
			     "%" PRId64 " does not fit type \"%s\" (%" PRId64 " to %" PRId64 ")",
			     value, write[WRITE_TYPE].string, least, most);
}

static void check_write(const struct option_value *element, struct option_check *check)
{
	const struct option_value *write = element->list;

	if (write[WRITE_VALUE].given && write[WRITE_BYTES].given)
		option_fault(check, &write[WRITE_BYTES], "stands beside value: only one can be");
	else if (write[WRITE_VALUE].given)
		check_value(write, check);
	else if (!write[WRITE_BYTES].given)
		option_fault(check, element,
			     "has no value (bytes = [ ] writes the register's number alone)");
	else if (write[WRITE_TYPE].given)
		option_fault(check, &write[WRITE_TYPE],
			     "is that of value: bytes are written as they are");
}

static void check_writes(const struct option_value *options, const struct option_value *writes,
			 struct option_check *check)
{
	for (size_t i = 0; i < writes->count; i++) {
		check_register(options, &writes->list[i].list[WRITE_REGISTER], check);
		check_write(&writes->list[i], check);
	}
}

static void check_waits(const struct option_value *options, struct option_check *check)
{
	const struct option_value *init = &options[INIT];
	int64_t all_us = 0;

	for (size_t i = 0; i < init->count; i++)
		all_us += init->list[i].list[WRITE_WAIT].integer;
	if (all_us > INIT_MAX_US)
		option_fault(check, init, "waits for more than 1s in all");
	if (options[WAIT].integer > 0 && options[START].count == 0)
		option_fault(check, &options[WAIT],
			     "needs start: it is the time from there to the reading (a write of "
			     "init has a wait of its own)");
}

static void register_check(const struct option_value *options, struct option_check *check)
{
	const struct option_value *table = &options[REGISTERS];

	for (size_t i = 0; i < table->count; i++) {
		check_channel(table, i, check);
		check_register(options, &table->list[i].list[ROW_REGISTER], check);
		check_row(table->list[i].list, check);
	}
	check_writes(options, &options[INIT], check);
	check_writes(options, &options[START], check);
	check_waits(options, check);
}

/* register_number() - the register's number as it goes over the bus, the high byte first. Return: its bytes */
static size_t register_number(const struct source *source, const struct option_value *number,
			      uint8_t bytes[static 2])
{
	size_t size = (size_t)source->options[REGISTER_BITS].integer / 8;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(number->integer >> 8 * (size - 1 - i));
	return size;
}

static int write_one(struct source *source, const struct option_value *write)
{
	const struct option_value *list = &write[WRITE_BYTES];
	struct type type = type_of(write[WRITE_TYPE].string);
	uint8_t data[2 + OPTION_LIST_MAX];
	size_t length = register_number(source, &write[WRITE_REGISTER], data);

	if (write[WRITE_VALUE].given) {
		bits_to(data + length, type, (uint64_t)write[WRITE_VALUE].integer);
		length += type.bits / 8;
	}
	for (size_t i = 0; i < list->count; i++)
		data[length++] = (uint8_t)list->list[i].integer;
	return i2c_write(source->i2c, data, length);
}

static void register_pause(int64_t duration_us)
{
	struct timespec duration = { .tv_sec = duration_us / USEC_PER_SEC,
				     .tv_nsec = duration_us % USEC_PER_SEC * NSEC_PER_USEC };

	if (duration_us > 0)
		(void)nanosleep(&duration, NULL);
}

static int register_open(struct source *source)
{
	const struct option_value *init = &source->options[INIT];
	int r = 0;

	for (size_t i = 0; i < init->count && r == 0; i++) {
		r = write_one(source, init->list[i].list);
		if (r == 0)
			register_pause(init->list[i].list[WRITE_WAIT].integer);
	}
	return r;
}

static int register_start(struct source *source, int64_t *wait_us)
{
	const struct option_value *start = &source->options[START];
	int r = 0;

	for (size_t i = 0; i < start->count && r == 0; i++)
		r = write_one(source, start->list[i].list);
	if (r == 0)
		*wait_us = source->options[WAIT].integer;
	return r;
}

/* --- Reading -------------------------------------------------------------------------------- */

/* same_read() - the first row of the table that reads what row @index does */
static size_t same_read(const struct option_value *table, size_t index)
{
	const struct option_value *row = table->list[index].list, *other;
	unsigned int bits = type_of(row[ROW_TYPE].string).bits;
	size_t i;

	for (i = 0; i < index; i++) {
		other = table->list[i].list;
		if (other[ROW_REGISTER].integer == row[ROW_REGISTER].integer &&
		    type_of(other[ROW_TYPE].string).bits == bits)
			break;
	}
	return i;
}

static int row_read(struct source *source, const struct option_value *row, uint8_t *bytes)
{
	uint8_t number[2];
	size_t length = register_number(source, &row[ROW_REGISTER], number);

	return i2c_write_read(source->i2c, number, length, bytes,
			      type_of(row[ROW_TYPE].string).bits / 8);
}

static int register_collect(struct source *source, double values[static CHANNELS_MAX],
			    int64_t *wait_us)
{
	const struct option_value *table = &source->options[REGISTERS];
	uint8_t bytes[CHANNELS_MAX][SIZE_MAX_BYTES];

	(void)wait_us;
	for (size_t i = 0; i < table->count; i++) {
		const struct option_value *row = table->list[i].list;
		size_t first = same_read(table, i);
		int r = first == i ? row_read(source, row, bytes[i]) : 0;
		double number;

		if (r < 0)
			return r;
		number = row_number(row, bytes[first]);
		values[i] = number * row[ROW_SCALE].number + row[ROW_OFFSET].number;
		if (!isfinite(values[i]))
			return source_fail(source, -EIO, "%s: register 0x%02" PRIx64 " holds %g",
					   row[ROW_CHANNEL].string,
					   (uint64_t)row[ROW_REGISTER].integer, number);
	}
	return 0;
}

extern const struct driver register_driver;

const struct driver register_driver = {
	.name = "register",
	.kind = DRIVER_I2C,
	.describe = register_describe,
	.check = register_check,
	.options = register_options,
	.option_count = ARRAY_SIZE(register_options),
	.open = register_open,
	.start = register_start,
	.collect = register_collect,
};
