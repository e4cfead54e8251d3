/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of test-reactor. */

#include <check.h>

TCase *timer_cases(void);
TCase *real_timer_cases(void);
TCase *call_cases(void);
TCase *descriptor_cases(void);
TCase *post_cases(void);
TCase *real_post_cases(void);
