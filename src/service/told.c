/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "told.h"

/* FNV-1a, with the end of each text: whether they are the same texts, give or take one chance in 2^64 */
static uint64_t digest(uint64_t sum, const char *text)
{
	const uint64_t prime = 1099511628211U;

	for (; text && *text != '\0'; text++)
		sum = (sum ^ (uint8_t)*text) * prime;
	return (sum ^ UINT8_MAX) * prime;
}

struct told told_of(const struct device_info *info)
{
	struct told told = {
		.status = info->status,
		.state = info->state,
		.interval_us = info->interval_us,
		.driver = digest(0, info->driver),
		.fault = digest(0, info->fault),
	};

	for (size_t i = 0; i < info->channel_count; i++)
		told.channels = digest(digest(told.channels, info->channels[i].name),
				       info->channels[i].unit);
	return told;
}

size_t told_changes(const struct told *before, const struct told *now,
		    const char *names[static TOLD_NAMES])
{
	size_t count = 0;

	if (before->driver != now->driver)
		names[count++] = "Driver";
	if (before->interval_us != now->interval_us)
		names[count++] = "Interval";
	if (before->channels != now->channels)
		names[count++] = "Channels";
	if (before->status != now->status)
		names[count++] = "Status";
	if (before->fault != now->fault)
		names[count++] = "Fault";
	if (before->state != now->state)
		names[count++] = "State";
	names[count] = NULL;
	return count;
}
