/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What libconfig must never see: see scan.c. */

#include "faults.h"

#define SCAN_DEPTH_MAX	  64
#define SCAN_KEYS_MAX	  256
#define SCAN_ELEMENTS_MAX 100000
#define SCAN_VALUES_MAX	  1000000
#define SCAN_STRING_MAX	  65535

/**
 * scan_text() - look for what libconfig takes badly; each is a fault
 * A key that its group has already gets another name in @text, which libconfig takes.
 */
void scan_text(struct text *text, struct faults *faults);
