/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl.h"

/**
 * agent_start() - where a person sits at a terminal who may have to give a password, let polkit ask for it there
 *
 * Call before the call that needs it; ctl_close() ends it. Without a terminal, as root, or where polkit has
 * no such program, nothing is done: then the session's own agent asks, or nobody.
 */
void agent_start(struct ctl *ctl);

/** agent_stop() - and leave the terminal as it was. Nothing if there is none */
void agent_stop(struct ctl *ctl);
