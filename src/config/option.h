/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A driver's own keys, from its table of options. */

#include "value.h"

#include "iotd/driver.h"

/** option_find() - the option called @name, NULL: none */
const struct driver_option *option_find(const struct driver *driver, const char *name);

/** options_presets() - an array of the defaults; lack of memory goes to @faults */
void options_presets(struct faults *faults, const struct driver *driver, struct option_value **ret,
		     size_t *ret_count);

/** option_take() - read @setting if the driver has its key. Return: false - it has not */
bool option_take(struct faults *faults, const struct driver *driver,
		 const config_setting_t *setting, struct option_value *values);

/** options_check() - let the driver look at options that are right each alone, if it wants to */
void options_check(struct faults *faults, const struct driver *driver,
		   const config_setting_t *group, const struct option_value *values);

/** options_fault_channel() - a fault of the channel called @name, told where an option gives it that name, else of @group */
void options_fault_channel(struct faults *faults, const struct driver *driver,
			   const config_setting_t *group, const struct option_value *values,
			   const char *name, const char *words);

/** options_equal() - do they say the same, with their lists in the same order? */
bool options_equal(const struct option_value *a, size_t a_count, const struct option_value *b,
		   size_t b_count);

/** options_missing() - a fault for each required option that was not given */
void options_missing(struct faults *faults, const struct driver *driver,
		     const config_setting_t *group, const struct option_value *values);
