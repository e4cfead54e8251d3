/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whatever chip the table of driver "register" describes: the table is its data sheet. Shares no
 * line with the driver, so each checks the other: this side turns a number into a register's bytes.
 *
 * Numbers swing slowly round what is usual for their unit. What init and start of the table have
 * written reads back. The chip is strict: until all of init was written, in that order and to the
 * byte, and until `wait` is over after the last write of start, its registers do not answer, and
 * neither does one that is not in the table. Any other write is not acknowledged.
 *
 * Without a table, as a chip that was never configured, it has no register and answers no transfer.
 */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/driver.h"
#include "iotd/sim.h"

#define PERIOD_US  (600 * USEC_PER_SEC)
#define WRITE_SIZE (2 + OPTION_LIST_MAX)

/* struct place - a register of the table and how a number stands in it */
struct place {
	unsigned int number, bits, shift;
	char kind; /* the first letter of its type: u, s, f */
	bool little;
	uint64_t mask;
	double scale, offset, usual; /* @usual: in the channel's unit */
};

/* struct written - one write, as the bytes that must come */
struct written {
	size_t length;
	uint8_t bytes[WRITE_SIZE];
};

struct writes {
	size_t count;
	struct written list[OPTION_LIST_MAX];
};

/* struct table - what the options say; compared as a whole, so zeroed before it is filled */
struct table {
	size_t place_count, number_size; /* of a register's number: 1 or 2 bytes */
	int64_t wait_us;
	struct place places[CHANNELS_MAX];
	struct writes init, start;
};

struct sim_register {
	struct sim_chip chip;
	struct table table;
	unsigned int pointer;
	size_t initialised, started; /* how many of the writes have come */
	int64_t ready_us;	     /* end of the wait */
};

/* --- The table ------------------------------------------------------------------------------ */

/* value_of() - the value of option @name in @values, which are of @options */
static const struct option_value *value_of(const struct driver_option *options,
					   const struct option_value *values, const char *name)
{
	while (strcmp(options->name, name) != 0) { /* a driver without it is not this one */
		options++;
		values++;
	}
	return values;
}

/* members_of() - the options in the groups of option @name */
static const struct driver_option *members_of(const struct driver *driver, const char *name)
{
	const struct driver_option *option = driver->options;

	while (strcmp(option->name, name) != 0)
		option++;
	return option->members;
}

static double usual_for(const char *unit, const struct place *place)
{
	static const struct {
		const char *unit;
		double usual;
	} usuals[] = {
		{ "°C", 21 }, { "%", 45 },  { "hPa", 1013 }, { "lx", 300 }, { "ppm", 600 },
		{ "V", 3.3 }, { "A", 0.5 }, { "W", 2 },	     { "Ω", 1000 }, { "mm", 500 },
	};
	double most = place->kind == 'f' ? 80 : (double)(place->mask >> place->shift);

	for (size_t i = 0; i < ARRAY_SIZE(usuals); i++)
		if (strcmp(usuals[i].unit, unit) == 0)
			return usuals[i].usual;
	return most / 4 * place->scale + place->offset;
}

/* place_read() - a row of registers: "s16le" has kind, bits, byte order */
static void place_read(struct place *place, const struct driver_option *members,
		       const struct option_value *row)
{
	const char *type = value_of(members, row, "type")->string;
	const struct option_value *mask = value_of(members, row, "mask");

	place->number = (unsigned int)value_of(members, row, "register")->integer;
	place->kind = type[0];
	place->bits = (unsigned int)strtoul(type + 1, NULL, 10);
	place->little = strstr(type, "le") != NULL;
	place->shift = (unsigned int)value_of(members, row, "shift")->integer;
	place->mask = mask->given ? (uint64_t)mask->integer : UINT64_MAX;
	if (place->bits < 64)
		place->mask &= (UINT64_C(1) << place->bits) - 1;
	place->scale = value_of(members, row, "scale")->number;
	place->offset = value_of(members, row, "offset")->number;
	place->usual = usual_for(value_of(members, row, "unit")->string, place);
}

static void put_bits(uint8_t *bytes, unsigned int bits, bool little, uint64_t raw)
{
	for (unsigned int i = 0; i < bits / 8; i++)
		bytes[little ? i : bits / 8 - 1 - i] = (uint8_t)(raw >> 8 * i);
}

