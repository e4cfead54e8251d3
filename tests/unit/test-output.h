/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of test-output. */

#include <check.h>

TCase *rule_cases(void);
TCase *hang_cases(void);
TCase *store_cases(void);
