/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "iotd/reactor.h"

/** reactor_post_several() - as reactor_post(), from any thread, with one wake-up: @latest, and by @next down to @earliest */
void reactor_post_several(struct reactor *reactor, struct reactor_post *latest,
			  struct reactor_post *earliest);

/** reactor_run_posts() - run what was posted by now, outside of a turn; on the reactor's thread */
void reactor_run_posts(struct reactor *reactor);
