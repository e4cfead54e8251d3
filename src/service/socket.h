/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemd's end of $NOTIFY_SOCKET (sd_notify(3)) */

#include <sys/socket.h>
#include <sys/un.h>

/** struct notify_socket - opened once: who opens one each time cannot speak when no descriptor is left */
struct notify_socket {
	int fd; /* -1: sd_notify() has to open one, for what is no address of AF_UNIX (vsock); or there is none */
	struct sockaddr_un address;
	socklen_t size;
};

/** notify_socket_open() - never fails: see @fd */
void notify_socket_open(struct notify_socket *socket);

/**
 * notify_socket_send() - one message
 * @flags: 0: blocks while systemd does not read; MSG_DONTWAIT: it is lost then
 *
 * If systemd is gone or deaf there is nothing that one could do better, so nobody is told. Any thread.
 */
void notify_socket_send(const struct notify_socket *socket, const char *text, int flags);
