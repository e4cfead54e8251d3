/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gpio_modules, digital_inputs, digital_outputs. A module of mqtt-io is a way to reach pins; iotd has one,
 * the kernel's GPIO chips. So of the modules only those can be mapped whose pins are lines of a chip with
 * the same numbers: the Raspberry Pi's, and libgpiod's.
 *
 * mqtt-io's `interrupt` and `initial` are levels of the pin, iotd's `edge` and `initial` are states,
 * which `inverted` turns round.
 */
#include <string.h>

#include "convert.h"

#define OFFSET_MAX 65535
#define DAY_MS	   86400000L

/* chip NULL: not mapped */
static const struct {
	const char *module, *chip, *words;
} modules[] = {
	{ "raspberrypi", "gpiochip0", NULL },
	{ "gpiozero", "gpiochip0", NULL },
	{ "gpiod", "/dev/gpiochip0", NULL },
	{ "beaglebone", NULL, "gpioinfo(1) shows its pins as lines of GPIO chips" },
	{ "dockerpi", NULL, "iotd has no driver for this relay board" },
	{ "mcp23017", NULL,
	  "load the kernel's driver (dtoverlay=mcp23017), and use its GPIO chip" },
	{ "orangepi", NULL, "gpioinfo(1) shows its pins as lines of GPIO chips" },
	{ "pcf8574", NULL,
	  "load the kernel's driver (dtoverlay=pcf857x,pcf8574), and use its GPIO chip" },
	{ "pcf8575", NULL,
	  "load the kernel's driver (dtoverlay=pcf857x,pcf8575), and use its GPIO chip" },
	{ "piface2", NULL, "load the kernel's driver (dtoverlay=mcp23s17), and use its GPIO chip" },
	{ "stdio", NULL, "it drives nothing: iotd --simulate emulates lines" },
	{ "mock", NULL, "it drives nothing: iotd --simulate emulates lines" },
	{ "sunxi", NULL, "gpioinfo(1) shows its pins as lines of GPIO chips" },
	{ "xl9535", NULL,
	  "load the kernel's driver (dtoverlay=pca953x,pca9535), and use its GPIO chip" },
};

static const struct key module_keys[] = {
	{ .name = "name" }, { .name = "module" }, { .name = "chip" }, { .name = "cleanup" },
	{ NULL },
};

static const struct key input_keys[] = {
	{ .name = "name" },
	{ .name = "module" },
	{ .name = "pin" },
	{ .name = "on_payload" },
	{ .name = "off_payload" },
	{ .name = "inverted" },
	{ .name = "pullup" },
	{ .name = "pulldown" },
	{ .name = "interrupt" },
	{ .name = "bouncetime" },
	{ .name = "retain" },
	{ .name = "poll_interval" },	       /* the kernel tells of edges */
	{ .name = "poll_when_interrupt_for" }, /* see interrupt_for */
	{ .name = "ha_discovery" },
	{ "interrupt_for",
	  "the kernel's driver of the other chip does this: give it the interrupt" },
	{ NULL },
};

static const struct key output_keys[] = {
	{ .name = "name" },	    { .name = "module" },
	{ .name = "pin" },	    { .name = "on_payload" },
	{ .name = "off_payload" },  { .name = "inverted" },
	{ .name = "initial" },	    { .name = "publish_initial" }, /* iotd always does */
	{ .name = "timed_set_ms" }, { .name = "retain" },
	{ .name = "ha_discovery" }, { NULL },
};

/* --- modules -------------------------------------------------------------------------------- */

static size_t find_driver(const char *module)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(modules) && strcmp(modules[i].module, module) != 0)
		i++;
	return i;
}

static void convert_module(struct convert *convert, const struct item *item)
{
	struct reader *reader = &convert->reader;
	const char *module = item_text(reader, item, "module");
	size_t at = module ? find_driver(module) : ARRAY_SIZE(modules);

	if (!module)
		tell(reader, item, "module", "is missing");
	else if (at == ARRAY_SIZE(modules))
		tell(reader, item, "module", "iotd-convert does not know \"%s\"", module);
	else if (!modules[at].chip)
		tell(reader, item, "module", "\"%s\": %s (chip and line of inputs and outputs)",
		     module, modules[at].words);
	else
		tell_keys(reader, item, module_keys);
	if (item_is(reader, item, "cleanup", false))
		tell(reader, item, "cleanup",
		     "iotd leaves outputs as they are when it ends; see on_exit");
}

