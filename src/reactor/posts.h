/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "iotd/reactor.h"

/** reactor_run_posts() - run what was posted by now, outside of a turn; on the reactor's thread */
void reactor_run_posts(struct reactor *reactor);
