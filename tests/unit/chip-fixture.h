/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A driver on its emulated chip, with a bus between that looks on and meddles, and a clock that only
 * moves when somebody waits. Whoever links it needs --wrap=nanosleep (meson.build has it): the pauses of
 * drivers move that clock too.
 */

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotd/bus.h"
#include "iotd/sim.h"
#include "iotd/source.h"

/* --- The bus that meddles ----------------------------------------------------------------------- */

struct meddler {
	struct i2c_bus bus, *inner;
	int transfers;	    /* until now */
	int last_read;	    /* number of the last transfer with a read, from 1 */
	int last_length;    /* of that read */
	int fail_at, error; /* transfer number fail_at fails with error; 0: none does */
	int flip_at,
		flip_bit; /* in what transfer number flip_at reads, this bit (0: the first byte's lowest) is the other */
	struct {
		uint8_t reg, value;
	} spoiled[64];
	int spoiled_count;
	struct {
		uint8_t key[4], answer[64];
		size_t key_length, answer_length;
	} script[8];
	int script_count;
	uint8_t last_written[4]; /* the beginning of it */
	uint8_t written[64][2];	 /* of writes of two bytes: register and value, in order */
	int written_count;
};

extern struct meddler meddler;

/** spoil() - from now on the 8-bit register @reg reads as @value */
void spoil(uint8_t reg, uint8_t value);

/**
 * script() - from now on, a read after a write that begins with @key gives @answer, whatever the chip says
 * Both are hexadecimal, blanks are nothing: script("2400", "beef 92 beef 92"), script("05", "c194")
 */
void script(const char *key, const char *answer);

/* --- The chip, the source and their clock ------------------------------------------------------ */

extern struct sim_chip *chip;
extern struct i2c_device *device;
extern struct source *source;
extern int64_t now_us;

/** chip_set_up(), chip_tear_down() - for tcase_add_checked_fixture(); also to begin anew inside a test */
void chip_set_up(void);
void chip_tear_down(void);

/** set_option() - before plug(): a string, a number in decimal, µs, a duration as in the choices, or the words of a list with blanks between; the others have their presets */
void set_option(const char *name, const char *value);

/** plug() - @driver on an emulated @model at @address of /dev/i2c-1; 0: the driver's first */
void plug(const char *driver, const char *model, uint16_t address);

/** measure() - one whole reading as a sensor makes it: open if closed, start, wait, collect, close on failure. Return: collect()'s */
int measure(double values[static CHANNELS_MAX]);

/** measure_start() - the same, but the second half comes with measure_finish(). Return: 0 or a negative errno */
int measure_start(int64_t *wait_us);
int measure_finish(int64_t wait_us, double values[static CHANNELS_MAX]);

/** assert_measures() - a reading that is the weather at the chip; a driver that keeps to the data sheet */
void assert_measures(void);

/** assert_not_yet() - what @driver's chip is asked for before it is done is no reading yet, and then one */
void assert_not_yet(const char *driver);

/** assert_waits_anew() - @driver waits for each of many readings, so that no limit is one of all of them */
void assert_waits_anew(const char *driver);

/** assert_fails() - a reading that fails with @error and with @words in its fault */
void assert_fails(int error, const char *words);

/** is_weather() - are these what the chip's weather is, as far as it has it? */
bool is_weather(const double *values);

/* --- Worked examples --------------------------------------------------------------------------- */

/** struct chip_example - what the chip says, and what is to be made of it */
struct chip_example {
	struct {
		const char *key, *answer; /* as of script() */
	} says[4];
	double values[4]; /* in the channels' order; NAN: must be it */
	double tolerance; /* what the data sheet's rounding allows, of all of them */
};

/** assert_example() - in a test with the fixture: plug @driver, let it say so, measure, compare */
void assert_example(const char *driver, const struct chip_example *example);

/* --- main() ------------------------------------------------------------------------------------ */

/** chip_tests() - a program's only test case, with the fixture; chip_run_tests() runs it: what main() returns */
TCase *chip_tests(const char *name);
int chip_run_tests(void);
