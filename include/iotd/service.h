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
struct pressure;
struct starting;

/**
 * starting_new() - ask for more time each second from now on (EXTEND_TIMEOUT_USEC=), for five minutes at most
 * @doing: for `systemctl status`: "reading /etc/iotd.conf"; copied
 *
 * Before the rest, while the main thread does what may take long. Return: NULL: without
 * $NOTIFY_SOCKET, or for want of memory, nobody asks.
 */
struct starting *starting_new(const char *doing);

/** starting_free() - no more. NULL is fine. Returns NULL */
struct starting *starting_free(struct starting *starting);

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

/** notify_key() - the key under which systemd is told, for what shall be heard in order with it */
struct worker_key *notify_key(const struct notify *notify);

/**
 * pressure_new() - have memory given back when there is pressure on it ($MEMORY_PRESSURE_WATCH)
 * @ret:     NULL if there is nothing to watch
 * @relieve: called on the reactor, each time
 * Return: 0; -ENOMEM.
 */
int pressure_new(struct pressure **ret, struct reactor *reactor, void (*relieve)(void));

/** pressure_free() - NULL is fine. Returns NULL */
struct pressure *pressure_free(struct pressure *pressure);

static inline void pressure_freep(struct pressure **pressure)
{
	*pressure = pressure_free(*pressure);
}

static inline void notify_freep(struct notify **notify)
{
	*notify = notify_free(*notify);
}

/* --- descriptors that outlive the process ---------------------------------------------------- */

/* systemd's limit, with the NUL; a name has no control character and no ':' */
#define FDSTORE_NAME_SIZE 256

struct fdstore;

/**
 * fdstore_new() - with what systemd kept from an earlier run (sd_listen_fds_with_names(3))
 * @key: notify_key()
 *
 * Without $NOTIFY_SOCKET nothing is kept. Before other threads read the environment. Return: 0; -ENOMEM.
 */
int fdstore_new(struct fdstore **ret, struct worker_key *key);

/**
 * fdstore_free() - what was not taken is closed here; systemd keeps what it has. After
 * workers_free(). NULL is fine. Returns NULL
 */
struct fdstore *fdstore_free(struct fdstore *store);

/** fdstore_has_service() - false: there is nobody to keep anything */
bool fdstore_has_service(const struct fdstore *store);

/**
 * fdstore_take() - the descriptor that was kept under a name
 * @match: true for the name that is wanted
 * @name:  set to it
 * Return: the descriptor, the caller's from now on; -1 there is none. systemd keeps its copy.
 */
int fdstore_take(struct fdstore *store, bool (*match)(const void *data, const char *name),
		 const void *data, char name[static FDSTORE_NAME_SIZE]);

/**
 * fdstore_put() - have systemd keep a copy of @fd as @name until fdstore_remove(), for this process
 * and later ones
 *
 * systemd does not answer; what does not arrive is logged. Return: 0; -ENOSPC it is told, but will not
 * keep it: that is more than FileDescriptorStoreMax=, which systemd tells from 254 on ($FDSTORE of
 * systemd.exec(5)); -EMFILE; -ENOMEM; -EAGAIN no thread.
 */
int fdstore_put(struct fdstore *store, const char *name, int fd);

/** fdstore_remove() - have systemd close what it keeps as @name; it does so soon. A failure is logged */
void fdstore_remove(struct fdstore *store, const char *name);

static inline void fdstore_freep(struct fdstore **store)
{
	*store = fdstore_free(*store);
}
