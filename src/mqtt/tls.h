/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * TLS to a broker, by OpenSSL: what all sessions share (certificates, keys, rules), and one
 * session over a connected socket. TLS 1.2 or later. Nothing here waits; SIGPIPE must be ignored.
 *
 * A session belongs to who owns the connection: a worker for the handshake, then the reactor.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "iotd/settings.h"

struct tls_context;
struct tls;

/** tls_is_wanted() - by a broker that is mqtts:// */
bool tls_is_wanted(const struct mqtt_settings *settings);

/** tls_context_new() - copies @settings; reads no file yet. Return: 0; -ENOMEM */
int tls_context_new(struct tls_context **ret, const struct tls_settings *settings);

/** tls_context_ref(), tls_context_unref() - on the reactor's thread; NULL is fine. Return: @context; NULL */
struct tls_context *tls_context_ref(struct tls_context *context);
struct tls_context *tls_context_unref(struct tls_context *context);

/**
 * tls_context_prepare() - read the files, if they are others than the last time. On any worker
 * @why: of -EHOSTUNREACH, in words; @size: of it
 *
 * Return: 0; -EHOSTUNREACH a file cannot be read or used; -ENOMEM.
 */
int tls_context_prepare(struct tls_context *context, char *why, size_t size);

/**
 * tls_new() - a session that has not begun
 * @context: prepared; must outlive it
 * @fd:      a connected socket, non-blocking, which stays the caller's
 * @host:    whom the certificate must be for: a name (which is also asked for, by SNI) or an address
 *
 * Return: 0; -EINVAL @host; -ENOMEM.
 */
int tls_new(struct tls **ret, struct tls_context *context, int fd, const char *host);

/** tls_free() - says goodbye if the socket takes it. NULL is fine. Returns NULL */
struct tls *tls_free(struct tls *tls);

/**
 * tls_handshake() - as far as it goes
 * @ret_events: what to wait for, POLLIN or POLLOUT
 *
 * Return: 0 done; -EAGAIN when @ret_events is there; -ECONNABORTED it failed, tls_why().
 */
int tls_handshake(struct tls *tls, short *ret_events);

/**
 * tls_read() - what the broker sent, up to @size bytes
 *
 * Return: how many; 0 its end; -EAGAIN; -ECONNABORTED, tls_why(); another errno of the socket.
 */
ssize_t tls_read(struct tls *tls, void *buffer, size_t size);

/** tls_has_more() - tls_read() has more to give, of which poll() does not know */
bool tls_has_more(const struct tls *tls);

/**
 * tls_write() - send up to @size bytes; after -EAGAIN the same ones again
 *
 * Return: how many; -EAGAIN; -EPIPE the session is broken, and tls_read() says why.
 */
ssize_t tls_write(struct tls *tls, const void *buffer, size_t size);

/** tls_why() - what went wrong, in words; NULL: nothing */
const char *tls_why(const struct tls *tls);
