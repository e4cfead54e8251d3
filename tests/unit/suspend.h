/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* clock_gettime() is replaced, so that a test can let the host sleep for hours. */

#include <stdatomic.h>

extern atomic_llong slept_us; /* what the host spent in suspend */
