/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every driver of drivers.c on a bus that lies, and those of files and of what the kernel drives on files that
 * do. The input: a byte for the driver, one for the kind of bus, the driver's options, then what the bus says.
 *
 * A stream makes up every byte that is read; registers remember what is written; the emulated chip of
 * src/sim, where there is one, is right but for the bytes that the input spoils. Before each transfer
 * comes a byte: 0xf0 and above are errors. Behind the end of the input all is zero.
 *
 * Promises: no loop without end; errors are errnos, their texts are clean; each channel gets a number
 * within what its unit allows, or NAN.
 */
#include <dirent.h>
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
#define ELEMENTS_MAX  4 /* of a list */
#define WAIT_MAX_US   (60 * 1000000LL)
#define FILE_NAME     "value"
#define DEVICE_NAME   "28-0" /* of what the kernel drives: its one device */
#define FILES_MAX     6

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
	const struct driver *driver;
	uint16_t address;
	bool was_absent; /* once at least */
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

static int liar_chip(struct liar *liar, uint16_t address, struct i2c_transfer *transfers,
		     size_t count, uint8_t spoilt)
{
	const struct i2c_transfer *last = &transfers[count - 1];
	int r = liar->chips->ops->transfer(liar->chips, address, transfers, count);

	chip_time_us += 500;
	if (r == -ENXIO && address == liar->address)
		liar->was_absent = true;
	if (r < 0 || !last->read)
		return r;
	for (spoilt %= 16; spoilt > 0; spoilt--) {
		uint8_t *byte = &last->data[input_byte(liar->input) % last->length];

		*byte = input_byte(liar->input);
	}
	return 0;
}

/* only where an absent chip may be is anybody else asked */
static bool is_usual(const struct liar *liar, uint16_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(liar->driver->addresses); i++)
		if (address != 0 && liar->driver->addresses[i] == address)
			return true;
	return false;
}

static int liar_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			 size_t count)
{
	struct liar *liar = container_of(bus, struct liar, bus);
	uint8_t byte = input_byte(liar->input);

	must(count >= 1 && count <= 2);
	must(address == liar->address || (liar->was_absent && is_usual(liar, address)));
	must(++liar->transfers <= TRANSFERS_MAX);
	for (size_t i = 0; i < count; i++)
		must(transfers[i].length >= 1 && transfers[i].length <= 8192);
	if (liar_error(byte) == -ENXIO && address == liar->address)
		liar->was_absent = true;
	if (liar_error(byte) < 0)
		return liar_error(byte);
	if (liar->kind == BUS_CHIP)
		return liar_chip(liar, address, transfers, count, byte);
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

static void liar_new(struct liar *liar, const struct driver *driver,
		     const struct option_value *options, struct input *input)
{
	static const struct i2c_ops ops = { liar_transfer, liar_free };
	struct sim_chip *chip;

	*liar = (struct liar){ .bus.ops = &ops, .input = input, .driver = driver };
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
	sim_i2c_configure(liar->chips, liar->address, driver, options);
	sim_chip_restart(chip, chip_clock_us);
}

/* --- the options: any that the configuration takes ------------------------------------------- */

static char *option_text(const struct driver_option *option, struct input *input)
{
	char *text;

	if (strcmp(option->name, "path") == 0)
		return strdup(FILE_NAME);
	if (strcmp(option->name, "device") == 0)
		return strdup(DEVICE_NAME);
	text = input_until(input, '\n', NULL);
	if (text_is_clean(text) && (*text != '\0' || !option->required) &&
	    (strcmp(option->name, "channel") != 0 || parse_name(text)) &&
	    (strcmp(option->name, "unit") != 0 || strlen(text) <= UNIT_LENGTH))
		return text;
	free(text);
	if (option->text || option->required)
		return strdup(option->text ? option->text : "x");
	return NULL;
}

static const char *some_choice(const struct driver_option *option, struct input *input)
{
	size_t count = 0;

	while (option->choices[count])
		count++;
	return option->choices[input_number(input, count)];
}

static bool is_list(const struct driver_option *option)
{
	return option->type == OPTION_STRINGS || option->type == OPTION_INTEGERS ||
	       option->type == OPTION_GROUPS;
}

static void option_read(const struct driver_option *option, struct option_value *value,
			struct input *input);

static bool is_repeated(const struct option_value *list, const char *string)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->list[i].string, string) == 0)
			return true;
	return false;
}

