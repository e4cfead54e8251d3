/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What clients were told of a device, in a few words: enough to see what is other now. */

#include "iotd/model.h"

#define TOLD_NAMES 7 /* of properties that change, and the NULL behind them */

/** struct told - of texts, digests */
struct told {
	enum device_status status;
	int state;
	int64_t interval_us;
	uint64_t driver, channels, fault;
};

/** told_of() - what there is to be told of a device now */
struct told told_of(const struct device_info *info);

/**
 * told_changes() - the properties that are other
 * @names: their names, and NULL
 * Return: how many.
 */
size_t told_changes(const struct told *before, const struct told *now,
		    const char *names[static TOLD_NAMES]);