void convert_modules(struct convert *convert)
{
	for (size_t i = 0; i < item_count(&convert->reader, "gpio_modules"); i++) {
		struct item item = item_at(&convert->reader, "gpio_modules", i);

		if (item.node)
			convert_module(convert, &item);
	}
}

static struct item find_module(struct reader *reader, const char *name)
{
	struct item item = { .node = NULL };

	for (size_t i = 0; i < item_count(reader, "gpio_modules"); i++) {
		const char *other;

		item = item_at(reader, "gpio_modules", i);
		other = item_text(reader, &item, "name");
		if (other && strcmp(other, name) == 0)
			return item;
	}
	item.node = NULL;
	return item;
}

/* Return: false - it is not mapped, which is told */
static bool find_chip(struct convert *convert, const struct item *item, const char *name,
		      char chip[static CHIP_SIZE])
{
	struct reader *reader = &convert->reader;
	const struct item found = find_module(reader, name);
	const char *module = item_text(reader, &found, "module");
	const char *given = item_text(reader, &found, "chip");
	size_t at = module ? find_driver(module) : ARRAY_SIZE(modules);

	if (!found.node) {
		if (*name == '\0')
			tell(reader, item, "module", "is missing: left out");
		else
			tell(reader, item, "module", "gpio_modules has no \"%s\": left out", name);
		return false;
	}
	if (at == ARRAY_SIZE(modules) || !modules[at].chip) {
		tell(reader, item, "module", "\"%s\" is not mapped: left out", name);
		return false;
	}
	if (!given || *given == '\0' || strcmp(module, "gpiod") != 0)
		given = modules[at].chip;
	(void)snprintf(chip, CHIP_SIZE, "%.*s", CHIP_SIZE - 1, given);
	return true;
}

/* --- lines ---------------------------------------------------------------------------------- */

bool find_place(struct convert *convert, const struct item *item, const char *module,
		struct place *ret)
{
	struct reader *reader = &convert->reader;
	struct place place = { .chip = "gpiochip0", .line = item_text(reader, item, "pin") };
	const char *node;
	long offset;

	if (module && !find_chip(convert, item, module, place.chip))
		return false;
	if (!place.line || *place.line == '\0') {
		tell(reader, item, "pin", "is missing: left out");
		return false;
	}
	place.is_offset = strspn(place.line, "0123456789") == strlen(place.line);
	if (place.is_offset && !item_integer(reader, item, "pin", 0, OFFSET_MAX, &offset))
		return false;
	node = strncmp(place.chip, "/dev/", 5) == 0 ? place.chip + 5 : place.chip;
	if (!claim(convert, "line %s %s", node, place.line)) {
		tell(reader, item, "pin", "pin %s is taken by another one: left out", place.line);
		return false;
	}
	*ret = place;
	return true;
}

void write_place(FILE *out, const struct place *place)
{
	write_text(out, "chip", place->chip);
	if (place->is_offset)
		write_word(out, "line", "%ld", strtol(place->line, NULL, 0));
	else
		write_text(out, "line", place->line);
}

static void check_payloads(struct reader *reader, const struct item *item, const char *words)
{
	static const char *const keys[] = { "on_payload", "off_payload" };
	static const char *const values[] = { "ON", "OFF" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = item_text(reader, item, keys[i]);

		if (text && strcmp(text, values[i]) != 0)
			tell(reader, item, keys[i], "iotd says \"%s\"%s: change who listens",
			     values[i], words);
	}
	if (!item_is(reader, item, "retain", true))
		tell(reader, item, "retain", "iotd's states are always retained");
}

void write_discovery(struct convert *convert, const struct item *item, const char *component,
		     FILE *out)
{
	static const struct key keys[] = {
		{ .name = "component" },
		{ .name = "device_class" },
		{ .name = "unit_of_measurement" },
		{ "name", "is set in Home Assistant: the entity keeps its id and its history" },
		{ "expire_after",
		  "iotd tells with T/sensor/NAME/status whether a sensor can be read" },
		{ NULL },
	};
	struct reader *reader = &convert->reader;
	const struct item discovery = item_child(reader, item, "ha_discovery");
	const char *own = item_text(reader, &discovery, "component");
	const char *device_class = item_text(reader, &discovery, "device_class");

	tell_keys(reader, &discovery, keys);
	if (own && strcmp(own, component) != 0)
		tell(reader, &discovery, "component", "iotd announces a %s", component);
	if (device_class && *device_class)
		write_text(out, "device_class", device_class);
}