/* member_read() - a key that need not be there is left out half of the time */
static void member_read(const struct driver_option *option, struct option_value *value,
			struct input *input)
{
	if (option->required || input_number(input, 2) == 1) {
		option_read(option, value, input);
	} else if (!is_list(option)) {
		value->number = option->preset;
		value->integer = llround(option->preset);
		value->string = option->text ? strdup(option->text) : NULL;
	}
}

/* element_read() - the next of @list, unless it is there already */
static void element_read(const struct driver_option *option, struct option_value *list,
			 struct input *input)
{
	struct option_value *element = &list->list[list->count];
	struct driver_option alone = *option;

	if (option->type == OPTION_GROUPS) {
		element->list = calloc(option->member_count, sizeof(*element->list));
		must(element->list != NULL);
		element->count = option->member_count;
		for (size_t i = 0; i < option->member_count; i++)
			member_read(&option->members[i], &element->list[i], input);
	} else {
		alone.type = option->type == OPTION_STRINGS ? OPTION_STRING : OPTION_INTEGER;
		alone.required = true;
		option_read(&alone, element, input);
	}
	if (option->type == OPTION_STRINGS && is_repeated(list, element->string)) {
		free(element->string);
		element->string = NULL;
	} else {
		list->count++;
	}
}

static void list_read(const struct driver_option *option, struct option_value *list,
		      struct input *input)
{
	size_t count = input_number(input, option->required ? ELEMENTS_MAX : ELEMENTS_MAX + 1) +
		       (option->required ? 1 : 0);

	list->given = count > 0;
	list->list = count > 0 ? calloc(count, sizeof(*list->list)) : NULL;
	must(count == 0 || list->list);
	for (size_t i = 0; i < count; i++)
		element_read(option, list, input);
}

/* a number, or a duration in microseconds */
static double option_number(const struct driver_option *option, const char *choice)
{
	int64_t duration_us;

	if (option->type != OPTION_DURATION)
		return strtod(choice, NULL);
	must(parse_duration(choice, &duration_us) == 0);
	return (double)duration_us;
}

static void option_read(const struct driver_option *option, struct option_value *value,
			struct input *input)
{
	double span = option->maximum - option->minimum;

	if (is_list(option)) {
		list_read(option, value, input);
		return;
	}
	value->given = true;
	if (option->type == OPTION_STRING)
		value->string = option->choices ? strdup(some_choice(option, input))
						: option_text(option, input);
	else if (option->choices)
		value->number = option_number(option, some_choice(option, input));
	else if (option->type == OPTION_BOOLEAN)
		value->number = (double)input_number(input, 2);
	else
		value->number = option->minimum + (double)input_number(input, 65536) *
							  (span > 0 ? span : 1000) / 65535;
	value->integer = llround(value->number);
}

/* struct refusal - what the configuration would refuse is not run */
struct refusal {
	struct option_check check;
	bool is_refused;
};

static void refuse(struct option_check *check, const struct option_value *value, const char *words)
{
	struct refusal *refusal = container_of(check, struct refusal, check);

	must(value != NULL && text_is_clean(words));
	refusal->is_refused = true;
}

