/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Without a terminal: readings on stdout as they come, a line each, for programs that read them. What else
 * happens is told on stderr, for the person behind them.
 */
#include <math.h>
#include <stdio.h>

#include "json.h"
#include "text.h"
#include "watch.h"

#include "iotd/clock.h"

/* each line at once, whatever stdout is */
static void flush(struct watch *watch)
{
	if (fflush(stdout) == 0)
		return;
	(void)ctl_fail(watch->ctl, EXIT_FAILURE, "stdout: write failed");
	(void)sd_event_exit(watch->event, EXIT_FAILURE);
}

static void print_lines(struct watch *watch, const struct device *device)
{
	char time[CLOCK_UTC_SIZE], value[TEXT_SIZE];

	clock_format_utc(time, device->time_us > INT64_MAX ? 0 : (int64_t)device->time_us);
	if (device->state >= 0)
		(void)printf("%s %s %s\n", time, device->name, device->state > 0 ? "on" : "off");
	for (size_t i = 0; i < device->channel_count; i++) {
		const struct device_channel *channel = &device->channels[i];

		if (!isfinite(channel->number) ||
		    !filter_has(&watch->filter, device, channel->name))
			continue;
		value_text(value, sizeof(value), channel);
		(void)printf("%s %s.%s %s\n", time, device->name, channel->name, value);
	}
	flush(watch);
}

static void print_json(struct watch *watch, const struct device *device)
{
	int r;

	r = json_print(
		watch->ctl, stdout,
		json_pack("{s:s, s:o}", "name", device->name, "values", json_from_values(device)));
	if (r != EX_OK)
		(void)sd_event_exit(watch->event, r);
	else
		flush(watch);
}

static void tell_turned(struct watch *watch, const struct device *device)
{
	(void)watch;
	if (device->status == STATUS_OFFLINE)
		(void)fprintf(stderr, "iotctl: %s is offline: %s\n", device->name,
			      device->fault[0] ? device->fault : "the daemon does not say why");
	else
		(void)fprintf(stderr, "iotctl: %s is online again\n", device->name);
}

static void tell_said(struct watch *watch, const char *why)
{
	(void)watch;
	if (why)
		(void)fprintf(stderr, "iotctl: %s; waiting for it\n", why);
	else
		(void)fprintf(stderr, "iotctl: iotd is back\n");
}

const struct watch_way watch_as_lines = {
	.read = print_lines,
	.turned = tell_turned,
	.said = tell_said,
};

const struct watch_way watch_as_json = {
	.read = print_json,
	.turned = tell_turned,
	.said = tell_said,
};
