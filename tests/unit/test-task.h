/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of test-task. */

#include <check.h>

TCase *future_cases(void);
TCase *gather_cases(void);
