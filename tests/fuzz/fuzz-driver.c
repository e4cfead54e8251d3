/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every driver of drivers.c on a bus that lies, and the file driver on a file that does. The input: a
 * byte for the driver, one for the kind of bus, the driver's options, then what the bus says.
 *
 * A stream makes up every byte that is read; registers remember what is written; the emulated chip of
 * src/sim, where there is one, is right but for the bytes that the input spoils. Before each transfer
 * comes a byte: 0xf0 and above are errors. Behind the end of the input all is zero.
 *
 * Promises: no loop without end; errors are errnos, their texts are clean; each channel gets a number
 * within what its unit allows, or NAN.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#include "iotd/drivers.h"
#include "iotd/parse.h"
#include "iotd/sim.h"

#define TRANSFERS_MAX 2000
#define POLLS_MAX     200
#define OPTIONS_MAX   8
#define WAIT_MAX_US   (60 * 1000000LL)
#define FILE_NAME     "value"

enum bus_kind {
	BUS_STREAM,
	BUS_REGISTERS,
	BUS_CHIP,
	BUS_KINDS
};

/* struct liar - the bus */
struct liar {
	struct i2c_bus bus, *chips;
	enum bus_kind kind;
	struct input *input;
	uint16_t address;
	uint8_t registers[256], at;
	int transfers;
};

/* of what chips can tell; a unit that is not here: any */
static const struct {
	const char *unit;
	double least, most;
} limits[] = {
	{ "°C", -273.15, 1000 }, { "%", 0, 100 },   { "hPa", 0, 2000 },	  { "lx", 0, 1e6 },
	{ "ppm", 0, 1e6 },	 { "ppb", 0, 1e9 }, { "V", -1000, 1000 }, { "A", -100000, 100000 },
	{ "W", -1e6, 1e6 },	 { "Ω", 0, 1e12 },  { "mm", 0, 1e5 },
};

static int64_t slept_us, chip_time_us;

/* drivers wait for real; here time flies */
/* NOLINTBEGIN: the linker's own name */
int __wrap_nanosleep(const struct timespec *duration, struct timespec *left);
/* NOLINTEND */
int __wrap_nanosleep(const struct timespec *duration, struct timespec *left) /* NOLINT */
{
	must(duration->tv_sec >= 0 && duration->tv_nsec >= 0 && duration->tv_nsec < 1000000000);
	slept_us += duration->tv_sec * 1000000 + duration->tv_nsec / 1000;
	chip_time_us += slept_us;
	if (left)
		*left = (struct timespec){ 0 };
	return 0;
}

static int64_t chip_clock_us(void)
{
	return chip_time_us;
}

/* --- the bus -------------------------------------------------------------------------------- */

static int liar_error(uint8_t byte)
{
	static const int errors[] = { -ENXIO,  -ETIMEDOUT, -EBUSY,	-ENOENT,
				      -EACCES, -EIO,	   -EOPNOTSUPP, -EINVAL };

	return byte < 0xf0 ? 0 : errors[byte % 8];
}

static void liar_register(struct liar *liar, const struct i2c_transfer *transfer)
{
	if (transfer->read) {
		for (size_t i = 0; i < transfer->length; i++)
			transfer->data[i] = liar->registers[liar->at++];
		return;
	}
	liar->at = transfer->data[0];
	for (size_t i = 1; i < transfer->length; i++)
		liar->registers[liar->at++] = transfer->data[i];
}

static int liar_chip(struct liar *liar, struct i2c_transfer *transfers, size_t count,
		     uint8_t spoilt)
{
	const struct i2c_transfer *last = &transfers[count - 1];
	int r = liar->chips->ops->transfer(liar->chips, liar->address, transfers, count);

	chip_time_us += 500;
	if (r < 0 || !last->read)
		return r;
	for (spoilt %= 16; spoilt > 0; spoilt--) {
		uint8_t *byte = &last->data[input_byte(liar->input) % last->length];

		*byte = input_byte(liar->input);
	}
	return 0;
}

static int liar_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			 size_t count)
{
	struct liar *liar = container_of(bus, struct liar, bus);
	uint8_t byte = input_byte(liar->input);

	must(address == liar->address && count >= 1 && count <= 2);
	must(++liar->transfers <= TRANSFERS_MAX);
	for (size_t i = 0; i < count; i++)
		must(transfers[i].length >= 1 && transfers[i].length <= 8192);
	if (liar_error(byte) < 0)
		return liar_error(byte);
	if (liar->kind == BUS_CHIP)
		return liar_chip(liar, transfers, count, byte);
	for (size_t i = 0; i < count; i++) {
		if (liar->kind == BUS_REGISTERS)
			liar_register(liar, &transfers[i]);
		else if (transfers[i].read)
			input_bytes(liar->input, transfers[i].data, transfers[i].length);
	}
	return 0;
}

static void liar_free(struct i2c_bus *bus)
{
	(void)bus;
}

static void liar_new(struct liar *liar, const struct driver *driver, struct input *input)
{
	static const struct i2c_ops ops = { liar_transfer, liar_free };
	struct sim_chip *chip;

	*liar = (struct liar){ .bus.ops = &ops, .input = input };
	liar->address = driver->addresses[0] ? driver->addresses[0] : 0x40;
	liar->kind = (enum bus_kind)input_number(input, BUS_KINDS);
	if (liar->kind == BUS_CHIP && !sim_i2c_knows(driver->name))
		liar->kind = BUS_STREAM;
	if (liar->kind == BUS_REGISTERS)
		input_bytes(input, liar->registers, sizeof(liar->registers));
	if (liar->kind != BUS_CHIP)
		return;
	must(sim_i2c_new(&liar->chips) == 0);
	must(sim_i2c_add(liar->chips, driver->name, liar->address, &chip) == 0);
	chip->now_us = chip_clock_us;
}

