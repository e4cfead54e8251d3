/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "iotd/daemon.h"
#include "iotd/drivers.h"

void daemon_list_drivers(FILE *out)
{
	const struct driver *driver;

	for (size_t i = 0; (driver = driver_at(i)); i++) {
		(void)fprintf(out, "%-10s %-8s", driver->name, driver_kind_name(driver->kind));
		for (size_t c = 0; c < driver->channel_count; c++) {
			const struct channel *channel = &driver->channels[c];

			(void)fprintf(out, "%s%s", c ? ", " : " ", channel->name);
			if (channel->unit[0])
				(void)fprintf(out, " (%s)", channel->unit);
		}
		if (driver->channel_count == 0)
			(void)fputs(" as configured", out);
		(void)fputc('\n', out);
	}
}
