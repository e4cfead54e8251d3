/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How long to wait before the next try: random, below a ceiling that doubles. On the reactor's thread. */

#include <stdint.h>

/** struct backoff - embedded; zeroed: at its begin */
struct backoff {
	unsigned int tries;
};

/** backoff_reset() - the ceiling is twice the least again */
void backoff_reset(struct backoff *backoff);

/** backoff_next() - microseconds to wait now, @min_us .. @max_us; the ceiling doubles for the next one */
int64_t backoff_next(struct backoff *backoff, int64_t min_us, int64_t max_us);