/* --- the options: any that the configuration takes ------------------------------------------- */

static char *option_text(const struct driver_option *option, struct input *input)
{
	char *text;

	if (strcmp(option->name, "path") == 0)
		return strdup(FILE_NAME);
	text = input_until(input, '\n', NULL);
	if (text_is_clean(text) && (*text != '\0' || !option->required) &&
	    (strcmp(option->name, "channel") != 0 || parse_name(text)) &&
	    (strcmp(option->name, "unit") != 0 || strlen(text) <= UNIT_LENGTH))
		return text;
	free(text);
	return option->text ? strdup(option->text) : NULL;
}

static const char *option_choice(const struct driver_option *option, struct input *input)
{
	size_t count = 0;

	while (option->choices[count])
		count++;
	return option->choices[input_number(input, count)];
}

static void option_read(const struct driver_option *option, struct option_value *value,
			struct input *input)
{
	double span = option->maximum - option->minimum;

	if (option->type == OPTION_STRING)
		value->string = option->choices ? strdup(option_choice(option, input))
						: option_text(option, input);
	else if (option->choices)
		value->number = strtod(option_choice(option, input), NULL);
	else if (option->type == OPTION_BOOLEAN)
		value->number = (double)input_number(input, 2);
	else
		value->number = option->minimum + (double)input_number(input, 65536) *
							  (span > 0 ? span : 1000) / 65535;
	value->integer = llround(value->number);
}

/* --- the file ------------------------------------------------------------------------------- */

static void file_make(struct input *input)
{
	size_t length;
	uint8_t kind = input_byte(input);
	char *text = input_until(input, 0x1e, &length);

	(void)remove(FILE_NAME);
	if (kind == 0xff)
		must(mkdir(FILE_NAME, 0700) == 0);
	else if (kind == 0xfe)
		must(mkfifo(FILE_NAME, 0600) == 0);
	else if (kind != 0xfd)
		file_put(FILE_NAME, text, length);
	free(text);
}

/* --- the source ----------------------------------------------------------------------------- */

static void check_value(const struct channel *channel, double value)
{
	must(!isinf(value));
	if (isnan(value))
		return;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (strcmp(channel->unit, limits[i].unit) == 0)
			must(value >= limits[i].least && value <= limits[i].most);
}

static void check_values(const struct source *source, const double *values)
{
	must(source->channel_count >= 1 && source->channel_count <= CHANNELS_MAX);
	for (size_t i = 0; i < source->channel_count; i++) {
		const struct channel *channel = &source->channels[i];

		must(parse_name(channel->name) && text_is_clean(channel->unit));
		must(channel->digits >= 0 && channel->digits <= 9);
		if (source->driver->kind == DRIVER_FILE)
			must(isfinite(values[i])); /* it may say any */
		else
			check_value(channel, values[i]);
	}
}

/* Return: as collect() at its last call */
static int collect(struct source *source)
{
	double values[CHANNELS_MAX];
	int64_t wait_us = 0;
	int r = 0;

	for (int polls = 0;; polls++) {
		for (size_t i = 0; i < CHANNELS_MAX; i++)
			values[i] = HUGE_VAL; /* one that is left out shows */
		must(polls < POLLS_MAX);
		r = source->driver->collect(source, values, &wait_us);
		if (r != -EAGAIN)
			break;
		must(wait_us > 0 && wait_us <= WAIT_MAX_US);
		chip_time_us += wait_us;
	}
	if (r == 0)
		check_values(source, values);
	return r;
}

/* one try as a sensor makes it. Return: 0 or a negative errno */
static int try_once(struct source *source, struct input *input)
{
	int64_t wait_us = 0;
	int r;

	slept_us = 0;
	source->fault[0] = '\0';
	r = source_open(source);
	must(slept_us <= 1000000);
	if (r == 0 && source->driver->start)
		r = source->driver->start(source, &wait_us);
	if (r < 0)
		return r;
	must(wait_us >= 0 && wait_us <= WAIT_MAX_US);
	chip_time_us += wait_us;
	if (source->driver->kind == DRIVER_FILE && input_byte(input) % 2 == 1)
		file_make(input);
	return collect(source);
}

static void run(const struct driver *driver, struct input *input, struct i2c_device *device,
		struct option_value *options)
{
	struct source *source = NULL;
	int r;

	r = source_new(&source, driver, options, device);
	must(r == 0);
	for (int i = 0; i < 3; i++) {
		if (driver->kind == DRIVER_FILE)
			file_make(input);
		r = try_once(source, input);
		must(r <= 0 && r > -4096 && r != -EAGAIN);
		must(strlen(source->fault) < sizeof(source->fault));
		must(text_is_clean(source->fault));
		if (r < 0)
			source_close(source);
	}
	source_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct option_value options[OPTIONS_MAX] = { 0 };
	struct input input = { data, size };
	struct i2c_device *device = NULL;
	const struct driver *driver;
	size_t count = 0;
	struct liar liar = { 0 };

	folder_enter();
	while (driver_at(count))
		count++;
	driver = driver_at(input_number(&input, count));
	must(driver->option_count <= OPTIONS_MAX);
	for (size_t i = 0; i < driver->option_count; i++)
		option_read(&driver->options[i], &options[i], &input);
	if (driver->kind == DRIVER_I2C) {
		liar_new(&liar, driver, &input);
		must(i2c_device_new(&device, &liar.bus, "/dev/i2c-1", liar.address) == 0);
	}
	run(driver, &input, device, options);
	i2c_device_free(device);
	i2c_bus_free(liar.chips);
	for (size_t i = 0; i < driver->option_count; i++)
		free(options[i].string);
	return 0;
}
