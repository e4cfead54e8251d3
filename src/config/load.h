/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One load of a configuration: what its sections share. A section's function gets its setting, or
 * NULL if the file has none, and fills its part of the settings.
 */

#include "faults.h"
#include "table.h"
#include "text.h"

#include "iotd/settings.h"

/** KEY_PLACE() - the place of a key's value, for a table that fills struct @type */
#define KEY_PLACE(type, member) .offset = offsetof(struct type, member)

/** KEY_OWNER() - the other way round, for struct key's @equal */
#define KEY_OWNER(pointer, type, member)                                                           \
	((const struct type *)(const void *)((const char *)(pointer)-offsetof(struct type, member)))

struct load {
	struct settings *settings;
	struct text text;
	struct faults faults;
	config_t tree;
	bool looks; /* also at what need not be there when iotd starts: config_check() */
};

/** root_keys - what stands in no group */
extern const struct key root_keys[];

/** load_presets() - their defaults */
void load_presets(struct load *load);

void load_mqtt(struct load *load, const config_setting_t *section);
void load_spool(struct load *load, const config_setting_t *section);
void load_commands(struct load *load, const config_setting_t *section);
void load_stats(struct load *load, const config_setting_t *section);
void load_i2c(struct load *load, const config_setting_t *section);
void load_sensors(struct load *load, const config_setting_t *section);
void load_inputs(struct load *load, const config_setting_t *section);
void load_outputs(struct load *load, const config_setting_t *section);

/** load_broker() - one URL into @broker, or a fault */
void load_broker(struct load *load, const config_setting_t *setting,
		 struct broker_settings *broker);

/** load_tls() - what mqtt.tls has besides its keys: credentials, and what goes together; after the brokers are known */
void load_tls(struct load *load, const config_setting_t *mqtt);

/** load_bus() - make sure that settings->i2c has bus @name, "i2c-N" if the file does not tell. Return: it, NULL: a fault */
const struct i2c_settings *load_bus(struct load *load, const config_setting_t *setting,
				    const char *name);

/** load_list() - @section's elements: an array of them, zeroed; *@ret_count 0 if there is none or it is no list */
void *load_list(struct load *load, const config_setting_t *section, size_t size, size_t *ret_count);

/** load_strings() - a list or array of strings, or a fault */
void load_strings(struct load *load, const config_setting_t *setting, char ***ret,
		  size_t *ret_count);

/* for struct key's @check */
void check_name(struct load *load, const config_setting_t *setting, void *member);
void check_topic(struct load *load, const config_setting_t *setting, void *member);
void check_filled(struct load *load, const config_setting_t *setting, void *member);
void check_alpn(struct load *load, const config_setting_t *setting, void *member);
void check_psk_identity(struct load *load, const config_setting_t *setting, void *member);

/** check_across() - what only shows when everything is read: names, addresses, lines, topics, interlocks */
void check_across(struct load *load);

/** check_sparkplug() - faults for what has no place in format "sparkplug" */
void check_sparkplug(struct load *load);
