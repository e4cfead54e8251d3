/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * From a configuration of mqtt-io to one of iotd.
 *
 * Each section is a file, and a function here. It reads its part of the tree, tells what it cannot
 * map, and writes text: the sections are put together at the end, since sensors of mqtt-io that count
 * pulses are inputs of iotd.
 */

#include <stdbool.h>
#include <stdio.h>

#include "item.h"

#define NAME_SIZE 65 /* of iotd's names, with the NUL */
#define CHIP_SIZE 128

/** struct part - a list or group that is written; made by part_new() */
struct part {
	FILE *stream;
	char *text; /* valid once the stream is closed */
	size_t size, count;
};

struct convert {
	struct reader reader;
	struct part root, mqtt, sensors, inputs, outputs;
	char **claims; /* what may be there once only */
	size_t claim_count;
};

/**
 * convert_new() - read @file
 * @fault: filled on failure, as by tree_load()
 * Return: 0; -EBADMSG no YAML, or nothing of mqtt-io; other negative errnos: it cannot be read.
 */
int convert_new(struct convert **ret, const char *file, char fault[static TREE_FAULT_SIZE]);

struct convert *convert_free(struct convert *convert);

static inline void convert_freep(struct convert **convert)
{
	*convert = convert_free(*convert);
}

/** convert_run() - all sections; once. Return: 0; -ENOMEM */
int convert_run(struct convert *convert);

/** convert_write() - the configuration. Return: 0; -EIO */
int convert_write(struct convert *convert, FILE *out);

/** convert_tell() - what was not mapped, a line each, in the order of the file. Return: how many */
size_t convert_tell(struct convert *convert, FILE *out);

/* --- the sections ------------------------------------------------------------------------------- */

void convert_mqtt(struct convert *convert);
void convert_modules(struct convert *convert); /* gpio_modules */
void convert_inputs(struct convert *convert);
void convert_outputs(struct convert *convert);
void convert_sensors(struct convert *convert);

/* --- for the sections: what must be unique ------------------------------------------------------ */

/** claim() - true: it is the first time */
bool claim(struct convert *convert, const char *format, ...) printf_like(2, 3);

/**
 * claim_name() - a name for iotd from the one at @key, different from all of the same @kind
 * @kind:  of names that differ from each other
 * @what:  what changes with the name, told if it does
 * Return: false - there is none, which is told.
 */
bool claim_name(struct convert *convert, const struct item *item, const char *key, const char *kind,
		const char *what, char name[static NAME_SIZE]);

/** struct place - of a GPIO line */
struct place {
	char chip[CHIP_SIZE];
	const char *line; /* its offset, or its name */
	bool is_offset;
};

/**
 * find_place() - the line that @item's key "pin" means
 * @module: the name of a module in gpio_modules; NULL: the pins of a Raspberry Pi's header
 * Return: false - there is none, or it is taken; told.
 */
bool find_place(struct convert *convert, const struct item *item, const char *module,
		struct place *ret);

/** write_place() - chip and line */
void write_place(FILE *out, const struct place *place);

/** write_discovery() - device_class from @item's ha_discovery, which is of @component; the rest is told */
void write_discovery(struct convert *convert, const struct item *item, const char *component,
		     FILE *out);

/* --- for the sections: writing ------------------------------------------------------------------ */

/** part_begin() - the next element of a list, to be written there up to its "}" */
FILE *part_begin(struct part *part);

/** write_text() - KEY = "TEXT"; with a blank before it */
void write_text(FILE *out, const char *key, const char *text);

/** write_word() - KEY = WORD; as it is: a number, true */
void write_word(FILE *out, const char *key, const char *format, ...) printf_like(3, 4);

/** write_number() - KEY = NUMBER; as libconfig takes it for one with a fraction */
void write_number(FILE *out, const char *key, double number);