static void write_read(struct written *written, const struct driver_option *members,
		       const struct option_value *row, size_t number_size)
{
	const struct option_value *value = value_of(members, row, "value");
	const struct option_value *list = value_of(members, row, "bytes");
	const char *type = value_of(members, row, "type")->string;
	unsigned int bits = (unsigned int)strtoul(type + 1, NULL, 10);

	put_bits(written->bytes, (unsigned int)number_size * 8, false,
		 (uint64_t)value_of(members, row, "register")->integer);
	written->length = number_size;
	if (value->given) {
		put_bits(written->bytes + number_size, bits, strstr(type, "le") != NULL,
			 (uint64_t)value->integer);
		written->length += bits / 8;
	}
	for (size_t i = 0; i < list->count; i++)
		written->bytes[written->length++] = (uint8_t)list->list[i].integer;
}

static void writes_read(struct writes *writes, const struct driver *driver,
			const struct option_value *options, const char *name, size_t number_size)
{
	const struct option_value *rows = value_of(driver->options, options, name);

	for (size_t i = 0; i < rows->count; i++)
		write_read(&writes->list[i], members_of(driver, name), rows->list[i].list,
			   number_size);
	writes->count = rows->count;
}

static void table_read(struct table *table, const struct driver *driver,
		       const struct option_value *options)
{
	const struct option_value *rows = value_of(driver->options, options, "registers");

	memset(table, 0, sizeof(*table));
	table->number_size =
		value_of(driver->options, options, "register_bits")->integer == 16 ? 2 : 1;
	table->wait_us = value_of(driver->options, options, "wait")->integer;
	for (size_t i = 0; i < rows->count; i++)
		place_read(&table->places[i], members_of(driver, "registers"), rows->list[i].list);
	table->place_count = rows->count;
	writes_read(&table->init, driver, options, "init", table->number_size);
	writes_read(&table->start, driver, options, "start", table->number_size);
}

static void sim_register_reset(struct sim_chip *chip)
{
	struct sim_register *sim = container_of(chip, struct sim_register, chip);

	sim->pointer = 0;
	sim->initialised = sim->started = 0;
	sim->ready_us = 0;
}

static void sim_register_configure(struct sim_chip *chip, const struct driver *driver,
				   const struct option_value *options)
{
	struct sim_register *sim = container_of(chip, struct sim_register, chip);
	struct table table;

	table_read(&table, driver, options);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): its padding is zero, too */
	if (memcmp(&table, &sim->table, sizeof(table)) == 0)
		return;
	memcpy(&sim->table, &table, sizeof(table));
	sim_register_reset(chip);
}

/* --- Registers ------------------------------------------------------------------------------ */

/* a tenth up and down; two chips do not swing alike */
static double swing(const struct sim_register *sim, double usual)
{
	double turn = (double)(sim->chip.now_us() % PERIOD_US) / (double)PERIOD_US;

	return usual * (1 + 0.1 * sin(2 * M_PI * turn + sim->chip.address));
}

/* raw_integer() - what comes nearest to @wanted in the bits of @place */
static uint64_t raw_integer(const struct place *place, double wanted)
{
	uint64_t ones = place->mask >> place->shift;
	double most = (double)ones, least = 0;

	if (place->kind == 's') {
		most = (double)(ones >> 1);
		least = -most - 1;
	}
	wanted = fmin(fmax(round(wanted), least), most);
	if (wanted >= 0x1p63) /* 64 bits, all of them */
		return place->kind == 's' ? ones >> 1 : ones;
	return (uint64_t)(int64_t)wanted << place->shift & place->mask;
}

static uint64_t raw_float(const struct place *place, double wanted)
{
	float single = (float)wanted;
	uint32_t half;
	uint64_t raw;

	memcpy(&half, &single, sizeof(half));
	memcpy(&raw, &wanted, sizeof(raw));
	return place->bits == 64 ? raw : half;
}

/* put_number() - the register's bytes, with the bits of all channels that are in it */
static void put_number(const struct sim_register *sim, const struct place *first, uint8_t *bytes)
{
	const struct table *table = &sim->table;
	uint64_t raw = 0;

	for (size_t i = 0; i < table->place_count; i++) {
		const struct place *place = &table->places[i];
		double wanted = (swing(sim, place->usual) - place->offset) / place->scale;

		if (place->number != first->number || place->bits != first->bits)
			continue;
		if (place->kind == 'f')
			raw = raw_float(place, wanted);
		else
			raw = (raw & ~place->mask) | raw_integer(place, wanted);
	}
	put_bits(bytes, first->bits, first->little, raw);
}

