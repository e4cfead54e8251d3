/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of test-sensor. */

#include <check.h>

TCase *command_cases(void);
TCase *told_cases(void);
TCase *taken_cases(void);
TCase *hang_cases(void);
TCase *prompt_cases(void);
TCase *real_prompt_cases(void);
