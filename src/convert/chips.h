/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sensor modules of mqtt-io, and what iotd has for each. */

#include "convert.h"

/** struct chip_value - a `type` of mqtt-io: what a sensor input publishes */
struct chip_value {
	const char *type;    /* NULL ends a table; "": the module knows no types */
	const char *channel; /* of iotd's driver; NULL: not mapped, for @words */
	double scale;	     /* mqtt-io's number is iotd's times this; 0: 1 */
	const char *unit;    /* then; NULL: the driver's */
	const char *words;   /* NULL: nothing to tell */
};

enum chip_kind {
	CHIP_I2C,
	CHIP_W1,
	CHIP_ADC,    /* I2C, with a channel a pin */
	CHIP_COUNTER /* pulses at a pin of each sensor input: inputs of iotd */
};

/** struct chip - a module of mqtt-io that iotd can replace */
struct chip {
	const char *module;
	enum chip_kind kind;
	const char *driver;		 /* NULL: ads1x15 has two */
	const struct chip_value *values; /* the first is mqtt-io's default */
	const struct key *keys;		 /* of the module */
	/** writes the options of iotd's driver; NULL: it has none */
	void (*options)(struct convert *convert, const struct item *module, FILE *out);
};

/** chip_find() - NULL: not mapped */
const struct chip *chip_find(const char *module);

/** chip_words() - what to do instead of a module that is not mapped; never NULL */
const char *chip_words(const char *module);

/** chip_range() - of an ads1x15 in V, by its gain */
double chip_range(struct reader *reader, const struct item *module);
