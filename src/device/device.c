/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "device.h"
#include "iotd/clock.h"

void device_tell_fault(struct device_events *events, enum device_kind kind, const char *name)
{
	if (events->fault)
		events->fault(events, kind, name);
}

void device_format_age(char *buffer, size_t size, int64_t age_us)
{
	int64_t tenths = age_us / (USEC_PER_SEC / 10), minutes = tenths / 600;

	if (minutes < 2)
		(void)snprintf(buffer, size, "%lld.%lld s", (long long)(tenths / 10),
			       (long long)(tenths % 10));
	else if (minutes < 120)
		(void)snprintf(buffer, size, "%lld min", (long long)minutes);
	else
		(void)snprintf(buffer, size, "%lld h %lld min", (long long)(minutes / 60),
			       (long long)(minutes % 60));
}
