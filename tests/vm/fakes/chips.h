/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The chips on a fake bus, and its faults: files in one folder, read at each message, so that a test
 * changes them with printf and dd while the bus is in use.
 *
 *   DIR/76     the chip at 0x76: its registers from 0x00 on, at most 256. A write names a register and
 *              stores what follows; a read goes on from there. No file: nobody answers there.
 *   DIR/fault  what is wrong, in words; no file or an empty one: nothing
 *       nack          nobody answers at all
 *       stuck         the bus hangs for as long as the file says so
 *       unplug        the adapter is pulled out: the program ends
 *       errno N       a transfer fails with that error (only where the kernel lets us name one)
 */

enum fault {
	FAULT_NONE,
	FAULT_NACK,
	FAULT_STUCK,
	FAULT_UNPLUG,
	FAULT_ERRNO
};

/**
 * chips_init() - which folder it is
 * Call once, before the others. @dir stays the caller's.
 */
void chips_init(const char *dir);

/**
 * chips_fault() - what is wrong with the bus now
 * @error: set to N for FAULT_ERRNO
 */
enum fault chips_fault(int *error);

/**
 * chips_write(), chips_read() - one message to the chip at @address
 * @length: of @data; a write of 0 bytes only asks whether it is there
 *
 * A read past the last register gives 0xff, as an open bus does.
 * Return: 0; -ENXIO nobody answers at @address.
 */
int chips_write(unsigned int address, const uint8_t *data, size_t length);
int chips_read(unsigned int address, uint8_t *data, size_t length);
