/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The least that a service with Type=notify can be: it says READY=1 and waits. For restart-times. */

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path || path[0] != '/' || strlen(path) >= sizeof(address.sun_path) || fd < 0)
		errx(EXIT_FAILURE, "no $NOTIFY_SOCKET");
	memcpy(address.sun_path, path, strlen(path));
	if (sendto(fd, "READY=1", 7, 0, (const struct sockaddr *)&address, sizeof(address)) != 7)
		err(EXIT_FAILURE, "%s", path);
	for (;;)
		(void)pause();
}
