/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "iotd/config.h"
#include "iotd/daemon.h"
#include "iotd/drivers.h"
#include "iotd/log.h"
#include "iotd/plugins.h"

void daemon_load_drivers(const char *file, bool is_told)
{
	cleanup(freep) char *folder = NULL;
	const struct plugin_fault *fault;
	int r;

	r = config_driver_dir(&folder, file);
	if (r == 0)
		r = plugins_load(folder, 0);
	for (size_t i = 0; (fault = plugin_fault_at(i)); i++) {
		if (is_told)
			(void)fprintf(stderr, "%s\n", fault->words);
		else
			log_warning("%s", fault->words);
	}
	if (r < 0)
		log_error("drivers built out of tree cannot be loaded: %s", strerror(-r));
}

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
			(void)fputs(driver->kind == DRIVER_IIO || driver->kind == DRIVER_HWMON
					    ? " as the kernel names them"
					    : " as configured",
				    out);
		(void)fputc('\n', out);
	}
}
