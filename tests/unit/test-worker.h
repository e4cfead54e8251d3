/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of test-worker. */

#include <check.h>

TCase *abandoned_cases(void);
TCase *late_cases(void);
TCase *end_cases(void);
TCase *shortage_cases(void);
TCase *storm_cases(void);
