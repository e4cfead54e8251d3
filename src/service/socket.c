/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* $NOTIFY_SOCKET is a path, or "@" and a name that is no file: sd_notify(3). */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "socket.h"

void notify_socket_open(struct notify_socket *to)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	*to = (struct notify_socket){ .fd = -1 };
	if (length < 2 || length >= sizeof(to->address.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	to->address.sun_family = AF_UNIX;
	memcpy(to->address.sun_path, path, length);
	to->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/'));
	if (path[0] == '@')
		to->address.sun_path[0] = '\0';
	to->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void notify_socket_send(const struct notify_socket *to, const char *text, int flags)
{
	ssize_t sent;

	if (to->fd < 0) {
		(void)sd_notify(0, text);
		return;
	}
	do
		sent = sendto(to->fd, text, strlen(text), flags | MSG_NOSIGNAL,
			      (const struct sockaddr *)&to->address, to->size);
	while (sent < 0 && errno == EINTR);
}