/* find_written() - the last write that gave register @number bytes; NULL: none */
static const struct written *find_written(const struct sim_register *sim, unsigned int number)
{
	const struct table *table = &sim->table;
	const struct writes *both[] = { &table->init, &table->start };
	const struct written *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		for (size_t at = 0; at < both[i]->count; at++) {
			const struct written *one = &both[i]->list[at];
			unsigned int its = one->bytes[0];

			if (table->number_size == 2)
				its = its << 8 | one->bytes[1];
			if (its == number && one->length > table->number_size)
				found = one;
		}
	return found;
}

static const struct place *find_place(const struct sim_register *sim, size_t length)
{
	const struct table *table = &sim->table;

	for (size_t i = 0; i < table->place_count; i++)
		if (table->places[i].number == sim->pointer && table->places[i].bits / 8 == length)
			return &table->places[i];
	return NULL;
}

static bool is_next(const struct writes *writes, size_t come, const uint8_t *data, size_t length)
{
	return come < writes->count && writes->list[come].length == length &&
	       memcmp(writes->list[come].bytes, data, length) == 0;
}

static bool is_any(const struct writes *writes, const uint8_t *data, size_t length)
{
	for (size_t i = 0; i < writes->count; i++)
		if (is_next(writes, i, data, length))
			return true;
	return false;
}

/* take_init() - in their order the first time; a driver that failed half-way begins anew */
static bool take_init(struct sim_register *sim, const uint8_t *data, size_t length)
{
	const struct writes *init = &sim->table.init;

	if (sim->initialised == init->count)
		return is_any(init, data, length);
	if (!is_next(init, sim->initialised, data, length))
		sim->initialised = 0;
	if (!is_next(init, sim->initialised, data, length))
		return false;
	sim->initialised++;
	return true;
}

/* take_start() - in their order each time; the last begins the wait */
static bool take_start(struct sim_register *sim, const uint8_t *data, size_t length)
{
	const struct writes *start = &sim->table.start;

	if (sim->initialised < sim->table.init.count)
		return false;
	if (!is_next(start, sim->started, data, length) && is_next(start, 0, data, length))
		sim->started = 0;
	if (!is_next(start, sim->started, data, length))
		return false;
	sim->started++;
	if (sim->started == start->count)
		sim->ready_us = sim->chip.now_us() + sim->table.wait_us;
	return true;
}

static bool is_started(const struct sim_register *sim)
{
	return sim->initialised == sim->table.init.count && sim->started == sim->table.start.count;
}

static bool has_register(const struct sim_register *sim, unsigned int number)
{
	for (size_t i = 0; i < sim->table.place_count; i++)
		if (sim->table.places[i].number == number)
			return true;
	return false;
}

/* a register's number alone is for the read that follows, unless the table writes such a one */
static int sim_register_write(struct sim_chip *chip, const uint8_t *data, size_t length)
{
	struct sim_register *sim = container_of(chip, struct sim_register, chip);
	unsigned int number = data[0];

	if (length == 2 && sim->table.number_size == 2)
		number = number << 8 | data[1];
	if (length == sim->table.number_size && has_register(sim, number) && is_started(sim)) {
		sim->pointer = number;
		return 0;
	}
	return take_start(sim, data, length) || take_init(sim, data, length) ? 0 : -ENXIO;
}

static int sim_register_read(struct sim_chip *chip, uint8_t *data, size_t length)
{
	struct sim_register *sim = container_of(chip, struct sim_register, chip);
	const struct place *place = find_place(sim, length);
	const struct written *written = find_written(sim, sim->pointer);
	size_t skip = sim->table.number_size;

	if (!place || !is_started(sim) || sim->chip.now_us() < sim->ready_us)
		return -ENXIO;
	if (written && written->length - skip == length)
		memcpy(data, written->bytes + skip, length);
	else
		put_number(sim, place, data);
	return 0;
}

extern const struct sim_model sim_register;

const struct sim_model sim_register = {
	.driver = "register",
	.size = sizeof(struct sim_register),
	.reset = sim_register_reset,
	.write = sim_register_write,
	.read = sim_register_read,
	.configure = sim_register_configure,
};
