/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list i2c. A bus called "i2c-N" needs no entry: it is /dev/i2c-N with the defaults, and is
 * added when the first sensor names it.
 */
#include <stdio.h>
#include <string.h>

#include "load.h"

#include "iotd/config.h"

#define BUSES_MAX 1000

#define BUS(member) KEY_PLACE(i2c_settings, member)

static const struct key bus_keys[] = {
	{ "bus", KEY_STRING, BUS(name), .required = true, .check = check_name },
	{ "path", KEY_STRING, BUS(path), .check = check_filled },
	{ "timeout", KEY_DURATION, BUS(timeout_us), .preset = "100ms", .range = { 0, 60e6 } },
	{ "retries", KEY_INTEGER, BUS(retries), .preset = "1", .range = { 0, 10 } },
	{ NULL },
};

bool config_i2c_equal(const struct i2c_settings *a, const struct i2c_settings *b)
{
	return table_equal(bus_keys, a, b, 0, SIZE_MAX);
}

/* is_adapter() - "i2c-0", "i2c-17": as the kernel names them */
static bool is_adapter(const char *name)
{
	size_t digits;

	if (strncmp(name, "i2c-", 4) != 0)
		return false;
	digits = strspn(name + 4, "0123456789");
	return digits > 0 && digits < 8 && name[4 + digits] == '\0' &&
	       (name[4] != '0' || digits == 1);
}

static void bus_path(struct load *load, struct i2c_settings *bus)
{
	if (asprintf(&bus->path, "/dev/%s", bus->name) < 0) {
		bus->path = NULL;
		fault_memory(&load->faults);
	}
}

void load_i2c(struct load *load, const config_setting_t *section)
{
	struct settings *settings = load->settings;

	settings->i2c = load_list(load, section, sizeof(*settings->i2c), &settings->i2c_count);
	if (settings->i2c_count > BUSES_MAX) {
		fault_at(&load->faults, section, "more than %d buses", BUSES_MAX);
		return;
	}
	for (size_t i = 0; i < settings->i2c_count; i++) {
		const config_setting_t *group = config_setting_get_elem(section, (unsigned int)i);
		struct i2c_settings *bus = &settings->i2c[i];

		if (!value_is_group(&load->faults, group))
			continue;
		table_read(load, bus_keys, group, bus);
		if (bus->path || !bus->name)
			continue;
		if (is_adapter(bus->name))
			bus_path(load, bus);
		else
			fault_member(&load->faults, group, "path",
				     "is missing (only buses called i2c-N have one by themselves)");
	}
}

static const struct i2c_settings *bus_find(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->i2c_count; i++)
		if (settings->i2c[i].name && strcmp(settings->i2c[i].name, name) == 0)
			return &settings->i2c[i];
	return NULL;
}

static void bus_unknown(struct load *load, const config_setting_t *setting, const char *name)
{
	struct suggest suggest = { .word = name };
	char written[QUOTE_SIZE];

	for (size_t i = 0; i < load->settings->i2c_count; i++)
		suggest_offer(&suggest, load->settings->i2c[i].name);
	fault_at(&load->faults, setting, "%s is neither i2c-N nor in the list i2c%s",
		 fault_quote(written, name), suggest_text(&suggest));
}

const struct i2c_settings *load_bus(struct load *load, const config_setting_t *setting,
				    const char *name)
{
	struct settings *settings = load->settings;
	const struct i2c_settings *known = bus_find(settings, name);
	struct i2c_settings *grown;

	if (known)
		return known;
	if (!is_adapter(name)) {
		bus_unknown(load, setting, name);
		return NULL;
	}
	if (settings->i2c_count >= BUSES_MAX) {
		fault_at(&load->faults, setting, "is one of more than %d buses", BUSES_MAX);
		return NULL;
	}
	grown = reallocarray(settings->i2c, settings->i2c_count + 1, sizeof(*grown));
	if (!grown) {
		fault_memory(&load->faults);
		return NULL;
	}
	settings->i2c = grown;
	grown += settings->i2c_count++;
	*grown = (struct i2c_settings){ 0 };
	table_presets(&load->faults, bus_keys, grown);
	table_string(&load->faults, &grown->name, name);
	if (load->faults.error == 0)
		bus_path(load, grown);
	return load->faults.error == 0 ? grown : NULL;
}