/* --- inputs --------------------------------------------------------------------------------- */

static void write_interrupt(struct reader *reader, const struct item *item, bool is_inverted,
			    FILE *out)
{
	const char *interrupt = item_text(reader, item, "interrupt");
	long bounce_ms = 100;
	bool is_rising;

	if (!interrupt)
		return;
	is_rising = strcmp(interrupt, "rising") == 0;
	if (is_rising || strcmp(interrupt, "falling") == 0)
		write_text(out, "edge", is_rising != is_inverted ? "rising" : "falling");
	else if (strcmp(interrupt, "both") != 0)
		tell(reader, item, "interrupt", "\"%s\" is none of rising, falling, both",
		     interrupt);
	(void)item_integer(reader, item, "bouncetime", 1, 3600000, &bounce_ms);
	write_word(out, "debounce", "\"%ldms\"", bounce_ms);
}

/* mqtt-io switches the resistors off where none is asked for */
static const char *bias_of(struct reader *reader, const struct item *item)
{
	if (item_is(reader, item, "pullup", false))
		return "pull-up";
	return item_is(reader, item, "pulldown", false) ? "pull-down" : "disabled";
}

static void convert_input(struct convert *convert, const struct item *item)
{
	struct reader *reader = &convert->reader;
	const char *module = item_text(reader, item, "module");
	bool is_inverted = item_is(reader, item, "inverted", false);
	struct place place;
	char name[NAME_SIZE];
	FILE *out;

	tell_keys(reader, item, input_keys);
	check_payloads(reader, item, "");
	if (!find_place(convert, item, module ? module : "", &place) ||
	    !claim_name(convert, item, "name", "name", "its topic", name))
		return;
	out = part_begin(&convert->inputs);
	write_text(out, "name", name);
	write_place(out, &place);
	write_text(out, "bias", bias_of(reader, item));
	if (is_inverted)
		write_word(out, "active_low", "true");
	write_interrupt(reader, item, is_inverted, out);
	write_text(out, "module", module);
	write_discovery(convert, item, "binary_sensor", out);
	(void)fputs(" }", out);
}

void convert_inputs(struct convert *convert)
{
	for (size_t i = 0; i < item_count(&convert->reader, "digital_inputs"); i++) {
		const struct item item = item_at(&convert->reader, "digital_inputs", i);

		if (item.node)
			convert_input(convert, &item);
	}
}

/* --- outputs -------------------------------------------------------------------------------- */

static void write_moves(struct reader *reader, const struct item *item, bool is_inverted, FILE *out)
{
	const char *initial = item_text(reader, item, "initial");
	bool is_high = initial && strcmp(initial, "high") == 0;
	long ms;

	if (initial && !is_high && strcmp(initial, "low") != 0) {
		tell(reader, item, "initial", "\"%s\" is neither high nor low", initial);
		initial = NULL;
	}
	if (initial)
		write_text(out, "initial", is_high != is_inverted ? "on" : "off");
	else
		write_text(out, "initial", "keep");
	if (!item_integer(reader, item, "timed_set_ms", 1, 365 * DAY_MS, &ms))
		return;
	write_word(out, "max_on", "\"%ldms\"", ms);
	tell(reader, item, "timed_set_ms",
	     "iotd switches off after this time (max_on), but not on again after OFF");
}

static void convert_output(struct convert *convert, const struct item *item)
{
	struct reader *reader = &convert->reader;
	const char *module = item_text(reader, item, "module");
	bool is_inverted = item_is(reader, item, "inverted", false);
	struct place place;
	char name[NAME_SIZE];
	FILE *out;

	tell_keys(reader, item, output_keys);
	check_payloads(reader, item, ", and obeys ON and OFF, 1 and 0, true and false");
	if (!find_place(convert, item, module ? module : "", &place) ||
	    !claim_name(convert, item, "name", "name", "its topic", name))
		return;
	out = part_begin(&convert->outputs);
	write_text(out, "name", name);
	write_place(out, &place);
	if (is_inverted)
		write_word(out, "active_low", "true");
	write_moves(reader, item, is_inverted, out);
	write_text(out, "module", module);
	write_discovery(convert, item, "switch", out);
	(void)fputs(" }", out);
}

void convert_outputs(struct convert *convert)
{
	for (size_t i = 0; i < item_count(&convert->reader, "digital_outputs"); i++) {
		const struct item item = item_at(&convert->reader, "digital_outputs", i);

		if (item.node)
			convert_output(convert, &item);
	}
}
