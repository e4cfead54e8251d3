/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What several verbs ask of the daemon. All say why it failed, and return the exit code. */

#include "bus.h"
#include "device.h"

/** ask_devices() - the answer to a List that was sent, or is sent now; @ret is released with devices_free() */
int ask_devices(struct ctl *ctl, struct bus_call *list, struct devices *ret);

/**
 * ask_named() - bus_answered() for a call about one device: says which name may have been meant
 * @kinds: bits, 1 << enum device_kind, of the devices that the call could be about
 */
int ask_named(struct ctl *ctl, const struct bus_call *call, const char *name, unsigned int kinds);

/** ask_name_is_good() - could something have this name? Else that is said. Return: EX_OK; EX_USAGE */
int ask_name_is_good(struct ctl *ctl, const char *name);