static bool are_refused(const struct driver *driver, const struct option_value *options)
{
	struct refusal refusal = { .check.fault = refuse };

	if (driver->check)
		driver->check(options, &refusal.check);
	return refusal.is_refused;
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

/* --- what the kernel drives ------------------------------------------------------------------ */

static const struct tree {
	enum driver_kind kind;
	const char *folder, *name; /* of the file that has the device's name; NULL: the folder */
	const char *files[8];	   /* that mean something */
} trees[] = {
	{ DRIVER_IIO,
	  "sys/bus/iio/devices/iio:device0",
	  "name",
	  { "in_temp_input", "in_voltage0_raw", "in_voltage0-voltage1_raw", "in_accel_x_raw",
	    "in_voltage_scale", "in_voltage0_offset", "scale", "in_voltage0_label" } },
	{ DRIVER_HWMON,
	  "sys/class/hwmon/hwmon0",
	  "name",
	  { "temp1_input", "temp1_fault", "temp1_label", "power1_average", "power1_input",
	    "fan2_input", "energy1_input", "in0_input" } },
	{ DRIVER_W1, "sys/bus/w1/devices/" DEVICE_NAME, NULL, { "w1_slave", "temperature" } },
	{ DRIVER_THERMAL, "sys/class/thermal/thermal_zone0", "type", { "temp" } },
};

static const struct tree *tree_of(const struct driver *driver)
{
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
		if (trees[i].kind == driver->kind)
			return &trees[i];
	return NULL;
}

static void folder_empty(const char *folder)
{
	const struct dirent *entry;
	DIR *stream = opendir(folder);

	if (!stream)
		return;
	while ((entry = readdir(stream)))
		if (entry->d_type == DT_REG)
			must(unlinkat(dirfd(stream), entry->d_name, 0) == 0);
	(void)closedir(stream);
}

static void folder_make(const char *folder)
{
	char above[64];

	for (const char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
		must((size_t)(slash - folder) < sizeof(above));
		(void)snprintf(above, sizeof(above), "%.*s", (int)(slash - folder), folder);
		(void)mkdir(above, 0700);
	}
	(void)mkdir(folder, 0700);
}

/* a name of the table, or any that a file can have; NULL: none */
static char *tree_file(const struct tree *tree, struct input *input)
{
	size_t known = 0;
	uint8_t which;
	char *name;

	while (known < sizeof(tree->files) / sizeof(tree->files[0]) && tree->files[known])
		known++;
	must(known > 0);
	which = input_byte(input);
	if (which < 0xc0)
		return strdup(tree->files[which % known]);
	name = input_until(input, '\n', NULL);
	if (*name != '\0' && strlen(name) <= 255 && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	    strcmp(name, "..") != 0)
		return name;
	free(name);
	return NULL;
}

static void tree_make(const struct tree *tree, struct input *input)
{
	size_t files = input_number(input, FILES_MAX);
	char path[512];

	folder_make(tree->folder);
	folder_empty(tree->folder);
	(void)snprintf(path, sizeof(path), "%s/%s", tree->folder, tree->name ? tree->name : "");
	if (tree->name)
		file_put(path, DEVICE_NAME "\n", strlen(DEVICE_NAME) + 1);
	for (size_t i = 0; i < files; i++) {
		char *name = tree_file(tree, input), *text;
		size_t length;

		text = input_until(input, 0x1e, &length);
		(void)snprintf(path, sizeof(path), "%s/%s", tree->folder, name ? name : "in0");
		file_put(path, text, length);
		free(name);
		free(text);
	}
}

static void hardware_make(const struct driver *driver, struct input *input)
{
	const struct tree *tree = tree_of(driver);

	if (driver->kind == DRIVER_FILE)
		file_make(input);
	else if (tree)
		tree_make(tree, input);
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

/* files, and chips that only the configuration knows */
static bool says_any(const struct driver *driver)
{
	return driver->kind == DRIVER_FILE || driver->addresses[0] == 0;
}

static void check_values(const struct source *source, const double *values)
{
	must(source->channel_count >= 1 && source->channel_count <= CHANNELS_MAX);
	for (size_t i = 0; i < source->channel_count; i++) {
		const struct channel *channel = &source->channels[i];

		must(parse_name(channel->name) && text_is_clean(channel->unit));
		must(channel->digits >= 0 && channel->digits <= 9);
		if (tree_of(source->driver))
			must(!isinf(values[i]));
		else if (says_any(source->driver))
			must(isfinite(values[i]));
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
	if (r == 0)
		r = source_start(source, &wait_us);
	if (r < 0)
		return r;
	must(wait_us >= 0 && wait_us <= WAIT_MAX_US);
	chip_time_us += wait_us;
	if (source->driver->kind != DRIVER_I2C && input_byte(input) % 2 == 1)
		hardware_make(source->driver, input);
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
		hardware_make(driver, input);
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
	struct option_value *options = calloc(OPTIONS_MAX, sizeof(*options));
	struct input input = { data, size };
	struct i2c_device *device = NULL;
	const struct driver *driver;
	size_t count = 0;
	struct liar liar = { 0 };

	folder_enter();
	must(setenv("IOTD_SYSFS", "sys", 1) == 0);
	while (driver_at(count))
		count++;
	driver = driver_at(input_number(&input, count));
	must(options && driver->option_count <= OPTIONS_MAX);
	for (size_t i = 0; i < driver->option_count; i++)
		option_read(&driver->options[i], &options[i], &input);
	if (driver->kind == DRIVER_I2C) {
		liar_new(&liar, driver, options, &input);
		must(i2c_device_new(&device, &liar.bus, "/dev/i2c-1", liar.address) == 0);
	}
	if (!are_refused(driver, options))
		run(driver, &input, device, options);
	i2c_device_free(device);
	i2c_bus_free(liar.chips);
	(void)option_values_free(options, OPTIONS_MAX);
	return 0;
}
