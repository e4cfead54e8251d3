/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a libconfig file to struct settings, with every fault at its place. The only layer that knows libconfig. */

#include <stddef.h>
#include <stdio.h>

#include "iotd/settings.h"

/* a configuration was refused; the journal's catalog explains it (iotd.catalog) */
#define MESSAGE_ID_CONFIG_REFUSED "55a0711adf054cd2bd47c4d4491d0b9b"

/** struct config_faults - what is wrong with a file, one line each, in the order of the file */
struct config_faults {
	char **lines; /* "FILE:LINE: PATH: what is wrong", no newline */
	size_t count;
};

/**
 * config_load() - read, parse and check a configuration file, with all that it includes
 * @ret:    the settings, complete with defaults; caller frees with settings_free()
 * @file:   path as the user gave it; faults name it so
 * @faults: filled when the file is bad; free with config_faults_free() either way
 *
 * Reads files, so it may block. Return: 0; -EBADMSG faults were found; -ENOMEM.
 * A file that cannot be read is a fault too ("FILE: cannot be read: No such file or directory").
 */
int config_load(struct settings **ret, const char *file, struct config_faults *faults);

/**
 * config_check() - the same for a person who asks: what iotd could start without, and try again, is a fault too
 *
 * That is the folder of stats.textfile. Return: as config_load().
 */
int config_check(struct settings **ret, const char *file, struct config_faults *faults);

/**
 * config_driver_dir() - what @file says of driver_dir, alone, for the drivers are to be there before it is loaded
 * @ret: the caller's; where the file cannot be read, or has it wrong, the default: config_load() tells
 * Reads files, so it may block. Return: 0; -ENOMEM.
 */
int config_driver_dir(char **ret, const char *file);

/** config_faults_free() - leaves it empty */
void config_faults_free(struct config_faults *faults);

/*
 * Do two of them say the same? By the tables that read the file, so no key can be forgotten. Names
 * count too.
 */
bool config_i2c_equal(const struct i2c_settings *a, const struct i2c_settings *b);
bool config_sensor_equal(const struct sensor_settings *a, const struct sensor_settings *b);
bool config_input_equal(const struct input_settings *a, const struct input_settings *b);
bool config_output_equal(const struct output_settings *a, const struct output_settings *b);
bool config_mqtt_equal(const struct mqtt_settings *a, const struct mqtt_settings *b);
bool config_spool_equal(const struct spool_settings *a, const struct spool_settings *b);

/** config_output_line_equal() - the same line in the same way: chip, line, bias, active_low */
bool config_output_line_equal(const struct output_settings *a, const struct output_settings *b);
