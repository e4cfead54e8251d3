/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What systemd hears: ready, status, watchdog, stopping (sd_notify(3)). Its socket blocks when nobody
 * reads it, so a worker sends, one message at a time; what is said meanwhile is joined. Without
 * $NOTIFY_SOCKET all of it does nothing. On the reactor's thread.
 */

#include <stdbool.h>

#include "iotd/worker.h"

struct notify;

/**
 * notify_new() - and start to feed the watchdog, twice in each $WATCHDOG_USEC
 * @is_healthy: asked before each feeding: do all tasks make progress? When it says no, the watchdog goes hungry
 * Return: 0; -ENOMEM.
 */
int notify_new(struct notify **ret, struct workers *workers, struct reactor *reactor,
	       bool (*is_healthy)(void *data), void *data);

/** notify_free() - NULL is fine. Returns NULL. After the pool's workers_free() */
struct notify *notify_free(struct notify *notify);

/** notify_ready() - READY=1, once; later calls do nothing */
void notify_ready(struct notify *notify);

/** notify_reloading() - RELOADING=1 with its time, unless READY=1 is still to come */
void notify_reloading(struct notify *notify);

/** notify_reloaded() - READY=1 after notify_reloading(), also when the old configuration stays */
void notify_reloaded(struct notify *notify);

/** notify_stopping() - STOPPING=1. Return: a future, done with 0 when systemd has been told this and all before */
struct future *notify_stopping(struct notify *notify);

/** notify_status() - STATUS=, one line for `systemctl status` */
void notify_status(struct notify *notify, const char *text);

static inline void notify_freep(struct notify **notify)
{
	*notify = notify_free(*notify);
}
