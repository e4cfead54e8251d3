/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "Full jitter": so that a fleet does not come back all at once. */
#include <sys/random.h>

#include "backoff.h"
#include "iotd/clock.h"

#define TRIES_MAX 20 /* 2^20 times reconnect_min is more than any reconnect_max */

void backoff_reset(struct backoff *backoff)
{
	backoff->tries = 0;
}

static uint64_t random_number(void)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (uint64_t)clock_boottime_us(); /* early at boot: random enough */
	return number;
}

int64_t backoff_next(struct backoff *backoff, int64_t min_us, int64_t max_us)
{
	int64_t ceiling_us = min_us << (backoff->tries + 1);

	if (backoff->tries < TRIES_MAX)
		backoff->tries++;
	if (ceiling_us > max_us)
		ceiling_us = max_us;
	if (ceiling_us <= min_us)
		return ceiling_us;
	return min_us + (int64_t)(random_number() % (uint64_t)(ceiling_us - min_us + 1));
}
