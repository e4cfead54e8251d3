/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who is on an I2C bus: one address is asked, and what was found becomes a part of a configuration
 * (scan-text.c).
 */

#include <stdio.h>

#include "iotd/bus.h"
#include "iotd/drivers.h"
#include "iotd/settings.h"

#define SCAN_FIRST	0x08 /* addresses */
#define SCAN_LAST	0x77
#define SCAN_TIMEOUT_US 100000 /* of a bus that is not configured */
#define SCAN_NODE	"/dev/"
#define SCAN_NAME_SIZE	32 /* of the kernel's name of a bus, "i2c-1" */

/** struct scan_answer - of one address */
struct scan_answer {
	int error;		 /* negative: the bus is of no use, and @words say why */
	bool is_there;		 /* somebody is, */
	struct candidates found; /* this, if @words are "" */
	char words[256];	 /* of the error, or who in the kernel has it */
};

/**
 * scan_ask() - who is at the address of @device? Blocks: on a worker, or where there is none yet
 */
void scan_ask(struct i2c_device *device, struct scan_answer *ret);

/** scan_parse_bus() - "1", "i2c-1", "/dev/i2c-1" → "i2c-1". Return: 0; -EINVAL */
int scan_parse_bus(const char *text, char name[static SCAN_NAME_SIZE]);

/**
 * scan_list_nodes() - the numbers of the kernel's buses, in order. Reads /dev, so it may block
 * Return: how many, at most @size.
 */
size_t scan_list_nodes(unsigned long *numbers, size_t size);

/** scan_no_nodes - what to tell if there are none */
extern const char scan_no_nodes[];

/** struct scan_text - what a scan has found so far, as text */
struct scan_text {
	const struct settings *settings; /* whose names are taken; NULL: none is. May be set anew */
	FILE *out;			 /* private from here on */
	char *sensors; /* those that are sure, to come last: each but the last has a comma */
	size_t size;
	FILE *sure;
	size_t sure_count;
	unsigned int named[64]; /* sensors called after each driver, by its place in the list */
	bool has_begun;		/* to print */
};

/** scan_text_begin() - zeroed; @out: stays the caller's. Return: 0; -ENOMEM */
int scan_text_begin(struct scan_text *text, FILE *out);

/** scan_text_add() - what was found at @address of @bus; an error is not printed */
void scan_text_add(struct scan_text *text, const char *bus, uint16_t address,
		   const struct scan_answer *answer);

/** scan_text_note() - a comment: "# i2c-1, 0x76: ..." */
__attribute__((format(printf, 2, 3))) void scan_text_note(struct scan_text *text,
							  const char *format, ...);

/**
 * scan_text_end() - what is to come last; begun and not ended, it must be ended
 * @is_wanted: also if nothing was found
 * Return: 0; -ENOMEM.
 */
int scan_text_end(struct scan_text *text, bool is_wanted);
