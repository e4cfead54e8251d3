/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a scan finds, as a part of a configuration. What is sure is a sensor; what is not, a
 * comment. --scan (scan.c) and the Manager's Scan (scanning.c) ask in different ways, and print
 * this.
 */
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

/* --- one address ---------------------------------------------------------------------------- */

static void describe_failure(const struct i2c_device *device, int error, char *ret, size_t size)
{
	if (i2c_device_describe_error(device, error, ret, size))
		return;
	if (error == -ETIMEDOUT)
		(void)snprintf(ret, size,
			       "%s hangs at address 0x%02x: does a chip hold a line low, are "
			       "pull-ups missing?",
			       device->bus_name, device->address);
	else
		(void)snprintf(ret, size, "%s, address 0x%02x: %s", device->bus_name,
			       device->address, strerror(-error));
}

void scan_ask(struct i2c_device *device, struct scan_answer *ret)
{
	int r;

	*ret = (struct scan_answer){ 0 };
	r = drivers_ask(device, &ret->found);
	ret->is_there = r > 0 || r == -EBUSY;
	if (r == -EBUSY)
		i2c_device_describe_owner(device, ret->words, sizeof(ret->words));
	else if (r < 0 && r != -EIO) { /* a lost arbitration, a glitch: no reason to give up */
		ret->error = r;
		describe_failure(device, r, ret->words, sizeof(ret->words));
	}
}

/* --- buses ---------------------------------------------------------------------------------- */

const char scan_no_nodes[] =
	"there is no " SCAN_NODE "i2c-N: is I2C enabled (Raspberry Pi: raspi-config, or "
	"dtparam=i2c_arm=on in config.txt) and the module i2c-dev loaded?";

int scan_parse_bus(const char *text, char name[static SCAN_NAME_SIZE])
{
	size_t digits;

	if (strncmp(text, SCAN_NODE, strlen(SCAN_NODE)) == 0)
		text += strlen(SCAN_NODE);
	if (strncmp(text, "i2c-", 4) == 0)
		text += 4;
	digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 7 || text[digits] || (text[0] == '0' && digits > 1))
		return -EINVAL;
	(void)snprintf(name, SCAN_NAME_SIZE, "i2c-%s", text);
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	const unsigned long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

size_t scan_list_nodes(unsigned long *numbers, size_t size)
{
	char name[SCAN_NAME_SIZE];
	size_t count = 0;
	glob_t found;

	if (glob(SCAN_NODE "i2c-*", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc && count < size; i++)
			if (scan_parse_bus(found.gl_pathv[i], name) == 0)
				numbers[count++] = strtoul(name + 4, NULL, 10);
	globfree(&found);
	qsort(numbers, count, sizeof(*numbers), compare_numbers);
	return count;
}

/* --- text ----------------------------------------------------------------------------------- */

/* what is printed begins with the first that there is to say: what fails at once prints nothing */
static FILE *print(struct scan_text *text)
{
	if (!text->has_begun)
		(void)fputs("sensors = (\n", text->out);
	text->has_begun = true;
	return text->out;
}

/* inputs and outputs, too: names are unique over all */
static bool is_taken(const struct settings *settings, const char *name)
{
	for (size_t i = 0; settings && i < settings->sensor_count; i++)
		if (strcmp(settings->sensors[i].name, name) == 0)
			return true;
	for (size_t i = 0; settings && i < settings->input_count; i++)
		if (strcmp(settings->inputs[i].name, name) == 0)
			return true;
	for (size_t i = 0; settings && i < settings->output_count; i++)
		if (strcmp(settings->outputs[i].name, name) == 0)
			return true;
	return false;
}

/*
 * "bme280", "bme280-2"; drivers over the array's size share its places: then some numbers are left
 * out
 */
static void name_sensor(struct scan_text *text, const struct driver *driver, char *name,
			size_t size)
{
	unsigned int *named;
	size_t at = 0;

	while (driver_at(at) != driver)
		at++;
	named = &text->named[at % ARRAY_SIZE(text->named)];
	do {
		if (++*named == 1)
			(void)snprintf(name, size, "%s", driver->name);
		else
			(void)snprintf(name, size, "%s-%u", driver->name, *named);
	} while (is_taken(text->settings, name));
}

static void write_sensor(struct scan_text *text, FILE *out, const struct driver *driver,
			 const char *bus, uint16_t address)
{
	char name[NAME_LENGTH + 1];

	name_sensor(text, driver, name, sizeof(name));
	(void)fprintf(out, "{ name = \"%s\"; driver = \"%s\"; bus = \"%s\"; address = 0x%02x; }",
		      name, driver->name, bus, address);
}

void scan_text_note(struct scan_text *text, const char *format, ...)
{
	FILE *out = print(text);
	va_list arguments;

	(void)fputs("\t# ", out);
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, the line above */
	(void)vfprintf(out, format, arguments);
	va_end(arguments);
	(void)fputc('\n', out);
}

static void write_found(struct scan_text *text, const struct candidates *found, const char *bus,
			uint16_t address)
{
	if (found->is_sure) {
		(void)fputs(text->sure_count++ > 0 ? ",\n\t" : "\t", text->sure);
		write_sensor(text, text->sure, found->drivers[0], bus, address);
		return;
	}
	if (found->count == 0)
		scan_text_note(text, "%s, 0x%02x: somebody whom no driver knows", bus, address);
	else
		scan_text_note(text, "%s, 0x%02x: %s, but such chips have no id:", bus, address,
			       found->count == 1 ? "perhaps this" : "perhaps one of these");
	for (size_t i = 0; i < found->count; i++) {
		(void)fputs("\t#", print(text));
		write_sensor(text, text->out, found->drivers[i], bus, address);
		(void)fputs(",\n", text->out);
	}
}

void scan_text_add(struct scan_text *text, const char *bus, uint16_t address,
		   const struct scan_answer *answer)
{
	if (answer->error < 0 || !answer->is_there)
		return;
	if (answer->words[0])
		scan_text_note(text, "%s, 0x%02x: %s", bus, address, answer->words);
	else
		write_found(text, &answer->found, bus, address);
}

int scan_text_begin(struct scan_text *text, FILE *out)
{
	text->out = out;
	text->sure = open_memstream(&text->sensors, &text->size);
	return text->sure ? 0 : -ENOMEM;
}

int scan_text_end(struct scan_text *text, bool is_wanted)
{
	int r = fclose(text->sure) == 0 ? 0 : -ENOMEM;

	if (r == 0 && (text->has_begun || text->sure_count > 0 || is_wanted))
		(void)fprintf(print(text), "%s%s);\n", text->sensors,
			      text->sure_count > 0 ? "\n" : "");
	free(text->sensors);
	return r;
}
