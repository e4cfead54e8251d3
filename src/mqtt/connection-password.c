/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The password, from one of its three places. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection-parts.h"

#define CREDENTIAL "mqtt-password" /* of systemd: iotd.service imports it */

/* the first line of @path. Return: 0; -EHOSTUNREACH with @why */
static int read_secret(struct connection *c, const char *path, char secret[static PASSWORD_SIZE])
{
	cleanup(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = -1;

	if (fd >= 0)
		length = read(fd, secret, PASSWORD_SIZE - 1);
	if (length < 0) {
		(void)snprintf(c->why, sizeof(c->why),
			       "cannot read the password from \"%.128s\": %s", path,
			       strerror(errno));
		return -EHOSTUNREACH;
	}
	secret[length] = '\0';
	secret[strcspn(secret, "\r\n")] = '\0';
	return 0;
}

int connection_find_password(struct connection *c, char secret[static PASSWORD_SIZE],
			     bool *ret_found)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];

	*ret_found = true;
	if (c->password) {
		(void)snprintf(secret, PASSWORD_SIZE, "%s", c->password);
		return 0;
	}
	if (c->password_file)
		return read_secret(c, c->password_file, secret);
	/* MQTT 3.1.1, 3.1.2.9: no password without a user name, and the host's may be meant for others */
	if (directory && (c->username || c->protocol == 5)) {
		(void)snprintf(path, sizeof(path), "%s/" CREDENTIAL, directory);
		if (access(path, F_OK) == 0)
			return read_secret(c, path, secret);
	}
	*ret_found = false;
	return 0;
}
