/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Outputs' lines, and what is to move them, outlive the process (lines.c). On the reactor. */

#include "iotd/device.h"
#include "iotd/service.h"

struct lines;

/** lines_new() - what systemd kept; before other threads read the environment. @key: notify_key(). Return: 0; -ENOMEM */
int lines_new(struct lines **ret, struct reactor *reactor, struct worker_key *key);

/** lines_free() - after workers_free(). NULL is fine. Returns NULL */
struct lines *lines_free(struct lines *lines);

/** lines_store() - for devices; NULL: there is nobody to keep anything */
struct line_store *lines_store(struct lines *lines);

/** lines_release_others() - when all outputs have been made: let go of what none of them took */
void lines_release_others(struct lines *lines);

static inline void lines_freep(struct lines **lines)
{
	*lines = lines_free(*lines);
}
